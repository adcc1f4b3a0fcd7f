"""Laws of what goes wrong: every failure has one class, whoever reports it and however it is wrapped."""

from __future__ import annotations

import asyncio
import socket
import traceback
from dataclasses import replace
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from provider_calls import ENDPOINTS, EVERY, KEY, Via, complete, failure, streamed
from vendor_server import Sent, VendorServer, answer, saying

from workbench.errors import (
    CallError,
    ConnectionLost,
    ConnectionRefused,
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
from workbench.providers.failures import Asked, retry_after, translate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

every = pytest.mark.parametrize("via", EVERY, ids=str)
either_way = pytest.mark.parametrize("ask", [complete, streamed], ids=["whole", "streamed"])
claude, responses, chat, ollama = ENDPOINTS


def body_of(via: Via, message: str, kind: str = "", code: str = "") -> dict[str, Any]:
    """An error as this vendor words it."""
    if via.provider == "anthropic":
        details = {"details": {"error_code": code}} if code else {}
        error = {"type": kind or "api_error", "message": message, **details}
        return {"type": "error", "error": error, "request_id": "req_7"}
    if via.provider == "openai":
        return {"error": {"message": message, "type": kind or None, "param": None, "code": code or None}}
    return {"error": message}


STATUSES = [
    (308, RequestRefused),
    (400, RequestRefused),
    (401, KeyRefused),
    (402, QuotaReached),
    (403, KeyRefused),
    (404, RequestRefused),
    (408, ServerFailed),
    (409, ServerFailed),
    (413, RequestRefused),
    (418, RequestRefused),
    (422, RequestRefused),
    (429, RateLimited),
    (500, ServerFailed),
    (503, Overloaded),
    (504, ServerFailed),
    (529, Overloaded),
]


@every
@either_way
def test_statuses(via: Via, ask: Callable[..., Any]) -> None:
    """Each HTTP status has its class; the error has status, request id and the vendor's words; nobody asks twice."""

    async def law() -> None:
        for status, kind in STATUSES:
            respond = saying(body_of(via, "the vendor's words"), status=status, headers={"x-request-id": "req_7"})
            async with VendorServer(respond) as server:
                error = await failure(ask(via.connection(server.url), via.request()), kind)
                assert len(server.sent) == 1
            assert (error.status, error.request_id, error.retry_after_s) == (status, "req_7", None)
            assert f"{via.provider}:{via.model}" in str(error)
            assert "the vendor's words" in str(error)
            assert error.retryable is kind.retryable
            assert error.maybe_charged is kind.maybe_charged

    asyncio.run(law())


@pytest.mark.parametrize(
    ("via", "status", "kind", "code"),
    [
        (claude, 429, "rate_limit_error", "enforced_spend_limit_reached"),
        (claude, 429, "rate_limit_error", "contract_spend_limit_reached"),
        (claude, 402, "billing_error", ""),
        (claude, 400, "billing_error", ""),
        (responses, 429, "insufficient_quota", "insufficient_quota"),
        (chat, 429, "", "insufficient_quota"),
        (chat, 400, "invalid_request_error", "billing_hard_limit_reached"),
    ],
)
def test_quota(via: Via, status: int, kind: str, code: str) -> None:
    """A limit that no waiting cures is told from one that passes by its words, whatever the status."""

    async def law() -> None:
        async with VendorServer(saying(body_of(via, "no credit", kind, code), status=status)) as server:
            error = await failure(complete(via.connection(server.url), via.request()), QuotaReached)
        assert not error.retryable

    asyncio.run(law())


@every
def test_retry_after_reaches_the_caller(via: Via) -> None:
    """What the server asks to wait is in the error, in seconds, and nobody waits here."""

    async def law() -> None:
        headers = {"retry-after": "17", "retry-after-ms": "16500"}
        respond = saying(body_of(via, "slow down"), status=429, headers=headers)
        async with VendorServer(respond) as server:
            error = await failure(complete(via.connection(server.url), via.request()), RateLimited)
        assert error.retry_after_s == 16.5

    asyncio.run(law())


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after": "-4"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after-ms": "bad", "retry-after": "2"}, 2.0),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"retry-after": "Wed, 99 Oct 2015 07:28:00 GMT"}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    """A number of seconds or milliseconds, or a date; nonsense is nothing, and the past is now."""
    assert retry_after(headers) == seconds


def test_retry_after_date() -> None:
    """A date in the future is so many seconds from now."""
    import time

    found = retry_after({"retry-after": formatdate(time.time() + 60, usegmt=True)})
    assert found is not None
    assert 50 < found <= 60


