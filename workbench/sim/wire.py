"""What the server needs from a wire format, and the parts that several of them share."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol

from workbench.sim.said import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workbench.sim.asked import Asked
    from workbench.sim.said import Said

Body = dict[str, Any]

_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


class Wire(Protocol):
    """One vendor endpoint's format.

    `stream_type` is the content type of its streams; `broken_event` is an event that no client can read.
    """

    provider: str
    stream_type: str
    request_id_header: str
    broken_event: bytes

    def read(self, body: Body, headers: Mapping[str, str]) -> Asked:
        """What the body asks; raises Problem for what the live endpoint refuses."""

    def whole(self, asked: Asked, said: Said) -> Body:
        """The body of a complete answer."""

    def stream(self, asked: Asked, said: Said) -> list[bytes]:
        """The events of a streamed answer, in the vendor's order."""

    def refuse(self, problem: Problem, request_id: str) -> tuple[int, Body]:
        """Status and body of an error."""

    def refuse_midway(self, problem: Problem, request_id: str) -> bytes:
        """The error as an event inside a stream that began with status 200."""


def dumps(value: Any) -> str:
    """Compact JSON text."""
    return _COMPACT.encode(value)


def event(value: Body, name: str | None = None) -> bytes:
    """One server-sent event; lone surrogates become question marks, as no UTF-8 can carry them."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {dumps(value)}\n\n".encode("utf-8", "replace")


def names(text: str) -> frozenset[str]:
    """A set of names from a text that lists them."""
    return frozenset(text.split())


def need(body: Body, required: tuple[str, ...], message: str) -> None:
    """Refuse a body that lacks a required field; `message` gets the field's name."""
    for name in required:
        if body.get(name) is None:
            raise Problem("bad_request", message.format(name), code="missing_required_parameter", param=name)
