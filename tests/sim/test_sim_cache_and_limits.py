"""Prompt cache accounting and declared rate limits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import anthropic
import openai
import pytest
from sim_parts import SYSTEM, TICKET, ask_claude, claude, gpt, run

from workbench.sim.limits import Limits
from workbench.sim.prompt_cache import PromptCache, automatic_prefixes
from workbench.sim.said import Problem
from workbench.sim.tokens import count_tokens
from workbench.sim.wire_anthropic import AnthropicMessages

if TYPE_CHECKING:
    from workbench.sim import StandIn
    from workbench.sim.asked import Asked

LONG = "Many words about tickets. " * 300
CACHED = {"type": "ephemeral"}


@dataclass
class Clock:
    """Time that passes only when told to."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def marked(*blocks: tuple[str, str | None]) -> Asked:
    """A Messages question with a breakpoint of that TTL after each system block that has one."""
    system = [
        {"type": "text", "text": text, **({"cache_control": {**CACHED, "ttl": ttl}} if ttl else {})}
        for text, ttl in blocks
    ]
    return AnthropicMessages().read(ask_claude(system=system), {})


def test_written_once_then_read() -> None:
    """A prefix is written by the first request, read by later ones, and gone after its time unless it was used."""
    clock = Clock()
    cache = PromptCache(clock)
    asked = marked((LONG, "5m"))
    size = count_tokens(LONG)
    first = cache.plan(asked)
    assert (first.read, first.write_short, first.write_long) == (0, size, 0)
    assert cache.plan(asked).read == 0, "nobody can read it before the first reply has begun"
    cache.begin(first)
    for _ in range(3):
        clock.now += 299
        again = cache.plan(asked)
        assert (again.read, again.write_short) == (size, 0)
        cache.begin(again)
    clock.now += 301
    assert cache.plan(asked).read == 0
    assert cache.plan(replace(asked, model="claude-opus-5-5")).read == 0, "models share no cache"


def test_two_times_to_live() -> None:
    """Parts of a prompt with different times to live are counted apart and expire apart."""
    clock = Clock()
    cache = PromptCache(clock)
    both = marked((LONG, "1h"), (LONG.upper(), "5m"))
    plan = cache.plan(both)
    assert (plan.write_long, plan.write_short) == (count_tokens(LONG), count_tokens(LONG.upper()))
    cache.begin(plan)
    clock.now += 3000
    later = cache.plan(both)
    assert (later.read, later.write_short) == (plan.write_long, plan.write_short)


def test_minimum() -> None:
    """A prefix below the model's minimum is neither written nor read, silently."""
    short = marked(("word " * 511, "5m"))
    assert PromptCache().plan(short).write_short == 0
    assert PromptCache().plan(marked(("word " * 512, "5m"))).write_short == 512
    assert PromptCache().plan(replace(marked((LONG, "5m")), model="claude-haiku-4-5")).write_short == 0


def test_automatic_prefixes() -> None:
    """A vendor that caches by itself caches from 1,024 tokens on, in steps of 128, whatever follows."""
    assert automatic_prefixes("word " * 1023, 60) == ()
    one, two = automatic_prefixes("word " * 1300, 60), automatic_prefixes("word " * 1200 + "other " * 100, 60)
    assert [prefix.tokens for prefix in one] == [1024, 1152, 1280]
    assert [a == b for a, b in zip(one, two, strict=True)] == [True, True, False]


