"""Calibrating: a judge asked about every labelled reply of a dataset, and the figures of how it compares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.errors import LabelError
from workbench.labels.agreement import kappa, rate
from workbench.labels.asking import asking, in_order
from workbench.labels.calibration import ANCHORS, Anchor, ArmBias, Calibration, save
from workbench.labels.store import Labels, check_case, label_file, load_labels, named_dataset, now
from workbench.labels.verdicts import passing_grade, said, verdict_on
from workbench.records import sha256
from workbench.scorers.pair import PairJudge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.client import Asking
    from workbench.datasets import Dataset
    from workbench.labels.store import Label
    from workbench.labels.verdicts import Judge


async def calibrate(
    judge: Judge, labels: str | Labels, *, dataset: Dataset | None = None, metric: str | None = None,
    passing: float | None = None, budget_usd: float | None = None, cache: str = "on", check: bool = True,
) -> Calibration:  # fmt: skip
    """Hold a judge against the queue labels of a dataset (its name, or `load_labels(name)`), and keep the result.

    `metric`: whose labels; the judge's name by default. A pairwise judge is held against votes on pairs, any other
    against labels of single replies; notes are left out. `passing`: the grade that passes, for judges with a scale; the
    middle by default. `check`: judge the anchors again past the cache, without which it is not fresh. Raises LabelError
    when there are no such labels or a label's case is unknown, BudgetReached.
    """
    labels = load_labels(labels) if isinstance(labels, str) else labels
    cases = dataset or named_dataset(labels.dataset)
    metric = metric or judge.name
    chosen = labels.queue(metric, pairs=isinstance(judge, PairJudge))
    if not chosen:
        kind = "votes on pairs" if isinstance(judge, PairJudge) else "queue labels"
        there = ", ".join(sorted({one.metric for one in labels})) or "none"
        raise LabelError(
            f"no {kind} for metric {metric!r} on {labels.dataset}, there are labels for: {there}. Give some with "
            "label_queue(...), or name whose labels count, metric=..."
        )
    for one in chosen:
        check_case(one.case_id, cases, str(label_file(labels.dataset)))
    passing = passing_grade(judge, passing)
    async with asking(budget_usd, cache) as ask:
        verdicts = await in_order([verdict_on(judge, one, cases, passing, ask) for one in chosen])
    made = _made(judge, labels.dataset, metric, passing, list(zip(chosen, verdicts, strict=True)), ask)
    made = save(made)
    return await made.check_anchors(judge, dataset=cases, budget_usd=budget_usd) if check and made.anchors else made


def _made(judge: Judge, dataset: str, metric: str, passing: float | None,
          found: Sequence[tuple[Label, Any]], ask: Asking) -> Calibration:  # fmt: skip
    """The figures of labels and the verdicts on them."""
    judged = [(one, said(one, passing), verdict) for one, verdict in found if verdict is not None]
    pairs = [(person, verdict) for _, person, verdict in judged]
    single = not isinstance(judge, PairJudge)
    drawn = sorted(judged, key=lambda entry: sha256(f"anchor/{entry[0].reply}"))[:ANCHORS]
    model, origin = next(iter(ask.asked.items()), ("", ""))
    return Calibration(
        judge=judge.name,
        identity=judge.identity,
        model=model,
        dataset=dataset,
        metric=metric,
        date=now(),
        source=next((one for one in ("simulated", "recorded") if one in ask.sources), "live"),
        origin=origin,
        n=len(found),
        missing=len(found) - len(judged),
        agreement=rate(person == verdict for person, verdict in pairs),
        kappa=kappa(pairs),
        sensitivity=rate(bool(verdict) for person, verdict in pairs if single and person),
        specificity=rate(not verdict for person, verdict in pairs if single and not person),
        by_arm=_by_arm(judged) if single else (),
        passing=passing,
        anchors=tuple(Anchor(one.case_id, one.shas, verdict) for one, _, verdict in drawn),
        cost_usd=ask.cost_usd,
    )


def _by_arm(judged: Sequence[tuple[Label, Any, Any]]) -> tuple[ArmBias, ...]:
    arms = sorted({arm for one, _, _ in judged for arm in one.arms})
    found = []
    for arm in arms:
        own = [(bool(person), bool(verdict)) for one, person, verdict in judged if arm in one.arms]
        bias = sum(verdict - person for person, verdict in own) / len(own)
        found.append(ArmBias(arm, bias, sum(person == verdict for person, verdict in own) / len(own), len(own)))
    return tuple(found)
