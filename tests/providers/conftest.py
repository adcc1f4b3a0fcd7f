from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the helpers beside the tests, whatever import mode pytest runs in

from workbench.sim import StandIn

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def running() -> Iterator[StandIn]:
    """One stand-in server for all laws."""
    with StandIn(latency_s=0) as server:
        yield server


@pytest.fixture
def server(running: StandIn) -> StandIn:
    """The stand-in as it was when it started."""
    running.control("reset", {})
    return running
