"""Live replies against a baseline: what raises an alarm, what takes it away, and how often by chance."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from night_parts import edit, keep
from nights import ArmWorld, alarms, draw, measured_of, passing
from worlds import most

import workbench as wb
from workbench.regressions.baseline import VARIABLE
from workbench.regressions.statistical import (
    NIGHT_ALPHA,
    Allowed,
    flipped,
    kinds_of,
    statistical_checks,
    still_stands,
)
from workbench.verdict.judge import FIXED_ALPHA

if TYPE_CHECKING:
    from pathlib import Path


def found(then: np.ndarray, now: np.ndarray, name: str = "score", allowed: Allowed | None = None, **columns):
    """The check of that name for one arm with such scores."""
    checks = statistical_checks(measured_of(then), measured_of(now, **columns), allowed or Allowed(0.05, 0.1, 3))
    return next(check for check in checks if check.name == name)


def test_level_is_shared() -> None:
    """All checks of a night share 1/90: each of m gets 1/(90 m)."""
    assert Allowed(0.05, 0.1, 6).alpha == pytest.approx(1 / 90 / 6)
    assert NIGHT_ALPHA == 1 / 90
    assert kinds_of(measured_of(np.ones(20)).arms) == 3


def test_clear_drop_is_red() -> None:
    """A drop from 90 to 60 of 100 is red and says by how much."""
    then = np.arange(100) < 90
    check = found(then, np.arange(100) < 60)
    assert check.state == "red" and "-30.0 points" in check.sentence and "100 cases" in check.sentence


def test_small_drop_is_allowed() -> None:
    """A drop that is shown but lies within the margin is green."""
    then = np.ones(2000)
    check = found(then, np.arange(2000) >= 60, allowed=Allowed(0.05, 0.1, 3))
    assert check.state == "green" and "-3.0 points" in check.sentence


def test_too_small_is_yellow() -> None:
    """A check that could not see a drop of its margin is yellow and says what it could see; so is one of too few."""
    scores = np.arange(40) % 5 > 0
    check = found(scores, scores)
    assert check.state == "yellow" and "too small to see a change of 5.0 points" in check.sentence
    assert found(scores[:10], scores[:10]).state == "yellow"


def test_nothing_changed_is_green_where_it_can_be_seen() -> None:
    """264 cases with identical answers pass at a margin of 5 points, right or wrong and graded, failures too, however
    many checks share the night's false alarms; 30 do not, and say how many would do."""
    for scores in (np.arange(264) % 5 > 0, (np.arange(264) % 3) / 2):
        for name in ("score", "failures", "cost"):
            check = found(scores, scores, name, Allowed(0.05, 0.1, 126))
            assert check.state == "green", check
    few = np.arange(30) % 5 > 0
    check = found(few, few, allowed=Allowed(0.05, 0.1, 126))
    assert check.state == "yellow" and "about 212 cases would do" in check.sentence
    enough = np.arange(212) % 5 > 0
    assert found(enough, enough, allowed=Allowed(0.05, 0.1, 126)).state == "green"


def test_a_drop_that_is_not_ruled_out_is_yellow() -> None:
    """A large check with a drop just inside the margin neither fails nor passes, and asks for no more cases."""
    check = found(np.ones(1000), np.arange(1000) >= 48)
    assert check.state == "yellow" and "a change of 5.0 points is not ruled out." in check.sentence


@pytest.mark.parametrize("world", [ArmWorld(264, 0.98), ArmWorld(264, 0.97, graded=True)])
def test_a_drop_of_the_margin_rarely_passes(world: ArmWorld) -> None:
    """Of nights with a true drop of just the margin no more pass than a verdict calls "not worse", within chance; with
    nothing changed most do."""
    nights = 60
    assert passing(world, nights, seed=7, drop=0.05) <= most(nights, FIXED_ALPHA / 2)
    assert passing(world, nights, seed=7, drop=0.0) >= 50


def test_better_is_green_or_yellow() -> None:
    """A rise never fails."""
    assert found(np.arange(300) < 200, np.arange(300) < 290).state == "green"


def test_cost_beyond_its_share() -> None:
    """Cases that are a fifth dearer are red where a tenth is allowed; a twentieth is not."""
    scores = np.ones(100)
    assert found(scores, scores, "cost", cost=np.full(100, 0.00120)).state == "red"
    assert found(scores, scores, "cost", cost=np.full(100, 0.00105)).state == "green"
    check = found(scores, scores, "cost", cost=np.full(100, np.nan))
    assert check.state == "yellow" and "no price" in check.sentence


