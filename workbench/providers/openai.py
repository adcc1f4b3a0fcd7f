"""OpenAI over the Responses API, chat completions for every server that speaks its language, and embeddings.

Calls go through the SDK's `post` with plain dictionaries both ways: its authentication, transport and errors without
its models, which cost more CPU per call than everything else we do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.providers.exchange import Answer, Exchange, as_list, asked_params, count
from workbench.providers.pool import pool_settings
from workbench.records import Reply, Usage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping

    from workbench.providers import Connection
    from workbench.records import Request

URL = "https://api.openai.com/v1"
PATHS = {"responses": "/responses", "chat_completions": "/chat/completions"}
KNOWN = {
    "responses": frozenset({"max_tokens", "effort", "temperature", "top_p"}),
    "chat_completions": frozenset({"max_tokens", "effort", "temperature", "top_p", "seed", "stop"}),
}
EMBEDDINGS = {"embeddings": frozenset[str]()}
STOPS = {
    "stop": "end",
    "length": "max_tokens",
    "max_output_tokens": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
}


class OpenAI:
    """One client of OpenAI, or of a server like it; see `workbench.providers.Provider`."""

    def __init__(self, connection: Connection) -> None:
        import httpx2
        import openai

        client = openai.DefaultAioHttpClient if connection.transport == "aiohttp" else httpx2.AsyncClient
        self._connection = connection
        self._response = httpx2.Response
        self._events = openai.AsyncStream[object]
        self._client = openai.AsyncOpenAI(
            api_key=connection.api_key,
            base_url=connection.base_url or URL,
            max_retries=0,
            timeout=connection.timeout_s,
            http_client=client(**pool_settings(connection, httpx2, connection.concurrency)),
        )
        # OPENAI_ORG_ID, OPENAI_PROJECT_ID and OPENAI_CUSTOM_HEADERS could change who is billed, or the key.
        self._client.organization = self._client.project = None
        self._client._custom_headers = {}

    async def complete(self, request: Request) -> Reply:
        if request.endpoint == "embeddings":
            return await self.embed(request)
        body = self._body(request)
        with Exchange(self._connection, request) as exchange:
            response = await self._client.post(
                PATHS[request.endpoint],
                cast_to=self._response,
                body=body,
                options={"headers": exchange.sent_headers()},
            )
            exchange.headers = response.headers
            reply = READERS[request.endpoint](exchange, response.json())
        return reply

    async def stream(self, request: Request) -> AsyncIterator[str | Reply]:
        body = self._body(request) | {"stream": True}
        if request.endpoint == "chat_completions":
            body["stream_options"] = {"include_usage": True}
        with Exchange(self._connection, request) as exchange:
            answer = EVENTS[request.endpoint](exchange)
            events = await self._client.post(
                PATHS[request.endpoint],
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
            reply = READERS[request.endpoint](exchange, answer.body)
        yield reply

    async def embed(self, request: Request) -> Reply:
        """The vectors of the messages' texts, in their order, as JSON in the reply's text."""
        asked_params(request, EMBEDDINGS)
        texts = [message.content for message in request.messages]
        body = {"model": request.model, "input": texts, "encoding_format": "float"}
        with Exchange(self._connection, request) as exchange:
            response = await self._client.post(
                "/embeddings", cast_to=self._response, body=body, options={"headers": exchange.sent_headers()}
            )
            exchange.headers = response.headers
            answer = response.json()
            vectors = [row["embedding"] for row in sorted(answer["data"], key=lambda row: row["index"])]
            used = count((answer.get("usage") or {}).get("prompt_tokens"))
            reply = exchange.vectors(vectors, len(texts), used, answer["model"])
        return reply

    async def close(self) -> None:
        await self._client.close()

    def _body(self, request: Request) -> dict[str, Any]:
        params = asked_params(request, KNOWN)
        if request.endpoint == "responses":
            return responses_body(request, params)
        # Servers like OpenAI mostly know the old name only; OpenAI's newer models only the new one.
        like_openai = self._connection.base_url not in (None, URL) and not self._connection.stand_in
        return chat_body(request, params, "max_tokens" if like_openai else "max_completion_tokens")


def responses_body(request: Request, params: dict[str, Any]) -> dict[str, Any]:
    """The JSON body of a Responses call. System messages stay where they are in the input; nothing is stored."""
    body: dict[str, Any] = {"model": request.model, "input": _messages(request), "store": False}
    if "max_tokens" in params:
        body["max_output_tokens"] = params["max_tokens"]
    if "effort" in params:
        body["reasoning"] = {"effort": params["effort"]}
    if request.output_schema is not None:
        body["text"] = {"format": {"type": "json_schema", **_answer_schema(request)}}
    return body | _as_they_are(params, ("temperature", "top_p"))


def chat_body(request: Request, params: dict[str, Any], limit_name: str) -> dict[str, Any]:
    """The JSON body of a chat completion; `limit_name` is the server's name for the limit of tokens."""
    body: dict[str, Any] = {"model": request.model, "messages": _messages(request)}
    if "max_tokens" in params:
        body[limit_name] = params["max_tokens"]
    if "effort" in params:
        body["reasoning_effort"] = params["effort"]
    if "stop" in params:
        body["stop"] = as_list(params["stop"])
    if request.output_schema is not None:
        body["response_format"] = {"type": "json_schema", "json_schema": _answer_schema(request)}
    return body | _as_they_are(params, ("temperature", "top_p", "seed"))


