"""Laws of what comes back, over the vendor's formats as documented."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import warnings
from contextlib import aclosing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest
import vendor_answers
from aiohttp import web
from provider_calls import ENDPOINTS, EVERY, KEY, Via, complete, failure, streamed
from vendor_server import Sent, VendorServer, saying

from workbench.errors import (
    CallError,
    ConnectionLost,
    MalformedReply,
    Overloaded,
    RateLimited,
    RequestRefused,
    ServerFailed,
    SettingsError,
)
from workbench.providers import PROVIDERS, Connection, open_provider
from workbench.records import Reply, Usage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

every = pytest.mark.parametrize("via", EVERY, ids=str)
claude, responses, chat, ollama = ENDPOINTS

FULL = Usage(
    input_tokens=vendor_answers.WHOLE_INPUT,
    cache_write_5m_tokens=vendor_answers.WRITES_5M,
    cache_write_1h_tokens=vendor_answers.WRITES_1H,
    cache_read_tokens=vendor_answers.READS,
    output_tokens=vendor_answers.OUTPUT,
    reasoning_tokens=vendor_answers.REASONING,
)


async def both(via: Via, server: VendorServer) -> tuple[Reply, list[str], Reply]:
    """The same question whole and streamed."""
    whole = await complete(via.connection(server.url), via.request())
    pieces, reply = await streamed(via.connection(server.url), via.request())
    return whole, pieces, reply


@every
def test_reply(via: Via) -> None:
    """Whole or streamed, a reply has the same text without thinking, the same usage, and says who served it."""

    async def law() -> None:
        async with VendorServer() as server:
            whole, pieces, reply = await both(via, server)
        assert whole.text == reply.text == "".join(pieces) == vendor_answers.TEXT
        assert pieces[0] == vendor_answers.PIECES[0]
        small = Usage(input_tokens=vendor_answers.WHOLE_INPUT, output_tokens=vendor_answers.OUTPUT)
        assert whole.usage == reply.usage == (small if via.provider == "ollama" else FULL)
        assert whole.ttft_s is None
        assert reply.ttft_s is not None
        assert 0 < reply.ttft_s <= reply.latency_s
        constant = {"latency_s": 0.0, "ttft_s": None}
        assert replace(whole, **constant) == replace(reply, **constant)  # type: ignore[arg-type]
        assert (whole.stop_reason, whole.served_by, whole.request_id) == ("end", "served-model", "req_1")
        assert (whole.source, whole.attempts, whole.cached) == ("live", 1, False)

    asyncio.run(law())


@pytest.mark.parametrize(
    ("via", "change", "word"),
    [
        (claude, {"stop_reason": "max_tokens"}, "max_tokens"),
        (claude, {"stop_reason": "refusal", "content": []}, "refusal"),
        (claude, {"stop_reason": "stop_sequence"}, "stop_sequence"),
        (claude, {"stop_reason": "pause_turn"}, "pause_turn"),
        (responses, {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "max_tokens"),
        (responses, {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, "content_filter"),
        (ollama, {"done_reason": "length"}, "max_tokens"),
        (ollama, {"done_reason": "load"}, "load"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_stop_reason(via: Via, change: dict[str, object], word: str) -> None:
    """Why an answer stopped is told in our words, and in the vendor's where we have none."""

    async def law() -> None:
        async with VendorServer(saying({**vendor_answers.WHOLE[via.path], **change})) as server:
            assert (await complete(via.connection(server.url), via.request())).stop_reason == word

    asyncio.run(law())


def _refused_response() -> dict[str, object]:
    part = {"type": "refusal", "refusal": "I cannot help with that."}
    return {**vendor_answers.RESPONSE, "output": [{"type": "message", "role": "assistant", "content": [part]}]}


