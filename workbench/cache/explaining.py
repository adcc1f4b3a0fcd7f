"""Why a request was no hit: what differs from a stored one, field by field."""

from __future__ import annotations

import json
import os
from typing import Any

from workbench.records import canonical


def differences(wanted: dict[str, Any], stored: dict[str, Any]) -> list[tuple[str, str]]:
    """(field, sentence) for each field that differs; messages and params are taken apart."""
    found = []
    for field in sorted(wanted.keys() | stored.keys()):
        a: Any = wanted.get(field)
        b: Any = stored.get(field)
        if a == b:
            continue
        if field == "params":
            names = sorted((a or {}).keys() | (b or {}).keys())
            found += [(f"params.{n}", f"params.{n}: {_short((a or {}).get(n))} now, {_short((b or {}).get(n))} stored")
                      for n in names if (a or {}).get(n) != (b or {}).get(n)]  # fmt: skip
        elif field == "messages" and len(a) == len(b):
            found += [(f"messages.{i}", _message_change(old, new))
                      for i, (new, old) in enumerate(zip(a, b, strict=True)) if new != old]  # fmt: skip
        else:
            found.append((field, f"{field}: {_short(a)} now, {_short(b)} stored"))
    return found


def likeness(wanted: dict[str, Any], stored: dict[str, Any]) -> float:
    """Share of the longest common beginning of both texts: cheap enough for every stored entry."""
    a, b = (canonical(identity["messages"]) for identity in (wanted, stored))
    return _common(a, b) / max(len(a), len(b), 1)


def _common(a: str, b: str) -> int:
    """Characters that both texts begin with."""
    return len(os.path.commonprefix([a, b]))  # noqa: RUF071  # character by character is what is meant


def _message_change(old: list[str], new: list[str]) -> str:
    if old[0] != new[0]:
        return f"message of the {new[0]} now, of the {old[0]} stored: {_short(new[1])}"
    return f"{new[0]} message: {_first_change(old[1], new[1])}"


def _first_change(old: str, new: str) -> str:
    at = max(_common(old, new) - 12, 0)
    return f"{_short(new[at:])} now, {_short(old[at:])} stored (from character {at})"


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return repr(text if len(text) <= 48 else text[:48] + "…")
