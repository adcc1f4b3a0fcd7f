"""A small server on the loopback that speaks all four formats, keeps what it was sent, and can be told to misbehave."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import vendor_answers
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


@dataclass(frozen=True)
class Sent:
    """One request as it arrived."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


class VendorServer:
    """`async with VendorServer() as server`: `server.url` is its address, `server.sent` what came in.

    `respond` replaces the answer; it gets the request and what was read of it.
    """

    def __init__(self, respond: Callable[[web.Request, Sent], Awaitable[web.StreamResponse]] | None = None) -> None:
        self.sent: list[Sent] = []
        self.url = ""
        self._respond = respond or answer

    async def __aenter__(self) -> VendorServer:
        app = web.Application()
        app.router.add_post("/{path:.*}", self._receive)
        # A silent answer must not hold up the end of the test.
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _receive(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        sent = Sent(request.path, headers, await request.json())
        self.sent.append(sent)
        return await self._respond(request, sent)


async def answer(request: web.Request, sent: Sent) -> web.StreamResponse:
    """The vendor's answer, streamed if that was asked for."""
    headers = {"request-id": "req_1"} if sent.path == "/v1/messages" else {"x-request-id": "req_1"}
    if not sent.body.get("stream"):
        return web.json_response(vendor_answers.WHOLE[sent.path], headers=headers)
    return await stream(request, sent, vendor_answers.STREAMED[sent.path], headers=headers)


async def stream(
    request: web.Request, sent: Sent, events: list[bytes], headers: dict[str, str] | None = None
) -> web.StreamResponse:
    """These events and a proper end of the body."""
    kind = "application/x-ndjson" if sent.path == "/api/chat" else "text/event-stream"
    response = web.StreamResponse(headers={**(headers or {}), "content-type": kind})
    await response.prepare(request)
    for event in events:
        await response.write(event)
    await response.write_eof()
    return response


def saying(
    whole: object = None,
    events: list[bytes] | None = None,
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> Callable[[web.Request, Sent], Awaitable[web.StreamResponse]]:
    """A server that always says this: a JSON body (or bytes, as they are), or these events to whoever streams."""

    async def respond(request: web.Request, sent: Sent) -> web.StreamResponse:
        if events is not None and sent.body.get("stream"):
            return await stream(request, sent, events, headers)
        raw = whole if isinstance(whole, bytes) else json.dumps(whole).encode()
        return web.Response(status=status, body=raw, content_type="application/json", headers=headers)

    return respond
