"""Answers in the shape that a JSON schema asks for: what every vendor's structured output promises."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    Schema = Mapping[str, Any]

DEEPEST = 24
"""Levels after which a schema that contains itself gets nothing more."""

PLACES = ("answer", "result", "value", "response", "output", "reason")
"""Properties that a bare value goes to, the likeliest first; else to the first that can hold it."""


def in_shape(text: str, schema: Schema) -> str:
    """`text` where it follows the schema already, else the nearest JSON that does."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return json.dumps(_shape(text, schema, schema, 0), ensure_ascii=False)
    shaped = _shape(value, schema, schema, 0)
    if shaped == value and type(shaped) is type(value):
        return text
    # a bare 42 or true is what an answer happens to say; it is read by the type that the schema wants
    return json.dumps(
        shaped if isinstance(value, (dict, list)) else _shape(text, schema, schema, 0), ensure_ascii=False
    )


def _shape(value: Any, schema: Schema, root: Schema, depth: int) -> Any:
    schema = _resolved(schema, root, value)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return value if value in schema["enum"] else schema["enum"][0]
    if depth > DEEPEST:
        return None
    kind = _kind(schema, value)
    if kind == "object":
        return _object(value, schema, root, depth)
    if kind == "array":
        entries = value if isinstance(value, list) else [] if value is None else [value]
        wanted = [*entries, *[None] * (schema.get("minItems", 0) - len(entries))]
        return [_shape(one, schema.get("items", {}), root, depth + 1) for one in wanted]
    return _plain(value, kind)


def _object(value: Any, schema: Schema, root: Schema, depth: int) -> dict[str, Any]:
    properties: Schema = schema.get("properties", {})
    if not isinstance(value, dict):
        name = _place(value, properties, root)
        value = {} if name is None or value is None else {name: value}
    open_ended = schema.get("additionalProperties", True) is not False
    shaped = {
        name: _shape(one, properties[name], root, depth + 1) if name in properties else one
        for name, one in value.items()
        if name in properties or open_ended
    }
    lacking = [name for name in schema.get("required", ()) if name not in shaped]
    return shaped | {name: _shape(None, properties.get(name, {}), root, depth + 1) for name in lacking}


def _place(value: Any, properties: Schema, root: Schema) -> str | None:
    """The property that a bare value goes to: of its own type, else one that holds text."""
    kinds = {name: _kind(_resolved(one, root, value), value) for name, one in properties.items()}
    fitting = [name for name, kind in kinds.items() if kind == ("array" if isinstance(value, list) else "string")]
    likely = [name for name in PLACES if name in fitting]
    return next(iter([*likely, *fitting, *kinds]), None)


def _resolved(schema: Schema, root: Schema, value: Any) -> Schema:
    """Without references, and with one of several alternatives chosen."""
    for _ in range(DEEPEST):
        if reference := schema.get("$ref"):
            found: Any = root
            for part in str(reference).removeprefix("#/").split("/"):
                found = found.get(part, {}) if isinstance(found, dict) else {}
            schema = found
        elif alternatives := schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf"):
            fitting = [one for one in alternatives if _kind(one, value) == _kind_of(value)]
            schema = (fitting or alternatives)[0]
        else:
            break
    return schema


def _kind(schema: Schema, value: Any) -> str:
    kinds = schema.get("type", "object" if "properties" in schema else _kind_of(value))
    if isinstance(kinds, list):
        return _kind_of(value) if _kind_of(value) in kinds else str(kinds[0])
    return str(kinds)


def _kind_of(value: Any) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")


def _plain(value: Any, kind: str) -> Any:
    if kind == "string":
        return value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
    if kind == "boolean":
        return value if isinstance(value, bool) else str(value).strip().casefold() in ("true", "yes")
    if kind in ("integer", "number"):
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return int(value) if kind == "integer" else value
        try:
            return int(str(value)) if kind == "integer" else float(str(value))
        except ValueError:
            return 0
    return None
