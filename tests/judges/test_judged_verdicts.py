"""A judge informs until people's labels say how far it can be trusted; then it decides, corrected by them."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

import workbench as wb
from workbench.cli import run_command
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
