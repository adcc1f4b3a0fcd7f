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

import sys
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
    from workbench.promotion.production import production_prompt
    from workbench.promotion.promote import promote
    from workbench.promotion.rollback import rollback
    from workbench.promotion.status import promotions
    from workbench.prompts import Prompt, load_prompt, load_prompts
    from workbench.records import Case, Reply, Row, Score
    from workbench.regressions import regression
    from workbench.report import Report, load_report, runs
    from workbench.report.pairs import judge_pairs
    from workbench.scorers import scorer
    from workbench.widgets.compare_view import side_by_side
    from workbench.widgets.playground import playground
    from workbench.widgets.review_view import review
    from workbench.widgets.showing import show

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
    "playground",
    "production_prompt",
    "promote",
    "promotions",
    "regression",
    "review",
    "rollback",
    "runs",
    "scorer",
    "scorers",
    "show",
    "side_by_side",
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
    "playground": "widgets.playground",
    "production_prompt": "promotion.production",
    "promote": "promotion.promote",
    "promotions": "promotion.status",
    "regression": "regressions",
    "review": "widgets.review_view",
    "rollback": "promotion.rollback",
    "runs": "report",
    "scorer": "scorers",
    "show": "widgets.showing",
    "side_by_side": "widgets.compare_view",
}


def __getattr__(name: str) -> Any:
    if name == "scorers":
        return import_module("workbench.scorers")
    if name not in _HOMES:
        raise AttributeError(f"module 'workbench' has no attribute {name!r}")
    if name == "Experiment":
        import_module("workbench.connect")  # so that a run without wb.offline() or wb.live() finds the default
        if "IPython" in sys.modules:
            import_module("workbench.widgets.run_view")  # so that a run in a notebook shows itself
    found = getattr(import_module(f"workbench.{_HOMES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
