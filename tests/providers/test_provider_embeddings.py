"""Laws of embeddings: what goes out, what comes back, and that they fail like any other call."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from provider_calls import ENDPOINTS, Via, complete, failure, streamed
from vendor_server import VendorServer, saying

from workbench.errors import CallError, MalformedReply, RateLimited, RequestRefused
from workbench.records import Message, Request, Usage

if TYPE_CHECKING:
    from workbench.sim import StandIn

claude, responses, _, ollama = ENDPOINTS
TEXTS = ("first", "second")
ROWS = [{"index": 1, "embedding": [0.0, 2.0]}, {"index": 0, "embedding": [1.0, 0]}]
WHOLE: dict[str, Any] = {
    "openai": {"object": "list", "data": ROWS, "model": "e-1", "usage": {"prompt_tokens": 4, "total_tokens": 4}},
    "ollama": {"model": "e-1", "embeddings": [[1.0, 0], [0.0, 2.0]], "prompt_eval_count": 4},
}
both = pytest.mark.parametrize("via", [responses, ollama], ids=str)


def request(via: Via, **params: Any) -> Request:
    return Request(via.provider, "embeddings", "e", tuple(Message("user", text) for text in TEXTS), params)


@both
def test_vectors_come_in_the_order_of_the_texts(via: Via) -> None:
    """The reply's text is one vector per text, in their order, with the tokens read and none written."""

    async def run() -> None:
        async with VendorServer(saying(WHOLE[via.provider])) as server:
            reply = await complete(via.connection(server.url), request(via))
            assert json.loads(reply.text) == [[1.0, 0], [0.0, 2.0]]
            assert (reply.usage, reply.served_by) == (Usage(4, output_tokens=0), "e-1")
            sent = server.sent[0]
            assert sent.body["input"] == list(TEXTS)
            assert sent.path == ("/api/embed" if via.provider == "ollama" else "/v1/embeddings")
            assert sent.body.get("truncate", False) is False  # a text that is too long is an error, not cut

    asyncio.run(run())


@both
@pytest.mark.parametrize(
    ("whole", "status", "kind"),
    [
        ({"error": "slow down"}, 429, RateLimited),
        ({"data": [], "embeddings": [], "model": "e"}, 200, MalformedReply),
        ({"data": [{"index": 0, "embedding": []}] * 2, "embeddings": [[], []], "model": "e"}, 200, MalformedReply),
        (
            {"data": [{"index": 0, "embedding": "AA=="}] * 2, "embeddings": ["x", "y"], "model": "e"},
            200,
            MalformedReply,
        ),
        ({"model": "e"}, 200, MalformedReply),
        (b"{", 200, MalformedReply),
    ],
)
def test_failures_are_those_of_any_call(via: Via, whole: Any, status: int, kind: type[CallError]) -> None:
    """Errors have the same classes as for answers, and anything but one list of numbers per text is unreadable."""

    async def run() -> None:
        async with VendorServer(saying(whole, status=status)) as server:
            await failure(complete(via.connection(server.url), request(via)), kind)

    asyncio.run(run())


def test_what_cannot_be_asked() -> None:
    """Parameters and streams of embeddings are refused before anything leaves, and so is Anthropic, which has none."""

    async def run() -> None:
        for via in (responses, ollama):
            await failure(complete(via.connection("http://127.0.0.1:9"), request(via, max_tokens=5)), RequestRefused)
            await failure(streamed(via.connection("http://127.0.0.1:9"), request(via)), RequestRefused)
        await failure(complete(claude.connection("http://127.0.0.1:9"), request(claude)), RequestRefused)

    asyncio.run(run())


@both
def test_the_stand_in_embeds(server: StandIn, via: Via) -> None:
    """The stand-in answers both formats, marked as simulated, and refuses empty texts."""

    async def run() -> None:
        connection = via.connection(server.start(), stand_in=True)
        reply = await complete(connection, request(via))
        assert (len(json.loads(reply.text)), reply.source) == (2, "simulated")
        assert reply.usage.input_tokens
        empty = Request(via.provider, "embeddings", "e", (Message("user", ""),))
        await failure(complete(connection, empty), RequestRefused)

    asyncio.run(run())
