"""A race: all arms start, those that are clearly beaten are not paid for any more."""

from __future__ import annotations

import math
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.experiment.grid import Trial
from workbench.experiment.run import Options, Run
from workbench.report.rows import ENDED, read_rows, trial_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from workbench.client import Client, Session
    from workbench.experiment.grid import Arm
    from workbench.experiment.plan import Design
    from workbench.records import Case, Row
    from workbench.report import Report
    from workbench.report.rows import RowLog
    from workbench.stats import Race

FEWEST, SHARE = 10, 40
"""A block, which all living arms answer before anybody is dropped, has 10 cases or a 40th of all."""


@dataclass(frozen=True)
class RaceReport:
    """How a race ended. `winner` is an arm or None; `alive` were not beaten, `beaten`: arm -> the one that beat it.

    `cases`: how many every living arm answered; `skipped`: of those, left out because a score was missing. `report`
    holds all rows; what was not run shows as not run.
    """

    report: Report
    metric: str
    winner: str | None
    equivalent: bool
    alive: tuple[str, ...]
    beaten: dict[str, str]
    cases: int
    skipped: int
    trials: int
    planned: int

    @property
    def sentence(self) -> str:
        """The result in plain words."""
        paid = f"{self.trials:,} of {self.planned:,} trials over {self.cases} cases"
        left_out = f"; {self.skipped} cases left out for missing scores" if self.skipped else ""
        if self.cases and self.skipped == self.cases:
            return f"Nothing is known of {self.metric}: no case has all its scores ({paid}). {self._why()}".strip()
        if self.winner:
            return f"{self.winner} wins on {self.metric} ({paid}{left_out}). Exploratory: confirm it on test cases."
        alive = ", ".join(self.alive)
        if self.equivalent:
            return f"No arm left differs by more than the margin on {self.metric}: {alive} ({paid}{left_out})."
        return f"Not sure yet which wins on {self.metric}: {alive} are left ({paid}{left_out})."

    def _why(self) -> str:
        known = self.metric in self.report.metrics
        return self.report.unscored(self.metric if known else None)

    def to_json(self) -> dict[str, Any]:
        """What `--json` writes."""
        names = ("metric", "winner", "equivalent", "alive", "beaten", "cases", "skipped", "trials", "planned")
        return {n: getattr(self, n) for n in names} | {"sentence": self.sentence, "run": self.report.run_id}

    def __str__(self) -> str:
        lines = [f"  {one} was beaten by {other}" for one, other in self.beaten.items()]
        simulated = ["Simulated: declared, not measured."] if self.report.source == "simulated" else []
        return "\n".join([*simulated, self.sentence, *lines])

    def __repr__(self) -> str:
        return f"RaceReport({self.sentence})"


class Racing(Run):
    """A run that drops arms: every living arm answers a block of cases before the next one is handed out."""

    def __init__(self, design: Design, session: Session, options: Options, race: Race, metric: str, sign: int) -> None:
        super().__init__(design, session, options)
        self._unrun = race
        self.race = deepcopy(race)
        self._metric = metric
        self._sign = sign
        self._scores: dict[int, float] = {}
        self.cases = self.skipped = 0

    @property
    def metric(self) -> str:
        """Name of the metric that is raced on."""
        return self._metric

    @property
    def dropped(self) -> tuple[int, ...]:
        """The arms that were beaten, by number."""
        return tuple(self.race.beaten)

    async def _work(self, client: Client, log: RowLog) -> None:
        self.race = deepcopy(self._unrun)  # after a stop all blocks are gone through again, each to count once
        self.cases = self.skipped = 0
        mark = self.folder / ENDED
        mark.unlink(missing_ok=True)  # asked at another alpha or margin, it may go on
        finished = self._done_before(log)
        for row in read_rows(log.path):
            self._scores[hash(trial_key(row))] = _number(row["scores"].get(self._metric))
        for cases in self._blocks():
            alive = [self._design.arms[i] for i in self.race.alive]
            await self._crew(
                self._pending([_trials(alive, cases, self._design.repeats)], finished, client), client, log
            )
            if self._stopping:
                return
            self._score_block(cases)
            if self.race.finished:
                break
        with suppress(OSError):  # it only names the state
            mark.touch()

    def _finished(self, trial: Trial, row: Row) -> None:
        self._scores[trial.key()] = _number(row.scores.get(self._metric))

    def _blocks(self) -> Iterator[Sequence[Case]]:
        size = max(FEWEST, len(self._design.cases) // SHARE)
        for start in range(0, len(self._design.cases), size):
            yield self._design.cases[start : start + size]

    def _score_block(self, cases: Sequence[Case]) -> None:
        """Add the cases that every living arm has a score for; the others are counted and left out."""
        import numpy as np

        table = np.full((len(cases), len(self._design.arms)), math.nan)
        for i in self.race.alive:
            for j, case in enumerate(cases):
                table[j, i] = self._sign * self._mean(self._design.arms[i], case)
        whole = ~np.isnan(table[:, self.race.alive]).any(axis=1)
        self.cases += len(cases)
        self.skipped += int((~whole).sum())
        if whole.any():
            self.race.add(table[whole])

    def _mean(self, arm: Arm, case: Case) -> float:
        repeats = range(self._design.repeats)
        return sum(self._scores.get(Trial(arm, case, r).key(), math.nan) for r in repeats) / len(repeats)

    def result(self, report: Report) -> RaceReport:
        """How the race stands."""
        names = [str(arm) for arm in self._design.arms]
        winner = self.race.winner
        return RaceReport(
            report,
            self._metric,
            None if winner is None else names[winner],
            self.race.equivalent,
            tuple(names[i] for i in self.race.alive),
            {names[a]: names[b] for a, b in self.race.beaten.items()},
            self.cases,
            self.skipped,
            report.done,
            self._design.trials,
        )


def _trials(arms: Sequence[Arm], cases: Sequence[Case], repeats: int) -> list[Trial]:
    return [Trial(arm, case, repeat) for case in cases for repeat in range(repeats) for arm in arms]


def _number(value: float | bool | None) -> float:
    return math.nan if value is None else float(value)
