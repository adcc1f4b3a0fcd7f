"""A run's rows as they are sent: from a byte offset on, each trial once, knowing when it was first tried."""

from __future__ import annotations

import json
from dataclasses import MISSING, dataclass, fields
from typing import TYPE_CHECKING, Any

from workbench import records
from workbench.files import lines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from dataclasses import Field
    from pathlib import Path

Row = dict[str, Any]


def _is_needed(one: Field[Any]) -> bool:
    return one.default is MISSING and one.default_factory is MISSING


_ABOUT = ("prompt", "prompt_sha", "provider", "model", "case_id", "repeat")
_NEEDED = frozenset(one.name for one in fields(records.Row) if _is_needed(one))
_OMITTED: Row = {one.name: one.default for one in fields(records.Row) if one.default is not MISSING} | {
    "judge_spent_usd": None
}
"""What a row says that was written before a field was added: what a judge cost then, nobody noted."""


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
        self.count = self.unreadable = 0
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
                self.unreadable += 1
                continue
            first = once.setdefault(_about(row), start)
            if first != start:
                self._tries[_about(row)] = (first, start)
        return whole

    def _at(self, start: int) -> Row | None:
        return next(row for _, _, row in self._lines(start))

    def _lines(self, start: int) -> Iterator[tuple[int, int, Row | None]]:
        for at, line in lines(self._path, start, self._end):
            yield at, at + len(line), _row(line)


def _row(line: bytes) -> Row | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    if not isinstance(row, dict) or not row.keys() >= _NEEDED:
        return None
    whole = isinstance(row.get("scores"), dict) and isinstance(row.get("reasons"), dict)
    return _OMITTED | row if whole else None


def _about(row: Row) -> int:
    return hash(tuple(str(row[name]) for name in _ABOUT))
