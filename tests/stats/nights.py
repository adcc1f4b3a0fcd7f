"""Made-up nights: an arm whose cases differ in difficulty is drawn twice, with or without a true drop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from worlds import shares

from workbench.regressions.baseline import ArmRecord, Measured
from workbench.regressions.statistical import KINDS, Allowed, flipped, statistical_checks, still_stands

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

SPREAD = 1.0
"""Difficulty of cases: Beta with this spread, so that two nights of one arm correlate by 1/(1 + spread)."""


@dataclass(frozen=True)
class ArmWorld:
    """An arm on `cases` cases with a true `mean`; `graded`: a score is the mean of two fields."""

    cases: int
    mean: float
    graded: bool = False
    failing: float = 0.01


def measured_of(scores: Floats, cost: Floats | None = None, failed: Floats | None = None, places=None) -> Measured:
    """A run of one arm with such scores, costs (US dollars) and failures; `places`: which cases these are."""
    n = len(scores)
    numbers = list(range(n)) if places is None else list(places)
    costs = np.full(n, 0.001) if cost is None else cost
    fails = np.zeros(n, dtype=bool) if failed is None else failed
    arm = ArmRecord(
        "p", "v1", "sha", "openai", "m",
        scores={"right": tuple(None if f else float(s) for s, f in zip(scores, fails, strict=True))},
        cost_usd=tuple(None if f or c != c else float(c) for c, f in zip(costs, fails, strict=True)),
        judge_cost_usd=(0.0,) * n,
        error_type=tuple("TimedOut" if f else None for f in fails),
    )  # fmt: skip
    cases = tuple(f"case{i:05d}" for i in numbers)
    contents = tuple(f"content{i:05d}" for i in numbers)
    return Measured("run", "data", "live", "right", (0.0, 1.0), True, 1, cases, contents, (arm,))


@dataclass(frozen=True)
class Drawn:
    """A baseline and a night of one arm. `chance`: how likely each case was right that night; `world` and `rng`: what
    it takes to ask cases again."""

    then: Measured
    now: Measured
    chance: Floats
    world: ArmWorld
    rng: np.random.Generator

    def again(self, cases: list[str]) -> Measured:
        """Fresh answers to these cases of the night."""
        places = [self.now.cases.index(case) for case in cases]
        return measured_of(_scores(self.world, self.chance[places], self.rng), places=places)


def draw(world: ArmWorld, rng: np.random.Generator, drop: float = 0.0) -> Drawn:
    """One arm drawn twice; the night's true mean is lower by `drop`. Costs are lognormal per case and answer."""
    chance = shares(rng, world.mean, SPREAD, (world.cases,))
    tonight = chance * (1 - drop / world.mean)  # in proportion, so that no case goes below 0
    length = rng.normal(0, 0.4, world.cases)
    nights = []
    for one in (chance, tonight):
        cost = 0.001 * np.exp(length + rng.normal(0, 0.3, world.cases))
        nights.append(measured_of(_scores(world, one, rng), cost, rng.random(world.cases) < world.failing))
    return Drawn(nights[0], nights[1], tonight, world, rng)


def _scores(world: ArmWorld, chance: Floats, rng: np.random.Generator) -> Floats:
    fields = [rng.random(len(chance)) < chance for _ in range(2 if world.graded else 1)]
    means: Floats = np.mean(fields, axis=0)
    return means


def alarms(world: ArmWorld, arms: int, nights: int, seed: int, drop: float = 0.0) -> tuple[int, int]:
    """Nights with at least one red check, before and after flipped cases were asked again. With a `drop` on the first
    arm, nights in which that arm's score is red."""
    rng, first, stands = np.random.default_rng(seed), 0, 0
    allowed = Allowed(0.05, 0.10, arms * len(KINDS))
    for _ in range(nights):
        red = after = False
        for number in range(arms if not drop else 1):
            drawn = draw(world, rng, drop if number == 0 else 0.0)
            for check in statistical_checks(drawn.then, drawn.now, allowed):
                if check.state != "red" or (drop and check.name != "score"):
                    continue
                red = True
                if check.name == "cost":
                    after = True
                    continue
                fresh = drawn.again(flipped(check, drawn.then, drawn.now))
                after |= still_stands(check, drawn.then, drawn.now, fresh).state == "red"
        first, stands = first + red, stands + after
    return first, stands


def passing(world: ArmWorld, nights: int, seed: int, drop: float) -> int:
    """Nights in which the score of one arm passes among the checks of six, at a margin of 5 points."""
    rng, allowed = np.random.default_rng(seed), Allowed(0.05, 0.10, 6 * len(KINDS))
    drawn = (draw(world, rng, drop) for _ in range(nights))
    checks = (check for one in drawn for check in statistical_checks(one.then, one.now, allowed))
    return sum(check.name == "score" and check.state == "green" for check in checks)
