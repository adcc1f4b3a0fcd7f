"""Laws of the simulated judges and embeddings behind ragas' metrics."""

from __future__ import annotations

import json
from math import sqrt

import pytest
from ragas_parts import JUDGE

from workbench.datasets import load_dataset
from workbench.records import Message, Request
from workbench.sim import Behaviour
from workbench.sim.asked import Asked
from workbench.sim.cases import known_cases
from workbench.sim.declared import BehaviourError
from workbench.sim.origin import behaviour_text

CASES = load_dataset("policy-qa").cases
MODELS = Behaviour.load(cases=known_cases("policy-qa", CASES))
EMBEDS = ("openai", "embeddings", "text-embedding-3-small")
STATEMENT = {
    "type": "object",
    "properties": {"statement": {"type": "string"}, "reason": {"type": "string"}, "verdict": {"type": "integer"}},
}
VERDICTS = {"type": "object", "properties": {"statements": {"type": "array", "items": STATEMENT}}}


def verdict(case_number: int, answer: str, model: str = "claude-sonnet-5-5", repeat: int = 0) -> int:
    """What a judge says of an answer to a known case."""
    case = CASES[case_number]
    claim = f'To the question "{case.inputs["question"]}" the answer is: {answer}'
    given = json.dumps({"context": case.inputs["context"], "statements": [claim]}, ensure_ascii=False)
    prompt = f"Judge.\nNow perform the same with the following input\ninput: {given}\nOutput: "
    request = Request("anthropic", "messages", model, (Message("user", prompt),), {}, VERDICTS, repeat=repeat)
    said = json.loads(MODELS.reply(Asked.of(request)).text)["statements"]
    assert [entry["statement"] for entry in said] == [claim]
    return int(said[0]["verdict"])


@pytest.mark.parametrize(("model", "tier"), [("claude-haiku-5-5", "fast"), ("claude-opus-5-5", "powerful")])
def test_judges_err_as_declared(model: str, tier: str) -> None:
    """A right answer is found supported at the declared sensitivity and a wrong one unsupported at the specificity."""
    declared = MODELS.ragas.section.tiers[tier]
    draws = [(number, repeat) for number in range(len(CASES)) for repeat in range(10)]
    right = [verdict(number, str(CASES[number].expected), model, repeat) for number, repeat in draws]
    wrong = [verdict(number, "the moon", model, repeat) for number, repeat in draws]
    for found, wanted in ((sum(right), declared.sensitivity), (len(wrong) - sum(wrong), declared.specificity)):
        assert abs(found / len(draws) - wanted) < 4 * sqrt(wanted * (1 - wanted) / len(draws))


def test_answers_are_a_function_of_the_question() -> None:
    """The same question and repeat get the same verdict."""
    assert [verdict(3, "x", repeat=n) for n in range(20)] == [verdict(3, "x", repeat=n) for n in range(20)]


def test_other_questions_are_left_alone() -> None:
    """A request without a schema, or with another one, is none of ragas' questions, even with their words in it."""
    text = 'Now perform the same with the following input\ninput: {"context": "c", "statements": ["s"]}\nOutput: '
    free = Asked.of(Request("anthropic", "messages", JUDGE, (Message("user", text),)))
    assert MODELS.ragas.judge(free) is None
    broken = [("no marker", VERDICTS), (text.replace('"context"', '"other"'), VERDICTS), (text[:70], VERDICTS),
              (text, {"type": "object", "properties": {"city": {"type": "string"}}})]  # fmt: skip
    for words, schema in broken:
        asked = Asked.of(Request("anthropic", "messages", JUDGE, (Message("user", words),), {}, schema))
        assert MODELS.ragas.judge(asked) is None


def cosine(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def test_like_texts_have_like_vectors() -> None:
    """Vectors have length 1, equal texts equal ones, and texts that share words are nearer than texts that do not."""
    texts = ["How long do I have?", "How long do I have left?", "Bring your own cup", "?"]
    draft = MODELS.reply(Asked.of(Request(*EMBEDS, tuple(Message("user", text) for text in texts))))
    asked, near, far, mark = json.loads(draft.text)
    assert draft.source == "simulated"
    assert all(cosine(one, one) == pytest.approx(1, abs=1e-4) for one in (asked, near, far, mark))
    assert cosine(asked, near) > 0.8 > 0.3 > cosine(asked, far)
    again = MODELS.reply(Asked.of(Request(*EMBEDS, (Message("user", texts[1]),))))
    assert json.loads(again.text) == [near]


@pytest.mark.parametrize(
    "wrong",
    ["fast = { sensitivity = 2, specificity = 0.5 }", "fast = { sensitivity = 0.5 }", "overlap = 7", "ovrlap = 1"],
)
def test_wrong_declarations_are_refused(wrong: str) -> None:
    """A misspelt or impossible number in the section is refused with its name."""
    text = behaviour_text().partition("[ragas]")[0]
    with pytest.raises(BehaviourError, match="ragas"):
        Behaviour(f"{text}[ragas]\n{wrong}\n")
