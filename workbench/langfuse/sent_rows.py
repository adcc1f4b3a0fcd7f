"""A run's rows as they are sent: from a byte offset on, each trial once, knowing when it was first tried."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.records import ROW_FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Row = dict[str, Any]
_ABOUT = ("prompt", "prompt_sha", "provider", "model", "case_id", "repeat")
_ADDED_LATER: Row = {"finished_at": None}
_NEEDED = frozenset(ROW_FIELDS) - _ADDED_LATER.keys()


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the file up to byte `end`. `row` is None for a line that is none, and for a try that a later line
    replaces; `first`: the trial's first row when this is another try."""

    end: int
    row: Row | None
    first: Row | None = None


class Rows:
    """The lines of one `rows.jsonl`, as far as it is written now."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.count = 0
        self._tries: dict[int, tuple[int, int]] = {}
        self._end: int | None = None
        self._end = self._scan()

    def after(self, offset: int) -> Iterator[Line]:
        """The lines that begin at `offset` or later."""
        for start, end, row in self._lines(offset):
            if row is None:
                yield Line(end, None)
                continue
            first, last = self._tries.get(_about(row), (start, start))
            if last != start:
                yield Line(end, None)
            else:
                yield Line(end, row, None if first == start else self._at(first))

    def _scan(self) -> int:
        """Find the trials that were tried more than once: hash -> where its first and its last line begin. Returns
        where the last whole line ends."""
        whole = 0
        once: dict[int, int] = {}
        for start, end, row in self._lines(0):
            self.count += 1
            whole = end
            if row is None:
                continue
            first = once.setdefault(_about(row), start)
            if first != start:
                self._tries[_about(row)] = (first, start)
        return whole

    def _at(self, start: int) -> Row | None:
        return next(row for _, _, row in self._lines(start))

    def _lines(self, start: int) -> Iterator[tuple[int, int, Row | None]]:
        with self._path.open("rb") as file:
            file.seek(start)
            for line in file:
                end = start + len(line)
                if not line.endswith(b"\n") or (self._end is not None and end > self._end):
                    return  # still being written, or cut off by a crash
                yield start, end, _row(line)
                start = end


def _row(line: bytes) -> Row | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    if not isinstance(row, dict) or not row.keys() >= _NEEDED:
        return None
    whole = isinstance(row["scores"], dict) and isinstance(row["reasons"], dict)
    return _ADDED_LATER | row if whole else None


def _about(row: Row) -> int:
    return hash(tuple(str(row[name]) for name in _ABOUT))
