"""Waiting for a server that asks for patience: the same rule for whoever asks it again."""

from __future__ import annotations

import math
from threading import Event
from typing import TYPE_CHECKING, TypeVar

from workbench.errors import LangfuseAway

if TYPE_CHECKING:
    from collections.abc import Callable

Answer = TypeVar("Answer")

TOO_MANY = 429
SHORTEST_WAIT_S = 0.1
"""What a wait of nothing counts as, so that a server that always says "at once" is left alone some day."""


class Patience:
    """How long one sending may wait in all for a server that asks for patience. `stop`: set when somebody cannot wait
    any longer; `over`: the server did not take something, so there is no use in asking it for more."""

    def __init__(self, seconds: float = 30.0, stop: Event | None = None) -> None:
        self.left_s = seconds
        self.over = False
        self._stop = stop or Event()

    def ask(self, ask: Callable[[], Answer]) -> Answer:
        """The answer, after as many waits as a 429 asks for and patience allows. Raises what `ask` raises."""
        while True:
            if self._stop.is_set():
                raise LangfuseAway("stopped before everything was sent")
            try:
                return ask()
            except LangfuseAway as error:
                if error.status != TOO_MANY or not self.wait(error.retry_after_s):
                    raise

    def wait(self, seconds: float | None) -> bool:
        """Wait as long as the server asked for, a second where it did not say; False where that would be too long."""
        wait = max(1.0 if seconds is None else seconds, SHORTEST_WAIT_S)
        if wait > self.left_s:
            return False
        self.left_s -= wait
        return not self._stop.wait(seconds if seconds is not None else wait)


def seconds_of(text: str | None) -> float | None:
    """A Retry-After in seconds; None for one that says none."""
    try:
        found = float(text) if text else math.nan
    except ValueError:
        return None
    return max(found, 0.0) if math.isfinite(found) else None
