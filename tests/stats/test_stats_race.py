"""Laws of racing."""

from __future__ import annotations

import numpy as np
import pytest
from claims_power import one_race
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import answers

from workbench.stats import Race, separable_difference


@given(st.integers(0, 10_000), st.permutations(range(5)))
@settings(max_examples=20)
def test_names_of_arms_do_not_matter(seed: int, order: list[int]) -> None:
    """Arms listed in another order end the same way."""
    scores = answers(np.random.default_rng(seed), np.array([0.5, 0.8, 0.55, 0.6, 0.85]), 400)
    one, other = Race(5), Race(5)
    one.add(scores)
    other.add(scores[:, order])
    assert sorted(order[arm] for arm in other.alive) == one.alive
    assert {order[arm]: order[rival] for arm, rival in other.beaten.items()} == one.beaten


@given(st.integers(0, 10_000), st.floats(-50, 50), st.floats(0.1, 20))
@settings(max_examples=20)
def test_another_scale(seed: int, shift: float, width: float) -> None:
    """Scores on another scale with its bounds end the same way."""
    scores = answers(np.random.default_rng(seed), np.array([0.5, 0.75, 0.9]), 150)
    one, other = Race(3), Race(3, bounds=(shift, shift + width))
    one.add(scores)
    other.add(np.clip(shift + width * scores, shift, shift + width))
    assert (one.alive, one.beaten) == (other.alive, other.beaten)


def test_arms_that_are_out_stay_out() -> None:
    """Alive and beaten arms are all the arms at every moment, nobody returns, and the beater is alive when it beats."""
    rng = np.random.default_rng(8)
    race = Race(6)
    scores = answers(rng, np.array([0.4, 0.5, 0.6, 0.7, 0.8, 0.9]), 1000)
    before = set(race.alive)
    for start in range(0, 1000, 20):
        known = dict(race.beaten)
        race.add(scores[start : start + 20])
        assert set(race.alive) | set(race.beaten) == set(range(6))
        assert not set(race.alive) & set(race.beaten)
        assert set(race.alive) <= before
        assert known.items() <= race.beaten.items()
        assert all(race.beaten[arm] in race.alive for arm in set(race.beaten) - set(known))
        before = set(race.alive)
        if race.finished:
            break
    assert race.winner == 5
    assert race.finished
    assert race.n < 1000


def test_scores_of_arms_that_are_out_are_not_looked_at() -> None:
    """NaN in the columns of beaten arms changes nothing."""
    scores = answers(np.random.default_rng(9), np.array([0.9, 0.3, 0.8]), 600)
    full, sparse = Race(3), Race(3)
    for start in range(0, 600, 25):
        block = scores[start : start + 25].copy()
        full.add(block)
        block[:, sorted(sparse.beaten)] = np.nan
        sparse.add(block)
        assert (full.alive, full.beaten) == (sparse.alive, sparse.beaten)
    assert 1 in full.beaten


def test_identical_arms_never_part() -> None:
    """Arms with the same scores are all alive to the end, and equivalent once there is a margin."""
    scores = np.repeat(answers(np.random.default_rng(10), np.array([0.7]), 3000), 4, axis=1)
    plain, margin = Race(4), Race(4, margin=0.05)
    plain.add(scores)
    margin.add(scores)
    assert plain.alive == [0, 1, 2, 3] and not plain.finished and plain.winner is None
    assert margin.equivalent and margin.finished and margin.winner is None
    assert margin.n < 3000


def test_more_arms_cost_more() -> None:
    """The smallest separable difference falls with cases and grows with arms; a race finds twice of it."""
    assert separable_difference(500, 24) < separable_difference(200, 24)
    assert separable_difference(500, 2) < separable_difference(500, 24)
    rng = np.random.default_rng(11)
    gap = 2 * separable_difference(500, 8)
    assert all(one_race(rng, np.array([0.6] * 7 + [0.6 + gap]), 500)[0].winner == 7 for _ in range(20))


def test_bad_input() -> None:
    """Missing or impossible scores of a living arm and impossible settings are errors."""
    for bad in (np.nan, 1.5):
        with pytest.raises(ValueError, match="missing or outside"):
            Race(2).add(np.array([[1.0, bad]]))
    with pytest.raises(ValueError, match="two arms"):
        Race(1)
    with pytest.raises(ValueError, match="margin"):
        Race(3, margin=1.0)
