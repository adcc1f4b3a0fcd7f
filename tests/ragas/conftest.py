"""Parts for ragas' tests: one stand-in server, and a watch on every address that this process connects to."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the helpers beside the tests, whatever import mode pytest runs in

from workbench import connect
from workbench.client import use
from workbench.datasets import load_dataset
from workbench.sim import StandIn
from workbench.sim.cases import known_cases

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTACTED: list[Any] = []
_watching = False


def _watch(event: str, args: tuple[Any, ...]) -> None:
    if _watching and event == "socket.connect":
        CONTACTED.append(args[1])
    if _watching and event == "socket.getaddrinfo":
        CONTACTED.append(args[:2])


sys.addaudithook(_watch)


@pytest.fixture(scope="session")
def running_server() -> Iterator[StandIn]:
    """One server for all tests here."""
    with StandIn(known_cases("policy-qa", load_dataset("policy-qa").cases), latency_s=0.0) as server:
        yield server


@pytest.fixture
def server(running_server: StandIn) -> Iterator[StandIn]:
    """The server as new, with a session that uses it for all three providers."""
    running_server.control("reset", {})
    connect.at({name: running_server.url + path for name, path in connect.PATHS.items()})
    yield running_server
    use(None)


@pytest.fixture(autouse=True)
def loopback_only() -> Iterator[None]:
    """Nothing but this machine is contacted, by ragas' telemetry or anyone else."""
    global _watching
    CONTACTED.clear()
    _watching = True
    yield
    _watching = False
    hosts = {address if isinstance(address, str) else address[0] for address in CONTACTED}
    assert hosts <= {"127.0.0.1", "localhost", "::1"}
