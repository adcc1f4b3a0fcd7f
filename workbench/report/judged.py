"""What people said of the replies that a judge scored, and whether that judge may decide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.labels import load_calibration, load_labels
from workbench.report.rows import last_rows
from workbench.scorers import Scorer
from workbench.verdict.records import Judged

if TYPE_CHECKING:
    from pathlib import Path


def judged(folder: Path, plan: dict[str, Any], scorer: dict[str, Any], metric: str) -> Judged:
    """The queue labels on this run's replies by arm and case, and why the judge may not decide (empty: it may)."""
    identity = dict(map(tuple, plan["identity"]["scorers"]))[scorer["name"]]
    judge = Scorer(scorer["name"], _never, identity=identity, asks_models=True)
    dataset = plan["dataset"]["name"]
    calibration = load_calibration(judge, dataset)
    stale = "it was never calibrated: label_queue(...), then calibrate(...)"
    return Judged(
        _truth(folder, dataset, metric), calibration.stale(judge, dataset) if calibration is not None else stale
    )


def _truth(folder: Path, dataset: str, metric: str) -> dict[tuple[str, ...], dict[str, float]]:
    """(prompt, hash, provider, model) -> case id -> the label of its reply. A label belongs to a reply, not to an arm:
    two arms that said the same share it."""
    labels = load_labels(dataset)
    labelled = {one.case_id for one in labels.queue(metric)}
    found: dict[tuple[str, ...], dict[str, float]] = {}
    for row in last_rows(folder / "rows.jsonl") if labelled else ():
        if row["case_id"] not in labelled or row["output"] is None:
            continue
        label = labels.of(row["case_id"], row["output"], metric)
        if label is not None and label.chosen == "queue":
            arm = (row["prompt"], row["prompt_sha"], row["provider"], row["model"])
            found.setdefault(arm, {})[row["case_id"]] = float(label.value)
    return found


def _never(*_: object) -> None:
    raise AssertionError("known by its identity only")
