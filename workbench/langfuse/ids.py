"""The ids of what a run is in Langfuse: hashes of what each is about, so that sending twice makes no doubles."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from workbench.records import canonical, sha256

if TYPE_CHECKING:
    from collections.abc import Mapping


def trace_id_of(row: Mapping[str, Any]) -> str:
    """The id of a trial's trace: 32 hex digits of what the trial is about."""
    about = ("run_id", "prompt", "prompt_sha", "provider", "model", "case_id", "repeat")
    return sha256(canonical([row[name] for name in about]))[:32]


def span_id(trace_id: str, which: str) -> str:
    """The id of a span of a trace: 16 hex digits."""
    return sha256(canonical([trace_id, which]))[:16]


def experiment_id(project: str, dataset_id: str, run_name: str) -> str:
    """The id that SDK 5 gives an experiment, so that both name the same one (`Langfuse._create_experiment_id`)."""
    parts = ["langfuse-experiment-v1", project, dataset_id, run_name]
    return sha256(json.dumps(parts, separators=(",", ":"), ensure_ascii=False))[:16]


def score_id(trace_id: str, metric: str) -> str:
    """The id of a trial's score: 32 hex digits."""
    return sha256(canonical([trace_id, "score", metric]))[:32]
