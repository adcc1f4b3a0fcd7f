"""How a run stands, arm by arm, added up from its rows as they come: what the run view shows, without any widget."""

from __future__ import annotations

import statistics
from collections import Counter, deque
from copy import copy
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.records import ArmKey, arm_key, arm_ref
from workbench.report.rows import read_rows
from workbench.report.summary import ERROR, HIT, Tally
from workbench.report.text import paid, unscored
from workbench.scorers.owner import owner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from workbench.experiment.plan import Design
    from workbench.records import Row
    from workbench.scorers import Scorer

FIELDS = (
    "prompt", "version", "prompt_sha", "provider", "model", "tier", "case_id", "repeat", "scores", "stop_reason",
    "error", "error_type", "reasons", "cached", "cost_usd", "spent_usd", "judge_cost_usd", "judge_spent_usd",
    "uncertain_usd", "latency_s", "source",
)  # fmt: skip
"""What is taken from a row: not its answer, which may be long."""
_values = attrgetter(*FIELDS)
LONG = 500
"""Characters of an error that are told."""
RECENT = 500
"""Latencies that the running median is over."""


class ArmStanding:
    """One arm's counts; a later row of a trial replaces the earlier one. `mean`: of the scored trials."""

    def __init__(self, first: Mapping[str, Any]) -> None:
        self.tally = Tally(first)
        self.errors = self.hits = self.scored = 0
        self._sum = 0.0

    @property
    def done(self) -> int:
        """Trials that have a row."""
        return len(self.tally.slots)

    @property
    def mean(self) -> float | None:
        """The mean score so far; None without a score."""
        return self._sum / self.scored if self.scored else None

    def add(self, row: Mapping[str, Any], metric: str) -> None:
        """Take in one row."""
        slot = self.tally.slots.get((row["case_id"], row["repeat"]))
        if slot is not None:
            self._count(slot, metric, -1)
        self.tally.add(row)
        self._count(self.tally.slots[row["case_id"], row["repeat"]], metric, 1)

    def _count(self, slot: int, metric: str, by: int) -> None:
        flags = self.tally.flags[slot]
        self.errors += by * bool(flags & ERROR)
        self.hits += by * bool(flags & HIT)
        column = self.tally.scores.get(metric)
        if column is not None and column[slot] == column[slot]:
            self.scored += by
            self._sum += by * column[slot]


