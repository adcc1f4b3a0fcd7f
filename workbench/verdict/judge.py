"""The verdict for one pair of arms: pairs, interval, outcome."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workbench import stats
from workbench.datasets import place
from workbench.errors import VerdictError
from workbench.records import arm_key
from workbench.verdict.records import FEWEST, Change, Judged, Outcome, PairVerdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from workbench.report.summary import Tally

    Floats = NDArray[np.float64]

FIXED_ALPHA, LIVE_ALPHA = 0.04, 0.01
FEWEST_LABELS = 10
"""Labelled replies of each arm that a judge-scored verdict needs."""
HOPELESS = 20.0
"""Times the present cases above which more cases are not offered as a way to settle it."""


@dataclass(frozen=True, slots=True)
class Question:
    """How pairs of one report are judged. `sign` is −1 where lower is better; `planned`: all case ids of a run that is
    not finished, in the plan's order; `judged`: set where a model gave the scores; `alpha` None: by the basis;
    `unscored`: how many answers of the run have no score, and why."""

    metric: str
    margin: float
    bounds: tuple[float, float] | None
    sign: int
    repeats: int
    seed: int
    finished: bool
    planned: tuple[str, ...] = ()
    judged: Judged | None = None
    alpha: float | None = None
    unscored: str = ""


def judge_pair(names: tuple[str, str, str], candidate: Tally, baseline: Tally, question: Question) -> PairVerdict:
    """The verdict for one pair of arms; `names`: candidate, baseline, and what is held equal."""
    pairs = _pairs(candidate, baseline, question)
    alpha = question.alpha or (FIXED_ALPHA if question.finished else LIVE_ALPHA)
    basis = "fixed-n paired test" if question.finished else "anytime-valid sequence"
    if pairs.n < FEWEST:
        lacking = f" ({pairs.missing} lack a score)" if pairs.missing else ""
        why = f"; {question.unscored}" if pairs.missing and question.unscored else ""
        count = f"{pairs.n} pair{'s' * (pairs.n != 1)} so far{lacking}"
        reason = f"{count}, and nothing is said on fewer than {FEWEST}{why}"
        nothing = float("nan") if not pairs.n else float(pairs.difference.mean())
        limits = (nothing, -np.inf, np.inf)
        return PairVerdict(*names, "unsure", basis, alpha, *limits, pairs.n, missing=pairs.missing, reason=reason)
    if question.judged is not None:
        found, outcome, reason = _by_judge(pairs, candidate, baseline, question, alpha)
    else:
        found = _interval(pairs.candidate, pairs.baseline, pairs.binary, question, alpha)
        outcome, reason = _robust_outcome(found, pairs, question, alpha)
    more = (None, None) if outcome != "unsure" else _more(found, pairs, question, alpha, candidate, baseline)
    if outcome == "unsure" and question.judged is None:
        reason = " ".join(filter(None, [reason, _cure(more)]))
    return PairVerdict(
        *names,
        outcome,
        basis if not question.finished else f"{basis} ({found.method})",
        alpha,
        found.difference,
        found.low,
        found.high,
        pairs.n,
        p_value=found.p_value if question.finished else None,
        flips_better=int((pairs.difference > 0).sum()),
        flips_worse=int((pairs.difference < 0).sum()),
        missing=pairs.missing,
        left_out=pairs.left_out,
        cost_per_1000=_change(candidate, baseline, "cost", 1000.0),
        latency=_change(candidate, baseline, "latency", 1.0),
        more_cases=more[0],
        more_usd=more[1],
        reason=reason,
        in_points=pairs.binary or (question.bounds is not None and max(map(abs, question.bounds)) <= 1),
    )


@dataclass(frozen=True)
class Pairs:
    """Case means of both arms, turned so that more is better, in the plan's shuffled order.

    `candidate` and `baseline` hold complete pairs; `worst` adds the pairs with missing scores, the candidate's counted
    worst and the baseline's best, and `best` the reverse.
    """

    candidate: Floats
    baseline: Floats
    binary: bool
    worst: tuple[Floats, Floats] | None
    best: tuple[Floats, Floats] | None
    missing: int
    left_out: int
    cases: tuple[str, ...] = ()

    @property
    def n(self) -> int:
        return len(self.candidate)

    @property
    def difference(self) -> Floats:
        return self.candidate - self.baseline


def _pairs(candidate: Tally, baseline: Tally, question: Question) -> Pairs:
    a, b = candidate.by_case(question.metric), baseline.by_case(question.metric)
    if question.finished:
        shared = sorted(a.keys() & b.keys(), key=lambda case_id: place(case_id, question.seed))
    else:
        shared = _final_prefix(question.planned, a, b, question.repeats)
    left, right = _table(a, shared, question), _table(b, shared, question)
    whole = ~np.asarray(np.isnan(left).any(axis=1) | np.isnan(right).any(axis=1))
    return Pairs(
        left[whole].mean(axis=1),
        right[whole].mean(axis=1),
        question.metric not in candidate.graded | baseline.graded and question.repeats == 1,
        _imputed(left, right, question, candidate_gets_worst=True),
        _imputed(left, right, question, candidate_gets_worst=False),
        int((~whole).sum()),
        len(a.keys() ^ b.keys()),
        tuple(case for case, both in zip(shared, whole.tolist(), strict=True) if both),
    )


def _final_prefix(
    order: Sequence[str], a: Mapping[str, list[float]], b: Mapping[str, list[float]], repeats: int
) -> list[str]:
    """Cases up to the first that is not final in both arms: who answers slowly must not change who is counted."""
    final = []
    for case in order:
        if len(a.get(case, ())) < repeats or len(b.get(case, ())) < repeats:
            break
        final.append(case)
    return final


def _table(arm: Mapping[str, list[float]], cases: Sequence[str], question: Question) -> Floats:
    """Scores of an arm, shape (cases, repeats), turned so that more is better; NaN where one is missing."""
    repeats = question.repeats
    padded = [arm[case] + [np.nan] * (repeats - len(arm[case])) for case in cases]
    return question.sign * np.array(padded, dtype=float).reshape(len(cases), repeats)


def _imputed(
    left: Floats, right: Floats, question: Question, *, candidate_gets_worst: bool
) -> tuple[Floats, Floats] | None:
    """Case means with every missing score filled at an end of the bounds; None without bounds to fill from."""
    bounds = _scaled(question)
    if bounds is None:
        return None
    low, high = bounds
    fill = (low, high) if candidate_gets_worst else (high, low)
    a, b = (np.where(np.isnan(x), end, x).mean(axis=1) for x, end in zip((left, right), fill, strict=True))
    return a, b


def _by_judge(
    pairs: Pairs, candidate: Tally, baseline: Tally, question: Question, alpha: float
) -> tuple[stats.Difference, Outcome, str]:
    """A judge's scores, corrected by the labels that people gave (prediction-powered); a judge without fresh labels
    informs and does not decide."""
    assert question.judged is not None
    naive = _interval(pairs.candidate, pairs.baseline, pairs.binary, question, alpha)
    truths = [_labels(question, one, pairs.cases) for one in (candidate, baseline)]
    fewest = min(int((~np.isnan(truth)).sum()) for truth in truths)
    why = question.judged.stale
    if not why and not question.finished:
        why = "the run is not finished"
    if not why and fewest < FEWEST_LABELS:
        why = f"{fewest} labelled replies of one arm, and {FEWEST_LABELS} are needed: label more of this run"
    if not why and pairs.missing:
        why = f"{pairs.missing} pairs lack the judge's score: run again to fill them"
    bounds = _scaled(question)
    if why or bounds is None:
        return naive, "unsure", f"The judge informs, it does not decide: {why or 'no bounds are declared'}."
    found = stats.ppi_difference(pairs.candidate, pairs.baseline, *truths, alpha=alpha, bounds=bounds)
    return found, _outcome(found.low, found.high, question.margin), ""


def _labels(question: Question, arm: Tally, cases: Sequence[str]) -> Floats:
    """What people said of an arm's replies, NaN where nobody did; shape (cases,)."""
    assert question.judged is not None
    about = arm.about
    given = question.judged.labels.get(arm_key(about), {})
    return question.sign * np.array([given.get(case, np.nan) for case in cases])


