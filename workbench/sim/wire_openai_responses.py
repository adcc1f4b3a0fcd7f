"""OpenAI Responses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.records import canonical
from workbench.sim import wire_openai
from workbench.sim.asked import Asked, key_of, repeat_of, schema_in
from workbench.sim.said import Problem, few_words
from workbench.sim.tokens import count_tokens
from workbench.sim.wire import Body, event, names, need

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from workbench.sim.said import Said

FIELDS = names(
    "access_programs background background_options context_management conversation image include input instructions "
    "max_output_tokens max_tool_calls metadata model moderation parallel_tool_calls previous_response_id prompt "
    "prompt_cache_key prompt_cache_options prompt_cache_retention reasoning safety_identifier service_tier store "
    "stream stream_options temperature text tool_choice tools top_logprobs top_p truncation user"
)
INCOMPLETE = {"max_tokens": "max_output_tokens", "content_filter": "content_filter"}


class OpenAIResponses:
    """The Responses endpoint."""

    provider = "openai"
    stream_type = "text/event-stream; charset=utf-8"
    request_id_header = "x-request-id"
    broken_event = b'event: response.output_text.delta\ndata: {"type": "response.output\n\n'

    def read(self, body: Body, headers: Mapping[str, str]) -> Asked:
        """What the body asks; raises Problem for what the live endpoint refuses."""
        _check(body)
        given = body["input"]
        items = [{"role": "user", "content": given}] if isinstance(given, str) else given
        system, user = wire_openai.role_texts(items)
        system = "\n\n".join(filter(None, [body.get("instructions"), system]))
        asked_format = ((body.get("text") or {}).get("format") or {}).get("type", "text")
        return Asked(
            provider=self.provider,
            endpoint="responses",
            model=body["model"],
            system=system,
            user=user,
            key=key_of(body, headers),
            max_tokens=body.get("max_output_tokens"),
            stream=bool(body.get("stream")),
            structured=asked_format != "text",
            repeat=repeat_of(headers),
            extra_tokens=count_tokens(canonical(body["tools"])) if body.get("tools") else 0,
            prefixes=wire_openai.prefixes(body, f"{system}\n\n{user}"),
            schema=schema_in((body.get("text") or {}).get("format")),
        )

    def whole(self, asked: Asked, said: Said) -> Body:
        """The body of a complete answer."""
        reason = INCOMPLETE.get(said.stop)
        return {
            **_response(asked, said),
            "status": "incomplete" if reason else "completed",
            "completed_at": None if reason else int(said.created),
            "incomplete_details": {"reason": reason} if reason else None,
            "output": _items(said),
            "usage": _usage(said),
        }

    def stream(self, asked: Asked, said: Said) -> list[bytes]:
        """Events with running sequence numbers; the last one carries the whole response."""
        bodies = list(self._events(asked, said))
        return [event({**body, "sequence_number": n}, body["type"]) for n, body in enumerate(bodies)]

    def _events(self, asked: Asked, said: Said) -> Iterator[Body]:
        begun = {**_response(asked, said), "status": "in_progress"}
        yield {"type": "response.created", "response": begun}
        yield {"type": "response.in_progress", "response": begun}
        for index, item in enumerate(_items(said)):
            yield from _item_events(index, item)
        done = self.whole(asked, said)
        yield {"type": f"response.{done['status']}", "response": done}

    def refuse(self, problem: Problem, request_id: str) -> tuple[int, Body]:
        """Status and body of an error."""
        return wire_openai.refuse(problem)

    def refuse_midway(self, problem: Problem, request_id: str) -> bytes:
        """The top-level error event inside a stream that began with status 200."""
        error = wire_openai.refuse(problem)[1]["error"]
        body = {"type": "error", "code": error["code"], "message": error["message"], "param": error["param"]}
        return event({**body, "sequence_number": 3}, "error")


def _check(body: Body) -> None:
    wire_openai.check_fields(body, FIELDS)
    need(body, ("model", "input"), "Missing required parameter: '{}'.")
    wire_openai.check_model_rules(body, (body.get("reasoning") or {}).get("effort"))
    limit = body.get("max_output_tokens")
    if limit is not None and limit < 16:
        message = f"Invalid 'max_output_tokens': integer below minimum value. Expected >= 16, but got {limit} instead."
        raise Problem("bad_request", message, code="integer_below_min_value", param="max_output_tokens")


def _response(asked: Asked, said: Said) -> Body:
    return {
        "id": f"resp_sim{said.number:018d}",
        "object": "response",
        "created_at": int(said.created),
        "status": "in_progress",
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": asked.max_tokens,
        "metadata": {},
        "model": said.model,
        "output": [],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default",
        "store": False,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
    }


def _items(said: Said) -> list[Body]:
    """The output: a reasoning item of models that always reason, then the message unless reasoning used it all up."""
    items: list[Body] = []
    if said.always_reasons:
        items.append({"id": f"rs_sim{said.number:018d}", "type": "reasoning", "summary": []})
    if said.text or not items:
        content: Body = {"type": "output_text", "annotations": [], "logprobs": [], "text": said.text}
        if said.stop == "refusal":
            content = {"type": "refusal", "refusal": said.text}
        items.append(
            {
                "id": f"msg_sim{said.number:018d}",
                "type": "message",
                "status": "incomplete" if said.stop in INCOMPLETE else "completed",
                "role": "assistant",
                "content": [content],
            }
        )
    return items


def _item_events(index: int, item: Body) -> Iterator[Body]:
    where = {"item_id": item["id"], "output_index": index}
    if item["type"] == "reasoning":
        yield {"type": "response.output_item.added", "output_index": index, "item": item}
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
        return
    begun = {**item, "status": "in_progress", "content": []}
    yield {"type": "response.output_item.added", "output_index": index, "item": begun}
    yield from _part_events({**where, "content_index": 0}, item["content"][0])
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _part_events(where: Body, part: Body) -> Iterator[Body]:
    field, name = ("refusal", "refusal") if part["type"] == "refusal" else ("text", "output_text")
    extra: Body = {} if field == "refusal" else {"logprobs": []}
    yield {"type": "response.content_part.added", **where, "part": {**part, field: ""}}
    for words in few_words(part[field]):
        yield {"type": f"response.{name}.delta", **where, "delta": words, **extra}
    yield {"type": f"response.{name}.done", **where, field: part[field], **extra}
    yield {"type": "response.content_part.done", **where, "part": part}


def _usage(said: Said) -> dict[str, Any]:
    counts = wire_openai.written(said.model, said.counts)
    split = {"ttl_30m_tokens": counts.cache_write_short, "ttl_12h_tokens": counts.cache_write_long}
    return {
        "input_tokens": counts.input,
        "input_tokens_details": {
            "cached_tokens": counts.cache_read,
            "cache_write_tokens": counts.cache_write,
            "cache_write_tokens_details": split,
        },
        "output_tokens": counts.output,
        "output_tokens_details": {"reasoning_tokens": counts.reasoning},
        "total_tokens": counts.input + counts.output,
    }