@every
@either_way
def test_three_broken_connections(via: Via, ask: Callable[..., Any]) -> None:
    """Nobody there, a dropped connection and silence are three errors, whatever the transport calls them."""

    async def dropped(request: web.Request, sent: Sent) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    async def reset(request: web.Request, sent: Sent) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async def silent(request: web.Request, sent: Sent) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    async def short(request: web.Request, sent: Sent) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-length": "1000", "content-type": "application/json"})
        await response.prepare(request)
        await response.write(b" ")
        assert request.transport is not None
        request.transport.close()
        return response

    async def law() -> None:
        error = await failure(ask(via.connection(_closed_port()), via.request()), ConnectionRefused)
        assert error.retryable
        assert not error.maybe_charged
        assert "nothing was charged" in str(error)
        for respond in (dropped, reset, short):
            async with VendorServer(respond) as server:
                error = await failure(ask(via.connection(server.url), via.request()), ConnectionLost)
            assert error.retryable
            assert error.maybe_charged
        async with VendorServer(silent) as server:
            error = await failure(ask(via.connection(server.url, timeout_s=0.2), via.request()), TimedOut)
        assert error.retryable
        assert error.maybe_charged

    asyncio.run(law())


@every
def test_silence_inside_a_stream(via: Via) -> None:
    """A stream that falls silent times out, and its pieces never become a reply."""

    async def silent(request: web.Request, sent: Sent) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await asyncio.Event().wait()
        return response

    async def law() -> None:
        async with VendorServer(silent) as server:
            await failure(streamed(via.connection(server.url, timeout_s=0.2), via.request()), TimedOut)

    asyncio.run(law())


def _closed_port() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


@every
@either_way
def test_key_stays_secret(via: Via, ask: Callable[..., Any]) -> None:
    """A server that quotes the key back does not get it into the message, the repr or the traceback."""

    async def law() -> None:
        respond = saying(body_of(via, f"Incorrect API key provided: {KEY}."), status=401)
        async with VendorServer(respond) as server:
            try:
                await ask(via.connection(server.url), via.request())
            except KeyRefused as error:
                shown = [str(error), repr(error), *traceback.format_exception(error)]
            assert server.sent[0].headers["authorization"] == f"Bearer {KEY}"
        assert not any(KEY in text for text in shown)
        assert "[key]" in shown[0]
        assert "Check the key" in shown[0]

    asyncio.run(law())


@every
def test_text_that_is_no_unicode(via: Via) -> None:
    """A lone surrogate cannot be sent; whoever asks is told so, and nothing was charged."""

    async def law() -> None:
        async with VendorServer() as server:
            request = via.request("half of a pair: \ud83d")
            error = await failure(complete(via.connection(server.url), request), RequestRefused)
            assert not server.sent
            assert not error.maybe_charged

    asyncio.run(law())


@pytest.mark.parametrize("kind", [asyncio.CancelledError, KeyboardInterrupt, GeneratorExit, RuntimeError])
def test_what_is_no_failure_of_a_call(kind: type[BaseException]) -> None:
    """Cancelling is not translated, nor is a bug of ours, even while something else goes wrong."""
    error = kind()
    error.__context__ = ConnectionResetError("on the way")
    assert translate(error, Asked("x:y"), None) is None


@every
def test_cancelling(via: Via) -> None:
    """A cancelled call is cancelled, and the adapter stays usable."""

    async def law() -> None:
        arrived = asyncio.Event()

        async def first_silent(request: web.Request, sent: Sent) -> web.StreamResponse:
            if not arrived.is_set():
                arrived.set()
                await asyncio.Event().wait()
            return await answer(request, sent)

        async with VendorServer(first_silent) as server:
            provider = open_provider(via.connection(server.url, concurrency=1))
            call = asyncio.ensure_future(provider.complete(via.request()))
            await arrived.wait()
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert (await provider.complete(via.request())).text
            await provider.close()

    asyncio.run(law())


def _bases() -> Iterator[type[CallError]]:
    yield from (ConnectionLost, ConnectionRefused, KeyRefused, MalformedReply, Overloaded, QuotaReached)
    yield from (RateLimited, RequestRefused, ServerFailed, TimedOut)


def test_every_error_has_a_sentence() -> None:
    """Each class of call error says who, what and the cure; long vendor texts are cut, short placeholders kept."""
    asked = Asked("openai:gpt-6-luna", "ollama")
    for kind in _bases():
        text = str(asked.failure(kind, "ollama " + "word \n" * 1000))
        assert text.startswith("openai:gpt-6-luna ")
        assert text.endswith(".")
        assert "ollama" in text
        assert len(text) < 500
        assert "\n" not in text
    assert set(_bases()) == set(CallError.__subclasses__())


def test_replace_keeps_connection_quiet() -> None:
    """A connection's repr has no key, also after `replace`."""
    connection = claude.connection("http://127.0.0.1:1")
    assert KEY not in repr(replace(connection, timeout_s=1.0))
    assert KEY not in str(connection)
