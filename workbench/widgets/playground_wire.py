"""Between the playground and its front end: its state, the pieces of answers under way as messages beside it, and what
its fields and buttons tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.datasets import dataset_names
from workbench.errors import UsageError
from workbench.widgets.base import clicks_wait
from workbench.widgets.compare_case import MORE
from workbench.widgets.compare_data import plain
from workbench.widgets.playground_data import SHOWN, field_text

if TYPE_CHECKING:
    from workbench.widgets.base import Message
    from workbench.widgets.playground import Playground
    from workbench.widgets.playground_data import Answer
    from workbench.widgets.playground_round import Round
    from workbench.widgets.shows import Shows

WAITS = "While a cell awaits the answers, this ipykernel handles clicks only after it: stop with its interrupt (■)."


class Stream:
    """Sends what came since the last time, numbered, so that a front end that missed something can ask `again`."""

    def __init__(self, shows: Shows) -> None:
        self._shows = shows
        shows.before(self.tell)
        self._round: Round | None = None
        self._sent: list[int] = []
        self._void: set[int] = set()
        self._number = 0
        self.run = 0

    def begin(self, round_: Round) -> None:
        """The answers that are told from now on."""
        self._round = round_
        self._sent = [0] * len(round_.answers)
        self._void.clear()
        self._number = 0
        self.run += 1

    def heard(self, number: int, piece: str | None) -> None:
        """A piece came, or None: the answer begins anew."""
        if piece is None:
            self._sent[number] = 0
            self._void.add(number)
        self._shows.changed()

    def tell(self) -> None:
        """Send what is new; of a long answer its beginning alone, and how long it is."""
        pieces = []
        for number in range(len(self._sent)):
            text = self._text(number)
            void = number in self._void
            if void or len(text) > self._sent[number]:
                fresh = text[self._sent[number] : SHOWN]
                pieces.append([number, void, plain(fresh), len(text)])
                self._sent[number] = len(text)
        self._void.clear()
        if pieces:
            self._number += 1
            self._shows.send({"type": "deltas", "run": self.run, "number": self._number, "pieces": pieces})

    def again(self) -> None:
        """Send all that came so far."""
        if self._round is None:
            return
        self.tell()
        texts = [
            [number, True, plain(self._text(number)[:SHOWN]), self._sent[number]] for number in range(len(self._sent))
        ]
        self._shows.send({"type": "whole", "run": self.run, "number": self._number, "pieces": texts})

    def _text(self, number: int) -> str:
        assert self._round is not None
        return self._round.text(number)


def state_of(view: Playground) -> dict[str, Any]:
    """All that the front end draws, but for the text of answers under way."""
    fault = view.draft.fault()
    names = [""] if view.cases is None else []
    return {
        "title": plain(view.title),
        "fault": plain(fault),
        "revision": view.revision,
        "turns": [[turn.role, plain(turn.content)] for turn in view.turns],
        "values": [[name, plain(field_text(view.inputs.get(name)))] for name in view.variables],
        "expected": plain(field_text(view.expected)),
        "expected_fault": plain(view.expected_fault),
        "datasets": sorted({*dataset_names(), view.dataset, *names}),
        "dataset": view.dataset,
        "case": plain(view.case),
        "ids": [plain(one) for one in view.cases.ids] if view.cases else [],
        "where": view.cases.where(view.case) if view.cases else "",
        "running": view.is_running,
        "run": view.stream.run,
        "repeat": view.repeat,
        "answers": _answers(view),
        "money": view.money,
        "about": plain(f"Answers to {view.answers.title}") if len(view.answers) else "",
        "caption": view.answers.caption,
        "hint": WAITS if clicks_wait() else "",
        "said": plain(view.said),
        "code": plain(view.code())[:SHOWN],
    }


def _answers(view: Playground) -> list[dict[str, Any]]:
    if not len(view.answers):
        return [_answer(name, None, 0) for name in view.model_names]
    return [_answer(one.name, one, view.more.get(number, 0)) for number, one in enumerate(view.answers)]


def _answer(name: str, answer: Answer | None, clicks: int) -> dict[str, Any]:
    if answer is None:
        return {"name": plain(name), "live": False, "text": "", "left": 0, "said": "", "state": "none", "facts": []}
    length = SHOWN + clicks * MORE
    text = plain(answer.text)
    return {
        "name": plain(answer.name),
        "live": not answer.has_ended,
        "text": text[:length] if answer.has_ended else "",
        "left": max(len(text) - length, 0) if answer.has_ended else 0,
        "said": plain(answer.said)[:2000],
        "state": answer.state,
        "facts": [f"{name} {text}" for name, text in answer.facts()],
    }


def hear(view: Playground, message: Message) -> Any:
    """What a button or a key tells; each message may bring what was typed since the last one. Returns a coroutine for
    what takes long."""
    edits = message.get("edits") or {}
    view.typed(edits.get("turns") or {}, edits.get("values") or {}, edits)
    try:
        return _do(view, message)
    finally:
        view.changed()


def _do(view: Playground, message: Message) -> Any:
    """Returns what must be awaited, None otherwise."""
    kind, said = message.get("type"), {name: str(message.get(name) or "") for name in ("text", "case_id", "dataset")}
    if kind == "run":
        return view.run()
    if kind == "stop":
        view.stop()
    elif kind == "save":
        view.save(said["text"])
    elif kind == "add":
        if not said["dataset"].strip():
            raise UsageError("no dataset is named: say in `to dataset` where the case goes")
        view.add_case(case_id=said["case_id"], dataset=said["dataset"].strip())
    elif kind == "dataset":
        view.use(said["dataset"] or None)
    elif kind == "case":
        view.case = said["case_id"]
    elif kind == "step" and view.cases:
        view.case = view.cases.step(view.case, -1 if message.get("by") == -1 else 1)
    elif kind == "more":
        number = int(message.get("number", 0))
        view.more[number] = view.more.get(number, 0) + 1
    elif kind == "again":
        view.stream.again()
    elif kind != "edit":
        raise UsageError(f"the view said {kind!r}, which means nothing here: is it of another version?")
    return None
