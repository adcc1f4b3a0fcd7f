"""Judges, models that grade answers: `judge` by a rubric, `grounded` by the case's context, `relevance` by the task.

They are handed the run's own client, so their calls are cached, priced, budgeted and counted apart. What is judged is
quoted as JSON data. A judge that fails leaves the score missing, with the reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.errors import ScorerError
from workbench.records import WORST_STOPS, Score
from workbench.scorers.asking import MODEL, NotJudged, Question, cut, judge_prompt, objects, quoted, reason_of
from workbench.scorers.base import Scorer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from workbench.prompts import Prompt
    from workbench.records import Case, Reply
    from workbench.scorers.base import Complete

    Values = Mapping[str, str]
    Once = Callable[[Values, Complete, int], Awaitable[Score]]

TEXT = {"type": "string"}
RELEVANCE = 4
"""The best grade of relevance; the score is the grade's share of it."""

MOST_GRADES = 11


def judge(
    rubric: str,
    *,
    model: str = MODEL,
    name: str = "judge",
    scale: tuple[int, int] | None = None,
    prompt: str | Prompt = "",
    expected: bool = True,
    effort: str | None = None,
    draws: int = 1,
) -> Scorer:
    """A model that grades each answer by `rubric`: `judge("The answer names the right category.")`.

    Without `scale` the score is True (pass) or False; with one, such as (1, 5), a whole number from the worst to the
    best. `prompt`: another prompt than judge-rubric@v1, with variables of its own choice among rubric, scale, inputs,
    expected and answer. `expected`: whether the judge sees the case's expected value. `draws`: independent draws per
    answer, each a call; their majority, or mean, is the score. Answers that were refused or cut off are not sent: they
    have the worst score anyway. Raises ScorerError, and PromptError for an unknown prompt.
    """
    _check(rubric, name, scale, draws)
    question = Question(
        judge_prompt(prompt, "judge-rubric@v1"),
        model,
        _rubric_schema(scale),
        ("rubric", "scale", "inputs", "expected", "answer"),
        {"rubric": rubric, "scale": list(scale or ()), "expected": expected, "draws": draws},
        effort,
    )

    def values(case: Case, reply: Reply) -> Values:
        return {
            "rubric": rubric,
            "scale": _scale_words(scale),
            "inputs": quoted(dict(case.inputs)),
            "expected": quoted(case.expected if expected else None),
            "answer": quoted(reply.text),
        }

    async def once(given: Values, complete: Complete, repeat: int) -> Score:
        answer = await question.ask(given, complete, repeat)
        if scale is None:
            return Score(_choice(answer, "verdict", {"pass": True, "fail": False}), reason_of(answer))
        return Score(_grade(answer, "score", scale), reason_of(answer))

    return _scorer(name, question, scale, values, once, draws)


def grounded(
    context: str = "context", *, model: str = MODEL, name: str = "grounded", prompt: str | Prompt = "",
    effort: str | None = None, draws: int = 1,
) -> Scorer:  # fmt: skip
    """Share of the answer's claims that the case's input `context` supports, from 0 to 1; unscored without any claim.

    The other inputs are shown as the question. Options as in `judge`.
    """
    _check(context, name, None, draws)
    claim = objects(claim=TEXT, reason=TEXT, supported={"type": "boolean"})
    question = Question(
        judge_prompt(prompt, "judge-grounded@v1"),
        model,
        objects(claims={"type": "array", "items": claim}),
        ("inputs", "context", "answer"),
        {"context": context, "draws": draws},
        effort,
    )

    def values(case: Case, reply: Reply) -> Values:
        if context not in case.inputs:
            raise NotJudged(f"case {case.id} has no input {context!r}: name the one that holds the context, "
                            f"grounded({next(iter(case.inputs), '')!r})")  # fmt: skip
        others = {key: value for key, value in case.inputs.items() if key != context}
        return {"inputs": quoted(others), "context": quoted(case.inputs[context]), "answer": quoted(reply.text)}

    async def once(given: Values, complete: Complete, repeat: int) -> Score:
        return _share(await question.ask(given, complete, repeat))

    return _scorer(name, question, (0, 1), values, once, draws)


def relevance(
    *, model: str = MODEL, name: str = "relevance", prompt: str | Prompt = "", effort: str | None = None,
    draws: int = 1,
) -> Scorer:  # fmt: skip
    """How far the answer addresses what was asked, true or not: 0, 0.25, 0.5, 0.75 or 1. Options as in `judge`."""
    _check("relevance", name, None, draws)
    question = Question(
        judge_prompt(prompt, "judge-relevance@v1"),
        model,
        objects(reason=TEXT, relevance={"type": "integer", "enum": list(range(RELEVANCE + 1))}),
        ("inputs", "answer"),
        {"draws": draws},
        effort,
    )

    def values(case: Case, reply: Reply) -> Values:
        return {"inputs": quoted(dict(case.inputs)), "answer": quoted(reply.text)}

    async def once(given: Values, complete: Complete, repeat: int) -> Score:
        answer = await question.ask(given, complete, repeat)
        return Score(_grade(answer, "relevance", (0, RELEVANCE)) / RELEVANCE, reason_of(answer))

    return _scorer(name, question, (0, 1), values, once, draws)


