"""Prompt Workbench: evaluate prompt variants across models for quality and cost.

    import workbench as wb
    wb.offline()                                   # or wb.live(budget_usd=5)
    exp = wb.Experiment("triage", "ticket-triage@v2,v3", "tickets", "fast,balanced",
                        wb.scorers.json_fields("category", "priority"))
    report = await exp.run(sample=30)
    report.leaderboard()

Names are imported when they are first used: `import workbench` loads no SDK and no pandas.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench import scorers
    from workbench.catalog import load_models
    from workbench.connect import live, offline
    from workbench.datasets import Dataset, load_dataset
    from workbench.errors import WorkbenchError
    from workbench.experiment import Experiment
    from workbench.labels import calibrate, label, label_queue
    from workbench.prompts import Prompt, load_prompt, load_prompts
    from workbench.records import Case, Reply, Row, Score
    from workbench.report import Report, load_report, runs
    from workbench.report.pairs import judge_pairs
    from workbench.scorers import scorer

__all__ = [
    "Case",
    "Dataset",
    "Experiment",
    "Prompt",
    "Reply",
    "Report",
    "Row",
    "Score",
    "WorkbenchError",
    "calibrate",
    "judge_pairs",
    "label",
    "label_queue",
    "live",
    "load_dataset",
    "load_models",
    "load_prompt",
    "load_prompts",
    "load_report",
    "offline",
    "runs",
    "scorer",
    "scorers",
]

_HOMES = {
    "Case": "records",
    "Dataset": "datasets",
    "Experiment": "experiment",
    "Prompt": "prompts",
    "Reply": "records",
    "Report": "report",
    "Row": "records",
    "Score": "records",
    "WorkbenchError": "errors",
    "calibrate": "labels",
    "judge_pairs": "report.pairs",
    "label": "labels",
    "label_queue": "labels",
    "live": "connect",
    "load_dataset": "datasets",
    "load_models": "catalog",
    "load_prompt": "prompts",
    "load_prompts": "prompts",
    "load_report": "report",
    "offline": "connect",
    "runs": "report",
    "scorer": "scorers",
}


def __getattr__(name: str) -> Any:
    if name == "scorers":
        return import_module("workbench.scorers")
    if name not in _HOMES:
        raise AttributeError(f"module 'workbench' has no attribute {name!r}")
    if name == "Experiment":
        import_module("workbench.connect")  # so that a run without wb.offline() or wb.live() finds the default
    found = getattr(import_module(f"workbench.{_HOMES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
