"""Runs for tests of the compare view, written by the parts that write real ones, without a model."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from workbench.records import Row, arm_ref
from workbench.report import Report
from workbench.report.rows import RowLog

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

Answer = dict[str, Any]
A, B = "p@v2", "p@v1"


def arm(version: str, model: str = "m") -> dict[str, Any]:
    """One arm as a plan keeps it."""
    return {"prompt": "p", "version": version, "prompt_sha": f"sha-{version}", "provider": "openai", "model": model,
            "tier": None}  # fmt: skip


def write_run(
    home: Path, cases: int, answer: Callable[[dict[str, Any], int, int], Answer | None], *,
    arms: Sequence[dict[str, Any]] = (arm("v2"), arm("v1")), repeats: int = 1, higher: bool = True,
    bounds: tuple[float, float] | None = (0.0, 1.0), inputs: Callable[[int], Any] | None = None,
) -> Report:  # fmt: skip
    """A run of `cases` cases `c-0000`…; `answer(arm, case number, repeat)` gives a row's fields, None for no row."""
    folder = home / ".workbench" / "runs" / "made-0123456789"
    folder.mkdir(parents=True)
    plan = {
        "run_id": folder.name,
        "identity": {"seed": 0, "repeats": repeats, "scorers": [["exact", "x"]]},
        "purpose": "explore",
        "trials": cases * len(arms) * repeats,
        "dataset": {"name": "made", "cases": cases},
        "scorers": [{"name": "exact", "metrics": ["exact"], "bounds": bounds, "higher_is_better": higher,
                     "asks_models": False}],
        "arms": list(arms),
        "prompts": [],
        "aliases": {},
    }  # fmt: skip
    (folder / "plan.json").write_text(json.dumps(plan))
    with (folder / "cases.jsonl").open("w") as file:
        for number in range(cases):
            given = {"text": f"question {number}"} if inputs is None else inputs(number)
            case = {"id": f"c-{number:04}", "inputs": given, "expected": "yes", "tags": [f"tag {number % 3}"],
                    "split": "dev"}  # fmt: skip
            file.write(json.dumps(case) + "\n")
    log = RowLog(folder)
    for number in range(cases):
        for one in arms:
            for repeat in range(repeats):
                fields = answer(one, number, repeat)
                if fields is not None:
                    log.append(row(one, number, repeat, fields))
    log.close()
    return Report(folder)


def row(one: dict[str, Any], number: int, repeat: int, fields: Answer) -> Row:
    """A row; `score` may stand for the scores."""
    more = dict(fields)
    scores = {"exact": more.pop("score")} if "score" in more else {}
    reasons = {"exact": f"because of {arm_ref(one)}"} if scores else {}
    usual: dict[str, Any] = {
        "input_tokens": 10, "output_tokens": 5, "cost_usd": 0.001, "latency_s": 0.5, "stop_reason": "end",
        "output": "yes", "scores": scores, "reasons": reasons, "finished_at": time.time(),
    }  # fmt: skip
    about = {"run_id": "made-0123456789", "origin": "vendor", "source": "live", "served_by": "", **one}
    return Row(**about, case_id=f"c-{number:04}", repeat=repeat, **(usual | more))


def flips(one: dict[str, Any], number: int, _: int) -> Answer:
    """Of ten cases: 0 and 1 better, 2 worse, 3 wrong everywhere, 4 failed in the candidate, the others right."""
    candidate = one["version"] == "v2"
    right = {0: candidate, 1: candidate, 2: not candidate, 3: False}.get(number % 10, True)
    if number % 10 == 4 and candidate:
        return {"output": None, "error": "RateLimited by openai", "error_type": "RateLimited", "cost_usd": None}
    said = "yes" if right else "no"
    return {"output": f"{said} from {one['version']} number {number}", "score": right}
