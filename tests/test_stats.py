"""Laws of the intervals: exact where an exact one exists, and never missing the truth more often than they say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference

from workbench.stats import LARGE, Interval, betting, clopper_pearson, mean_interval, t_limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Draw = Callable[[np.random.Generator, int], Floats]

UNIT = (0.0, 1.0)


def once(values: Floats, *, binary: bool = False, bounds: tuple[float, float] | None = UNIT) -> Interval:
    """The interval of cases that were tried once each."""
    return mean_interval(values, np.ones(len(values)), binary=binary, bounds=bounds)


def misses(draw: Draw, truth: float, n: int, *, bounds: tuple[float, float] | None = UNIT, tries: int = 400) -> int:
    """How many of `tries` seeded samples of size n give an interval that misses the truth."""
    rng = np.random.default_rng(20261122)
    found = (once(draw(rng, n), bounds=bounds) for _ in range(tries))
    return sum(not one.low <= truth <= one.high for one in found)


def too_many(tries: int, level: float = 0.95) -> int:
    """So many misses have a probability below one in 100,000 if the interval is as good as it says."""
    return int(reference.binom.isf(1e-5, tries, 1 - level)) + 1


# Binary scores


@given(st.integers(1, 300), st.data(), st.sampled_from([0.8, 0.95, 0.99]))
def test_clopper_pearson_is_exact(n: int, data: st.DataObject, level: float) -> None:
    """The interval of a proportion equals scipy's exact binomial one, its one-sided ends included."""
    k = data.draw(st.integers(0, n))
    exact = reference.binomtest(k, n).proportion_ci(level, method="exact")
    assert clopper_pearson(k, n, level) == pytest.approx((exact.low, exact.high), abs=1e-9)
    scored = mean_interval(np.repeat([1.0, 0.0], [k, n - k]), np.ones(n), binary=True, bounds=UNIT, level=level)
    assert (scored.low, scored.high) == pytest.approx((exact.low, exact.high), abs=1e-9)
    assert (scored.mean, scored.n, scored.method) == (pytest.approx(k / n), n, "Clopper–Pearson")


@given(st.lists(st.booleans(), min_size=1, max_size=80), st.integers(2, 9))
def test_fully_dependent_repeats_add_nothing(right: list[bool], k: int) -> None:
    """Repeats that always agree within a case leave the interval as wide as one try per case gives."""
    means = np.array(right, dtype=float)
    repeated = mean_interval(means, np.full(len(means), float(k)), binary=True, bounds=UNIT)
    single = once(means, binary=True)
    assert (repeated.low, repeated.high) == pytest.approx((single.low, single.high), abs=1e-6)


@given(st.lists(st.integers(0, 5), min_size=2, max_size=60))
def test_repeats_are_worth_between_one_and_all(hits: list[int]) -> None:
    """The interval of repeated cases is never wider than if each case counted once, and never narrower than if each
    repeat were a case of its own."""
    n, k = len(hits), 5
    means = np.array(hits) / k
    found = mean_interval(means, np.full(n, float(k)), binary=True, bounds=UNIT)
    widest, narrowest = (clopper_pearson(found.mean * size, size) for size in (n, n * k))
    assert widest[0] - 1e-9 <= found.low <= narrowest[0] + 1e-9
    assert narrowest[1] - 1e-9 <= found.high <= widest[1] + 1e-9


def test_independent_repeats_count() -> None:
    """Repeats that are independent draws give nearly the interval of as many cases."""
    rng = np.random.default_rng(1)
    means = rng.binomial(5, 0.6, 400) / 5
    found = mean_interval(means, np.full(400, 5.0), binary=True, bounds=UNIT)
    ideal = clopper_pearson(found.mean * 2000, 2000)
    assert found.high - found.low < 1.15 * (ideal[1] - ideal[0])


@pytest.mark.parametrize("spread", [0.3, 1.0, 5.0])
def test_coverage_of_dependent_repeats(spread: float) -> None:
    """With repeats that are partly dependent, the binary interval misses the truth no more often than it says."""
    rng, tries, n, k = np.random.default_rng(7), 400, 60, 4
    missed = 0
    for _ in range(tries):
        right = rng.beta(spread * 0.7, spread * 0.3, n)
        found = mean_interval(rng.binomial(k, right) / k, np.full(n, float(k)), binary=True, bounds=UNIT)
        missed += not found.low <= 0.7 <= found.high
    assert missed < too_many(tries)


# Graded scores

