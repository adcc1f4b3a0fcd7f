"""Sending one answer: the wait, the bytes, and everything a test wants to go wrong on the way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web

from workbench.sim.desk import input_tokens
from workbench.sim.faults import MESSAGES
from workbench.sim.limits import retry_headers
from workbench.sim.said import Problem
from workbench.sim.wire import dumps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.sim.asked import Asked
    from workbench.sim.desk import Desk
    from workbench.sim.wire import Wire

BEFORE_FIRST = 0.4
"""Share of the latency of a stream that passes before its first event."""


class Sending:
    """The answer to one request. `complete` is true once all of it was sent."""

    def __init__(self, request: web.BaseRequest, wire: Wire, desk: Desk, request_id: str) -> None:
        self.request = request
        self.wire = wire
        self.desk = desk
        self.request_id = request_id
        self.complete = False

    async def answer(self, asked: Asked) -> web.StreamResponse:
        """Answer, unless a fault or a limit is in the way; raises Problem for what is answered by an error."""
        desk = self.desk
        fault = desk.faults.take(asked)
        kind = fault.kind if fault else ""
        if fault and (problem := fault.problem()):
            raise problem
        if kind == "hang":
            await asyncio.Event().wait()
        if kind == "drop":
            return self._close(web.Response())
        if kind == "stream_error" and not asked.stream:
            raise Problem("overloaded", MESSAGES["overloaded"])
        desk.limits.take(asked.provider, input_tokens(asked))
        draft = desk.reply(asked)
        draft = fault.change(draft) if fault else draft
        plan = desk.cache.plan(asked)
        said = desk.say(asked, draft, plan)
        latency = draft.latency_s if desk.latency_s is None else desk.latency_s
        headers = self._headers(draft.source)
        if asked.stream:
            await _wait(latency * BEFORE_FIRST)
            desk.cache.begin(plan)
            events = self.wire.stream(asked, said)
            return await self._stream(events, headers, latency * (1 - BEFORE_FIRST), kind)
        await _wait(latency)
        desk.cache.begin(plan)
        return await self._whole(dumps(self.wire.whole(asked, said)).encode("utf-8", "replace"), headers, kind)

    def problem(self, problem: Problem) -> web.Response:
        """An error in the vendor's format."""
        status, body = self.wire.refuse(problem, self.request_id)
        headers = {**self._headers(self.desk.config.source), **retry_headers(problem)}
        return web.Response(text=dumps(body), status=status, headers=headers, content_type="application/json")

    async def _whole(self, body: bytes, headers: dict[str, str], kind: str) -> web.StreamResponse:
        if kind == "cut":
            headers["content-length"] = str(len(body))
            response = web.StreamResponse(headers=headers)
            response.content_type = "application/json"
            await response.prepare(self.request)
            await response.write(body[: len(body) // 2])
            return self._close(response)
        whole = web.Response(
            body=body[: len(body) // 2] if kind == "malformed" else body,
            headers=headers,
            content_type="application/json",
        )
        await whole.prepare(self.request)
        await whole.write_eof()
        self.complete = kind != "malformed"
        return whole

    async def _stream(
        self, events: Sequence[bytes], headers: dict[str, str], latency: float, kind: str
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={**headers, "content-type": self.wire.stream_type})
        response.headers["cache-control"] = "no-cache"
        await response.prepare(self.request)
        breaks = kind in {"cut", "stream_error", "malformed"}
        sent = events[: max(4, len(events) // 2)] if breaks and len(events) > 4 else events
        await self._events(response, sent, latency)
        if kind == "cut":
            return self._close(response)
        if kind == "stream_error":
            problem = Problem("overloaded", MESSAGES["overloaded"])
            await response.write(self.wire.refuse_midway(problem, self.request_id))
        if kind == "malformed":
            await response.write(self.wire.broken_event)
        await response.write_eof()
        self.complete = not breaks
        return response

    async def _events(self, response: web.StreamResponse, events: Sequence[bytes], latency: float) -> None:
        """All at once when there is no time to pass, else evenly spread."""
        if latency <= 0:
            await response.write(b"".join(events))
            return
        for event in events:
            await response.write(event)
            await asyncio.sleep(latency / len(events))

    def _headers(self, source: str) -> dict[str, str]:
        return {
            "x-workbench-source": source,
            "x-workbench-origin": self.desk.origin,
            self.wire.request_id_header: self.request_id,
            **self.desk.limits.headers(self.wire.provider),
        }

    def _close(self, response: web.StreamResponse) -> web.StreamResponse:
        """Close the connection under the answer, as a dying server would."""
        if self.request.transport is not None:
            self.request.transport.close()
        return response


async def _wait(seconds: float) -> None:
    if seconds > 0:
        await asyncio.sleep(seconds)
