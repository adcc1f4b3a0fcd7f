"""The promotion log: who may move a label of a prompt now, agreed upon by machines that share nothing but a Langfuse.

Langfuse has no conditional update, but it numbers the versions of a prompt without gaps, and a version never changes.
So the versions of a prompt of its own, `workbench/promotions/<name>`, are a log whose order everybody sees alike:
whoever wants to move a label writes an intent, and the first intent while no other is open is the one that may. It is
closed by its outcome, which holds the record. Whoever was killed in between is followed by a takeover: at once by a
process of the same workspace, else when the server's own clock says that nothing was heard for `LEASE_S`.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, replace
from datetime import datetime
from random import random
from typing import TYPE_CHECKING, Any

from workbench.errors import LangfuseAway, LangfuseError, LangfuseMissing, LangfuseRefused
from workbench.langfuse.server import ONCE, in_path
from workbench.promotion.sound import is_sound

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from workbench.langfuse.server import Server

FOLDER = "workbench/promotions/"
LEASE_S = 60.0
"""How long a promotion of another machine may be silent before somebody else ends it."""

LONGEST_LEASE_S = 600.0
"""Whatever an intent claims: nobody shuts a log for ever."""

COLLISIONS = 30
"""Tries to append while others append too: the server refuses all but one version of a number."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One version of the log. `at`: the server's own time of it, in seconds since 1970."""

    number: int
    at: float
    body: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """intent, takeover or outcome; anything else is somebody else's doing and is ignored."""
        return str(self.body.get("kind"))


@dataclass(frozen=True, slots=True)
class Open:
    """An intent that was granted and is not closed. `owner`: id of who may act for it; `heard`: when it last did."""

    intent: Entry
    owner: str
    heard: float

    @property
    def ends(self) -> float:
        """When somebody else may end it, by the server's clock."""
        return self.heard + float(min(max(self.intent.body["lease_s"], 0.0), LONGEST_LEASE_S))


@dataclass(frozen=True, slots=True)
class State:
    """What a log says after its entry `number`: the open intent, if any, and the last outcome that counts."""

    number: int = 0
    open: Open | None = None
    last: Entry | None = None

    def after(self, entry: Entry) -> State:
        """The state after one more entry; the same for everybody, because it depends on nothing else."""
        now = replace(self, number=entry.number)
        held = self.open
        if entry.kind == "intent" and held is None:
            return replace(now, open=Open(entry, str(entry.body.get("id")), entry.at))
        if held is None or entry.body.get("of") != held.intent.number:
            return now
        if entry.kind == "takeover" and may_take_over(held, entry.body, entry.at):
            return replace(now, open=Open(held.intent, str(entry.body.get("id")), entry.at))
        if entry.kind == "outcome" and entry.body.get("id") == held.owner:
            return replace(now, open=None, last=entry)
        return now


def may_take_over(held: Open, body: Mapping[str, Any], at: float) -> bool:
    """Whether a takeover counts: from the workspace of the dead process, or after a lease without a sign of life."""
    heir = bool(body.get("workspace")) and body.get("workspace") == held.intent.body.get("workspace")
    return heir or at >= held.ends


