from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

# Whatever the import mode, the tests here share one module of parts.
sys.path.insert(0, str(Path(__file__).parent))

from langfuse_parts import OTHER, PAIR

from workbench.sim import StandInLangfuse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langfuse import Langfuse
    from langfuse.api import LangfuseAPI


@pytest.fixture(scope="session")
def running() -> Iterator[StandInLangfuse]:
    """One server with two projects for all tests here: an SDK client is bound to its key's first server."""
    with StandInLangfuse(keys=[PAIR, OTHER]) as server:
        yield server


@pytest.fixture
def server(running: StandInLangfuse) -> StandInLangfuse:
    """The server as new."""
    running.control("reset", {})
    return running


@pytest.fixture(scope="session")
def client(running: StandInLangfuse) -> Iterator[Langfuse]:
    """The real SDK, one client for all tests here."""
    from langfuse import Langfuse

    client = Langfuse(public_key=PAIR[0], secret_key=PAIR[1], base_url=running.url)
    yield client
    client.shutdown()


@pytest.fixture
def sdk(client: Langfuse, server: StandInLangfuse) -> Langfuse:
    """The real SDK at the server as new, with nothing remembered."""
    client.clear_prompt_cache()
    return client


@pytest.fixture
def api(sdk: Langfuse) -> LangfuseAPI:
    """The SDK's generated client."""
    return sdk.api
