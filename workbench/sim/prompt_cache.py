"""Prompt cache accounting: which part of a prompt a vendor would read from its cache, and which it would write.

Facts (checked 2026-11-22, vendor documentation, second hand): minimum lengths below, counted on estimated tokens.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workbench.sim.asked import Asked, Prefix
from workbench.sim.tokens import count_tokens, token_ends

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LONG_TTL = 3600
"""From this many seconds on, a written prefix counts as long-lived (1 hour, 12 hours)."""

ANTHROPIC_MINIMUM = {
    "claude-opus-4-8": 1024,
    "claude-sonnet-5": 1024,
    "claude-sonnet-4-6": 1024,
    "claude-sonnet-4-5": 1024,
    "claude-opus-4-7": 2048,
    "claude-opus-4-6": 4096,
    "claude-opus-4-5": 4096,
    "claude-haiku-4-5": 4096,
}
ANTHROPIC_MINIMUM_OTHERS = 512
"""5.5 models, Opus 5, Fable 5, Mythos 5."""

OPENAI_MINIMUM = 1024
OPENAI_STEP = 128
OPENAI_TTL = {"30m": 1800, "12h": 12 * 3600}


@dataclass(frozen=True, slots=True)
class CachePlan:
    """What one request reads and would write. `keep` is what becomes readable when its reply begins."""

    read: int = 0
    write_short: int = 0
    write_long: int = 0
    keep: tuple[tuple[str, int], ...] = ()


@dataclass(slots=True)
class PromptCache:
    """Prefixes that replies have begun with, and until when they are kept. `clock` gives seconds."""

    clock: Callable[[], float] = time.monotonic
    _until: dict[str, float] = field(default_factory=dict)

    def plan(self, asked: Asked) -> CachePlan:
        """Compare the request's prefixes with what is kept now; nothing is stored yet."""
        minimum = minimum_tokens(asked.provider, asked.model)
        usable = [prefix for prefix in asked.prefixes if prefix.tokens >= minimum]
        now = self.clock()
        live = [p for p in usable if self._until.get(_name(asked, p), 0.0) > now]
        read = max((prefix.tokens for prefix in live), default=0)
        short = long = 0
        reached = read
        for prefix in usable:
            if not prefix.marked or prefix.tokens <= reached:
                continue
            if prefix.ttl >= LONG_TTL:
                long += prefix.tokens - reached
            else:
                short += prefix.tokens - reached
            reached = prefix.tokens
        # A read renews what it read; unmarked prefixes are kept only where the vendor caches by itself.
        keep = tuple((_name(asked, p), p.ttl) for p in usable if p.marked or p in live)
        return CachePlan(read, short, long, keep)

    def begin(self, plan: CachePlan) -> None:
        """The reply has begun: from now on others can read what this request wrote."""
        now = self.clock()
        for name, ttl in plan.keep:
            self._until[name] = max(self._until.get(name, 0.0), now + ttl)

    def forget(self) -> None:
        """Empty the cache."""
        self._until.clear()


def minimum_tokens(provider: str, model: str) -> int:
    """The shortest prefix that the vendor caches for this model, in tokens."""
    if provider == "openai":
        return OPENAI_MINIMUM
    return ANTHROPIC_MINIMUM.get(model, ANTHROPIC_MINIMUM_OTHERS)


def prefixes_of(blocks: Sequence[tuple[str, int, int | None]]) -> tuple[Prefix, ...]:
    """Prefixes from (text, tokens, ttl or None where the caller set no breakpoint), up to the last breakpoint."""
    digest = hashlib.sha256()
    tokens = 0
    prefixes: list[Prefix] = []
    last = max(index for index, (_, _, ttl) in enumerate(blocks) if ttl)
    for text, size, ttl in blocks[: last + 1]:
        digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
        tokens += size
        prefixes.append(Prefix(digest.hexdigest(), tokens, ttl or 300, ttl is not None))
    return tuple(prefixes)


def automatic_prefixes(text: str, ttl: int) -> tuple[Prefix, ...]:
    """Prefixes of a vendor that caches by itself, in steps of 128 tokens from 1,024 on."""
    if len(text) < OPENAI_MINIMUM or count_tokens(text) < OPENAI_MINIMUM:
        return ()
    digest = hashlib.sha256()
    start = 0
    prefixes: list[Prefix] = []
    for number, end in enumerate(token_ends(text, OPENAI_STEP), start=1):
        digest.update(text[start:end].encode("utf-8", "surrogatepass"))
        start = end
        if number * OPENAI_STEP >= OPENAI_MINIMUM:
            prefixes.append(Prefix(digest.hexdigest(), number * OPENAI_STEP, ttl))
    return tuple(prefixes)


def _name(asked: Asked, prefix: Prefix) -> str:
    return f"{asked.provider}/{asked.model}/{prefix.digest}"
