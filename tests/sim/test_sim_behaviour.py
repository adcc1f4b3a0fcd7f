"""The simulated models: what they answer, and that every probability they state is true."""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace
from functools import cache
from math import sqrt
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from sim_parts import CASES, ROOT, SYSTEM, TICKET, ask_claude, claude, run

from workbench.records import Message, Request
from workbench.sim import Behaviour, StandIn
from workbench.sim.asked import Asked
from workbench.sim.cases import KnownCase
from workbench.sim.declared import BehaviourError
from workbench.sim.origin import behaviour_text

if TYPE_CHECKING:
    import anthropic

    from workbench.sim.behaviour import Outcome

TIERS = {"fast": "claude-haiku-5-5", "balanced": "claude-sonnet-5-5", "powerful": "claude-opus-5-5"}
EDIT = ("Answer with", "Think first, then answer with")


def asked(text: str = TICKET, *, model: str = TIERS["balanced"], key: str = "k", system: str = SYSTEM) -> Asked:
    """A question to a Messages model."""
    return Asked("anthropic", "messages", model, system, text, key, max_tokens=1000)


def numbered(count: int) -> list[KnownCase]:
    """Cases of a dataset that no task is declared for, so the default one is."""
    return [KnownCase("numbers", f"n{i}", {"question": f"Question number {i:05d}?"}, str(i % 50)) for i in range(count)]


def test_outcomes_are_a_distribution() -> None:
    """Whatever is asked, the probabilities of the outcomes are positive and sum to 1, the right one first."""
    shapes: list[Any] = [{"a": "x", "b": 2}, {"a": "y", "b": 3}, {"a": None}, {}, "not stated", "no", "", 3, True, [1]]
    cases = [KnownCase("d", f"c{i}", {"t": f"The text of case {i}."}, value) for i, value in enumerate(shapes)]
    behaviour = Behaviour.load(cases=cases)
    for case in cases:
        for system in ("", SYSTEM, "Think first. On the last line write Answer: and the answer."):
            for structured in (False, True):
                question = replace(asked(case.inputs["t"], system=system), structured=structured)
                outcomes = behaviour.outcomes(question, case)
                assert sum(outcome.probability for outcome in outcomes) == pytest.approx(1)
                assert all(outcome.probability > 0 for outcome in outcomes)
                assert outcomes[0].kind == "right"
                assert behaviour.answer(question, case) in outcomes


def test_outcomes_agree_with_answers() -> None:
    """Over many requests every outcome comes up as often as its probability says (five standard errors)."""
    behaviour = Behaviour.load(cases=CASES)
    draws = 4000
    for case in CASES[:2]:
        question = asked(case.inputs["ticket"])
        counts: dict[Outcome, int] = {}
        for number in range(draws):
            answer = behaviour.answer(replace(question, key=f"k{number}"), case)
            counts[answer] = counts.get(answer, 0) + 1
        for outcome in behaviour.outcomes(question, case):
            p = outcome.probability
            assert counts.get(outcome, 0) / draws == pytest.approx(p, abs=5 * sqrt(p * (1 - p) / draws))


def test_declared_probability_is_the_mean() -> None:
    """Averaged over many cases, a right answer is as likely as declared for the tier and traits."""
    cases = numbered(3000)
    behaviour = Behaviour.load(cases=cases)
    for model in TIERS.values():
        questions = [(asked(case.inputs["question"], model=model, system=""), case) for case in cases]
        mean = sum(behaviour.outcomes(q, case)[0].probability for q, case in questions) / len(cases)
        assert mean == pytest.approx(behaviour.probability(*questions[0]), abs=0.03)


def test_answers_depend_on_seed_request_and_repeat_alone() -> None:
    """The same seed, request and repeat give the same answer in any order and process; another seed, another answer."""
    questions = [(replace(asked(case.inputs["ticket"]), repeat=r), case) for case in CASES for r in range(20)]

    def answers(seed: int, order: list[int]) -> dict[int, str]:
        behaviour = Behaviour.load(seed=seed, cases=CASES)
        return {i: behaviour.reply(questions[i][0]).text for i in order}

    forwards = list(range(len(questions)))
    shuffled = random.Random(0).sample(forwards, len(forwards))
    assert answers(1, forwards) == answers(1, shuffled)
    assert answers(1, forwards) != answers(2, forwards)


