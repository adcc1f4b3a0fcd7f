"""Laws of the scorers: what each built-in one says, what becomes of failures, and that hostile answers gain nothing."""

from __future__ import annotations

import asyncio
import json
import math
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench import scorers
from workbench.errors import ScorerError
from workbench.records import WORST_STOPS, Case, Reply, Score
from workbench.scorers import Scorer, as_scorers, scorer
from workbench.scorers.owner import owner
from workbench.scorers.text import last_json_object

DATA = Path(__file__).parents[2] / "shared" / "data"
CASE = Case("c", {"q": "x"}, "18")


def scores(one: Scorer, text: str = "", expected: Any = None, stop: str = "end") -> dict[str, Score]:
    return asyncio.run(scorers.score(one, replace(CASE, expected=expected), Reply(text, stop_reason=stop)))


def value(one: Scorer, text: str, expected: Any = None) -> float | bool | None:
    return scores(one, text, expected)[one.name].value


# The built-in scorers

TABLES: dict[str, tuple[Scorer, list[tuple[str, Any, bool | None]]]] = {
    "exact": (scorers.exact(), [
        ("Billing", "billing", True), ("  billing\n", "billing", True), ("a  b", "a b", True),
        ("STRASSE", "straße", True),
        ("billing.", "billing", False), ("", "billing", False), ("", "", True), ("18", 18, True), ("true", True, True),
        ("x", None, None),
    ]),
    "contains": (scorers.contains(), [
        ("It is Paris.", "paris", True), ("Parisian", "Paris", False), ("café", "caf", False), ("a (b) c", "(b)", True),
        ("new\n york", "New York", True), ("18", 8, False), ("", "x", False), ("anything", "", None), ("x", None, None),
    ]),
    "contains after": (scorers.contains(after="Answer:"), [
        ("Not Rome. Answer: Paris", "Paris", True), ("Paris? Answer: Rome", "Paris", False),
        ("Answer: Paris, no, Answer: Rome", "Rome", True), ("Answer: Paris. Answer:", "Paris", False),
    ]),
    "regex": (scorers.regex(r"\b\d{4}-\d{2}\b"), [("in 2024-05", None, True), ("in 24-5", None, False)]),
    "regex expected": (scorers.regex(), [("abc", "^a.c$", True), ("abc", "^b", False), ("x", "(", None),
    ("x", None, None)]),
    "numeric": (scorers.numeric(), [
        ("18", "18", True), ("A: 18", 18, True), ("5 + 13 = 18", "18.0", True), ("$18.00.", "18", True),
        ("1,234,567", "1234567", True), ("-3", "-3", True), ("−3", "-3", True), ("3", "-3", False), (".5", "0.5", True),
        ("50%", "50", True), ("18 or 19", "18", False), ("eighteen", "18", False), ("", "18", False),
        ("7", "1,007", False),
        ("1e3", "1000", True), ("1.5E-2 m", "0.015", True), ("1e-05", 0.00001, True), ("2e", "2", True),
        ("€ 1,007", "1,007", True),
        ("18", "about 18", None), ("18", None, None), ("18", True, None), ("1" * 5000, "18", False),
        ("9e999999999", "18", False),
        ("0.1", "0.1", True), ("100000000000000000001", "100000000000000000000", False),
    ]),
    "numeric within": (scorers.numeric("0.5"), [("18.5", "18", True), ("17.5", "18", True), ("18.51", "18", False)]),
    "valid_json": (scorers.valid_json(), [
        ('{"a": 1}', None, True), (" [] \n", None, True), ("3", None, True), ("```json\n{}\n```", None, True),
        ("```\n{}\n```", None, True), ("1" * 5000, None, True), ("{'a': 1}", None, False), ("NaN", None, False),
        ('{"a": Infinity}', None, False), ("", None, False), ('Here: {"a": 1}', None, False),
        ("```json\n{}", None, False),
        ("```json\n{}\n```\nDone.", None, False), ("```python\n{}\n```", None, False), ("[" * 100_000, None, False),
    ]),
}  # fmt: skip


