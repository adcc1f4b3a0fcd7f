"""The simulated models: what they answer, how likely every other answer was, and how long they take.

A case has a difficulty d ~ N(0,1) that all arms share; a request and its repeat add noise e ~ N(0,1). With p the
declared probability of a right answer and r the declared share of the difficulty, an answer is right iff

    inverse_Phi(p) > sqrt(r) * d + sqrt(1 - r) * e

so that P(right | d) = Phi((inverse_Phi(p) - sqrt(r) * d) / sqrt(1 - r))

(a probit model with a shared factor, as in item response theory; averaged over d it is p). Every draw is read from a
SHA-256, so an answer is a function of seed, request and repeat: never of order, time or concurrency.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from math import sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING

from workbench.sim import origin
from workbench.sim.cases import KnownCase, KnownCases
from workbench.sim.declared import ADDING_TRAITS, TRAITS, declared
from workbench.sim.judge import JudgeModels
from workbench.sim.ragas_answers import RagasAnswers
from workbench.sim.replies import Answers, Form, Phrasebook
from workbench.sim.said import Draft
from workbench.sim.schemas import in_shape
from workbench.sim.tokens import count_tokens, first_tokens

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from workbench.sim.asked import Asked

_NORMAL = NormalDist()
SURE = (0.01, 0.99)
"""No simulated model is ever certain to be right or wrong."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One possible answer to a request. `kind` is right or the name of the wrong kind."""

    probability: float
    text: str
    stop_reason: str = "end"
    kind: str = "right"
    stop_sequence: str | None = None


