"""Confirmed verdicts kept beside the rows they judge, `runs/<run id>/verdict-<metric>-<hash>.json`: what a promotion
looks for. One file per question; the same question asked again replaces its own."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from workbench.errors import VerdictError
from workbench.files import write_whole
from workbench.records import canonical, sha256
from workbench.settings import state_dir
from workbench.verdict.records import Verdict, in_words

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.experiment.confirm import Spending


@dataclass(frozen=True, slots=True)
class Kept:
    """A confirmed verdict with the share of its dataset's account that it took: the `k`-th of account number `account`,
    worth `alpha`. `at`: when it took that, `asked_at`: when it was last asked for; ISO 8601 in UTC."""

    verdict: Verdict
    account: int
    k: int
    alpha: float
    at: str
    asked_at: str


def keep(verdict: Verdict, folder: Path, spending: Spending, asked: list[Any]) -> Path:
    """Write a confirmed verdict into its run's folder, whole or not at all. Raises StorageError."""
    slug = re.sub(r"[^A-Za-z0-9_.-]+", "-", verdict.metric)[:60]
    path = folder / f"verdict-{slug}-{sha256(canonical([verdict.run_id, asked]))[:12]}.json"
    now = datetime.now(UTC).isoformat(timespec="microseconds")
    content = {
        "verdict": in_words(verdict.to_json()),
        "asked": asked,
        "account": spending.account,
        "k": spending.k,
        "alpha": spending.alpha,
        "at": _taken(path, spending) or now,
        "asked_at": now,
    }
    write_whole(path, json.dumps(content, indent=1, allow_nan=False) + "\n")
    return path


def kept_verdicts(run: str = "*") -> list[Kept]:
    """The confirmed verdicts of this workspace, or of one run, the newest first. Raises VerdictError for a file that
    holds something else."""
    found = [_read(path) for path in state_dir("runs").glob(f"{run}/verdict-*.json")]
    return sorted(found, key=lambda kept: kept.asked_at, reverse=True)


def _taken(path: Path, spending: Spending) -> str:
    """When this share was taken, by what was kept before: asking again without new answers makes no verdict younger."""
    with suppress(VerdictError):
        before = _read(path)
        if (before.account, before.k) == (spending.account, spending.k):
            return before.at
    return ""


def _read(path: Path) -> Kept:
    try:
        content = json.loads(path.read_text("utf-8"))
        verdict = Verdict.from_json(content["verdict"])
        at = str(content["at"])
        numbers = content["account"], content["k"], float(content["alpha"])
        kept = Kept(verdict, *numbers, at, str(content.get("asked_at", at)))
    except (OSError, ValueError, KeyError, TypeError, VerdictError) as error:
        raise VerdictError(f"{path}: no kept verdict ({error}): delete it and confirm again") from None
    return kept