@pytest.mark.parametrize(
    ("one", "text", "expected", "right"),
    [(one, *line) for one, lines in TABLES.values() for line in lines],
    ids=[
        f"{name}: {text[:20]!r} for {expected!r}" for name, (_, lines) in TABLES.items() for text, expected, _ in lines
    ],
)
def test_built_in(one: Scorer, text: str, expected: Any, right: bool | None) -> None:
    """Each built-in scorer says right, wrong or (where the case itself is at fault) unscored, as the table has it."""
    found = scores(one, text, expected)
    assert {name: score.value for name, score in found.items()} == {one.name: right}
    assert type(found[one.name].value) is type(right)
    assert right is not None or found[one.name].reason


WANTED = {"category": "billing", "priority": 2, "paid": True, "note": None}
FIELDS = [
    ('{"category": "Billing ", "priority": 2.0, "paid": true, "note": null}', (True, True, True, True)),
    ('Sure:\n```json\n{"category": "billing", "priority": "2", "paid": 1}\n```', (True, True, False, True)),
    ('{"category": "sales"} no: {"category": "billing"} so', (True, False, False, True)),
    ('{"category": "billing", "priority": {"category": "sales"}}', (True, False, False, True)),
    ('{"category": ["billing"], "priority": true, "paid": "true", "note": ""}', (False, False, False, False)),
    ('\\frac{1}{2} {x} {"category": "billing", "note": 0}', (True, False, False, False)),
    ("no JSON here {", (False, False, False, False)),
    ('["billing"]', (False, False, False, False)),
    ('{"category": "billing", "priority": 2', (False, False, False, False)),
]


@pytest.mark.parametrize(("text", "right"), FIELDS, ids=[text[:30] for text, _ in FIELDS])
def test_json_fields(text: str, right: tuple[bool, ...]) -> None:
    """`json_fields` scores each field of the last JSON object by its name, and their share first."""
    found = scores(scorers.json_fields(*WANTED), text, WANTED)
    assert list(found) == ["json_fields", *WANTED]
    assert tuple(found[name].value for name in WANTED) == right
    assert found["json_fields"].value == pytest.approx(sum(right) / 4)
    assert {name: one.value for name, one in scores(scorers.json_fields(), text, WANTED).items()} == {
        "json_fields": pytest.approx(sum(right) / 4)
    }


def test_json_fields_says_what_is_wrong() -> None:
    """The reason names each wrong field with what was found and what was expected, and stays short."""
    found = scores(scorers.json_fields("a", "b"), json.dumps({"a": "x" * 10_000, "b": 2}), {"a": "y", "b": 2})
    assert found["json_fields"].reason.startswith('a: "xxx')
    assert found["json_fields"].reason.endswith('… instead of "y"')
    assert len(found["json_fields"].reason) < 300


@pytest.mark.parametrize(
    ("expected", "fault"), [("text", "expected object"), ({"b": 1}, "no field 'a'"), (None, "expected object")]
)
def test_json_fields_of_a_case_without_them(expected: Any, fault: str) -> None:
    """A case that expects no such fields is unscored in all of them; the reason says why, the same of every case."""
    found = scores(scorers.json_fields("a"), "{}", expected)
    assert set(found) == {"json_fields", "a"}
    assert all(one.value is None and fault in one.reason and "case c" not in one.reason for one in found.values())
    assert "without fields" in scores(scorers.json_fields(), "{}", {})["json_fields"].reason


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.text().filter(lambda text: "{" not in text), st.dictionaries(st.text(), plain), st.booleans(),
       st.text().filter(lambda text: "{" not in text))  # fmt: skip
