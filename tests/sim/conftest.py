from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

# Whatever the import mode, the tests here share one module of parts.
sys.path.insert(0, str(Path(__file__).parent))

from sim_parts import CASES

from workbench.sim import StandIn

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def running() -> Iterator[StandIn]:
    """One server for the tests of a module."""
    with StandIn(CASES, latency_s=0) as server:
        yield server


@pytest.fixture
def server(running: StandIn) -> StandIn:
    """The module's server as it was when it started."""
    running.control("reset", {})
    return running
