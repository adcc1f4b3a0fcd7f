"""A judge informs until people's labels say how far it can be trusted; then it decides, corrected by them."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

import workbench as wb
from workbench.cli import run_command
from workbench.client import current
from workbench.errors import BudgetReached, PlanError
from workbench.labels import load_calibration, load_labels
from workbench.scorers.text import last_json_object

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.sim import StandIn

RUBRIC = "The answer names the right category and the right priority."


@pytest.fixture
def report(server: StandIn) -> wb.Report:
    """Two versions on one model over all dev cases, scored by a judge."""
    exp = wb.Experiment("j", "ticket-triage@v3,v4", "tickets", "openai:gpt-6-luna", wb.scorers.judge(RUBRIC))
    return asyncio.run(exp.run(concurrency=32))


def label_all(report: wb.Report, n: int) -> None:
    """Label a queue as somebody who knows the truth would."""
    queue = wb.label_queue(report, n, seed=1)
    for index, (_, expected, output) in enumerate(queue):
        queue.label(index, last_json_object(output) == expected)


def test_uncalibrated_judge_does_not_decide(report: wb.Report) -> None:
    """However clear a judge's scores are, without labels they inform and the verdict stays open."""
    part = report.compare("ticket-triage@v4", "ticket-triage@v3").parts[0]
    assert part.low > 0
    assert part.outcome == "unsure"
    assert "informs, it does not decide" in part.reason
    assert "label_queue" in part.reason


def test_calibrated_judge_decides_by_the_corrected_interval(report: wb.Report) -> None:
    """With a fresh calibration the verdict is the prediction-powered interval, wider than the judge's own, around a
    difference that the labels corrected."""
    naive = report.compare("ticket-triage@v4", "ticket-triage@v3").parts[0]
    label_all(report, 160)
    asyncio.run(wb.calibrate(wb.scorers.judge(RUBRIC), "tickets"))
    part = report.compare("ticket-triage@v4", "ticket-triage@v3").parts[0]
    assert part.outcome == "better"
    assert "prediction-powered" in part.basis
    assert part.high - part.low > naive.high - naive.low
    assert part.difference != pytest.approx(naive.difference)
    right = {}
    for row in report.rows():
        expected = report.cases[row["case_id"]]["expected"]
        right.setdefault(row["version"], []).append(last_json_object(row["output"]) == expected)
    truth = sum(right["v4"]) / len(right["v4"]) - sum(right["v3"]) / len(right["v3"])
    assert part.low <= truth <= part.high


def test_another_judge_is_not_calibrated_by_it(report: wb.Report, server: StandIn) -> None:
    """A calibration belongs to one judge: another rubric is another judge, and only informs."""
    label_all(report, 60)
    asyncio.run(wb.calibrate(wb.scorers.judge(RUBRIC), "tickets"))
    other = wb.Experiment(
        "o", "ticket-triage@v3,v4", "tickets", "openai:gpt-6-luna", wb.scorers.judge(RUBRIC + " Be strict.")
    )
    part = asyncio.run(other.run(concurrency=32, sample=60)).compare("ticket-triage@v4", "ticket-triage@v3").parts[0]
    assert part.outcome == "unsure"
    assert "never calibrated" in part.reason


def test_failed_judge_call_is_asked_again(server: StandIn) -> None:
    """A judge that could not be reached leaves its trial unscored, never zero, and running again asks it again."""
    exp = wb.Experiment("f", "ticket-triage@v4", "tickets", "openai:gpt-6-luna", wb.scorers.judge(RUBRIC))
    server.control("faults", [{"kind": "bad_request", "times": 2, "provider": "anthropic"}])
    first = asyncio.run(exp.run(sample=10)).leaderboard().best
    assert (first.n, first.n_scored, first.errors) == (10, 8, 0)
    again = asyncio.run(exp.run(sample=10)).leaderboard().best
    assert (again.n, again.n_scored) == (10, 10)