def test_last_object_is_found_in_prose(before: str, found: dict[str, Any], fenced: bool, after: str) -> None:
    """The last JSON object is found whatever prose stands around it, and read as it was written."""
    text = json.dumps(found)
    text = f"```json\n{text}\n```" if fenced else text
    assert last_json_object(f'{before}{{"first": 1}}{before}{text}{after}') == found


HOSTILE = [
    "{" * 300_000,
    '{"' * 200_000,
    '{"a":' * 100_000,
    "[{" * 150_000,
    ("{" + '"a":[' + "0," * 500) * 900,
    '{"a":"' * 100_000,
    '{"x" ' * 100_000,
    "\n" * 50_000 + '{"a":\n' * 50_000,
    "```" + "\n" * 300_000,
    "```json\n" * 50_000,
    "-" * 500_000,
    "1," * 250_000,
    "1.1" * 200_000,
    "9" * 500_000 + "x",
    "e" + "1e" * 200_000,
    " " * 500_000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=[repr(text[:12]) for text in HOSTILE])
def test_hostile_answers_are_just_wrong(text: str) -> None:
    """An answer made to be expensive, or to break the scorer, is wrong like any other: never unscored, never long work.
    (Quadratic work on these would take minutes.)"""
    given_scorers = [
        scorers.json_fields("a"),
        scorers.valid_json(),
        scorers.numeric(),
        scorers.contains(),
        scorers.exact(),
    ]
    for one in given_scorers:
        found = scores(one, text, {"a": "x"} if one.name == "json_fields" else "77")
        assert all(score.value in (False, 0.0) and score.value is not None for score in found.values()), one.name
        assert all(len(score.reason) < 500 for score in found.values())


@pytest.mark.parametrize("depth", [*range(900, 1000, 7), 5000])
def test_deeply_nested_answers_are_just_wrong(depth: int) -> None:
    """An answer nested near the interpreter's limit is wrong, not an error that would leave it unscored."""
    nested = "[" * depth + "]" * depth
    assert value(scorers.json_fields("a"), f'{{"a": {nested}}}', {"a": "x"}) == 0.0


@pytest.mark.skipif(not DATA.exists(), reason="the recorded gsm8k answers are not here")
def test_numeric_agrees_with_published_results() -> None:
    """On what four real models answered, `numeric` agrees with the published judgement row by row."""
    expected = {case["id"]: case["expected"] for case in _lines("gsm8k-test.jsonl")}
    numeric, right = scorers.numeric(), Counter[str]()
    differing = []
    for row in _lines("gsm8k-recorded.jsonl"):
        found = numeric.function(Case(row["id"], {"q": row["input"]}, expected[row["id"]]), Reply(row["output"]))
        right[row["model"]] += found.value is True
        if found.value is not row["published_correct"]:
            differing.append((row["id"], row["model"], found))
    assert differing == []
    assert right == {"6b_finetuning": 286, "6b_verification": 515, "175b_finetuning": 458, "175b_verification": 742}


def _lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / name).read_text("utf-8").splitlines()]


# Answers that are failures

GRADED = scorer(bounds=(1, 5), name="graded")(lambda case, reply: 4)
WORSE_UP = scorer(bounds=(0, 10), higher_is_better=False, name="errors")(lambda case, reply: 2)


@pytest.mark.parametrize("stop", sorted(WORST_STOPS))
@pytest.mark.parametrize(
    ("one", "worst"),
    [
        (scorers.exact(), False),
        (GRADED, 1.0),
        (WORSE_UP, 10.0),
        (replace(GRADED, function=lambda case, reply: True), False),
        (replace(WORSE_UP, function=lambda case, reply: False), True),
        (replace(GRADED, function=lambda case, reply: None), 1.0),
        (replace(GRADED, function=lambda case, reply: 1 / 0), 1.0),
        (scorer(name="free")(lambda case, reply: 0.7), 0.0),
        (scorer(name="likelihood")(lambda case, reply: -35.5), -35.5),
        (scorer(name="words", higher_is_better=False)(lambda case, reply: 250), 250),
    ],
    ids=["binary", "graded", "lower is better", "bool", "bool, lower is better", "unscored", "raises", "no bounds",
         "below 0", "above 1, lower is better"],
)  # fmt: skip
def test_refusals_and_truncations_get_the_worst(stop: str, one: Scorer, worst: float | bool) -> None:
    """A refusal, a filtered and a cut-off answer get the worst value of the scale, whichever end that is, and say why,
    even where the scorer finds them right or fails on them."""
    found = scores(one, "18", "18", stop)[one.name]
    assert (found.value, isinstance(found.value, bool)) == (worst, isinstance(worst, bool))
    assert stop in found.reason


