"""The pairwise judge: which of two answers to one case is better, asked in both orders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from workbench.errors import ScorerError
from workbench.scorers.asking import MODEL, NotJudged, Question, cut, judge_prompt, objects, quoted, reason_of

if TYPE_CHECKING:
    from workbench.prompts import Prompt
    from workbench.records import Case
    from workbench.scorers.base import Complete

Winner = Literal["first", "second", "tie"]
WINNERS: tuple[Winner, ...] = ("first", "second", "tie")
TURNED: dict[Winner, Winner] = {"first": "second", "second": "first", "tie": "tie"}


@dataclass(frozen=True, slots=True)
class Choice:
    """What the judge said of two answers in one order; `winner` None: it failed, for `reason`."""

    winner: Winner | None
    reason: str = ""


@dataclass(frozen=True)
class PairJudge:
    """A pairwise judge; made by `pair_judge`. `identity` changes when its judgement might."""

    rubric: str
    question: Question
    name: str = "judge_pair"
    expected: bool = True

    @property
    def identity(self) -> str:
        """SHA-256 of prompt content, model, parameters and rubric."""
        return self.question.identity

    async def choose(self, case: Case, first: str, second: str, complete: Complete) -> Choice:
        """The judge's choice between two answers in this order. Raises what `complete` raises."""
        values = {
            "rubric": self.rubric,
            "inputs": quoted(dict(case.inputs)),
            "expected": quoted(case.expected if self.expected else None),
            "first": quoted(first),
            "second": quoted(second),
        }
        try:
            answer = await self.question.ask(values, complete)
        except NotJudged as error:
            return Choice(None, str(error))
        winner = next((one for one in WINNERS if answer.get("winner") == one), None)
        if winner is None:
            return Choice(None, f"the judge's winner is {cut(repr(answer.get('winner')), 80)}")
        return Choice(winner, reason_of(answer))

    def __repr__(self) -> str:
        return f"PairJudge({self.name}, {self.question.model})"


def pair_judge(
    rubric: str, *, model: str = MODEL, name: str = "judge_pair", prompt: str | Prompt = "", expected: bool = True,
    effort: str | None = None,
) -> PairJudge:  # fmt: skip
    """A model that says which of two answers is better by `rubric`. Options as in `judge`. Raises ScorerError."""
    if not isinstance(rubric, str) or not rubric.strip():
        raise ScorerError(f"{name}: say by what an answer is better, such as 'It names the right category.'")
    question = Question(
        judge_prompt(prompt, "judge-pair@v1"),
        model,
        objects(reason={"type": "string"}, winner={"type": "string", "enum": list(WINNERS)}),
        ("rubric", "inputs", "expected", "first", "second"),
        {"rubric": rubric, "expected": expected},
        effort,
    )
    return PairJudge(rubric, question, name, expected)


def both_orders(forward: Choice, backward: Choice) -> tuple[Winner | None, str]:
    """The winner of two answers asked in both orders, `first` as in `forward`, and why: a choice that turns with the
    order is a tie, and a judge that failed in one order has not judged."""
    if forward.winner is None or backward.winner is None:
        failed = forward if forward.winner is None else backward
        return None, failed.reason
    if forward.winner == TURNED[backward.winner]:
        return forward.winner, forward.reason
    return "tie", f"the orders disagree: {forward.winner} when shown as here, {TURNED[backward.winner]} when turned"
