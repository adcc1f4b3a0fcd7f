"""Laws of the paired difference, and its agreement with computations made another way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from claims_coverage import graded_batch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize
from scipy import stats as reference
from worlds import repeated

from workbench.stats import Difference, paired_difference
from workbench.stats.flips import bonett_price, tango
from workbench.stats.signflip import sign_flip

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

RECORDED = Path(__file__).parents[3] / "shared" / "data" / "gsm8k-recorded.jsonl"
UNIT = (0.0, 1.0)
KINDS = ("binary", "graded", "unbounded")
pairs_of_scores = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=60)
alphas = st.sampled_from([0.01, 0.025, 0.04, 0.1, 0.3])


def compare(pairs: list[tuple[int, int]], kind: str, alpha: float = 0.04) -> Difference:
    """The difference of scores given in fifths, or of right and wrong."""
    a, b = np.array(pairs, dtype=float).T / 5
    if kind == "binary":
        a, b = np.round(a), np.round(b)
    return paired_difference(a, b, binary=kind == "binary", bounds=None if kind == "unbounded" else UNIT, alpha=alpha)


@given(pairs_of_scores, st.sampled_from(KINDS), alphas)
def test_test_never_contradicts_interval(pairs: list[tuple[int, int]], kind: str, alpha: float) -> None:
    """At every level, p is at most alpha exactly when the interval leaves out 0, and the interval holds the mean."""
    found = compare(pairs, kind, alpha)
    assert (found.p_value <= alpha) == (found.low > 0 or found.high < 0)
    assert found.low <= found.difference <= found.high
    assert 0 < found.p_value <= 1


@given(pairs_of_scores, st.sampled_from(KINDS))
def test_swapping_arms_mirrors(pairs: list[tuple[int, int]], kind: str) -> None:
    """Swapping the arms turns the difference and its limits around and leaves p as it is."""
    one, other = compare(pairs, kind), compare([(b, a) for a, b in pairs], kind)
    assert (one.difference, one.low, one.high) == pytest.approx((-other.difference, -other.high, -other.low), abs=1e-9)
    assert one.p_value == pytest.approx(other.p_value, abs=1e-9)


@given(pairs_of_scores, st.sampled_from(KINDS), st.randoms(use_true_random=False))
def test_order_of_cases_does_not_matter(pairs: list[tuple[int, int]], kind: str, random: object) -> None:
    """The same pairs in another order give the same answer."""
    shuffled = list(pairs)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = compare(pairs, kind), compare(shuffled, kind)
    assert (one.low, one.high, one.p_value) == pytest.approx((other.low, other.high, other.p_value), abs=1e-9)


@given(pairs_of_scores, st.floats(-50, 50), st.floats(0.1, 50))
def test_scores_on_another_scale(pairs: list[tuple[int, int]], shift: float, width: float) -> None:
    """Scores shifted and stretched with their bounds give the same p, and limits stretched alike."""
    a, b = np.array(pairs, dtype=float).T / 5
    unit = paired_difference(a, b, binary=False, bounds=UNIT)
    other = paired_difference(shift + width * a, shift + width * b, binary=False, bounds=(shift, shift + width))
    assert (other.low / width, other.high / width) == pytest.approx((unit.low, unit.high), abs=1e-6)
    assert other.difference / width == pytest.approx(unit.difference, abs=1e-9)


@given(pairs_of_scores, st.sampled_from(KINDS))
def test_surer_is_wider(pairs: list[tuple[int, int]], kind: str) -> None:
    """A smaller alpha never gives a narrower interval."""
    wide, narrow = compare(pairs, kind, 0.01), compare(pairs, kind, 0.1)
    assert wide.low <= narrow.low + 1e-9
    assert narrow.high <= wide.high + 1e-9


def score_by_search(better: int, worse: int, n: int, delta: float) -> float:
    """Tango's score at a difference `delta`, the likeliest share of losses found by search, not by formula."""

    def unlikely(losses: float) -> float:
        shares = np.array([losses + delta, losses, 1 - 2 * losses - delta])
        counts = np.array([better, worse, n - better - worse])
        return -float((counts[counts > 0] * np.log(np.maximum(shares[counts > 0], 1e-300))).sum())

    bounds = (max(0.0, -delta), (1 - delta) / 2)
    losses = optimize.minimize_scalar(unlikely, bounds=bounds, method="bounded", options={"xatol": 1e-12}).x
    return float((better - worse - n * delta) / np.sqrt(n * (2 * losses + delta - delta**2)))


@pytest.mark.parametrize(
    ("better", "worse", "n"), [(3, 1, 20), (12, 5, 50), (1, 9, 40), (360, 76, 1319), (209, 152, 1319)]
)
def test_tango_by_search(better: int, worse: int, n: int) -> None:
    """At Tango's limits the score, its nuisance found by direct search of the likelihood, equals the quantile."""
    z = float(reference.norm.isf(0.02))
    low, high = tango(better, worse, n, z)
    assert score_by_search(better, worse, n, float(low)) == pytest.approx(z, rel=1e-4)
    assert score_by_search(better, worse, n, float(high)) == pytest.approx(-z, rel=1e-4)


