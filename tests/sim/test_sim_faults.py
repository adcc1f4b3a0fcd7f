"""Everything a test can ask to go wrong, as the vendors' own clients see it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anthropic
import httpx2
import ollama
import openai
import pytest
from sim_parts import TICKET, ask_claude, ask_gpt, claude, drain, gpt, llama, run, turns

from workbench.sim.process import StandInFailed

if TYPE_CHECKING:
    from workbench.sim import StandIn

ANTHROPIC_ERRORS = {
    "rate_limit": (anthropic.RateLimitError, 429, "rate_limit_error"),
    "quota": (anthropic.RateLimitError, 429, "rate_limit_error"),
    "overloaded": (anthropic.APIStatusError, 529, "overloaded_error"),
    "server_error": (anthropic.InternalServerError, 500, "api_error"),
    "auth": (anthropic.AuthenticationError, 401, "authentication_error"),
    "bad_request": (anthropic.BadRequestError, 400, "invalid_request_error"),
}
OPENAI_ERRORS = {
    "rate_limit": (openai.RateLimitError, 429, "rate_limit_exceeded"),
    "quota": (openai.RateLimitError, 429, "insufficient_quota"),
    "overloaded": (openai.InternalServerError, 503, "server_overloaded"),
    "server_error": (openai.InternalServerError, 500, None),
    "auth": (openai.AuthenticationError, 401, "invalid_api_key"),
    "bad_request": (openai.BadRequestError, 400, None),
}
OLLAMA_ERRORS = {
    "rate_limit": 429,
    "quota": 402,
    "overloaded": 503,
    "server_error": 500,
    "auth": 401,
    "bad_request": 400,
}


def go_wrong(server: StandIn, kind: str, **more: Any) -> None:
    """Ask for one fault."""
    server.control("faults", [{"kind": kind, **more}])


@pytest.mark.parametrize("kind", list(ANTHROPIC_ERRORS))
@pytest.mark.parametrize("stream", [False, True])
def test_anthropic_errors(server: StandIn, kind: str, stream: bool) -> None:
    """An error fault reaches Anthropic's client as the right class, status, type and request id."""
    error, status, name = ANTHROPIC_ERRORS[kind]
    go_wrong(server, kind, retry_after_s=1.5 if kind == "rate_limit" else None)

    async def work() -> None:
        async with claude(server.url) as client:
            with pytest.raises(error) as caught:
                await client.messages.create(stream=stream, **ask_claude())
        assert (caught.value.status_code, caught.value.type) == (status, name)
        assert caught.value.request_id.startswith("req_")
        spent = "enforced_spend_limit_reached" if kind == "quota" else None
        assert caught.value.error_code == spent
        headers = caught.value.response.headers
        assert (headers.get("retry-after"), headers.get("retry-after-ms")) == (
            ("2", "1500") if kind == "rate_limit" else (None, None)
        )

    run(work())


@pytest.mark.parametrize("kind", list(OPENAI_ERRORS))
@pytest.mark.parametrize("endpoint", ["responses", "chat"])
def test_openai_errors(server: StandIn, kind: str, endpoint: str) -> None:
    """An error fault reaches OpenAI's client as the right class, status and code."""
    error, status, code = OPENAI_ERRORS[kind]
    go_wrong(server, kind)

    async def work() -> None:
        async with gpt(server.url) as client:
            with pytest.raises(error) as caught:
                await ask_gpt(client, endpoint)
        assert (caught.value.status_code, caught.value.code) == (status, code)
        assert caught.value.request_id.startswith("req_")

    run(work())


@pytest.mark.parametrize("kind", list(OLLAMA_ERRORS))
def test_ollama_errors(server: StandIn, kind: str) -> None:
    """An error fault reaches Ollama's client with its status and its text."""
    go_wrong(server, kind)

    async def work() -> None:
        async with llama(server.url) as client:
            with pytest.raises(ollama.ResponseError, match="as asked for") as caught:
                await client.chat(model="sim-small", messages=turns())
        assert caught.value.status_code == OLLAMA_ERRORS[kind]

    run(work())


def test_stream_errors_midway(server: StandIn) -> None:
    """An error in mid-stream comes after status 200 and some text, in the vendor's format."""
    server.control("faults", [{"kind": "stream_error", "times": 4}])

    async def work() -> None:
        async with claude(server.url) as client:
            with pytest.raises(anthropic.APIStatusError) as first:
                await drain(await client.messages.create(stream=True, **ask_claude()))
            assert (first.value.status_code, first.value.type) == (200, "overloaded_error")
        async with gpt(server.url) as client:
            kinds = []
            async for event in await client.responses.create(model="gpt-6-luna", input=TICKET, stream=True):
                kinds.append(event.type)
            assert kinds[-1] == "error"
            with pytest.raises(openai.APIError) as second:
                await drain(await ask_gpt(client, "chat", stream=True))
            assert second.value.code == "server_overloaded"
        async with llama(server.url) as client:
            with pytest.raises(ollama.ResponseError) as third:
                await drain(await client.chat(model="sim-small", messages=turns(), stream=True))
            assert third.value.status_code == -1

    run(work())
    assert server.control("stats")["answered"] == 0


