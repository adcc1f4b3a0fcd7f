"""Who holds production, since when, by whose doing, and whether the record says the same."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from workbench.errors import LangfuseAway, LangfuseError, LangfuseMissing, choices
from workbench.langfuse.prompts import holders, listing, numbers, pull
from workbench.promotion.log import FOLDER, Log
from workbench.promotion.move import held, record_of
from workbench.promotion.record import Chain, Held, one_line, workspace_id
from workbench.promotion.who import server_in_use

if TYPE_CHECKING:
    from workbench.langfuse.prompts import Remote
    from workbench.langfuse.server import Server
    from workbench.promotion.log import Entry
    from workbench.promotion.record import Record

UNCHECKED = "not compared with Langfuse"
ENDS = "Whether the newest lines are missing cannot be seen here: `workbench promotions NAME` compares with Langfuse."
BROKEN = (
    "Restore {} from a copy; without one, move it and promotions.id beside it away: a new file begins, and Langfuse "
    "still has the whole record."
)


@dataclass(frozen=True)
class Status:
    """What holds `production` of a prompt. `outside`: the label is not where the last record left it. `under_way`: a
    move that is not closed, `moving_to` where. `record`: the last move that was done; None where the workbench never
    moved it. `failed`: the last try, where it came to nothing. `remote`: the content that holds it, None where this
    workbench cannot read it."""

    name: str
    server: str
    holders: tuple[int, ...]
    now: Held | None
    record: Record | None
    under_way: str
    moving_to: int | None = None
    failed: Record | None = None
    remote: Remote | None = field(default=None, repr=False)

    @property
    def outside(self) -> bool:
        """Whether the label moved without a record, or more than one version holds it. A move that is under way has
        its record yet to come."""
        if self.moving_to is not None and self.holders == (self.moving_to,):
            return False
        return len(self.holders) > 1 or (self.record is not None and self.holders != (self.record.after.number,))

    @property
    def astray(self) -> str:
        """In a sentence with its cure, what is wrong where `outside`; else empty."""
        if not self.outside:
            return ""
        back = f"`workbench rollback {self.name}"
        if self.record is None:
            numbers = ", ".join(map(str, self.holders))
            return f'versions {numbers} hold production at once: {back} --to VERSION --override "reason"` makes it one'
        where = f"the record left production at {self.record.after}, and "
        if len(self.holders) > 1:
            return f"{where}versions {', '.join(map(str, self.holders))} hold it at once: {back}` makes it one"
        return f"{where}somebody moved it to {self.now or 'nobody'} without a record: {back}` gives it back"

    def facts(self) -> dict[str, str]:
        """Label and text, for every way of showing it."""
        shown = {"production": f"{self.name}: {self.now or 'nobody'}, on {self.server}"}
        if len(self.holders) > 1:
            shown["two holders"] = f"versions {', '.join(map(str, self.holders))}: applications get either of them"
        if self.now:
            shown["content"] = f"sha256 {self.now.sha}" if self.now.sha else "unknown: this workbench cannot read it"
        if self.record is None:
            shown["record"] = "none: the workbench has not moved this label yet"
        elif self.outside:
            shown["moved outside"] = f"the record left it at {self.record.after}: {self.record}"
        elif self.holders == (self.record.after.number,):
            shown["since"] = one_line(f"{self.record.at}, by {self.record.by}")
            shown["evidence"] = one_line(self.record.evidence or "none")
            shown["before"] = one_line(str(self.record.before or "nobody"))
        if self.failed:
            shown["last attempt"] = str(self.failed)
        if self.under_way:
            shown["under way"] = f"{self.under_way}; or interrupted: promote and rollback end it"
        return shown

    def __str__(self) -> str:
        return "\n".join(f"{label:>13}  {text}" for label, text in self.facts().items())

    def __repr__(self) -> str:
        return f"Status({self.name}: {self.now or 'nobody'}{', moved outside the record' if self.outside else ''})"

    def _repr_html_(self) -> str:
        from workbench.tables import plain_table

        return plain_table(("", ""), list(self.facts().items()), "")


@dataclass(frozen=True)
class History:
    """The moves that this workspace and Langfuse know of, the oldest first. `faults`: what is wrong with the chains;
    `notes`: what else there is to know about them."""

    records: tuple[Record, ...]
    faults: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def broken(self) -> bool:
        """Whether a chain does not hold; where Langfuse could not be asked, nobody knows about its end."""
        return any(not fault.startswith(UNCHECKED) for fault in self.faults)

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Any:
        return iter(self.records)

    def __str__(self) -> str:
        told = [str(record) for record in self.records] or ["no moved label is on record"]
        holds = "THE CHAIN OF RECORDS IS BROKEN:" if self.broken else "the chain of records could not be checked:"
        if not self.faults:
            holds = "the chain of records holds"
        cure = [BROKEN.format(Chain().path)] if self.broken else []
        return "\n".join([*told, holds, *(f"  - {fault}" for fault in self.faults), *cure, *self.notes])

    def __repr__(self) -> str:
        return f"History({len(self)} moves{', BROKEN' if self.faults else ''})"

    def _repr_html_(self) -> str:
        from workbench.tables import plain_table

        rows = [
            (
                r.at,
                r.action,
                f"{r.name}@{r.after.version}",
                str(r.before or "–"),
                r.result,
                r.by,
                ", ".join(r.approvals),
            )
            for r in self.records
        ]
        headings = ("when", "what", "to", "from", "result", "by", "approved by")
        said = [*(self.faults or ["The chain of records holds"]), *self.notes]
        return plain_table(headings, rows, "; ".join(said) + ".")


def status(name: str, *, server: Server | None = None) -> Status:
    """Where `production` of a prompt is, and what the record in Langfuse says of it. Raises LangfuseMissing for
    a name that nobody ever used there: a watch on it would never see anything; LangfuseError."""
    server = server or server_in_use()
    found = read_status(server, name)
    if not found.holders and found.record is None and found.failed is None:
        require_known(server, name)
    return found


def read_status(server: Server, name: str) -> Status:
    """The status of any name, also of one that is not in Langfuse yet. Raises LangfuseError."""
    log = Log(server, name)
    state = log.state()
    seen = holders(server, name)
    remote = _readable(server, name, seen[0]) if seen else None
    now = held(remote) if remote else Held(seen[0], "", "") if seen else None
    last = record_of(state.last) if state.last else None
    done = (record for entry in log.back(state) if (record := record_of(entry)) is not None and record.done)
    under_way = one_line(state.open.intent.body["sentence"]) if state.open else ""
    failed = last if last is not None and not last.done else None
    moving_to = int(state.open.intent.body["wish"]["after"]["number"]) if state.open else None
    return Status(name, server.place, seen, now, next(done, None), under_way, moving_to, failed, remote)


def require_known(server: Server, name: str) -> None:
    """Raises LangfuseMissing, with the names that there are, for a name without any version."""
    if not numbers(server, name):
        known = (one.name for one in listing(server) if not one.name.startswith(FOLDER))
        raise LangfuseMissing(f"{server.name} has no prompt {name!r}: {choices(name, known)}")


def _readable(server: Server, name: str, number: int) -> Remote | None:
    try:
        return pull(server, name, number=number)
    except LangfuseAway:
        raise
    except LangfuseError:
        return None


def promotions(name: str | None = None, *, server: Server | None = None) -> History:
    """The record of this workspace, checked; with a prompt's name also against the record in Langfuse, which holds the
    moves of all machines. An unreachable Langfuse is one of `faults`. Raises LangfuseMissing for a name that nobody
    ever used."""
    chain = Chain()
    local, faults = chain.records(name), [f"{chain.path.name}: {fault}" for fault in chain.faults()]
    notes = [f"{chain.path.name}: {note}" for note in chain.notes()]
    if name is None:
        return History(tuple(local), tuple(faults), (*notes, ENDS))
    server = server or server_in_use()
    try:
        entries = Log(server, name).records()
        if not entries and not local:
            require_known(server, name)
        mine = [record for record in local if record.server == server.identity]
    except LangfuseMissing:
        raise
    except LangfuseError as error:
        return History(tuple(local), (*faults, f"{UNCHECKED}: {error}"), tuple(notes))
    remote = [record for entry in entries if (record := record_of(entry)) is not None]
    lost = [record for record in mine if record.result == "lost"]
    faults += [*_differences(mine, remote), *_missing_here(local, entries)]
    return History(tuple(sorted([*remote, *lost], key=lambda one: one.log)), tuple(faults), tuple(notes))


def _missing_here(local: list[Record], entries: list[Entry]) -> list[str]:
    """What this workspace recorded in Langfuse and does not have here: its file was cut off, or not written."""
    known, here = {record.sha for record in local}, workspace_id()
    found = [record_of(entry) for entry in entries if entry.body.get("workspace") == here]
    gone = [one for one in found if one is not None and one.sha not in known and one.action != "begin"]
    newest = record_of(entries[-1]) if entries else None
    repaired = ", which the next promote or rollback here repairs"
    said = "recorded by this workspace, and missing in its file"
    return [f"{said}{repaired if one == newest else ''}: {one}" for one in gone]


def _differences(local: list[Record], remote: list[Record]) -> list[str]:
    """Where the record in Langfuse does not hold, or does not say what this workspace wrote down."""
    found, before = [], ""
    for record in remote:
        if record.previous != before:
            found.append(f"Langfuse: the record of {record.at} does not follow the one before it")
        before = record.sha
    known = {record.sha for record in remote}
    missing = [record for record in local if record.result != "lost" and record.sha not in known]
    return found + [f"Langfuse lacks, or has changed, what was recorded here: {record}" for record in missing]
