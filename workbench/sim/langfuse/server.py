"""The server itself: finds the route, lets in, does the work in one transaction, and fails when a test asks for it."""

from __future__ import annotations

import asyncio
import json
import zlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from aiohttp import web

from workbench.sim.hosting import listening
from workbench.sim.langfuse.calls import Answer, Call, Refused
from workbench.sim.langfuse.fields import read_json
from workbench.sim.langfuse.keys import Keys
from workbench.sim.langfuse.page import page
from workbench.sim.langfuse.routes import ROUTES, Route
from workbench.sim.langfuse.steering import IDENTITY, Desk
from workbench.sim.langfuse.store import Store, pack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from workbench.sim.langfuse.config import Config
    from workbench.sim.langfuse.faults import Fault

LARGEST_BODY = 64 * 1024 * 1024
NOT_FOUND = {"message": "Not found", "error": "LangfuseNotFoundError"}
NOT_ALLOWED = {"message": "Method not allowed", "error": "MethodNotAllowedError"}


class Langfuse:
    """One stand-in server over an open store."""

    def __init__(self, config: Config, store: Store) -> None:
        self.keys = Keys(config.keys)
        self.desk = Desk(store, {route.name for route in ROUTES})

    def application(self) -> web.Application:
        """The server's addresses."""
        application = web.Application(client_max_size=LARGEST_BODY, middlewares=[_no_such_address])
        for route in ROUTES:
            template = route.template.replace("}", ":[^/]+}")
            application.router.add_route(route.method, template, self._serving(route))
        application.router.add_route("GET", "/", self._page)
        application.router.add_route("GET", "/sim/{name}", self._look)
        application.router.add_route("POST", "/sim/{name}", self._steer)
        return application

    def _serving(self, route: Route) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def serve(request: web.Request) -> web.Response:
            self.desk.requests[route.name] += 1
            faults = self.desk.faults.take(route.name)
            if delay_s := sum(fault.delay_s for fault in faults):
                await asyncio.sleep(delay_s)
            breaking = next((fault for fault in faults if fault.breaks), None)
            if breaking is not None and not breaking.done:
                return _broken(request, breaking)
            answer = await self._answer(request, route, faults)
            return _response(answer) if breaking is None else _broken(request, breaking)

        return serve

    async def _answer(self, request: web.Request, route: Route, faults: Sequence[Fault]) -> Answer:
        try:
            body = await _body(request, route)
            project = "" if route.open else self.keys.project(request.headers.get("Authorization"), route)
            reject = frozenset(index for fault in faults for index in fault.reject)
            with self.desk.store.transaction(write=route.method != "GET") as rows:
                settings, query = self.desk.settings, _query(request)
                path = dict(request.match_info)
                return route.answer(Call(rows, project, path, query, body, settings, request.content_type, reject))
        except Refused as refused:
            return Answer(refused.status, refused.body)
        except UnicodeEncodeError:
            return Answer(400, {"message": "Invalid request data", "error": "InvalidRequestError"})

    async def _page(self, request: web.Request) -> web.Response:
        with self.desk.store.transaction(write=False) as rows:
            return page(rows)

    async def _look(self, request: web.Request) -> web.Response:
        try:
            return _response(Answer(200, self.desk.look(request.match_info["name"])))
        except KeyError:
            return _complaint(404, f"GET {request.path} does not exist")

    async def _steer(self, request: web.Request) -> web.Response:
        try:
            text = await request.read()
            self.desk.steer(request.match_info["name"], json.loads(text) if text else {})
        except KeyError:
            return _complaint(404, f"POST {request.path} does not exist")
        except (TypeError, ValueError, AttributeError) as error:
            return _complaint(400, str(error))
        return _response(Answer(200, {"ok": True}))


@asynccontextmanager
async def serving(config: Config) -> AsyncIterator[str]:
    """The URL of a running stand-in; raises StoreBroken or PortTaken."""
    store = Store(config.store)
    try:
        async with listening(Langfuse(config, store).application(), config.port) as url:
            yield url
    finally:
        store.close()


async def serve(config: Config, ready: Callable[[dict[str, Any]], None], stop: asyncio.Event) -> None:
    """Serve until the event is set; `ready` gets the URL and the identity once the server listens."""
    async with serving(config) as url:
        ready({"url": url, **IDENTITY})
        await stop.wait()


@web.middleware
async def _no_such_address(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPNotFound:
        return _response(Answer(404, NOT_FOUND))
    except web.HTTPMethodNotAllowed as error:
        return _response(Answer(405, NOT_ALLOWED, {"Allow": error.headers["Allow"]}))


async def _body(request: web.Request, route: Route) -> Any:
    """The parsed body, or its bytes for a raw route."""
    if route.method in {"GET", "DELETE"}:
        return None
    too_large = Refused(413, f"Body exceeded {route.largest_body / 1024 / 1024:g}mb limit")
    try:
        body = await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise too_large from None
    if request.headers.get("Content-Encoding", "identity") != "identity":
        body = _unpacked(body, request.headers["Content-Encoding"], route.largest_body)
    if len(body) > route.largest_body:
        raise too_large
    return body if route.raw else read_json(body)


def _unpacked(body: bytes, encoding: str, largest: int) -> bytes:
    """The body without its compression, no more of it than is needed to see that it is too large."""
    window = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}.get(encoding.lower())
    if window is None:
        raise Refused(400, f"The encoding {encoding} is not known")
    stream = zlib.decompressobj(window)
    try:
        text = stream.decompress(body, largest + 1)
    except zlib.error:
        raise Refused(400, "The body cannot be unpacked") from None
    if not stream.eof and len(text) <= largest:
        raise Refused(400, "The body ends too early")
    return text


def _query(request: web.Request) -> dict[str, Any]:
    """The query; a name that comes more than once has a list."""
    query = request.query
    return {name: query[name] if len(query.getall(name)) == 1 else query.getall(name) for name in query}


def _response(answer: Answer) -> web.Response:
    text = None if answer.value is None else pack(answer.value)
    kind = None if text is None else "application/json"
    return web.Response(status=answer.status, text=text, content_type=kind, headers=answer.headers)


def _broken(request: web.Request, fault: Fault) -> web.Response:
    """What a test wants to see instead of an answer."""
    if fault.close and request.transport is not None:
        request.transport.close()
    status = fault.status or 500
    headers = {} if fault.retry_after is None else {"Retry-After": f"{fault.retry_after:g}"}
    return _response(Answer(status, Refused(status, fault.message, fault.error).body, headers))


def _complaint(status: int, message: str) -> web.Response:
    return _response(Answer(status, {"error": {"message": message}}))