@pytest.mark.parametrize(("better", "worse", "n"), [(43, 0, 1000), (8, 6, 30), (0, 0, 25)])
def test_bonett_price_is_wald_after_two_flips(better: int, worse: int, n: int) -> None:
    """Bonett and Price's limits are Wald's on data with one more flip each way."""
    data = np.repeat([1.0, -1.0, 0.0], [better + 1, worse + 1, n - better - worse])
    half = 1.96 * data.std() / len(data) ** 0.5
    assert bonett_price(better, worse, n, 1.96) == pytest.approx((data.mean() - half, data.mean() + half), abs=1e-9)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 200))
def test_binary_p_is_at_least_mcnemars(better: int, worse: int, same: int) -> None:
    """The p-value is never below the exact binomial one, and equals it where more than a few cases flipped."""
    n = better + worse + same + 1
    a = np.repeat([1.0, 0.0, 1.0], [better, worse, n - better - worse])
    b = np.repeat([0.0, 1.0, 1.0], [better, worse, n - better - worse])
    found = paired_difference(a, b, binary=True, bounds=UNIT).p_value
    exact = reference.binomtest(better, better + worse).pvalue if better + worse else 1.0
    assert found >= exact - 1e-9
    if 0.02 < exact < 0.2 and same > 20:
        assert found == pytest.approx(exact)


@given(st.lists(st.integers(-9, 9), min_size=6, max_size=11))
@settings(max_examples=30)
def test_sign_flip_is_the_exact_permutation_test(values: list[int]) -> None:
    """For few differences p is scipy's exact one, and the limits are where the test of a shift turns."""
    x = np.array(values, dtype=float)

    def p(shift: float) -> float:
        found = reference.permutation_test(
            (x - shift,), np.mean, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
        )
        return float(found.pvalue)

    low, high, mine = sign_flip(x, 0.2)
    assert mine == pytest.approx(p(0.0))
    for limit, outwards in ((low, -1e-6), (high, 1e-6)):
        assert p(limit + outwards) <= 0.2 + 1e-9
        assert p(limit - outwards) > 0.2 - 1e-9 or np.ptp(x) == 0


def test_simulations_measure_the_real_thing() -> None:
    """The many-samples form that the coverage tables use gives the limits of `paired_difference`."""
    rng = np.random.default_rng(3)
    for n in (20, 150, 300):
        batch = repeated(rng, (0.9, 0.8), (5, n)).T
        low, high = graded_batch(batch, 0.04)
        for i in range(5):
            found = paired_difference(
                np.maximum(batch[:, i], 0), np.maximum(-batch[:, i], 0), binary=False, bounds=UNIT
            )
            assert (min(found.low, 0.0), found.high) == pytest.approx((min(low[i], 0.0), high[i]), abs=1e-9)


def test_few_cases_that_all_agree_are_not_certain() -> None:
    """Twenty repeated cases without any difference leave room for one, and 20 without a loss for none."""
    same = paired_difference(np.ones(20), np.ones(20), binary=False, bounds=UNIT)
    assert same.low < -0.1 < 0.1 < same.high
    assert same.p_value == 1.0


def test_bad_input() -> None:
    """No pairs, arms of different length, and scores beyond their bounds are errors."""
    with pytest.raises(ValueError, match="no pairs"):
        paired_difference(np.array([]), np.array([]), binary=True, bounds=UNIT)
    with pytest.raises(ValueError, match="2 cases of the candidate, 1 of the baseline"):
        paired_difference(np.ones(2), np.ones(1), binary=True, bounds=UNIT)
    with pytest.raises(ValueError, match="outside their bounds"):
        paired_difference(np.array([2.0, 1.0]), np.zeros(2), binary=False, bounds=UNIT)


@pytest.mark.skipif(not RECORDED.exists(), reason="no ../shared/data/gsm8k-recorded.jsonl beside the repository")
@pytest.mark.parametrize(
    ("model", "points", "won", "lost"), [("175b_verification", 21.5, 360, 76), ("6b_verification", 4.3, 209, 152)]
)
def test_real_answers(model: str, points: float, won: int, lost: int) -> None:
    """On 1,319 recorded answers both verifiers beat fine-tuning, with the published flips, and with limits that an
    independent computation gives."""
    scores: dict[str, dict[str, float]] = {}
    for line in RECORDED.read_text().splitlines():
        row = json.loads(line)
        scores.setdefault(row["model"], {})[row["id"]] = float(row["published_correct"])
    ids = sorted(scores[model])
    a, b = (np.array([scores[name][i] for i in ids]) for name in (model, "175b_finetuning"))
    found = paired_difference(a, b, binary=True, bounds=UNIT)
    assert (int((a > b).sum()), int((a < b).sum()), found.n) == (won, lost, 1319)
    assert 100 * found.difference == pytest.approx(points, abs=0.05)
    assert found.p_value == pytest.approx(reference.binomtest(won, won + lost).pvalue)
    z = float(reference.norm.isf(0.02))
    low = optimize.brentq(lambda d: score_by_search(won, lost, 1319, d) - z, -0.1, found.difference)
    high = optimize.brentq(lambda d: score_by_search(won, lost, 1319, d) + z, found.difference, 0.4)
    wald = np.repeat([1.0, -1.0, 0.0], [won + 1, lost + 1, 1319 - won - lost])
    half = z * wald.std() / 1321**0.5
    expected = min(low, wald.mean() - half), max(high, wald.mean() + half)
    assert (found.low, found.high) == pytest.approx(expected, abs=1e-5)
    assert found.low > 0
