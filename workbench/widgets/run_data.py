"""How a run stands, arm by arm, added up from its rows as they come: what the run view shows, without any widget."""

from __future__ import annotations

import statistics
from collections import deque
from copy import copy
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.report.rows import read_rows
from workbench.report.summary import ERROR, HIT, Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from workbench.experiment.plan import Design
    from workbench.records import Row

FIELDS = (
    "prompt", "version", "prompt_sha", "provider", "model", "tier", "case_id", "repeat", "scores", "stop_reason",
    "error", "cached", "cost_usd", "spent_usd", "latency_s", "source",
)  # fmt: skip
"""What is taken from a row: nothing that a model wrote."""
_values = attrgetter(*FIELDS)
RECENT = 500
"""Latencies that the running median is over."""

Key = tuple[str, str, str, str]


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
        self.scorer = next((s for s in design.scorers if metric in (s.metrics or (s.name,))), design.scorers[0])
        self.planned = len(design.cases) * design.repeats
        self.sources: set[str] = set()
        self.keys: tuple[Key, ...] = tuple(
            (arm.prompt.name, arm.prompt.sha, arm.model.provider, arm.model.label) for arm in design.arms
        )
        self.arms: dict[Key, ArmStanding] = {}
        self._latencies: deque[float] = deque(maxlen=RECENT)

    @property
    def secret(self) -> bool:
        """Whether nothing about quality may be shown yet: a confirmation is not looked at before its verdict."""
        return self.design.purpose == "confirm"

    def load(self, path: Path) -> None:
        """Take in the rows that a run already has on disk."""
        for row in read_rows(path):
            self._add(row)

    def add(self, rows: Iterable[Row]) -> None:
        """Take in finished rows."""
        for row in rows:
            self._add(dict(zip(FIELDS, _values(row), strict=True)))

    def _add(self, row: Mapping[str, Any]) -> None:
        key = row["prompt"], row["prompt_sha"], row["provider"], row["model"]
        arm = self.arms.get(key)
        if arm is None:
            arm = self.arms[key] = ArmStanding(row)
        arm.add(row, self.metric)
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
        sign = 1 if self.scorer.higher_is_better else -1
        board = [(sign * arm.mean, key) for key, arm in self.arms.items() if arm.mean is not None]
        if self.secret or self.scorer.asks_models or len(board) < 2:
            return None
        first, second = (key for _, key in sorted(board, key=lambda one: -one[0])[:2])
        pairs = len(board) * (len(board) - 1) // 2
        names = self._name(first), self._name(second)
        tallies = _copied(self.arms[first].tally), _copied(self.arms[second].tally)
        return lambda: self._judged(names, tallies, sign, pairs)

    def _judged(self, names: tuple[str, str], tallies: tuple[Tally, Tally], sign: int, pairs: int) -> str:
        from workbench.verdict.judge import LIVE_ALPHA, Question, judge_pair

        question = Question(
            self.metric,
            0.0,
            self.scorer.bounds,
            sign,
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

    def _name(self, key: Key) -> str:
        about = self.arms[key].tally.about
        return f"{about['prompt']}@{about['version']} × {about['model']}"


def cell_text(cell: Mapping[str, Any]) -> str:
    """A cell of the grid as one line."""
    return " · ".join(filter(None, [cell["count"], cell["mean"], cell["more"]]))


def to_go(left_s: float) -> str:
    """The time that is left, in words."""
    if left_s < 90:
        return f"about {left_s:.0f} s to go"
    return f"about {left_s / 60:.0f} min to go" if left_s < 5400 else f"about {left_s / 3600:.1f} h to go"


def _copied(one: Tally) -> Tally:
    """The same sums, safe from rows that come in meanwhile."""
    other = copy(one)
    other.slots = dict(one.slots)
    other.scores = {metric: column[:] for metric, column in one.scores.items()}
    other.cost, other.latency, other.flags = one.cost[:], one.latency[:], one.flags[:]
    other.graded = set(one.graded)
    return other
