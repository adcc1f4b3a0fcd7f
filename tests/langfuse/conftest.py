"""A Server on the stand-in, and one on something that stands between the two."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from workbench.langfuse.server import Address, Server
from workbench.sim.langfuse import PUBLIC_KEY, SECRET_KEY

sys.path.insert(0, str(Path(__file__).parent))  # the helpers beside the tests, whatever import mode pytest runs in

from langfuse_between import Between

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workbench.sim import StandInLangfuse


@pytest.fixture
def remote(langfuse: StandInLangfuse) -> Iterator[Server]:
    """The stand-in's project, as new."""
    with Server(Address(langfuse.url, PUBLIC_KEY, SECRET_KEY, stand_in=True)) as server:
        yield server


@pytest.fixture
def between(langfuse: StandInLangfuse) -> Iterator[Between]:
    """The stand-in behind something that can change what is asked and answered."""
    with Between(langfuse.url) as relay:
        yield relay


@pytest.fixture
def changed(between: Between) -> Iterator[Server]:
    """The same project, seen through `between`."""
    with Server(Address(between.url, PUBLIC_KEY, SECRET_KEY, stand_in=True)) as server:
        yield server
