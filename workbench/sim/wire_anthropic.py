"""Anthropic Messages, API version 2026-10-21: requests in, messages, events and errors out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from workbench.records import canonical
from workbench.sim.asked import Asked, Prefix, key_of, repeat_of, schema_in, text_of
from workbench.sim.prompt_cache import prefixes_of
from workbench.sim.said import Problem, few_words
from workbench.sim.tokens import count_tokens
from workbench.sim.wire import Body, event, names, need

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from workbench.sim.said import Counts, Said

FIELDS = names(
    "cache_control container diagnostics inference_geo max_tokens messages metadata model output_config service_tier "
    "speed stop_sequences stream system thinking tool_choice tools user_profile_id workspace_id"
)
SAMPLING = frozenset({"temperature", "top_p", "top_k"})
OLD_VERSION = "2023-06-01"
"""The API version that still knows the sampling parameters."""

ALWAYS_THINKING = frozenset({"claude-opus-5-5", "claude-fable-5-1", "claude-fable-5-2"})
REFUSES_SAMPLING = re.compile(r"claude-[a-z]+-5")
"""Models that accept only the default sampling values, whatever the API version."""

TTL_SECONDS = {"5m": 300, "1h": 3600}
STOPS = {"end": "end_turn", "content_filter": "refusal"}
ERRORS = {
    "rate_limit": (429, "rate_limit_error"),
    "quota": (429, "rate_limit_error"),
    "overloaded": (529, "overloaded_error"),
    "server_error": (500, "api_error"),
    "auth": (401, "authentication_error"),
    "bad_request": (400, "invalid_request_error"),
    "not_found": (404, "not_found_error"),
    "too_large": (413, "request_too_large"),
}


class AnthropicMessages:
    """The Messages endpoint."""

    provider = "anthropic"
    stream_type = "text/event-stream; charset=utf-8"
    request_id_header = "request-id"
    broken_event = b'event: content_block_delta\ndata: {"type": "content_block_del\n\n'

    def read(self, body: Body, headers: Mapping[str, str]) -> Asked:
        """What the body asks; raises Problem for what the live endpoint refuses."""
        _check(body, headers)
        system, messages = text_of(body.get("system", "")), body["messages"]
        return Asked(
            provider=self.provider,
            endpoint="messages",
            model=body["model"],
            system=system,
            user=text_of([message.get("content", "") for message in messages]),
            key=key_of(body, headers),
            max_tokens=body["max_tokens"],
            stop=tuple(body.get("stop_sequences") or ()),
            stream=bool(body.get("stream")),
            structured=bool((body.get("output_config") or {}).get("format")),
            repeat=repeat_of(headers),
            extra_tokens=_tool_tokens(body),
            prefixes=_prefixes(body),
            schema=schema_in((body.get("output_config") or {}).get("format")),
        )

    def whole(self, asked: Asked, said: Said) -> Body:
        """The body of a complete answer."""
        return {
            **_message(said),
            "content": _blocks(said),
            "stop_reason": STOPS.get(said.stop, said.stop),
            "stop_sequence": said.stop_sequence,
            "stop_details": _stop_details(said),
            "usage": {**_usage(said.counts), **_usage_extras(said.counts)},
        }

    def stream(self, asked: Asked, said: Said) -> list[bytes]:
        """The events of a streamed answer, in the vendor's order."""
        return [event(body, body["type"]) for body in self._events(said)]

    def _events(self, said: Said) -> Iterator[Body]:
        started = {**_usage(said.counts), **_usage_extras(said.counts), "output_tokens": 1}
        started["output_tokens_details"] = {"thinking_tokens": 0}
        empty: Body = {"content": [], "stop_reason": None, "stop_sequence": None, "stop_details": None}
        yield {"type": "message_start", "message": {**_message(said), **empty, "usage": started}}
        yield {"type": "ping"}
        for index, block in enumerate(_blocks(said)):
            yield from _block_events(index, block)
        delta = {
            "stop_reason": STOPS.get(said.stop, said.stop),
            "stop_sequence": said.stop_sequence,
            "stop_details": _stop_details(said),
            "container": None,
        }
        yield {"type": "message_delta", "delta": delta, "usage": _usage(said.counts)}
        yield {"type": "message_stop"}

    def refuse(self, problem: Problem, request_id: str) -> tuple[int, Body]:
        """Status and body of an error."""
        status, kind = ERRORS[problem.kind]
        error: Body = {"type": kind, "message": problem.message}
        if problem.kind == "quota":
            error["details"] = {"error_code": "enforced_spend_limit_reached"}
        return status, {"type": "error", "error": error, "request_id": request_id}

    def refuse_midway(self, problem: Problem, request_id: str) -> bytes:
        """The error as an event inside a stream that began with status 200."""
        return event(self.refuse(problem, request_id)[1], "error")


def count_request_tokens(body: Body) -> int:
    """The answer of the count_tokens endpoint for a request body."""
    need(body, ("model", "messages"), "{}: Field required")
    texts = [text_of(body.get("system", "")), *(text_of(turn.get("content", "")) for turn in body["messages"])]
    return sum(map(count_tokens, texts)) + _tool_tokens(body)


