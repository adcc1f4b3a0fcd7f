"""Laws of the anytime-valid sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from claims_errors import capital
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import flips, most

from workbench.stats import ConfidenceSequence
from workbench.stats.sequence import BETS, WEIGHTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

BOTH = (-1.0, 1.0)
values_list = st.lists(st.floats(-1, 1), min_size=1, max_size=120)


def fed(values: Floats, bounds: tuple[float, float] = BOTH, alpha: float = 0.01) -> ConfidenceSequence:
    """A sequence after these values."""
    sequence = ConfidenceSequence(bounds, alpha)
    sequence.extend(values)
    return sequence


@given(values_list)
def test_never_widens(values: list[float]) -> None:
    """Each new value leaves the limits where they are or narrows them, and low stays at or below high."""
    sequence = ConfidenceSequence(BOTH, 0.3)
    low, high = BOTH
    for i, value in enumerate(values, 1):
        sequence.update(value)
        assert low <= sequence.low <= sequence.high <= high
        low, high = sequence.low, sequence.high
        assert sequence.n == i
        assert sequence.mean == pytest.approx(np.mean(values[:i]), abs=1e-12)


@given(values_list, st.integers(0, 60), st.sampled_from([0.01, 0.3]))
def test_extend_is_many_updates(values: list[float], cut: int, alpha: float) -> None:
    """Taking values at once, in parts or one by one gives the same limits."""
    one, parts = ConfidenceSequence(BOTH, alpha), fed(np.array(values[:cut]), alpha=alpha)
    for value in values:
        one.update(value)
    parts.extend(np.array(values[cut:]))
    whole = fed(np.array(values), alpha=alpha)
    assert (one.low, one.high, one.n) == (parts.low, parts.high, parts.n) == (whole.low, whole.high, whole.n)


@given(values_list)
def test_mirrored_values_mirror_the_limits(values: list[float]) -> None:
    """The negated values have the negated limits: swapping arms changes nothing but the sign."""
    one, other = fed(np.array(values)), fed(-np.array(values))
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=2.1e-3)


@given(values_list, st.floats(-100, 100), st.floats(0.01, 100))
def test_another_scale(values: list[float], shift: float, width: float) -> None:
    """Shifted and stretched values with stretched bounds have limits stretched alike, to the grid's step."""
    x = np.array(values)
    one = fed(x)
    bounds = (shift - width, shift + width)
    other = fed(np.clip(shift + width * x, *bounds), bounds)
    assert ((other.low - shift) / width, (other.high - shift) / width) == pytest.approx((one.low, one.high), abs=4.1e-3)


def test_limits_by_hand() -> None:
    """The limits are the outermost grid points whose gambler, played by hand with exact sums, reached 2/alpha."""
    x = flips(np.random.default_rng(4), 0.3, 0.05, (150,))
    sequence = fed(x)

    def rich(m: float) -> bool:
        owned, richest = np.array(WEIGHTS), 0.0
        for value in x:
            owned = owned * (1 - BETS + BETS * (value + 1) / (m + 1))
            richest = max(richest, float(owned.sum()))
        return richest >= 200

    assert sequence.low > 0
    assert rich(sequence.low)
    assert not rich(sequence.low + 0.0021)


def test_simulations_measure_the_real_thing() -> None:
    """The capital that the tables use reaches 2/alpha exactly when the sequence's lower limit first exceeds 0."""
    runs = flips(np.random.default_rng(5), 0.2, 0.05, (20, 300))
    for values, owned in zip(runs, capital(runs), strict=True):
        sequence, first = ConfidenceSequence(BOTH, 0.01), None
        for i, value in enumerate(values):
            sequence.update(value)
            if first is None and sequence.low > 0:
                first = i
        assert first == (int((owned >= 200).argmax()) if (owned >= 200).any() else None)


@pytest.mark.parametrize("shape", ["flips", "graded", "skewed", "drifting spread"])
def test_covers_at_every_look(shape: str) -> None:
    """Looked at after every value, the limits ever miss the truth no more often than alpha, whatever the shape."""
    rng, tries, alpha = np.random.default_rng(6), 150, 0.1
    missed = 0
    for _ in range(tries):
        if shape == "flips":
            x, truth = flips(rng, 0.15, 0.05, (250,)), 0.1
        elif shape == "graded":
            x, truth = rng.uniform(-0.3, 0.5, 250), 0.1
        elif shape == "skewed":
            x, truth = np.where(rng.random(250) < 0.02, -1.0, 0.02), -0.0004
        else:
            x, truth = rng.choice([-1.0, 1.0], 250) * np.linspace(0.1, 1, 250), 0.0
        sequence = fed(x, alpha=alpha)
        missed += not sequence.low <= truth <= sequence.high
    assert missed <= most(tries, alpha)


def test_long_runs_close_in() -> None:
    """After 50,000 values the limits are within two points of the mean and hold it."""
    sequence = fed(flips(np.random.default_rng(7), 0.14, 0.04, (50_000,)))
    assert 0.08 < sequence.low < 0.1 < sequence.high < 0.12


@given(st.floats(allow_nan=True).filter(lambda value: not -1 <= value <= 1))
@settings(max_examples=20)
def test_values_outside_the_bounds(value: float) -> None:
    """A value outside the bounds, NaN included, is an error and changes nothing."""
    sequence = fed(np.zeros(5))
    for take in (lambda: sequence.update(value), lambda: sequence.extend(np.array([0.0, value]))):
        with pytest.raises(ValueError, match="bounds"):
            take()
    assert sequence.n == 5


def test_bad_settings() -> None:
    """Bounds that do not rise and an alpha beyond 0 and 1 are errors; nothing seen means nothing known."""
    for bounds, alpha in (((1.0, 0.0), 0.01), ((0.0, 1.0), 0.0), ((0.0, 1.0), 1.0)):
        with pytest.raises(ValueError, match="must rise"):
            ConfidenceSequence(bounds, alpha)
    empty = ConfidenceSequence(BOTH)
    assert (empty.low, empty.high, empty.n) == (-1.0, 1.0, 0)
    assert np.isnan(empty.mean)
