"""Laws of the records: what a cache key depends on, and what it never depends on."""

from __future__ import annotations

import json
import math
from dataclasses import FrozenInstanceError, fields, make_dataclass, replace
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.records import ROW_FIELDS, Message, Request, Row, canonical, content_of, sha256

BARE = Request("openai", "responses", "gpt-6-luna", (Message("user", "Hello"),))
FULL = Request(
    "anthropic",
    "messages",
    "claude-haiku-5-5",
    (Message("system", "Sort tickets."), Message("user", "Zähler läuft rückwärts 🙃\n\ud800\x00")),
    params={"max_tokens": 200, "effort": "low", "stop": ["\n\n"]},
    output_schema={"type": "object", "properties": {"category": {"type": "string"}}},
    tools=({"name": "lookup", "description": "Find an order"},),
    repeat=3,
    origin="sim:0123456789abcdef",
)
GOLDEN = [
    (BARE, "d4287b1e824d900452706d2611fb99962980c12e1acc92685270709c8c09b878"),
    (FULL, "7ae67bddbfdb544ccaabc02b957d995cdf39d2a67cb67fa510cf2ded05c32d9a"),
    (
        replace(BARE, params={"temperature": 0.25, "seed": 7}),
        "c31495cc3953dfbda66c28a6e1643903b6b671da5aad0e61e656b3f800900dda",
    ),
    (
        replace(BARE, origin="https://models.example/v1", repeat=1),
        "4db8345304cc058542f41dd9bd185b348817c77375e6297e8465370aa3b62b33",
    ),
    (replace(BARE, output_schema={}), "4f0afb9f0022ec881e65719b9e4d828d9aaaa4357413fd9d46be9f4423e9eac6"),
]

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
mappings = st.dictionaries(st.text(), plain, max_size=5)


def key(request: Request) -> str:
    return sha256(request.identity())


def reversed_order(value: Any) -> Any:
    """The same data with every mapping in the opposite order."""
    if isinstance(value, dict):
        return {name: reversed_order(value[name]) for name in reversed(value)}
    return [reversed_order(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize(("request_", "golden"), GOLDEN, ids=["bare", "full", "params", "origin", "empty schema"])
def test_golden_keys(request_: Request, golden: str) -> None:
    """Keys never change: a changed key would throw away every reply that was paid for."""
    assert key(request_) == golden


def test_added_field_keeps_old_keys() -> None:
    """An optional field added later and left at its default changes no key, and neither does naming a default."""
    wider = make_dataclass("Wider", [("later", Any, None)], bases=(Request,), frozen=True)
    values = {field.name: getattr(FULL, field.name) for field in fields(Request)}
    assert key(wider(**values)) == key(FULL)
    assert key(replace(BARE, params={}, output_schema=None, tools=(), repeat=0, origin="vendor")) == key(BARE)


@given(mappings, mappings, mappings)
def test_key_ignores_order(params: dict[str, Any], schema: dict[str, Any], tool: dict[str, Any]) -> None:
    """The key does not depend on the order in which mappings were written, at any depth."""
    one = replace(BARE, params=params, output_schema=schema, tools=(tool,))
    other = replace(BARE, params=reversed_order(params), output_schema=reversed_order(schema),
                    tools=(reversed_order(tool),))  # fmt: skip
    assert key(one) == key(other)


@given(st.integers(0, 99), st.integers(0, 99), st.text(), st.text(), mappings, mappings)
def test_key_tells_requests_apart(a: int, b: int, x: str, y: str, p: dict[str, Any], q: dict[str, Any]) -> None:
    """Two keys are equal only if repeat, origin, text and params all are."""
    same_params = canonical(p) == canonical(q)
    assert (key(replace(BARE, repeat=a)) == key(replace(BARE, repeat=b))) == (a == b)
    assert (key(replace(BARE, origin=x)) == key(replace(BARE, origin=y))) == (x == y)
    assert (key(replace(BARE, params=p)) == key(replace(BARE, params=q))) == same_params
    one, other = (replace(BARE, messages=(Message("user", text),)) for text in (x, y))
    assert (key(one) == key(other)) == (x == y)


@pytest.mark.parametrize("field", [field.name for field in fields(Request)])
def test_every_field_counts(field: str) -> None:
    """Every field of a request is part of its key."""
    assert key(replace(BARE, **{field: getattr(FULL, field)})) != key(BARE)


def test_message_borders_count() -> None:
    """Moving text from one message to the next, or to another role, gives another key."""
    variants = [(Message("user", "ab"), Message("user", "c")), (Message("user", "a"), Message("user", "bc")),
                (Message("user", "abc"),), (Message("system", "ab"), Message("user", "c"))]  # fmt: skip
    assert len({key(replace(BARE, messages=messages)) for messages in variants}) == len(variants)


def test_content_key_leaves_out_who_answers() -> None:
    """Recordings match a question whoever answers it, in whatever repeat, and no other question."""
    elsewhere = replace(BARE, origin="sim:x", repeat=5)
    assert elsewhere.content_key() == BARE.content_key()
    assert replace(BARE, model="other").content_key() != BARE.content_key()


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", {("a",): 1}, math.nan, math.inf])
def test_nothing_becomes_its_repr(value: object) -> None:
    """What JSON cannot say is refused instead of being keyed by a repr that differs from process to process."""
    with pytest.raises((TypeError, ValueError)):
        replace(BARE, params={"x": value}).identity()


@given(st.text(st.characters(exclude_categories=())))
def test_hostile_text_has_a_key(text: str) -> None:
    """Any text has a key, lone surrogates and NUL included, and canonical text is ASCII that reads back the same."""
    assert len(sha256(text)) == 64
    assert canonical(text).isascii()
    assert json.loads(canonical(text)) == text


def test_row_is_one_line_of_json() -> None:
    """A row is written as one line of JSON that holds every field in the order of the declaration."""
    row = Row("run", "p", "v1", "sha", "openai", "m", None, "vendor", "live", "m-1", "case\n1",
               0, output="a\u2028b\n\ud800",
              scores={"exact": True, "share": 0.5, "none": None}, reasons={"share": "half"})  # fmt: skip
    line = row.to_json()
    assert len(line.splitlines()) == 1
    read = json.loads(line)
    assert tuple(read) == ROW_FIELDS
    assert read == {name: getattr(row, name) for name in ROW_FIELDS}


def test_records_are_frozen() -> None:
    """A record cannot be changed after the fact."""
    with pytest.raises(FrozenInstanceError):
        BARE.repeat = 1  # type: ignore[misc]


def test_golden_content() -> None:
    """A case's content has the hash that it always had: by another one, test cases that were seen would look unseen."""
    golden = "352e9e94d27b2c30ac8f087a77b536db3c4d4e8a4078e505063cd5b96e745f4a"
    assert content_of(MappingProxyType({"b": "ü", "a": [1, 2.5]}), {"x": None}) == golden
