"""`wb.side_by_side(report, "ticket-triage@v3", "ticket-triage@v2")`: answers beside each other, read and voted on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from workbench.errors import LabelError, UsageError
from workbench.widgets.compare_case import LETTERS, Look, case_state
from workbench.widgets.compare_data import plain, spot
from workbench.widgets.compare_reading import PAGE, Reading
from workbench.widgets.compare_static import counted, static
from workbench.widgets.compare_votes import TIE
from workbench.widgets.shows import Shows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.labels import LabelQueue
    from workbench.prompts import Prompt
    from workbench.report import Report
    from workbench.widgets.base import Static
    from workbench.widgets.compare_data import Line

    Message = dict[str, Any]

TAGS = 200
"""Tags that are offered at most."""
NOTE = 10_000
"""Characters of a note that are kept."""
TOLD = {"filter", "selected", "sort", "held", "blind", "diff", "against"}
"""What the front end may set."""


def side_by_side(
    report: Report, *arms: Prompt | str, filter: str = "", select: str = "", held: str = "", sort: str = "change",  # noqa: A002
    blind: bool = True, diff: bool = True, against: int = 2, queue: LabelQueue | int | None = None,
    metric: str | None = None,
) -> CompareView:  # fmt: skip
    """Two to four arms of a report beside each other, case by case; in a notebook a live view, elsewhere its text.

    `arms`: as `report.compare` takes them; the first is the candidate and the second its baseline, which the verdict
    and the changes are about. `filter`: all, better, worse, wrong, errors, queue or voted, then `tag:NAME` and
    `text:WORDS`. `select`: a case id, `t-0012` or for a later repeat `t-0012#1`. `held`: the value of the other axis,
    such as a model, where there are several. `sort`: change or order. `blind`: names, scores and costs of a case stay
    hidden until it is voted on. `diff`: whether the words are marked in which the answers differ from the one shown at
    place `against`, counted from 1. `queue`: a `LabelQueue` of pairs, or how many to draw of this view: votes on these
    are labels, all others notes in the run's folder; better and worse list no case that waits for its label. Raises
    UsageError, VerdictError, ReportError, LabelError.
    """
    names = [report.name_of(one) for one in arms]
    if queue is not None and len(names) != 2:
        raise UsageError(f"a label queue is about two answers, and {len(names)} arms are named")
    view = CompareView(report, names, queue, metric)
    view.sort, view.blind = sort, blind
    view.against, view.diff = against, diff
    view.held = held or view.helds[0]
    view.filter = filter or ("queue" if queue is not None else "all")
    view.go_to(select)
    return view


class CompareView(Reading):
    """Answers of two to four arms beside each other; made by `side_by_side`.

    What is clicked is readable, and settable: `filter`, `selected`, `sort`, `held`, `blind`, `diff`, `against`;
    `listed` names the cases of the filter, `votes` are the `Vote`s on these arms, `code()` is the line that shows the
    same again.
    """

    def __init__(
        self, report: Report, names: Sequence[str], queue: LabelQueue | int | None, metric: str | None
    ) -> None:
        self._shows = Shows("compare_view", self._static, self._state, self._heard)
        super().__init__(report, names, queue, metric)

    def show(self) -> None:
        """Display in the cell that runs now; without a notebook, print."""
        self._shows.show()

    def close(self) -> None:
        """Leave the static form alone in every cell that shows this view."""
        self._shows.close()

    def _ipython_display_(self) -> None:
        self.show()

    def _repr_html_(self) -> str:
        return self._static().html

    def __str__(self) -> str:
        return self._static().text

    def __repr__(self) -> str:
        return f"CompareView({' | '.join(self.names)}: {counted(self)})"

    def _static(self) -> Static:
        """What stays. Asked anew what waits in the queue: labels may have been given past this view."""
        if self._sheet.drawn is not None:
            self._sheet.drawn.forget()
        return static(self)

    def _heard(self, message: Message) -> None:
        """What a button or a key tells: `{"type": "set", "name": "filter", "value": "worse"}` and the like."""
        kind = message.get("type")
        if kind == "set" and message.get("name") in TOLD and isinstance(message.get("value"), (str, int)):
            setattr(self, message["name"], message["value"])
        elif kind == "toggle" and message.get("name") in ("blind", "diff"):
            setattr(self, message["name"], not getattr(self, message["name"]))
        elif kind == "next":
            self._next_kind()
        elif kind == "step":
            self._step(1 if message.get("by") == 1 else -1)
        elif kind == "page":
            self._page(int(message.get("by", 0)))
        elif kind == "vote":
            self._require_drawn(message)
            self.vote(str(message.get("answer", "")), str(message.get("note", ""))[:NOTE])
        elif kind == "reveal":
            self.reveal()
        elif kind == "more":
            part = str(message.get("part"))
            self._more[part] = self._more.get(part, 0) + 1
            self._changed()
        else:
            raise UsageError(f"the view said {kind!r}, which means nothing here: is it of another version?")

    def _require_drawn(self, message: Message) -> None:
        """Refuse a vote on what this view has left since the front end drew it: the letters mean other answers now."""
        here = {"case": plain(self._selected), "held": self._held, "blind": self._blind}
        if any(message.get(name) != value for name, value in here.items()):
            anew = ", drawn anew" if message.get("case") == here["case"] else ""
            raise LabelError(
                f"The vote is not kept: it was given on {message.get('case')}, and the view has moved on to "
                f"{here['case']}{anew}. Read these answers, then vote."
            )

    def _next_kind(self) -> None:
        """Go to the next kind of cases, tag and words kept."""
        kinds = list(self.counts)
        kind = kinds[(kinds.index(self._filter.kind) + 1) % len(kinds)] if self._filter.kind in kinds else kinds[0]
        self.filter = str(replace(self._filter, kind=kind))

    def _page(self, by: int) -> None:
        """Turn the list by so many pages."""
        last = max(len(self._entries) - 1, 0) // PAGE * PAGE
        self._start = min(max(self._start + by * PAGE, 0), last)
        self._listed += 1
        self._changed()

    def _changed(self) -> None:
        super()._changed()
        self._shows.changed()

    def _voted(self) -> None:
        self._shows.keep()

    def _state(self) -> dict[str, Any]:
        """All that the front end draws; a page of the list and one case, however large the run."""
        sentences = {part.sentence(self.metric) for part in self.verdict.parts} if self.verdict else set()
        return {
            "verdict": [[plain(line), line in sentences] for line in self.verdict_lines],
            "kinds": [[kind, n] for kind, n in self.counts.items()],
            "filter": {"kind": self._filter.kind, "tag": plain(self._filter.tag), "text": plain(self._filter.text)},
            "tags": [plain(tag) for tag in self._sheet.tags[:TAGS]],
            "helds": [plain(held) for held in self.helds],
            "set": {name: getattr(self, name) for name in ("held", "sort", "blind", "diff", "against")},
            "list": self._page_state(),
            "selected": plain(self._selected),
            "case": self._case_state() if self._selected else None,
            "code": plain(self.code()),
        }

    def _page_state(self) -> dict[str, Any]:
        """`key` changes when the rows do: the front end draws them again only then."""
        page = self._entries[self._start : self._start + PAGE]
        return {
            "key": self._listed,
            "start": self._start,
            "total": len(self._entries),
            "at": self._place() + 1,
            "size": PAGE,
            "waiting": self._waiting,
            "rows": [self._row_state(line, repeat) for line, repeat in page],
        }

    def _row_state(self, line: Line, repeat: int) -> list[str]:
        """A case's name, its change where that gives nothing away, and what was said."""
        vote = self.vote_on(line.case_id, repeat)
        change = "" if line.change is None else "hidden" if self.hides_change(line) else f"{line.change:+.2f}"
        said = "" if vote is None else "note" if vote.winner is None else "label" if vote.label else "vote"
        return [plain(spot(line.case_id, repeat)), change, f"{line.failed} failed" if line.failed else "", said]

    def _case_state(self) -> dict[str, Any]:
        trial = self._spot(self._selected)
        order, names = self._order(trial), [side.name for side in self.sides]
        hidden = self.is_hidden(trial)
        against = self.against - 1 if self.diff else None
        state = case_state(
            self.report.cases[trial[0]], self.rows_of(*trial), Look(order, names, against, hidden, self._more)
        )
        vote, drawn = self.vote_on(*trial), self._sheet.drawn
        winner = None if vote is None else vote.winner
        letters = {self.sides[arm].arm: LETTERS[place] for place, arm in enumerate(order)} | {TIE: TIE}
        repeats = [plain(spot(trial[0], repeat)) for repeat in self._sheet.by_id[trial[0]].repeats]
        return state | {
            "hidden": hidden,
            "queued": self.waits(*trial),
            "vote": letters.get(winner or "", ""),
            "note": "" if vote is None else plain(vote.note),
            "judge": plain(drawn.told(trial)) if drawn and not hidden else "",
            "said": self._said,
            "repeats": repeats if len(repeats) > 1 else [],
        }
