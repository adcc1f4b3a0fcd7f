"""What the three adapters share: one call under way, and what may be asked of an endpoint."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Protocol, Self

from workbench.errors import CallError, ConnectionLost, MalformedReply, RequestRefused, TimedOut
from workbench.providers.failures import Asked, in_body, request_id, translate
from workbench.records import Reply, Source, Usage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from types import TracebackType

    from workbench.providers import Connection
    from workbench.records import Request

SOURCES: dict[str, tuple[Source, bool]] = {
    "simulated": ("simulated", False),
    "recorded": ("recorded", False),
    "recorded-loose": ("recorded", True),
    "simulated-loose": ("simulated", True),
}
"""What a stand-in server says in `x-workbench-source`: our word for it, and whether the match was loose."""


class Exchange:
    """One call under way: its clock, the headers of its answer, and the translation of what goes wrong inside `with`.

    Set `headers` when the answer begins and `whole` when its last event is in.
    """

    __slots__ = ("_connection", "_request", "_started", "_ttft_s", "headers", "whole")

    def __init__(self, connection: Connection, request: Request) -> None:
        self._connection = connection
        self._request = request
        self._ttft_s: float | None = None
        self.headers: Mapping[str, str] | None = None
        self.whole = False
        self._started = time.perf_counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None or isinstance(error, CallError):
            return False
        failed = translate(error, self.asked, self.headers)
        if failed is None:
            return False
        if self.whole and isinstance(failed, (ConnectionLost, TimedOut)):
            return True  # the answer is complete, and paid: how the connection ended no longer matters
        raise failed from None  # the SDK's error holds the request, and its text may quote the key

    @property
    def asked(self) -> Asked:
        """Who was asked, for the messages of errors."""
        return Asked(f"{self._request.provider}:{self._request.model}", self._connection.api_key)

    def sent_headers(self) -> dict[str, str]:
        """What a stand-in needs to draw the same answer again; vendors are told nothing."""
        if not self._connection.stand_in:
            return {}
        return {"x-workbench-repeat": str(self._request.repeat), "x-workbench-key": self._request.content_key()}

    async def relay(self, events: AsyncIterator[Any], answer: Answer) -> AsyncIterator[str]:
        """The pieces of text in a stream, until its end. Raises ConnectionLost if that came too early."""
        async for event in events:
            text = answer.take(event)
            self.whole = answer.whole
            if text:
                if self._ttft_s is None:
                    self._ttft_s = time.perf_counter() - self._started
                yield text
        if not answer.ended:
            raise self.asked.failure(ConnectionLost, "the stream ended without its last event")

    def failed(self, body: object) -> CallError:
        """The error that an answer with HTTP 200 speaks of."""
        return in_body(body, self.asked, self.headers)

    def reply(self, text: str, usage: Usage, stop_reason: str, served_by: str) -> Reply:
        """The record of this call. A stand-in that does not say so is still a stand-in."""
        headers = self.headers or {}
        mark = headers.get("x-workbench-source") or ("simulated" if self._connection.stand_in else "")
        source, loose = SOURCES.get(mark, ("live", False))
        return Reply(
            text=text,
            usage=usage,
            stop_reason=stop_reason,
            served_by=served_by,
            request_id=request_id(headers),
            source=source,
            loose=loose,
            latency_s=time.perf_counter() - self._started,
            ttft_s=self._ttft_s,
        )

    def vectors(self, vectors: Sequence[Any], wanted: int, tokens: int | None, served_by: str) -> Reply:
        """The record of a call for embeddings: its text is the vectors as JSON, one for each of the `wanted` texts.

        Raises MalformedReply for anything but that many lists of numbers.
        """
        numbers = [
            vector
            for vector in vectors
            if isinstance(vector, list) and vector and all(isinstance(one, (int, float)) for one in vector)
        ]
        if len(numbers) != len(vectors) or len(vectors) != wanted:
            raise self.asked.failure(MalformedReply, f"{wanted} vectors were asked for, {len(numbers)} came")
        return self.reply(json.dumps(vectors, separators=(",", ":")), Usage(tokens, output_tokens=0), "end", served_by)


class Answer(Protocol):
    """The events of one stream, gathered into the body that an unstreamed call would have had."""

    whole: bool
    """Nothing is missing any more."""

    ended: bool
    """The answer is usable, though the stream may still hold its token counts."""

    def take(self, event: Any) -> str:
        """Adds one event; the text that it brought, or nothing."""
        ...

    @property
    def body(self) -> Mapping[str, Any]:
        """The body of the unstreamed answer."""
        ...


def asked_params(request: Request, known: Mapping[str, frozenset[str]]) -> dict[str, Any]:
    """The parameters that are set, in our names. `known` maps each endpoint to the parameters that it has a word for.

    Raises RequestRefused for what would have to be dropped or cannot be sent; nothing has left yet.
    """
    who = f"{request.provider}:{request.model}"
    if request.endpoint not in known:
        raise RequestRefused(f"{who} has no endpoint {request.endpoint!r}; there are: {', '.join(sorted(known))}.")
    if request.tools:
        raise RequestRefused(f"{who}: tools cannot be sent yet. Ask without tools.")
    params = {name: value for name, value in request.params.items() if value is not None}
    for name in params:
        if name not in known[request.endpoint]:
            there = ", ".join(sorted(known[request.endpoint]))
            raise RequestRefused(
                f"{who} has no parameter {name!r} at {request.endpoint}; remove it. There are: {there}."
            )
    return params


def as_list(stop: Any) -> list[str]:
    """Stop sequences, one or several, as a list."""
    return [stop] if isinstance(stop, str) else list(stop)


def count(value: object) -> int | None:
    """A token counter, or None if the server did not say."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None
