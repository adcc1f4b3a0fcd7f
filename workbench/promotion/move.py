"""Moving a label as a transaction: intent → look → patch → read back → outcome, and how an interrupted one ends.

Langfuse offers none of this: labels are only ever added, nothing compares before it sets, and two patches at once can
leave two holders. So who may move is agreed in the promotion log, and what came of it is read back, never assumed.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from workbench.errors import LangfuseAway, LangfuseError, LangfuseRefused, PromotionFailed
from workbench.langfuse.prompts import holders, move_label, pull
from workbench.promotion.log import LEASE_S, Log, may_take_over, new_id
from workbench.promotion.record import WORDS, Held, Record, one_line, workspace_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workbench.langfuse.prompts import Remote
    from workbench.langfuse.server import Server
    from workbench.promotion.log import Entry, Open, State


HEALING = 3
"""Patches that are tried to make two holders one."""


class TakenOver(PromotionFailed):
    """Somebody else has ended this move, because nothing was heard of it for so long."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A label that is to move `before` → `after`, and on what grounds. `before` None: nobody holds it yet. `holders`:
    every version that holds it now; a move is made from there and from nowhere else."""

    name: str
    action: str
    before: Held | None
    after: Held
    by: str
    evidence: str | None = None
    approvals: tuple[str, ...] = ()
    override: str | None = None
    source: str = ""
    label: str = "production"
    holders: tuple[int, ...] = ()

    def sentence(self) -> str:
        """What people see of it in Langfuse."""
        came = f" from {self.before}" if self.before else ""
        return f"{self.action}: {self.label} of {self.name}{came} to {self.after}, by {self.by}"


@dataclass(frozen=True, slots=True)
class Found:
    """How a move ended: a key of `WORDS`, who holds the label now, and what else is to say."""

    result: str
    holder: int | None
    note: str = ""


def held(remote: Remote) -> Held:
    """A version as records name it."""
    return Held(remote.number, remote.local_version, remote.sha)


def holding(server: Server, name: str, number: int) -> Held:
    """A version that holds a label, also where somebody gave it to a content that this workbench cannot read."""
    try:
        return held(pull(server, name, number=number))
    except LangfuseAway:
        raise
    except LangfuseError:
        return Held(number, "", "")


def move(server: Server, wish: Wish, *, lease_s: float = LEASE_S) -> Record:
    """Move the label, and return what came of it, written to the promotion log.

    Raises PromotionFailed when another move is under way or took this one over, or when the server goes away in
    between: the next call then finishes or undoes it.
    """
    log = Log(server, wish.name)
    body = _intent(wish, lease_s)
    intent = log.append(body, f"asked: {wish.sentence()}")
    mine = log.state(intent.number).open
    assert mine is not None  # an intent is granted, or another one is open
    if mine.owner != body["id"]:
        return _record(wish, Found("lost", None, f"to {mine.intent.body.get('by')}"), server, intent.number, "")
    seen = holders(server, wish.name, wish.label)
    if seen != wish.holders:
        return _close(log, wish, mine, Found("stale", _only(seen), _two(seen)))
    _check_owner(log, mine, wish)
    try:
        move_label(server, wish.name, wish.after.number, wish.label)
    except LangfuseRefused as error:
        return _close(log, wish, mine, Found("undone", _only(wish.holders), str(error)))
    except LangfuseError as error:
        why = str(error)  # done or not: the read-back tells
    else:
        why = ""
    try:
        found = _read_back(server, wish)
        return _close(log, wish, mine, replace(found, note=why) if found.result == "undone" else found)
    except TakenOver:
        _put_back_late_patch(server, log, wish)
        raise


def finish_open(server: Server, name: str, by: str, *, patience_s: float = 0.0) -> Record | None:
    """End what a crashed process left open: its move is recorded as done if the label is there, else undone.

    Returns None when nothing is open. Raises PromotionFailed when it is still under way elsewhere; `patience_s`: how
    long to wait for that.
    """
    log = Log(server, name)
    until, pause = time.monotonic() + patience_s, 1.0
    while (left := log.state().open) is not None:
        if _expired(left, server):
            if (record := _take_over(server, log, left, by)) is not None:
                return record
            pause *= 2  # the server's clock said no, or somebody was faster
        if time.monotonic() >= until:
            raise PromotionFailed(_under_way(left, server))
        time.sleep(min(pause, max(until - time.monotonic(), 0.01)))
    return None


def last_record(state: State) -> Record | None:
    """The record of the last move that counts."""
    return None if state.last is None else record_of(state.last)


def record_of(outcome: Entry) -> Record | None:
    """An outcome's record, None when it cannot be read."""
    try:
        return Record.from_json(outcome.body["record"])
    except (KeyError, TypeError, ValueError):
        return None


def recorded(server: Server, name: str) -> list[Record]:
    """Every record of the prompt's promotion log in Langfuse, the oldest first."""
    return [record for one in Log(server, name).records() if (record := record_of(one)) is not None]


def _take_over(server: Server, log: Log, left: Open, by: str) -> Record | None:
    """The record of ending somebody's move; None where that was not granted."""
    body = {"kind": "takeover", "of": left.intent.number, "id": new_id(), "workspace": workspace_id(), "by": by}
    mine = log.append(body, f"taken over by {by}: {left.intent.body.get('sentence')}")
    granted = log.state(mine.number).open
    if granted is None or granted.owner != body["id"]:
        return None
    wish = _wish(left.intent.body)
    found = _read_back(server, wish)
    return _close(log, wish, granted, replace(found, note=f"interrupted; ended by {by}. {found.note}".strip()))


