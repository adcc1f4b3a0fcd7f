"""OpenAI chat completions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.records import canonical
from workbench.sim import wire_openai
from workbench.sim.asked import Asked, key_of, repeat_of, schema_in, stops
from workbench.sim.said import Problem, few_words
from workbench.sim.tokens import count_tokens
from workbench.sim.wire import Body, event, names, need

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from workbench.sim.said import Counts, Said

FIELDS = names(
    "audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens messages "
    "metadata modalities model moderation n parallel_tool_calls prediction presence_penalty prompt_cache_key "
    "prompt_cache_options prompt_cache_retention reasoning_effort response_format safety_identifier seed service_tier "
    "stop store stream stream_options temperature tool_choice tools top_logprobs top_p user verbosity "
    "web_search_options"
)
FINISH = {"max_tokens": "length", "content_filter": "content_filter"}


class OpenAIChat:
    """The chat completions endpoint."""

    provider = "openai"
    stream_type = "text/event-stream; charset=utf-8"
    request_id_header = "x-request-id"
    broken_event = b'data: {"id": "chatcmpl-\n\n'

    def read(self, body: Body, headers: Mapping[str, str]) -> Asked:
        """What the body asks; raises Problem for what the live endpoint refuses."""
        _check(body)
        system, user = wire_openai.role_texts(body["messages"])
        asked_format = (body.get("response_format") or {}).get("type", "text")
        asked = Asked(
            provider=self.provider,
            endpoint="chat",
            model=body["model"],
            system=system,
            user=user,
            key=key_of(body, headers),
            max_tokens=body.get("max_completion_tokens", body.get("max_tokens")),
            stop=stops(body.get("stop")),
            stream=bool(body.get("stream")),
            usage_wanted=bool((body.get("stream_options") or {}).get("include_usage")),
            structured=asked_format != "text",
            repeat=repeat_of(headers),
            extra_tokens=count_tokens(canonical(body["tools"])) if body.get("tools") else 0,
            prefixes=wire_openai.prefixes(body, f"{system}\n\n{user}"),
            schema=schema_in((body.get("response_format") or {}).get("json_schema")),
        )
        return asked

    def whole(self, asked: Asked, said: Said) -> Body:
        """The body of a complete answer."""
        refused = said.stop == "refusal"
        message: Body = {
            "role": "assistant",
            "content": None if refused else said.text,
            "refusal": said.text if refused else None,
            "annotations": [],
        }
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": FINISH.get(said.stop, "stop")}
        return {**_head(said, "chat.completion"), "choices": [choice], "usage": _usage(said)}

    def stream(self, asked: Asked, said: Said) -> list[bytes]:
        """Chunks, the usage with empty choices if asked for, and the end mark."""
        return [*(event(chunk) for chunk in self._chunks(asked, said)), b"data: [DONE]\n\n"]

    def _chunks(self, asked: Asked, said: Said) -> Iterator[Body]:
        spoken = "refusal" if said.stop == "refusal" else "content"
        deltas: list[Body] = [{"role": "assistant", "content": "", "refusal": None}]
        deltas += [{spoken: words} for words in few_words(said.text)]
        head = _head(said, "chat.completion.chunk")
        usage = {"usage": None} if asked.usage_wanted else {}
        for delta in deltas:
            yield {**head, "choices": [_chunk_choice(delta, None)], **usage}
        yield {**head, "choices": [_chunk_choice({}, FINISH.get(said.stop, "stop"))], **usage}
        if asked.usage_wanted:
            yield {**head, "choices": [], "usage": _usage(said)}

    def refuse(self, problem: Problem, request_id: str) -> tuple[int, Body]:
        """Status and body of an error."""
        return wire_openai.refuse(problem)

    def refuse_midway(self, problem: Problem, request_id: str) -> bytes:
        """The error as a data line inside a stream that began with status 200."""
        return event(wire_openai.refuse(problem)[1])


def _check(body: Body) -> None:
    wire_openai.check_fields(body, FIELDS)
    need(body, ("model", "messages"), "Missing required parameter: '{}'.")
    effort = body.get("reasoning_effort")
    wire_openai.check_model_rules(body, effort)
    version = wire_openai.version_of(body["model"])
    if version >= (5, 0) and body.get("max_tokens") is not None:
        message = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens'."
        raise Problem("bad_request", message, code="unsupported_parameter", param="max_tokens")
    if version >= (5, 4) and body.get("tools") and effort not in {None, "none"}:
        message = (
            "Function tools with reasoning_effort are not supported for this model on this endpoint. "
            "Use /v1/responses or set reasoning_effort to 'none'."
        )
        raise Problem("bad_request", message, param="reasoning_effort")


def _head(said: Said, kind: str) -> Body:
    return {
        "id": f"chatcmpl-sim{said.number:018d}",
        "object": kind,
        "created": int(said.created),
        "model": said.model,
        "service_tier": "default",
        "system_fingerprint": "fp_simulated",
    }


def _chunk_choice(delta: Body, finish: str | None) -> Body:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}


def _usage(said: Said) -> dict[str, Any]:
    counts: Counts = wire_openai.written(said.model, said.counts)
    return {
        "prompt_tokens": counts.input,
        "completion_tokens": counts.output,
        "total_tokens": counts.input + counts.output,
        "prompt_tokens_details": {
            "cached_tokens": counts.cache_read,
            "cache_write_tokens": counts.cache_write,
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": counts.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
