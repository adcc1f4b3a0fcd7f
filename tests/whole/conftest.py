"""Parts for tests of whole runs, over the stand-in server of `tests/conftest.py`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def no_tasks_left() -> Iterator[None]:
    """A test that leaves an event loop behind would hide a leak of ours."""
    yield
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()