def test_newly_failing_trials() -> None:
    """Thirty of a hundred trials that newly fail are red; as many that failed before are not."""
    scores = np.ones(100)
    failing = np.arange(100) < 30
    assert found(scores, scores, "failures", failed=failing).state == "red"
    checks = statistical_checks(
        measured_of(scores, failed=failing), measured_of(scores, failed=failing), Allowed(0.05, 0.1, 3)
    )
    assert [c.state for c in checks if c.name == "failures"] != ["red"]


def test_other_cases_are_red() -> None:
    """Runs that share less than nine cases of ten are not compared."""
    then = measured_of(np.ones(100))
    now = replace(then, contents=tuple(f"other{i}" if i < 20 else c for i, c in enumerate(then.contents)))
    (check,) = [c for c in statistical_checks(then, now, Allowed(0.05, 0.1, 3)) if c.name == "trials"]
    assert check.state == "red" and "share 80" in check.sentence


def test_fresh_answers_withdraw_an_alarm() -> None:
    """An alarm stands when its flipped cases answer alike once more, and is withdrawn when they are right again."""
    allowed = Allowed(0.05, 0.1, 3)
    then, now = measured_of(np.arange(100) < 90), measured_of(np.arange(100) < 60)
    (alarm,) = [c for c in statistical_checks(then, now, allowed) if c.state == "red"]
    cases = flipped(alarm, then, now)
    assert len(cases) == 30
    silent = np.full(30, np.nan)  # no answer is no change for the better
    for scores, state, word in (
        (np.zeros(30), "red", "it stands"),
        (np.ones(30), "green", "withdrawn"),
        (silent, "red", "it stands"),
    ):
        at = [now.cases.index(case) for case in cases]
        fresh = measured_of(scores, places=at)
        after = still_stands(alarm, then, now, fresh)
        assert after.state == state and word in after.again and "30 flipped cases" in after.again


def test_live_night_reads_its_shares(run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a live night the check is statistical, at the share that the night's number of checks leaves it, and the
    finding is left for the night with what a new baseline would be."""
    report = run()
    path = keep(report, home)
    edit(path, lambda c: [arm["scores"].update(json_fields=[1.0] * 30) for arm in c["arms"]])
    (home / "night.json").write_text(json.dumps({"live": True, "checks": 60}))
    monkeypatch.setenv(VARIABLE, str(home))
    found = wb.regression(report, "small")
    assert found.how == "statistical" and len(found.checks) == 8
    assert json.loads((home / "small.001.found.json").read_text())["state"] == found.state
    assert (home / "small.measured.json").exists()


@pytest.mark.parametrize("world", [ArmWorld(100, 0.8), ArmWorld(40, 0.95), ArmWorld(100, 0.6, graded=True)])
def test_false_alarms_are_rare(world: ArmWorld) -> None:
    """Without any change, nights of four arms raise a false alarm no more often than one in 90, within chance."""
    nights = 30
    before, after = alarms(world, arms=4, nights=nights, seed=5)
    assert after <= before <= most(nights, NIGHT_ALPHA)


def test_power_is_there() -> None:
    """A drop of 20 points on 100 cases is found in most nights of one arm."""
    world, rng = ArmWorld(100, 0.85), np.random.default_rng(3)
    hits = 0
    for _ in range(40):
        drawn = draw(world, rng, drop=0.2)
        hits += any(c.state == "red" for c in statistical_checks(drawn.then, drawn.now, Allowed(0.05, 0.1, 3)))
    assert hits >= 30


def test_cases_that_are_there_twice_are_paired_once() -> None:
    """Of a content that is there twice each case is compared with one of the other night, and asked again as itself."""
    allowed = Allowed(0.05, 0.1, 3)
    then, now = measured_of(np.arange(100) < 90), measured_of(np.arange(100) < 60)
    twice = tuple(f"content{i // 2:05d}" for i in range(100))
    then, now = replace(then, contents=twice), replace(now, contents=twice)
    checks = statistical_checks(then, now, allowed)
    assert [c.state for c in checks if c.name == "trials"] == ["green"] and "100 cases" in checks[0].sentence
    (alarm,) = [c for c in checks if c.state == "red"]
    assert "-30.0 points" in alarm.sentence and len(flipped(alarm, then, now)) == 30
    lost = replace(now, contents=tuple(f"new{i}" if i % 20 == 1 else c for i, c in enumerate(twice)))
    (check,) = [c for c in statistical_checks(then, lost, allowed) if c.name == "score"]
    assert "95 cases" in check.sentence
    odd = [int(case[4:]) for case in flipped(alarm, then, now) if int(case[4:]) % 2]
    fresh = replace(measured_of(np.ones(len(odd)), places=odd), contents=tuple(twice[i] for i in odd))
    assert "-15.0 points" in still_stands(alarm, then, now, fresh).again
