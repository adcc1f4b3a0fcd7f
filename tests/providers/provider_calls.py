"""Calls that every endpoint can take, for the laws that hold for all of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from workbench.providers import Connection, open_provider
from workbench.records import Message, Reply, Request

if TYPE_CHECKING:
    from workbench.errors import CallError

KEY = "sk-test-0123456789abcdef"


@dataclass(frozen=True)
class Via:
    """One way to an endpoint. `path` is where it is on a server, `base` what its SDK adds to the server's root."""

    provider: str
    endpoint: str
    transport: str
    model: str
    path: str
    base: str = ""

    def __str__(self) -> str:
        return f"{self.provider}/{self.endpoint}/{self.transport}"

    def connection(self, url: str, **changes: Any) -> Connection:
        wanted = {"api_key": KEY, "timeout_s": 10.0, "transport": self.transport, **changes}
        return Connection(self.provider, base_url=url + self.base, **wanted)

    def request(self, text: str = "What does the customer want?", **changes: Any) -> Request:
        messages = (Message("system", "Answer with one word."), Message("user", text))
        return replace(Request(self.provider, self.endpoint, self.model, messages), **changes)


_CLAUDE = Via("anthropic", "messages", "aiohttp", "claude-haiku-5-5", "/v1/messages")
_RESPONSES = Via("openai", "responses", "aiohttp", "gpt-6-luna", "/v1/responses", "/v1")
_CHAT = replace(_RESPONSES, endpoint="chat_completions", path="/v1/chat/completions")
_OLLAMA = Via("ollama", "chat", "httpx", "sim-small", "/api/chat")
ENDPOINTS = [_CLAUDE, _RESPONSES, _CHAT, _OLLAMA]
EVERY = [*ENDPOINTS, *(replace(via, transport="httpx") for via in ENDPOINTS if via.transport == "aiohttp")]


async def complete(connection: Connection, request: Request) -> Reply:
    """One call with an adapter of its own."""
    provider = open_provider(connection)
    try:
        return await provider.complete(request)
    finally:
        await provider.close()


async def streamed(connection: Connection, request: Request) -> tuple[list[str], Reply]:
    """One streamed call: the pieces of text, and the reply that must come last."""
    provider = open_provider(connection)
    try:
        parts = [part async for part in provider.stream(request)]
    finally:
        await provider.close()
    *pieces, reply = parts
    assert isinstance(reply, Reply)
    texts = [piece for piece in pieces if isinstance(piece, str)]
    assert len(texts) == len(pieces), "exactly one reply, and it is last"
    return texts, reply


async def failure(call: Any, kind: type[CallError]) -> CallError:
    """The error of a call that must fail this way, and no other."""
    with pytest.raises(kind) as caught:
        await call
    assert caught.type is kind
    return caught.value