def test_arms_correlate() -> None:
    """Two models' binary answers to the same cases correlate at about one half, as cases are hard for both."""
    cases = numbered(3000)
    behaviour = Behaviour.load(cases=cases)
    right: list[list[bool]] = [[], []]
    for column, model in zip(right, ("claude-sonnet-5-5", "gpt-6.1-terra"), strict=True):
        provider = "anthropic" if model.startswith("claude") else "openai"
        for case in cases:
            question = Asked(provider, "", model, "choose one of the numbers", case.inputs["question"], model + case.id)
            column.append(behaviour.answer(question, case).kind == "right")
    assert phi(*right) == pytest.approx(0.5, abs=0.06)


def phi(one: list[bool], two: list[bool]) -> float:
    """The correlation of two binary columns."""
    n, a, b = len(one), sum(one), sum(two)
    both = sum(x and y for x, y in zip(one, two, strict=True))
    return (n * both - a * b) / sqrt(a * (n - a) * b * (n - b))


def test_repeats_are_dependent() -> None:
    """Repeats of one request agree more often than answers of two models do, and not always."""
    cases = numbered(2000)
    behaviour = Behaviour.load(cases=cases)
    right: list[list[bool]] = [[], []]
    for case in cases:
        question = asked(case.inputs["question"], key=case.id, system="choose one of the numbers")
        for repeat in (0, 1):
            right[repeat].append(behaviour.answer(question, case, repeat).kind == "right")
    assert 0.58 < phi(*right) < 0.75


def test_limits_reach_the_outcomes() -> None:
    """A token limit too small for an answer cuts the outcomes as it cuts the reply, thinking included."""
    behaviour = Behaviour.load(cases=CASES)
    question = replace(asked(model=TIERS["powerful"]), max_tokens=100)
    for outcome in behaviour.outcomes(question, CASES[0]):
        assert outcome.stop_reason == "max_tokens"
        assert len(outcome.text) < 25
    assert behaviour.reply(question).text in {o.text for o in behaviour.outcomes(question, CASES[0])}


def test_right_answers_are_readable() -> None:
    """Right answers say exactly what is expected, on the last line after reasoning; wrong ones never do."""
    cases = [
        KnownCase("d", f"c{i}", {"t": f"Passage {i} of text."}, x) for i, x in enumerate(("no", "EUR 5", "17 May"))
    ]
    behaviour = Behaviour.load(cases=cases)
    for case in cases:
        for system in ("Think first. On the last line, write Answer: with the answer.", "Think first.", ""):
            right, *wrong = behaviour.outcomes(asked(case.inputs["t"], system=system), case)
            assert right.text.splitlines()[-1].removeprefix("Answer: ").removeprefix("As I read it: ").strip(".")
            assert case.expected in right.text
            assert right.text.startswith("Answer:") is False or "Think" not in system
            assert ("Answer: " in right.text) == ("Answer:" in system)
            assert not any(case.expected in outcome.text for outcome in wrong)


def test_structured_answers_are_json() -> None:
    """When a schema binds the answer, every outcome is one JSON object and nothing around it."""
    behaviour = Behaviour.load(cases=CASES)
    question = replace(asked(system="Think first."), structured=True)
    for outcome in behaviour.outcomes(question, CASES[0]):
        assert isinstance(json.loads(outcome.text), dict)


def test_asked_of_request_is_what_the_wire_says() -> None:
    """A question computed from a Request is the one that arrives over the wire with its key."""
    request = Request(
        "anthropic",
        "messages",
        TIERS["fast"],
        (Message("system", SYSTEM), Message("user", TICKET)),
        {"max_tokens": 500},
        repeat=3,
    )
    behaviour = Behaviour.load(cases=CASES)
    text = behaviour.reply(Asked.of(request)).text

    async def work(url: str) -> anthropic.types.Message:
        headers = {"x-workbench-key": request.content_key(), "x-workbench-repeat": "3"}
        async with claude(url) as client:
            return await client.messages.create(**ask_claude(), extra_headers=headers)

    with StandIn(CASES, latency_s=0) as server:
        assert run(work(server.url)).content[0].text == text


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('default_tier = "balanced"', 'default_tier = "huge"', "'huge' is not one of fast"),
        ("shared_difficulty = 0.7", "shared_difficulty = 1.5", "draws.shared_difficulty"),
        ("[draws]", "[draw]", "KeyError: 'draws'"),
        ("base = 0.25, format", "bass = 0.25, format", "tasks.invoices.fast: 'bass'"),
    ],
)
def test_wrong_behaviour_files(old: str, new: str, words: str) -> None:
    """A behaviour file that declares nonsense is refused with the place that is wrong."""
    text = behaviour_text()
    assert old in text
    with pytest.raises(BehaviourError, match=re.escape(words)):
        Behaviour(text.replace(old, new))


