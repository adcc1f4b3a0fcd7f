"""Give production back: with nothing but the keys, from any machine."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from workbench.errors import LangfuseError, PromotionFailed, PromotionRefused, StorageError, choices
from workbench.langfuse.prompts import holders, numbers, pull
from workbench.promotion.log import LEASE_S
from workbench.promotion.move import Wish, held, holding, recorded
from workbench.promotion.record import one_at_a_time
from workbench.promotion.settling import end_what_was_open, settle, where_now
from workbench.promotion.who import me, server_in_use

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workbench.langfuse.prompts import Remote
    from workbench.langfuse.server import Server
    from workbench.promotion.record import Held, Record


def rollback(name: str, to: str | int | None = None, *, by: str | None = None, server: Server | None = None) -> Record:
    """Give `production` back to the previous holder, or to `to`: a version in Langfuse (7) or a local one ("v2").

    Needs nothing but the keys: no evidence, no policy, no local record. Raises PromotionFailed when there is nothing to
    go back to, with the versions that `to` could name.
    """
    server, who = server or server_in_use(), by or me()
    with _lock_if_possible():
        end_what_was_open(server, name, who, patience_s=2 * LEASE_S)
        seen = holders(server, name)
        target = _target(server, name, to, seen)
        if seen == (target.number,):
            raise PromotionRefused(f"{name}: {target} holds production already; nothing was moved")
        before = holding(server, name, seen[0]) if seen else None
        record = settle(server, Wish(name, "rollback", before, target, who, holders=seen))
    if not record.done:
        raise PromotionFailed(f"{record}. {where_now(server, name)}")
    return record


def _target(server: Server, name: str, to: str | int | None, seen: tuple[int, ...]) -> Held:
    if to is None:
        return _previous(server, name, seen)
    known = numbers(server, name)
    wanted = str(to).removeprefix("langfuse-")
    if wanted.isdecimal():
        if int(wanted) in known:
            return held(pull(server, name, number=int(wanted)))
    else:
        for number in reversed(known):
            remote = _readable(server, name, number)
            if remote is not None and remote.local_version == wanted:
                return held(remote)
    raise PromotionFailed(f"{name} has no version {to!r} in Langfuse: {choices(str(to), map(str, known))}")


def _previous(server: Server, name: str, seen: tuple[int, ...]) -> Held:
    """Who held the label before, by the record in Langfuse: before the move that put it where it is, or, when it was
    moved outside the record, where the record left it."""
    moves = [record for record in recorded(server, name) if record.done]
    if moves and seen != (moves[-1].after.number,):
        return moves[-1].after
    for record in reversed(moves):
        if record.action == "promote" and record.after.number in seen and record.before is not None:
            return record.before
    known = ", ".join(map(str, numbers(server, name)))
    raise PromotionFailed(
        f"{name}: the record in Langfuse names no previous holder of production"
        + (f"; go back to a version with --to: {known}" if known else ": there is no such prompt")
    )


def _readable(server: Server, name: str, number: int) -> Remote | None:
    with suppress(LangfuseError):
        return pull(server, name, number=number)
    return None


@contextmanager
def _lock_if_possible() -> Iterator[None]:
    """A rollback must not fail for want of a disk."""
    with ExitStack() as stack:
        with suppress(StorageError):
            stack.enter_context(one_at_a_time())
        yield
