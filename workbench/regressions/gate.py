"""The one function: a report against its baseline."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import BaselineError, WorkbenchError
from workbench.regressions import night as nights
from workbench.regressions.baseline import find, measured, read, remake
from workbench.regressions.exact import exact_checks
from workbench.regressions.records import Check, Regression

if TYPE_CHECKING:
    from typing import Literal

    from workbench.regressions.baseline import Measured
    from workbench.report import Report


def regression(report: Report, baseline: str | Path, *, margin: float = 0.05, cost_share: float = 0.10) -> Regression:
    """Whether a report is still what its baseline says. Raises nothing: `.ok` says it, `.require()` makes it a gate.

    `baseline`: a file as `workbench baseline` writes it, or its name in `notebooks/baselines`. Replies that were
    replayed or simulated must be exactly what they were. Live ones must not be worse by more than `margin` (units of
    the metric), nor dearer by more than `cost_share`, nor fail more often; `<name>.live.json` holds their baseline
    where the other one was simulated.
    """
    night = nights.tonight()
    now: Measured | None = None
    how: Literal["exact", "statistical"] = "exact"
    path = Path(baseline)
    alarm: tuple[Measured, Any] | None = None
    try:
        path = find(baseline)
        statistical = night.live if night else report.source == "live"
        how = "statistical" if statistical else "exact"
        if not report.done:
            raise BaselineError("the report has no rows, so there is nothing to compare: run the experiment first")
        now = measured(report)
        path = _for_live(path, now.source) if statistical else path
        then = read(path)
        checks = _before(then, now, path.stem)
        if statistical:
            found_checks, allowed = _statistical(then, now, margin, cost_share, night)
            checks, alarm = [*checks, *found_checks], (then, allowed)
        else:
            checks += exact_checks(then, now)
    except (WorkbenchError, ValueError, OSError, KeyError, IndexError) as error:
        checks = [Check("baseline", "", "red", str(error) or type(error).__name__)]
    about = (now.run_id, now.dataset, now.source, how, now.trials) if now else ("", "", "live", how, 0)
    found = Regression(path.stem, *about, tuple(checks))
    if night is None:
        return found
    try:
        left = nights.leave(night, found, now)
    except WorkbenchError as error:
        return replace(found, checks=(*found.checks, Check("night", "", "red", str(error))))
    if alarm and now and not found.ok:
        nights.alarms.append(nights.Alarm(found, alarm[0], now, alarm[1], left, report.plan))
    return found


def _for_live(path: Path, source: str) -> Path:
    """The baseline of live replies beside the one of simulated ones, where there is one or has to be."""
    beside = path.with_name(f"{path.stem}.live.json")
    if beside.is_file():
        return beside
    try:
        return beside if source != "simulated" and read(path).source == "simulated" else path
    except BaselineError:
        return path


def _before(then: Measured, now: Measured, name: str) -> list[Check]:
    """Whether the two may be compared at all. Raises BaselineError."""
    cure = f"{remake(name)} shows the change and makes a new one"
    if not {arm.key for arm in then.arms} & {arm.key for arm in now.arms}:
        raise BaselineError(
            f"the baseline {name} is for other arms ({then.arms[0].name if then.arms else 'none'} …, here "
            f"{now.arms[0].name} …): {cure}"
        )
    if (then.source == "simulated") != (now.source == "simulated"):
        raise BaselineError(f"the baseline {name} holds {then.source} replies, this report {now.source} ones: {cure}")
    if then.dataset != now.dataset:
        raise BaselineError(f"the baseline {name} is for dataset {then.dataset}, this report for {now.dataset}: {cure}")
    if then.edited:
        return [Check("baseline", "", "red", f"The file was edited since it was written; {cure}.")]
    return [Check("baseline", "", "green", "As it was written.")]


def _statistical(
    then: Measured, now: Measured, margin: float, cost_share: float, night: nights.Night | None
) -> tuple[list[Check], Any]:
    from workbench.regressions.statistical import Allowed, kinds_of, statistical_checks

    allowed = Allowed(margin, cost_share, max(kinds_of(then.arms), night.checks if night else 0))
    return statistical_checks(then, now, allowed), allowed
