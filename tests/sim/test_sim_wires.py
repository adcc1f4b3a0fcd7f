"""Every wire format, spoken to by the vendor's own client."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anthropic
import openai
import pytest
from sim_parts import CASES, SYSTEM, TICKET, ask_claude, ask_gpt, claude, conforms, gpt, llama, run, turns

from workbench.sim import Behaviour
from workbench.sim.asked import Asked
from workbench.sim.tokens import count_tokens

if TYPE_CHECKING:
    from workbench.sim import StandIn

INPUT_TOKENS = count_tokens(SYSTEM) + count_tokens(TICKET)


def right_or_wrong(provider: str, model: str) -> set[str]:
    """All texts that the model can answer the usual question with."""
    asked = Asked(provider, "", model, SYSTEM, TICKET, "any", max_tokens=500)
    return {outcome.text for outcome in Behaviour.load(cases=CASES).outcomes(asked, CASES[0])}


def test_anthropic_whole(server: StandIn) -> None:
    """A whole Messages answer has the simulated text, the counted tokens, and says where it comes from."""

    async def work() -> None:
        async with claude(server.url) as client:
            raw = await client.messages.with_raw_response.create(**ask_claude())
            reply = await raw.parse()
            assert reply.content[0].text in right_or_wrong("anthropic", "claude-haiku-5-5")
            assert (reply.stop_reason, reply.model) == ("end_turn", "claude-haiku-5-5")
            assert reply.usage.input_tokens == INPUT_TOKENS
            assert reply.usage.output_tokens == count_tokens(reply.content[0].text)
            assert raw.headers["x-workbench-source"] == "simulated"
            assert raw.headers["x-workbench-origin"] == server.origin
            assert raw.headers["request-id"].startswith("req_")
            conforms("anthropic-openapi-derived.json", "MessageCreateParamsNonStreaming", sent(raw))
            conforms("anthropic-openapi-derived.json", "Message", json.loads(await raw.text()))

    run(work())


def sent(raw: Any) -> Any:
    """The body of the request that a client sent."""
    return json.loads(raw.http_request.content)


def test_anthropic_stream(server: StandIn) -> None:
    """A streamed Messages answer is the whole one, in the vendor's order of events with cumulative usage."""

    async def work() -> None:
        async with claude(server.url) as client:
            whole = await client.messages.create(**ask_claude())
            events = [event async for event in await client.messages.create(stream=True, **ask_claude())]
        kinds = [event.type for event in events]
        deltas = [kind for kind in kinds if kind == "content_block_delta"]
        assert len(deltas) > 1
        ends = ["content_block_stop", "message_delta", "message_stop"]
        assert kinds == ["message_start", "content_block_start", *deltas, *ends]
        assert "".join(e.delta.text for e in events if e.type == "content_block_delta") == whole.content[0].text
        assert events[0].message.usage.input_tokens == events[-2].usage.input_tokens == INPUT_TOKENS
        assert events[-2].usage.output_tokens == whole.usage.output_tokens

    run(work())


@pytest.mark.parametrize("model", ["claude-sonnet-5-5", "claude-opus-5-5"])
def test_anthropic_thinking(server: StandIn, model: str) -> None:
    """Models that always think report thinking tokens inside the output tokens; the others report none."""

    async def work() -> None:
        async with claude(server.url) as client:
            whole = await client.messages.create(**ask_claude(model=model))
            async with client.messages.stream(**ask_claude(model=model)) as stream:
                streamed = await stream.get_final_message()
        assert [block.type for block in streamed.content] == [block.type for block in whole.content]
        assert whole.content[-1].text == streamed.content[-1].text
        thinking = whole.usage.output_tokens_details.thinking_tokens
        assert (thinking > 0) == (model == "claude-opus-5-5") == (whole.content[0].type == "thinking")
        assert whole.usage.output_tokens == thinking + count_tokens(whole.content[-1].text)

    run(work())


@pytest.mark.parametrize("model", ["gpt-6-luna", "gpt-6.1-sol"])
def test_responses_whole_and_stream(server: StandIn, model: str) -> None:
    """A streamed Responses answer is the whole one, numbered without gaps, and its last event carries all of it."""
    question: dict[str, Any] = {"model": model, "instructions": SYSTEM, "input": TICKET}

    async def work() -> None:
        async with gpt(server.url) as client:
            raw = await client.responses.with_raw_response.create(**question, store=False, max_output_tokens=400)
            whole = raw.parse()
            events = [event async for event in await client.responses.create(stream=True, **question)]
        assert whole.output_text in right_or_wrong("openai", model)
        assert whole.usage.input_tokens == INPUT_TOKENS
        reasoning = whole.usage.output_tokens_details.reasoning_tokens
        assert (reasoning > 0) == (model == "gpt-6.1-sol")
        assert whole.usage.output_tokens == reasoning + count_tokens(whole.output_text)
        assert raw.headers["x-request-id"].startswith("req_")
        conforms("openai-openapi-subset.json", "CreateResponse", sent(raw))
        conforms("openai-openapi-subset.json", "Response", json.loads(raw.text))
        for event in events:
            conforms("openai-openapi-subset.json", "ResponseStreamEvent", event.to_dict(mode="json"))
        assert [event.sequence_number for event in events] == list(range(len(events)))
        kinds = [event.type for event in events if event.type != "response.output_text.delta"]
        reasons = ["response.output_item.added", "response.output_item.done"] if reasoning else []
        assert kinds == [
            "response.created",
            "response.in_progress",
            *reasons,
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ]
        deltas = "".join(event.delta for event in events if event.type == "response.output_text.delta")
        assert deltas == events[-1].response.output_text

    run(work())


