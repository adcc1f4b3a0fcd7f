"""The cases of two to four arms with everything else held equal: found by kind, tag and text, rows read on demand."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from workbench.labels import LabelQueue
from workbench.widgets.compare_data import Filter, Lines, RowFile, as_text, by_change, plain
from workbench.widgets.compare_votes import Drawn, draw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from workbench.report import Report
    from workbench.widgets.compare_data import Answers, Line, Side

Entry = tuple["Line", int]
"""A case in the list, and which of its repeats is meant."""


class Sheet:
    """What is compared, for one value of the other axis. `sides` and `answers`: an arm each, in the order named."""

    def __init__(self, report: Report, metric: str, sides: Sequence[Side], answers: Sequence[Answers],
                 queue: LabelQueue | int | None) -> None:  # fmt: skip
        self.report = report
        self.sides = list(sides)
        self._answers = list(answers)
        self._file = RowFile(report.folder / "rows.jsonl")
        self.lines = Lines(report, metric, answers)
        self._queue = queue

    @cached_property
    def drawn(self) -> Drawn | None:
        """The label queue's pairs that are among these cases; None without a queue."""
        if self._queue is None:
            return None
        queue, cases = self._queue, self.report.cases
        if not isinstance(queue, LabelQueue):
            arms = tuple(side.arm for side in self.sides)
            queue = draw(self.report.plan["dataset"]["name"], queue, cases, arms, self.outputs)
        return Drawn(queue, cases, self.outputs)

    @cached_property
    def by_id(self) -> dict[str, Line]:
        """case id -> its line."""
        return {line.case_id: line for line in self.lines.all}

    @cached_property
    def tags(self) -> list[str]:
        """The tags that there are, the most frequent first."""
        counts: dict[str, int] = {}
        for line in self.lines.all:
            for tag in self.report.cases[line.case_id]["tags"]:
                counts[tag] = counts.get(tag, 0) + 1
        return sorted(counts, key=lambda tag: (-counts[tag], tag))

    def rows_of(self, case_id: str, repeat: int) -> list[dict[str, Any] | None]:
        """Each arm's row, None where there is none. Raises ReportError when the rows are gone."""
        slots = [one.slots.get(case_id, {}).get(repeat) for one in self._answers]
        places = [one.at[slot] for one, slot in zip(self._answers, slots, strict=True) if slot is not None]
        rows = iter(self._file.read(places))
        return [None if slot is None else next(rows) for slot in slots]

    def outputs(self, case_id: str) -> Iterator[tuple[int, tuple[str | None, ...]]]:
        """Each repeat with the arms' outputs, None for what failed or is missing."""
        line = self.by_id.get(case_id)
        for repeat in line.repeats if line else ():
            rows = self.rows_of(case_id, repeat)
            yield repeat, tuple(None if row is None or row["error"] is not None else row["output"] for row in rows)

    def entries(
        self, chosen: Filter, sort: str, votes: Mapping[tuple[str, int], Any], secret: Callable[[Line], bool]
    ) -> list[Entry]:
        """The cases of a filter. The queue keeps its own order: labels given in order of the scores are not random; for
        the same reason changes that are `secret` are not sorted by."""
        found = self._of_kind(chosen.kind, votes)
        if chosen.tag:
            found = [entry for entry in found if chosen.tag in self.report.cases[entry[0].case_id]["tags"]]
        if chosen.text:
            found = list(filter(self._says(chosen.text), found))
        if chosen.kind == "queue" or sort == "order":
            return found
        repeats = {line.case_id: repeat for line, repeat in found}
        return [(line, repeats[line.case_id]) for line in by_change((line for line, _ in found), secret)]

    def _of_kind(self, kind: str, votes: Mapping[tuple[str, int], Any]) -> list[Entry]:
        if kind == "queue":
            spots = self.drawn.spots if self.drawn else {}
            return [(self.by_id[case_id], repeat) for case_id, repeat in spots]
        if kind == "voted":
            found = dict(reversed(list(votes)))
            return [(line, found[line.case_id]) for line in self.lines.all if line.case_id in found]
        return [(line, line.repeats[0]) for line in self.lines.of_kind(kind)]

    def _says(self, text: str) -> Callable[[Entry], bool]:
        """Whether a case's id, input, expected value or one of its answers holds the words, whatever their case."""
        wanted = plain(text).casefold()

        def says(entry: Entry) -> bool:
            line, repeat = entry
            case = self.report.cases[line.case_id]
            about = [line.case_id, as_text(case["inputs"]), as_text(case["expected"])]
            if any(wanted in one.casefold() for one in about):
                return True
            rows = self.rows_of(line.case_id, repeat)
            return any(row is not None and wanted in plain(row["output"] or "").casefold() for row in rows)

        return says