def _check(body: Body, headers: Mapping[str, str]) -> None:
    need(body, ("model", "max_tokens", "messages"), "{}: Field required")
    model = body["model"]
    old = headers.get("anthropic-version") == OLD_VERSION
    for name in body.keys() - FIELDS:
        if not (old and name in SAMPLING):
            raise Problem("bad_request", f"{name}: Extra inputs are not permitted")
        if REFUSES_SAMPLING.match(model) and body[name] != 1:
            raise Problem("bad_request", f"{name}: this model only accepts the default value")
    if not isinstance(body["max_tokens"], int) or body["max_tokens"] < 0:
        raise Problem("bad_request", "max_tokens: Input should be a valid integer greater than or equal to 0")
    if not isinstance(body["messages"], list) or not body["messages"]:
        raise Problem("bad_request", "messages: at least one message is required")
    if body["messages"][-1].get("role") == "assistant":
        raise Problem("bad_request", "This model does not support assistant message prefill.")
    if model in ALWAYS_THINKING:
        _check_always_thinking(body)


def _check_always_thinking(body: Body) -> None:
    if (body.get("tool_choice") or {}).get("type") in {"any", "tool"}:
        raise Problem("bad_request", f"tool_choice: forced tool use is not supported by {body['model']}")
    if (body.get("thinking") or {}).get("type") == "disabled":
        raise Problem("bad_request", f"thinking.type: thinking cannot be disabled for {body['model']}")


def _tool_tokens(body: Body) -> int:
    return sum(map(_block_tokens, body.get("tools") or ()))


def _prefixes(body: Body) -> tuple[Prefix, ...]:
    """Every block's end as a possible end of a cached prefix; empty when nothing asks for caching."""
    blocks = [block for part in _parts(body) for block in part]
    controls = [block.get("cache_control") for block in blocks]
    if body.get("cache_control") and blocks:
        controls[-1] = controls[-1] or body["cache_control"]
    marked = [control for control in controls if control]
    if len(marked) > 4:
        raise Problem("bad_request", f"A maximum of 4 blocks with cache_control may be provided. Found {len(marked)}.")
    ttls: list[int | None] = []
    for control in controls:
        ttl = control.get("ttl", "5m") if control else None
        if ttl is not None and ttl not in TTL_SECONDS:
            raise Problem("bad_request", "cache_control.ttl: Input should be '5m' or '1h'")
        ttls.append(TTL_SECONDS[ttl] if ttl else None)
    if not marked:
        return ()
    texts = [canonical(_uncontrolled(block)) for block in blocks]
    tokens = [_block_tokens(block) for block in blocks]
    return prefixes_of(list(zip(texts, tokens, ttls, strict=True)))


def _parts(body: Body) -> Iterator[list[Body]]:
    """The request as blocks, in the order in which the vendor builds prefixes: tools, system, messages."""
    yield list(body.get("tools") or ())
    yield _as_blocks(body.get("system") or [])
    for message in body["messages"]:
        yield [{**block, "role": message.get("role")} for block in _as_blocks(message.get("content") or [])]


def _as_blocks(content: str | list[Body]) -> list[Body]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _block_tokens(block: Body) -> int:
    return count_tokens(canonical(_uncontrolled(block)) if "input_schema" in block else text_of(block))


def _uncontrolled(block: Body) -> Body:
    return {name: part for name, part in block.items() if name != "cache_control"}


def _message(said: Said) -> Body:
    return {
        "id": f"msg_sim{said.number:018d}",
        "type": "message",
        "role": "assistant",
        "model": said.model,
        "container": None,
        "diagnostics": None,
    }


def _blocks(said: Said) -> list[Body]:
    if said.stop in {"refusal", "content_filter"}:
        return []
    thinking = [{"type": "thinking", "thinking": "", "signature": "c2ltdWxhdGVk"}] if said.always_reasons else []
    text: list[Body] = [{"type": "text", "text": said.text, "citations": None}] if said.text else []
    return [*thinking, *text]


def _block_events(index: int, block: Body) -> Iterator[Body]:
    if block["type"] == "thinking":
        empty: Body = {"type": "thinking", "thinking": "", "signature": ""}
        deltas: list[Body] = [{"type": "signature_delta", "signature": block["signature"]}]
    else:
        empty = {"type": "text", "text": "", "citations": None}
        deltas = [{"type": "text_delta", "text": words} for words in few_words(block["text"])]
    yield {"type": "content_block_start", "index": index, "content_block": empty}
    for delta in deltas:
        yield {"type": "content_block_delta", "index": index, "delta": delta}
    yield {"type": "content_block_stop", "index": index}


def _stop_details(said: Said) -> Body | None:
    if said.stop not in {"refusal", "content_filter"}:
        return None
    return {"type": "refusal", "category": "general_harms", "explanation": said.text or None}


def _usage(counts: Counts) -> dict[str, Any]:
    """The counters that both the whole message and the last delta carry; input_tokens is the uncached part only."""
    return {
        "input_tokens": counts.input - counts.cache_read - counts.cache_write,
        "cache_creation_input_tokens": counts.cache_write,
        "cache_read_input_tokens": counts.cache_read,
        "output_tokens": counts.output,
        "output_tokens_details": {"thinking_tokens": counts.reasoning},
        "server_tool_use": None,
    }


def _usage_extras(counts: Counts) -> dict[str, Any]:
    split = {
        "ephemeral_5m_input_tokens": counts.cache_write_short,
        "ephemeral_1h_input_tokens": counts.cache_write_long,
    }
    return {"cache_creation": split, "service_tier": "standard", "speed": "standard", "inference_geo": "not_available"}
