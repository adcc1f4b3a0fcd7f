"""Reading answers side by side: what is listed, what is on screen, what was voted. Everything but the front end."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from workbench.errors import LabelError, UsageError, choices
from workbench.labels import LabelQueue
from workbench.widgets.compare_arms import Compared
from workbench.widgets.compare_case import LETTERS
from workbench.widgets.compare_data import SORTS, Filter, spot
from workbench.widgets.compare_votes import TIE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from workbench.report import Report
    from workbench.widgets.compare_arms import Trial
    from workbench.widgets.compare_sheet import Entry

PAGE = 200
"""Cases of the list that are sent at once."""
FLIPS = ("better", "worse")
"""Kinds whose cases keep a label queue blind only while they are not listed."""


class Reading(Compared):
    """Answers of two to four arms, read case by case.

    What is clicked is readable, and settable: `filter`, `selected`, `sort`, `held`, `blind`, `diff`, `against`;
    `listed` names the cases of the filter, `votes` are the `Vote`s on these arms, `code()` is the line that shows the
    same again.
    """

    def __init__(
        self, report: Report, names: Sequence[str], queue: LabelQueue | int | None, metric: str | None
    ) -> None:
        super().__init__(report, names, queue, metric)
        self._diff, self._against = True, 2
        self._filter, self._sort = Filter(), "change"
        self._entries: list[Entry] = []
        self._waiting = 0
        self._selected, self._start = "", 0
        self._more: dict[str, int] = {}
        self._said, self._listed = "", 0

    # What is looked at

    @property
    def filter(self) -> str:
        """Which cases are listed, as `side_by_side` takes it; set, it begins with the first of them."""
        return str(self._filter)

    @filter.setter  # noqa: A003
    def filter(self, written: str) -> None:
        chosen = Filter.parse(written)
        if chosen.kind == "queue" and self._queue is None:
            raise UsageError("filter 'queue': this view has no label queue; give it one, queue=50")
        with self._moving():
            self._filter = chosen
            self.go_to("")

    @property
    def selected(self) -> str:
        """The case on screen, `t-0012` or `t-0012#1`; empty when the list is."""
        return self._selected

    @selected.setter
    def selected(self, name: str) -> None:
        case_id, repeat = self._spot(name)
        self.rows_of(case_id, repeat)  # raises here: a case that cannot be shown must not be the one voted on
        self._selected, self._more, self._said = spot(case_id, repeat), {}, ""
        place = self._place()
        if place >= 0 and not self._start <= place < self._start + PAGE:
            self._start, self._listed = place - place % PAGE, self._listed + 1
        self._changed()

    @property
    def listed(self) -> list[str]:
        """The cases that the filter leaves, as the list shows them: names that `selected` takes."""
        return [spot(line.case_id, repeat) for line, repeat in self._entries]

    @property
    def sort(self) -> str:
        """change, the largest first, or order, as the cases went out."""
        return self._sort

    @sort.setter
    def sort(self, sort: str) -> None:
        if sort not in SORTS:
            raise UsageError(f"sort {sort!r}: {choices(sort, SORTS)}")
        with self._moving():
            self._sort = sort
            self._list()

    @property
    def held(self) -> str:
        """The value of the other axis that is looked at."""
        return self._held

    @held.setter
    def held(self, held: str) -> None:
        if held not in self._sheets:
            raise UsageError(f"held {held!r}: {choices(held, self._sheets)}")
        with self._moving():
            self._held = held
            self._list()

    @property
    def blind(self) -> bool:
        """Whether names, scores and costs of a case are hidden until it is voted on."""
        return self._blind

    @blind.setter
    def blind(self, blind: bool) -> None:
        with self._moving():
            self._blind = blind
            self._list()

    @property
    def diff(self) -> bool:
        """Whether the words are marked in which the answers differ."""
        return self._diff

    @diff.setter
    def diff(self, diff: bool) -> None:
        self._diff = diff
        self._changed()

    @property
    def against(self) -> int:
        """The answer, counted from 1 as shown, that the others are compared with."""
        return self._against

    @against.setter
    def against(self, place: int) -> None:
        if place not in range(1, len(self.names) + 1):
            raise UsageError(f"against {place!r}: there are answers 1 to {len(self.names)}")
        self._against, self._diff = place, True
        self._changed()

    def code(self) -> str:
        """The line that shows the same again."""
        names = ("filter", "sort", "blind", "diff", "against")
        given = {"filter": self.filter, "select": self.selected} | {name: getattr(self, name) for name in names}
        kind = "all" if self._queue is None else "queue"
        usual = {"filter": kind, "sort": "change", "blind": True, "diff": True, "against": 2}
        if self._held != self.helds[0]:
            given["held"] = self._held
        if self._asked_metric:
            given["metric"] = self._asked_metric
        shown = [f"{name}={quoted(value)}" for name, value in given.items() if value != usual.get(name) and value != ""]
        if self._queue is not None:
            shown.append("queue=queue" if isinstance(self._queue, LabelQueue) else f"queue={self._queue}")
        return f"wb.side_by_side({', '.join(['report', *map(quoted, self.names), *shown])})"

    # Votes

    def vote(self, answer: str, note: str = "") -> None:
        """Say which answer of the case on screen is better: its letter, A to D as shown, or tie; empty keeps the note
        alone. A label when the case is in the queue and names were never shown, else a note. Raises LabelError."""
        case = self._spot(self._selected)
        order = self._order(case)
        letters = LETTERS[: len(order)]
        if answer not in (*letters, TIE, ""):
            raise LabelError(f"vote {answer!r}: say {', '.join(letters)} or {TIE}")
        rows = self.rows_of(*case)  # before anything is kept: a vote on answers that are gone helps nobody
        before = self.vote_on(*case)
        hidden = self.is_hidden(case)
        arm = order[letters.index(answer)] if answer in letters and answer else None
        winner = self.sides[arm].arm if arm is not None else answer or (before.winner if before else None)
        if (winner, note) == ((before.winner, before.note) if before else (None, "")):
            return  # pressed twice: what was a label must not turn into a note
        is_label = bool(answer) and hidden and self.waits(*case)
        if is_label and self._sheet.drawn is not None:
            row = None if arm is None else rows[arm]
            self._sheet.drawn.label(case, None if row is None else row["output"], note)
        label = is_label or (not answer and before is not None and before.label)
        arms = [self.sides[i].arm for i in order]
        self._log.append(case, arms, winner, note, blind=hidden, label=label)
        self._said = self._kept(is_label, answer)
        self._listed += 1
        self._changed()
        self._voted()

    def _kept(self, is_label: bool, answer: str) -> str:
        if not answer:
            return "The note is kept beside the run."
        drawn = self._sheet.drawn
        if is_label and drawn is not None:
            left = sum(self.waits(*case) for case in drawn.spots)
            return f"Kept as a label for {drawn.queue.metric}; {left:,} of {len(drawn.spots):,} left in the queue."
        return "Kept as a note beside the run; votes on the label queue, given blind, become labels."

    def reveal(self) -> None:
        """Show names, scores and costs of the case on screen; a vote after that is a note."""
        trial = self._spot(self._selected)
        self._seen.add(trial)
        self._said = "Names were shown: a vote on this case is a note now." if self.waits(*trial) else ""
        self._listed += 1
        self._changed()

    # What follows from a change

    def _list(self) -> None:
        """Find the cases anew, and stay on the one on screen where it is still among them. Who would vote on a case of
        the label queue because it is listed as better knows too much: it is counted, and listed once it has a label."""
        found = self._sheet.entries(self._filter, self._sort, self._cast(), self.awaits)
        self._entries = [one for one in found if self._filter.kind not in FLIPS or not self.awaits(one[0])]
        self._waiting = len(found) - len(self._entries)
        self._listed += 1
        self._start, self._more, self._said = 0, {}, ""
        if self._place() >= 0:
            self.selected = self._selected
        elif self._entries:
            self.selected = spot(self._entries[0][0].case_id, self._entries[0][1])
        else:
            self._selected = ""
            self._changed()

    @contextmanager
    def _moving(self) -> Iterator[None]:
        """What is looked at changes within, or stays as it was when that cannot be shown: the rows are gone."""
        names = ("_filter", "_sort", "_held", "_blind", "_entries", "_waiting", "_selected", "_start")
        before = {name: getattr(self, name) for name in names}
        try:
            yield
        except Exception:
            for name, value in before.items():
                setattr(self, name, value)
            raise

    def go_to(self, name: str) -> None:
        """Put a case on screen; empty: the first of the list. Raises UsageError."""
        self._selected = ""
        self._list()
        if name:
            self.selected = name

    def _step(self, by: int) -> None:
        """Go to the next case of the list, or to the one before; stays at the ends."""
        here = self._place()
        if self._entries:
            goal = here + by if here >= 0 else 0
            line, repeat = self._entries[min(max(goal, 0), len(self._entries) - 1)]
            self.selected = spot(line.case_id, repeat)

    def _place(self) -> int:
        """Where in the list the case on screen is, whichever repeat is read; -1 when it is not listed."""
        trial = self._find(self._selected)
        if trial is None:
            return -1
        case_id, repeat = trial
        found = [i for i, (line, _) in enumerate(self._entries) if line.case_id == case_id]
        return next((i for i in found if self._entries[i][1] == repeat), found[0] if found else -1)

    def _spot(self, name: str) -> Trial:
        """The trial that a name means. Raises UsageError."""
        found = self._find(name)
        if found is None:
            raise UsageError(f"no case {name!r} here: {choices(name, self._sheet.by_id)}")
        return found

    def _find(self, name: str) -> Trial | None:
        known = self._sheet.by_id
        if name in known:
            return name, known[name].repeats[0]
        case_id, _, number = name.rpartition("#")
        if case_id in known and number.isdecimal() and int(number) in known[case_id].repeats:
            return case_id, int(number)
        return None

    def _changed(self) -> None:
        """Called after every change. What was on screen with its names was seen, whether blind before or after."""
        if not self._blind and self._selected and (trial := self._spot(self._selected)) not in self._seen:
            self._seen.add(trial)
            self._listed += 1
        if self._sheet.drawn is not None:
            self._sheet.drawn.forget()

    def _voted(self) -> None:
        """Called after every vote."""


def quoted(text: Any) -> str:
    """As Python writes it, with double quotes where that is as good."""
    return f'"{text}"' if isinstance(text, str) and text.isprintable() and not set(text) & set('"\\') else repr(text)