def test_chat_whole_and_stream(server: StandIn) -> None:
    """A streamed chat completion is the whole one, with its usage last and only if asked for."""
    question: dict[str, Any] = {"model": "gpt-6.1-terra", "messages": turns()}

    async def work() -> None:
        async with gpt(server.url) as client:
            raw = await client.chat.completions.with_raw_response.create(**question)
            whole = raw.parse()
            counted = await client.chat.completions.create(
                stream=True, stream_options={"include_usage": True}, **question
            )
            chunks = [chunk async for chunk in counted]
            plain = [chunk async for chunk in await client.chat.completions.create(stream=True, **question)]
        conforms("openai-openapi-subset.json", "CreateChatCompletionRequest", sent(raw))
        conforms("openai-openapi-subset.json", "CreateChatCompletionResponse", json.loads(raw.text))
        for chunk in [*chunks[:-1], *plain]:
            body = chunk.to_dict(mode="json")
            body.pop("usage", None)  # Null until the last chunk, says its description; its schema forgets.
            conforms("openai-openapi-subset.json", "CreateChatCompletionStreamResponse", body)
        assert whole.choices[0].finish_reason == "stop"
        assert whole.usage.prompt_tokens == INPUT_TOKENS
        assert chunks[-1].choices == []
        assert chunks[-1].usage == whole.usage
        assert all(chunk.usage is None for chunk in [*chunks[:-1], *plain])
        for said in (chunks[:-1], plain):
            text = "".join(chunk.choices[0].delta.content or "" for chunk in said)
            assert text == whole.choices[0].message.content
            assert said[-1].choices[0].finish_reason == "stop"

    run(work())


def test_ollama_whole_and_stream(server: StandIn) -> None:
    """A streamed Ollama answer is the whole one in lines, and only its last line is done and counted."""
    bodies: list[Any] = []

    async def note(request: Any) -> None:
        bodies.append(json.loads(request.content))

    async def work() -> None:
        async with llama(server.url) as client:
            client._client.event_hooks["request"].append(note)
            whole = await client.chat(model="sim-small", messages=turns(), options={"num_predict": 300})
            parts = [part async for part in await client.chat(model="sim-small", messages=turns(), stream=True)]
        assert "".join(part.message.content for part in parts) in right_or_wrong("ollama", "sim-small")
        assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]
        for last in (whole, parts[-1]):
            assert last.done_reason == "stop"
            assert last.prompt_eval_count == INPUT_TOKENS
        assert whole.eval_count == count_tokens(whole.message.content)
        for body in bodies:
            conforms("ollama-openapi.yaml", "ChatRequest", body)
        conforms("ollama-openapi.yaml", "ChatResponse", whole.model_dump(mode="json", exclude_none=True))

    run(work())


def test_lists(server: StandIn) -> None:
    """The lists of models speak the format of whoever asks; tokens can be counted without a reply."""

    async def work() -> None:
        async with claude(server.url) as client:
            assert "claude-opus-5-5" in [model.id async for model in client.models.list()]
            assert (await client.models.retrieve("claude-haiku-5-5")).max_input_tokens
            with pytest.raises(anthropic.NotFoundError):
                await client.models.retrieve("claude-nobody")
            count = await client.messages.count_tokens(model="m", system=SYSTEM, messages=turns(system=None))
            assert count.input_tokens == INPUT_TOKENS
        async with gpt(server.url) as client:
            assert "gpt-6.1-sol" in [model.id async for model in client.models.list()]
        async with llama(server.url) as client:
            assert [model.model for model in (await client.list()).models] == ["sim-small", "sim-medium", "sim-large"]

    run(work())
    assert server.control("stats")["requests"] == 0


ANTHROPIC_REFUSES = [
    ({"extra_body": {"temperature": 0.5}}, "temperature: Extra inputs are not permitted"),
    ({"extra_body": {"nonsense": 1}}, "nonsense: Extra inputs are not permitted"),
    ({"extra_body": {"max_tokens": None}}, "max_tokens: Field required"),
    ({"extra_body": {"messages": ["text"]}}, "cannot be read"),
    ({"model": "claude-opus-5-5", "tool_choice": {"type": "any"}}, "forced tool use"),
    ({"cache_control": {"type": "ephemeral", "ttl": "2h"}}, "ttl"),
]


