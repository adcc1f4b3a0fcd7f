"""Before a move: what an earlier one left open is ended. After it: what came of it is written down here too."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from workbench.errors import LangfuseError, StorageError
from workbench.langfuse.production import keep, write_lock
from workbench.langfuse.prompts import holders, pull
from workbench.promotion.log import Log
from workbench.promotion.move import finish_open, move, record_of
from workbench.promotion.record import Chain, workspace_id

if TYPE_CHECKING:
    from workbench.langfuse.server import Server
    from workbench.promotion.move import Wish
    from workbench.promotion.record import Record

SEEN_AFTER = (
    "Applications see it once their copy is older than its time to live (60 s unless set otherwise), and one answer "
    "later."
)


def settle(server: Server, wish: Wish) -> Record:
    """Move, and write down here what came of it."""
    record = move(server, wish)
    _remember(server, record)
    return record


def _remember(server: Server, record: Record) -> None:
    """This workspace's copy of the record, and of the content that applications fall back to."""
    try:
        if record.done:
            remote = pull(server, record.name, number=record.after.number)
            keep(server.identity, remote)
            write_lock(remote, server.identity)
        Chain().append(record)
    except (StorageError, OSError, LangfuseError) as error:
        import warnings

        moved = "moved, and " if record.done else ""
        warnings.warn(f"{moved}recorded in Langfuse, but not in this workspace: {error}", stacklevel=4)


def end_what_was_open(server: Server, name: str, who: str, *, patience_s: float = 0.0) -> Record | None:
    """End an interrupted move, and catch up on the last record of this workspace if a crash kept it from being kept."""
    record = finish_open(server, name, who, patience_s=patience_s)
    if record is None:
        last = Log(server, name).state().last
        if last is None or last.body.get("workspace") != workspace_id():
            return None
        record = record_of(last)
        if record is None or _is_kept(record):
            return None
    _remember(server, record)
    return record


def where_now(server: Server, name: str) -> str:
    with suppress(LangfuseError):
        seen = holders(server, name)
        return f"Now production is version {', '.join(map(str, seen))}." if seen else "Nothing holds production."
    return ""


def _is_kept(record: Record) -> bool:
    """Whether this workspace has the record; where it cannot be read, nothing more can be done for it."""
    try:
        return any(one.sha == record.sha for one in Chain().records(record.name))
    except StorageError:
        return True
