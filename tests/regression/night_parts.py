"""A small notebook, its workspace, and baselines to hold it against."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import nbformat

from workbench.regressions.baseline import FOLDER, _seal, measured, to_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from workbench.report import Report

FIRST = """import workbench as wb

LIVE = False
wb.live(budget_usd=2) if LIVE else wb.offline(latency_s=0)"""
RUN = """exp = wb.Experiment("night", "ticket-triage@v2,v3", "tickets", "fast",
                    wb.scorers.json_fields("category", "priority"), providers="openai")
report = await exp.run(sample=30)
print(report.done, "trials")"""
GATE = 'wb.regression(report, baseline="notebooks/baselines/small.json")'


def keep(report: Report, home: Path, name: str = "small") -> Path:
    """Make a report the baseline of that name."""
    path = home / FOLDER / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(to_text(measured(report)), "utf-8")
    return path


def write_notebook(home: Path, *cells: str, name: str = "small") -> Path:
    """A notebook of code cells whose printed outputs are checked."""
    codes = [nbformat.v4.new_code_cell(cell, id=f"c{number}") for number, cell in enumerate(cells)]
    notebook = nbformat.v4.new_notebook(cells=codes)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path = home / "notebooks" / f"{name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    return path


def edit(path: Path, change: Callable[[dict[str, Any]], None], *, seal: bool = True) -> None:
    """Change a baseline's file; with `seal` as if it had been written that way."""
    content = json.loads(path.read_text("utf-8"))
    sealed = content.pop("sha256")
    change(content)
    path.write_text(json.dumps({"sha256": _seal(content) if seal else sealed} | content), "utf-8")