def test_anthropic_reports(server: StandIn) -> None:
    """Anthropic's usage adds up: uncached, written and read tokens are the whole prompt, block or top-level mark."""
    system = [{"type": "text", "text": LONG, "cache_control": {**CACHED, "ttl": "1h"}}]
    whole = count_tokens(LONG) + count_tokens(TICKET)

    async def work() -> None:
        async with claude(server.url) as client:
            first = (await client.messages.create(**ask_claude(system=system))).usage
            async with client.messages.stream(**ask_claude(system=system)) as stream:
                second = (await stream.get_final_message()).usage
            third = (await client.messages.create(**ask_claude(system=LONG * 2, cache_control=CACHED))).usage
        assert first.cache_creation.ephemeral_1h_input_tokens == first.cache_creation_input_tokens == count_tokens(LONG)
        assert second.cache_read_input_tokens == count_tokens(LONG)
        for usage in (first, second):
            cached = usage.cache_creation_input_tokens + usage.cache_read_input_tokens
            assert usage.input_tokens + cached == whole
        assert (third.input_tokens, third.cache_creation.ephemeral_5m_input_tokens) == (0, whole + count_tokens(LONG))

    run(work())


def test_openai_reports(server: StandIn) -> None:
    """OpenAI's cached and written tokens are parts of the input tokens; older models do not report writes."""
    system = LONG

    async def ask(client: openai.AsyncOpenAI, model: str) -> tuple[int, int]:
        reply = await client.responses.create(model=model, instructions=system, input=TICKET)
        details = reply.usage.input_tokens_details
        return details.cached_tokens, details.cache_write_tokens

    async def work() -> None:
        async with gpt(server.url) as client:
            expected = (count_tokens(system) + count_tokens(TICKET)) // 128 * 128
            assert await ask(client, "gpt-6-luna") == (0, expected)
            assert await ask(client, "gpt-6-luna") == (expected, 0)
            assert await ask(client, "gpt-5.2") == (0, 0)
            assert await ask(client, "gpt-5.2") == (expected, 0)

    run(work())


def test_buckets_refill() -> None:
    """A bucket holds one minute's worth, refills evenly, and says how long to wait."""
    clock = Clock()
    limits = Limits(clock)
    limits.declare({"openai": {"requests_per_minute": 2, "tokens_per_minute": 1000}})
    limits.take("openai", 10)
    limits.take("openai", 10)
    with pytest.raises(Problem) as caught:
        limits.take("openai", 10)
    assert caught.value.retry_after_s == 30
    clock.now = 30
    limits.take("openai", 600)
    clock.now = 60
    with pytest.raises(Problem, match="tokens per minute") as caught:
        limits.take("openai", 1000)
    assert limits.headers("openai")["x-ratelimit-remaining-tokens"] == "900"
    assert caught.value.retry_after_s == pytest.approx(6)
    limits.take("anthropic", 10**9)


def test_limits_over_the_wire(server: StandIn) -> None:
    """Above a declared limit both vendors answer 429 with Retry-After, and every answer says what is left."""
    per_minute = {"requests_per_minute": 1, "tokens_per_minute": 100_000}
    server.control("settings", {"limits": {"anthropic": per_minute, "openai": per_minute}})

    async def work() -> dict[str, Any]:
        async with claude(server.url) as client:
            raw = await client.messages.with_raw_response.create(**ask_claude())
            headers = dict(raw.headers)
            with pytest.raises(anthropic.RateLimitError) as caught:
                await client.messages.create(**ask_claude())
            assert 0 < int(caught.value.response.headers["retry-after"]) <= 60
        async with gpt(server.url) as client:
            raw = await client.responses.with_raw_response.create(model="gpt-6-luna", input=TICKET)
            headers |= dict(raw.headers)
            with pytest.raises(openai.RateLimitError) as refused:
                await client.responses.create(model="gpt-6-luna", input=TICKET)
            assert refused.value.code == "rate_limit_exceeded"
        return headers

    headers = run(work())
    assert headers["anthropic-ratelimit-requests-limit"] == "1"
    assert headers["anthropic-ratelimit-requests-remaining"] == "0"
    left = 100_000 - count_tokens(SYSTEM) - count_tokens(TICKET)
    assert left <= int(headers["anthropic-ratelimit-tokens-remaining"]) < left + 100
    assert headers["anthropic-ratelimit-tokens-reset"].endswith("Z")
    assert headers["x-ratelimit-limit-tokens"] == "100000"
    assert headers["x-ratelimit-reset-requests"] in {"1m0s", "60s"}
