"""Sign-flip test of a mean difference and the interval that belongs to it."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

EXACT = 12
"""Up to so many differences all sign patterns are tried; beyond it `DRAWS` of them, always the same ones."""
DRAWS = 4999


def sign_flip(differences: Floats, alpha: float) -> tuple[float, float, float]:
    """Limits at level 1 − alpha and two-sided p-value for the mean (or centre of symmetry) of paired differences.

    Fisher's randomisation test: under equality each difference is as likely as its negative. Inverted after Hartigan
    1969 ("Using subsample values as typical values", JASA 64): δ is rejected exactly when too few means of random
    subsets lie beyond it, so the limits are order statistics of subset means and never contradict the p-value. The
    subsets are fixed by the number of differences, which are sorted first: neither luck nor the order of cases matters.
    `differences`, shape (n,). Exact under symmetry; the smallest p is 2/2ⁿ or 2/5,000.
    """
    values = np.sort(differences)
    mirrored = tuple(-values[::-1]) > tuple(values)  # one orientation for d and −d, so that swapping arms mirrors all
    if mirrored:
        values = -values[::-1]
    means = subset_means(values[:, None])[:, 0]
    low, high, p = limits_of_means(means[:, None], alpha)
    return (-float(high[0]), -float(low[0]), float(p[0])) if mirrored else (float(low[0]), float(high[0]), float(p[0]))


def subset_means(values: Floats) -> Floats:
    """Means of the subsets of each column; `values` shape (n, columns), the answer (subsets, columns)."""
    chosen = _subsets(len(values))
    means: Floats = np.round(chosen @ values / chosen.sum(axis=1)[:, None], 12)
    return means


def limits_of_means(means: Floats, alpha: float) -> tuple[Floats, Floats, Floats]:
    """Limits and p-value per column of subset means, shape (subsets, columns)."""
    total = len(means) + 1
    rank = int(np.floor(total * alpha / 2 + 1e-9))
    p = 2 * (1 + np.minimum((means <= 0).sum(axis=0), (means >= 0).sum(axis=0))) / total
    columns = means.shape[1]
    if rank < 1:
        return np.full(columns, -np.inf), np.full(columns, np.inf), np.minimum(p, 1.0)
    parts = np.partition(means, (rank - 1, len(means) - rank), axis=0)
    return parts[rank - 1], parts[len(means) - rank], np.minimum(p, 1.0)


@lru_cache(maxsize=8)
def _subsets(n: int) -> Floats:
    """Non-empty subsets of n things as rows of 0 and 1: all of them, or a fixed random choice."""
    if n <= EXACT:
        codes = np.arange(1, 2**n)
        return ((codes[:, None] >> np.arange(n)) & 1).astype(np.float64)
    chosen = np.random.default_rng(n).integers(0, 2, size=(DRAWS, n)).astype(np.float64)
    chosen[chosen.sum(axis=1) == 0, 0] = 1.0
    return chosen
