"""The runs of a workspace: find them, open their reports."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import ReportError, choices
from workbench.report.report import Report
from workbench.settings import state_dir

if TYPE_CHECKING:
    from collections.abc import Iterator


def load_report(which: str | Path = "latest") -> Report:
    """A run's report by id, folder (or its rows.jsonl) or `"latest"`. Raises ReportError with the runs there are."""
    path = Path(which)
    if path.name == "rows.jsonl":
        path = path.parent
    if path.is_dir() and (path / "plan.json").exists():
        return Report(path)
    folders = {folder.name: folder for folder in _run_folders()}
    if which == "latest" and folders:
        return Report(next(iter(folders.values())))
    if str(which) in folders:
        return Report(folders[str(which)])
    raise ReportError(f"no run {str(which)!r}: {choices(str(which), folders)}")


def runs() -> Runs:
    """The runs of this workspace, the newest first."""
    return Runs(tuple(Report(folder) for folder in _run_folders()))


class Runs:
    """The runs of a workspace. Iterate for Reports."""

    def __init__(self, reports: tuple[Report, ...]) -> None:
        self._reports = reports

    def __iter__(self) -> Iterator[Report]:
        return iter(self._reports)

    def __len__(self) -> int:
        return len(self._reports)

    def __str__(self) -> str:
        from workbench.report.text import table

        if not self._reports:
            return "no runs yet"
        return "\n".join(table([("run", "done", "state", "dataset", "prompts"), *map(_run_cells, self)]))

    def __repr__(self) -> str:
        return f"Runs({len(self)})"

    def _repr_html_(self) -> str:
        from workbench.tables import plain_table

        return plain_table(("run", "done", "state", "dataset", "prompts"), [_run_cells(one) for one in self], "Runs")


def _run_cells(report: Report) -> tuple[str, ...]:
    prompts = ", ".join(dict.fromkeys(f"{arm['prompt']}@{arm['version']}" for arm in report.plan["arms"]))
    return (
        report.run_id,
        f"{report.done} of {report.plan['trials']}",
        report.state,
        report.plan["dataset"]["name"],
        prompts,
    )


def _run_folders() -> list[Path]:
    """Folders that hold a run, the one written to last first."""
    root = state_dir("runs")
    found = [path.parent for path in root.glob("*/plan.json")] if root.is_dir() else []
    return sorted(found, key=lambda folder: (_last_written(folder), folder.name), reverse=True)


def _last_written(folder: Path) -> int:
    rows = folder / "rows.jsonl"
    return (rows if rows.exists() else folder / "plan.json").stat().st_mtime_ns