class Standing:
    """The sums of all arms of a design on the metric that decides."""

    def __init__(self, design: Design, metric: str) -> None:
        self.design = design
        self.metric = metric
        self.scorer = owner(metric, design.scorers)
        self.planned = len(design.cases) * design.repeats
        self.sources: set[str] = set()
        self.keys: tuple[ArmKey, ...] = tuple(
            (arm.prompt.name, arm.prompt.sha, arm.model.provider, arm.model.label) for arm in design.arms
        )
        self.arms: dict[ArmKey, ArmStanding] = {}
        self._before: dict[ArmKey, Tally] = {}
        self._failures: dict[tuple[ArmKey, str, int], tuple[str, str]] = {}
        self._latencies: deque[float] = deque(maxlen=RECENT)

    @property
    def secret(self) -> bool:
        """Whether nothing about quality may be shown yet: a confirmation is not looked at before its verdict."""
        return self.design.purpose == "confirm"

    def load(self, path: Path, *, anew: bool = False) -> None:
        """Take in the rows that a run already has on disk; where all is done `anew`, what they cost alone."""
        for row in read_rows(path):
            if anew:
                self._before.setdefault(arm_key(row), Tally(row)).add(row)
            else:
                self._add(row)

    def add(self, rows: Iterable[Row]) -> None:
        """Take in finished rows."""
        for row in rows:
            self._add(dict(zip(FIELDS, _values(row), strict=True)))

    def _add(self, row: Mapping[str, Any]) -> None:
        key = arm_key(row)
        arm = self.arms.get(key)
        if arm is None:
            arm = self.arms[key] = ArmStanding(row)
        arm.add(row, self.metric)
        trial = key, row["case_id"], row["repeat"]
        if row["error"] is None:
            self._failures.pop(trial, None)
        else:
            self._failures[trial] = str(row.get("error_type")), row["error"]
        self.sources.add(row["source"])
        if row["latency_s"] is not None:
            self._latencies.append(row["latency_s"])

    @property
    def p50_s(self) -> float | None:
        """Median latency of the last answers, seconds."""
        return statistics.median(self._latencies) if self._latencies else None

    @property
    def counts(self) -> str:
        """Failed trials and hits, in words."""
        arms = self.arms.values()
        return f"{sum(arm.errors for arm in arms):,} failed, {sum(arm.hits for arm in arms):,} from the cache"

    @property
    def money(self) -> str:
        """What the run cost, all its starts together, in words as a report has them."""
        tallies = [*(arm.tally for arm in self.arms.values()), *self._before.values()]
        names = "spent_usd", "judge_spent_usd", "uncertain_usd", "unknown_spent"
        sums = {name: sum(getattr(one, name) for one in tallies) for name in names}
        nothing_known = sums["unknown_spent"] and not sums["spent_usd"]
        return paid(sums | {"spent_usd": None} if nothing_known else sums)

    @property
    def troubles(self) -> list[str]:
        """Why trials failed, in the words of the most frequent error, and why answers have no score."""
        said = []
        if self._failures:
            kind = Counter(kind for kind, _ in self._failures.values()).most_common(1)[0][0]
            text = Counter(text for one, text in self._failures.values() if one == kind).most_common(1)[0][0]
            said.append(f"Trials failed, most often with {kind}: {_short(text)}")
        missing: Counter[str] = Counter()
        for arm in self.arms.values() if not self.secret else ():
            if arm.scored < arm.done - arm.errors:
                missing.update(arm.tally.unscored(self.metric))
        if missing:
            answers = sum(arm.done - arm.errors for arm in self.arms.values())
            said.append(f"{unscored(missing, answers)}.")
        return said

    def grid(self, dropped: Sequence[int] = ()) -> dict[str, Any]:
        """Prompts down, models across, a cell per arm; None where the design has no such arm. `dropped`: numbers of
        the arms that are not run on."""
        arms = self.design.arms
        prompts = list(dict.fromkeys(arm.prompt.ref for arm in arms))
        models = list(dict.fromkeys(arm.model.label for arm in arms))
        cells: list[list[dict[str, Any] | None]] = [[None] * len(models) for _ in prompts]
        for number, (arm, key) in enumerate(zip(arms, self.keys, strict=True)):
            cell = self._cell(self.arms.get(key), dropped=number in dropped)
            cells[prompts.index(arm.prompt.ref)][models.index(arm.model.label)] = cell
        return {"metric": self.metric, "prompts": prompts, "models": models, "cells": cells}

    def _cell(self, arm: ArmStanding | None, *, dropped: bool) -> dict[str, Any]:
        done = arm.done if arm else 0
        mean = None if arm is None or self.secret else arm.mean
        more = [f"{arm.errors:,} failed"] if arm and arm.errors else []
        more += [f"{arm.scored:,} scored"] if arm and not self.secret and arm.scored < arm.done else []
        more += [f"{arm.hits:,} hits"] if arm and arm.hits else []
        more += ["beaten, not run on"] if dropped else []
        return {
            "share": round(done / self.planned, 3) if self.planned else 1.0,
            "count": f"{done:,} of {self.planned:,}",
            "mean": "" if mean is None else f"{mean:.3f}",
            "more": ", ".join(more),
            "failed": bool(arm and arm.errors),
        }

    def leading(self) -> Callable[[], str] | None:
        """What to call for the running verdict on the two best arms, also on another thread: it works on a copy of
        their sums. None before there are two arms with scores, and where a verdict has to wait."""
        scorer = self.scorer
        if self.secret or scorer is None or scorer.asks_models:
            return None
        sign = 1 if scorer.higher_is_better else -1
        board = [(sign * arm.mean, key) for key, arm in self.arms.items() if arm.mean is not None]
        if len(board) < 2:
            return None
        first, second = (key for _, key in sorted(board, key=lambda one: -one[0])[:2])
        pairs = len(board) * (len(board) - 1) // 2
        names = self._name(first), self._name(second)
        tallies = _copied(self.arms[first].tally), _copied(self.arms[second].tally)
        return lambda: self._judged(names, tallies, scorer, pairs)

    def _judged(self, names: tuple[str, str], tallies: tuple[Tally, Tally], scorer: Scorer, pairs: int) -> str:
        from workbench.verdict.judge import LIVE_ALPHA, Question, judge_pair

        question = Question(
            self.metric,
            0.0,
            scorer.bounds,
            1 if scorer.higher_is_better else -1,
            self.design.repeats,
            self.design.seed,
            finished=False,
            planned=tuple(case.id for case in self.design.cases),
            alpha=LIVE_ALPHA / pairs,
        )
        try:
            found = judge_pair((*names, ""), *tallies, question)
        except WorkbenchError as error:
            return str(error)
        chosen = f" Chosen among {pairs} pairs; holds however often it is looked at." if pairs > 1 else ""
        return f"{found.sentence(self.metric)}{chosen}"

    def _name(self, key: ArmKey) -> str:
        return arm_ref(self.arms[key].tally.about)


def cell_text(cell: Mapping[str, Any], between: str = " · ") -> str:
    """A cell of the grid as one line, or in several."""
    return between.join(filter(None, [cell["count"], cell["mean"], cell["more"]]))


def to_go(left_s: float) -> str:
    """The time that is left, in words."""
    if left_s < 90:
        return f"about {left_s:.0f} s to go"
    return f"about {left_s / 60:.0f} min to go" if left_s < 5400 else f"about {left_s / 3600:.1f} h to go"


def _short(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= LONG else f"{plain[: LONG - 1]}…"


def _copied(one: Tally) -> Tally:
    """The same sums, safe from rows that come in meanwhile."""
    other = copy(one)
    other.slots = dict(one.slots)
    other.scores = {metric: column[:] for metric, column in one.scores.items()}
    other.cost, other.latency, other.flags = one.cost[:], one.latency[:], one.flags[:]
    other.graded = set(one.graded)
    return other
