"""Laws of what comes back, over the vendor's formats as documented."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import warnings
from dataclasses import replace

import pytest
import vendor_answers
from provider_calls import ENDPOINTS, EVERY, KEY, Via, complete, failure, streamed
from vendor_server import VendorServer, error, stream

from workbench.errors import ConnectionLost, MalformedReply, Overloaded, RequestRefused, ServerFailed, SettingsError
from workbench.providers import PROVIDERS, Connection, open_provider
from workbench.records import Reply, Usage

every = pytest.mark.parametrize("via", EVERY, ids=str)
each_endpoint = pytest.mark.parametrize("via", ENDPOINTS, ids=str)
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
    """Whole or streamed, a reply has the same text without thinking, the same normalised usage, and says who served it."""

    async def law() -> None:
        async with VendorServer() as server:
            whole, pieces, reply = await both(via, server)
        assert whole.text == reply.text == "".join(pieces) == vendor_answers.TEXT
        assert pieces[0] == vendor_answers.PIECES[0]
        small = Usage(input_tokens=vendor_answers.WHOLE_INPUT, output_tokens=vendor_answers.OUTPUT)
        assert whole.usage == reply.usage == (small if via.provider == "ollama" else FULL)
        assert whole.ttft_s is None
        assert reply.ttft_s is not None and 0 < reply.ttft_s <= reply.latency_s
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
        async def respond(request: object, sent: object) -> object:
            from aiohttp import web

            return web.json_response({**vendor_answers.WHOLE[via.path], **change})

        async with VendorServer(respond) as server:  # type: ignore[arg-type]
            assert (await complete(via.connection(server.url), via.request())).stop_reason == word

    asyncio.run(law())
