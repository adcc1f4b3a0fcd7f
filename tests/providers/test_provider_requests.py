"""Laws of what is sent: valid by the vendors' specifications, complete, the same whatever the environment says."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import vendor_answers
import yaml
from provider_calls import ENDPOINTS, EVERY, KEY, Via, complete, failure, streamed
from vendor_server import Sent, VendorServer, answer, saying

from workbench.errors import RequestRefused
from workbench.providers.exchange import asked_params
from workbench.records import Message, Request

every = pytest.mark.parametrize("via", EVERY, ids=str)
each_endpoint = pytest.mark.parametrize("via", ENDPOINTS, ids=lambda via: f"{via.provider}/{via.endpoint}")
claude, responses, chat, ollama = ENDPOINTS

SPECS = Path(__file__).parents[2].parent / "shared" / "specs"
SPEC_FILES = {
    "anthropic": "anthropic-openapi-derived.json",
    "openai": "openai-openapi-subset.json",
    "ollama": "ollama-openapi.yaml",
}
SCHEMA = {
    "type": "object",
    "properties": {"category": {"type": "string"}},
    "required": ["category"],
    "additionalProperties": False,
}
PARAMS: dict[str, dict[str, Any]] = {
    "messages": {"max_tokens": 300, "effort": "low", "stop": "END"},
    "responses": {"max_tokens": 300, "effort": "low", "temperature": 0.5, "top_p": 0.9},
    "chat_completions": {
        "max_tokens": 300,
        "effort": "low",
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 7,
        "stop": ["END", "STOP"],
    },
    "chat": {
        "max_tokens": 300,
        "effort": "low",
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "seed": 7,
        "stop": ["END"],
    },
}


async def sent_for(via: Via, request: Request, **changes: Any) -> Sent:
    """What arrives at the server for this request."""
    async with VendorServer() as server:
        await complete(via.connection(server.url, **changes), request)
        return server.sent[0]


@cache
def validator(via: Via) -> jsonschema.protocols.Validator:
    """The specification's own schema for the body of this endpoint."""
    path = SPECS / SPEC_FILES[via.provider]
    if not path.exists():
        pytest.skip(f"no specification files at {SPECS}")
    text = path.read_text(encoding="utf-8")
    spec = yaml.safe_load(text) if path.suffix == ".yaml" else json.loads(text)
    (schema,) = (
        operations["post"]["requestBody"]["content"]["application/json"]["schema"]
        for route, operations in spec["paths"].items()
        if via.path.endswith(route)
    )
    return jsonschema.Draft202012Validator({**schema, "components": spec["components"]})


@each_endpoint
@pytest.mark.parametrize("full", [False, True], ids=["plain", "everything"])
def test_bodies_follow_the_specification(via: Via, full: bool) -> None:
    """What is sent is valid by the vendor's specification, with nothing or everything set, whole or streamed."""
    check = validator(via)
    turns = (Message("system", "Be brief."), Message("user", "a"), Message("assistant", "b"), Message("user", "c"))
    request = via.request(messages=turns)
    if full:
        request = replace(request, params=PARAMS[via.endpoint], output_schema=SCHEMA)

    async def law() -> list[Sent]:
        async with VendorServer() as server:
            await complete(via.connection(server.url, stand_in=True), request)
            await streamed(via.connection(server.url, stand_in=True), request)
            return server.sent

    whole, streaming = asyncio.run(law())
    for sent in (whole, streaming):
        assert sent.path == via.path
        assert [error.message for error in check.iter_errors(sent.body)] == []
    routing = {"stream", "stream_options"}
    without = {name: value for name, value in streaming.body.items() if name not in routing}
    assert without == {name: value for name, value in whole.body.items() if name not in routing}


def test_anthropic_body() -> None:
    """Claude's names: system apart, a limit always, effort and schema in `output_config`."""
    request = claude.request(params=PARAMS["messages"], output_schema=SCHEMA)
    assert asyncio.run(sent_for(claude, request)).body == {
        "model": claude.model,
        "system": "Answer with one word.",
        "messages": [{"role": "user", "content": "What does the customer want?"}],
        "max_tokens": 300,
        "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": SCHEMA}},
        "stop_sequences": ["END"],
    }
    assert asyncio.run(sent_for(claude, claude.request())).body["max_tokens"] == 4096


