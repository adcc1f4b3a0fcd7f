"""Laws that every adapter keeps against the stand-in servers, over real HTTP with the real SDKs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from provider_calls import EVERY, Via, complete, failure, streamed

from workbench.errors import (
    CallError,
    ConnectionLost,
    KeyRefused,
    MalformedReply,
    Overloaded,
    QuotaReached,
    RateLimited,
    RequestRefused,
    ServerFailed,
    TimedOut,
)
from workbench.providers import open_provider

if TYPE_CHECKING:
    from collections.abc import Callable

    from workbench.sim import StandIn

every = pytest.mark.parametrize("via", EVERY, ids=str)
ways = {"whole": complete, "streamed": streamed}
either_way = pytest.mark.parametrize("ask", ways.values(), ids=list(ways))

HAPPENS: list[tuple[str, type[CallError]]] = [
    ("rate_limit", RateLimited),
    ("quota", QuotaReached),
    ("overloaded", Overloaded),
    ("server_error", ServerFailed),
    ("auth", KeyRefused),
    ("bad_request", RequestRefused),
    ("drop", ConnectionLost),
    ("cut", ConnectionLost),
    ("malformed", MalformedReply),
    ("hang", TimedOut),
]


@every
def test_whole_is_streamed(via: Via, server: StandIn) -> None:
    """The same draw of the same question has the same text and usage, whole or streamed, and is marked as simulated."""

    async def law() -> None:
        for repeat in range(3):
            connection, request = via.connection(server.url, stand_in=True), via.request(repeat=repeat)
            whole = await complete(connection, request)
            pieces, reply = await streamed(connection, request)
            assert whole.text == reply.text == "".join(pieces) != ""
            assert (whole.usage.input_tokens, whole.usage.output_tokens) != (None, None)
            assert (whole.usage, whole.stop_reason) == (reply.usage, reply.stop_reason)
            assert whole.ttft_s is None
            assert reply.ttft_s is not None
            assert whole.source == reply.source == "simulated"
            assert whole.served_by == reply.served_by == via.model

    asyncio.run(law())


@every
@either_way
def test_faults(via: Via, ask: Callable[..., Any], server: StandIn) -> None:
    """Each thing that can go wrong has its class, once and without a second attempt, and the next call is fine."""

    async def law() -> None:
        for kind, expected in HAPPENS:
            server.control("faults", [{"kind": kind, "retry_after_s": 2}])
            before = server.control("stats")["requests"]
            patience = 0.2 if kind == "hang" else 10.0
            connection = via.connection(server.url, stand_in=True, timeout_s=patience)
            error = await failure(ask(connection, via.request(f"about {kind}")), expected)
            assert server.control("stats")["requests"] == before + 1
            assert error.retryable is type(error).retryable
            assert error.maybe_charged is type(error).maybe_charged
            assert error.retry_after_s == (2.0 if kind == "rate_limit" else error.retry_after_s)
            assert f"{via.provider}:{via.model}" in str(error)
            await ask(via.connection(server.url, stand_in=True), via.request(f"about {kind}"))

    asyncio.run(law())


@every
def test_error_inside_a_stream(via: Via, server: StandIn) -> None:
    """An error after the answer has begun is an error, may be tried again, and may have been charged."""
    server.control("faults", [{"kind": "stream_error"}])
    # Ollama's error is a sentence without a code.
    expected = ServerFailed if via.provider == "ollama" else Overloaded
    asked = streamed(via.connection(server.url, stand_in=True), via.request("about everything"))
    error = asyncio.run(failure(asked, expected))
    assert error.retryable
    assert error.maybe_charged


@every
@either_way
@pytest.mark.parametrize(
    ("fault", "word"),
    [("refusal", "refusal"), ("content_filter", "content_filter"), ("truncation", "max_tokens")],
)
def test_stop_reasons(via: Via, ask: Callable[..., Any], fault: str, word: str, server: StandIn) -> None:
    """A refused, filtered or truncated answer is a reply that says so."""
    if via.provider == "ollama" and fault != "truncation":
        pytest.skip("ollama has no word for it")
    if via.provider == "anthropic" and fault == "content_filter":
        word = "refusal"  # the only word that Claude has for it
    server.control("faults", [{"kind": fault}])
    answer = asyncio.run(ask(via.connection(server.url, stand_in=True), via.request("about limits")))
    reply = answer if ask is complete else answer[1]
    assert reply.stop_reason == word


@pytest.mark.parametrize("via", [via for via in EVERY if via.provider != "ollama"], ids=str)
def test_wrong_key(via: Via, server: StandIn) -> None:
    """A wrong key is refused, and the error does not tell it."""
    asked = complete(via.connection(server.url, stand_in=True, api_key="wrong-key"), via.request())
    error = asyncio.run(failure(asked, KeyRefused))
    assert error.status == 401
    assert "wrong-key" not in f"{error} {error!r}"


@every
def test_connections(via: Via, server: StandIn) -> None:
    """200 calls at concurrency 16 use at most 16 connections."""

    async def law() -> None:
        provider = open_provider(via.connection(server.url, stand_in=True, concurrency=16))
        questions = iter(range(200))

        async def worker() -> None:
            for number in questions:
                await provider.complete(via.request(f"question {number}"))

        before = server.control("stats")
        await asyncio.gather(*(worker() for _ in range(16)))
        await provider.close()
        after = server.control("stats")
        assert after["answered"] - before["answered"] == 200
        # Asking for the statistics takes a connection, too.
        assert after["connections"] - before["connections"] <= 16 + 1

    asyncio.run(law())
