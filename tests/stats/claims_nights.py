"""Claims on nights: how often a live night without any change fails, which drops it finds, and which it lets pass."""

from __future__ import annotations

from nights import ArmWorld, alarms, passing
from tables import Table, draws_of, percent
from worlds import most

from workbench.regressions.statistical import NIGHT_ALPHA
from workbench.verdict.judge import FIXED_ALPHA


def nights(scale: float) -> Table:
    """False alarms per night, and the power at drops of 10 and 20 points, before and after flipped cases are asked
    again."""
    table = Table(
        "Live nights: margin 5 points, one night in 90",
        ["world", "arms", "cases", "nights", "alarms", "after asking again", "target"],
    )
    tries = draws_of(1000, scale)
    for name, world, arms in (
        ("no change, right or wrong, 0.80", ArmWorld(100, 0.8), 1),
        ("no change, right or wrong, 0.80", ArmWorld(100, 0.8), 4),
        ("no change, graded, 0.80", ArmWorld(100, 0.8, graded=True), 4),
        ("no change, graded, 0.95", ArmWorld(40, 0.95, graded=True), 2),
    ):
        first, stands = alarms(world, arms, tries, seed=41)
        ok = first <= most(tries, NIGHT_ALPHA)
        shown = percent(first / tries), percent(stands / tries)
        table.add(ok, name, arms, world.cases, tries, *shown, f"≤ {percent(NIGHT_ALPHA, 2)}")
    tries = draws_of(300, scale)
    for name, world, arms, drop in (
        ("10 points lower, right or wrong", ArmWorld(100, 0.85), 1, 0.1),
        ("10 points lower, graded", ArmWorld(100, 0.85, graded=True), 1, 0.1),
        ("10 points lower, graded", ArmWorld(100, 0.85, graded=True), 4, 0.1),
        ("10 points lower, right or wrong", ArmWorld(264, 0.85), 1, 0.1),
        ("20 points lower, right or wrong", ArmWorld(100, 0.85), 1, 0.2),
    ):
        first, stands = alarms(world, arms, tries, seed=42, drop=drop)
        table.add(True, name, arms, world.cases, tries, percent(first / tries), percent(stands / tries), "")
    return table


def nights_passing(scale: float) -> Table:
    """How often a score's check is green, with nothing changed and with a true drop of just the margin."""
    table = Table(
        "Live nights: a check that passes, margin 5 points, six arms",
        ["world", "cases", "nights", "nothing changed", "5 points lower", "target when lower"],
    )
    tries = draws_of(500, scale)
    for name, world in (
        ("right or wrong, 0.80", ArmWorld(100, 0.8)),
        ("right or wrong, 0.98", ArmWorld(264, 0.98)),
        ("right or wrong, 0.80", ArmWorld(1000, 0.8)),
        ("graded, 0.97", ArmWorld(100, 0.97, graded=True)),
        ("graded, 0.97", ArmWorld(264, 0.97, graded=True)),
        ("graded, 0.80", ArmWorld(600, 0.8, graded=True)),
    ):
        same, lower = (passing(world, tries, seed=43, drop=drop) for drop in (0.0, 0.05))
        shown = percent(same / tries), percent(lower / tries)
        table.add(
            lower <= most(tries, FIXED_ALPHA / 2), name, world.cases, tries, *shown, f"≤ {percent(FIXED_ALPHA / 2)}"
        )
    return table
