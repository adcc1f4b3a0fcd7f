"""Claude over the Messages API.

Calls go through the SDK's `post` with plain dictionaries both ways: its authentication, transport and errors without
its models, which cost more CPU per call than everything else we do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from workbench.providers.exchange import Exchange, as_list, asked_params, count
from workbench.providers.pool import pool_settings
from workbench.records import Reply, Usage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from workbench.providers import Connection
    from workbench.records import Request

URL = "https://api.anthropic.com"
PATH = "/v1/messages"
KNOWN = {"messages": frozenset({"max_tokens", "effort", "stop"})}
MAX_TOKENS = 4096
"""The API wants a limit; this one is sent when the request names none."""

LONGEST_UNSTREAMED = 21_333
"""More tokens may take over ten minutes, and the vendor wants those answers streamed (SDK 2.12, `_base_client`)."""

STOPS = {"end_turn": "end"}


class Anthropic:
    """One client of the Messages API; see `workbench.providers.Provider`."""

    def __init__(self, connection: Connection) -> None:
        import anthropic
        import httpx2

        client = anthropic.DefaultAioHttpClient if connection.transport == "aiohttp" else httpx2.AsyncClient
        self._connection = connection
        self._response = httpx2.Response
        self._events = anthropic.AsyncStream[object]
        self._client = anthropic.AsyncAnthropic(
            api_key=connection.api_key,
            base_url=connection.base_url or URL,
            max_retries=0,
            timeout=connection.timeout_s,
            open_telemetry=False,
            http_client=client(**pool_settings(connection, httpx2, connection.concurrency)),
        )
        self._client._custom_headers = {}  # ANTHROPIC_CUSTOM_HEADERS could change the key or the API version

    async def complete(self, request: Request) -> Reply:
        body = message_body(request)
        if body["max_tokens"] > LONGEST_UNSTREAMED:
            return await self._streamed(request)
        with Exchange(self._connection, request) as exchange:
            response = await self._client.post(
                PATH, cast_to=self._response, body=body, options={"headers": exchange.sent_headers()}
            )
            exchange.headers = response.headers
            reply = read_message(exchange, response.json())
        return reply

    async def stream(self, request: Request) -> AsyncIterator[str | Reply]:
        body = message_body(request) | {"stream": True}
        answer = MessageEvents()
        with Exchange(self._connection, request) as exchange:
            events = await self._client.post(
                PATH,
                cast_to=object,
                body=body,
                options={"headers": exchange.sent_headers()},
                stream=True,
                stream_cls=self._events,
            )
            exchange.headers = events.response.headers
            async with events:
                async for text in exchange.relay(events, answer):
                    yield text
        with exchange:
            reply = read_message(exchange, answer.body)
        yield reply

    async def _streamed(self, request: Request) -> Reply:
        """`complete` for an answer that may take long; as it is streamed, its `ttft_s` is known."""
        *_, reply = [part async for part in self.stream(request)]
        return cast("Reply", reply)

    async def close(self) -> None:
        await self._client.close()


def message_body(request: Request) -> dict[str, Any]:
    """The JSON body of the call."""
    params = asked_params(request, KNOWN)
    body: dict[str, Any] = {
        "model": request.model,
        "max_tokens": params.get("max_tokens", MAX_TOKENS),
        "messages": [
            {"role": message.role, "content": message.content}
            for message in request.messages
            if message.role != "system"
        ],
    }
    if system := [message.content for message in request.messages if message.role == "system"]:
        body["system"] = "\n\n".join(system)
    output: dict[str, Any] = {}
    if "effort" in params:
        output["effort"] = params["effort"]
    if request.output_schema is not None:
        output["format"] = {"type": "json_schema", "schema": request.output_schema}
    if output:
        body["output_config"] = output
    if "stop" in params:
        body["stop_sequences"] = as_list(params["stop"])
    return body


def read_message(exchange: Exchange, message: Mapping[str, Any]) -> Reply:
    """The reply in a message; thinking is left out of its text."""
    text = "".join(block["text"] for block in message["content"] if block["type"] == "text")
    stop = message["stop_reason"]
    return exchange.reply(text, read_usage(message["usage"]), STOPS.get(stop, stop), message["model"])


def read_usage(usage: Mapping[str, Any]) -> Usage:
    """The vendor counts the uncached part, the writes and the reads apart; our input is their sum."""
    writes = count(usage.get("cache_creation_input_tokens")) or 0
    reads = count(usage.get("cache_read_input_tokens")) or 0
    fresh = count(usage.get("input_tokens"))
    long_writes = count((usage.get("cache_creation") or {}).get("ephemeral_1h_input_tokens")) or 0
    return Usage(
        input_tokens=None if fresh is None else fresh + writes + reads,
        cache_write_5m_tokens=writes - long_writes,
        cache_write_1h_tokens=long_writes,
        cache_read_tokens=reads,
        output_tokens=count(usage.get("output_tokens")),
        reasoning_tokens=count((usage.get("output_tokens_details") or {}).get("thinking_tokens")) or 0,
    )


class MessageEvents:
    """The events of a streamed message, gathered; see `workbench.providers.exchange.Answer`."""

    def __init__(self) -> None:
        self.whole = self.ended = False
        self._message: dict[str, Any] = {}
        self._usage: dict[str, Any] = {}
        self._texts: list[str] = []

    def take(self, event: Any) -> str:
        text = ""
        match event["type"]:
            case "message_start":
                self._message = event["message"]
                self._usage = dict(self._message["usage"])
            case "content_block_start" if event["content_block"]["type"] == "text":
                text = event["content_block"]["text"]
            case "content_block_delta" if event["delta"]["type"] == "text_delta":
                text = event["delta"]["text"]
            case "message_delta":
                self._message["stop_reason"] = event["delta"]["stop_reason"]
                # Cumulative, and counters that were said at the start may come again as null.
                self._usage |= {name: value for name, value in event["usage"].items() if value is not None}
            case "message_stop":
                self.whole = self.ended = True
        self._texts.append(text)
        return text

    @property
    def body(self) -> dict[str, Any]:
        content = [{"type": "text", "text": "".join(self._texts)}]
        return self._message | {"content": content, "usage": self._usage}