def test_truncated_json_is_wrong_in_every_field() -> None:
    """Every metric of an answer that was cut off gets the worst value, even if the part before is right."""
    found = scores(scorers.json_fields("a"), '{"a": 1}', {"a": 1}, "max_tokens")
    assert {name: one.value for name, one in found.items()} == {"json_fields": 0.0, "a": False}


# What functions return

RETURNED: list[tuple[Any, Any]] = [
    (True, True), (False, False), (1, 1), (0.5, 0.5), (None, None), (Score(0.25, "why"), 0.25),
    (Score(None, "who knows"), None),
    (np.float64(0.5), 0.5), (np.float32(0.5), 0.5), (np.int64(1), 1), (np.bool_(True), True), (np.array(0.5), 0.5),
    (Score(np.float64(0.5)), 0.5), (math.nan, None), (math.inf, None), (np.nan, None), (1.5, None),
    (-0.1, None), ("0.5", None),
    (Decimal("0.5"), None), ([0.5], None), (np.array([0.5, 0.6]), None), (10**400, None), (object(), None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("returned", "found"), RETURNED, ids=[repr(one).partition(" at ")[0][:30] for one, _ in RETURNED]
)
@pytest.mark.parametrize("how", ["sync", "async", "dict", "mapping"])
def test_what_a_function_returns(how: str, returned: Any, found: Any) -> None:
    """A bool, a finite number within the bounds and a Score are taken as plain values, sync, async or under a name;
    anything else is unscored with the reason."""

    async def later(case: Case, reply: Reply) -> Any:
        await asyncio.sleep(0)
        return returned

    forms: dict[str, Any] = {
        "sync": lambda case, reply: returned, "async": later, "dict": lambda case, reply: {"mine": returned},
        "mapping": lambda case, reply: MappingProxyType({"mine": returned}),
    }  # fmt: skip
    score = scores(scorer(bounds=(0, 1), name="mine")(forms[how]), "x")["mine"]
    assert score.value == found
    assert type(score.value) is type(found)
    assert score.reason or found is not None or returned is None


def test_one_bad_metric_leaves_the_others() -> None:
    """A metric that is no number, not finite or out of bounds is unscored alone; its neighbours keep their values."""
    one = scorer(bounds=(0, 1))(partial(_four))
    found = scores(replace(one, name="four"), "x")
    assert {name: score.value for name, score in found.items()} == {"good": 1, "text": None, "nan": None, "far": None}
    assert "str" in found["text"].reason
    assert "bounds" in found["far"].reason


def _four(case: Case, reply: Reply) -> dict[str, Any]:
    return {"good": 1, "text": "x", "nan": math.nan, "far": 7}


@pytest.mark.parametrize("returned", [{}, {5: 1}, {"": 1}, {None: 1}])
def test_metrics_need_names(returned: Any) -> None:
    """A mapping without metrics, or with names that are no text, is unscored under the scorer's own name."""
    found = scores(scorer(name="mine")(lambda case, reply: returned), "x")
    assert list(found) == ["mine"]
    assert found["mine"].value is None
    assert "metric" in found["mine"].reason


@pytest.mark.parametrize("is_async", [False, True])
def test_a_scorer_that_raises(is_async: bool) -> None:
    """A scorer that raises leaves its metrics unscored, with the error as the reason, and the run goes on."""

    def broken(case: Case, reply: Reply) -> float:
        raise LookupError("no such label")

    async def broken_later(case: Case, reply: Reply) -> float:
        await asyncio.sleep(0)
        raise LookupError("no such label")

    found = scores(replace(scorer(broken_later if is_async else broken), metrics=("a", "b")), "x")
    assert list(found) == ["a", "b"]
    assert all(one.value is None and "LookupError: no such label" in one.reason for one in found.values())


def test_interrupts_are_not_caught() -> None:
    """An interrupted scorer is not unscored: the interrupt goes through."""

    async def stopped(case: Case, reply: Reply) -> float:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        scores(scorer(stopped), "x")


# Declaring and naming


def test_scorers_by_text() -> None:
    """A text names a built-in scorer and its arguments; a pattern may hold commas and colons."""
    assert [one.name for one in as_scorers(["exact", scorers.valid_json()])] == ["exact", "valid_json"]
    assert as_scorers("json_fields: category, priority")[0].metrics == ("json_fields", "category", "priority")
    assert as_scorers("numeric:0.5")[0].identity == scorers.numeric(0.5).identity
    pattern = as_scorers(r"regex:^\d{1,2}:\d+$")[0]
    assert (value(pattern, "12:5"), value(pattern, "123:5")) == (True, False)
    assert value(as_scorers("contains:So, the answer:")[0], "x So, the answer: y", "x") is False


@pytest.mark.parametrize(
    ("given_", "fault"),
    [
        ("exactly", "did you mean 'exact'.*a function"),
        ("exact:loosely", "wrong number of arguments"),
        ("regex:(", "regex"),
        ("numeric:much", "tolerance"),
        ("numeric:-1", "zero or more"),
        ([], "no scorers given"),
        (["exact", "exact"], "two scorers are named 'exact'"),
        (lambda case, reply: 1, "needs a name"),
    ],
)
def test_wrong_scorers(given_: Any, fault: str) -> None:
    """An unknown, doubled, nameless or wrongly called scorer is refused with the choices or the cure."""
    with pytest.raises(ScorerError, match=fault):
        as_scorers(given_)


@pytest.mark.parametrize("bounds", [(1, 0), (0, 0), (0, math.inf), (math.nan, 1)])
def test_wrong_bounds(bounds: tuple[float, float]) -> None:
    """Bounds are finite, and the lower one is below the upper one."""
    with pytest.raises(ScorerError, match="bounds"):
        scorer(bounds=bounds)


# Identity: whether a stored run may be resumed


def make(limit: int) -> Scorer:
    def short(case: Case, reply: Reply) -> bool:
        return len(reply.text) < limit

    return scorer(short)


class Within:
    """A scorer as an object."""

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def __call__(self, case: Case, reply: Reply) -> bool:
        return len(reply.text) < self.limit


def _longer(case: Case, reply: Reply, limit: int = 0) -> bool:
    return len(reply.text) > limit


def test_identity_changes_with_what_decides() -> None:
    """The identity changes with the values a scorer closes over, holds or is applied to, with bounds and direction."""
    for a, b in [
        (make(3), make(4)), (scorer(Within(3)), scorer(Within(4))),
        (scorer(partial(_longer, limit=3)), scorer(partial(_longer, limit=4))), (scorer(_longer), scorer(_four)),
        (scorer(bounds=(0, 1))(_longer), scorer(bounds=(0, 2))(_longer)),
        (scorer(_longer), scorer(higher_is_better=False)(_longer)),
        (scorers.numeric(0), scorers.numeric(1)), (scorers.json_fields("a"), scorers.json_fields("b")),
        (scorers.exact(), scorers.contains()), (scorer(len), scorer(sum)),
    ]:  # fmt: skip
        assert a.identity
        assert a.identity != b.identity
    assert make(3).identity == make(3).identity
    assert scorer(Within(3)).identity == scorer(Within(3)).identity


SOURCELESS = """
from workbench.scorers import scorer
exec('''
def labelled(case, reply):
    return any(word in {"alpha", "beta", "gamma", "delta", "epsilon"} for word in (lambda t: t.split())(reply.text))
''')
print(scorer(labelled).identity)
"""


def test_identity_is_the_same_in_every_process() -> None:
    """A scorer without source text, as in a REPL, has the same identity in every process: its runs can be resumed."""
    found = {
        subprocess.run([sys.executable, "-c", SOURCELESS], capture_output=True, text=True, check=True,
                       env={"PYTHONHASHSEED": seed, "PATH": ""}).stdout
        for seed in ("1", "2", "3")
    }  # fmt: skip
    assert len(found) == 1


# Whose a metric is


def declared_as(name: str, *metrics: str, **more: Any) -> Scorer:
    return scorer(name=name, metrics=metrics, **more)(lambda case, reply: None)


NAMED, OTHER = declared_as("named", "a", "b"), declared_as("other", "a")
SILENT, TURNED = declared_as("silent"), declared_as("turned", higher_is_better=False)
ALIKE = declared_as("alike")


@pytest.mark.parametrize(
    ("given", "seen", "owners"),
    [
        ((NAMED,), ("a", "b"), {"a": NAMED, "b": NAMED, "x": None, "named": None}),
        ((NAMED, OTHER), ("a", "b", "other.a"), {"a": NAMED, "other.a": OTHER, "other.b": None}),
        ((NAMED, SILENT), ("a", "x"), {"a": NAMED, "x": SILENT, "silent": SILENT}),
        ((SILENT, NAMED), ("a", "named.a"), {"a": None, "named.a": NAMED}),
        ((NAMED, SILENT), ("a", "silent.a"), {"a": NAMED, "silent.a": SILENT}),
        ((SILENT, TURNED), ("silent", "x"), {"silent": SILENT, "turned": TURNED, "x": None}),
        ((SILENT, ALIKE), ("x",), {"x": SILENT}),
        ((SILENT, replace(ALIKE, asks_models=True)), ("x",), {"x": None}),
    ],
)
def test_a_metric_belongs_to_one_scorer_or_to_none(given: tuple[Scorer, ...], seen: Any, owners: Any) -> None:
    """A scorer that names its metrics owns exactly those, one that does not owns what only it can have given, or what
    all that can have given it were declared alike for; the rest has no owner."""
    assert {metric: owner(metric, given, seen) for metric in owners} == owners


def test_declared_metrics_are_all_that_a_scorer_gives() -> None:
    """A scorer that names its metrics gives those and no others: another name, or one value for several, is a fault of
    the scorer and leaves all of them unscored with the reason."""
    two = scorer(name="s", metrics=["a", "b"])
    good = two(lambda case, reply: {"a": 1.0, "b": Score(True, "why")})
    assert scores(good) == {"a": Score(1.0), "b": Score(True, "why")}
    assert scores(two(lambda case, reply: None)) == {"a": Score(None), "b": Score(None)}
    for bad, reason in (({"a": 1.0, "c": 0.0}, "'c'"), (True, "one value"), ({}, "no metric")):
        found = scores(two(lambda case, reply, bad=bad: bad))
        assert {name: one.value for name, one in found.items()} == {"a": None, "b": None}
        assert all(reason in one.reason for one in found.values())
    assert scores(scorer(name="s", metrics=["a"])(lambda case, reply: True)) == {"a": Score(True)}
    for wrong in (["a", "a"], [""], [1]):
        with pytest.raises(ScorerError, match="each name once"):
            scorer(metrics=wrong)(lambda case, reply: None)
    assert good.identity != scorer(name="s", metrics=["b", "a"])(good.function).identity
