"""JSON schemas in the words that all vendors take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.errors import ScorerError

if TYPE_CHECKING:
    from collections.abc import Mapping

_KEPT = frozenset({"type", "properties", "items", "enum", "const", "anyOf", "description"})
"""What OpenAI's strict mode, Anthropic's structured outputs and Ollama's grammars all understand."""


def strict(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A pydantic model's JSON schema in the words that every vendor takes: references written out, every property
    required, no others allowed, and no keyword that one of them refuses. Raises ScorerError for one that nests itself.
    """
    return _strict(schema, schema.get("$defs", {}), ())


def _strict(schema: Mapping[str, Any], defs: Mapping[str, Any], inside: tuple[str, ...]) -> dict[str, Any]:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name in inside:
            raise ScorerError(f"the answer's schema nests {name} in itself, which not every vendor takes")
        return _strict({**defs[name], **{k: v for k, v in schema.items() if k != "$ref"}}, defs, (*inside, name))
    kept = {name: value for name, value in schema.items() if name in _KEPT}
    if "properties" in kept:
        kept["properties"] = {name: _strict(one, defs, inside) for name, one in kept["properties"].items()}
        kept |= {"required": list(kept["properties"]), "additionalProperties": False}
    if "items" in kept:
        kept["items"] = _strict(kept["items"], defs, inside)
    if "anyOf" in kept:
        kept["anyOf"] = [_strict(one, defs, inside) for one in kept["anyOf"]]
    return kept
