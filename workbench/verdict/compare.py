"""Compare two values of one axis in a report."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from workbench.errors import VerdictError, choices
from workbench.records import ref_of
from workbench.verdict.arms import Arm, arm_name, pair_arms
from workbench.verdict.cases import same_cases
from workbench.verdict.judge import FIXED_ALPHA, LIVE_ALPHA, judge_pair
from workbench.verdict.records import Comparison, PairVerdict, Verdict

if TYPE_CHECKING:
    from workbench.report import Report
    from workbench.verdict.judge import Question


SHARED = 0.9
"""Share of the cases that two runs must have in common to be compared."""


def compare(
    report: Report,
    candidate: Any,
    baseline: Any,
    metric: str | None = None,
    margin: float = 0.0,
    against: Report | None = None,
) -> Verdict:
    """Whether `candidate` is better than `baseline` in this report, for every value of the other axis.

    Both are values of one axis: prompt versions (`"ticket-triage@v3"`), models (`"anthropic:fast"`, an id or a label),
    tiers (`"fast"`), or arms (`"ticket-triage@v3 × anthropic:fast"`). `margin`: how much worse still counts as not
    worse, in units of the metric. `against`: another report to take the baseline from, such as last week's; cases are
    matched by content then, and those that only one run has are left out and counted. Raises VerdictError for values
    that do not exist or lie on two axes, for identical content, for a margin without bounds, and for runs that share
    less than 90 % of their cases.
    """
    if margin < 0 or margin != margin:
        raise VerdictError(f"margin is {margin}: it must be zero or more")
    names = report.name_of(candidate), report.name_of(baseline)
    pairs = pair_arms(report.plan["arms"], *names, others=against.plan["arms"] if against else None)
    question = report.question(metric, margin)
    if margin and question.bounds is None:
        raise VerdictError(
            f"{question.metric} has no declared bounds, so a margin has no meaning: declare them with "
            "@wb.scorer(bounds=...)"
        )
    notes: tuple[str, ...] = ()
    if against is None:
        parts = judge_all(report, pairs, question)
    else:
        parts = _judge_across(report, against, pairs, question)
        notes = (f"baseline from run {against.run_id}",)
    return Verdict(*names, question.metric, margin, parts, notes=notes, **_about(report, question, names))


def leading(report: Report, metric: str | None = None) -> Verdict:
    """The two arms that lead now, by the anytime-valid sequence; the pair counts as chosen among all pairs."""
    board = report.leaderboard(metric=metric)
    if len(board) < 2:
        raise VerdictError("a leading pair needs two arms with rows")
    arms = {(ref_of(a), a["model"]): a for a in report.plan["arms"]}
    first, second = (arms[row.prompt.removesuffix("*"), row.model] for row in board.rows[:2])
    question = report.question(metric, 0.0)
    pairs = len(board) * (len(board) - 1) // 2
    live = replace(question, finished=False, planned=tuple(report.cases), alpha=LIVE_ALPHA / pairs)
    names = board.rows[0].arm, board.rows[1].arm
    part = judge_pair((*names, ""), report.tally_of(first), report.tally_of(second), live)
    notes = (f"chosen among {pairs} pairs",)
    return Verdict(*names, question.metric, 0.0, (part,), notes=notes, **_about(report, question, names))


def judge_all(report: Report, pairs: list[tuple[str, Arm, Arm]], question: Question) -> tuple[PairVerdict, ...]:
    """A verdict for each pair of arms."""
    return tuple(_judged(report, pair, question) for pair in pairs)


def _judge_across(
    report: Report, against: Report, pairs: list[tuple[str, Arm, Arm]], question: Question
) -> tuple[PairVerdict, ...]:
    """Verdicts whose baseline comes from another run: its cases take the ids that their content has in this one."""
    mine, theirs = report.contents(), against.contents()
    names = same_cases(theirs, mine)
    alone = len(mine) + len(theirs) - 2 * len(names)
    if len(names) < SHARED * max(len(mine), len(theirs)):
        raise VerdictError(
            f"{report.run_id} and {against.run_id} share {len(names)} cases of {len(mine)} and {len(theirs)}: at least "
            f"{SHARED:.0%} are needed, run one of them again"
        )
    finished = question.finished and against.done >= against.plan["trials"]
    across = replace(question, finished=finished, planned=tuple(report.cases))
    found = []
    for held, one, other in pairs:
        about = (f"{arm_name(one, held)} now", f"{arm_name(other, held)} then", held)
        part = judge_pair(about, report.tally_of(one), against.tally_of(other).renamed(names), across)
        found.append(replace(part, left_out=alone))
    return tuple(found)


def _about(report: Report, question: Question, names: tuple[str, str]) -> dict[str, Any]:
    looks, variants = report.look(question.metric, *names)
    return {
        "source": report.source,
        "run_id": report.run_id,
        "dataset": report.plan["dataset"]["name"],
        "looks": looks,
        "variants": variants,
    }


def compare_all(report: Report, baseline: Any, metric: str | None = None, margin: float = 0.0) -> Comparison:
    """Every other prompt version of a report against `baseline`, corrected over them on each model."""
    name = report.name_of(baseline)
    others = dict.fromkeys(ref_of(arm) for arm in report.plan["arms"])
    candidates = [one for one in others if one != name]
    if name not in others or not candidates:
        raise VerdictError(f"compare_all needs {name!r} and another version in the run: {choices(name, others)}")
    question = report.question(metric, margin)
    found: dict[str, list[PairVerdict]] = {one: [] for one in candidates}
    pairs = {one: pair_arms(report.plan["arms"], one, name) for one in candidates}
    for held in dict.fromkeys(held for one in candidates for held, *_ in pairs[one]):
        here = {one: pair for one in candidates for pair in pairs[one] if pair[0] == held}
        for one, verdict in _holm(report, here, question).items():
            found[one].append(verdict)
    about = _about(report, question, ("all", name))
    notes = (f"corrected over {len(candidates)} candidates on each model (Holm)",)
    verdicts = [
        Verdict(one, name, question.metric, margin, tuple(found[one]), notes=notes, **about) for one in candidates
    ]
    return Comparison(tuple(sorted(verdicts, key=lambda v: -min(part.low for part in v.parts))))


def _holm(report: Report, pairs: dict[str, tuple[str, Arm, Arm]], question: Question) -> dict[str, PairVerdict]:
    """Holm's step-down: the clearest pair at alpha / k, the next at alpha / (k - 1), until one is not clear; that one
    and all after it keep its level, so that test and interval agree (Holm 1979). A run that is not finished has no
    p-values: each of its sequences gets alpha / k."""
    total = FIXED_ALPHA if question.finished else LIVE_ALPHA
    judged = {one: _judged(report, pair, replace(question, alpha=total)) for one, pair in pairs.items()}
    order = sorted(judged, key=lambda one: 1.0 if judged[one].p_value is None else float(judged[one].p_value or 0.0))
    final: dict[str, PairVerdict] = {}
    left, stepping = len(order), question.finished
    for one in order:
        final[one] = _judged(report, pairs[one], replace(question, alpha=total / left))
        stepping = stepping and final[one].low * final[one].high > 0
        left = max(left - stepping, 1)
    return final


def _judged(report: Report, pair: tuple[str, Arm, Arm], question: Question) -> PairVerdict:
    held, one, other = pair
    names = (arm_name(one, held), arm_name(other, held), held)
    return judge_pair(names, report.tally_of(one), report.tally_of(other), question)