def _interval(a: Floats, b: Floats, binary: bool, question: Question, alpha: float) -> stats.Difference:
    if question.finished:
        return stats.paired_difference(a, b, binary=binary, bounds=_scaled(question), alpha=alpha)
    span = _span(question)
    if span is None:
        raise VerdictError(
            f"{question.metric} has no declared bounds, so an unfinished run cannot be judged: declare "
            "them with @wb.scorer(bounds=...), or finish the run"
        )
    sequence = stats.ConfidenceSequence((-span, span), alpha)
    sequence.extend(a - b)
    return stats.Difference(float((a - b).mean()), sequence.low, sequence.high, len(a), float("nan"), "betting")


def _scaled(question: Question) -> tuple[float, float] | None:
    if question.bounds is None:
        return None
    low, high = sorted(question.sign * bound for bound in question.bounds)
    return low, high


def _span(question: Question) -> float | None:
    return question.bounds[1] - question.bounds[0] if question.bounds else None


def _outcome(low: float, high: float, margin: float) -> Outcome:
    if low > 0:
        return "better"
    if margin > 0 and low > -margin:
        return "not_worse"
    return "worse" if high < 0 else "unsure"


def _robust_outcome(found: stats.Difference, pairs: Pairs, question: Question, alpha: float) -> tuple[Outcome, str]:
    """The outcome of the complete pairs, unless the missing ones could overturn it."""
    outcome = _outcome(found.low, found.high, question.margin)
    if not pairs.missing or outcome == "unsure":
        return outcome, ""
    filled = pairs.best if outcome == "worse" else pairs.worst
    if filled is None:
        return "unsure", f"{pairs.missing} pairs lack a score, and without bounds they could be anything."
    hard = _interval(*filled, pairs.binary, question, alpha)
    if _outcome(hard.low, hard.high, question.margin) in _at_least(outcome):
        return outcome, ""
    return "unsure", f"{pairs.missing} pairs lack a score and could overturn it: run again to fill them."


