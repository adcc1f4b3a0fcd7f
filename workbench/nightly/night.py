"""A night: the notebooks one after another, each in a workspace of its own, then the summaries.

One after another is also how one budget covers them all: a notebook gets what those before it have left.
"""

from __future__ import annotations

import datetime
import json
import os
import shutil
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from workbench import settings
from workbench.errors import BaselineError, StorageError, UsageError, WorkbenchError, choices
from workbench.nightly import live as by_nbclient
from workbench.nightly import replayed as by_nbval
from workbench.nightly.records import Cell, NightReport, Part
from workbench.nightly.summary import write_summaries
from workbench.regressions import Check, Regression
from workbench.regressions.baseline import FOLDER, VARIABLE, Measured, find, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TIMEOUT_S = 600
NO_CELL = "No cell of the notebook held a report against it: wb.regression(report, baseline={path!r})."


def nightly(
    notebooks: list[str] | None = None,
    *,
    live: bool = False,
    budget_usd: float | None = None,
    timeout_s: int = TIMEOUT_S,
    told: Callable[[str], object] = lambda _: None,
) -> NightReport:
    """Run the workspace's notebooks (all, or those named) and hold their reports against their baselines.

    `live`: real models answer, under one cap of `budget_usd` over all notebooks together. `timeout_s`: of one cell.
    `told` hears a line per notebook. Raises UsageError where nothing can be run, StorageError.
    """
    paths = _notebooks(notebooks or [])
    (by_nbclient if live else by_nbval).check_installed()
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    folder = settings.state_dir("nightly", f"{date}-live" if live else date)
    checks = sum(_checks(path) for stem in paths for path in _baselines(stem, live))
    left = budget_usd
    parts = []
    for stem, path in paths.items():
        told(f"{stem} …")
        part = _run(stem, path, folder, live, left, timeout_s, checks)
        left = None if left is None else max(left - part.spent_usd, 0.0)
        parts.append(part)
    found = NightReport(date, live, budget_usd, tuple(parts), folder)
    write_summaries(found)
    return found


def _notebooks(names: list[str]) -> dict[str, Path]:
    """Name -> path of the notebooks to run. Raises UsageError when there are none, or none of that name."""
    folder = settings.workspace() / "notebooks"
    found = {path.stem: path for path in sorted(folder.glob("*.ipynb"))}
    if not found:
        raise UsageError(f"there are no notebooks in {folder}: a night runs notebooks/*.ipynb of the workspace")
    wanted = [Path(name).stem for name in names]
    for name in wanted:
        if name not in found:
            raise UsageError(f"no notebook {name!r}: {choices(name, found)}")
    return {stem: path for stem, path in found.items() if not wanted or stem in wanted}


def _run(stem: str, path: Path, folder: Path, live: bool, left_usd: float | None, timeout_s: int, checks: int) -> Part:
    """One notebook from an empty workspace to its findings."""
    if left_usd is not None and left_usd <= 0:
        return Part(stem, (Cell("start", fault="Not begun: the budget of the night is spent."),), (), over_budget=True)
    mine = folder / stem
    begun = time.monotonic()
    try:
        _empty(mine, keep_home=live)
        (mine / "night.json").write_text(json.dumps({"live": live, "checks": checks}), "utf-8")
        with _home(mine, live) as home:
            environment = _environment(home, mine, live)
            if live:
                cells, spent, over = by_nbclient.run(path, environment, mine, left_usd, timeout_s)
            else:
                (cells, spent), over = (by_nbval.run(path, environment, mine, timeout_s), 0.0), False
    except OSError as error:
        raise StorageError(f"{mine} cannot be written: {error}") from None
    found = _findings(stem, mine, live, over)
    return Part(stem, tuple(cells), found, spent, over, time.monotonic() - begun)


def _empty(folder: Path, keep_home: bool) -> None:
    """Remove what an earlier run of the same night found; replies that were paid for stay."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        if old.is_file():
            old.unlink()
        elif not (keep_home and old.name == "home"):
            shutil.rmtree(old)


@contextmanager
def _home(folder: Path, live: bool) -> Iterator[Path]:
    """A workspace with the prompts and datasets of ours and nothing else. They are copies: what a notebook writes there
    changes nothing of ours. A live one stays, with every paid reply; a replayed one can be had again for nothing."""
    if live:
        home = folder / "home"
        home.mkdir(exist_ok=True)
        _copy_tree(home)
        yield home
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        _copy_tree(Path(temporary))
        yield Path(temporary)


def _copy_tree(home: Path) -> None:
    for name in ("prompts", "datasets"):
        source = settings.workspace() / name
        if source.is_dir():
            shutil.copytree(source, home / name, dirs_exist_ok=True)


def _environment(home: Path, mine: Path, live: bool) -> dict[str, str]:
    """What a kernel gets: our own environment, the settings of our `.env`, and no key unless it is to use it."""
    found = {s.name: s.text for s in settings.settings_in_force() if s.text and s.origin != "default"}
    environment = dict(os.environ) | found
    if not live:
        for name in settings.SECRET:
            environment.pop(name, None)
    environment.pop("WORKBENCH_LIVE", None)
    environment["WORKBENCH_HOME"] = str(home)
    environment[VARIABLE] = str(mine)
    return environment


def _findings(stem: str, mine: Path, live: bool, over_budget: bool) -> tuple[Regression, ...]:
    """What the notebook's cells left, and a failed check for every baseline that no cell looked at."""
    found = []
    for path in sorted(mine.glob("*.found.json")):
        try:
            found.append(Regression.from_json(json.loads(path.read_text("utf-8"))))
        except (ValueError, KeyError, TypeError) as error:
            found.append(_unseen(path.name, live, f"The finding cannot be read: {error}"))
    seen = {one.baseline for one in found}
    for path in () if over_budget else _baselines(stem, live):
        if not {path.stem, f"{stem}.live"} & seen:
            found.append(_unseen(path.stem, live, NO_CELL.format(path=str(FOLDER / path.name))))
    return tuple(found)


def _unseen(name: str, live: bool, why: str) -> Regression:
    check = Check("baseline", "", "red", why)
    return Regression(name, "", "", "live", "statistical" if live else "exact", 0, (check,))


def _baselines(stem: str, live: bool) -> list[Path]:
    """The baselines that belong to a notebook: `<stem>.json`, or in a live night `<stem>.live.json` where it exists."""
    folder = settings.workspace() / FOLDER
    beside = folder / f"{stem}.live.json"
    plain = folder / f"{stem}.json"
    return [path for path in ([beside] if live and beside.is_file() else [plain]) if path.is_file()]


def _checks(path: Path) -> int:
    """How many checks a baseline takes in a live night."""
    from workbench.regressions.statistical import kinds_of

    try:
        return kinds_of(read(path).arms)
    except BaselineError:
        return 0


def measured_tonight(name: str) -> Measured:
    """What the newest night measured for a baseline. Raises BaselineError."""
    stem = find(name).stem
    nights = settings.state_dir("nightly")
    kept = sorted(nights.glob(f"*/*/{stem}.measured.json"), key=lambda path: path.stat().st_mtime_ns)
    if not kept:
        raise BaselineError(f"no night has measured {stem}: run `workbench nightly` first, or name a run by --from")
    try:
        return read(kept[-1])
    except WorkbenchError as error:
        raise BaselineError(str(error)) from None
