"""Means of scores by a judge that errs, corrected by a few human labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workbench.stats.difference import Difference, reconciled
from workbench.stats.means import Interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

UNIT = (0.0, 1.0)


def ppi_mean(labelled_truth: Floats, labelled_judge: Floats, unlabelled_judge: Floats, *, alpha: float = 0.05,
             bounds: tuple[float, float] = UNIT) -> Interval:  # fmt: skip
    """Prediction-powered mean of the truth, with limits at level 1 − alpha.

    `labelled_truth`, `labelled_judge`, shape (l,): label and judge's score of the same cases, a random choice of all;
    `unlabelled_judge`, shape (u,): the judge's scores of the other cases. The judge's mean over the unlabelled cases
    plus its mean error over the labelled ones, plain and t-based: Angelopoulos, Bates, Fannjiang, Jordan & Zrnic 2023,
    "Prediction-powered inference", Science 382, 669–674; degrees of freedom after Welch–Satterthwaite. The variance of
    the errors takes in one more label that errs by the whole width of `bounds`: a good judge errs so rarely that 100
    labels may show none of it (2 % errors at a mean of 0.95: 90 % coverage without it, 97 % with it).
    Limits are cut at `bounds`; the mean itself may lie beyond them. Needs 2 labelled and 2 other cases.
    """
    labels, others = len(labelled_truth), len(unlabelled_judge)
    if labels < 2 or others < 2 or len(labelled_judge) != labels:
        raise ValueError("needs at least 2 labelled and 2 other cases, and a judge's score for every label")
    _within(bounds, labelled_truth, labelled_judge, unlabelled_judge)
    errors = labelled_truth - labelled_judge
    mean = float(unlabelled_judge.mean() + errors.mean())
    parts = np.array([_error_variance(errors, bounds), float(unlabelled_judge.var(ddof=1)) / others])
    freedom = float(parts.sum() ** 2 / (parts**2 / np.array([labels - 1, others - 1])).sum())
    half, _ = _student(float(parts.sum()), freedom, alpha, 0.0)
    low, high = max(mean - half, bounds[0]), min(mean + half, bounds[1])
    return Interval(mean, min(low, bounds[1]), max(high, bounds[0]), labels + others, "prediction-powered")


def ppi_difference(judge_candidate: Floats, judge_baseline: Floats, truth_candidate: Floats, truth_baseline: Floats, *,
                   alpha: float = 0.04, bounds: tuple[float, float] = UNIT) -> Difference:  # fmt: skip
    """Prediction-powered paired difference of the true means, candidate − baseline, with limits at level 1 − alpha.

    Four arrays of shape (n,) over the same cases in the same order: the judge's score of every reply, and the human
    label of a reply or NaN where it has none. An arm's labelled replies are a random choice of its replies; the labels
    of the two arms may lie on the same cases, on different ones, or overlap. Plain PPI (see `ppi_mean`): the judge's
    mean difference over all cases plus each arm's mean error over its labels; the variance sums what each case adds to
    the estimate, so that all dependence within a case counts. t with the degrees of freedom of the fewer labels.
    """
    n = len(judge_candidate)
    arms = ((judge_candidate, truth_candidate, 1.0), (judge_baseline, truth_baseline, -1.0))
    if n == 0 or any(len(judge) != n or len(truth) != n for judge, truth, _ in arms):
        raise ValueError("needs the judge's scores and the labels (or NaN) of both arms on the same cases")
    gaps = judge_candidate - judge_baseline
    estimate, variance, fewest = float(gaps.mean()), 0.0, n
    influence = (gaps - gaps.mean()) / n
    for judge, truth, sign in arms:
        labelled = ~np.isnan(truth)
        labels = int(labelled.sum())
        if labels < 2:
            raise ValueError("needs at least 2 labelled replies of each arm")
        _within(bounds, judge, truth[labelled])
        errors = truth[labelled] - judge[labelled]
        estimate += sign * float(errors.mean())
        influence[labelled] += sign * (errors - errors.mean()) / labels
        variance += _error_variance(errors, bounds) - float(errors.var()) / labels
        fewest = min(fewest, labels)
    variance += float((influence**2).sum())
    half, p = _student(variance, fewest - 1, alpha, estimate)
    low, high, p_value = reconciled(estimate - half, estimate + half, p, alpha)
    return Difference(estimate, float(low), float(high), n, float(p_value), "prediction-powered")


def _error_variance(errors: Floats, bounds: tuple[float, float]) -> float:
    """Variance of the judge's mean error, with one more label that errs by the whole width, either way."""
    labels = len(errors) + 1
    square = (float((errors**2).sum()) + (bounds[1] - bounds[0]) ** 2) / labels
    return (square - (float(errors.sum()) / labels) ** 2) / labels


def _within(bounds: tuple[float, float], *scores: Floats) -> None:
    if not all(((values >= bounds[0]) & (values <= bounds[1])).all() for values in scores):
        raise ValueError(f"a label or a judge's score is missing or lies outside the bounds {bounds}")


def _student(variance: float, freedom: float, alpha: float, estimate: float) -> tuple[float, float]:
    """Half the width of the t interval, and the two-sided p-value of the estimate."""
    from scipy.special import stdtr, stdtrit

    error = variance**0.5
    return float(stdtrit(freedom, 1 - alpha / 2)) * error, 2 * float(stdtr(freedom, -abs(estimate) / error))
