"""The server itself: one loopback address for all wire formats, and a few addresses to steer it in tests."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from aiohttp import web

from workbench.sim import catalogs
from workbench.sim.desk import Desk
from workbench.sim.hosting import PortTaken, listening
from workbench.sim.said import Problem
from workbench.sim.sending import Sending
from workbench.sim.wire import dumps
from workbench.sim.wire_anthropic import AnthropicMessages, count_request_tokens
from workbench.sim.wire_embeddings import OllamaEmbed, OpenAIEmbeddings
from workbench.sim.wire_ollama import OllamaChat
from workbench.sim.wire_openai_chat import OpenAIChat
from workbench.sim.wire_openai_responses import OpenAIResponses

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from workbench.sim.asked import Asked
    from workbench.sim.config import Config
    from workbench.sim.wire import Wire

__all__ = ["Door", "PortTaken", "serve", "serving"]

LARGEST_BODY = 32 * 1024 * 1024
WRONG_KEY = "wrong-key"
WIRES: dict[str, Wire] = {
    "/v1/messages": AnthropicMessages(),
    "/v1/responses": OpenAIResponses(),
    "/v1/chat/completions": OpenAIChat(),
    "/api/chat": OllamaChat(),
    "/v1/embeddings": OpenAIEmbeddings(),
    "/api/embed": OllamaEmbed(),
}


class Door(web.Server):
    """A plain HTTP server that counts the connections it accepts and takes large bodies."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(self.answer, request_factory=_request, handler_cancellation=True, access_log=None)
        self.desk = desk

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Count one more accepted connection."""
        self.desk.stats.connections += 1
        super().connection_made(handler, transport)

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Send a request where it belongs."""
        wire = WIRES.get(request.path) if request.method == "POST" else None
        if wire is not None:
            return await self._model_call(request, wire)
        vendor = WIRES["/v1/messages" if "anthropic-version" in request.headers else "/v1/responses"]
        try:
            return _json(await self._other(request))
        except KeyError:
            missing = Problem("not_found", f"{request.method} {request.path} does not exist")
            status, body = vendor.refuse(missing, self.desk.next_request_id())
        except Problem as problem:
            status, body = vendor.refuse(problem, self.desk.next_request_id())
        except (AttributeError, TypeError, ValueError) as error:
            status, body = 400, {"error": {"message": str(error)}}
        return _json(body, status)

    async def _model_call(self, request: web.BaseRequest, wire: Wire) -> web.StreamResponse:
        """One call to a model, counted from its first byte to its last."""
        desk = self.desk
        sending = Sending(request, wire, desk, desk.next_request_id())
        with desk.stats.running():
            try:
                _check_key(request, wire)
                asked = _read(wire, await _body(request), request)
                with desk.stats.question(asked) as done:
                    response = await sending.answer(asked)
                    done(sending.complete)
                return response
            except Problem as problem:
                return sending.problem(problem)

    async def _other(self, request: web.BaseRequest) -> Any:
        """Everything that is not a call to a model; KeyError if there is no such address."""
        route = f"{request.method} {request.path}"
        if route == "POST /v1/messages/count_tokens":
            return {"input_tokens": count_request_tokens(await _body(request))}
        if request.method == "POST":
            return self._steer(request.path, await _steering(request))
        if route == "GET /sim/identity":
            return self.desk.identity()
        if route == "GET /sim/stats":
            return self.desk.stats.to_json()
        return catalogs.answer(self.desk, request.path, "anthropic-version" in request.headers)

    def _steer(self, path: str, value: Any) -> Any:
        steps: dict[str, Callable[[Any], None]] = {
            "/sim/reset": lambda _: self.desk.reset(),
            "/sim/faults": self.desk.faults.declare,
            "/sim/settings": self.desk.set,
            "/sim/cases": self.desk.learn,
        }
        steps[path](value)
        return {"ok": True}


@asynccontextmanager
async def serving(config: Config) -> AsyncIterator[str]:
    """The URL of a running server, on the loopback only; raises PortTaken if somebody else has the port."""
    async with listening(Door(Desk.of(config)), config.port) as url:
        yield url


async def serve(config: Config, ready: Callable[[str], None], until: asyncio.Event | None = None) -> None:
    """Serve until the event is set or the task is cancelled; `ready` gets the URL once the server listens."""
    async with serving(config) as url:
        ready(url)
        await (until or asyncio.Event()).wait()


def _request(
    message: Any, payload: Any, protocol: web.RequestHandler, writer: Any, task: asyncio.Task[None]
) -> web.BaseRequest:
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=LARGEST_BODY)


def _check_key(request: web.BaseRequest, wire: Wire) -> None:
    given = request.headers.get("x-api-key") or request.headers.get("authorization", "").removeprefix("Bearer ")
    if given == WRONG_KEY and wire.provider != "ollama":
        raise Problem("auth", "The API key is wrong.")


def _read(wire: Wire, body: dict[str, Any], request: web.BaseRequest) -> Asked:
    """A body of a shape that no endpoint knows is the caller's mistake, not ours."""
    try:
        return wire.read(body, request.headers)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Problem("bad_request", f"The body cannot be read: {type(error).__name__}: {error}") from error


async def _body(request: web.BaseRequest) -> dict[str, Any]:
    try:
        body = json.loads(await request.read())
    except web.HTTPRequestEntityTooLarge:
        raise Problem("too_large", "The request is larger than 32 MB.") from None
    except ValueError:
        raise Problem("bad_request", "The body is not valid JSON.") from None
    if not isinstance(body, dict):
        raise Problem("bad_request", "The body is not a JSON object.")
    return body


async def _steering(request: web.BaseRequest) -> Any:
    text = await request.read()
    return json.loads(text) if text else {}


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(text=dumps(value), status=status, content_type="application/json")