class Behaviour:
    """Simulated models that know `cases`; `text` is the content of a behaviour file."""

    def __init__(self, text: str, seed: int = 0, cases: Iterable[KnownCase] = ()) -> None:
        self.text = text
        self.seed = seed
        self.cases = KnownCases(cases)
        self.declared = declared(text)
        self.judges = JudgeModels(self.declared, self.cases, self._seed_normal)
        self.ragas = RagasAnswers(text, self.declared, self.cases, self._seed_normal)
        self.traits = lru_cache(maxsize=1024)(self._traits)

    @classmethod
    def load(cls, path: Path | str | None = None, *, seed: int = 0, cases: Iterable[KnownCase] = ()) -> Behaviour:
        """From a file, or the shipped one; raises BehaviourError for a file that declares nonsense."""
        return cls(origin.behaviour_text(path), seed, cases)

    def find(self, asked: Asked) -> KnownCase | None:
        """The known case that the request is about."""
        found = self.cases.find(asked.text)
        return found[0] if found else None

    def _traits(self, template: str) -> frozenset[str]:
        return frozenset(name for name in TRAITS if self.declared.traits[name].search(template))

    def difficulty(self, case: KnownCase) -> float:
        """How hard a case is, in standard deviations: declared, else drawn from its name whatever the seed."""
        given = self.declared.difficulty.get(case.dataset, {}).get(case.id)
        return given if given is not None else _normal("difficulty", case.dataset, case.id)

    def probability(self, asked: Asked, case: KnownCase) -> float:
        """The declared probability of a right answer, over cases of all difficulties."""
        tier = self.declared.tier(asked.provider, asked.model)
        gains = self.declared.task(case.dataset).increments[tier]
        traits = self._request_traits(asked, case)
        total = gains["base"] + sum(gains.get(trait, 0.0) for trait in ADDING_TRAITS if trait in traits)
        return min(max(total, SURE[0]), SURE[1])

    def outcomes(self, asked: Asked, case: KnownCase) -> list[Outcome]:
        """Every answer the request can get, with its exact probability given the case's difficulty; they sum to 1."""
        if case.expected is None:
            return [self._outcome(1.0, self.declared.no_expected, "no_expected", asked)]
        right = _NORMAL.cdf(self._threshold(asked, case))
        answers, kinds = self._answers(asked, case)
        outcomes = [self._outcome(right, answers.right(), "right", asked)]
        for kind, weight in kinds:
            texts = answers.wrong(kind)
            outcomes += [self._outcome((1 - right) * weight / len(texts), text, kind, asked) for text in texts]
        return outcomes

    def answer(self, asked: Asked, case: KnownCase, repeat: int = 0) -> Outcome:
        """The one of `outcomes` that this seed, request and repeat get."""
        outcomes = self.outcomes(asked, case)
        w = self.declared.shared_request
        shared, own = (self._seed_normal("noise", asked.key, name) for name in ("", str(repeat)))
        if len(outcomes) == 1 or sqrt(w) * shared + sqrt(1 - w) * own < self._threshold(asked, case):
            return outcomes[0]
        left = _uniform(str(self.seed), "kind", asked.key, str(repeat)) * (1 - outcomes[0].probability)
        for outcome in outcomes[1:]:
            left -= outcome.probability
            if left < 0:
                return outcome
        return outcomes[-1]

    def reply(self, asked: Asked) -> Draft:
        """The answer to a request as it arrives: of the case it is about, or the declared text if it is about none."""
        judged = self.ragas.judge(asked) or self.judges.judge(asked)
        case = None if judged else self.find(asked)
        matched = judged.matched if judged else case is not None
        if judged:
            outcome = self._outcome(1.0, judged.text, "judged", asked)
        elif case is None:
            outcome = self._outcome(1.0, self.declared.no_case, "no_case", asked)
        else:
            outcome = self.answer(asked, case, asked.repeat)
        thinking = self._thinking(asked)
        return Draft(
            text=outcome.text,
            source="simulated" if matched else "simulated-loose",
            stop=outcome.stop_reason,
            stop_sequence=outcome.stop_sequence,
            reasoning_tokens=thinking,
            latency_s=self.latency(asked, thinking + count_tokens(outcome.text)),
            matched=matched,
        )

    def latency(self, asked: Asked, output_tokens: int) -> float:
        """Seconds for this request: declared for the tier, more for longer answers, steady for the same request."""
        speed = self.declared.speeds[self.declared.tier(asked.provider, asked.model)]
        sway = 0.75 + 0.5 * _uniform(str(self.seed), "latency", asked.key, str(asked.repeat))
        return (speed.base + speed.per_token * output_tokens) * sway

    def models(self, provider: str) -> list[str]:
        """The declared model ids of a provider."""
        return list(self.declared.models.get(provider, {}))

    def _threshold(self, asked: Asked, case: KnownCase) -> float:
        """The answer is right iff its noise e is below this."""
        r = self.declared.shared_difficulty
        wanted = _NORMAL.inv_cdf(self.probability(asked, case))
        return (wanted - sqrt(r) * self.difficulty(case)) / sqrt(1 - r)

    def _answers(self, asked: Asked, case: KnownCase) -> tuple[Answers, list[tuple[str, float]]]:
        """The texts for this request, and the shares of the wrong kinds."""
        traits = self._request_traits(asked, case)
        task = self.declared.task(case.dataset)
        stated = "format" in traits
        form = Form(stated, "reasoning" in traits, "answer_line" in traits and asked.schema is None, asked.structured)
        weights = task.wrong_stated if stated else task.wrong_free
        phrases = Phrasebook(task.reasoning_texts, self.declared.vague)
        return Answers(case, self.cases, form, phrases), [(kind, share) for kind, share in weights.items() if share]

    def _request_traits(self, asked: Asked, case: KnownCase) -> frozenset[str]:
        template = asked.text
        for text in case.texts():
            template = template.replace(text, "")
        traits = self.traits(template)
        return traits | {"format"} if asked.structured else traits

    def _outcome(self, probability: float, text: str, kind: str, asked: Asked) -> Outcome:
        """The text as far as the request lets it be said: its schema, stop sequences, then the token limit less the
        thinking."""
        text = in_shape(text, asked.schema) if asked.schema is not None else text
        stopped, sequence = _first_stop(text, asked)
        if asked.max_tokens is not None:
            said = first_tokens(stopped, asked.max_tokens - self._thinking(asked))
            if said != stopped:
                return Outcome(probability, said, "max_tokens", kind)
        return Outcome(probability, stopped, "stop_sequence" if sequence else "end", kind, sequence)

    def _thinking(self, asked: Asked) -> int:
        tokens = self.declared.thinking.get(asked.model, 0)
        return tokens if asked.max_tokens is None else min(tokens, asked.max_tokens)

    def _seed_normal(self, *parts: str) -> float:
        return _normal(str(self.seed), *parts)


def _first_stop(text: str, asked: Asked) -> tuple[str, str | None]:
    """The text up to its first stop sequence, and that sequence."""
    places = [(text.find(stop), stop) for stop in asked.stop if stop and stop in text]
    if not places:
        return text, None
    place, stop = min(places)
    return text[:place], stop


def _uniform(*parts: str) -> float:
    """A number in (0, 1) that depends on the parts alone."""
    digest = hashlib.sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).digest()
    return ((int.from_bytes(digest[:8]) >> 11) + 0.5) / 2**53


def _normal(*parts: str) -> float:
    return _NORMAL.inv_cdf(_uniform(*parts))
