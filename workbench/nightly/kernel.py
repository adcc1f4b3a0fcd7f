"""What the kernel of a live notebook does after its cells: ask flipped cases again, and say what was spent."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from workbench.connect import process_ledger
from workbench.errors import WorkbenchError
from workbench.experiment import Experiment
from workbench.regressions import night
from workbench.regressions.baseline import measured
from workbench.regressions.statistical import flipped, still_stands
from workbench.report import runs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workbench.regressions import Check
    from workbench.regressions.baseline import Measured
    from workbench.regressions.night import Alarm

MARK = "workbench-night:"
AGAIN = ("score", "failures")
"""The checks whose cases can flip; a price does not change by asking once more."""


async def finish(namespace: Mapping[str, Any]) -> str:
    """Weigh every alarm again, then a line of JSON for the night: `spent_usd`, `over_budget`."""
    for alarm in night.alarms:
        checks = await _again(alarm, namespace)
        night.write(alarm.path, replace(alarm.found, checks=checks))
    ledger = process_ledger()
    here = runs()
    unfinished = (one.done < one.plan["trials"] and one.plan["purpose"] != "race" for one in here)
    cut_short = bool(here.unreadable) or any(unfinished)
    spent = ledger.spent_usd + ledger.uncertain_usd + ledger.reserved_usd
    return MARK + json.dumps({"spent_usd": spent, "over_budget": ledger.cap_usd is not None and cut_short})


async def _again(alarm: Alarm, namespace: Mapping[str, Any]) -> tuple[Check, ...]:
    """The checks of a finding, its alarms weighed with fresh answers of the cases that flipped."""
    red = [check for check in alarm.found.checks if check.state == "red" and check.name in AGAIN]
    if not red:
        return alarm.found.checks
    try:
        fresh = await _fresh(alarm, red, namespace)
    except WorkbenchError as error:
        return tuple(
            replace(check, again=f"Its flipped cases could not be asked again: {error}") if check in red else check
            for check in alarm.found.checks
        )
    return tuple(
        still_stands(check, alarm.then, alarm.now, fresh) if check in red else check for check in alarm.found.checks
    )


async def _fresh(alarm: Alarm, red: list[Check], namespace: Mapping[str, Any]) -> Measured:
    """New answers of the alarmed arms to every case that flipped in one of them. Raises WorkbenchError."""
    experiment = _experiment(alarm.plan["identity"]["name"], namespace)
    wanted = {case for check in red for case in flipped(check, alarm.then, alarm.now)}
    cases = tuple(case for case in experiment.dataset if case.id in wanted)
    if not cases:
        raise WorkbenchError("the experiment has none of them any more")
    arms = [arm for arm, _ in experiment.requests(cases[0])]
    names = {check.arm for check in red}
    arms = [arm for arm in arms if f"{arm.prompt.ref} × {arm.model.label}" in names]
    if not arms:
        raise WorkbenchError("the experiment has none of the arms any more")
    once_more = Experiment(
        f"{experiment.name}-again",
        {arm.prompt.ref: arm.prompt for arm in arms}.values(),
        replace(experiment.dataset, cases=cases),
        {arm.model.ref: arm.model for arm in arms}.values(),
        experiment.scorers,
        experiment.repeats,
    )
    report = await once_more.run(split="all", cache="refresh")
    if not report.done:
        raise WorkbenchError(report.message or "no answer came")
    return measured(report)


def _experiment(name: str, namespace: Mapping[str, Any]) -> Experiment:
    """The experiment of a report, as the notebook left it. Raises WorkbenchError when none has that name."""
    for value in namespace.values():
        if isinstance(value, Experiment) and value.name == name:
            return value
    raise WorkbenchError(f"no variable of the notebook holds the experiment {name!r}")