def _refused_chat() -> dict[str, object]:
    message = {"role": "assistant", "content": None, "refusal": "I cannot help with that."}
    return {**vendor_answers.CHAT, "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}


@pytest.mark.parametrize(
    ("via", "whole", "events"),
    [
        (
            responses,
            _refused_response(),
            [
                {"type": "response.refusal.delta", "delta": "I cannot help "},
                {"type": "response.refusal.delta", "delta": "with that."},
                {"type": "response.completed", "response": _refused_response()},
            ],
        ),
        (
            chat,
            _refused_chat(),
            [
                {"choices": [{"index": 0, "delta": {"refusal": "I cannot help "}, "finish_reason": None}]},
                {"choices": [{"index": 0, "delta": {"refusal": "with that."}, "finish_reason": "stop"}]},
                {"choices": [], "usage": vendor_answers.CHAT_USAGE},
            ],
        ),
    ],
    ids=["responses", "chat_completions"],
)
def test_refusal_text(via: Via, whole: dict[str, object], events: list[dict[str, object]]) -> None:
    """The words of a refusal are the text of the reply, whole or streamed, and its stop reason says what they are."""

    async def law() -> None:
        async with VendorServer(saying(whole, [vendor_answers.sse(event) for event in events])) as server:
            answer, pieces, reply = await both(via, server)
        assert answer.text == reply.text == "".join(pieces) == "I cannot help with that."
        assert answer.stop_reason == reply.stop_reason == "refusal"

    asyncio.run(law())


def test_fewer_deltas_than_text() -> None:
    """A Responses server that sends its text only in the last event loses none of it."""

    async def law() -> None:
        last = [vendor_answers.STREAMED[responses.path][-1]]
        async with VendorServer(saying(None, last)) as server:
            pieces, reply = await streamed(responses.connection(server.url), responses.request())
        assert pieces == [vendor_answers.TEXT] == [reply.text]

    asyncio.run(law())


@pytest.mark.parametrize(
    ("via", "path_to_counter"),
    [(claude, "usage"), (responses, "usage"), (chat, "usage"), (ollama, "prompt_eval_count")],
    ids=str,
)
def test_missing_counters_are_unknown(via: Via, path_to_counter: str) -> None:
    """A token counter that the server left out is unknown, not zero."""

    async def law() -> None:
        empty = {**vendor_answers.WHOLE[via.path], path_to_counter: {} if path_to_counter == "usage" else None}
        async with VendorServer(saying(empty)) as server:
            reply = await complete(via.connection(server.url), via.request())
        assert reply.usage.input_tokens is None
        assert reply.text == vendor_answers.TEXT

    asyncio.run(law())


@every
def test_cut_streams(via: Via) -> None:
    """A stream that ends before its last event is a lost connection, wherever it was cut, and never a reply."""

    async def law() -> None:
        events = vendor_answers.STREAMED[via.path]
        for kept in range(len(events) - (3 if via.endpoint == "chat_completions" else 1)):
            async with VendorServer(saying(None, events[:kept])) as server:
                error = await failure(streamed(via.connection(server.url), via.request()), ConnectionLost)
            assert error.retryable
            assert error.maybe_charged

    asyncio.run(law())


@pytest.mark.parametrize("via", [via for via in EVERY if via.endpoint == "chat_completions"], ids=str)
def test_cut_before_usage(via: Via) -> None:
    """A chat completion that breaks off after its text but before its token counts is a lost connection."""

    async def law() -> None:
        async def respond(request: web.Request, sent: Sent) -> web.StreamResponse:
            response = web.StreamResponse(headers={"content-type": "text/event-stream"})
            await response.prepare(request)
            for event in vendor_answers.STREAMED[via.path][:-2]:
                await response.write(event)
            assert request.transport is not None
            request.transport.close()
            return response

        async with VendorServer(respond) as server:
            await failure(streamed(via.connection(server.url), via.request()), ConnectionLost)

    asyncio.run(law())


@every
def test_break_after_the_end(via: Via) -> None:
    """A connection that breaks after the last event has taken nothing away: the paid reply is kept."""

    async def law() -> None:
        async def respond(request: web.Request, sent: Sent) -> web.StreamResponse:
            response = web.StreamResponse(headers={"content-type": "text/event-stream"})
            await response.prepare(request)
            for event in vendor_answers.STREAMED[via.path]:
                await response.write(event)
            assert request.transport is not None
            request.transport.close()
            return response

        async with VendorServer(respond) as server:
            pieces, reply = await streamed(via.connection(server.url), via.request())
        assert "".join(pieces) == reply.text == vendor_answers.TEXT

    asyncio.run(law())


@pytest.mark.parametrize(
    ("via", "event", "kind"),
    [
        (claude, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, Overloaded),
        (claude, {"type": "error", "error": {"type": "api_error", "message": "boom"}}, ServerFailed),
        (responses, {"type": "error", "code": "server_error", "message": "boom", "param": None}, ServerFailed),
        (responses, {"type": "response.failed", "response": {"error": {"code": "server_error"}}}, ServerFailed),
        (responses, {"type": "response.failed", "response": {"error": {"code": "invalid_prompt"}}}, RequestRefused),
        (chat, {"error": {"message": "busy", "type": "server_error", "code": "server_is_overloaded"}}, Overloaded),
        (ollama, {"error": "an error was encountered while running the model"}, ServerFailed),
    ],
    ids=lambda value: value if isinstance(value, (str, Via)) else None,
)
def test_error_inside_a_stream(via: Via, event: dict[str, object], kind: type[CallError]) -> None:
    """An error that comes after HTTP 200 is told by its words, and may have been charged."""

    async def law() -> None:
        line = json.dumps(event).encode() + b"\n" if via is ollama else vendor_answers.sse(event)
        async with VendorServer(saying(None, [*vendor_answers.STREAMED[via.path][:3], line])) as server:
            error = await failure(streamed(via.connection(server.url), via.request()), kind)
        assert error.maybe_charged

    asyncio.run(law())


@every
@pytest.mark.parametrize("body", [b"<html>gateway</html>", b'{"id": ', b"[]", b"{}", b"null", b'"text"', b"\xff\xfe"])
def test_unreadable_answers(via: Via, body: bytes) -> None:
    """An answer with HTTP 200 that is not what the API promises is malformed, and was charged."""

    async def law() -> None:
        async with VendorServer(saying(body, headers={"x-request-id": "req_9"})) as server:
            error = await failure(complete(via.connection(server.url), via.request()), MalformedReply)
        assert error.maybe_charged
        assert not error.retryable
        assert error.request_id == "req_9"

    asyncio.run(law())


@every
def test_unreadable_stream(via: Via) -> None:
    """A stream whose events cannot be read is malformed, and never a reply."""

    async def law() -> None:
        broken = b'event: message_delta\ndata: {"type": \n\n'
        async with VendorServer(saying(None, [*vendor_answers.STREAMED[via.path][:2], broken])) as server:
            await failure(streamed(via.connection(server.url), via.request()), MalformedReply)

    asyncio.run(law())


def test_failed_response_body() -> None:
    """A response that says that it failed is an error, although it came with HTTP 200."""

    async def law() -> None:
        error = {"code": "rate_limit_exceeded", "message": "too many tokens"}
        body = {**vendor_answers.RESPONSE, "status": "failed", "error": error, "output": []}
        async with VendorServer(saying(body)) as server:
            found = await failure(complete(responses.connection(server.url), responses.request()), RateLimited)
        assert "too many tokens" in str(found)

    asyncio.run(law())


@every
def test_abandoned_stream(via: Via) -> None:
    """A consumer who stops reading closes the answer; the adapter stays usable and closes without a warning."""

    async def law() -> None:
        async with VendorServer() as server:
            provider = open_provider(via.connection(server.url))
            parts = provider.stream(via.request())
            async with aclosing(cast("AsyncGenerator[str | Reply]", parts)):
                assert await anext(parts) == vendor_answers.PIECES[0]
            assert (await provider.complete(via.request())).text == vendor_answers.TEXT
            await provider.close()

    with _no_warnings():
        asyncio.run(law())


@every
def test_close(via: Via) -> None:
    """After `close()` nothing is left open: no ResourceWarning, no complaint to the event loop."""

    async def law() -> list[dict[str, object]]:
        complaints: list[dict[str, object]] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
        async with VendorServer() as server:
            await both(via, server)
        gc.collect()
        return complaints

    with _no_warnings():
        assert asyncio.run(law()) == []


@contextmanager
def _no_warnings() -> Iterator[None]:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        yield
        gc.collect()
    assert [str(warning.message) for warning in seen] == []


def test_late_imports() -> None:
    """Each SDK is imported when its provider is opened, and no other one with it."""
    code = """
import sys, workbench.providers as p
from workbench.providers import failures, exchange, anthropic, openai, ollama
sdks = {"anthropic", "openai", "ollama", "httpx", "httpx2", "aiohttp", "pydantic"}
assert not sdks & set(sys.modules), sdks & set(sys.modules)
p.open_provider(p.Connection("anthropic", "k"))
assert "anthropic" in sys.modules and not {"openai", "ollama"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("connection", "words"),
    [
        (Connection("antropic", KEY), "did you mean 'anthropic'"),
        (Connection("openai", KEY, transport="aiohtp"), "did you mean 'aiohttp'"),
        (Connection("openai", ""), "openai needs a key"),
        (Connection("openai", f"{KEY}\n"), "copy it again"),
        (Connection("openai", KEY, base_url="localhost:8000"), "must begin with http"),
    ],
    ids=["provider", "transport", "no key", "broken key", "address"],
)
def test_bad_connections(connection: Connection, words: str) -> None:
    """A connection that cannot work is refused before anything is sent, with the cure and without the key."""
    with pytest.raises(SettingsError, match=words) as caught:
        open_provider(connection)
    assert KEY not in str(caught.value)
    assert KEY not in repr(connection)
    assert set(PROVIDERS) == {"anthropic", "openai", "ollama"}
