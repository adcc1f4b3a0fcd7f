"""What is true of the simulated models: each arm's exact expected score, so that statistics can be held against it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.client import current
from workbench.connect import offline
from workbench.errors import UsageError
from workbench.experiment import Experiment
from workbench.records import Reply
from workbench.scorers import score
from workbench.sim import Behaviour
from workbench.sim.asked import Asked
from workbench.sim.cases import known_cases

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from workbench.datasets import Dataset
    from workbench.experiment.grid import Arm
    from workbench.records import Request
    from workbench.scorers import Scorer


@dataclass(frozen=True, slots=True)
class Truth:
    """Expected score of an arm over the cases, by metric."""

    arm: str
    expected: dict[str, float]


class Truths:
    """Expected scores, an arm each. Iterate for `Truth`s."""

    def __init__(self, rows: tuple[Truth, ...]) -> None:
        self.rows = rows

    def __iter__(self) -> Iterator[Truth]:
        return iter(self.rows)

    def __str__(self) -> str:
        from workbench.report.text import table

        metrics = list(dict.fromkeys(metric for row in self for metric in row.expected))
        lines = table([("arm", *metrics), *((r.arm, *(f"{r.expected[m]:.4f}" for m in metrics)) for r in self)])
        return "\n".join(["Declared, not measured: expected scores of the simulated models.", *lines])


def expected_scores(
    prompts: Iterable[str],
    dataset: str | Dataset,
    scorers: Iterable[str | Scorer],
    *,
    models: str = "fast,balanced,powerful",
    providers: str | None = None,
    split: str | None = None,
    behaviour: Path | None = None,
) -> Truths:
    """Every arm's mean score over the cases, with every answer that the declared behaviour allows weighed by its
    probability: the very scorers of a run are applied to each. Cases keep their declared difficulty."""
    offline(behaviour=behaviour)
    experiment = Experiment("truth", list(prompts), dataset, models, list(scorers), providers=providers)
    if asking := [scorer.name for scorer in experiment.scorers if scorer.asks_models]:
        raise UsageError(f"{', '.join(asking)} asks models, so its scores are not declared: name rule-based scorers")
    known = known_cases(experiment.dataset.name, experiment.dataset.cases)
    declared = Behaviour.load(behaviour, cases=known)
    return asyncio.run(_all(experiment, declared, split))


async def _all(experiment: Experiment, declared: Behaviour, split: str | None) -> Truths:
    current()
    by_arm: dict[str, list[dict[str, float]]] = {}
    cases = experiment.dataset.split(split or ("dev" if experiment.dataset.from_workspace else "all"))
    for case in cases:
        for arm, request in experiment.requests(case, 0):
            by_arm.setdefault(str(arm), []).append(await _expected(arm, request, experiment, declared, case.id))
    means = {arm: {m: sum(one[m] for one in rows) / len(rows) for m in rows[0]} for arm, rows in by_arm.items()}
    return Truths(tuple(Truth(arm, expected) for arm, expected in means.items()))


async def _expected(
    arm: Arm, request: Request, experiment: Experiment, declared: Behaviour, case_id: str
) -> dict[str, float]:
    asked = Asked.of(request)
    known = declared.find(asked)
    if known is None:
        raise ValueError(f"{arm}: the request for case {case_id} holds no known case")
    case = experiment.dataset[case_id]
    total: dict[str, float] = {}
    for outcome in declared.outcomes(asked, known):
        reply = Reply(outcome.text, stop_reason=outcome.stop_reason, source="simulated")
        for scorer in experiment.scorers:
            for metric, one in (await score(scorer, case, reply)).items():
                total[metric] = total.get(metric, 0.0) + outcome.probability * float(one.value or 0.0)
    return total
