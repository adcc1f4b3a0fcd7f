"""The runs of a workspace: find them, open their reports."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import ReportError, choices
from workbench.records import ref_of
from workbench.report.report import Report
from workbench.settings import state_dir

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HEADINGS = ("run", "done", "state", "dataset", "prompts")


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
    reports, unreadable = [], {}
    for folder in _run_folders():
        report = Report(folder)
        try:
            report.plan  # noqa: B018  # read here, so that whoever iterates meets no broken run
        except ReportError as error:
            unreadable[folder.name] = str(error)
        else:
            reports.append(report)
    return Runs(tuple(reports), unreadable)


class Runs:
    """The runs of a workspace. Iterate for Reports; `unreadable`: folder -> why it is not among them."""

    def __init__(self, reports: tuple[Report, ...], unreadable: Mapping[str, str] | None = None) -> None:
        self._reports = reports
        self.unreadable = dict(unreadable or {})

    @property
    def names(self) -> list[str]:
        """Ids of the runs."""
        return [report.run_id for report in self]

    def __iter__(self) -> Iterator[Report]:
        return iter(self._reports)

    def __len__(self) -> int:
        return len(self._reports)

    def __str__(self) -> str:
        from workbench.report.text import table

        if not self._reports and not self.unreadable:
            return "no runs yet"
        rows, complaints = self._cells()
        return "\n".join([*table([HEADINGS, *rows]), *complaints])

    def _cells(self) -> tuple[list[tuple[str, ...]], list[str]]:
        """The table's rows, and a sentence for each run that cannot be read, or whose rows cannot."""
        rows, broken = [], list(self.unreadable.values())
        for report in self:
            try:
                rows.append(_run_cells(report, f"{report.done} of {report.plan['trials']}", report.state))
            except ReportError as error:
                rows.append(_run_cells(report, "–", "cannot be read"))
                broken.append(str(error))
        return rows, [f"cannot be read: {why}" for why in broken]

    def __repr__(self) -> str:
        return f"Runs({len(self)})"

    def _repr_html_(self) -> str:
        from workbench.tables import PLAIN, plain_table

        rows, complaints = self._cells()
        told = "".join(PLAIN.format(f"<p>{escape(one)}</p>") for one in complaints)
        return plain_table(HEADINGS, rows, "Runs") + told


def _run_cells(report: Report, done: str, state: str) -> tuple[str, ...]:
    prompts = ", ".join(dict.fromkeys(ref_of(arm) for arm in report.plan["arms"]))
    return (report.run_id, done, state, report.plan["dataset"]["name"], prompts)


def _run_folders() -> list[Path]:
    """Folders that hold a run, the one written to last first."""
    root = state_dir("runs")
    found = [path.parent for path in root.glob("*/plan.json")] if root.is_dir() else []
    return sorted(found, key=lambda folder: (_last_written(folder), folder.name), reverse=True)


def _last_written(folder: Path) -> int:
    rows = folder / "rows.jsonl"
    return (rows if rows.exists() else folder / "plan.json").stat().st_mtime_ns
