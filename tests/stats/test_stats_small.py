"""Laws of the small functions: Holm, and what n cases can see."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds import fewest, most

from workbench.stats import cases_needed, holm, smallest_difference, t_limits

p_lists = st.lists(st.floats(0, 1), min_size=1, max_size=6)


@given(p_lists)
def test_holm_is_the_closed_bonferroni_test(p: list[float]) -> None:
    """Holm's adjusted p-value is the largest Bonferroni p of all sets of hypotheses that hold it, cut at 1."""
    sets = [s for r in range(1, len(p) + 1) for s in itertools.combinations(range(len(p)), r)]
    expected = [max(min(1.0, len(s) * min(p[j] for j in s)) for s in sets if i in s) for i in range(len(p))]
    assert holm(p) == pytest.approx(expected)


@given(p_lists, st.randoms(use_true_random=False))
def test_holm_keeps_order(p: list[float], random: object) -> None:
    """Adjusted p-values are no smaller than given, rank alike, and follow their hypotheses through any reordering."""
    adjusted = holm(p)
    assert all(new >= old for new, old in zip(adjusted, p, strict=True))
    assert [adjusted[i] for i in np.argsort(p)] == sorted(adjusted)
    order = list(range(len(p)))
    random.shuffle(order)  # type: ignore[attr-defined]
    assert holm([p[i] for i in order]) == [adjusted[i] for i in order]


def test_holm_refuses_what_is_no_probability() -> None:
    """Values beyond 0 and 1, NaN included, are errors; no hypotheses give no p-values."""
    for bad in (1.1, -0.1, float("nan")):
        with pytest.raises(ValueError, match="between 0 and 1"):
            holm([0.1, bad])
    assert holm([]) == []


@given(st.floats(0.001, 2), st.floats(0.01, 1.5))
def test_cases_needed_is_the_inverse(difference: float, sd: float) -> None:
    """The cases needed for a difference are the fewest that can see it, in either direction."""
    n = cases_needed(difference, sd=sd)
    assert smallest_difference(n, sd=sd) <= difference < smallest_difference(n - 1, sd=sd)
    assert cases_needed(-difference, sd=sd) == n


def test_power_is_what_it_says() -> None:
    """A t test finds the smallest difference of 60 cases in about 80 % of samples."""
    rng, tries = np.random.default_rng(1), 2000
    x = rng.normal(smallest_difference(60, sd=2.0), 2.0, (tries, 60))
    found = sum(t_limits(row, 0.96)[0] > 0 for row in x)
    assert fewest(tries, 0.78) <= found <= most(tries, 0.82)


def test_no_difference_needs_no_end_of_cases() -> None:
    """A difference of 0 is an error, and a single case sees nothing."""
    with pytest.raises(ValueError, match="difference of 0"):
        cases_needed(0.0, sd=1.0)
    assert smallest_difference(1, sd=1.0) == np.inf
