"""Claims on power: how many cases a true difference takes, and what a race saves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from claims_errors import FINAL, FIRST_CONFIRMATION, LIVE, capital
from tables import Table, draws_of, percent
from worlds import answers, fewest, flip_counts, flip_shares, flips, most

from workbench.stats import Race, cases_needed, separable_difference, smallest_difference
from workbench.stats.difference import binary_limits
from workbench.stats.flips import mcnemar

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

WON, LOST = flip_shares(0.75, 0.85, 0.5)


def exact_power(n: int, alpha: float, *, plain: bool = False) -> float:
    """Probability that n cases say "better" at 0.75 → 0.85; `plain`: by McNemar's exact test alone."""
    better, worse, chance = flip_counts(n, WON, LOST)
    if plain:
        return float(chance[(mcnemar(better, worse) <= alpha) & (better > worse)].sum())
    return float(chance[binary_limits(better, worse, n, alpha)[0] > 0].sum())


def exact_need(alpha: float, *, plain: bool = False) -> int:
    """The fewest cases from which on the power stays at 80 % or more."""
    short = [n for n in range(60, 300) if exact_power(n, alpha, plain=plain) < 0.8]
    return short[-1] + 1


def power(scale: float) -> Table:
    """Cases for 80 % power at 0.75 → 0.85, correlation 0.5, and the power at 150 cases."""
    table = Table(
        "Power at 0.75 → 0.85, correlation 0.5",
        ["method", "cases for 80 %", "relative to the fixed-n test", "target", "power at n = 150"],
    )
    needed = exact_need(0.05, plain=True)
    table.add(True, "fixed-n exact McNemar at 0.05", needed, "1.00", "", percent(exact_power(150, 0.05, plain=True)))
    for name, alpha, target in (
        ("finished run (0.04)", FINAL, 1.15),
        ("first confirmation (0.025)", FIRST_CONFIRMATION, None),
    ):
        cases = exact_need(alpha)
        ok = target is None or cases <= target * needed
        table.add(ok, name, cases, f"{cases / needed:.2f}", f"≤ {target:.2f}" if target else "",
                  percent(exact_power(150, alpha)))  # fmt: skip
    rng, tries = np.random.default_rng(31), draws_of(10_000, max(scale, 0.3))
    wealth = capital(flips(rng, WON, LOST, (tries, 700)))
    for name, comparisons, target in (
        ("live sequence (0.01)", 1, 2.0),
        ("live, corrected over 24 arms (0.01/24)", 24, 3.0),
        ("live, the leading pair of 24 arms (0.01/276)", 276, None),
    ):
        reached = wealth >= 2 * comparisons / LIVE
        first = np.where(reached.any(axis=1), reached.argmax(axis=1) + 1, 701)
        cases = int(np.quantile(first, 0.8, method="higher"))
        ok = target is None or cases <= target * needed
        table.add(ok, name, cases, f"{cases / needed:.2f}", f"≤ {target:.2f}" if target else "",
                  percent(float((first <= 150).mean())))  # fmt: skip
    sd = (WON + LOST - (WON - LOST) ** 2) ** 0.5
    said = cases_needed(0.1, sd=sd)
    close = abs(said / exact_need(FINAL) - 1) <= 0.15
    table.add(close, "what the plan says (`cases_needed`)", said, f"{said / needed:.2f}", "within 15 % of 0.04's",
              f"sees {100 * smallest_difference(150, sd=sd):.1f} points at 80 %")  # fmt: skip
    return table


