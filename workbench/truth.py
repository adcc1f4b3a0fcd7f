"""What is true of the simulated models: each arm's exact expected score, so that statistics can be held against it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

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


_Sums = dict[str, tuple[float, float]]
"""metric -> the sum of its weighed scores, and the sum of the weights of what is scored."""


@dataclass(frozen=True, slots=True)
class Truth:
    """Expected scores of an arm by metric, over what is scored: `scored` of `cases` cases, by expectation. A metric
    that scores nothing is not in `expected`."""

    arm: str
    expected: dict[str, float]
    scored: dict[str, float]
    cases: int

    def told(self, metric: str) -> str:
        """A metric's expected score, with the share that is scored unless it is all."""
        scored = self.scored.get(metric, 0.0)
        value = f"{self.expected[metric]:.4f}" if metric in self.expected else "unscored"
        return value if scored > self.cases - 1e-6 else f"{value} ({round(scored, 2):g} of {self.cases} scored)"


class Truths:
    """Expected scores, an arm each. Iterate for `Truth`s."""

    def __init__(self, rows: tuple[Truth, ...]) -> None:
        self.rows = rows

    def __iter__(self) -> Iterator[Truth]:
        return iter(self.rows)

    def __str__(self) -> str:
        from workbench.report.text import table

        metrics = list(dict.fromkeys(metric for row in self for metric in row.scored))
        lines = table([("arm", *metrics), *((row.arm, *map(row.told, metrics)) for row in self)])
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
    probability: the very scorers of a run are applied to each. Cases keep their declared difficulty; an answer that is
    unscored counts for nothing, not for zero."""
    offline(behaviour=behaviour)
    experiment = Experiment("truth", list(prompts), dataset, models, list(scorers), providers=providers)
    if asking := [scorer.name for scorer in experiment.scorers if scorer.asks_models]:
        raise UsageError(f"{', '.join(asking)} asks models, so its scores are not declared: name rule-based scorers")
    known = known_cases(experiment.dataset.name, experiment.dataset.cases)
    declared = Behaviour.load(behaviour, cases=known)
    return asyncio.run(_all(experiment, declared, split))


async def _all(experiment: Experiment, declared: Behaviour, split: str | None) -> Truths:
    by_arm: dict[str, _Sums] = {}
    cases = experiment.dataset.split(split or ("dev" if experiment.dataset.from_workspace else "all"))
    for case in cases:
        for arm, request in experiment.requests(case, 0):
            await _add(by_arm.setdefault(str(arm), {}), arm, request, experiment, declared, case.id)
    return Truths(tuple(_truth(arm, sums, len(cases)) for arm, sums in by_arm.items()))


def _truth(arm: str, sums: _Sums, cases: int) -> Truth:
    expected = {metric: total / weight for metric, (total, weight) in sums.items() if weight}
    return Truth(arm, expected, {metric: weight for metric, (_, weight) in sums.items()}, cases)


async def _add(
    sums: _Sums, arm: Arm, request: Request, experiment: Experiment, declared: Behaviour, case_id: str
) -> None:
    """Add one case: each of its possible answers, weighed."""
    asked = Asked.of(request)
    known = declared.find(asked)
    if known is None:
        raise UsageError(f"{arm}: the request for case {case_id} holds no known case: does the prompt show its inputs?")
    case = experiment.dataset[case_id]
    for outcome in declared.outcomes(asked, known):
        reply = Reply(outcome.text, stop_reason=outcome.stop_reason, source="simulated")
        values: dict[str, float | bool | None] = {}
        for scorer in experiment.scorers:
            for metric, one in (await score(scorer, case, reply)).items():
                values[metric if metric not in values else f"{scorer.name}.{metric}"] = one.value
        for metric, value in values.items():
            total, weight = sums.get(metric, (0.0, 0.0))
            scored = value is not None
            sums[metric] = total + outcome.probability * float(value or 0.0), weight + outcome.probability * scored