def _read_back(server: Server, wish: Wish) -> Found:
    """Who holds the label now, and where that is not what was wanted, the safe way out."""
    try:
        seen = holders(server, wish.name, wish.label)
        if seen == (wish.after.number,):
            return _verified(server, wish)
        if seen == wish.holders:
            return Found("undone", _only(seen))
        others = tuple(number for number in seen if number != wish.after.number)
        if wish.after.number in seen and len(others) == 1:
            seen = _one_holder(server, wish, others[0])
            return Found("put back" if others == wish.holders else "gave way", _only(seen), _two(seen))
        return Found("overtaken", _only(seen), _two(seen))
    except LangfuseAway as error:
        raise PromotionFailed(
            f"{wish.sentence()}: the label may have moved, but {server.name} went away before it could be read back "
            f"({error}). The next promote or rollback finishes or undoes it."
        ) from None


def _one_holder(server: Server, wish: Wish, number: int) -> tuple[int, ...]:
    """Of two holders the other one gets the label: it was there before, or somebody else put it there meanwhile. Who
    holds it in the end; a patch may again leave two."""
    for _ in range(HEALING):
        move_label(server, wish.name, number, wish.label)
        if len(seen := holders(server, wish.name, wish.label)) < 2:
            break
    return seen


def _verified(server: Server, wish: Wish) -> Found:
    """Whether applications that ask for the label get the very content that was meant."""
    try:
        served = pull(server, wish.name, label=wish.label)
    except LangfuseAway:
        raise
    except LangfuseError as error:
        return Found("overtaken", _only(holders(server, wish.name, wish.label)), str(error))
    if served.number == wish.after.number and served.prompt.sha == wish.after.sha:
        return Found("done", wish.after.number)
    return Found("overtaken", served.number, f"asking for {wish.label} gives version {served.number}")


def _close(log: Log, wish: Wish, mine: Open, found: Found) -> Record:
    """Write the outcome. It counts only while nobody has taken the move over."""
    state = _check_owner(log, mine, wish)
    before = last_record(state)
    record = _record(wish, found, log.server, mine.intent.number, before.sha if before else "")
    body = {"kind": "outcome", "of": mine.intent.number, "id": mine.owner, "record": record.to_json()}
    body["workspace"] = workspace_id()
    outcome = log.append(body, f"{WORDS[found.result]}: {wish.sentence()}")
    last = log.state(outcome.number).last
    if last is None or last.number != outcome.number:
        raise TakenOver(_taken(wish))
    return record


def _put_back_late_patch(server: Server, log: Log, wish: Wish) -> None:
    """Our patch may have come after somebody had recorded that this move is not done: then the label goes back to where
    the record says it is. A move that is under way now sees the label elsewhere itself, and is left alone."""
    last = last_record(log.state())
    if last is None or last.holder in (None, wish.after.number):
        return
    recorded = next((one for one in (last.before, last.after) if one and one.number == last.holder), None)
    if recorded is not None and holders(server, wish.name, wish.label) == (wish.after.number,):
        again = Wish(
            wish.name, "put back", wish.after, recorded, wish.by, label=wish.label, holders=(wish.after.number,)
        )
        move(server, again)


def _check_owner(log: Log, mine: Open, wish: Wish) -> State:
    """The log's state, if this move is still ours."""
    state = log.state()
    if state.open is None or state.open.owner != mine.owner:
        raise TakenOver(_taken(wish))
    return state


def _record(wish: Wish, found: Found, server: Server, number: int, previous: str) -> Record:
    return Record(
        name=wish.name,
        action=wish.action,
        before=wish.before,
        after=wish.after,
        result=found.result,
        holder=found.holder,
        by=wish.by,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        server=server.identity,
        log=number,
        label=wish.label,
        evidence=wish.evidence,
        approvals=wish.approvals,
        override=wish.override,
        source=wish.source,
        note=found.note,
        previous=previous,
    )


def _intent(wish: Wish, lease_s: float) -> dict[str, Any]:
    same = {"kind": "intent", "id": new_id(), "workspace": workspace_id(), "lease_s": lease_s}
    return same | {"sentence": wish.sentence(), "by": wish.by, "wish": asdict(wish)}


def _wish(body: Mapping[str, Any]) -> Wish:
    """The wish behind an intent."""
    given = {field.name: body["wish"][field.name] for field in fields(Wish)}
    before = Held.from_json(given["before"]) if given["before"] is not None else None
    lists = {"approvals": tuple(given["approvals"]), "holders": tuple(given["holders"])}
    return Wish(**given | lists | {"before": before, "after": Held.from_json(given["after"])})


def _expired(left: Open, server: Server) -> bool:
    """Whether trying to take over makes sense; the server has the last word, and told its time in whole seconds."""
    return may_take_over(left, {"workspace": workspace_id()}, server.now() + 1.0)


def _only(seen: tuple[int, ...]) -> int | None:
    return seen[0] if len(seen) == 1 else None


def _two(seen: tuple[int, ...]) -> str:
    if len(seen) < 2:
        return ""
    return f"versions {', '.join(map(str, seen))} all hold the label: `workbench rollback` with --to makes it one"


def _under_way(left: Open, server: Server) -> str:
    lease = left.ends - left.heard
    return (
        f"{one_line(left.intent.body['sentence'])}: this is under way on {server.name}, or was interrupted on another "
        f"machine; it can be ended from here once nothing was heard of it for {lease:.0f} s"
    )


def _taken(wish: Wish) -> str:
    return (
        f"{wish.sentence()}: it took so long that somebody else ended it; `workbench status {wish.name}` says where "
        "the label is"
    )
