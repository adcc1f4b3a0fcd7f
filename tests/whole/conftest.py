"""Parts for tests of whole runs: one stand-in server for all of them, over real HTTP."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from workbench import connect
from workbench.client import use
from workbench.datasets import load_dataset
from workbench.sim import StandIn
from workbench.sim.cases import known_cases

if TYPE_CHECKING:
    from collections.abc import Iterator


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


@pytest.fixture(autouse=True)
def no_tasks_left() -> Iterator[None]:
    """A test that leaves an event loop behind would hide a leak of ours."""
    yield
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()
