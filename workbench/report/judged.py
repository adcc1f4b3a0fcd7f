"""What people said of the replies that a judge scored, and whether that judge may decide."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.labels import load_calibration, load_labels
from workbench.records import arm_key
from workbench.report.rows import last_rows
from workbench.verdict.records import Judged

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.scorers import Scorer


def judged(rows: Path, dataset: str, judge: Scorer, metric: str) -> Judged:
    """The queue labels on a run's replies by arm and case, and why the judge may not decide (empty: it may)."""
    calibration = load_calibration(judge, dataset)
    stale = "it was never calibrated: label_queue(...), then calibrate(...)"
    return Judged(
        _truth(rows, dataset, metric), calibration.stale(judge, dataset) if calibration is not None else stale
    )


def _truth(rows: Path, dataset: str, metric: str) -> dict[tuple[str, ...], dict[str, float]]:
    """(prompt, hash, provider, model) -> case id -> the label of its reply. A label belongs to a reply, not to an arm:
    two arms that said the same share it."""
    labels = load_labels(dataset)
    labelled = {one.case_id for one in labels.queue(metric)}
    found: dict[tuple[str, ...], dict[str, float]] = {}
    for row in last_rows(rows) if labelled else ():
        if row["case_id"] not in labelled or row["output"] is None:
            continue
        label = labels.of(row["case_id"], row["output"], metric)
        if label is not None and label.chosen == "queue":
            arm = arm_key(row)
            found.setdefault(arm, {})[row["case_id"]] = float(label.value)
    return found