@pytest.mark.parametrize("kind", ["drop", "cut"])
@pytest.mark.parametrize("stream", [False, True])
def test_broken_connections(server: StandIn, kind: str, stream: bool) -> None:
    """A dropped or cut connection is an error for every client, and never counts as answered."""
    server.control("faults", [{"kind": kind, "times": 3}])

    async def work() -> None:
        async with claude(server.url) as client:
            with pytest.raises((anthropic.APIConnectionError, httpx2.HTTPError)):
                await drain(await client.messages.create(stream=stream, **ask_claude()))
        async with gpt(server.url) as client:
            with pytest.raises((openai.APIConnectionError, httpx2.HTTPError)):
                await drain(await client.responses.create(model="gpt-6-luna", input=TICKET, stream=stream))
        async with llama(server.url) as client:
            with pytest.raises(Exception, match=r"peer closed|disconnected"):
                await drain(await client.chat(model="sim-small", messages=turns(), stream=stream))

    run(work())
    stats = server.control("stats")
    assert (stats["requests"], stats["answered"]) == (3, 0)


@pytest.mark.parametrize("stream", [False, True])
def test_malformed(server: StandIn, stream: bool) -> None:
    """A malformed answer has status 200 and cannot be read."""
    server.control("faults", [{"kind": "malformed", "times": 4}])

    async def work() -> None:
        async with claude(server.url) as client:
            raw = await client.messages.with_raw_response.create(**ask_claude())
            assert raw.http_response.status_code == 200
            with pytest.raises(json.JSONDecodeError):
                await drain(await client.messages.create(stream=True, **ask_claude()))
        async with gpt(server.url) as client:
            with pytest.raises(ValueError, match=r"JSON|Expecting|Unterminated|control"):
                await drain(await client.responses.create(model="gpt-6-luna", input=TICKET, stream=stream))
        async with llama(server.url) as client:
            with pytest.raises(ValueError, match=r"Expecting|Unterminated|control"):
                await drain(await client.chat(model="sim-small", messages=turns(), stream=stream))

    run(work())


def test_hang(server: StandIn) -> None:
    """A hanging request never answers, and the server lets go of it once the client does."""
    go_wrong(server, "hang")

    async def work() -> None:
        async with claude(server.url, timeout=0.05) as client:
            with pytest.raises(anthropic.APITimeoutError):
                await client.messages.create(**ask_claude())
            await client.with_options(timeout=5).messages.create(**ask_claude())

    run(work())
    stats = server.control("stats")
    assert (stats["requests"], stats["answered"]) == (2, 1)


def test_refusals(server: StandIn) -> None:
    """A refusal is an answer, said in each vendor's own way."""
    server.control("faults", [{"kind": "refusal", "times": 6}])

    async def work() -> None:
        async with claude(server.url) as client:
            reply = await client.messages.create(**ask_claude())
            async with client.messages.stream(**ask_claude()) as stream:
                streamed = await stream.get_final_message()
            for message in (reply, streamed):
                assert message.stop_reason == "refusal"
                assert message.stop_details.category == "general_harms"
        async with gpt(server.url) as client:
            response = await client.responses.create(model="gpt-6-luna", input=TICKET)
            assert response.output[0].content[0].type == "refusal"
            events = [e async for e in await client.responses.create(model="gpt-6-luna", input=TICKET, stream=True)]
            assert "response.refusal.done" in [event.type for event in events]
            chat = await client.chat.completions.create(model="gpt-6-luna", messages=turns())
            assert chat.choices[0].message.refusal
            assert chat.choices[0].message.content is None
        async with llama(server.url) as client:
            local = await client.chat(model="sim-small", messages=turns())
            assert (local.message.content, local.done_reason) == ("I can't help with that request.", "stop")

    run(work())
    assert server.control("stats")["answered"] == 6


@pytest.mark.parametrize(
    ("kind", "anthropic_stop", "reason", "finish"),
    [
        ("content_filter", "refusal", "content_filter", "content_filter"),
        ("truncation", "max_tokens", "max_output_tokens", "length"),
    ],
)
def test_stopped_early(server: StandIn, kind: str, anthropic_stop: str, reason: str, finish: str) -> None:
    """Filtered and truncated answers say so in the vendor's stop reason."""
    server.control("faults", [{"kind": kind, "times": 4}])

    async def work() -> None:
        async with claude(server.url) as client:
            assert (await client.messages.create(**ask_claude())).stop_reason == anthropic_stop
        async with gpt(server.url) as client:
            response = await client.responses.create(model="gpt-6-luna", input=TICKET)
            assert (response.status, response.incomplete_details.reason) == ("incomplete", reason)
            events = [e async for e in await client.responses.create(model="gpt-6-luna", input=TICKET, stream=True)]
            assert events[-1].type == "response.incomplete"
            chat = await client.chat.completions.create(model="gpt-6-luna", messages=turns())
            assert chat.choices[0].finish_reason == finish

    run(work())


def test_order_of_faults(server: StandIn) -> None:
    """Faults happen in their order, to matching requests only, after as many others as they were told to spare."""
    faults = [
        {"kind": "server_error", "contains": "phone app"},
        {"kind": "overloaded", "provider": "openai"},
        {"kind": "auth", "after": 1, "times": 2},
    ]
    server.control("faults", faults)

    async def work() -> list[int]:
        statuses = []
        async with claude(server.url) as client:
            for text in (TICKET, TICKET, "The graph in the phone app", "The graph in the phone app", TICKET):
                try:
                    await client.messages.create(**ask_claude(text))
                    statuses.append(200)
                except anthropic.APIStatusError as error:
                    statuses.append(error.status_code)
        return statuses

    assert run(work()) == [200, 401, 500, 401, 200]


def test_unknown_steering(server: StandIn) -> None:
    """A fault or setting that does not exist is refused with the names that do."""
    with pytest.raises(StandInFailed, match="unknown fault 'nonsense'; there are: rate_limit"):
        server.control("faults", [{"kind": "nonsense"}])
    with pytest.raises(StandInFailed, match="latency_s, limits"):
        server.control("settings", {"nonsense": 1})
    with pytest.raises(StandInFailed, match="does not exist"):
        server.control("nonsense", {})
