"""`workbench nightly` and `workbench baseline`: the notebooks as regressions, and what they are held against."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.regressions.baseline import Measured


def nightly(
    notebooks: Annotated[list[str] | None, typer.Argument(help="Names of notebooks; all without one.")] = None,
    live: Annotated[bool, typer.Option("--live", help="Call real models and pay for them.")] = False,
    budget: Annotated[float | None, typer.Option(help="Cap in US dollars, over all notebooks together.")] = None,
    timeout: Annotated[int, typer.Option(help="Seconds that one cell may take.")] = 600,
) -> int:
    """Run the notebooks and hold their reports against their baselines: 0 passed, 1 worse, 3 budget reached."""
    from workbench.errors import UsageError
    from workbench.nightly import nightly as run

    if budget is not None and not live:
        raise UsageError("--budget caps a live night: a replayed one costs nothing")
    if live and (budget is None or not budget > 0):
        raise UsageError("a live night pays for its answers: say how much it may cost, --budget 5")
    found = run(notebooks, live=live, budget_usd=budget, timeout_s=timeout, told=_told)
    print(found)
    print(f"\nsummary: {found.folder / 'summary.html'}")
    return found.exit_code


def baseline(
    name: Annotated[str, typer.Argument(help="Name in notebooks/baselines, or a path to a .json file.")],
    source: Annotated[
        str,
        typer.Option("--from", help="night: what the newest night measured; else a run: latest, an id or a folder."),
    ] = "night",
    yes: Annotated[bool, typer.Option("--yes", help="Write it without asking.")] = False,
) -> int:
    """Show what a new baseline would change, case by case, and write it once you agree."""
    from workbench.errors import UsageError
    from workbench.files import write_whole
    from workbench.regressions.baseline import find, to_text

    path = find(name)
    new = _measured(name, source)
    changed = _show(path, new)
    if not changed:
        print(f"{path}: nothing changes")
        return 0
    if not yes and not _agreed(f"write {path}?"):
        raise UsageError("nothing was written: answer y, or give --yes")
    write_whole(path, to_text(new))
    print(f"written: {path} ({path.stat().st_size / 1000:.0f} kB)")
    return 0


def _measured(name: str, source: str) -> Measured:
    from workbench.errors import BaselineError
    from workbench.regressions.baseline import measured
    from workbench.report import load_report

    if source == "night":
        from workbench.nightly.night import measured_tonight

        return measured_tonight(name)
    report = load_report(source)
    if not report.done:
        raise BaselineError(f"{report.run_id} has no rows, so it is no baseline")
    return measured(report)


def _show(path: Path, new: Measured) -> bool:
    """Print what changes, whole; False when nothing does."""
    from workbench.errors import BaselineError
    from workbench.regressions.baseline import read
    from workbench.regressions.exact import exact_checks

    try:
        old = read(path)
    except BaselineError as error:
        about = f"{new.trials:,} trials of {len(new.arms)} arms on {len(new.cases)} cases of {new.dataset}"
        print(f"{error}\nnew: {about}, {new.source}, from run {new.run_id}")
        return True
    checks = [check for check in exact_checks(old, new) if check.state != "green"]
    for check in checks:
        print(f"{check.name} {check.arm}: {check.sentence}")
        for change in check.changes:
            print(f"  {change}")
    if old.edited:
        print("the file was edited since it was written")
    return bool(checks) or old.edited or old.source != new.source


def _agreed(question: str) -> bool:
    try:
        return input(f"{question} y/n: ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def _told(line: str) -> None:
    if sys.stderr.isatty():
        print(line, file=sys.stderr)
