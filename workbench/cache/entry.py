"""One stored reply as text, with a checksum and the request that it answers, so that a hit is proven."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from workbench.records import Reply, Usage, canonical, sha256

_HEAD, _JOINT, _TAIL = '{"checksum":"', '","body":', "}"
_REPLY, _REQUEST = '{"reply":', ',"request":'
_BODY = len(_HEAD) + 64 + len(_JOINT)
_STORED = ("text", "usage", "stop_reason", "served_by", "request_id", "source", "loose", "latency_s", "ttft_s",
           "cost_usd")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entry:
    """One stored reply with the request that it answers (canonical JSON of `Request.identity`)."""

    key: str
    identity: str
    reply: Reply


def encode(entry: Entry) -> str:
    """The text that is stored."""
    reply = {name: getattr(entry.reply, name) for name in _STORED}
    reply["usage"] = {name: getattr(entry.reply.usage, name) for name in Usage.__slots__}
    body = f"{_REPLY}{canonical(reply)}{_REQUEST}{entry.identity}}}"
    return f"{_HEAD}{sha256(body)}{_JOINT}{body}{_TAIL}"


def decode(key: str, text: object) -> Entry | None:
    """The entry, or None if anything about it is not as it was written."""
    if not isinstance(text, str) or not text.startswith(_HEAD):
        return None
    body = text[_BODY : -len(_TAIL)]
    if sha256(body) != text[len(_HEAD) : len(_HEAD) + 64]:
        return None
    try:
        at = body.rindex(_REQUEST)
        while sha256(identity := body[at + len(_REQUEST) : -1]) != key:
            at = body.rindex(_REQUEST, 0, at)  # an output schema may have a property of that name
        fields = json.loads(body[len(_REPLY) : at])
        reply = Reply(**(fields | {"usage": Usage(**fields["usage"]), "cached": True, "spent_usd": 0.0}))
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return Entry(key, identity, reply)


def mark_hit(reply: Reply) -> Reply:
    """The same reply as given to a second asker: nothing was spent on it."""
    return replace(reply, cached=True, spent_usd=0.0, uncertain_usd=0.0, waited_s=0.0, attempts=0)