MESSAGES = [
    {"role": "system", "content": "Answer with one word."},
    {"role": "user", "content": "What does the customer want?"},
]


def test_responses_body() -> None:
    """The Responses API's names; nothing is stored at the vendor."""
    request = responses.request(params=PARAMS["responses"], output_schema=SCHEMA)
    assert asyncio.run(sent_for(responses, request)).body == {
        "model": responses.model,
        "input": MESSAGES,
        "store": False,
        "max_output_tokens": 300,
        "reasoning": {"effort": "low"},
        "temperature": 0.5,
        "top_p": 0.9,
        "text": {"format": {"type": "json_schema", "name": "answer", "schema": SCHEMA, "strict": True}},
    }


def test_chat_completions_body() -> None:
    """OpenAI and its stand-in get the limit's new name; servers like it get the old one, which most of them know."""
    request = chat.request(params=PARAMS["chat_completions"], output_schema=SCHEMA)
    expected = {
        "model": chat.model,
        "messages": MESSAGES,
        "reasoning_effort": "low",
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 7,
        "stop": ["END", "STOP"],
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True},
        },
    }
    assert asyncio.run(sent_for(chat, request)).body == {**expected, "max_tokens": 300}
    assert asyncio.run(sent_for(chat, request, stand_in=True)).body == {**expected, "max_completion_tokens": 300}


def test_ollama_body() -> None:
    """Ollama's names: sampling under `options`, effort as `think`, the schema as `format`."""
    request = ollama.request(params=PARAMS["chat"], output_schema=SCHEMA)
    assert asyncio.run(sent_for(ollama, request)).body == {
        "model": ollama.model,
        "messages": MESSAGES,
        "stream": False,
        "options": {"num_predict": 300, "temperature": 0.5, "top_p": 0.9, "top_k": 40, "seed": 7, "stop": ["END"]},
        "think": "low",
        "format": SCHEMA,
    }
    none = ollama.request(params={"effort": "none"})
    assert asyncio.run(sent_for(ollama, none)).body["think"] is False


ALL_PARAMS = ("max_tokens", "effort", "temperature", "top_p", "top_k", "seed", "stop", "presence_penalty")


@every
def test_unsupported_parameters(via: Via) -> None:
    """A parameter that means nothing there, a tool or an unknown endpoint is refused before anything is sent."""
    wrong = [via.request(params={name: 1}) for name in ALL_PARAMS if name not in PARAMS[via.endpoint]]
    wrong += [via.request(tools=({"name": "search"},)), via.request(endpoint="batches")]

    async def law() -> None:
        async with VendorServer() as server:
            for request in wrong:
                for ask in (complete, streamed):
                    error = await failure(ask(via.connection(server.url), request), RequestRefused)
                    names = [*request.params, *(["tools"] if request.tools else []), *([request.endpoint])]
                    assert any(name in str(error) for name in names)
                    assert not error.maybe_charged
            assert server.sent == []

    asyncio.run(law())


def test_unset_parameters() -> None:
    """A parameter that is None was not set, so it is neither sent nor refused."""
    assert asked_params(claude.request(params={"temperature": None}), {"messages": frozenset()}) == {}


def test_long_answers_of_claude_are_streamed() -> None:
    """Above the vendor's limit for whole answers, `complete` streams and returns the same reply."""

    async def law() -> None:
        async with VendorServer() as server:
            short = await complete(claude.connection(server.url), claude.request(params={"max_tokens": 21_333}))
            long = await complete(claude.connection(server.url), claude.request(params={"max_tokens": 21_334}))
            assert [bool(sent.body.get("stream")) for sent in server.sent] == [False, True]
        assert (long.text, long.usage) == (short.text, short.usage)

    asyncio.run(law())


@every
def test_only_stand_ins_are_told(via: Via) -> None:
    """Repeat and key go to stand-in servers, and no `x-workbench-*` header to anybody else."""
    request = via.request(repeat=3)
    told = asyncio.run(sent_for(via, request, stand_in=True)).headers
    assert (told["x-workbench-repeat"], told["x-workbench-key"]) == ("3", request.content_key())
    vendor = asyncio.run(sent_for(via, request)).headers
    assert not [name for name in vendor if "workbench" in name or name == "traceparent"]


