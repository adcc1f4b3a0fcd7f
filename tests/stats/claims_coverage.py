"""Claims on coverage: the intervals hold the truth as often as they say, and are no wider than need be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri, stdtrit
from scipy.stats import binom
from tables import Table, draws_of, percent
from worlds import fewest, flip_counts, flip_shares, repeated, shares

from workbench.stats import mean_interval
from workbench.stats.difference import binary_limits, bounded_limits
from workbench.stats.means import LARGE
from workbench.stats.signflip import limits_of_means, subset_means

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

SIZES = (20, 50, 200, 1000)
SHARES = (0.5, 0.9, 0.98)


# Coverage, one arm


def coverage_single(scale: float) -> Table:
    """One arm's interval at 95 %: exact for single tries, drawn for 5 dependent repeats and graded scores."""
    table = Table(
        "Coverage of one arm's interval (95 %)",
        ["score", "n", "mean", "coverage", "target", "width / Wilson's (0/1) or t's", "target ", "Wilson", "Wald or t"],
    )
    rng = np.random.default_rng(11)
    for n in SIZES:
        for p in SHARES:
            _single_exact(table, n, p)
    tries = draws_of(10_000, scale)
    for n in SIZES:
        for p in SHARES:
            values = rng.binomial(5, shares(rng, p, 1.0, (tries, n))) / 5
            _single_drawn(table, "0/1, 5 repeats", values, p, binary=True)
    for n in SIZES:
        for p in SHARES:
            tries = draws_of(2000 if n < LARGE else 10_000, scale * (0.3 if n < LARGE else 1.0))
            _single_drawn(table, "graded", shares(rng, p, 3.0, (tries, n)), p, binary=False)
    return table


