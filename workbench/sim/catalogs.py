"""The lists of models and versions, in each vendor's format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.sim.wire_ollama import tags

if TYPE_CHECKING:
    from workbench.sim.desk import Desk

RELEASED = "2026-10-21T00:00:00Z"
RELEASED_UNIX = 1_792_540_800


def answer(desk: Desk, path: str, as_anthropic: bool) -> Any:
    """The list, or one entry of it, that a GET asks for; KeyError if there is no such address."""
    if path == "/api/version":
        return {"version": "0.0.0-simulated"}
    if path == "/api/tags":
        return tags(desk.behaviour.models("ollama"))
    provider, entry = ("anthropic", _anthropic_model) if as_anthropic else ("openai", _openai_model)
    entries = {model: entry(model) for model in desk.behaviour.models(provider)}
    if path != "/v1/models":
        return entries[path.removeprefix("/v1/models/")]
    listed = list(entries.values())
    if not as_anthropic:
        return {"object": "list", "data": listed}
    first, last = (listed[0]["id"], listed[-1]["id"]) if listed else (None, None)
    return {"data": listed, "has_more": False, "first_id": first, "last_id": last}


def _anthropic_model(model: str) -> dict[str, Any]:
    return {
        "type": "model",
        "id": model,
        "display_name": f"{model} (simulated)",
        "created_at": RELEASED,
        "lifecycle": "active",
        "deprecated_at": None,
        "retires_at": None,
        "line": model.split("-")[1],
        "max_input_tokens": 1_000_000,
        "max_tokens": 128_000,
        "capabilities": None,
    }


def _openai_model(model: str) -> dict[str, Any]:
    return {"id": model, "object": "model", "created": RELEASED_UNIX, "owned_by": "simulated"}