@every
def test_sources(via: Via) -> None:
    """A reply says who made it: by the server's mark, and a stand-in without a mark is a simulation all the same."""

    async def law() -> None:
        for mark, stand_in, expected in [
            ("simulated", True, ("simulated", False)),
            ("recorded", True, ("recorded", False)),
            ("recorded-loose", True, ("recorded", True)),
            ("simulated", False, ("simulated", False)),
            (None, True, ("simulated", False)),
            (None, False, ("live", False)),
        ]:
            headers = {"x-workbench-source": mark} if mark else None
            respond = saying(vendor_answers.WHOLE[via.path], vendor_answers.STREAMED[via.path], headers=headers)
            async with VendorServer(respond) as server:
                connection = via.connection(server.url, stand_in=stand_in)
                whole = await complete(connection, via.request())
                _, reply = await streamed(connection, via.request())
            assert (whole.source, whole.loose) == (reply.source, reply.loose) == expected

    asyncio.run(law())


ENVIRONMENT = {
    "ANTHROPIC_API_KEY": "sk-from-environment",
    "ANTHROPIC_AUTH_TOKEN": "token-from-environment",
    "ANTHROPIC_BASE_URL": "http://127.0.0.1:9/elsewhere",
    "ANTHROPIC_CUSTOM_HEADERS": "Authorization: Bearer from-environment\nanthropic-version: 2023-06-01\nx-extra: 1",
    "ANTHROPIC_PROFILE": "nobody",
    "OPENAI_API_KEY": "sk-from-environment",
    "OPENAI_ADMIN_KEY": "sk-from-environment",
    "OPENAI_BASE_URL": "http://127.0.0.1:9/elsewhere",
    "OPENAI_ORG_ID": "org-from-environment",
    "OPENAI_PROJECT_ID": "proj-from-environment",
    "OPENAI_CUSTOM_HEADERS": "Authorization: Bearer from-environment\nx-extra: 1",
    "OLLAMA_HOST": "http://127.0.0.1:9/elsewhere",
    "OLLAMA_API_KEY": "sk-from-environment",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "http_proxy": "http://127.0.0.1:9",
    "ALL_PROXY": "http://127.0.0.1:9",
}


@every
def test_environment_decides_nothing(via: Via, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is sent to a stand-in, and where, is the same with every variable set that the SDKs know."""
    before = asyncio.run(sent_for(via, via.request(), stand_in=True))
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    after = asyncio.run(sent_for(via, via.request(), stand_in=True))
    for sent in (before, after):
        sent.headers.pop("host")
    assert after == before
    assert after.headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("via", EVERY, ids=str)
def test_vendors_own_address(via: Via, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a base URL the vendor itself is asked, wherever the environment points."""
    from workbench.providers import open_provider

    for name, value in ENVIRONMENT.items():
        if "PROXY" not in name.upper():
            monkeypatch.setenv(name, value)

    async def law() -> str:
        provider = open_provider(replace(via.connection(""), base_url=None))
        adapter: Any = provider
        try:
            return str(adapter._clients[0]._client.base_url if via.provider == "ollama" else adapter._client.base_url)
        finally:
            await provider.close()

    vendors = {"anthropic": "https://api.anthropic.com", "openai": "https://api.openai.com/v1"}
    assert asyncio.run(law()).rstrip("/") == vendors.get(via.provider, "http://127.0.0.1:11434")


def test_ollama_without_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A local server needs no key, and the environment's is not sent to it."""
    monkeypatch.setenv("OLLAMA_API_KEY", "sk-from-environment")
    assert "authorization" not in asyncio.run(sent_for(ollama, ollama.request(), api_key="")).headers


@every
def test_connections_are_reused(via: Via) -> None:
    """Many calls at once use no more connections than the connection allows, whole or streamed."""

    async def law() -> int:
        peers: set[object] = set()

        async def respond(request: Any, sent: Sent) -> Any:
            peers.add(request.transport.get_extra_info("peername"))
            return await answer(request, sent)

        from workbench.providers import open_provider

        async with VendorServer(respond) as server:
            provider = open_provider(via.connection(server.url, concurrency=16))
            questions = iter(range(200))

            async def worker() -> None:
                for number in questions:
                    if number % 4:
                        await provider.complete(via.request())
                    else:
                        assert len([part async for part in provider.stream(via.request())]) == 4

            await asyncio.gather(*(worker() for _ in range(16)))
            await provider.close()
        return len(peers)

    assert asyncio.run(law()) <= 16