def test_labelling_and_calibrating_on_the_command_line(
    report: wb.Report, server: StandIn, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`workbench label` asks for what is left, takes y, n, s and q and nothing else; `calibrate` reports the judge."""
    answers = iter(["maybe", "y", "s", "n", "q"])
    monkeypatch.setattr("builtins.input", lambda prompt: next(answers))
    assert run_command(["label", report.run_id, "--n", "10", "--by", "me", "--json", str(home / "l.json")]) == 0
    out = capsys.readouterr().out
    assert "sim-openai-fast" not in out  # the arm stays hidden
    assert json.loads((home / "l.json").read_text()) == {"items": 10, "left": 8, "metric": "judge"}
    label_all(report, 60)
    line = ["calibrate", f"judge:{RUBRIC}", "--dataset", "tickets", "--json", str(home / "c.json")]
    assert run_command([*line, "--base-url", f"anthropic={server.url}"]) == 0
    found = json.loads((home / "c.json").read_text())
    assert found["n"] >= 60
    assert 0.5 < found["agreement"]["value"] <= 1
    assert run_command(["calibrate", "judge:Another rubric.", "--dataset", "invoices"]) == 2


def test_grades_on_the_command_line(
    server: StandIn, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`workbench label` takes every grade of a scale, the lowest as well; the words for pairs are none of its own."""
    graded = wb.scorers.judge(RUBRIC, scale=(1, 5))
    exp = wb.Experiment("g", "ticket-triage@v3", "tickets", "openai:gpt-6-luna", graded)
    asyncio.run(exp.run(sample=5))
    answers = iter(["1", "6", "2", "t", "5", "q"])
    monkeypatch.setattr("builtins.input", lambda prompt: next(answers))
    assert run_command(["label", "--by", "me"]) == 0
    assert {one.value for one in load_labels("tickets")} == {1.0, 2.0, 5.0}
    assert "first" not in capsys.readouterr().out


def test_a_confirmation_pays_for_its_anchors(report: wb.Report, server: StandIn) -> None:
    """A calibrated judge's anchors are asked from the confirmation's own money, before its trials: together they never
    pass its cap, and what is refused comes before anything is asked."""
    label_all(report, 60)
    judge = wb.scorers.judge(RUBRIC)
    asyncio.run(wb.calibrate(judge, "tickets", check=False))
    exp = wb.Experiment("c", "ticket-triage@v3,v4", "tickets", "openai:gpt-6-luna", judge)
    sides = "ticket-triage@v4", "ticket-triage@v3"
    asked = server.control("stats")["requests"]
    with pytest.raises(PlanError):
        asyncio.run(exp.confirm(*sides, budget_usd=-1))
    assert server.control("stats")["requests"] == asked
    session = current().ledger
    before = session.spent_usd
    with pytest.raises(BudgetReached):
        asyncio.run(exp.confirm(*sides, budget_usd=0.08, concurrency=32))
    assert 0 < session.spent_usd - before <= 0.08
    found = load_calibration(judge, "tickets")
    assert found is not None and found.anchors_checked
    assert asyncio.run(exp.confirm(*sides, concurrency=32)).notes == ()


def test_a_replayed_confirmation_asks_no_judge(report: wb.Report, server: StandIn) -> None:
    """In replay nobody is asked for the anchors either, and the verdict says that they were not checked."""
    label_all(report, 60)
    judge = wb.scorers.judge(RUBRIC)
    asyncio.run(wb.calibrate(judge, "tickets"))
    exp = wb.Experiment("c", "ticket-triage@v3,v4", "tickets", "openai:gpt-6-luna", judge)
    sides = "ticket-triage@v4", "ticket-triage@v3"
    asyncio.run(exp.confirm(*sides, concurrency=32))
    asked, checked = server.control("stats")["requests"], load_calibration(judge, "tickets")
    verdict = asyncio.run(exp.confirm(*sides, cache="replay", budget_usd=0.0001))
    assert server.control("stats")["requests"] == asked
    assert load_calibration(judge, "tickets") == checked
    assert any("not held against its anchors" in note for note in verdict.notes)
    assert "not held against its anchors" in str(verdict)
