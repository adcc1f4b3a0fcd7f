"""What every test gets: a workspace of its own, no settings from outside, the same examples on every run;
and, for those that ask, one stand-in server of each kind over real HTTP."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings as hypothesis_settings

from workbench import connect
from workbench.client import use
from workbench.datasets import load_dataset
from workbench.settings import DEFAULTS
from workbench.sim import StandIn, StandInLangfuse
from workbench.sim.cases import known_cases

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

hypothesis_settings.register_profile("steady", deadline=None, derandomize=True)
hypothesis_settings.load_profile("steady")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The test's workspace."""
    for name in (
        *DEFAULTS,
        *(name for name in os.environ if name.startswith(("ANTHROPIC_", "OPENAI_", "OLLAMA_", "LANGFUSE_"))),
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="session")
def running_server() -> Iterator[StandIn]:
    """One server for the whole session: starting a process for each test would cost more than the tests."""
    known = [
        case for name in ("tickets", "policy-qa", "invoices") for case in known_cases(name, load_dataset(name).cases)
    ]
    with StandIn(known, latency_s=0.0) as server:
        yield server


@pytest.fixture
def server(running_server: StandIn) -> Iterator[StandIn]:
    """The server as new, with a session that uses it for all three providers."""
    running_server.control("reset", {})
    connect.at({name: running_server.url + path for name, path in connect.PATHS.items()})
    yield running_server
    use(None)


@pytest.fixture(scope="session")
def running_langfuse() -> Iterator[StandInLangfuse]:
    """One Langfuse for the whole session, with its store in a temporary file."""
    with StandInLangfuse() as server:
        yield server


@pytest.fixture
def langfuse(running_langfuse: StandInLangfuse) -> StandInLangfuse:
    """The Langfuse as new: nothing stored, no faults."""
    running_langfuse.control("reset", {})
    return running_langfuse
