"""Rows of a finished run, written without running it: what a verdict has to read and judge."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

from workbench.records import Row

if TYPE_CHECKING:
    from pathlib import Path

ARMS = [
    {"prompt": "p", "version": version, "prompt_sha": version * 8, "provider": "openai", "model": "m", "tier": None}
    for version in ("v1", "v2")
]
SCORER = {"name": "exact", "metrics": ["exact"], "bounds": [0, 1], "higher_is_better": True}


def write(folder: Path, cases: int) -> None:
    """A run folder with two arms over `cases` cases, scored right or wrong by a seeded draw."""
    folder.mkdir(parents=True)
    identity = {"seed": 0, "repeats": 1, "split": "dev", "scorers": []}
    dataset = {"name": "d", "cases": cases}
    plan = {"run_id": folder.name, "identity": identity, "trials": 2 * cases, "dataset": dataset, "scorers": [SCORER],
            "arms": ARMS, "prompts": []}  # fmt: skip
    (folder / "plan.json").write_text(json.dumps(plan))
    draw = random.Random(1)
    with (folder / "rows.jsonl").open("w") as rows, (folder / "cases.jsonl").open("w") as listed:
        for number in range(cases):
            case = {"id": f"c{number}", "inputs": {"q": "?"}, "expected": "a", "tags": [], "split": "dev"}
            listed.write(json.dumps(case) + "\n")
            for arm, chance in zip(ARMS, (0.75, 0.80), strict=True):
                rows.write(_row(folder.name, arm, case["id"], draw.random() < chance))


def _row(run: str, arm: dict, case_id: str, right: bool) -> str:
    about = {name: arm[name] for name in ("prompt", "version", "prompt_sha", "provider", "model", "tier")}
    row = Row(run, **about, origin="vendor", source="live", served_by="m", case_id=case_id, repeat=0,
              output="an answer of some hundred characters " * 3, scores={"exact": right}, input_tokens=100,
              output_tokens=20, cost_usd=0.001, spent_usd=0.001, latency_s=0.5, stop_reason="end")  # fmt: skip
    return row.to_json() + "\n"
