"""What survives the way to Langfuse and back: the server is written in JavaScript and keeps JSON in Postgres.

It answers 1 for 1.0, and our hashes tell these apart; so the places of whole floats travel beside the data, and what
could not come back as it was is refused before it is sent.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from workbench.records import canonical

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

EXACT = 2**53
"""Whole numbers beyond this are rounded by JavaScript."""


def plain(value: Any) -> Any:
    """`value` as JSON gives it back: texts as keys, lists for tuples. Raises TypeError or ValueError for other data."""
    return json.loads(canonical(value))


def size(body: Any) -> int:
    """Bytes of a body on the wire; the body must be free of what `spoiled` names."""
    return len(json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8"))


def length(text: str) -> int:
    """Characters as JavaScript counts them: those beyond the basic plane are two."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def texts(value: Any) -> Iterator[str]:
    """Every text in JSON data, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield key
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)


def spoiled(value: Any) -> str | None:
    """What in plain JSON data the server would refuse or change, as a noun; None if it all comes back."""
    for text in texts(value):
        if "\x00" in text:
            return "a NUL character"
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            return "half of a surrogate pair"
    for number in _numbers(value):
        if isinstance(number, int) and abs(number) > EXACT:
            return f"the number {number}, more than 2**53,"
        if number == 0 and math.copysign(1.0, number) < 0:
            return "the number -0.0"
    return None


def whole_floats(value: Any) -> tuple[int, ...]:
    """Which of the numbers in the data are floats without a fraction, counted from 0 with keys in order."""
    return tuple(i for i, n in enumerate(_numbers(value)) if isinstance(n, float) and n.is_integer())


def with_floats(value: Any, places: Collection[int]) -> Any:
    """The data with the numbers at these places as floats again; the inverse of what a server makes of them."""
    counted = iter(range(1 << 62))

    def walk(one: Any) -> Any:
        if isinstance(one, dict):
            return {key: walk(one[key]) for key in sorted(one)}
        if isinstance(one, list):
            return [walk(inner) for inner in one]
        if isinstance(one, (int, float)) and not isinstance(one, bool):
            return float(one) if next(counted) in places and abs(one) < 1e300 else one
        return one

    return walk(value) if places else value


def _numbers(value: Any) -> Iterator[int | float]:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        yield value
    elif isinstance(value, Mapping):
        for key in sorted(value):
            yield from _numbers(value[key])
    elif isinstance(value, list):
        for inner in value:
            yield from _numbers(inner)
