"""Give production back: with nothing but the keys, from any machine."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from workbench.errors import LangfuseError, PromotionFailed, PromotionRefused, StorageError, UsageError, choices
from workbench.langfuse.prompts import holders, numbers, pull
from workbench.promotion.log import LEASE_S
from workbench.promotion.move import Wish, held, holding, recorded
from workbench.promotion.record import one_at_a_time
from workbench.promotion.settling import end_what_was_open, settle, where_now
from workbench.promotion.status import require_known
from workbench.promotion.who import me, server_in_use

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workbench.langfuse.prompts import Remote
    from workbench.langfuse.server import Server
    from workbench.promotion.record import Held, Record


def rollback(
    name: str,
    to: str | int | None = None,
    *,
    override: str | None = None,
    by: str | None = None,
    server: Server | None = None,
) -> Record:
    """Give `production` back to the previous holder, or to `to`: a version in Langfuse (7) or a local one ("v2"); once
    more, and it returns.

    Needs nothing but the keys: no evidence, no policy, no local record. `override`: the reason for giving it to a
    version that was never production by the record. Raises PromotionFailed when there is nothing to go back to, with
    the versions that `to` could name, UsageError for a version that is not there, LangfuseMissing for such a name,
    PromotionRefused without a reason where one is needed.
    """
    server, who = server or server_in_use(), by or me()
    with _lock_if_possible():
        finished = end_what_was_open(server, name, who, patience_s=2 * LEASE_S)
        seen = holders(server, name)
        if finished is not None and _is_that(finished, to, seen):
            return finished
        moves = [record for record in recorded(server, name) if record.done]
        target = _target(server, name, to, seen) if to is not None else _previous(server, name, seen, moves)
        if seen == (target.number,):
            raise PromotionRefused(f"{name}: {target} holds production already; nothing was moved")
        reason = _reason(name, target, moves, override)
        before = holding(server, name, seen[0]) if seen else None
        record = settle(server, Wish(name, "rollback", before, target, who, override=reason, holders=seen))
    if not record.done:
        raise PromotionFailed(f"{record}. {where_now(server, name)}")
    return record


def _is_that(finished: Record, to: str | int | None, seen: tuple[int, ...]) -> bool:
    """Whether all that was left to do was to end this very rollback: done again it would be taken back."""
    after = finished.after
    named = to is None or str(to).removeprefix("langfuse-") in (str(after.number), after.version)
    return finished.done and finished.action == "rollback" and seen == (after.number,) and named


def _reason(name: str, target: Held, moves: list[Record], override: str | None) -> str | None:
    """Why a version may become production that never was. Raises PromotionRefused without one."""
    if target.number in _been(moves):
        return None
    if not (override or "").strip():
        raise PromotionRefused(
            f"{name}: {target} was never production by the record, so this is no way back: promote it on evidence, or "
            'say why it may hold production all the same: --override "reason"'
        )
    return override


def _been(moves: list[Record]) -> set[int]:
    """Every version that held production by the record: where it was moved to, and what a promotion replaced."""
    found = {record.after.number for record in moves}
    return found | {one.before.number for one in moves if one.before and (one.action == "promote" or one is moves[0])}


def _target(server: Server, name: str, to: str | int, seen: tuple[int, ...]) -> Held:
    known = numbers(server, name)
    if not known:
        require_known(server, name)
    wanted = str(to).removeprefix("langfuse-")
    if wanted.isdecimal():
        if int(wanted) in known:
            return held(pull(server, name, number=int(wanted)))
    else:
        for number in reversed(known):
            remote = _readable(server, name, number)
            if remote is not None and remote.local_version == wanted:
                return held(remote)
    others = [str(number) for number in _others(server, name, seen)]
    raise UsageError(f"{name} has no version {to!r} in Langfuse: {choices(str(to), others)}")


def _previous(server: Server, name: str, seen: tuple[int, ...], moves: list[Record]) -> Held:
    """Who held the label before, by the record in Langfuse: before the move that put it where it is, or, when it was
    moved outside the record, where the record left it."""
    if moves and seen != (moves[-1].after.number,):
        return moves[-1].after
    for at in range(len(moves) - 1, -1, -1):
        # A rollback may have begun where somebody had put the label outside of the record: nobody goes back to there.
        came = moves[at].before if at == 0 or moves[at].action == "promote" else moves[at - 1].after
        if came is None:
            break
        if came.number not in seen:
            return came
    if not (others := _others(server, name, seen)):
        require_known(server, name)
        raise PromotionFailed(f"{name}: nothing else was production by the record, and there is no other version")
    been = _been(moves)
    raise PromotionFailed(
        f"{name}: the record in Langfuse names no previous holder of production; choose one with --to: "
        + ", ".join(str(one) if one in been else f'{one} --override "reason"' for one in others)
    )


def _others(server: Server, name: str, seen: tuple[int, ...]) -> list[int]:
    """The versions that could get the label: not who holds it, and not what no prompt can hold."""
    return [number for number in numbers(server, name) if (number,) != seen and _readable(server, name, number)]


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