@cache
def dataset(name: str) -> list[KnownCase]:
    """A shipped dataset's cases; skips the test where it is not shipped."""
    path = ROOT / "datasets" / f"{name}.jsonl"
    if not path.exists():
        pytest.skip(f"no datasets/{name}.jsonl")
    rows = [json.loads(line) for line in path.read_text().splitlines() if line]
    return [KnownCase(name, row["id"], row["inputs"], row["expected"]) for row in rows]


def rendered(prompt: str, version: str, case: KnownCase, model: str) -> Asked:
    """A shipped prompt version with a case's inputs in it; `+think` is the edit that asks to think first."""
    raw = yaml.safe_load((ROOT / "prompts" / prompt / f"{version.removesuffix('+think')}.yaml").read_text())
    messages = [{"role": "user", "content": raw["prompt"]}] if isinstance(raw["prompt"], str) else raw["prompt"]
    texts = {message["role"]: message["content"] for message in messages}
    if version.endswith("+think"):
        texts = {role: text.replace(*EDIT) for role, text in texts.items()}
    for name, value in case.inputs.items():
        texts = {role: text.replace("{{" + name + "}}", value) for role, text in texts.items()}
    limit = raw["config"]["max_tokens"]
    return Asked("anthropic", "messages", model, texts.get("system", ""), texts["user"], case.id, max_tokens=limit)


def field_quality(text: str, expected: dict[str, Any]) -> float:
    """The mean over the expected fields, read from the last JSON object in the text; 0 if there is none."""
    found = re.findall(r"\{[^{}]*\}", text)
    answer = json.loads(found[-1]) if found else {}
    return sum(answer.get(name) == value for name, value in expected.items()) / len(expected)


def test_shipped_numbers_tell_the_story() -> None:
    """On every tier v4 leads by 20 points and thinking lifts v3 by 10; better tiers and versions are better."""
    cases = dataset("tickets")
    behaviour = Behaviour.load(cases=cases)
    quality: dict[tuple[str, str], float] = {}
    for version in ("v1", "v2", "v3", "v4", "v3+think"):
        for tier, model in TIERS.items():
            total = 0.0
            for case in cases[::3]:
                outcomes = behaviour.outcomes(rendered("ticket-triage", version, case, model), case)
                total += sum(o.probability * field_quality(o.text, case.expected) for o in outcomes)
            quality[version, tier] = total / len(cases[::3])
    for tier in TIERS:
        v1, v2, v3, v4 = (quality[version, tier] for version in ("v1", "v2", "v3", "v4"))
        assert v1 + 0.2 < v2 < v3
        assert v4 >= max(v1, v2, v3) + 0.20
        assert quality["v3+think", tier] >= v3 + 0.10
    for version in ("v1", "v2", "v3", "v4"):
        assert quality[version, "fast"] < quality[version, "balanced"] < quality[version, "powerful"]


TRAITS = {
    "ticket-triage": {
        "v1": set(),
        "v2": {"format"},
        "v3": {"format", "labels", "examples"},
        "v4": {"format", "labels", "definitions", "reasoning"},
    },
    "invoice-fields": {
        "v1": {"format"},
        "v2": {"format", "definitions"},
        "v3": {"format", "definitions", "examples"},
        "v4": {"format", "definitions", "reasoning"},
    },
    "policy-answer": {
        "v1": set(),
        "v2": {"format"},
        "v3": {"format", "examples"},
        "v4": {"format", "reasoning", "answer_line"},
    },
}


@pytest.mark.parametrize(
    ("prompt", "name"),
    [("ticket-triage", "tickets"), ("invoice-fields", "invoices"), ("policy-answer", "policy-qa")],
)
def test_shipped_prompts_and_cases_are_known(prompt: str, name: str) -> None:
    """Each shipped prompt is seen for what it does, and each shipped case is found in its prompt, whatever it says."""
    cases = dataset(name)
    behaviour = Behaviour.load(cases=[case for each in ("tickets", "invoices", "policy-qa") for case in dataset(each)])
    for version, traits in TRAITS[prompt].items():
        for case in cases:
            found = behaviour.cases.find(rendered(prompt, version, case, "m").text)
            assert found is not None
            assert (found[0].id, set(behaviour.traits(found[1]))) == (case.id, traits)
