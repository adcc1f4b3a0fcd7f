"""Judges held against people's labels: the figures, and when they hold."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from judge_parts import RUBRIC, label_all, run

import workbench as wb
from workbench.errors import LabelError
from workbench.labels import Label, calibrate, label, label_queue, load_calibration, load_labels
from workbench.labels.agreement import kappa, rate
from workbench.labels.store import append

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.sim import StandIn

CASES = [case.id for case in wb.load_dataset("tickets").cases]


def pairs(both: int, only_person: int, only_judge: int, neither: int) -> list[tuple[bool, bool]]:
    """(person, judge) verdicts with these counts."""
    return (
        [(True, True)] * both
        + [(True, False)] * only_person
        + [(False, True)] * only_judge
        + [(False, False)] * neither
    )


def test_kappa_by_hand() -> None:
    """20, 5, 10 and 15: agreement 0.7, by chance 0.5, so kappa 0.4; Fleiss' variance (0.10972 + 0.10188 − 0.01) / 12.5
    gives the limits 0.4 ± 1.95996 · 0.126996."""
    found = kappa(pairs(20, 5, 10, 15))
    assert found.value == pytest.approx(0.4)
    assert (found.low, found.high) == pytest.approx((0.4 - 0.248908, 0.4 + 0.248908), abs=1e-5)
    assert found.n == 50


def test_kappa_at_the_edges() -> None:
    """Full agreement is 1 but not certain; one verdict alone gives none; agreement by chance is 0."""
    full = kappa(pairs(25, 0, 0, 25))
    assert full.value == 1 and full.high == 1
    assert full.low == pytest.approx((rate([True] * 50).low - 0.5) / 0.5)
    assert kappa(pairs(30, 0, 0, 0)).value is None and kappa([]).value is None
    assert kappa(pairs(25, 25, 25, 25)).value == pytest.approx(0)
    assert kappa(pairs(0, 25, 25, 0)).value == pytest.approx(-1)


def test_rates_by_hand() -> None:
    """9 of 10: exact limits 0.5550 and 0.9975; nothing counted is no share at all."""
    found = rate([True] * 9 + [False])
    assert (found.value, found.n) == (0.9, 10)
    assert (found.low, found.high) == pytest.approx((0.5550, 0.9975), abs=1e-4)
    assert rate([]).value is None


def drawn(verdicts: list[tuple[bool, bool]], arms: tuple[str, str] = ("a", "b")) -> object:
    """Queue labels for `verdicts`, and a scorer that gives the judge's side of each."""
    says = {}
    for number, (person, judge) in enumerate(verdicts):
        output = f"reply {number}"
        says[output] = judge
        case_id, arm = CASES[number % len(CASES)], arms[number % 2]
        append("tickets", Label(case_id, (output,), "mine", person, "queue", "tester", "2026-11-01T00:00:00", (arm,)))

    @wb.scorer(name="mine", bounds=(0, 1))
    def mine(case: wb.Case, reply: wb.Reply) -> bool | None:
        return says[reply.text]

    return mine


def test_calibration_by_hand(server: StandIn) -> None:
    """Figures of 60 known verdicts equal those counted by hand, each arm's bias included."""
    mine = drawn(pairs(30, 6, 4, 20))
    made = asyncio.run(calibrate(mine, "tickets"))
    assert made.n == 60 and made.missing == 0
    assert made.agreement.value == pytest.approx(50 / 60)
    assert made.sensitivity.value == pytest.approx(30 / 36) and made.sensitivity.n == 36
    assert made.specificity.value == pytest.approx(20 / 24) and made.specificity.n == 24
    # by chance: 36/60 · 34/60 + 24/60 · 26/60
    assert made.kappa.value == pytest.approx((50 / 60 - 0.513333) / (1 - 0.513333), abs=1e-5)
    assert [one.bias for one in made.by_arm] == pytest.approx([-1 / 30, -1 / 30])
    assert not made.stale(mine, "tickets")


def test_unscored_labels_are_missing(server: StandIn) -> None:
    """Labels that the judge says nothing on count in n and missing, and in no figure."""
    mine = drawn([(True, None), (False, None), *pairs(5, 0, 0, 5)])
    made = asyncio.run(calibrate(mine, "tickets"))
    assert (made.n, made.missing) == (12, 2)
    assert made.agreement.value == 1 and made.agreement.n == 10


def test_only_queue_labels_calibrate(server: StandIn) -> None:
    """Notes change no figure, and without any queue label there is no calibration."""
    label("tickets", CASES[0], "x", True, metric="mine", by="tester")

    @wb.scorer(name="mine")
    def lone(case: wb.Case, reply: wb.Reply) -> bool:
        return True

    with pytest.raises(LabelError, match="no queue labels for metric 'mine' on tickets, there are labels for: mine"):
        asyncio.run(calibrate(lone, "tickets"))
    assert asyncio.run(calibrate(drawn(pairs(3, 0, 0, 3)), "tickets")).n == 6


