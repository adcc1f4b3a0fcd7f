"""Open models over Ollama, on this machine or another."""

from __future__ import annotations

from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Any, cast

from workbench.providers.exchange import Exchange, as_list, asked_params, count
from workbench.providers.pool import pool_settings
from workbench.records import Reply, Usage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping

    import httpx
    import ollama

    from workbench.providers import Connection
    from workbench.records import Request

URL = "http://127.0.0.1:11434"
PATH = "/api/chat"
EMBED_PATH = "/api/embed"
EMBEDDINGS = {"embeddings": frozenset[str]()}
KNOWN = {"chat": frozenset({"max_tokens", "effort", "temperature", "top_p", "top_k", "seed", "stop"})}
STOPS = {"stop": "end", "length": "max_tokens"}
OPTIONS = {"max_tokens": "num_predict"} | {name: name for name in ("temperature", "top_p", "top_k", "seed")}
"""Our names, and Ollama's."""

LARGEST_POOL = 8
"""httpcore 1.0 spends CPU with the cube of a pool's size: 6 ms per call with one of 64, 0.7 ms with eight of 8."""

EXCHANGE = "workbench.exchange"
"""Where a request carries its exchange through httpx to the hook that sees the headers of its answer."""


class Ollama:
    """One client of an Ollama server; see `workbench.providers.Provider`."""

    def __init__(self, connection: Connection) -> None:
        import httpx
        import ollama

        self._connection = connection
        pools = -(-connection.concurrency // LARGEST_POOL)
        settings = pool_settings(connection, httpx, -(-connection.concurrency // pools))
        self._busy = [0] * pools
        self._clients = [
            ollama.AsyncClient(
                host=connection.base_url or URL,
                headers={"authorization": f"Bearer {connection.api_key}"} if connection.api_key else None,
                event_hooks={"response": [_note_headers]},
                **settings,
            )
            for _ in range(pools)
        ]
        if not connection.api_key:
            for client in self._clients:
                client._client.headers.pop("authorization", None)  # OLLAMA_API_KEY is not ours to send

    async def complete(self, request: Request) -> Reply:
        if request.endpoint == "embeddings":
            return await self.embed(request)
        body = chat_body(request)
        with Exchange(self._connection, request) as exchange, self._least_busy() as client:
            chunk = await client._request(dict[str, Any], "POST", PATH, stream=False, **_call(exchange, body))
            reply = read_chat(exchange, chunk)
        return reply

    async def stream(self, request: Request) -> AsyncIterator[str | Reply]:
        body = chat_body(request) | {"stream": True}
        answer = ChatChunks()
        with Exchange(self._connection, request) as exchange, self._least_busy() as client:
            chunks = await client._request(dict[str, Any], "POST", PATH, stream=True, **_call(exchange, body))
            async with aclosing(cast("AsyncGenerator[dict[str, Any]]", chunks)):
                async for text in exchange.relay(chunks, answer):
                    yield text
        with exchange:
            reply = read_chat(exchange, answer.body)
        yield reply

    async def embed(self, request: Request) -> Reply:
        """The vectors of the messages' texts, in their order, as JSON in the reply's text."""
        asked_params(request, EMBEDDINGS)
        texts = [message.content for message in request.messages]
        # by default the server embeds the beginning of a text that is too long, and says nothing
        body = {"model": request.model, "input": texts, "truncate": False}
        with Exchange(self._connection, request) as exchange, self._least_busy() as client:
            answer = await client._request(dict[str, Any], "POST", EMBED_PATH, stream=False, **_call(exchange, body))
            used = count(answer.get("prompt_eval_count"))
            reply = exchange.vectors(answer["embeddings"], len(texts), used, answer["model"])
        return reply

    async def close(self) -> None:
        for client in self._clients:
            await client.close()  # type: ignore[no-untyped-call]

    @contextmanager
    def _least_busy(self) -> Iterator[ollama.AsyncClient]:
        """The client with the least to do, for the time of one call."""
        number = self._busy.index(min(self._busy))
        self._busy[number] += 1
        try:
            yield self._clients[number]
        finally:
            self._busy[number] -= 1


def _call(exchange: Exchange, body: dict[str, Any]) -> dict[str, Any]:
    """What the SDK passes on to httpx. Its public `chat` takes no headers, and would check our body a second time."""
    return {"json": body, "headers": exchange.sent_headers(), "extensions": {EXCHANGE: exchange}}


async def _note_headers(response: httpx.Response) -> None:
    """The SDK keeps the headers of answers to itself."""
    response.request.extensions[EXCHANGE].headers = response.headers


def chat_body(request: Request) -> dict[str, Any]:
    """The JSON body of the call."""
    params = asked_params(request, KNOWN)
    options = {OPTIONS[name]: params[name] for name in OPTIONS if name in params}
    if "stop" in params:
        options["stop"] = as_list(params["stop"])
    body: dict[str, Any] = {
        "model": request.model,
        "messages": [{"role": message.role, "content": message.content} for message in request.messages],
        "stream": False,
    }
    if options:
        body["options"] = options
    if "effort" in params:
        body["think"] = False if params["effort"] == "none" else params["effort"]
    if request.output_schema is not None:
        body["format"] = request.output_schema
    return body


def read_chat(exchange: Exchange, chunk: Mapping[str, Any]) -> Reply:
    """The reply in an unstreamed answer; thinking is left out of its text."""
    if chunk.get("error"):
        raise exchange.failed(chunk)
    stop = chunk.get("done_reason") or "unknown"
    # A prompt that the server had in memory may come without its count, which is unknown and not 0.
    usage = Usage(input_tokens=count(chunk.get("prompt_eval_count")), output_tokens=count(chunk.get("eval_count")))
    return exchange.reply(chunk["message"]["content"], usage, STOPS.get(stop, stop), chunk["model"])


class ChatChunks:
    """The lines of a streamed answer, gathered; see `workbench.providers.exchange.Answer`."""

    def __init__(self) -> None:
        self.whole = self.ended = False
        self._last: Mapping[str, Any] = {}
        self._texts: list[str] = []

    def take(self, event: Any) -> str:
        text: str = event["message"]["content"]
        self._texts.append(text)
        if event["done"]:
            self._last = event
            self.whole = self.ended = True
        return text

    @property
    def body(self) -> dict[str, Any]:
        return {**self._last, "message": {"content": "".join(self._texts)}}
