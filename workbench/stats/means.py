"""The mean of one arm with its interval."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

LARGE = 200
"""Cases from which the t interval of a bounded graded score is used; below it the betting interval."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its confidence limits. `n`: cases that it rests on; `method`: how the limits were made."""

    mean: float
    low: float
    high: float
    n: int
    method: str


def mean_interval(case_means: Floats, repeats: Floats, *, binary: bool, bounds: tuple[float, float] | None,
                  level: float = 0.95) -> Interval:  # fmt: skip
    """Mean score with its interval; cases are the units, repeats of a case are dependent.

    `case_means`, shape (n,): the mean score of each case over its repeats. `repeats`, shape (n,): how many scored
    repeats each case has. `binary`: single scores are 0 or 1. `bounds`: the scores' declared limits. The mean weighs
    cases equally (Miller 2024, "Adding Error Bars to Evals", arXiv:2411.00640, clustered standard errors).

    Binary: Clopper–Pearson, with repeats on the effective size n' = m(1 − m)/(s²/n), clipped to [n, n·k].
    Graded: t on the case means from 200 cases or without bounds, else the betting interval; the betting interval too
    when all bounded values are equal, from which t would conclude a certainty that no sample gives. Where scores crowd
    at a bound, t reaches too little to the other side (91.8 % at n = 200, mean 0.98), so with bounds its limits are
    widened to Clopper–Pearson's on the effective size wherever those reach further.
    Raises ValueError for no cases.
    """
    n = len(case_means)
    if n == 0:
        raise ValueError("no scored cases")
    mean = float(case_means.mean())
    if binary:
        effective = _effective_size(case_means, float(repeats.sum()))
        low, high = clopper_pearson(mean * effective, effective, level)
        return Interval(mean, low, high, n, "Clopper–Pearson")
    if bounds is not None and (n < LARGE or np.ptp(case_means) == 0):
        low, high = betting(case_means[: 5 * LARGE], bounds, level)  # equal values: beyond it the grid is the limit
        return Interval(mean, low, high, n, "betting")
    low, high = t_limits(case_means, level)
    if bounds is not None:
        unit = (case_means - bounds[0]) / (bounds[1] - bounds[0])
        effective = _effective_size(unit, math.inf)
        skewed = clopper_pearson(float(unit.mean()) * effective, effective, level)
        width = bounds[1] - bounds[0]
        low = max(min(low, bounds[0] + skewed[0] * width), bounds[0])
        high = min(max(high, bounds[0] + skewed[1] * width), bounds[1])
    return Interval(mean, low, high, n, "t")


def clopper_pearson(successes: float, n: float, level: float = 0.95) -> tuple[float, float]:
    """Exact limits of a binomial proportion (Clopper & Pearson 1934), by beta quantiles; sizes may be fractional."""
    from scipy.special import betaincinv

    tail = (1 - level) / 2
    low = 0.0 if successes <= 0 else float(betaincinv(successes, n - successes + 1, tail))
    high = 1.0 if successes >= n else float(betaincinv(successes + 1, n - successes, 1 - tail))
    return low, high


def t_limits(values: Floats, level: float = 0.95) -> tuple[float, float]:
    """Student's limits of a mean, `values` shape (n,); infinite for a single value."""
    from scipy.special import stdtrit

    n = len(values)
    if n < 2:
        return float("-inf"), float("inf")
    half = float(stdtrit(n - 1, (1 + level) / 2)) * float(values.std(ddof=1)) / n**0.5
    return float(values.mean()) - half, float(values.mean()) + half


def betting(values: Floats, bounds: tuple[float, float], level: float = 0.95, grid: int = 1000) -> tuple[float, float]:
    """Limits of the mean of bounded values, valid at every sample size without any assumption on their shape.

    Waudby-Smith & Ramdas 2024, "Estimating means of bounded random variables by betting", hedged capital with the
    fixed-n bets λ_t = sqrt(2 log(2/α) / (n σ̂²_{t−1})) truncated at c/m and c/(1 − m), c = 1/2. A mean m is kept while
    max(K⁺, K⁻)/2 < 1/α at every step. `values`, shape (n,), in their order; `grid` candidate means are tried, and the
    limits are rounded outwards to it. Values whose order contradicts every candidate (sorted ones) tell nothing: the
    limits are then the bounds.
    """
    low, high = bounds
    x = np.clip((values - low) / (high - low), 0.0, 1.0)
    n, alpha = len(x), 1 - level
    steps = np.arange(1, n + 1)
    means = (0.5 + np.cumsum(x)) / (steps + 1)
    variances = (0.25 + np.cumsum((x - means) ** 2)) / (steps + 1)
    bets = np.sqrt(2 * np.log(2 / alpha) / (n * np.concatenate([[0.25], variances[:-1]])))
    candidates = np.linspace(0.0, 1.0, grid + 1)[1:-1]
    gains = x[:, None] - candidates[None, :]
    up = np.minimum(bets[:, None], 0.5 / candidates[None, :])
    down = np.minimum(bets[:, None], 0.5 / (1 - candidates[None, :]))
    capital = np.maximum(np.cumsum(np.log1p(up * gains), axis=0), np.cumsum(np.log1p(-down * gains), axis=0))
    kept = candidates[(capital - np.log(2) < np.log(1 / alpha)).all(axis=0)]
    step = 1 / grid
    if len(kept) == 0:
        return low, high
    scaled = max(float(kept[0]) - step, 0.0), min(float(kept[-1]) + step, 1.0)
    return low + scaled[0] * (high - low), low + scaled[1] * (high - low)


def _effective_size(case_means: Floats, most: float) -> float:
    """The number of single 0/1 draws that would give the variance seen between cases: between n and `most`.

    One more case with the variance of a single draw is added to those seen: few cases easily show too little variance.
    """
    n, mean = len(case_means), float(case_means.mean())
    single = mean * (1 - mean)
    if most <= n or n < 2 or single <= 0:
        return float(n)
    share = (n * float(case_means.var()) / single + 1) / (n + 1)
    return float(np.clip(n / share, n, most))
