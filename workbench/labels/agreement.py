"""How well a judge agrees with people: agreement, kappa, sensitivity and specificity, with their limits."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    Pair = tuple[Hashable, Hashable]


@dataclass(frozen=True, slots=True)
class Rate:
    """A share with its 95 % limits, of `n`; `value` None without any."""

    value: float | None
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return "none" if self.value is None else f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f}, n {self.n})"


def rate(hits: Iterable[bool]) -> Rate:
    """A share with exact limits (Clopper & Pearson 1934); 0 to 1 when there is nothing to count."""
    found = list(hits)
    if not found:
        return Rate(None, 0.0, 1.0, 0)
    from workbench.stats import clopper_pearson

    low, high = clopper_pearson(sum(found), len(found))
    return Rate(sum(found) / len(found), low, high, len(found))


def kappa(pairs: Sequence[Pair], level: float = 0.95) -> Rate:
    """Cohen's kappa of (person, judge) pairs: agreement beyond what their shares of each verdict give by chance
    (Cohen 1960), with the large-sample limits of Fleiss, Cohen & Everitt 1969, "Large sample standard errors of kappa
    and weighted kappa", eq. 13.

    That standard error is 0 when all agree, which no sample proves: then the limits are those of the agreement
    (Clopper & Pearson), put on kappa's scale at the shares seen. None when only one verdict was ever given. Pairs count
    as independent; several replies to one case make the limits a little too narrow.
    """
    n = len(pairs)
    people, judge = Counter(p for p, _ in pairs), Counter(j for _, j in pairs)
    kinds = sorted({*people, *judge}, key=str)
    if n == 0 or len(kinds) < 2:
        return Rate(None, -1.0, 1.0, n)
    cells = Counter(pairs)
    p = {(i, j): cells[i, j] / n for i in kinds for j in kinds}
    row, column = ({k: count[k] / n for k in kinds} for count in (people, judge))
    agreed = sum(p[k, k] for k in kinds)
    chance = sum(row[k] * column[k] for k in kinds)
    value = (agreed - chance) / (1 - chance)
    rest = 1 - value
    a = sum(p[k, k] * (1 - (row[k] + column[k]) * rest) ** 2 for k in kinds)
    b = rest**2 * sum(p[i, j] * (column[i] + row[j]) ** 2 for i in kinds for j in kinds if i != j)
    c = (value - chance * rest) ** 2
    error = sqrt(max(a + b - c, 0.0) / n) / (1 - chance)
    if agreed == 1 or error == 0:
        exact = rate(one == other for one, other in pairs)
        return Rate(value, (exact.low - chance) / (1 - chance), min((exact.high - chance) / (1 - chance), 1.0), n)
    half = NormalDist().inv_cdf((1 + level) / 2) * error
    return Rate(value, max(value - half, -1.0), min(value + half, 1.0), n)
