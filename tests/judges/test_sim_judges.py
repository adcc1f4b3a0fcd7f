"""The simulated judges: they err as declared, and every structured answer follows its schema."""

from __future__ import annotations

import asyncio
import json
from math import sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from judge_parts import CASE, HOSTILE, run
from scipy.stats import binom

import workbench as wb
from workbench.records import Message, Reply, Request
from workbench.scorers import score
from workbench.sim import Behaviour
from workbench.sim.asked import Asked
from workbench.sim.cases import KnownCase
from workbench.sim.declared import BehaviourError
from workbench.sim.judge import is_right
from workbench.sim.origin import behaviour_text
from workbench.sim.schemas import in_shape

if TYPE_CHECKING:
    from workbench.sim import StandIn

N = 1500
TIERS = {"fast": "claude-haiku-5-5", "balanced": "claude-sonnet-5-5", "powerful": "claude-opus-5-5"}
KNOWN = [KnownCase("numbers", f"n{i}", {"question": f"Question number {i:05d}?"}, str(i % 50)) for i in range(N)]
PHI = NormalDist().cdf
BEHAVIOUR = Behaviour.load(cases=KNOWN)


def within(hits: int, n: int, p: float) -> bool:
    """Whether a count is inside the central 99.98 % of its binomial distribution."""
    return binom.ppf(0.0001, n, p) <= hits <= binom.ppf(0.9999, n, p)


async def sim(request: Request) -> Reply:
    """The simulated model's reply, without any server."""
    draft = BEHAVIOUR.reply(Asked.of(request))
    return Reply(draft.text, stop_reason=draft.stop)


def verdicts(scorer: wb.scorers.Scorer, answer: Any) -> list[Any]:
    """The judge's value for every known case, `answer(case)` being judged."""

    async def work() -> list[Any]:
        found = []
        for known in KNOWN:
            case = wb.Case(known.id, known.inputs, known.expected)
            found += (await score(scorer, case, Reply(answer(known)), sim)).values()
        return [one.value for one in found]

    return asyncio.run(work())


@pytest.mark.parametrize("tier", TIERS)
def test_declared_sensitivity_and_specificity_are_met(tier: str) -> None:
    """Right answers pass as often as the tier's sensitivity says, wrong ones fail as often as its specificity."""
    judge = wb.scorers.judge("Right?", model=f"anthropic:{TIERS[tier]}")
    sensitivity, specificity = BEHAVIOUR.declared.judges.skill[tier]
    assert within(sum(verdicts(judge, lambda case: case.expected)), N, sensitivity)
    wrong = verdicts(judge, lambda case: f"not {case.expected}")
    assert within(N - sum(wrong), N, specificity)


def test_grounded_and_relevance_follow_the_same_truth() -> None:
    """Right answers are grounded and to the point as often as declared, evasive ones off the point."""
    sensitivity, specificity = BEHAVIOUR.declared.judges.skill["balanced"]
    judges = wb.scorers.grounded("question"), wb.scorers.relevance()
    for judge in judges:
        assert within(sum(value == 1 for value in verdicts(judge, lambda case: case.expected)), N, sensitivity)
    off = verdicts(judges[1], lambda case: BEHAVIOUR.declared.vague[2])
    assert within(sum(value == 0 for value in off), N, specificity)
    wrong = verdicts(judges[0], lambda case: f"A remark. {case.expected}9.")
    assert within(sum(value in (0, 0.5) for value in wrong), N, 1 - sensitivity * (1 - specificity))


def winners(first: Any, second: Any) -> list[str]:
    """Who wins each known case."""
    judge = wb.scorers.pair_judge("Better?")

    async def work() -> list[str]:
        found = []
        for known in KNOWN:
            case = wb.Case(known.id, known.inputs, known.expected)
            found.append((await judge.choose(case, first(known), second(known), sim)).winner)
        return found

    return asyncio.run(work())


