"""What each vendor sends for one small answer, whole and streamed, with every token counter set to another number."""

from __future__ import annotations

import json
from typing import Any

PIECES = ["Billing", ", ", "höchste 🟥 priority"]
TEXT = "".join(PIECES)
WHOLE_INPUT, WRITES_5M, WRITES_1H, READS, OUTPUT, REASONING = 22, 4, 3, 5, 20, 6

CLAUDE_USAGE = {
    "input_tokens": WHOLE_INPUT - WRITES_5M - WRITES_1H - READS,
    "cache_creation_input_tokens": WRITES_5M + WRITES_1H,
    "cache_creation": {"ephemeral_5m_input_tokens": WRITES_5M, "ephemeral_1h_input_tokens": WRITES_1H},
    "cache_read_input_tokens": READS,
    "output_tokens": OUTPUT,
    "output_tokens_details": {"thinking_tokens": REASONING},
}
CLAUDE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "served-model",
    "content": [
        {"type": "thinking", "thinking": "hidden", "signature": "s"},
        {"type": "text", "text": PIECES[0]},
        {"type": "text", "text": PIECES[1] + PIECES[2]},
    ],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": CLAUDE_USAGE,
}
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": "served-model",
    "error": None,
    "incomplete_details": None,
    "output": [
        {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "hidden"}]},
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": TEXT, "annotations": []}],
        },
    ],
    "usage": {
        "input_tokens": WHOLE_INPUT,
        "input_tokens_details": {
            "cached_tokens": READS,
            "cache_write_tokens": WRITES_5M + WRITES_1H,
            "cache_write_tokens_details": {"ttl_30m_tokens": WRITES_5M, "ttl_12h_tokens": WRITES_1H},
        },
        "output_tokens": OUTPUT,
        "output_tokens_details": {"reasoning_tokens": REASONING},
        "total_tokens": WHOLE_INPUT + OUTPUT,
    },
}
CHAT_USAGE = {
    "prompt_tokens": WHOLE_INPUT,
    "prompt_tokens_details": {
        "cached_tokens": READS,
        "cache_write_tokens": WRITES_5M + WRITES_1H,
        "cache_write_tokens_details": {"ttl_30m_tokens": WRITES_5M, "ttl_12h_tokens": WRITES_1H},
    },
    "completion_tokens": OUTPUT,
    "completion_tokens_details": {"reasoning_tokens": REASONING},
    "total_tokens": WHOLE_INPUT + OUTPUT,
}
CHAT = {
    "id": "c_1",
    "object": "chat.completion",
    "created": 1,
    "model": "served-model",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": TEXT, "refusal": None}, "finish_reason": "stop"}
    ],
    "usage": CHAT_USAGE,
}
OLLAMA = {
    "model": "served-model",
    "created_at": "2026-11-22T00:00:00Z",
    "message": {"role": "assistant", "content": TEXT, "thinking": "hidden"},
    "done": True,
    "done_reason": "stop",
    "prompt_eval_count": WHOLE_INPUT,
    "eval_count": OUTPUT,
}

WHOLE: dict[str, dict[str, Any]] = {
    "/v1/messages": CLAUDE,
    "/v1/responses": RESPONSE,
    "/v1/chat/completions": CHAT,
    "/api/chat": OLLAMA,
}


def _claude_events() -> list[dict[str, Any]]:
    start = {**CLAUDE, "content": [], "stop_reason": None, "usage": {**CLAUDE_USAGE, "output_tokens": 1}}
    thought = {"type": "thinking", "thinking": "", "signature": ""}
    return [
        {"type": "message_start", "message": start},
        {"type": "ping"},
        {"type": "content_block_start", "index": 0, "content_block": thought},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hidden"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
        *(
            {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": piece}}
            for piece in PIECES
        ),
        {"type": "content_block_stop", "index": 1},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": OUTPUT, "cache_read_input_tokens": None},
        },
        {"type": "message_stop"},
    ]


def _response_events() -> list[dict[str, Any]]:
    begun = {**RESPONSE, "status": "in_progress", "output": [], "usage": None}
    return [
        {"type": "response.created", "response": begun},
        {"type": "response.reasoning_summary_text.delta", "delta": "hidden"},
        *({"type": "response.output_text.delta", "delta": piece} for piece in PIECES),
        {"type": "response.output_text.done", "text": TEXT},
        {"type": "response.completed", "response": RESPONSE},
    ]


def _chat_chunks() -> list[dict[str, Any]]:
    def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        return {"model": "served-model", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    return [
        chunk({"role": "assistant", "content": ""}),
        *(chunk({"content": piece}) for piece in PIECES),
        chunk({}, "stop"),
        {"model": "served-model", "choices": [], "usage": CHAT_USAGE},
    ]


def _ollama_lines() -> list[dict[str, Any]]:
    thought = {"role": "assistant", "content": "", "thinking": "hidden"}
    begun = {"model": "served-model", "done": False}
    return [
        {**begun, "message": thought},
        *({**begun, "message": {"role": "assistant", "content": piece}} for piece in PIECES),
        {**OLLAMA, "message": {"role": "assistant", "content": ""}},
    ]


def sse(event: dict[str, Any]) -> bytes:
    """One server-sent event."""
    name = f"event: {event['type']}\n" if "type" in event else ""
    return f"{name}data: {json.dumps(event)}\n\n".encode()


STREAMED: dict[str, list[bytes]] = {
    "/v1/messages": [sse(event) for event in _claude_events()],
    "/v1/responses": [sse(event) for event in _response_events()],
    "/v1/chat/completions": [*(sse(event) for event in _chat_chunks()), b"data: [DONE]\n\n"],
    "/api/chat": [json.dumps(line).encode() + b"\n" for line in _ollama_lines()],
}