class Log:
    """The promotion log of one prompt on one server. What it has read is kept: entries never change."""

    def __init__(self, server: Server, name: str) -> None:
        self.server = server
        self.prompt = name
        self.name = FOLDER + name
        self.about = f"the record of moves of prompt {name}"
        self._read: dict[int, Entry] = {}

    def state(self, upto: int | None = None) -> State:
        """What the log says now, or after entry `upto`. Reads back no further than the last outcome that counts."""
        newest = upto if upto is not None else self._newest()
        tail: list[Entry] = []
        for number in range(newest, 0, -1):
            tail.append(self._entry(number))
            if tail[-1].kind == "outcome" and (state := self._since(tail[-1], tail[-2::-1])) is not None:
                return state
        return _folded(State(), reversed(tail))

    def records(self) -> list[Entry]:
        """Every outcome that counts, the oldest first."""
        state, found = State(), []
        for number in range(1, self._newest() + 1):
            before = state.last
            state = state.after(self._entry(number))
            if state.last is not None and state.last is not before:
                found.append(state.last)
        return found

    def back(self, state: State | None = None) -> Iterator[Entry]:
        """Every outcome that counts, the newest first; it reads back no further than is asked for."""
        last = (state or self.state()).last
        while last is not None:
            yield last
            last = self.state(last.number - 1).last

    def append(self, body: Mapping[str, Any], sentence: str) -> Entry:
        """Write one entry and return it with its number. Raises LangfuseError; after a lost answer it looks first."""
        version = self._version(body, sentence)
        for attempt in range(COLLISIONS):
            try:
                made = self.server.call(
                    self.about, lambda api: api.prompts.create(request=version, request_options=ONCE)
                )
            except LangfuseRefused as error:
                if error.status != 400 or "constraint" not in str(error) or attempt == COLLISIONS - 1:
                    raise
                time.sleep(0.01 * (1 + attempt) * random())  # noqa: S311  # another append took the number
            except LangfuseAway as error:
                if not error.maybe_done or (found := self._find(str(body["id"]), str(body["kind"]))) is None:
                    raise
                return found
            else:
                return self._kept(made)
        raise LangfuseError(f"{self.server.name}: {self.about}: too many others write to it")

    def _since(self, outcome: Entry, later: Iterable[Entry]) -> State | None:
        """The state from an outcome on, or None when that outcome does not count: its intent had gone to another."""
        first = outcome.body.get("of")
        if not isinstance(first, int) or not 0 < first < outcome.number:
            return None
        state = _folded(State(), (self._entry(number) for number in range(first, outcome.number + 1)))
        if state.last is None or state.last.number != outcome.number:
            return None
        return _folded(state, later)

    def _newest(self) -> int:
        found = self.server.call(self.about, lambda api: api.prompts.list(name=self.name, request_options=ONCE))
        return max((int(n) for one in found.data if one.name == self.name for n in one.versions), default=0)

    def _entry(self, number: int) -> Entry:
        if number not in self._read:
            try:
                found = self.server.call(
                    f"{self.about}, entry {number}",
                    lambda api: api.prompts.get(
                        in_path(self.name), version=number, resolve=False, request_options=ONCE
                    ),
                )
            except LangfuseMissing:
                return Entry(number, 0.0, {})  # deleted by somebody: the chain of records shows it
            self._kept(found)
        return self._read[number]

    def _kept(self, row: Any) -> Entry:
        body = row.config if isinstance(row.config, dict) and is_sound(row.config, self.prompt) else {}
        entry = Entry(int(row.version), _seconds(getattr(row, "createdAt", "")), body)
        self._read[entry.number] = entry
        return entry

    def _find(self, owner: str, kind: str) -> Entry | None:
        for number in range(self._newest(), 0, -1):
            entry = self._entry(number)
            if entry.body.get("id") == owner and entry.kind == kind:
                return entry
            if entry.kind == "outcome":
                return None
        return None

    def _version(self, body: Mapping[str, Any], sentence: str) -> Any:
        return {
            "name": self.name,
            "type": "text",
            "prompt": sentence,
            "config": dict(body),
            "labels": [],
            "tags": ["workbench"],
            "commitMessage": sentence[:500],
        }


def new_id() -> str:
    """Who acts: a name for one attempt of one process."""
    return uuid.uuid4().hex


def _folded(state: State, entries: Iterable[Entry]) -> State:
    for entry in entries:
        state = state.after(entry)
    return state


def _seconds(text: object) -> float:
    try:
        return datetime.fromisoformat(str(text).replace("Z", "+00:00")).timestamp()
    except ValueError:
        return 0.0
