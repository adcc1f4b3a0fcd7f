"""Reading the fields of a body or a query, one by one, and saying all that is wrong with them at once."""

from __future__ import annotations

import json
import math
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from workbench.sim.langfuse.calls import Refused
from workbench.sim.langfuse.store import written

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_MOMENT = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?", re.ASCII)
_LARGEST = 2**53


class Fields:
    """The fields of one JSON object; `where` says whose, for messages. What is wrong is collected until `done`."""

    def __init__(self, value: Any, where: tuple[str | int, ...] = ()) -> None:
        self.where = where
        self.issues: list[dict[str, Any]] = []
        if not isinstance(value, dict):
            self.issues.append(self._issue((), f"Invalid input: expected object, received {kind(value)}"))
        self.value: Mapping[str, Any] = value if isinstance(value, dict) else {}

    def wrong(self, name: str, message: str) -> None:
        """Note what is wrong with a field."""
        self.issues.append(self._issue((name,), message))

    def done(self) -> None:
        """Raises Refused with all that was wrong."""
        if self.issues:
            raise Refused.data(self.issues)

    def text(self, name: str, *, required: bool = False, shortest: int = 0, longest: int | None = None) -> str | None:
        """A text; None for none, where none is allowed."""
        value = self.value.get(name)
        if value is None and not required:
            return None
        if not isinstance(value, str):
            self.wrong(name, f"Invalid input: expected string, received {kind(value)}")
            return None
        if len(value) < shortest:
            self.wrong(name, f"Too small: expected string to have >={shortest} characters")
        if longest is not None and len(value) > longest:
            self.wrong(name, f"Too big: expected string to have <={longest} characters")
        return value

    def given(self, name: str) -> str:
        """A text that must be there and not be empty; an empty one once it is noted as wrong."""
        return self.text(name, required=True, shortest=1) or ""

    def texts(self, name: str) -> list[str] | None:
        """A list of texts; None for none."""
        value = self.value.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            self.wrong(name, "Invalid input: expected array of strings")
            return None
        return value

    def choice(self, name: str, options: Collection[str]) -> str | None:
        """One of some words; None for none."""
        value = self.text(name)
        if value is not None and value not in options:
            self.wrong(name, f"Invalid option: expected one of {'|'.join(options)}")
        return value

    def moment(self, name: str) -> str | None:
        """A moment in ISO 8601, as the server writes it; None for none."""
        value = self.text(name)
        if value is None:
            return None
        try:
            if not _MOMENT.fullmatch(value):
                raise ValueError
            moment = datetime.fromisoformat(value)
            return written(moment if moment.tzinfo else datetime.fromisoformat(_with_zone(value)))
        except (ValueError, OverflowError):
            self.wrong(name, "Invalid ISO datetime")
            return None

    def integer(self, name: str, default: int | None = None, least: int = 1, most: int = _LARGEST) -> int | None:
        """A whole number from a query text; `default` for none."""
        value = self.text(name)
        if value is None:
            return default
        if not re.fullmatch(r"[+-]?[0-9]{1,15}", value):
            self.wrong(name, "Invalid input: expected a whole number")
        elif not least <= int(value) <= most:
            self.wrong(name, f"Number out of range: expected {least} to {most}")
        else:
            return int(value)
        return default

    def flag(self, name: str) -> bool | None:
        """true or false from a query text; None for none."""
        return {"true": True, "false": False}.get(self.choice(name, ("true", "false")) or "")

    def any_of(self, name: str) -> list[str]:
        """The words of a text that lists them with commas; none for none."""
        return [word for word in (self.text(name) or "").split(",") if word]

    def _issue(self, path: tuple[str | int, ...], message: str) -> dict[str, Any]:
        return {"code": "custom", "path": [*self.where, *path], "message": message}


def kind(value: Any) -> str:
    """What JSON calls a value."""
    names = {bool: "boolean", int: "number", float: "number", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "undefined")


def read_json(body: bytes) -> Any:
    """The value of a JSON text as a JavaScript server would read it: no NaN, and a number beyond a double is null.

    Raises Refused for anything else.
    """
    try:
        value = json.loads(body, parse_float=_number, parse_int=_number, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise Refused(400, "Invalid JSON") from None
    return _without_surrogates(value) if b"\\u" in body else value


def _number(text: str) -> int | float | None:
    """A double, written as JavaScript writes it: 1 for 1.0."""
    value = float(text)
    if not math.isfinite(value):
        return None
    return int(value) if value.is_integer() and abs(value) < 1e21 else value


def _no_number(text: str) -> None:
    raise ValueError(text)


def _without_surrogates(value: Any) -> Any:
    """No UTF-8 can carry half of a pair, so that a database gets the replacement character instead."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_without_surrogates(one) for one in value]
    if isinstance(value, dict):
        return {_without_surrogates(name): _without_surrogates(one) for name, one in value.items()}
    return value


def _with_zone(text: str) -> str:
    return (text if "T" in text else f"{text}T00:00") + "+00:00"