def test_declared_position_and_length_bias_are_met() -> None:
    """Of two equally wrong answers the first, and the longer one, win as often as the declared preferences say."""
    declared = BEHAVIOUR.declared.judges
    same = winners(lambda case: "wrong a", lambda case: "wrong b")
    assert within(same.count("first"), N, PHI(declared.position - declared.tie))
    assert within(same.count("second"), N, PHI(-declared.position - declared.tie))
    longer = winners(lambda case: "wrong", lambda case: "wrong and long")
    assert within(longer.count("second"), N, PHI(declared.length - declared.position - declared.tie))


def test_the_right_answer_wins_as_signal_detection_says() -> None:
    """Shown second, against a wrong one of its length, the right answer wins with Phi(d'/sqrt 2 − position − tie)."""
    declared = BEHAVIOUR.declared.judges
    d_prime = sum(NormalDist().inv_cdf(share) for share in declared.skill["balanced"])
    found = winners(lambda case: "x" * len(case.expected), lambda case: case.expected)
    assert within(found.count("second"), N, PHI(d_prime / sqrt(2) - declared.position - declared.tie))


def test_judgements_depend_on_seed_request_and_repeat_alone() -> None:
    """The same question gets the same verdict; other seeds and repeats differ now and then."""
    judge = wb.scorers.judge("Right?")
    assert verdicts(judge, lambda case: case.expected) == verdicts(judge, lambda case: case.expected)

    def texts(seed: int, repeat: int) -> list[str]:
        sim_models = Behaviour.load(seed=seed, cases=KNOWN)
        schema = {"type": "object", "properties": {"reason": {"type": "string"}, "verdict": {"enum": ["pass", "fail"]}}}
        texts = [f'<inputs>\n{json.dumps(known.inputs)}\n</inputs>\n<answer>\n"0"\n</answer>' for known in KNOWN[:200]]
        asked = [Request("anthropic", "m", "claude-haiku-5-5", (Message("user", text),), {}, schema, repeat=repeat)
                 for text in texts]  # fmt: skip
        return [sim_models.reply(Asked.of(one)).text for one in asked]

    assert texts(0, 0) == texts(0, 0)
    assert texts(0, 0) != texts(1, 0) != texts(0, 1) != texts(0, 0)


def test_the_truth_is_what_right_answers_say(server: StandIn) -> None:
    """Over real runs, the judges' truth agrees with the scorers on every answer whose form the scorer can read."""
    rows = list(run(wb.scorers.json_fields(), sample=60).rows())
    cases = {case.id: case for case in wb.load_dataset("tickets").cases}
    assert all(is_right(cases[r["case_id"]].expected, r["output"]) == (r["scores"]["json_fields"] == 1) for r in rows)
    assert is_right("EUR 5", "Let me see.\nAnswer: eur 5.") and is_right("EUR 5", "As I read it: EUR 5.")
    assert not is_right("EUR 5", "") and not is_right("EUR 5", "EUR 55") and not is_right({"a": 1}, "{" * 5000)


def test_hostile_answers_do_not_fool_the_simulated_judge() -> None:
    """A verdict or a block inside the judged text is not read: such answers fail as often as other wrong ones."""
    model = Behaviour.load(cases=[KnownCase("d", "c", CASE.inputs, CASE.expected)])

    async def ask(request: Request) -> Reply:
        return Reply(model.reply(Asked.of(request)).text)

    async def work() -> list[Any]:
        judge = wb.scorers.judge("Right?")
        found = [await score(judge, CASE, Reply(f"{HOSTILE} {i}"), ask) for i in range(400)]
        return [one["judge"].value for one in found]

    assert within(asyncio.run(work()).count(False), 400, model.declared.judges.skill["balanced"][1])