def _single_exact(table: Table, n: int, p: float) -> None:
    right = np.arange(n + 1)
    chance = binom.pmf(right, n, p)
    means = right / n
    z = float(ndtri(0.975))
    found = [mean_interval((np.arange(n) < k) * 1.0, np.ones(n), binary=True, bounds=(0, 1)) for k in right]
    ours = np.array([[one.low, one.high] for one in found]).T
    middle = (means + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(means * (1 - means) / n + z * z / (4 * n * n))
    wald = z * np.sqrt(means * (1 - means) / n)
    hit, wilson, naive = (
        float(chance[(low <= p) & (p <= high)].sum())
        for low, high in (ours, (middle - half, middle + half), (means - wald, means + wald))
    )
    width = float((chance * (ours[1] - ours[0])).sum() / (chance * 2 * half).sum())
    table.add(hit >= 0.94 and width <= 1.2, "0/1", n, p, percent(hit), "≥ 94 %", f"{width:.2f}", "≤ 1.20",
              percent(wilson), percent(naive))  # fmt: skip


def _single_drawn(table: Table, score: str, values: Floats, p: float, *, binary: bool) -> None:
    tries, n = values.shape
    repeats = np.full(n, 5.0 if binary else 1.0)
    found = [mean_interval(row, repeats, binary=binary, bounds=(0, 1)) for row in values]
    hits = sum(one.low <= p <= one.high for one in found)
    half = stdtrit(n - 1, 0.975) * values.std(axis=1, ddof=1) / n**0.5
    naive = float((np.abs(values.mean(axis=1) - p) <= half).mean())
    wider = sum(one.high - one.low for one in found) / float(2 * half.sum())
    table.add(hits >= fewest(tries, 0.94), score, n, p, percent(hits / tries), "≥ 94 %", f"{wider:.2f}",
              "", "", percent(naive))  # fmt: skip


# Coverage, paired


def coverage_paired(scale: float) -> Table:
    """The paired interval: the lowest coverage over differences of 0, −2 and −10 points and three correlations."""
    table = Table(
        "Coverage of the paired interval: lowest over differences of 0, −2, −10 points",
        ["score", "n", "baseline", "coverage at alpha 0.05", "target", "at 0.04 (verdict)", "paired t at 0.05",
         "width / t's"],
    )  # fmt: skip
    for n in SIZES:
        for p in SHARES:
            cells = [_paired_exact(n, p, p - less, r) for less in (0.0, 0.02, 0.1) for r in (0.0, 0.5, 0.8)]
            low = [min(cell[i] for cell in cells) for i in range(3)]
            width = float(np.mean([cell[3] for cell in cells]))
            table.add(low[0] >= 0.94 and low[1] >= 0.94, "0/1", n, p, percent(low[0]), "≥ 94 %", percent(low[1]),
                      percent(low[2]), f"{width:.2f}")  # fmt: skip
    rng, tries = np.random.default_rng(12), draws_of(10_000, scale)
    for n in SIZES:
        for p in SHARES:
            cells = [_paired_drawn(rng, n, p, p - less, tries) for less in (0.0, 0.02, 0.1)]
            low = [min(cell[i] for cell in cells) for i in range(3)]
            width = float(np.mean([cell[3] for cell in cells]))
            enough = fewest(tries, 0.94) / tries
            table.add(low[0] >= enough and low[1] >= enough, "0/1, 5 repeats", n, p, percent(low[0]), "≥ 94 %",
                      percent(low[1]), percent(low[2]), f"{width:.2f}")  # fmt: skip
    return table


def _paired_exact(n: int, baseline: float, candidate: float, correlation: float) -> tuple[float, float, float, float]:
    won, lost = flip_shares(baseline, candidate, correlation)
    better, worse, chance = flip_counts(n, won, lost)
    truth = won - lost
    low, high, _ = binary_limits(better, worse, n, 0.05)
    at_verdict = binary_limits(better, worse, n, 0.04)
    mean = (better - worse) / n
    half = stdtrit(n - 1, 0.975) * np.sqrt(((better + worse) / n - mean**2) / (n - 1))

    def share(lower: Floats, upper: Floats) -> float:
        inside = (lower <= truth + 1e-12) & (truth - 1e-12 <= upper)
        return float(chance[inside].sum() / chance.sum())

    wider = float((chance * (high - low)).sum() / (chance * 2 * half).sum())
    return share(low, high), share(*at_verdict[:2]), share(mean - half, mean + half), wider


def graded_batch(differences: Floats, alpha: float) -> tuple[Floats, Floats]:
    """Limits of `paired_difference` for many samples at once, `differences` shape (n, samples)."""
    n, mean = len(differences), differences.mean(axis=0)
    low, high, _ = bounded_limits(differences, alpha)
    if n < LARGE:
        lower, upper, _ = limits_of_means(subset_means(differences), alpha)
    else:
        half = stdtrit(n - 1, 1 - alpha / 2) * differences.std(axis=0, ddof=1) / n**0.5
        lower, upper = mean - half, mean + half
    low, high = np.minimum(low, lower), np.maximum(high, upper)
    return np.maximum(np.minimum(low, mean), -1), np.minimum(np.maximum(high, mean), 1)


def _paired_drawn(
    rng: np.random.Generator, n: int, baseline: float, candidate: float, tries: int
) -> tuple[float, float, float, float]:
    truth, counts, widths = candidate - baseline, np.zeros(3), np.zeros(2)
    for start in range(0, tries, 500):
        batch = repeated(rng, (baseline, candidate), (min(500, tries - start), n)).T
        mean = batch.mean(axis=0)
        half = stdtrit(n - 1, 0.975) * batch.std(axis=0, ddof=1) / n**0.5
        for i, (low, high) in enumerate(
            (graded_batch(batch, 0.05), graded_batch(batch, 0.04), (mean - half, mean + half))
        ):
            counts[i] += ((low <= truth + 1e-12) & (truth - 1e-12 <= high)).sum()
            if i != 1:
                widths[i // 2] += (high - low).sum()
    return (*(counts / tries), widths[0] / widths[1])