def one_race(rng: np.random.Generator, means: Floats, cases: int, margin: float | None = None) -> tuple[Race, float]:
    """A race run to its end, in blocks of a 40th of the cases (10 at least), and its share of all the calls."""
    scores, race, calls = answers(rng, means, cases), Race(len(means), margin=margin), 0
    block = max(10, cases // 40)
    for start in range(0, cases, block):
        seen = scores[start : start + block].copy()
        seen[:, [arm for arm in range(len(means)) if arm not in race.alive]] = np.nan
        calls += len(seen) * len(race.alive)
        race.add(seen)
        if race.finished:
            break
    return race, calls / scores.size


def racing(scale: float) -> Table:
    """Races of 24 arms, one of them best or none."""
    table = Table(
        "Racing 24 arms at 0.05, correlation about 0.45",
        ["world", "cases", "right", "wrong winner", "best alive", "no winner", "a best arm dropped", "calls", "target"],
    )
    rng = np.random.default_rng(32)
    lead = np.arange(24) == 7
    for name, means, cases, needs in (
        ("0.83 against 0.75", 0.75 + 0.08 * lead, 2000, (0.95, 0.30)),
        ("0.83 against 0.63", 0.63 + 0.20 * lead, 500, (0.95, 0.25)),
        ("0.95 against 0.75", 0.75 + 0.20 * lead, 500, (0.95, 0.25)),
        ("0.83 against 0.75", 0.75 + 0.08 * lead, 300, None),
        ("all at 0.75", np.full(24, 0.75), 2000, None),
    ):
        tries = draws_of(1000, scale)
        best = set(np.flatnonzero(means == means.max()))
        right = wrong = alive = none = lost = 0
        spent = 0.0
        for _ in range(tries):
            race, calls = one_race(rng, means, cases)
            spent += calls / tries
            none += race.winner is None
            right += race.winner is not None and race.winner in best
            wrong += race.winner is not None and (race.winner not in best or len(best) == 24)
            alive += best <= set(race.alive) if len(best) == 1 else True
            lost += not best <= set(race.alive)
        ok = wrong <= most(tries, 0.05) and lost <= most(tries, 0.05)
        target = "no winner ≥ 95 %" if len(best) == 24 else "wrong ≤ 5 %, best alive ≥ 95 %"
        if needs:
            ok &= right >= fewest(tries, needs[0]) and spent <= needs[1]
            target = f"right ≥ 95 %, calls ≤ {percent(needs[1], 0)}"
        if len(best) == 24:
            ok &= none >= fewest(tries, 0.95)
        shown = "" if len(best) == 24 else percent(right / tries)
        table.add(ok, name, cases, shown, percent(wrong / tries), percent(alive / tries), percent(none / tries),
                  percent(lost / tries), percent(spent), target)  # fmt: skip
    return table


def race_stops(scale: float) -> Table:
    """Races with a margin, and what is said before the start."""
    table = Table(
        "Racing with a margin, and the difference said to be separable before the start",
        ["world", "cases", "figure", "measured", "target"],
    )
    rng, tries = np.random.default_rng(33), draws_of(400, scale)
    equal = [one_race(rng, np.full(6, 0.75), 4000, margin=0.08) for _ in range(tries // 2)]
    stopped = sum(race.equivalent for race, _ in equal)
    table.add(stopped >= 0.9 * len(equal), "6 equal arms, margin 0.08", 4000, "ends as equivalent",
              percent(stopped / len(equal)), "≥ 90 %")  # fmt: skip
    one_best = np.array([0.75] * 5 + [0.83])
    edge = [one_race(rng, one_best, 1500, margin=0.08)[0] for _ in range(tries // 2)]
    wrong = sum(race.equivalent and len(race.alive) > 1 and min(race.alive) < 5 for race in edge)
    table.add(wrong <= most(len(edge), 0.05), "one best by exactly the margin 0.08", 1500, "wrongly called equivalent",
              percent(wrong / len(edge)), "≤ 5 %")  # fmt: skip
    for cases in (300, 1000):
        gap = separable_difference(cases, 2)
        found = sum(one_race(rng, np.array([0.75, 0.75 + gap]), cases)[0].winner == 1 for _ in range(tries))
        ok = fewest(tries, 0.72) <= found <= most(tries, 0.92)
        world = f"2 arms, {100 * gap:.1f} points apart"
        table.add(ok, world, cases, "right", percent(found / tries), "72 to 92 %")
    return table
