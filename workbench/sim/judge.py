"""Simulated judges: they know which answer is right, and err as often as the behaviour file declares.

A judge's question is known by the schema that it asks for, and by the blocks in which it quotes what is judged: a tag
on a line of its own, one line of JSON, the closing tag. The truth comes from the known case with those inputs, else
from the expected value that the question quotes itself.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from workbench.sim.cases import KnownCase

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workbench.sim.asked import Asked
    from workbench.sim.cases import KnownCases
    from workbench.sim.declared import Declared, Judges

    Draw = Callable[..., float]

_NORMAL = NormalDist()
_BLOCK = re.compile(r"^<(\w+)>\n(.*)\n</\1>$", re.MULTILINE)
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_PHRASING = re.compile(r"^(?:answer:|as i read it:)\s*", re.IGNORECASE)
MOST_CLAIMS = 20
MOST_BRACES = 1000
"""Places in an answer at which a JSON object is looked for; hostile text may have more."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A judge's answer, and whether a known case was behind its question."""

    text: str
    matched: bool


class JudgeModels:
    """The simulated models as judges. `draw(*parts)` gives a standard normal number that depends on the seed and on
    `parts` alone."""

    def __init__(self, declared: Declared, cases: KnownCases, draw: Draw) -> None:
        self._declared = declared
        self._cases = cases
        self._draw = draw

    def judge(self, asked: Asked) -> Judged | None:
        """The judge's answer; None when the request is none to a judge."""
        judges, properties = self._declared.judges, (asked.schema or {}).get("properties", {})
        kind = next((k for k, names in (judges.kinds if judges else {}).items() if {*names} <= {*properties}), None)
        if judges is None or kind is None:
            return None
        blocks = {name: _loaded(text) for name, text in _BLOCK.findall(asked.user)}
        if not {"first", "second"} <= blocks.keys() and "answer" not in blocks:
            return None
        case = self._case(blocks)
        ask = _Question(judges, self._declared, asked, case, self._draw)
        say: dict[str, Callable[[Mapping[str, Any]], Any]] = {
            "rubric": ask.verdict, "graded": ask.score, "relevance": ask.relevance, "grounded": ask.claims,
            "pair": ask.winner,
        }  # fmt: skip
        return Judged(json.dumps(say[kind](blocks), ensure_ascii=False), case is not None)

    def _case(self, blocks: Mapping[str, Any]) -> KnownCase | None:
        """The case that the judged answer is about."""
        quoted = [blocks.get(name) for name in ("context", "inputs")]
        given = {str(place): one for place, one in enumerate(quoted) if not isinstance(one, dict)}
        for one in quoted:
            given |= one if isinstance(one, dict) else {}
        found = self._cases.find("\n\n".join(KnownCase("", "", given).texts()))
        if found is not None:
            return found[0]
        return KnownCase("", "", given, blocks["expected"]) if blocks.get("expected") is not None else None


@dataclass(frozen=True, slots=True)
class _Question:
    """One question to a judge."""

    judges: Judges
    declared: Declared
    asked: Asked
    case: KnownCase | None
    draw: Draw

    def verdict(self, blocks: Mapping[str, Any]) -> dict[str, Any]:
        """Pass or fail."""
        good = self._says(self._is_right(blocks.get("answer")))
        return {"reason": self._reason(good), "verdict": "pass" if good else "fail"}

    def score(self, blocks: Mapping[str, Any]) -> dict[str, Any]:
        """The best or the next grade for what is called right, the worst or the next one for what is called wrong."""
        grades = (self.asked.schema or {})["properties"]["score"].get("enum") or [0, 1]
        good = self._says(self._is_right(blocks.get("answer")))
        step = int(len(grades) > 3 and self._noise("grade") > 0)
        return {"reason": self._reason(good), "score": grades[-1 - step] if good else grades[step]}

    def relevance(self, blocks: Mapping[str, Any]) -> dict[str, Any]:
        """High unless the answer evades: wrong answers are to the point too."""
        answer = str(blocks.get("answer"))
        evasive = [*self.declared.vague, self.declared.no_case, self.declared.no_expected]
        good = self._says(not any(text in answer for text in evasive if len(text) > 1) and bool(answer.strip(" ?.\n")))
        return {"reason": self._reason(good), "relevance": 4 if good else 0}

    def claims(self, blocks: Mapping[str, Any]) -> dict[str, Any]:
        """Each sentence is a claim. Of a wrong answer the last one is not supported: it is the one that answers."""
        answer = str(blocks.get("answer"))
        found = [part.strip() for part in _SENTENCE.split(answer) if part.strip(" ?.\n")][:MOST_CLAIMS]
        right = self._is_right(answer)
        claims = []
        for number, claim in enumerate(found):
            good = self._says(right or number < len(found) - 1, str(number))
            claims.append({"claim": claim, "reason": self._reason(good), "supported": good})
        return {"claims": claims}

    def winner(self, blocks: Mapping[str, Any]) -> dict[str, Any]:
        """Which of two answers is better: by what is right, by place and by length (Green & Swets 1966 for 2AFC)."""
        one, two = str(blocks.get("first")), str(blocks.get("second"))
        d_prime = sum(_NORMAL.inv_cdf(share) for share in self._skill())
        preference = self.judges.position + self.judges.length * ((len(one) > len(two)) - (len(one) < len(two)))
        preference += d_prime / sqrt(2) * (self._is_right(one) - self._is_right(two)) + self._noise("pair")
        if abs(preference) <= self.judges.tie:
            return {"reason": self.judges.reasons["even"], "winner": "tie"}
        return {"reason": self._reason(True), "winner": "first" if preference > 0 else "second"}

    def _says(self, truth: bool, purpose: str = "") -> bool:
        """What the judge makes of the truth."""
        right_about = self._skill()[0 if truth else 1]
        return truth == (self._noise("verdict", purpose) < _NORMAL.inv_cdf(right_about))

    def _skill(self) -> tuple[float, float]:
        return self.judges.skill[self.declared.tier(self.asked.provider, self.asked.model)]

    def _noise(self, *purpose: str) -> float:
        """A standard normal number, partly shared by the repeats of this question."""
        share = self.declared.shared_request
        shared, own = (self.draw("judge", self.asked.key, r, *purpose) for r in ("", str(self.asked.repeat)))
        return sqrt(share) * shared + sqrt(1 - share) * own

    def _is_right(self, answer: Any) -> bool:
        return self.case is not None and is_right(self.case.expected, str(answer))

    def _reason(self, good: bool) -> str:
        if self.case is None or self.case.expected is None:
            return self.declared.no_case if self.case is None else self.declared.no_expected
        return self.judges.reasons["good" if good else "bad"]


def is_right(expected: Any, answer: str) -> bool:
    """Whether an answer gives the expected value: an object as its last JSON object, a text on its last line."""
    if isinstance(expected, dict):
        return bool(_last_object(answer) == expected)
    lines = [line.strip() for line in answer.splitlines() if line.strip()]
    wanted = _bare(expected if isinstance(expected, str) else json.dumps(expected, ensure_ascii=False))
    return bool(lines) and _bare(lines[-1]) == wanted


def _bare(text: str) -> str:
    return " ".join(_PHRASING.sub("", text.strip()).removesuffix(".").split()).casefold()


def _last_object(text: str) -> Any:
    decoder, found, at = json.JSONDecoder(), None, text.find("{")
    for _ in range(MOST_BRACES):
        if at < 0:
            break
        try:
            found, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            end = at + 1
        at = text.find("{", end)
    return found


def _loaded(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