def _messages(request: Request) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in request.messages]


def _answer_schema(request: Request) -> dict[str, Any]:
    return {"name": "answer", "schema": request.output_schema, "strict": True}


def _as_they_are(params: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: params[name] for name in names if name in params}


def read_response(exchange: Exchange, response: Mapping[str, Any]) -> Reply:
    """The reply in a Responses body."""
    if response.get("error"):
        raise exchange.failed(response["error"])
    text, refused = _output_text(response)
    stop = "end" if response["status"] == "completed" else response["incomplete_details"]["reason"]
    stop = "refusal" if refused else STOPS.get(stop, stop)
    usage = response.get("usage") or {}
    return exchange.reply(text, read_usage(usage, "input_tokens", "output_tokens"), stop, response["model"])


def _output_text(response: Mapping[str, Any]) -> tuple[str, bool]:
    """All text of the answer, and whether it is a refusal."""
    parts = [part for item in response["output"] if item["type"] == "message" for part in item["content"]]
    refused = any(part["type"] == "refusal" for part in parts)
    return "".join(part["refusal"] if part["type"] == "refusal" else part["text"] for part in parts), refused


def _rest(whole: str, begun: str) -> str:
    return whole[len(begun) :] if whole.startswith(begun) else ""


def read_chat(exchange: Exchange, completion: Mapping[str, Any]) -> Reply:
    """The reply in a chat completion."""
    if completion.get("error"):
        raise exchange.failed(completion["error"])
    choice = completion["choices"][0]
    refusal = choice["message"].get("refusal")
    text = (choice["message"].get("content") or "") + (refusal or "")
    stop = choice.get("finish_reason") or "unknown"
    stop = "refusal" if refusal else STOPS.get(stop, stop)
    usage = completion.get("usage") or {}
    return exchange.reply(text, read_usage(usage, "prompt_tokens", "completion_tokens"), stop, completion["model"])


def read_usage(usage: Mapping[str, Any], input_name: str, output_name: str) -> Usage:
    """The totals already include cached and reasoning tokens; the two endpoints differ in two names."""
    inputs = usage.get(f"{input_name}_details") or {}
    outputs = usage.get(f"{output_name}_details") or {}
    writes = count(inputs.get("cache_write_tokens")) or 0
    long_writes = count((inputs.get("cache_write_tokens_details") or {}).get("ttl_12h_tokens")) or 0
    return Usage(
        input_tokens=count(usage.get(input_name)),
        cache_write_5m_tokens=writes - long_writes,
        cache_write_1h_tokens=long_writes,
        cache_read_tokens=count(inputs.get("cached_tokens")) or 0,
        output_tokens=count(usage.get(output_name)),
        reasoning_tokens=count(outputs.get("reasoning_tokens")) or 0,
    )


class ResponseEvents:
    """The events of a streamed response, gathered; see `workbench.providers.exchange.Answer`."""

    def __init__(self, exchange: Exchange) -> None:
        self.whole = self.ended = False
        self.body: Mapping[str, Any] = {}
        self._exchange = exchange
        self._text = ""

    def take(self, event: Any) -> str:
        text = ""
        match event["type"]:
            case "response.output_text.delta" | "response.refusal.delta":
                text = event["delta"]
            case "response.completed" | "response.incomplete":
                self.body = event["response"]
                self.whole = self.ended = True
                # The last event has the whole text; a server that sent fewer deltas loses nothing.
                text = _rest(_output_text(self.body)[0], self._text)
            case "response.failed":
                raise self._exchange.failed(event["response"].get("error"))
            case "error":
                raise self._exchange.failed(event)
        self._text += text
        return text


class ChatEvents:
    """The chunks of a streamed chat completion, gathered; see `workbench.providers.exchange.Answer`."""

    def __init__(self) -> None:
        self.whole = self.ended = False
        self._model = ""
        self._finish_reason: str | None = None
        self._usage: Mapping[str, Any] | None = None
        self._said: dict[str, str] = {"content": "", "refusal": ""}

    def take(self, event: Any) -> str:
        self._model = event.get("model") or self._model
        self._usage = event.get("usage") or self._usage
        text = ""
        for choice in event["choices"]:
            self._finish_reason = choice.get("finish_reason") or self._finish_reason
            for name in self._said:
                piece = choice["delta"].get(name) or ""
                self._said[name] += piece
                text += piece
        self.ended = self._finish_reason is not None
        # Not every server sends the usage it is asked for, but until it is in, a cut has taken something away.
        self.whole = self.ended and self._usage is not None
        return text

    @property
    def body(self) -> dict[str, Any]:
        choice = {"message": self._said, "finish_reason": self._finish_reason}
        return {"model": self._model, "choices": [choice], "usage": self._usage}


READERS: dict[str, Callable[[Exchange, Mapping[str, Any]], Reply]] = {
    "responses": read_response,
    "chat_completions": read_chat,
}
EVENTS: dict[str, Callable[[Exchange], Answer]] = {
    "responses": ResponseEvents,
    "chat_completions": lambda _: ChatEvents(),
}
