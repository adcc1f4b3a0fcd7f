"""What the compare view shows: which cases, in which order, and where their rows lie. No widget, and no row kept.

A run of 20,000 rows is indexed by where each row begins and how it was scored; a row is read when somebody looks at it.
"""

from __future__ import annotations

import json
import re
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.errors import ReportError, UsageError, VerdictError, choices
from workbench.records import arm_key, arm_ref, sha256
from workbench.report.rows import placed_rows
from workbench.verdict.arms import arm_name, pair_arms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from workbench.report import Report

KINDS = ("all", "better", "worse", "wrong", "errors", "queue", "voted")
"""Kinds of cases: the first arm scored better or worse than the second, no arm was right, an arm failed, drawn for
labelling, voted on."""
SORTS = ("change", "order")
"""By size of the change, or as the cases went out."""
NAN = float("nan")
MOST = 4
"""Arms that are shown side by side at most."""

_FILTER = re.compile(
    r"(?P<kind>\w+)?\s*(?:(?:^|(?<=\s))tag:(?P<tag>.*?))?\s*(?:(?:^|(?<=\s))text:(?P<text>.*))?", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which cases are listed; written `worse tag:billing text:no refund`, each part optional, in this order."""

    kind: str = "all"
    tag: str = ""
    text: str = ""

    @classmethod
    def parse(cls, written: str) -> Filter:
        """Raises UsageError for a kind that does not exist."""
        found = _FILTER.fullmatch(written.strip())
        kind = (found["kind"] if found else written.split()[0]) or "all"
        if found is None or kind not in KINDS:
            raise UsageError(
                f"filter {written!r}: {choices(kind, KINDS)}; behind it tag:NAME and text:WORDS may follow"
            )
        return cls(kind, (found["tag"] or "").strip(), (found["text"] or "").strip())

    def __str__(self) -> str:
        parts = [self.kind if self.kind != "all" or not (self.tag or self.text) else "",
                 self.tag and f"tag:{self.tag}", self.text and f"text:{self.text}"]  # fmt: skip
        return " ".join(filter(None, parts))


@dataclass(frozen=True, slots=True)
class Side:
    """One of the arms that are compared: its short name, its whole name, and the key of its rows."""

    name: str
    arm: str
    key: tuple[str, ...]


def find_sides(report: Report, names: Sequence[str]) -> dict[str, list[Side]]:
    """For each value of the other axis that all have: the arms named, in this order.

    Raises UsageError for fewer than two or more than four, VerdictError as `report.compare` does.
    """
    if not 2 <= len(names) <= MOST:
        raise UsageError(f"{len(names)} to compare: name two to four prompts, models, tiers or arms")
    first, arms = names[0], report.plan["arms"]
    pairs = [{held: (one, two) for held, one, two in pair_arms(arms, first, other)} for other in names[1:]]
    shared = [held for held in pairs[0] if all(held in pair for pair in pairs)]
    if not shared:
        raise VerdictError(f"{', '.join(map(repr, names))} never ran all on the same other side")
    found = {held: [pairs[0][held][0], *(pair[held][1] for pair in pairs)] for held in shared}
    sides = {held: [_side(arm, held) for arm in arms] for held, arms in found.items()}
    if any(len({side.key for side in group}) < len(group) for group in sides.values()):
        raise VerdictError(f"{', '.join(map(repr, names))}: one of them is named twice")
    return sides


def _side(arm: dict[str, Any], held: str) -> Side:
    return Side(arm_name(arm, held), arm_ref(arm), arm_key(arm))


class Answers:
    """Where the rows of one arm begin in `rows.jsonl`, with their scores; some 200 bytes a row."""

    def __init__(self) -> None:
        self.slots: dict[str, dict[int, int]] = {}
        self.at = array("q")
        self.score = array("d")
        self.failed = bytearray()

    def add(self, row: Mapping[str, Any], at: int, metric: str) -> None:
        """Take in a row; a later one of the same trial replaces the earlier."""
        value = row["scores"].get(metric)
        score = NAN if value is None else float(value)
        slot = self.slots.setdefault(row["case_id"], {}).setdefault(row["repeat"], len(self.at))
        if slot == len(self.at):
            self.at.append(at)
            self.score.append(score)
            self.failed.append(row["error"] is not None)
        else:
            self.at[slot], self.score[slot], self.failed[slot] = at, score, row["error"] is not None

    def of(self, case_id: str) -> list[int]:
        """Slots of a case, a repeat each."""
        return list(self.slots.get(case_id, {}).values())


def index_rows(path: Path, keys: Iterable[tuple[str, ...]], metric: str) -> dict[tuple[str, ...], Answers]:
    """The rows of these arms, in one pass over the file. Raises ReportError for a line that is no row."""
    found = {key: Answers() for key in keys}
    for at, row in placed_rows(path):
        if (answers := found.get(arm_key(row))) is not None:
            answers.add(row, at, metric)
    return found


class RowFile:
    """The rows of a run, read one at a time from where the index says they begin."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, places: Iterable[int]) -> list[dict[str, Any]]:
        """The rows that begin at these bytes. Raises ReportError when the file is gone or has changed."""
        try:
            with self._path.open("rb") as file:
                return [self._row(file, at) for at in places]
        except (OSError, ValueError, KeyError, TypeError) as error:
            why = error.strerror if isinstance(error, OSError) else "there is no row where one was"
            raise ReportError(
                f"{self._path} was moved or changed since this view was opened ({why}): put it back, or load the "
                "report from where it is now"
            ) from None

    @staticmethod
    def _row(file: Any, at: int) -> dict[str, Any]:
        file.seek(at)
        row = json.loads(file.readline())
        arm_key(row)
        return dict(row)


@dataclass(frozen=True, slots=True)
class Line:
    """A case as the list shows it. `scores`: each arm's mean over the repeats, None unless all are scored; `change`:
    the first arm's less the second's, turned so that more is better."""

    case_id: str
    scores: tuple[float | None, ...]
    change: float | None
    wrong: bool
    failed: int
    repeats: tuple[int, ...]


class Lines:
    """The cases of one comparison, in the order in which they went out."""

    def __init__(self, report: Report, metric: str, answers: Sequence[Answers]) -> None:
        question = report.question(metric, 0.0)
        self._answers = answers
        self._sign = question.sign
        self._repeats = question.repeats
        self._best = _best(answers, question.sign, question.bounds)
        seen = {case_id for one in answers for case_id in one.slots}
        self.all = [self._line(case_id) for case_id in report.cases if case_id in seen]
        self._kinds: dict[str, list[Line]] = {}

    def of_kind(self, kind: str) -> list[Line]:
        """The cases of a kind that their scores decide."""
        tests: dict[str, Callable[[Line], bool]] = {
            "all": lambda _: True,
            "better": lambda line: line.change is not None and line.change > 0,
            "worse": lambda line: line.change is not None and line.change < 0,
            "wrong": lambda line: line.wrong,
            "errors": lambda line: line.failed > 0,
        }
        if kind not in self._kinds:
            self._kinds[kind] = list(filter(tests[kind], self.all))
        return self._kinds[kind]

    def _line(self, case_id: str) -> Line:
        slots = [one.of(case_id) for one in self._answers]
        scores = [[one.score[slot] for slot in mine] for one, mine in zip(self._answers, slots, strict=True)]
        means = tuple(self._mean(mine) for mine in scores)
        a, b = means[:2]
        known = [[self._sign * x for x in mine if x == x] for mine in scores]
        return Line(
            case_id,
            means,
            None if a is None or b is None else self._sign * (a - b),
            all(mine and max(mine) < self._best for mine in known),
            sum(one.failed[slot] for one, mine in zip(self._answers, slots, strict=True) for slot in mine),
            tuple(sorted({repeat for one in self._answers for repeat in one.slots.get(case_id, ())})),
        )

    def _mean(self, scores: list[float]) -> float | None:
        mean = sum(scores) / self._repeats if len(scores) == self._repeats else NAN
        return mean if mean == mean else None


def _best(answers: Sequence[Answers], sign: int, bounds: tuple[float, float] | None) -> float:
    """The best value a score can have, or the best one seen where no bounds are declared; times `sign`."""
    if bounds is not None:
        return max(sign * bound for bound in bounds)
    return max((sign * x for one in answers for x in one.score if x == x), default=0.0)


def by_change(lines: Iterable[Line], secret: Callable[[Line], bool] = lambda _: False) -> list[Line]:
    """The largest change first, cases without one, or whose change is `secret`, last; else as they went out."""
    return sorted(lines, key=lambda line: 1.0 if line.change is None or secret(line) else -abs(line.change))


def shuffled(case_id: str, repeat: int, sides: Sequence[Side]) -> list[int]:
    """The order in which a case's answers are shown: decided by content, so that it tells nothing and stays."""
    return sorted(range(len(sides)), key=lambda i: sha256(f"{case_id}/{repeat}/{sides[i].arm}"))


def spot(case_id: str, repeat: int) -> str:
    """How a case, or one of its repeats, is written: `t-0012`, `t-0012#1`."""
    return f"{case_id}#{repeat}" if repeat else case_id


def as_text(value: Any) -> str:
    """An input or expected value for reading."""
    if isinstance(value, dict) and len(value) == 1 and isinstance(next(iter(value.values())), str):
        value = next(iter(value.values()))
    return plain(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1))


def plain(text: str) -> str:
    """`text` as every channel can carry it: half a character, as hostile text has, becomes a question mark."""
    return text.encode("utf-8", "replace").decode("utf-8")
