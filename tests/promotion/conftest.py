"""A Langfuse project with v3 of the tickets prompt in production, and a confirmed verdict on v4 against it."""

from __future__ import annotations

import asyncio
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import workbench as wb
from workbench import connect
from workbench.client import use
from workbench.langfuse.prompts import move_label, pull, push
from workbench.langfuse.server import Address, Server
from workbench.promotion.move import Wish, held, move
from workbench.sim.langfuse import PUBLIC_KEY, SECRET_KEY

sys.path.insert(0, str(Path(__file__).parent))  # the helpers beside the tests, whatever import mode pytest runs in

import moving
from promote_parts import NAME, confirm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workbench.langfuse.prompts import Remote
    from workbench.promotion.record import Held
    from workbench.sim import StandIn, StandInLangfuse
    from workbench.verdict import Verdict


@pytest.fixture
def project(langfuse: StandInLangfuse) -> Iterator[Server]:
    """The project as new."""
    with Server(Address(langfuse.url, PUBLIC_KEY, SECRET_KEY, stand_in=True)) as server:
        yield server


@pytest.fixture
def production(project: Server) -> Remote:
    """v3, which holds production."""
    number = push(project, wb.load_prompt(f"{NAME}@v3")).number
    move_label(project, NAME, number)
    return pull(project, NAME)


@pytest.fixture
def begun(project: Server) -> Remote:
    """v3 in production, by the record."""
    remote = push(project, wb.load_prompt(f"{NAME}@v3"))
    assert move(project, Wish(NAME, "begin", None, held(remote), "the team")).done
    return remote


@pytest.fixture
def pushed(project: Server) -> list[Held]:
    """Six versions of another prompt, Langfuse's numbers 1 to 6; the first holds production, by the record."""
    found = [held(push(project, prompt)) for prompt in moving.versions()]
    assert move(project, Wish(moving.NAME, "begin", None, found[0], "the test")).done
    return found


@pytest.fixture(scope="session")
def confirmed(running_server: StandIn, tmp_path_factory: pytest.TempPathFactory) -> tuple[Verdict, Path]:
    """A real confirmation with what it left behind, made once: most tests begin where it ended."""
    home = tmp_path_factory.mktemp("confirmed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(home))
        connect.at({name: running_server.url + path for name, path in connect.PATHS.items()})
        verdict = asyncio.run(confirm("v4", "v3"))
        use(None)
    return verdict, home / ".workbench"


@pytest.fixture
def verdict(server: StandIn, confirmed: tuple[Verdict, Path], home: Path) -> Verdict:
    """v4 against v3, confirmed on the unseen test cases of one model in this workspace."""
    shutil.copytree(confirmed[1], home / ".workbench", dirs_exist_ok=True)
    return confirmed[0]
