"""What is compared with what, the verdict on it, and what people said of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.errors import VerdictError
from workbench.widgets.compare_data import find_sides, index_rows, shuffled
from workbench.widgets.compare_sheet import Sheet
from workbench.widgets.compare_votes import VoteLog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.labels import LabelQueue
    from workbench.report import Report
    from workbench.verdict import Verdict
    from workbench.widgets.compare_data import Line, Side
    from workbench.widgets.compare_votes import Vote

Trial = tuple[str, int]
"""A case and one of its repeats."""


class Compared:
    """Two to four arms of a report for every value of the other axis, of which `held` is looked at. `verdict` is None
    where there can be none yet; `verdict_lines` say why."""

    def __init__(
        self, report: Report, names: Sequence[str], queue: LabelQueue | int | None, metric: str | None
    ) -> None:
        self.report = report
        self.names = list(names)
        self._asked_metric, self._queue = metric, queue
        groups = find_sides(report, names)
        self.metric = report.question(metric, 0.0).metric
        self.verdict, self._no_verdict = _verdict(report, names, metric)
        keys = {side.key for group in groups.values() for side in group}
        found = index_rows(report.folder / "rows.jsonl", keys, self.metric)
        self._sheets = {
            held: Sheet(report, self.metric, group, [found[side.key] for side in group], queue)
            for held, group in groups.items()
        }
        self.helds = list(groups)
        self._held, self._blind = self.helds[0], True
        self._log = VoteLog(report.folder)
        self._seen: set[Trial] = set()

    @property
    def sides(self) -> list[Side]:
        """The arms, in the order named."""
        return self._sheet.sides

    @property
    def counts(self) -> dict[str, int]:
        """How many cases there are of each kind."""
        scored = {kind: len(self.of_kind(kind)) for kind in ("all", "better", "worse", "wrong", "errors")}
        drawn = {"queue": len(self._sheet.drawn.spots)} if self._sheet.drawn else {}
        return scored | drawn | {"voted": len({case_id for case_id, _ in self._cast()})}

    @property
    def verdict_lines(self) -> list[str]:
        """The verdict as the report gives it, a sentence a line."""
        return str(self.verdict).split("\n") if self.verdict else [self._no_verdict]

    def of_kind(self, kind: str) -> list[Line]:
        """The cases of a kind that scores decide."""
        return self._sheet.lines.of_kind(kind)

    def rows_of(self, case_id: str, repeat: int = 0) -> list[dict[str, Any] | None]:
        """Each arm's row of a trial, None where there is none."""
        return self._sheet.rows_of(case_id, repeat)

    @property
    def votes(self) -> list[Vote]:
        """The votes on these arms, the last one of each case."""
        return list(self._cast().values())

    def vote_on(self, case_id: str, repeat: int) -> Vote | None:
        """The vote on a case's answers."""
        return self._log.last.get((case_id, repeat, frozenset(side.arm for side in self.sides)))

    def waits(self, case_id: str, repeat: int) -> bool:
        """Whether a case is in the label queue and has no label yet."""
        return self._sheet.drawn is not None and self._sheet.drawn.waits((case_id, repeat))

    def awaits(self, line: Line) -> bool:
        """Whether a case, or one of its repeats, is in the label queue and has no label yet."""
        return any(self.waits(line.case_id, repeat) for repeat in line.repeats)

    def _cast(self) -> dict[Trial, Vote]:
        arms = frozenset(side.arm for side in self.sides)
        return {key[:2]: vote for key, vote in self._log.last.items() if key[2] == arms}

    def is_hidden(self, case: Trial) -> bool:
        """Whether who answered is still unknown to whoever looks."""
        vote = self.vote_on(*case)
        drawn = self._sheet.drawn
        labelled = drawn is not None and case in drawn.spots and not drawn.waits(case)
        return self._blind and case not in self._seen and not labelled and (vote is None or vote.winner is None)

    def hides_change(self, line: Line) -> bool:
        """Whether how a case's scores changed is a secret still: one of its repeats is hidden, or waits for a label and
        was never shown, whether the view is blind now or not."""
        trials = [(line.case_id, repeat) for repeat in line.repeats]
        return any(self.is_hidden(one) or (self.waits(*one) and one not in self._seen) for one in trials)

    def _order(self, case: Trial) -> list[int]:
        """The arms as shown: shuffled by the case's content as long as the view is blind."""
        return shuffled(*case, self.sides) if self._blind else list(range(len(self.sides)))

    @property
    def _sheet(self) -> Sheet:
        return self._sheets[self._held]


def _verdict(report: Report, names: Sequence[str], metric: str | None) -> tuple[Verdict | None, str]:
    """The verdict, or why there is none: answers can be read without one."""
    try:
        return report.compare(names[0], names[1], metric), ""
    except VerdictError as error:
        return None, f"No verdict: {error}"