@pytest.mark.parametrize(("more", "words"), ANTHROPIC_REFUSES)
def test_anthropic_refuses(server: StandIn, more: dict[str, Any], words: str) -> None:
    """Messages refuses with 400 what the live API refuses, and says what."""

    async def work() -> None:
        async with claude(server.url) as client:
            with pytest.raises(anthropic.BadRequestError, match=words) as caught:
                await client.messages.create(**ask_claude(**more))
            assert caught.value.type == "invalid_request_error"

    run(work())


def test_anthropic_old_version_samples(server: StandIn) -> None:
    """Sampling parameters pass under the old API version, except with models that have none."""
    old: dict[str, Any] = {
        "extra_headers": {"anthropic-version": "2023-06-01"},
        "extra_body": {"temperature": 0.5},
    }

    async def work() -> None:
        async with claude(server.url) as client:
            await client.messages.create(**ask_claude(model="claude-haiku-4-5", **old))
            with pytest.raises(anthropic.BadRequestError, match="default value"):
                await client.messages.create(**ask_claude(**old))

    run(work())


OPENAI_REFUSES = [
    ("responses", {"temperature": 0.5}, "unsupported_value"),
    ("responses", {"extra_body": {"nonsense": 1}}, "unknown_parameter"),
    ("responses", {"model": "gpt-6.1-sol", "reasoning": {"effort": "none"}}, "unsupported_value"),
    ("chat", {"temperature": 0.5}, "unsupported_value"),
    ("chat", {"max_tokens": 5}, "unsupported_parameter"),
]


@pytest.mark.parametrize(("endpoint", "more", "code"), OPENAI_REFUSES)
def test_openai_refuses(server: StandIn, endpoint: str, more: dict[str, Any], code: str) -> None:
    """OpenAI's endpoints refuse with 400 what the live API refuses of newer models."""

    async def work() -> None:
        async with gpt(server.url) as client:
            with pytest.raises(openai.BadRequestError) as caught:
                await ask_gpt(client, endpoint, **more)
            assert caught.value.code == code

    run(work())


def test_openai_samples_without_effort(server: StandIn) -> None:
    """Sampling parameters pass when the effort is none, and with older models."""

    async def work() -> None:
        async with gpt(server.url) as client:
            await client.responses.create(
                model="gpt-6-luna", input=TICKET, temperature=0.5, reasoning={"effort": "none"}
            )
            await client.responses.create(model="gpt-5.2", input=TICKET, temperature=0.5)

    run(work())


def test_wrong_key(server: StandIn) -> None:
    """The one wrong key is refused with 401 in each vendor's format, and any other key is taken."""

    async def work() -> None:
        async with claude(server.url, api_key="wrong-key") as client:
            with pytest.raises(anthropic.AuthenticationError):
                await client.messages.create(**ask_claude())
        async with gpt(server.url, api_key="wrong-key") as client:
            with pytest.raises(openai.AuthenticationError) as caught:
                await client.responses.create(model="gpt-6-luna", input=TICKET)
            assert caught.value.code == "invalid_api_key"

    run(work())


def test_truncation_by_limit(server: StandIn) -> None:
    """An answer longer than the token limit is cut there and says so, thinking included."""

    async def work() -> None:
        async with claude(server.url) as client:
            cut = await client.messages.create(**ask_claude(max_tokens=3))
            assert (cut.stop_reason, cut.usage.output_tokens) == ("max_tokens", 3)
            spent = await client.messages.create(**ask_claude(model="claude-opus-5-5", max_tokens=20))
            assert (spent.stop_reason, spent.usage.output_tokens) == ("max_tokens", 20)
            assert [block.type for block in spent.content] == ["thinking"]
            stopped = await client.messages.create(**ask_claude(stop_sequences=["e"]))
            assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", "e")
        async with gpt(server.url) as client:
            short = await client.chat.completions.create(model="gpt-6-luna", messages=turns(), max_completion_tokens=3)
            assert short.choices[0].finish_reason == "length"
            response = await client.responses.create(model="gpt-6.1-sol", input=TICKET, max_output_tokens=20)
            assert (response.status, response.incomplete_details.reason) == ("incomplete", "max_output_tokens")
            assert response.output_text == ""
        async with llama(server.url) as client:
            local = await client.chat(model="sim-small", messages=turns(), options={"num_predict": 3})
            assert (local.done_reason, local.eval_count) == ("length", 3)

    run(work())


def test_stats(server: StandIn) -> None:
    """Every call is counted, under its key and repeat, and unknown questions are counted apart."""
    marks = {"x-workbench-key": "k" * 64, "x-workbench-repeat": "2"}

    async def work() -> None:
        async with claude(server.url) as client:
            for _ in range(2):
                await client.messages.create(**ask_claude(), extra_headers=marks)
            unknown = await client.messages.create(**ask_claude("Nobody knows this one."))
            assert "none of them" in unknown.content[0].text

    run(work())
    stats = server.control("stats")
    assert (stats["requests"], stats["answered"], stats["unmatched"]) == (3, 3, 1)
    assert stats["by_key"][f"{'k' * 64}/2"] == {"requests": 2, "answered": 2}
    assert (stats["connections"], stats["peak_concurrent"]) == (2, 1)
