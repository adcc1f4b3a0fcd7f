"""How many calls go out at once, and when a failed one goes out again. The only place that retries.

The concurrency bound is simple on purpose: `Traffic.slot` is the seam where pacing by rate limits will go.
"""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workbench.errors import ConnectionRefused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from workbench.errors import CallError


@dataclass(frozen=True, slots=True)
class Retries:
    """When to try again: at most `attempts` in all, waiting what the server asked for, else `first_s` doubled each
    time, jittered, up to `longest_s`; a server that asks for more than `longest_s` is not waited for. A refused
    connection gets one more try only: nobody listens there."""

    attempts: int = 5
    first_s: float = 0.5
    longest_s: float = 60.0

    def pause(self, error: CallError, attempt: int) -> float | None:
        """Seconds to wait before the next attempt, or None to give up. `attempt` counts from 1."""
        allowed = min(self.attempts, 2) if isinstance(error, ConnectionRefused) else self.attempts
        if not error.retryable or attempt >= allowed:
            return None
        if error.retry_after_s is not None:
            # a little later than asked, so that all who were refused together do not come back together
            return error.retry_after_s * _jitter(1.0, 1.1) if error.retry_after_s <= self.longest_s else None
        ceiling = min(self.first_s * 2 ** (attempt - 1), self.longest_s)
        return _jitter(ceiling / 2, ceiling)


def _jitter(low: float, high: float) -> float:
    return random.uniform(low, high)  # noqa: S311  # spreads retries, keeps no secret


@dataclass
class Traffic:
    """The bound on calls in flight per provider, with counts that a view may show.

    `in_flight`: calls under way now. `rate_limited`: replies with status 429 so far.
    """

    concurrency: int = 16
    retries: Retries = field(default_factory=Retries)
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    in_flight: int = 0
    rate_limited: int = 0
    _slots: dict[str, asyncio.Semaphore] = field(default_factory=dict)

    @asynccontextmanager
    async def slot(self, provider: str) -> AsyncIterator[float]:
        """Hold one of the provider's slots; yields the seconds waited for it."""
        slots = self._slots.get(provider) or self._slots.setdefault(provider, asyncio.Semaphore(self.concurrency))
        asked = time.perf_counter()
        async with slots:
            self.in_flight += 1
            try:
                yield time.perf_counter() - asked
            finally:
                self.in_flight -= 1
