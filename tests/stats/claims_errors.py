"""Claims on false winners: equal arms are not called different, however one looks and however many one tries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtr
from tables import Table, draws_of, percent
from worlds import answers, flip_shares, flips, most

from workbench.stats import holm
from workbench.stats.difference import binary_limits
from workbench.stats.sequence import BETS, WEIGHTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

LIVE, FINAL, FIRST_CONFIRMATION = 0.01, 0.04, 0.025
FIRST_LOOK = 20


def capital(differences: Floats) -> Floats:
    """What the sequence's gambler on "better" owns after each case; `differences` of 1, −1, 0, shape (runs, cases).

    The lower limit of `ConfidenceSequence` is above 0 from the first time that this reaches 2/alpha.
    """
    won, lost = np.cumsum(differences > 0, axis=1), np.cumsum(differences < 0, axis=1)
    total = np.zeros(differences.shape)
    for bet, weight in zip(BETS, WEIGHTS, strict=True):
        total += weight * np.exp(won * np.log1p(bet) + lost * np.log1p(-bet))
    return total


def naive_t(differences: Floats) -> Floats:
    """p-values of a paired t test after every case, one-sided for "better" times two; shape (runs, cases)."""
    n = np.arange(1, differences.shape[1] + 1)
    mean = np.cumsum(differences, axis=1) / n
    variance = (np.cumsum(differences**2, axis=1) / n - mean**2) * n / np.maximum(n - 1, 1)
    t = mean / np.sqrt(np.maximum(variance, 1e-12) / n)
    return 2 * stdtr(np.maximum(n - 1, 1), -t)


def looks(scale: float) -> Table:
    """Two equal variants, looked at after every case from 20 to 500 and once at the end."""
    table = Table(
        "Two equal variants, looked at after every case up to 500 and once at the end: said to be better",
        ["right", "correlation", "live sequence (0.01) or final test (0.04)", "target", "live alone", "final alone",
         "t at 95 % after every case"],
    )  # fmt: skip
    rng, tries = np.random.default_rng(21), draws_of(10_000, scale)
    for p, correlation in ((0.5, 0.5), (0.75, 0.5), (0.75, 0.0), (0.9, 0.5), (0.98, 0.3)):
        live, final, either, naive = np.zeros(4, dtype=int)
        for start in range(0, tries, 1000):
            runs = flips(rng, *flip_shares(p, p, correlation), (min(1000, tries - start), 500))
            seen = (capital(runs) >= 2 / LIVE)[:, FIRST_LOOK - 1 :].any(axis=1)
            low, _, _ = binary_limits((runs > 0).sum(axis=1), (runs < 0).sum(axis=1), 500, FINAL)
            peeked = ((naive_t(runs) <= 0.05) & (np.cumsum(runs, axis=1) > 0))[:, FIRST_LOOK - 1 :].any(axis=1)
            counts = ((low > 0) | seen, seen, low > 0, peeked)
            either, live, final, naive = (
                old + int(new.sum()) for old, new in zip((either, live, final, naive), counts, strict=True)
            )
        table.add(either <= most(tries, 0.05), p, correlation, percent(either / tries), "≤ 5 %", percent(live / tries),
                  percent(final / tries), percent(naive / tries))  # fmt: skip
    return table


def against_first(scores: Floats) -> tuple[Floats, Floats]:
    """How often each later arm won and lost against the first; `scores` shape (cases, arms)."""
    gaps = scores[:, 1:] - scores[:, :1]
    return (gaps > 0).sum(axis=0), (gaps < 0).sum(axis=0)


def eight_arms(scale: float) -> Table:
    """Eight equal arms against a baseline on one metric, corrected by Holm."""
    table = Table(
        "8 equal arms against a baseline, one metric: any said to be better",
        ["cases", "Holm at 0.04", "target", "uncorrected at 0.05"],
    )
    rng, tries = np.random.default_rng(22), draws_of(10_000, scale)
    for cases in (150, 500):
        wrong = naive = 0
        for _ in range(tries):
            better, worse = against_first(answers(rng, np.full(9, 0.8), cases))
            p = binary_limits(better, worse, cases, FINAL)[2]
            wrong += bool((np.array(holm(p)) <= FINAL)[better > worse].any())
            naive += bool((p[better > worse] <= 0.05).any())
        table.add(wrong <= most(tries, 0.05), cases, percent(wrong / tries), "≤ 5 %", percent(naive / tries))
    return table


def forty_variants(scale: float) -> Table:
    """Forty equal variants tried on dev cases, the best of them confirmed on unseen test cases."""
    table = Table(
        "40 equal variants tried on 150 dev cases, the best confirmed on 150 test cases: said to be better",
        ["right", "confirmed at 0.025 (first of its dataset)", "target", "at 0.04", "naive: best on dev, 0.05",
         "its mean lead on dev"],
    )  # fmt: skip
    rng, tries = np.random.default_rng(23), draws_of(5000, scale)
    for p in (0.75, 0.9):
        confirmed = verdict = naive = 0
        lead = 0.0
        for _ in range(tries):
            scores = answers(rng, np.full(41, p), 300)
            better, worse = against_first(scores[:150])
            best = int((better - worse).argmax())
            lead += float(better[best] - worse[best]) / 150 / tries
            naive += float(binary_limits(better[best], worse[best], 150, 0.05)[0]) > 0
            gaps = scores[150:, 1 + best] - scores[150:, 0]
            flipped = (int((gaps > 0).sum()), int((gaps < 0).sum()))
            confirmed += float(binary_limits(*flipped, 150, FIRST_CONFIRMATION)[0]) > 0
            verdict += float(binary_limits(*flipped, 150, FINAL)[0]) > 0
        ok = confirmed <= most(tries, 0.05) and verdict <= most(tries, 0.05)
        table.add(ok, p, percent(confirmed / tries), "≤ 5 %", percent(verdict / tries), percent(naive / tries),
                  f"{100 * lead:+.1f} points")  # fmt: skip
    return table


def hard_cases_slow(scale: float) -> Table:
    """Equal arms, one of which is slow where it errs: cases in the plan's order against cases as they complete."""
    table = Table(
        "Hard cases answered slowly, two equal arms, 500 cases, 40 at a time: live sequence says better",
        ["cases enter", "said to be better", "target", "difference shown after 100"],
    )
    rng, tries = np.random.default_rng(24), draws_of(4000, scale)
    rows = {"in the plan's order": np.zeros(2), "as they complete (not done)": np.zeros(2)}
    for _ in range(tries):
        candidate, baseline = answers(rng, np.full(2, 0.75), 500).T
        gaps = candidate - baseline
        seconds = np.where(candidate == 1, 1.0, 8.0) * rng.uniform(0.8, 1.2, 500)  # the candidate thinks long and errs
        started = np.zeros(500)
        free = np.zeros(40)
        for i in range(500):  # a crew of 40 takes the cases in the plan's order
            worker = int(free.argmin())
            started[i] = free[worker]
            free[worker] += seconds[i]
        completed = gaps[np.argsort(started + seconds, kind="stable")]
        for sums, order in zip(rows.values(), (gaps, completed), strict=True):
            sums[0] += (capital(order[None]) >= 2 / LIVE)[0, FIRST_LOOK - 1 :].any()
            sums[1] += order[:100].mean()
    for name, (wrong, shown) in rows.items():
        ours = name == "in the plan's order"
        ok = wrong <= most(tries, LIVE) if ours else True
        table.add(ok, name, percent(wrong / tries), "≤ 1 %" if ours else "", f"{100 * shown / tries:+.1f} points")
    return table
