"""What a notebook's kernel knows of the night that it runs in, and where it leaves its findings.

`WORKBENCH_NIGHT` names a folder with `night.json`; without it nobody keeps watch, and nothing is left anywhere.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.files import write_new, write_whole
from workbench.regressions.baseline import VARIABLE, to_text

if TYPE_CHECKING:
    from workbench.regressions.baseline import Measured
    from workbench.regressions.records import Regression


@dataclass(frozen=True, slots=True)
class Night:
    """One notebook's part of a night. `live`: real models answer; `checks`: how many share its false-alarm rate."""

    folder: Path
    live: bool
    checks: int


@dataclass(frozen=True, slots=True)
class Alarm:
    """A red statistical finding whose flipped cases can still be asked again; `path`: where it was left."""

    found: Regression
    then: Measured
    now: Measured
    allowed: Any
    path: Path
    plan: dict[str, Any] = field(default_factory=dict)


alarms: list[Alarm] = []
"""The alarms of this kernel; what keeps watch asks their cases again when the notebook is through."""


def tonight() -> Night | None:
    """The night that this process runs in, if any."""
    folder = os.environ.get(VARIABLE)
    if not folder:
        return None
    try:
        content = json.loads((Path(folder) / "night.json").read_text("utf-8"))
        return Night(Path(folder), bool(content["live"]), int(content["checks"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def leave(night: Night, found: Regression, now: Measured | None) -> Path:
    """Write a finding, and what a new baseline would be, where the night collects them. Returns the finding's path:
    each has one of its own, or a green one would hide a red one of the same baseline. Raises StorageError."""
    text = _text(found)
    paths = (night.folder / f"{found.baseline}.{number:03}.found.json" for number in count(1))
    path = next(path for path in paths if write_new(path, text))
    if now is not None:
        write_whole(night.folder / f"{found.baseline}.measured.json", to_text(now))
    return path


def write(path: Path, found: Regression) -> None:
    """A finding as JSON, in the place of what it was before its cases were asked again. Raises StorageError."""
    write_whole(path, _text(found))


def _text(found: Regression) -> str:
    return json.dumps(found.to_json(), indent=1)
