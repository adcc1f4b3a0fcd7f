"""What a number of cases can see, said before money is spent."""

from __future__ import annotations

import math


def smallest_difference(n: int, *, sd: float, alpha: float = 0.04, power: float = 0.8) -> float:
    """The paired difference of means that a two-sided test at `alpha` finds with probability `power` from `n` cases.

    `sd`: standard deviation of the per-case differences; binary scores flipping in a share q of the cases have
    sd ≤ √q. (t₁₋α⸝₂ + t_power)·sd/√n with n − 1 degrees of freedom, the usual approximation (Miller 2024,
    arXiv:2411.00640, §5 with z). Infinite for fewer than 2 cases.
    """
    from scipy.special import stdtrit

    if n < 2:
        return math.inf
    quantiles = stdtrit(n - 1, 1 - alpha / 2) + stdtrit(n - 1, power)
    return float(quantiles) * sd / math.sqrt(n)


def cases_needed(difference: float, *, sd: float, alpha: float = 0.04, power: float = 0.8) -> int:
    """The fewest cases from which `smallest_difference` is at most |difference|; the sign does not matter.

    Raises ValueError for a difference of 0, which no number of cases can tell from none.
    """
    if difference == 0:
        raise ValueError("no number of cases can tell a difference of 0 from none")
    target = abs(difference)
    few, many = 1, 2
    while smallest_difference(many, sd=sd, alpha=alpha, power=power) > target:
        few, many = many, many * 2
    while many - few > 1:
        middle = (few + many) // 2
        if smallest_difference(middle, sd=sd, alpha=alpha, power=power) > target:
            few = middle
        else:
            many = middle
    return many