def _at_least(outcome: Outcome) -> set[str]:
    return {"better": {"better"}, "not_worse": {"better", "not_worse"}, "worse": {"worse"}}[outcome]


def _more(
    found: stats.Difference, pairs: Pairs, question: Question, alpha: float, candidate: Tally, baseline: Tally
) -> tuple[int | None, float | None]:
    """How many more cases, and dollars, would probably settle it, if the difference is what it looks like."""
    sd = float(pairs.difference.std(ddof=1))
    distance = max(abs(found.difference), found.difference + question.margin)
    if sd == 0 or distance <= 0:
        return None, None
    more = stats.cases_needed(distance, sd=sd, alpha=alpha) - pairs.n
    if more <= 0 or more > HOPELESS * pairs.n:
        return None, None
    prices = [_known_price(one) for one in (candidate, baseline)]
    known = [price for price in prices if price is not None]
    return more, more * question.repeats * sum(known) if len(known) == len(prices) else None


def _known_price(arm: Tally) -> float | None:
    """The mean price of a trial in US dollars, over those whose price is known; None where none is."""
    costs = np.frombuffer(arm.cost, dtype=float)
    costs = costs[~np.isnan(costs)]
    return float(costs.mean()) if len(costs) else None


def _cure(more: tuple[int | None, float | None]) -> str:
    cases, usd = more
    if cases is None:
        return "No sensible number of cases would settle so small a difference."
    price = "" if usd is None else f" (${usd:.2g})" if usd < 1 else f" (${usd:,.2f})"
    return f"About {cases} more cases{price} would probably settle it."


def _change(candidate: Tally, baseline: Tally, column: str, scale: float) -> Change | None:
    """Paired difference of cost or latency over the cases that both arms have."""
    a, b = candidate.column_by_case(column), baseline.column_by_case(column)
    # in order: a set's own order differs between processes, and with it the last digits of a mean
    differences = np.array([a[case] - b[case] for case in sorted(a.keys() & b.keys())]) * scale
    differences = differences[~np.isnan(differences)]
    if len(differences) < 2:
        return None
    low, high = stats.t_limits(differences)
    return Change(float(differences.mean()), low, high)
