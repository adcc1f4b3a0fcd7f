"""A process that is killed at any step of a move."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
from moving import NAME, one_move
from test_promotion_races import start

from workbench.errors import PromotionFailed
from workbench.langfuse.prompts import holders
from workbench.promotion.log import Log
from workbench.promotion.move import finish_open, last_record, recorded
from workbench.promotion.rollback import rollback
from workbench.promotion.status import promotions, status

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.langfuse.server import Server
    from workbench.promotion.record import Held
    from workbench.sim import StandInLangfuse

CALLS = 40
"""More calls than one move makes: the last cases show that an uninjured process comes through."""


def killed(langfuse: StandInLangfuse, home: Path, at: int, when: str) -> bool:
    """Whether a process that moves production from 1 to 2 was killed at its n-th call."""
    process = start(langfuse, home, by="the dead", moves=[[1, 2]], kill_at=at, when=when)
    process.communicate(timeout=60)
    assert process.returncode in (0, -signal.SIGKILL)
    return process.returncode != 0


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_anywhere_the_next_call_ends_it(
    langfuse: StandInLangfuse,
    project: Server,
    pushed: list[Held],
    home: Path,
    when: str,
) -> None:
    """Whatever the call at which a promotion is killed, the next promotion of that workspace finishes or undoes it, and
    succeeds; the record explains the label, and its chain holds."""
    alive = 0
    for at in range(1, CALLS):
        if not killed(langfuse, home, at, when):
            alive += 1
            rollback(NAME, 1, by="the test", server=project)
            break
        answer = one_move(project, None, 3, "the next", 60.0)
        assert answer["result"] == "done", answer
        assert holders(project, NAME) == (3,)
        assert status(NAME, server=project).outside is False
        rollback(NAME, 1, by="the test", server=project)
    assert alive == 1
    assert promotions(NAME, server=project).faults == ()
    dead = [record for record in recorded(project, NAME) if record.by == "the dead"]
    assert {record.result for record in dead} == {"done", "undone"}


def test_another_machine_waits_for_the_lease(
    langfuse: StandInLangfuse, project: Server, pushed: list[Held], tmp_path: Path
) -> None:
    """Another workspace may not end a move that may still be alive, and ends it once its lease is over."""
    at = next(at for at in range(1, CALLS) if killed(langfuse, tmp_path / "a", at, "after") and is_open(project))
    assert at
    with pytest.raises(PromotionFailed, match="under way"):
        finish_open(project, NAME, "somebody else")
    assert is_open(project)


def test_a_lease_ends(langfuse: StandInLangfuse, project: Server, pushed: list[Held], tmp_path: Path) -> None:
    """A move whose lease is over by the server's clock is ended by whoever comes next, from any machine."""
    for at in range(1, CALLS):
        process = start(langfuse, tmp_path / "a", by="the dead", moves=[[1, 2]], kill_at=at, when="after", lease_s=0.0)
        process.communicate(timeout=60)
        if is_open(project):
            break
    assert is_open(project)
    record = finish_open(project, NAME, "somebody else")
    assert record is not None and record.result in ("done", "undone")
    assert not is_open(project)
    assert last_record(Log(project, NAME).state()) == record


def is_open(project: Server) -> bool:
    """Whether a move is open in the log."""
    return Log(project, NAME).state().open is not None
