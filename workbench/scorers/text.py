"""Built-in scorers on the answer's text: exact, contains, regex, numeric, valid_json, json_fields."""

from __future__ import annotations

import json
import re
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from workbench.errors import ScorerError
from workbench.records import Score
from workbench.scorers.base import Scorer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workbench.records import Case, Reply

VERSION = 1
"""Part of every built-in scorer's identity: raised when a change here may change a score."""

_NUMBER = re.compile(r"[-−]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?(?<=\d)(?:[eE][-+−]?\d+)?")
_MAGNITUDE = 400
"""Powers of ten within which a number is read: sums of larger ones overflow."""
_BRACE = re.compile(r"\{(?=\s*[\"}])")
"""A brace that may open a JSON object; the many of LaTeX and of code may not."""
_EFFORT = 20_000_000
"""Characters read over and over in one answer, about: hostile text must not cost minutes."""


def exact() -> Scorer:
    """True when the whole answer is the expected text, white space and letter case aside."""

    def compare(case: Case, reply: Reply) -> bool:
        return _plain(reply.text) == _plain(_expected(case))

    return _binary("exact", compare)


def contains(after: str = "") -> Scorer:
    """True when the expected text occurs in the answer as whole words, letter case aside.

    With `after`, only what follows its last occurrence counts: `contains(after="Answer:")`.
    """

    def compare(case: Case, reply: Reply) -> bool:
        answer = reply.text.rpartition(after)[2] if after else reply.text
        wanted = _plain(_expected(case))
        if not wanted:
            raise ValueError("the case expects an empty text, which every answer contains")
        return re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", _plain(answer)) is not None

    return _binary("contains", compare, after)


def regex(pattern: str = "") -> Scorer:
    """True when `pattern` is found in the answer; without one the expected value is the pattern.

    Raises ScorerError for a pattern that does not compile.
    """
    try:
        compiled = re.compile(pattern) if pattern else None
    except re.error as error:
        raise ScorerError(f"regex {pattern!r}: {error}") from None

    def compare(case: Case, reply: Reply) -> bool:
        return bool((compiled or re.compile(_expected(case))).search(reply.text))

    return _binary("regex", compare, pattern)


def numeric(tolerance: str | float = 0.0) -> Scorer:
    """True when the last number of the answer equals the expected number, within an absolute `tolerance`.

    Thousands separators, currency signs and a closing point are read over; an answer without a number is wrong.
    """
    allowed = _number(str(tolerance))
    if allowed is None or allowed < 0:
        raise ScorerError(f"numeric: tolerance {tolerance!r} must be a number, zero or more")

    def compare(case: Case, reply: Reply) -> Score:
        wanted = _number(str(_expected(case)))
        if wanted is None:
            return Score(None, f"expected {case.expected!r} is no number")
        found = _last_number(reply.text)
        if found is None:
            return Score(False, "no number in the answer")
        return Score(abs(found - wanted) <= allowed, _cut(f"read {found}"))

    return _binary("numeric", compare, str(tolerance))


def valid_json() -> Scorer:
    """True when the whole answer, or the one fenced block that it consists of, is JSON."""

    def compare(case: Case, reply: Reply) -> bool:
        try:
            # integers are not converted: Python refuses those of more than 4,300 digits, JSON does not
            json.loads(_unfenced(reply.text), parse_int=str, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            return False
        return True

    return _binary("valid_json", compare)


def json_fields(*fields: str) -> Scorer:
    """Share of the fields that are right in the last JSON object of the answer, and each field by its own name.

    Texts are compared without letter case and outer white space, numbers by value. Without names: every field of the
    expected object counts, and only the share is reported. An answer without a JSON object is wrong in every field.
    """

    def compare(case: Case, reply: Reply) -> dict[str, Any]:
        if not isinstance(case.expected, dict):
            raise TypeError(f"json_fields needs an expected object, not {type(case.expected).__name__}")
        wanted = fields or tuple(case.expected)
        if not wanted:
            raise ValueError("the case expects an object without fields")
        if absent := [name for name in wanted if name not in case.expected]:
            raise KeyError(f"the case expects no field {absent[0]!r}")
        found = last_json_object(reply.text)
        right = {name: found is not None and _same(found.get(name), case.expected[name]) for name in wanted}
        share = sum(right.values()) / len(right)
        return {"json_fields": Score(share, _reason(found, case.expected, right))} | (right if fields else {})

    return Scorer("json_fields", compare, ("json_fields", *fields), (0.0, 1.0), True, _identity("json_fields", *fields))


BUILT_IN: Mapping[str, Callable[..., Scorer]] = {
    function.__name__: function for function in (exact, contains, regex, numeric, valid_json, json_fields)
}


_DECODER = json.JSONDecoder()


def last_json_object(text: str) -> dict[str, Any] | None:
    """The last complete JSON object in a text, prose and code fences around it allowed; None if there is none."""
    found = None
    effort = end = 0
    while effort < _EFFORT and (brace := _BRACE.search(text, end)):
        at = brace.start()
        try:
            found, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            reached = error.pos if isinstance(error, json.JSONDecodeError) and "string" not in error.msg else len(text)
            # the error itself counts the lines before it, fast; 200 characters stand for its making
            effort += max(reached - at, 0) + len(text) // 32 + 200
            end = at + 1
    return found


def _unfenced(text: str) -> str:
    """The text, or what the one fenced block that it consists of holds."""
    head, newline, rest = text.strip().partition("\n")
    if newline and head.rstrip() in ("```", "```json") and rest.endswith("```"):
        return rest.removesuffix("```")
    return text


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _binary(name: str, compare: Callable[[Case, Reply], Any], *arguments: str) -> Scorer:
    return Scorer(name, compare, (name,), (0.0, 1.0), True, _identity(name, *arguments))


def _identity(name: str, *arguments: str) -> str:
    return json.dumps([name, VERSION, *arguments])


def _expected(case: Case) -> str:
    if case.expected is None:
        raise ValueError("the case has no expected value")
    return case.expected if isinstance(case.expected, str) else json.dumps(case.expected, ensure_ascii=False)


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def _same(found: Any, wanted: Any) -> bool:
    if isinstance(found, bool) or isinstance(wanted, bool):
        return found is wanted
    if isinstance(found, str) and found == wanted:
        return True  # the usual case, and a tenth of the work below
    a, b = _number(found), _number(wanted)
    if a is not None and b is not None:
        return a == b
    if isinstance(found, str) and isinstance(wanted, str):
        return _plain(found) == _plain(wanted)
    return bool(found == wanted)


def _reason(found: dict[str, Any] | None, expected: Mapping[str, Any], right: Mapping[str, bool]) -> str:
    if found is None:
        return "no JSON object in the answer"
    return "; ".join(f"{name}: {_shown(found.get(name))} instead of {_shown(expected[name])}"
                     for name, ok in right.items() if not ok)  # fmt: skip


def _shown(value: Any) -> str:
    try:
        return _cut(json.dumps(value, ensure_ascii=False))
    except RecursionError:
        return "deeply nested data"


def _cut(text: str) -> str:
    """A reason stays readable, whatever the answer holds."""
    return text if len(text) <= 200 else text[:200] + "…"


def _number(value: Any) -> Decimal | None:
    """A number, or a text that is nothing but one."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    text = str(value).strip().replace(",", "").replace("−", "-").strip("$€£% ")
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number.adjusted()) <= _MAGNITUDE else None


def _last_number(text: str) -> Decimal | None:
    matches = [match for match in _NUMBER.finditer(text) if match.group()]
    return _number(matches[-1].group()) if matches else None
