"""Compare two values of one axis in a report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.errors import VerdictError
from workbench.verdict.arms import Arm, arm_name, pair_arms
from workbench.verdict.judge import judge_pair
from workbench.verdict.records import PairVerdict, Verdict

if TYPE_CHECKING:
    from workbench.report import Report
    from workbench.verdict.judge import Question


def compare(report: Report, candidate: Any, baseline: Any, metric: str | None = None, margin: float = 0.0) -> Verdict:
    """Whether `candidate` is better than `baseline` in this report, for every value of the other axis.

    Both are values of one axis: prompt versions (`"ticket-triage@v3"`), models (`"anthropic:fast"`, an id or a label),
    tiers (`"fast"`), or arms (`"ticket-triage@v3 × anthropic:fast"`). `margin`: how much worse still counts as not
    worse, in units of the metric. Raises VerdictError for values that do not exist or lie on two axes, for identical
    content, and for a margin without bounds.
    """
    if margin < 0 or margin != margin:
        raise VerdictError(f"margin is {margin}: it must be zero or more")
    names = str(getattr(candidate, "ref", candidate)), str(getattr(baseline, "ref", baseline))
    pairs = pair_arms(report.plan["arms"], *names)
    question = report.question(metric, margin)
    if margin and question.bounds is None:
        raise VerdictError(
            f"{question.metric} has no declared bounds, so a margin has no meaning: declare them with "
            "@wb.scorer(bounds=...)"
        )
    return Verdict(
        *names, question.metric, margin, judge_all(report, pairs, question), **_about(report, question, names)
    )


def judge_all(report: Report, pairs: list[tuple[str, Arm, Arm]], question: Question) -> tuple[PairVerdict, ...]:
    """A verdict for each pair of arms."""
    return tuple(
        judge_pair(
            (arm_name(one, held), arm_name(other, held), held), report.tally_of(one), report.tally_of(other), question
        )
        for held, one, other in pairs
    )


def _about(report: Report, question: Question, names: tuple[str, str]) -> dict[str, Any]:
    looks, variants = report.look(question.metric, *names)
    return {
        "source": report.source,
        "run_id": report.run_id,
        "dataset": report.plan["dataset"]["name"],
        "looks": looks,
        "variants": variants,
    }