SHAPES: dict[str, tuple[Draw, float]] = {
    "uniform": (lambda rng, n: rng.uniform(0, 1, n), 0.5),
    "skewed": (lambda rng, n: rng.beta(9, 1, n), 0.9),
    "nearly always right": (lambda rng, n: np.where(rng.uniform(size=n) < 0.97, 1.0, 0.25), 0.9775),
    "thirds": (lambda rng, n: rng.integers(0, 4, n) / 3, 0.5),
    "rarely right": (lambda rng, n: (rng.uniform(size=n) < 0.05).astype(float), 0.05),
    "constant": (lambda rng, n: np.full(n, 0.3), 0.3),
}


@pytest.mark.parametrize("n", [5, 30, 150])
@pytest.mark.parametrize("shape", SHAPES)
def test_coverage_of_the_betting_interval(shape: str, n: int) -> None:
    """Below 200 cases the interval of a bounded score misses the truth no more often than it says, at any size and
    shape."""
    draw, truth = SHAPES[shape]
    assert once(draw(np.random.default_rng(0), n)).method == "betting"
    assert misses(draw, truth, n, tries=150) < too_many(150)


@pytest.mark.parametrize("shape", ["uniform", "skewed", "thirds"])
def test_coverage_of_the_t_interval(shape: str) -> None:
    """From 200 cases on the t interval takes over and misses the truth no more often than it says."""
    draw, truth = SHAPES[shape]
    assert once(draw(np.random.default_rng(0), LARGE)).method == "t"
    assert misses(draw, truth, LARGE) < too_many(400)


def test_coverage_without_bounds() -> None:
    """A score without bounds gets the t interval, which covers normal values as it says, at small sizes too."""
    draw: Draw = lambda rng, n: rng.normal(50, 10, n)  # noqa: E731
    assert misses(draw, 50, 8, bounds=None) < too_many(400)
    assert misses(draw, 50, 8, bounds=None) > 5, "an interval this wide says nothing"


def test_rare_failures_that_were_not_seen() -> None:
    """When every case of many scored the same, the interval leaves room for failures too rare to be seen."""
    draw: Draw = lambda rng, n: (rng.uniform(size=n) < 0.999).astype(float)  # noqa: E731
    assert misses(draw, 0.999, 300, tries=150) < too_many(150)
    found = once(np.ones(300))
    assert found.high == 1.0
    assert 0.97 < found.low < 0.995
    assert once(np.ones(100_000)).low < 1.0


def test_betting_narrows() -> None:
    """More cases narrow the betting interval, and it adapts: quiet scores get a narrower one than noisy ones."""
    rng = np.random.default_rng(3)
    noisy = rng.uniform(0, 1, 190)
    quiet = rng.uniform(0.45, 0.55, 190)
    widths = [high - low for low, high in (betting(values, UNIT) for values in (noisy[:20], noisy, quiet))]
    assert widths[0] > widths[1] > widths[2]
    assert widths[1] < 0.2


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60), st.floats(-100, 100), st.floats(0.1, 100))
def test_betting_scales(values: list[float], low: float, width: float) -> None:
    """Scores on another scale get the same interval on that scale, within the bounds, wherever they lie."""
    x = np.array(values)
    unit = betting(x, UNIT)
    scaled = betting(low + x * width, (low, low + width))
    assert 0.0 <= unit[0] <= unit[1] <= 1.0
    assert ((scaled[0] - low) / width, (scaled[1] - low) / width) == pytest.approx(unit, abs=2.1e-3)


def test_sorted_scores_are_not_certain() -> None:
    """Values in an order that no random draw would have give a wide interval, never a narrow one off the truth."""
    found = once(np.repeat([0.0, 1.0], [99, 99]))
    assert found.low <= 0.5 <= found.high
    assert found.high - found.low > 0.1


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=50).filter(lambda values: np.ptp(values) > 1e-3))
def test_t_limits_equal_scipys(values: list[float]) -> None:
    """Student's limits equal scipy's."""
    expected = reference.ttest_1samp(values, 0).confidence_interval(0.95)
    assert t_limits(np.array(values)) == pytest.approx((expected.low, expected.high), rel=1e-6, abs=1e-6)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=260), st.booleans())
def test_interval_holds_its_mean(values: list[float], binary: bool) -> None:
    """Every interval holds its own mean and stays within the declared bounds."""
    x = np.round(values) if binary else np.array(values)
    found = once(x, binary=binary)
    assert UNIT[0] <= found.low <= found.mean + 1e-9
    assert found.mean - 1e-9 <= found.high <= UNIT[1]
    assert found.n == len(values)


def test_edges() -> None:
    """No case is an error, one unbounded case tells nothing about the mean, and one bounded case nearly nothing."""
    with pytest.raises(ValueError, match="no scored cases"):
        once(np.array([]))
    alone = once(np.array([3.0]), bounds=None)
    assert (alone.low, alone.high) == (-np.inf, np.inf)
    bounded = once(np.array([1.0]))
    assert bounded.high == 1.0
    assert bounded.low < 0.2
