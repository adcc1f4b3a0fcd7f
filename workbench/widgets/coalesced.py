"""How often a view draws."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PER_SECOND = 10
"""Updates that a view sends at most: the notebook server drops messages when they come in floods."""


class Coalesced:
    """Calls `draw` at most ten times a second however often `soon` is called, the last time included."""

    def __init__(self, draw: Callable[[], object], per_second: float = PER_SECOND) -> None:
        self._draw = draw
        self._gap = 1 / per_second
        self._next = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def soon(self) -> None:
        """Draw when it is time again. Needs a running event loop."""
        if self._timer is None:
            wait = max(self._next - time.monotonic(), 0.0)
            self._timer = asyncio.get_running_loop().call_later(wait, self.now)

    def now(self) -> None:
        """Draw at once."""
        self.cancel()
        self._next = time.monotonic() + self._gap
        self._draw()

    def cancel(self) -> None:
        """Forget what was waiting."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
