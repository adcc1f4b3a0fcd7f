"""Made-up arms whose truth is known: draws, exact enumeration, and the tolerances that both are judged by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import betaincinv, gammaln, ndtr, ndtri, xlogy
from scipy.stats import binom

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

RARE = 0.001
"""A figure fails if it would be this rare were the promise just kept."""
_RANKS = np.linspace(0, 1, 20_001)


def fewest(draws: int, share: float) -> int:
    """The 0.1 % quantile of how often a promise of at least `share` holds in so many draws."""
    return int(binom.ppf(RARE, draws, share))


def most(draws: int, share: float) -> int:
    """The 99.9 % quantile of how often an error of at most `share` happens in so many draws."""
    return int(binom.ppf(1 - RARE, draws, share))


# One arm


def shares(rng: np.random.Generator, mean: float, spread: float, size: tuple[int, ...]) -> Floats:
    """How often each case is answered right: Beta with this mean; repeats then correlate by 1/(1 + spread)."""
    return beta_at(rng.random(size), mean, spread)


def beta_at(ranks: Floats, mean: float, spread: float) -> Floats:
    """Beta quantiles, by table."""
    table = betaincinv(mean * spread, (1 - mean) * spread, np.clip(_RANKS, 1e-12, 1 - 1e-12))
    return np.interp(ranks, _RANKS, table)


# Two arms


def flip_shares(baseline: float, candidate: float, correlation: float) -> tuple[float, float]:
    """Probability that a case is won and that it is lost; the correlation is cut to what is possible."""
    spread = np.sqrt(baseline * (1 - baseline) * candidate * (1 - candidate))
    largest = min(candidate * (1 - baseline), baseline * (1 - candidate))
    covariance = min(correlation * spread, largest)
    return candidate * (1 - baseline) - covariance, baseline * (1 - candidate) - covariance


def flip_counts(n: int, won: float, lost: float) -> tuple[Floats, Floats, Floats]:
    """Every pair of flip counts with its probability, those below 1e-10 left out."""
    reach = [
        np.arange(max(0, int(n * p - 7 * (n * p) ** 0.5 - 7)), min(n, int(n * p + 7 * (n * p) ** 0.5 + 7)) + 1)
        for p in (won, lost)
    ]
    better, worse = (grid.ravel().astype(np.float64) for grid in np.meshgrid(*reach, indexing="ij"))
    better, worse = better[better + worse <= n], worse[better + worse <= n]
    same = n - better - worse
    logs = gammaln(n + 1) - gammaln(better + 1) - gammaln(worse + 1) - gammaln(same + 1)
    chance = np.exp(logs + xlogy(better, won) + xlogy(worse, lost) + xlogy(same, 1 - won - lost))
    kept = chance > 1e-10
    return better[kept], worse[kept], chance[kept]


def flips(rng: np.random.Generator, won: float, lost: float, size: tuple[int, ...]) -> Floats:
    """Differences 1, −1 and 0 of single 0/1 scores."""
    drawn = rng.random(size)
    return (drawn < won).astype(np.float64) - ((drawn >= won) & (drawn < won + lost))


def repeated(rng: np.random.Generator, arms: tuple[float, float], size: tuple[int, int]) -> Floats:
    """Differences of case means over 5 dependent 0/1 repeats, candidate − baseline, of arms that find the same cases
    hard (rank correlation of difficulty 0.8)."""
    first = rng.standard_normal(size)
    second = 0.8 * first + 0.6 * rng.standard_normal(size)
    baseline, candidate = (beta_at(ndtr(z), p, 1.0) for z, p in zip((first, second), arms, strict=True))
    return (rng.binomial(5, candidate) - rng.binomial(5, baseline)) / 5


# Many arms


def answers(rng: np.random.Generator, means: Floats, cases: int, shared: float = 0.69) -> Floats:
    """Right or wrong, shape (cases, arms); what the arms share makes scores correlate by about 0.45 around 0.8."""
    case = rng.standard_normal((cases, 1))
    own = rng.standard_normal((cases, len(means)))
    return (shared**0.5 * case + (1 - shared) ** 0.5 * own < ndtri(means)).astype(np.float64)


# Judges


def judged(rng: np.random.Generator, truth: Floats, misses: float, false_alarms: float) -> Floats:
    """A judge's 0/1 scores: it calls right answers wrong with probability `misses`, wrong ones right with
    `false_alarms`."""
    wrong = np.where(truth == 1, misses, false_alarms)
    return np.where(rng.random(truth.shape) < wrong, 1 - truth, truth)
