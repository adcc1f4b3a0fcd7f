"""Ollama chat: one JSON object or lines of JSON; the stream is the default."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from workbench.records import canonical
from workbench.sim.asked import Asked, key_of, repeat_of, stops, text_of
from workbench.sim.said import Problem, few_words
from workbench.sim.tokens import count_tokens
from workbench.sim.wire import Body, dumps, need

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workbench.sim.said import Said

STATUS = {
    "rate_limit": 429,
    "quota": 402,
    "overloaded": 503,
    "server_error": 500,
    "auth": 401,
    "bad_request": 400,
    "not_found": 404,
    "too_large": 413,
}
NANOSECONDS_PER_TOKEN = 2_000_000


class OllamaChat:
    """The chat endpoint."""

    provider = "ollama"
    stream_type = "application/x-ndjson"
    request_id_header = "x-request-id"
    broken_event = b'{"model": "sim\n'

    def read(self, body: Body, headers: Mapping[str, str]) -> Asked:
        """What the body asks; raises Problem for what the live endpoint refuses."""
        need(body, ("model",), "{} is required")
        messages = body.get("messages") or []
        options = body.get("options") or {}
        limit = options.get("num_predict")
        return Asked(
            provider=self.provider,
            endpoint="chat",
            model=body["model"],
            system=text_of([m.get("content", "") for m in messages if m.get("role") == "system"]),
            user=text_of([m.get("content", "") for m in messages if m.get("role") != "system"]),
            key=key_of(body, headers),
            # Negative numbers mean "no limit" there.
            max_tokens=limit if isinstance(limit, int) and limit >= 0 else None,
            stop=stops(options.get("stop")),
            stream=body.get("stream", True) is not False,
            structured=bool(body.get("format")),
            repeat=repeat_of(headers),
            extra_tokens=count_tokens(canonical(body["tools"])) if body.get("tools") else 0,
            schema=body["format"] if isinstance(body.get("format"), dict) else None,
        )

    def whole(self, asked: Asked, said: Said) -> Body:
        """The body of a complete answer."""
        return {**_chunk(said, said.text), **_ending(said)}

    def stream(self, asked: Asked, said: Said) -> list[bytes]:
        """Lines of JSON: deltas, then the line with the counters."""
        lines = [{**_chunk(said, words), "done": False} for words in few_words(said.text)]
        lines.append({**_chunk(said, ""), **_ending(said)})
        return [_line(line) for line in lines]

    def refuse(self, problem: Problem, request_id: str) -> tuple[int, Body]:
        """Status and body of an error."""
        return STATUS[problem.kind], {"error": problem.message}

    def refuse_midway(self, problem: Problem, request_id: str) -> bytes:
        """The error as a line inside a stream that began with status 200."""
        return _line({"error": problem.message})


def tags(models: list[str]) -> Body:
    """The answer of the list of local models."""
    details = {
        "parent_model": "",
        "format": "gguf",
        "family": "simulated",
        "families": ["simulated"],
        "parameter_size": "0B",
        "quantization_level": "none",
    }
    return {
        "models": [
            {
                "name": name,
                "model": name,
                "modified_at": "2026-11-01T00:00:00Z",
                "size": 0,
                "digest": "0" * 64,
                "details": details,
            }
            for name in models
        ]
    }


def _line(value: Body) -> bytes:
    return f"{dumps(value)}\n".encode("utf-8", "replace")


def _chunk(said: Said, content: str) -> Body:
    created = datetime.fromtimestamp(said.created, UTC).isoformat().replace("+00:00", "Z")
    return {"model": said.model, "created_at": created, "message": {"role": "assistant", "content": content}}


def _ending(said: Said) -> Body:
    counts = said.counts
    reading, writing = counts.input * NANOSECONDS_PER_TOKEN // 10, counts.output * NANOSECONDS_PER_TOKEN
    return {
        "done": True,
        # It knows no refusal: a model that refuses says so in plain text and stops.
        "done_reason": "length" if said.stop == "max_tokens" else "stop",
        "total_duration": reading + writing + 1_000_000,
        "load_duration": 1_000_000,
        "prompt_eval_count": counts.input,
        "prompt_eval_duration": reading,
        "eval_count": counts.output,
        "eval_duration": writing,
    }
