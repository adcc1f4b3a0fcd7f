"""Laws of means by judges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference
from worlds import judged

from workbench.stats import ppi_difference, ppi_mean

NOTHING = np.full(200, np.nan)


def world(seed: int, labels: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Judge's scores and labels of two arms on 200 cases, labels on overlapping cases."""
    rng = np.random.default_rng(seed)
    truth = (rng.random((200, 2)) < [0.8, 0.7]).astype(float)
    a, b = judged(rng, truth[:, 0], 0.1, 0.2), judged(rng, truth[:, 1], 0.05, 0.1)
    labelled = np.full((200, 2), np.nan)
    labelled[:labels, 0] = truth[:labels, 0]
    labelled[labels // 2 : labels + labels // 2, 1] = truth[labels // 2 : labels + labels // 2, 1]
    return a, b, labelled[:, 0], labelled[:, 1]


@given(st.integers(0, 10_000), st.sampled_from([0.01, 0.04, 0.2]))
def test_swapping_arms_mirrors_and_p_agrees(seed: int, alpha: float) -> None:
    """Swapping the arms mirrors the difference, and p is at most alpha exactly when 0 lies outside the limits."""
    a, b, label_a, label_b = world(seed)
    one = ppi_difference(a, b, label_a, label_b, alpha=alpha)
    other = ppi_difference(b, a, label_b, label_a, alpha=alpha)
    assert (one.difference, one.low, one.high) == pytest.approx((-other.difference, -other.high, -other.low))
    assert (one.p_value <= alpha) == (one.low > 0 or one.high < 0)


@given(st.integers(0, 10_000))
def test_all_labelled_is_the_truth(seed: int) -> None:
    """With every reply labelled, the estimate is the plain difference of the labels, whatever the judge says."""
    rng = np.random.default_rng(seed)
    truth, judge = (rng.random((2, 2, 50)) < 0.6).astype(float)
    found = ppi_difference(judge[0], judge[1], truth[0], truth[1])
    assert found.difference == pytest.approx(truth[0].mean() - truth[1].mean())
    assert found.high - found.low >= 2 * reference.sem(truth[0] - truth[1]) * 2


def test_mean_by_hand() -> None:
    """The mean is the judge's mean over the other cases plus its mean error over the labelled ones, with variances
    added and one more label that errs."""
    rng = np.random.default_rng(2)
    truth = (rng.random(500) < 0.7).astype(float)
    judge = judged(rng, truth, 0.1, 0.3)
    found = ppi_mean(truth[:80], judge[:80], judge[80:], alpha=0.1)
    errors = truth[:80] - judge[:80]
    assert found.mean == pytest.approx(judge[80:].mean() + errors.mean())
    widened = np.concatenate([errors, errors, [1.0, -1.0]]).var() / 81
    total = widened + judge[80:].var(ddof=1) / 420
    freedom = total**2 / (widened**2 / 79 + (judge[80:].var(ddof=1) / 420) ** 2 / 419)
    half = reference.t.ppf(0.95, freedom) * total**0.5
    assert widened >= errors.var() / 81
    assert (found.low, found.high) == pytest.approx((found.mean - half, found.mean + half), rel=1e-3)


def test_another_scale() -> None:
    """Scores from 1 to 5 with their bounds give limits stretched by 4 and shifted by 1."""
    a, _, label, _ = world(3)
    known = ~np.isnan(label)
    unit = ppi_mean(label[known], a[known], a[~known])
    other = ppi_mean(1 + 4 * label[known], 1 + 4 * a[known], 1 + 4 * a[~known], bounds=(1.0, 5.0))
    assert (other.mean, other.low, other.high) == pytest.approx(
        (1 + 4 * unit.mean, 1 + 4 * unit.low, 1 + 4 * unit.high)
    )


def test_a_judge_that_never_erred_on_the_labels() -> None:
    """A judge that agrees with all labels leaves room for errors too rare to have been labelled."""
    ones = np.ones(100)
    found = ppi_mean(ones, ones, np.ones(900))
    assert found.low < 0.99
    assert found.high == 1.0


def test_bad_input() -> None:
    """Too few labels, missing judge's scores, and scores beyond the bounds are errors."""
    a, b, label_a, label_b = world(4)
    with pytest.raises(ValueError, match="2 labelled replies of each arm"):
        ppi_difference(a, b, label_a, NOTHING)
    with pytest.raises(ValueError, match="same cases"):
        ppi_difference(a, b[:-1], label_a, label_b)
    with pytest.raises(ValueError, match="outside the bounds"):
        ppi_difference(a * 5, b, label_a, label_b)
    with pytest.raises(ValueError, match="missing"):
        ppi_difference(np.where(np.arange(200) == 7, np.nan, a), b, label_a, label_b)
    with pytest.raises(ValueError, match="at least 2 labelled"):
        ppi_mean(np.ones(1), np.ones(1), np.ones(9))