def test_unknown_cases_are_judged_by_the_quoted_reference_only() -> None:
    """A case that the stand-in does not know is judged by the quoted expected value; without one it is loose."""

    def draft(expected: str) -> Any:
        text = f'<inputs>\n{{"q": "new"}}\n</inputs>\n<expected>\n{expected}\n</expected>\n<answer>\n"5"\n</answer>'
        wanted = {"type": "object", "properties": {"reason": {"type": "string"}, "verdict": {"enum": ["pass", "fail"]}}}
        return BEHAVIOUR.reply(Asked.of(Request("openai", "r", "gpt-6.1-sol", (Message("user", text),), {}, wanted)))

    assert json.loads(draft('"5"').text)["verdict"] == "pass" and draft('"5"').matched
    assert json.loads(draft('"6"').text)["verdict"] == "fail"
    assert not draft("null").matched and draft("null").source == "simulated-loose"


ANSWER = {
    "type": "object",
    "properties": {"thoughts": {"type": "array", "items": {"type": "string"}}, "answer": {"type": "string"}},
    "required": ["thoughts", "answer"],
    "additionalProperties": False,
}


@pytest.mark.parametrize("model", ["anthropic:claude-haiku-5-5", "openai:gpt-6-luna", "ollama:sim-small"])
def test_answers_follow_the_schema_that_is_asked_for(server: StandIn, model: str) -> None:
    """A text answer to a question with a schema is JSON of that schema with every vendor, and holds the answer."""
    case = wb.load_dataset("policy-qa").cases[0]
    provider, _, name = model.partition(":")
    prompt = wb.load_prompt("policy-answer@v3")

    async def work() -> Reply:
        from workbench.client import Client, current

        client = Client(current())
        known = current().model(provider, name)
        request = Request(provider, known.endpoint, name, prompt.render(case.inputs), {"max_tokens": 500}, ANSWER,
                          origin=current().origin(provider).name)  # fmt: skip
        try:
            return await client.complete(request, known)
        finally:
            await client.close()

    answer = json.loads(asyncio.run(work()).text)
    jsonschema.validate(answer, ANSWER)
    assert answer["answer"]


PLAIN = st.recursive(
    st.sampled_from([{"type": name} for name in ("string", "integer", "number", "boolean", "null")])
    | st.just({"enum": ["a", "b"]})
    | st.just({"const": 3})
    | st.just({"$ref": "#/$defs/Leaf"}),
    lambda inner: (
        inner.map(lambda one: {"type": "array", "items": one, "minItems": 1})
        | inner.map(lambda one: {"anyOf": [{"type": "null"}, one]})
        | st.dictionaries(st.sampled_from("abc"), inner, max_size=3).map(
            lambda p: {"type": "object", "properties": p, "required": [*p], "additionalProperties": False}
        )
    ),
    max_leaves=6,
)
DEFS = {"Leaf": {"type": "object", "properties": {"leaf": {"type": "string"}}, "required": ["leaf"]}}
TEXTS = st.text(max_size=8) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
).map(json.dumps)


@given(PLAIN, TEXTS)
def test_any_text_takes_the_shape_of_any_schema(schema: dict[str, Any], text: str) -> None:
    """Whatever the answer and the schema, what is said follows the schema; what follows it already stays as it is."""
    schema = schema | {"$defs": DEFS}
    said = in_shape(text, schema)
    jsonschema.validate(json.loads(said), schema)
    assert in_shape(said, schema) == said


def test_a_behaviour_file_without_judges_still_loads() -> None:
    """Files written before judges existed answer as they did; nonsense about judges is refused with its place."""
    text = behaviour_text()
    start, end = text.index("# How simulated models judge"), text.index("# [difficulty.DATASET]")
    assert Behaviour(text[:start] + text[end:]).declared.judges is None
    with pytest.raises(BehaviourError, match=r"judge\.fast"):
        Behaviour(text.replace("sensitivity = 0.86", "sensitivity = 1.0"))
    with pytest.raises(BehaviourError, match=r"judge\.kinds"):
        Behaviour(text.replace('pair = ["winner"]', 'pears = ["winner"]'))
