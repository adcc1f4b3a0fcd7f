"""The words of simulated answers: the right one, and the finitely many wrong ones, for one case and one form."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workbench.sim.cases import KnownCase, KnownCases

NOT_STATED = "not stated"
A_FEW = 64
"""How many other answers of a dataset are looked through for one that is alike."""

YES_OR_NO = {"yes": "no", "no": "yes"}


@dataclass(frozen=True, slots=True)
class Form:
    """How the request wants its answer. `stated`: the format is given; `structured`: by a schema, so JSON only."""

    stated: bool
    reasoning: bool
    answer_line: bool
    structured: bool


@dataclass(frozen=True, slots=True)
class Phrasebook:
    """Declared sentences: reasoning before an answer, and vague prose instead of one."""

    reasoning: tuple[str, ...]
    vague: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answers:
    """Every text that can answer one case in one form."""

    case: KnownCase
    cases: KnownCases
    form: Form
    phrases: Phrasebook

    def right(self) -> str:
        """The right answer."""
        return self._say(self.case.expected)

    def wrong(self, kind: str) -> list[str]:
        """The wrong answers of one kind, each as likely as the others; never empty."""
        if self.form.structured and kind.startswith("prose"):
            kind = "near_miss"
        expected = self.case.expected
        if isinstance(expected, dict) and expected:
            return self._wrong_object(kind, expected)
        return [self._wrong_text(kind, _plain(expected))]

    def _wrong_object(self, kind: str, expected: Mapping[str, Any]) -> list[str]:
        if kind == "prose":
            seems = " and ".join(f"the {name} seems to be {_plain(value)}" for name, value in expected.items())
            return [f"From what I read, {seems}.".replace("{", "(").replace("}", ")")]
        if kind == "missing_field":
            return [self._say({name: v for name, v in expected.items() if name != lost}) for lost in expected]
        misses = [{**expected, name: self._other_value(name)} for name in expected]
        if kind == "prose_around":
            return [
                f"I would file it like this: {_json(miss)} Tell me if you see it in another way." for miss in misses
            ]
        return [self._say(miss) for miss in misses]

    def _wrong_text(self, kind: str, expected: str) -> str:
        if kind == "prose":
            return self._silent(self.phrases.vague)
        if kind == "missing_field" and not _overlap(NOT_STATED, expected):
            return self._say(NOT_STATED)
        other = self._other_text(expected)
        doubt = f"I think it is {other}, though the text can be read in other ways."
        if kind == "prose_around" and not _overlap(doubt, expected):
            return doubt
        return self._say(other)

    def _other_value(self, name: str) -> Any:
        """A wrong value for one field: one that occurs in the dataset, else a made-up one."""
        value = self.case.expected[name]
        made_up = value + 1 if isinstance(value, int | float) else f"other {_plain(value)}".strip()
        return next(self.cases.others(self.case, name, self._number(name)), made_up)

    def _other_text(self, expected: str) -> str:
        """A wrong answer that neither contains the right one nor is part of it, of its kind where there is one."""
        flipped = YES_OR_NO.get(expected.casefold())
        if flipped:
            return flipped
        nearby = islice(self.cases.others(self.case, None, self._number("")), A_FEW)
        made_up = ("something else", "37", "?")
        fitting = [text for text in (*map(_plain, nearby), *made_up) if text.strip() and not _overlap(text, expected)]
        alike = [text for text in fitting if text.split()[:1] == expected.split()[:1]]
        return (alike or fitting)[0]

    def _say(self, value: Any) -> str:
        """`value` in the form that the request wants."""
        lead = self._lead()
        if isinstance(value, dict):
            return f"{lead}\n{_json(value)}" if lead else _json(value)
        text = _plain(value)
        if self.form.answer_line:
            text = f"Answer: {text}"
        elif not self.form.stated:
            text = f"As I read it: {text}."
        return f"{lead}\n{text}" if lead else text

    def _lead(self) -> str:
        if not self.form.reasoning or self.form.structured:
            return ""
        return self._silent(self.phrases.reasoning)

    def _silent(self, sentences: tuple[str, ...]) -> str:
        """A sentence that does not give the right answer away by accident."""
        expected = self.case.expected
        values = expected.values() if isinstance(expected, dict) else [expected]
        plain = [text for text in map(_plain, values) if text]
        fitting = [words for words in sentences if not any(text.casefold() in words.casefold() for text in plain)]
        return fitting[self._number("words") % len(fitting)] if fitting else "..."

    def _number(self, purpose: str) -> int:
        """A large number that depends on the case and the purpose alone: all models confuse the same things."""
        text = f"{self.case.dataset}\x1f{self.case.id}\x1f{purpose}"
        return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8])


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _overlap(one: str, other: str) -> bool:
    one, other = one.casefold().strip(), other.casefold().strip()
    return bool(one and other) and (one in other or other in one)
