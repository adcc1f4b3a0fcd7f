"""A stored reply as a recording, which a stand-in server plays back."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from workbench.records import canonical, sha256

if TYPE_CHECKING:
    from workbench.cache.entry import Entry


def recording(entry: Entry) -> dict[str, Any]:
    """Model, input, output, usage, and the key and repeat by which it is matched exactly."""
    identity = json.loads(entry.identity)
    content = {name: value for name, value in identity.items() if name not in ("origin", "repeat", "schema")}
    texts = {True: [], False: []}  # type: dict[bool, list[str]]
    for role, text in identity["messages"]:
        texts[role == "system"].append(text)
    return {
        "model": identity["model"], "input": "\n\n".join(texts[False]), "system": "\n\n".join(texts[True]),
        "output": entry.reply.text, "key": sha256(canonical(content)), "repeat": identity["repeat"],
        "usage": asdict(entry.reply.usage), "latency_ms": entry.reply.latency_s * 1000,
    }  # fmt: skip
