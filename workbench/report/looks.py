"""How often a dataset was looked at, how many prompt versions were tried on it: lower bounds, kept in `.workbench/`.

What was tried elsewhere, or on another machine, is not known here; hence "at least".
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

from workbench.errors import StorageError
from workbench.files import append_line, lines

if TYPE_CHECKING:
    from pathlib import Path


def count_look(runs: Path, dataset: str, what: list[str]) -> tuple[int, int]:
    """Record one comparison on `dataset`; returns the different comparisons so far and the prompt versions run on it.

    A ledger that cannot be written is no reason to withhold a verdict: the look then counts for this call alone.
    """
    path = runs.parent / "looks.jsonl"
    seen = _looks(path, dataset)
    if tuple(what) not in seen:
        seen.add(tuple(what))
        with suppress(StorageError):
            append_line(path, json.dumps({"dataset": dataset, "what": what}), "")
    return len(seen), len(variants(runs, dataset))


def variants(runs: Path, dataset: str) -> set[str]:
    """Content hashes of the prompts that were run on `dataset` in this workspace."""
    found: set[str] = set()
    for path in runs.glob("*/plan.json"):
        try:
            plan = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError):
            continue
        if plan["dataset"]["name"] == dataset:
            found |= {arm["prompt_sha"] for arm in plan["arms"]}
    return found


def _looks(path: Path, dataset: str) -> set[tuple[str, ...]]:
    """What can be read of them: a line that a crash left counts for nothing, and hides no other."""
    found: set[tuple[str, ...]] = set()
    with suppress(OSError):
        for _, line in lines(path):
            with suppress(ValueError, KeyError, TypeError):
                entry = json.loads(line)
                if entry["dataset"] == dataset:
                    found.add(tuple(entry["what"]))
    return found
