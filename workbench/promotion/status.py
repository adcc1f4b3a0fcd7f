"""Who holds production, since when, by whose doing, and whether the record says the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.errors import LangfuseError, LangfuseMissing, choices
from workbench.langfuse.prompts import holders, listing, numbers
from workbench.promotion.log import FOLDER, Log
from workbench.promotion.move import holding, record_of, recorded
from workbench.promotion.record import Chain, one_line
from workbench.promotion.who import server_in_use

if TYPE_CHECKING:
    from workbench.langfuse.server import Server
    from workbench.promotion.record import Held, Record

UNCHECKED = "not compared with Langfuse"


@dataclass(frozen=True)
class Status:
    """What holds `production` of a prompt. `outside`: the label is not where the last record left it. `under_way`: a
    move that is not closed. `record`: the last move that counts; None where the workbench never moved it."""

    name: str
    server: str
    holders: tuple[int, ...]
    now: Held | None
    record: Record | None
    under_way: str

    @property
    def outside(self) -> bool:
        """Whether the label moved without a record, or more than one version holds it."""
        return len(self.holders) > 1 or (self.record is not None and self.holders != _left(self.record))

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
            shown["moved outside"] = f"the record left it at {self.record.holder}: {self.record}"
        else:
            shown["since"] = one_line(f"{self.record.at}, by {self.record.by}")
            shown["evidence"] = one_line(self.record.evidence or "none")
            shown["before"] = one_line(str(self.record.before or "nobody"))
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
    """The moves that this workspace and Langfuse know of, the oldest first. `faults`: what is wrong with the chains."""

    records: tuple[Record, ...]
    faults: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Any:
        return iter(self.records)

    def __str__(self) -> str:
        told = [str(record) for record in self.records] or ["no label was moved yet"]
        broken = [fault for fault in self.faults if not fault.startswith(UNCHECKED)]
        holds = "THE CHAIN OF RECORDS IS BROKEN:" if broken else "the chain of records could not be checked:"
        if not self.faults:
            holds = "the chain of records holds"
        return "\n".join([*told, holds, *(f"  - {fault}" for fault in self.faults)])

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
        return plain_table(headings, rows, "; ".join(self.faults) or "The chain of records holds.")


def status(name: str, *, server: Server | None = None) -> Status:
    """Where `production` of a prompt is, and what the record in Langfuse says of it. Raises LangfuseMissing for
    a name that nobody ever used there: a watch on it would never see anything; LangfuseError."""
    server = server or server_in_use()
    state = Log(server, name).state()
    seen = holders(server, name)
    if not seen and state.last is None and not numbers(server, name):
        known = (one.name for one in listing(server) if not one.name.startswith(FOLDER))
        raise LangfuseMissing(f"{server.name} has no prompt {name!r}: {choices(name, known)}")
    now = holding(server, name, seen[0]) if seen else None
    record = record_of(state.last) if state.last else None
    under_way = one_line(state.open.intent.body["sentence"]) if state.open else ""
    return Status(name, server.name, seen, now, record, under_way)


def promotions(name: str | None = None, *, server: Server | None = None) -> History:
    """The record of this workspace, checked; with a prompt's name also against the record in Langfuse, which holds the
    moves of all machines. An unreachable Langfuse is one of `faults`."""
    chain = Chain()
    local, faults = chain.records(name), [f"{chain.path.name}: {fault}" for fault in chain.faults()]
    if name is None:
        return History(tuple(local), tuple(faults))
    server = server or server_in_use()
    try:
        remote = recorded(server, name)
    except LangfuseError as error:
        return History(tuple(local), (*faults, f"{UNCHECKED}: {error}"))
    mine = [record for record in local if record.server == server.identity]
    others = [record for record in mine if record.result == "lost"]
    return History(tuple(sorted([*remote, *others], key=lambda one: one.log)), (*faults, *_differences(mine, remote)))


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


def _left(record: Record) -> tuple[int, ...]:
    return () if record.holder is None else (record.holder,)
