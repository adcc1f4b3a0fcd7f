"""Declared rate limits: token buckets per provider, and the headers in which each vendor tells how much is left."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from workbench.sim.said import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PER_MINUTE = {"requests": "requests_per_minute", "tokens": "tokens_per_minute"}


@dataclass(slots=True)
class Bucket:
    """Holds up to one minute's worth and refills evenly."""

    per_minute: float
    left: float
    at: float

    def refill(self, now: float) -> None:
        """Add what came in since the last look."""
        self.left = min(self.per_minute, self.left + (now - self.at) * self.per_minute / 60)
        self.at = now

    def wait_for(self, amount: float) -> float:
        """Seconds until `amount` is there; an amount above the whole bucket waits for a full one."""
        return max(0.0, (min(amount, self.per_minute) - self.left) * 60 / self.per_minute)


@dataclass(slots=True)
class Limits:
    """The declared limits of all providers. `clock` gives seconds; input tokens count, output tokens do not."""

    clock: Callable[[], float] = time.monotonic
    _buckets: dict[str, dict[str, Bucket]] = field(default_factory=dict)

    def declare(self, limits: Mapping[str, Mapping[str, float]] | None) -> None:
        """Replace all limits by {provider: {requests_per_minute, tokens_per_minute}}; buckets start full."""
        now = self.clock()
        self._buckets = {
            provider: {
                what: Bucket(given[name], given[name], now) for what, name in PER_MINUTE.items() if given.get(name)
            }
            for provider, given in (limits or {}).items()
        }

    def take(self, provider: str, tokens: int) -> None:
        """Take one request and its tokens; raises Problem with the time to wait if a bucket has too little."""
        amounts = {"requests": 1, "tokens": tokens}
        buckets = self._buckets.get(provider, {})
        for bucket in buckets.values():
            bucket.refill(self.clock())
        waits = {what: bucket.wait_for(amounts[what]) for what, bucket in buckets.items()}
        worst = max(waits, key=lambda what: waits[what], default="")
        if worst and waits[worst] > 0:
            raise Problem("rate_limit", f"Rate limit reached on {worst} per minute.", retry_after_s=waits[worst])
        for what, bucket in buckets.items():
            bucket.left -= amounts[what]

    def headers(self, provider: str) -> dict[str, str]:
        """The vendor's headers for the present state; none where nothing is declared."""
        headers: dict[str, str] = {}
        for what, bucket in self._buckets.get(provider, {}).items():
            bucket.refill(self.clock())
            full_in = bucket.wait_for(bucket.per_minute)
            values: dict[str, Any] = {"limit": int(bucket.per_minute), "remaining": max(0, int(bucket.left))}
            if provider == "anthropic":
                reset = datetime.now(UTC) + timedelta(seconds=math.ceil(full_in))
                values["reset"] = reset.strftime("%Y-%m-%dT%H:%M:%SZ")
                headers |= {f"anthropic-ratelimit-{what}-{name}": str(value) for name, value in values.items()}
            elif provider == "openai":
                values["reset"] = _span(full_in)
                headers |= {f"x-ratelimit-{name}-{what}": str(value) for name, value in values.items()}
        return headers


def retry_headers(problem: Problem) -> dict[str, str]:
    """`retry-after` in whole seconds, and in milliseconds too where those would not be exact."""
    wait = problem.retry_after_s
    if wait is None:
        return {}
    headers = {"retry-after": str(math.ceil(wait))}
    if wait != int(wait):
        headers["retry-after-ms"] = str(math.ceil(wait * 1000))
    return headers


def _span(seconds: float) -> str:
    """A duration as OpenAI writes it: 120ms, 1s, 6m0s."""
    if seconds < 1:
        return f"{math.ceil(seconds * 1000)}ms"
    minutes, rest = divmod(math.ceil(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