def test_labels_of_unknown_cases_are_named(server: StandIn) -> None:
    """A label whose case is gone is an error with the cure, not a smaller sample."""
    mine = drawn(pairs(3, 0, 0, 3))
    append("tickets", Label("t-gone", ("x",), "mine", True, "queue", "tester", "2026-11-01T00:00:00"))
    with pytest.raises(LabelError, match=r"no case 't-gone'.*delete its labels"):
        asyncio.run(calibrate(mine, "tickets"))
    with pytest.raises(LabelError, match="no dataset named 'nowhere'"):
        asyncio.run(calibrate(mine, "nowhere"))


def test_freshness(server: StandIn) -> None:
    """Fresh is: same judge, same dataset, 50 judged queue labels, under 90 days, and anchors that still agree."""
    mine = drawn(pairs(30, 5, 5, 15))
    made = asyncio.run(calibrate(mine, "tickets"))
    assert made.stale(mine, "tickets") == "" and len(made.anchors) == made.anchors_agree == 20
    other = replace(mine, identity="other")
    later = datetime.now(UTC) + timedelta(days=91)
    reasons = [
        (made.stale(other, "tickets"), "another one than was calibrated"),
        (made.stale(mine, "policy-qa"), "not on policy-qa"),
        (made.stale(mine, "tickets", at=later), "days ago"),
        (replace(made, n=49).stale(mine, "tickets"), "of the 50 needed"),
        (replace(made, missing=6).stale(mine, "tickets"), "49 judged"),
        (replace(made, anchors_agree=17).stale(mine, "tickets"), "17 of 20 anchors"),
        (replace(made, anchors_checked="").stale(mine, "tickets"), "check_anchors"),
    ]
    for found, words in reasons:
        assert words in found
    assert not made.stale(mine, "tickets", at=datetime.now(UTC) + timedelta(days=89))


def test_a_judge_over_http_is_calibrated_and_kept(server: StandIn, home: Path) -> None:
    """A simulated judge is calibrated on drawn labels; what is kept loads as the same, by judge, dataset and origin."""
    judge = wb.scorers.judge(RUBRIC)
    report = run([judge], sample=100)
    label_all(label_queue(report, 60, seed=5))
    asked = server.control("stats")["requests"]
    made = asyncio.run(calibrate(judge, "tickets", check=False))
    assert server.control("stats")["requests"] == asked  # every label's verdict was in the cache
    assert made.source == "simulated" and made.model == "anthropic:claude-sonnet-5-5" and made.agreement.value > 0.75
    assert "never judged again" in made.stale(judge, "tickets")
    checked = asyncio.run(made.check_anchors(judge))
    assert server.control("stats")["requests"] == asked + 20  # past the cache
    assert not checked.stale(judge, "tickets")
    assert load_calibration(judge, "tickets") == checked
    assert load_calibration(judge, "policy-qa") is None and load_calibration(wb.scorers.judge("x"), "tickets") is None
    file = home / ".workbench" / "calibrations" / f"{judge.identity}.json"
    assert json.loads(file.read_text())[0]["dataset"] == "tickets"
    assert "kappa" in str(checked) and "<script" not in checked._repr_html_()


def test_another_origin_is_not_calibrated(server: StandIn) -> None:
    """What a stand-in's judge was calibrated with says nothing once somebody else answers under its name."""
    judge = wb.scorers.judge(RUBRIC)
    label_all(label_queue(run([judge], sample=100), 60))
    made = asyncio.run(calibrate(judge, "tickets"))
    assert not made.stale(judge, "tickets")
    wb.offline(seed=7)
    assert "somebody else answers" in made.stale(judge, "tickets")
    assert load_calibration(judge, "tickets") is None


def test_graded_judges_pass_from_a_grade_on(server: StandIn) -> None:
    """A graded judge is held against labels by the grade that passes: the middle, or as given."""
    judge = wb.scorers.judge(RUBRIC, scale=(1, 5))
    queue = label_queue(run([judge], sample=60), 50)
    label_all_graded = [queue.label(i, 5 if i % 2 else 1, by="tester") for i in range(len(queue))]
    assert len(load_labels("tickets").queue("judge")) == len(label_all_graded)
    assert asyncio.run(calibrate(judge, "tickets", check=False)).passing == 3
    with pytest.raises(LabelError, match="grades from 1 to 5"):
        asyncio.run(calibrate(judge, "tickets", passing=6))