JUDGES: Mapping[str, Callable[..., Scorer]] = {function.__name__: function for function in (judge, grounded, relevance)}


def _scorer(name: str, question: Question, scale: tuple[int, int] | None,
            values: Callable[[Case, Reply], Values], once: Once, draws: int) -> Scorer:  # fmt: skip
    """The scorer that asks a question about every answer."""
    low, high = scale or (0, 1)

    async def ask(case: Case, reply: Reply, complete: Complete | None) -> Score:
        if reply.stop_reason in WORST_STOPS:
            return Score(False if scale is None else float(low))  # no call: such an answer has the worst score anyway
        if complete is None:
            return Score(None, f"{name} asks a model, and nobody handed it the means to")
        found: list[Score] = []
        failed = ""
        for repeat in range(draws):
            try:
                found.append(await once(values(case, reply), complete, repeat))
            except NotJudged as error:
                failed = str(error)
        return _together(found, failed, scale is None) if found else Score(None, failed)

    return Scorer(name, ask, (name,), (float(low), float(high)), True, question.identity, asks_models=True)


def _together(found: list[Score], failed: str, binary: bool) -> Score:
    """One score from several draws: the majority, or the mean; a lone one stays as it is."""
    numbers = [float(one.value) for one in found if one.value is not None]
    if len(found) == 1:
        return found[0]
    if not numbers:
        return Score(None, failed or found[0].reason)
    mean = sum(numbers) / len(numbers)
    if not binary:
        return Score(mean, found[0].reason)
    if mean == 0.5:
        return Score(None, f"{len(numbers)} draws of the judge disagree evenly")
    return Score(mean > 0.5, next(one.reason for one in found if one.value == (mean > 0.5)))


def _share(answer: Mapping[str, Any]) -> Score:
    """The share of supported claims, and the first one that is not supported."""
    claims = answer.get("claims")
    if not isinstance(claims, list) or not all(
        isinstance(one, dict) and isinstance(one.get("supported"), bool) for one in claims
    ):
        raise NotJudged("the judge's answer cannot be read: it lists no claims with a verdict each")
    if not claims:
        raise NotJudged("the answer makes no claim")
    failing = [one for one in claims if not one["supported"]]
    said = f"{len(claims) - len(failing)} of {len(claims)} claims supported"
    first = f"; not: {failing[0].get('claim', '')} ({failing[0].get('reason', '')})" if failing else ""
    return Score((len(claims) - len(failing)) / len(claims), cut(said + first))


def _rubric_schema(scale: tuple[int, int] | None) -> dict[str, Any]:
    """The reason comes before the verdict: a verdict written first would only be defended by it."""
    if scale is None:
        return objects(reason=TEXT, verdict={"type": "string", "enum": ["pass", "fail"]})
    # an enumeration, since not every vendor's structured output knows minimum and maximum
    return objects(reason=TEXT, score={"type": "integer", "enum": list(range(scale[0], scale[1] + 1))})


def _scale_words(scale: tuple[int, int] | None) -> str:
    if scale is None:
        return 'the verdict: "pass" if the answer meets the rubric, else "fail"'
    low, high = scale
    return f"the score: a whole number from {low} (does not meet the rubric at all) to {high} (meets it fully)"


def _choice(answer: Mapping[str, Any], field: str, meanings: Mapping[str, Any]) -> Any:
    value = answer.get(field)
    if not isinstance(value, str) or value not in meanings:
        raise NotJudged(f"the judge's {field} is {cut(repr(value), 80)}, not one of {', '.join(meanings)}")
    return meanings[value]


def _grade(answer: Mapping[str, Any], field: str, scale: tuple[int, int]) -> float:
    value = answer.get(field)
    if isinstance(value, bool) or not isinstance(value, int) or not scale[0] <= value <= scale[1]:
        raise NotJudged(
            f"the judge's {field} is {cut(repr(value), 80)}, not a whole number from {scale[0]} to {scale[1]}"
        )
    return float(value)


def _check(text: str, name: str, scale: tuple[int, int] | None, draws: int) -> None:
    if not isinstance(text, str) or not text.strip():
        raise ScorerError(f"{name}: say what it judges by, such as judge('The answer names the right category.')")
    if not name.isidentifier():
        raise ScorerError(f"scorer name {name!r}: letters, digits and _ only, as it names a metric")
    if scale is not None and not (
        len(scale) == 2 and all(type(one) is int for one in scale) and 1 <= scale[1] - scale[0] < MOST_GRADES
    ):
        raise ScorerError(f"{name}: scale {scale!r} must be two whole numbers, the worst before the best, at most "
                          f"{MOST_GRADES} grades: (1, 5)")  # fmt: skip
    if isinstance(draws, bool) or not isinstance(draws, int) or draws < 1:
        raise ScorerError(f"{name}: draws is {draws!r}: it must be a whole number, 1 or more")
