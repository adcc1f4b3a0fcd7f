"""Claims on judges: human labels correct them, and a judge that favours an arm makes no winner."""

from __future__ import annotations

import numpy as np
from tables import Table, draws_of, percent
from worlds import answers, fewest, judged, most

from workbench.stats import ppi_difference, ppi_mean, t_limits

LABELS, CASES = 100, 1000
JUDGES = {
    "errs 12 %": (0.12, 0.12),
    "errs 5 % / 30 % by class": (0.05, 0.30),
    "errs 30 % / 5 % by class": (0.30, 0.05),
    "errs 2 %": (0.02, 0.02),
}


def judge_mean(scale: float) -> Table:
    """The mean of an arm by a judge with 100 labels on 1,000 cases."""
    table = Table(
        "An arm's mean by a judge, 100 labels, 1,000 cases (95 %)",
        ["judge", "truth", "coverage", "target", "width", "judge alone (naive)", "labels alone", "its width"],
    )
    rng, tries = np.random.default_rng(41), draws_of(10_000, scale)
    for name, errors in JUDGES.items():
        for p in (0.5, 0.8, 0.9):
            hits = np.zeros(3, dtype=int)
            widths = np.zeros(2)
            for _ in range(tries):
                truth = (rng.random(CASES) < p).astype(np.float64)
                scores = judged(rng, truth, *errors)
                found = ppi_mean(truth[:LABELS], scores[:LABELS], scores[LABELS:])
                limits = ((found.low, found.high), t_limits(scores), t_limits(truth[:LABELS]))
                hits += [low <= p <= high for low, high in limits]
                widths += [found.high - found.low, limits[2][1] - limits[2][0]]
            table.add(hits[0] >= fewest(tries, 0.94), name, p, percent(hits[0] / tries), "≥ 94 %",
                      f"{widths[0] / tries:.3f}", percent(hits[1] / tries), percent(hits[2] / tries),
                      f"{widths[1] / tries:.3f}")  # fmt: skip
    return table


def judge_favours(scale: float) -> Table:
    """Two arms that a judge sees with different eyes."""
    table = Table(
        "Two arms by a judge that favours the candidate, 1,000 cases: said to be better, at 0.04",
        ["world", "labels", "prediction-powered", "target", "judge alone (naive)", "coverage", "target "],
    )
    rng, tries = np.random.default_rng(42), draws_of(10_000, scale)
    worlds = {
        "equal, longer answers liked (wrong ones pass 30 % against 5 %)": (0.75, 0.75, (0.05, 0.30), (0.05, 0.05)),
        "equal, first place liked (right ones fail 2 % against 20 %)": (0.75, 0.75, (0.02, 0.12), (0.20, 0.12)),
        "equal at 0.9, wrong ones pass 40 % against 10 %": (0.9, 0.9, (0.05, 0.40), (0.05, 0.10)),
        "candidate 5 points worse, favoured": (0.80, 0.75, (0.05, 0.30), (0.05, 0.05)),
    }
    for name, (baseline, candidate, ours, theirs) in worlds.items():
        for shared in (True, False):
            wrong = naive = hits = 0
            for _ in range(tries):
                truth = answers(rng, np.array([candidate, baseline]), CASES)
                a, b = judged(rng, truth[:, 0], *ours), judged(rng, truth[:, 1], *theirs)
                labels = np.full((CASES, 2), np.nan)
                labels[:LABELS, 0] = truth[:LABELS, 0]
                place = slice(0, LABELS) if shared else slice(LABELS, 2 * LABELS)
                labels[place, 1] = truth[place, 1]
                found = ppi_difference(a, b, labels[:, 0], labels[:, 1])
                wrong += found.low > 0
                hits += found.low <= candidate - baseline <= found.high
                naive += t_limits(a - b, 0.96)[0] > 0
            ok = wrong <= most(tries, 0.05) and hits >= fewest(tries, 0.94)
            table.add(ok, name, "100 each, same cases" if shared else "100 each, other cases", percent(wrong / tries),
                      "≤ 5 %", percent(naive / tries), percent(hits / tries), "≥ 94 %")  # fmt: skip
    return table
