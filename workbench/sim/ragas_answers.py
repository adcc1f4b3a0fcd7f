"""What simulated judges answer to ragas' prompts, recognised by the names in the wanted schema, and embeddings.

The truth is the declared one: a claim about a known case is supported when it gives the case's expected answer, any
other when enough of its words, and all of its numbers, are in the text that it is held against. A judge errs as
`[ragas]` in the behaviour file declares for its tier.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from dataclasses import dataclass
from functools import cached_property
from math import sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from workbench.sim.declared import TIERS, BehaviourError
from workbench.sim.judge import Judged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from workbench.sim.asked import Asked
    from workbench.sim.cases import KnownCases
    from workbench.sim.declared import Declared

INPUT = "Now perform the same with the following input\ninput: "
"""Behind it stands the JSON that a ragas prompt is about."""

ANSWERED = "the answer is: "
_NORMAL = NormalDist()
_LEADS = re.compile(r"^(?:Answer:|As I read it:)\s*")
_SENTENCE = re.compile(r"\n+|(?<=[.!?])\s+(?=[A-Z\"“'])")
_PART = re.compile(r",\s+|;\s+|\s+and\s+")
_WORD = re.compile(r"\w+(?:[.,]\d+)*")


@dataclass(frozen=True, slots=True)
class Rates:
    """How often judges of one tier find a supported claim supported, and an unsupported one unsupported."""

    sensitivity: float
    specificity: float


@dataclass(frozen=True, slots=True)
class Section:
    """`[ragas]` of a behaviour file. `asking`: ways to put a question, `{}` stands for it."""

    tiers: Mapping[str, Rates]
    overlap: float = 0.75
    dimensions: int = 256
    asking: tuple[str, ...] = ("{}",)

    @classmethod
    def of(cls, text: str) -> Section:
        """The section of a behaviour file, or judges that never err. Raises BehaviourError."""
        data = tomllib.loads(text).get("ragas", {})
        try:
            tiers = {tier: Rates(**data.get(tier, {"sensitivity": 1.0, "specificity": 1.0})) for tier in TIERS}
            others = {name: value for name, value in data.items() if name not in TIERS}
            if "asking" in others:
                others["asking"] = tuple(others["asking"])
            section = cls(tiers, **others)
            rates = [rate for one in tiers.values() for rate in (one.sensitivity, one.specificity)]
            if not all(0 <= rate <= 1 for rate in (*rates, section.overlap)) or section.dimensions < 2:
                raise BehaviourError("ragas: rates and overlap lie in [0, 1], and there are 2 dimensions or more")
        except TypeError as error:
            raise BehaviourError(f"ragas: {error}") from None
        return section


class RagasAnswers:
    """The answers of simulated judges that know `cases`. `text` is the behaviour file's, as is what is `declared`;
    `draw(*parts)` gives a standard normal number that depends on the seed and on `parts` alone."""

    def __init__(self, text: str, declared: Declared, cases: KnownCases, draw: Callable[..., float]) -> None:
        self.section = Section.of(text)
        self._declared = declared
        self._cases = cases
        self._normal = draw
        self._idle = {_plain(words) for task in declared.tasks.values() for words in task.reasoning_texts}
        self._evasive = {_plain(words) for words in (*declared.vague, declared.no_case, declared.no_expected)}
        self._evasive.add("not stated")

    def judge(self, asked: Asked) -> Judged | None:
        """The answer to a question of ragas, or its vectors; None for every other question. None is loose: what is no
        known case is judged by its words."""
        if asked.texts:
            return Judged(self._vectors(asked.texts), matched=True)
        if asked.schema is None or INPUT not in asked.user:
            return None
        try:
            given, _ = json.JSONDecoder().raw_decode(asked.user.rpartition(INPUT)[2])
            said = self._said(_kind(asked.schema), given, asked)
        except (ValueError, KeyError, TypeError, AttributeError):
            return None  # some other prompt that looks like theirs
        return None if said is None else Judged(json.dumps(said, ensure_ascii=False), matched=True)

    def _said(self, kind: str, given: Mapping[str, Any], asked: Asked) -> dict[str, Any] | None:
        match kind:
            case "statements":
                lead = f'To the question "{given["question"]}" {ANSWERED}'
                return {"statements": [lead + sentence for sentence in self._sentences(given["answer"])]}
            case "claims":
                return {"claims": list(self._claims(given["response"], given.get("atomicity") == "high"))}
            case "verdicts":
                return {"statements": self._verdicts(given["context"], given["statements"], "verdict", asked)}
            case "classifications":
                context = f"{given['context']}\n{given['question']}"
                return {kind: self._verdicts(context, self._sentences(given["answer"]), "attributed", asked)}
            case "usefulness":
                context = f"{given['context']}\n{given['question']}"
                useful = self._cases.find(context) is not None or self._supported(given["context"], given["answer"])
                return {"reason": _reason(useful), "verdict": self._erring(useful, asked, 0)}
            case "question":
                return self._question(given["response"], asked)
        return None

    def _sentences(self, text: str) -> list[str]:
        """The sentences that say something, without the lead that an answer was put behind."""
        sentences = [_LEADS.sub("", part.strip()) for part in _SENTENCE.split(text)]
        return [one for one in sentences if _WORD.search(one) and _plain(one) not in self._idle]

    def _claims(self, text: str, atomic: bool) -> Iterable[str]:
        for sentence in self._sentences(text):
            yield from _PART.split(sentence) if atomic else [sentence]

    def _verdicts(self, context: str, statements: Iterable[str], name: str, asked: Asked) -> list[dict[str, Any]]:
        entries = []
        for number, statement in enumerate(statements):
            found = self._supported(context, statement)
            verdict = self._erring(found, asked, number)
            entries.append({"statement": statement, "reason": _reason(bool(verdict)), name: verdict})
        return entries

    def _supported(self, context: str, statement: str) -> bool:
        """Whether a text supports a statement, by what is declared."""
        found = self._cases.find(f"{context}\n{statement}")
        claim = statement.rpartition(ANSWERED)[2]
        if found is not None and found[0].expected is not None:
            return _gives(claim, found[0].expected)
        words, there = _words(claim), set(_words(context))
        if not words or any(word[0].isdigit() and word not in there for word in words):
            return False
        return sum(word in there for word in words) / len(words) >= self.section.overlap

    def _erring(self, truth: bool, asked: Asked, number: int) -> int:
        """The verdict of this judge, in this draw of the question."""
        judged = self.section.tiers[self._declared.tier(asked.provider, asked.model)]
        drawn = self._draw("verdict", asked.key, str(asked.repeat), str(number))
        return int(drawn < judged.sensitivity if truth else drawn >= judged.specificity)

    def _draw(self, *parts: str) -> float:
        """A number in (0, 1)."""
        return _NORMAL.cdf(self._normal("ragas", *parts))

    def _question(self, response: str, asked: Asked) -> dict[str, Any]:
        """A question that the answer fits: of a case that expects it, put in another way in each draw."""
        sentences = self._sentences(response)
        if not sentences:
            return {"question": "", "noncommittal": 1}
        evasive = all(_plain(sentence) in self._evasive for sentence in sentences)
        fitting = self._questions.get(_plain(sentences[-1]), [])
        drawn = self._draw("question", asked.key)
        about = f"What is said about {' '.join(_words(sentences[-1])[:8])}?"
        question = fitting[int(drawn * len(fitting))] if fitting else about
        way = self.section.asking[(int(drawn * 1000) + asked.repeat) % len(self.section.asking)]
        return {"question": way.replace("{}", question), "noncommittal": int(evasive)}

    @cached_property
    def _questions(self) -> dict[str, list[str]]:
        """Expected answer -> the questions of the cases that expect it."""
        found: dict[str, list[str]] = {}
        for case in self._cases.cases:
            questions = [text for text in case.texts() if text.endswith("?")]
            if isinstance(case.expected, str) and questions:
                found.setdefault(_plain(case.expected), []).append(questions[-1])
        return found

    def _vectors(self, texts: Iterable[str]) -> str:
        """One unit vector per text as JSON: its words and their beginnings, hashed, so that like texts are alike."""
        return json.dumps([self._vector(text) for text in texts], separators=(",", ":"))

    def _vector(self, text: str) -> list[float]:
        counts = [0.0] * self.section.dimensions
        for word in _words(text) or [""]:
            for piece, weight in ((word, 1.0), (word[:4], 0.5)):
                digest = hashlib.sha256(piece.encode("utf-8", "surrogatepass")).digest()
                counts[int.from_bytes(digest[:8]) % len(counts)] += weight
        length = sqrt(sum(one * one for one in counts))
        return [round(one / length, 6) for one in counts]


def _kind(schema: Mapping[str, Any]) -> str:
    """Which of ragas' questions a schema belongs to; empty for none of them."""
    properties = schema.get("properties") or {}
    match sorted(properties):
        case ["statements"]:
            return "statements" if properties["statements"]["items"].get("type") == "string" else "verdicts"
        case ["claims"]:
            return "claims"
        case ["classifications"]:
            return "classifications"
        case ["reason", "verdict"]:
            return "usefulness"
        case ["noncommittal", "question"]:
            return "question"
    return ""


def _gives(text: str, expected: Any) -> bool:
    """Whether a text holds an expected value, or every value of an expected object, as whole words."""
    values = expected.values() if isinstance(expected, dict) else [expected]
    texts = [_plain(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)) for value in values]
    return all(re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", _plain(text)) for wanted in texts)


def _reason(supported: bool) -> str:
    return "the text says so" if supported else "the text does not say so"


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(".")


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())
