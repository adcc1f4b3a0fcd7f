"""What a judge says of a labelled reply, in the terms of the label."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.errors import CallError, LabelError, NotRecorded
from workbench.records import Reply
from workbench.scorers import Scorer, score
from workbench.scorers.pair import PairJudge, both_orders

if TYPE_CHECKING:
    from workbench.client import Asking
    from workbench.datasets import Dataset
    from workbench.labels.store import Label, Value

Judge = Scorer | PairJudge
Verdict = bool | str
"""Pass or fail; of a pair first, second or tie."""


async def verdict_on(judge: Judge, one: Label, cases: Dataset, passing: float | None, ask: Asking) -> Verdict | None:
    """What the judge says of a labelled reply; None when it says nothing."""
    case = cases[one.case_id]
    if not isinstance(judge, PairJudge):
        scores = await score(judge, case, Reply(one.outputs[0]), ask)
        found = scores.get(judge.name)
        return None if found is None or found.value is None else passes(found.value, passing)
    first, second = one.outputs
    try:
        forward = await judge.choose(case, first, second, ask)
        backward = await judge.choose(case, second, first, ask)
    except (CallError, NotRecorded):
        return None  # missing, and counted so
    return both_orders(forward, backward)[0]


def said(one: Label, passing: float | None) -> Verdict:
    """What the person said, in the same terms."""
    return str(one.value) if one.is_pair else passes(one.value, passing)


def passes(value: Value, passing: float | None) -> bool:
    """Whether a verdict or grade passes."""
    if isinstance(value, bool):
        return value
    return float(value) >= (0.5 if passing is None else passing)


def passing_grade(judge: Judge, given: float | None) -> float | None:
    """The grade from which on a verdict passes: as given, else the middle of the scale; None for pairs. Raises
    LabelError for one outside the scale."""
    if isinstance(judge, PairJudge):
        return None
    low, high = judge.bounds or (0.0, 1.0)
    if given is not None and not low < given <= high:
        raise LabelError(
            f"passing {given!r}: {judge.name} grades from {low:g} to {high:g}; name a grade above the worst"
        )
    return (low + high) / 2 if given is None else given
