"""Labels: how they are drawn, kept and read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from judge_parts import RUBRIC, run

import workbench as wb
from workbench.errors import LabelError, StorageError
from workbench.labels import label, label_queue, load_labels

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.sim import StandIn


@pytest.fixture
def report(server: StandIn) -> wb.Report:
    """Two arms, judged."""
    return run([wb.scorers.json_fields(), wb.scorers.judge(RUBRIC)], sample=40)


def test_the_queue_hides_arm_score_and_reason(report: wb.Report) -> None:
    """Nothing that shows an unlabelled item names its arm or what the judge said; labelled, it shows both."""
    queue = label_queue(report, 20, seed=1)
    reasons = {row["reasons"]["judge"] for row in report.rows()}
    for shown in (queue._repr_html_(), repr(queue), repr(list(queue)), repr(queue[0])):
        assert "ticket-triage" not in shown and "sim-openai" not in shown and not any(one in shown for one in reasons)
    with pytest.raises(LabelError, match="no label yet"):
        queue.hidden(0)
    queue.label(0, True, by="tester")
    assert queue.hidden(0)["arms"][0].startswith("ticket-triage@") and queue.hidden(0)["reason"] in reasons
    html = queue._repr_html_()
    assert html.count("ticket-triage@") == 1 and html.count("hidden") == 2 * 19


def test_the_queue_is_random_over_arms_and_the_same_for_a_seed(report: wb.Report) -> None:
    """A seed draws the same replies again, another seed others; every reply comes once and from the report."""
    one, same, other = (label_queue(report, 30, seed) for seed in (1, 1, 2))
    assert list(one) == list(same) != list(other)
    replies = [(str(inputs), output) for inputs, _, output in one]
    assert len(set(replies)) == len(replies) == 30
    outputs = {row["output"] for row in report.rows()}
    assert {output for _, output in replies} <= outputs
    for index in range(30):
        one.label(index, True, by="tester")
    arms = [one.hidden(index)["arms"][0] for index in range(30)]
    assert len(set(arms)) == 2
    narrowed = label_queue(report, 30, 1, arms=["ticket-triage@v4"])
    mine = {row["output"] for row in report.rows() if row["version"] == "v4"}
    assert {output for _, _, output in narrowed} <= mine


def test_labelling_goes_on_later(report: wb.Report) -> None:
    """The same queue opened again knows what has its label."""
    label_queue(report, 5, seed=1).label(2, False, "wrong field", by="tester")
    assert label_queue(report, 5, seed=1).left == [0, 1, 3, 4]


def test_a_label_belongs_to_a_reply(report: wb.Report, home: Path) -> None:
    """A label is found by case and output, whatever arm or run gave it, and never for another output of the case."""
    queue = label_queue(report, 1, seed=1)
    kept = queue.label(0, True, "fine", by="tester")
    labels = load_labels("tickets")
    assert labels.of(kept.case_id, kept.outputs[0], "judge") == kept
    assert labels.of(kept.case_id, kept.outputs[0] + " ", "judge") is None
    assert labels.of(kept.case_id, kept.outputs[0], "polite") is None
    (line,) = (home / "datasets" / "labels" / "tickets.jsonl").read_text().splitlines()
    entry = json.loads(line)
    assert (entry["chosen"], entry["by"], entry["note"], entry["value"]) == ("queue", "tester", "fine", True)
    assert entry["at"] and len(entry["output_sha"][0]) == 64


def test_the_last_label_of_a_reply_counts(report: wb.Report) -> None:
    """Labels are appended; of several on one reply the last counts, but a note never replaces a drawn one."""
    queue = label_queue(report, 1, seed=1)
    first = queue.label(0, True, by="tester")
    queue.label(0, False, by="tester")
    label("tickets", first.case_id, first.outputs[0], True, by="tester")
    labels = load_labels("tickets")
    assert len(labels.all) == 3
    assert labels.of(first.case_id, first.outputs[0], "judge").value is False
    assert [one.value for one in labels.queue("judge")] == [False]


def test_hostile_replies_are_text(report: wb.Report) -> None:
    """Model output in a queue is text: no tag of it reaches the page."""
    rows = report.folder / "rows.jsonl"
    entries = [json.loads(line) for line in rows.read_text().splitlines()]
    for entry in entries:
        entry["output"] = f"<script>alert({entry['case_id']!r})</script>"
    rows.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    queue = label_queue(wb.load_report(report.folder), 10)
    assert "<script" not in queue._repr_html_() and "&lt;script" in queue._repr_html_()
    kept = queue.label(0, False, by="tester")
    assert load_labels("tickets").of(kept.case_id, kept.outputs[0], "judge") == kept


def test_bad_labels_are_refused(report: wb.Report, home: Path) -> None:
    """Unknown cases, items, metrics, arms and values are named errors with the cure, and nothing is written."""
    queue = label_queue(report, 3)
    wrong = [
        (lambda: label("tickets", "t-a0001", "x", True), "did you mean 't-a001'"),
        (lambda: queue.label(3, True), "counted from 0"),
        (lambda: queue.label(0, "good"), "True or False"),
        (lambda: queue.label(0, 2), "outside the metric's bounds"),
        (lambda: queue.label(0, float("nan")), "True or False"),
        (lambda: label_queue(report, 3, metric="juge"), "did you mean 'judge'"),
        (lambda: label_queue(report, 3, arms=["ticket-triage@v9"]), "no arm"),
        (lambda: label_queue(report, 0), "1 or more"),
        (lambda: load_labels("../etc"), "cannot hold labels"),
    ]
    for make, words in wrong:
        with pytest.raises(LabelError, match=words):
            make()
    assert not (home / "datasets" / "labels").exists()


def test_damaged_files_name_the_line(home: Path) -> None:
    """A line that is no label is named; a last line left open does not swallow the next label."""
    label("tickets", "t-a001", "x", True, by="tester")
    path = home / "datasets" / "labels" / "tickets.jsonl"
    path.write_text(path.read_text().rstrip("\n"))
    label("tickets", "t-a002", "y", False, by="tester")
    assert len(load_labels("tickets")) == 2
    path.write_text(path.read_text() + '{"case_id": 3}\n')
    with pytest.raises(LabelError, match=r"tickets\.jsonl, line 3"):
        load_labels("tickets")


def test_grades_lie_within_the_bounds_of_their_scorer(server: StandIn) -> None:
    """A grade of what a mapping gives is held against the bounds of the scorer that gave it, and of no other."""

    @wb.scorer(bounds=(1, 5))
    def tone(case: wb.Case, reply: wb.Reply) -> dict[str, float]:
        return {"kind": 3.0}

    queue = label_queue(run([wb.scorers.json_fields(), tone], sample=5), 2, metric="kind")
    queue.label(0, 4, by="tester")
    with pytest.raises(LabelError, match="bounds, 1 to 5"):
        queue.label(1, 0, by="tester")


def test_a_full_disk_is_said(home: Path) -> None:
    """Where labels cannot be written, the error says so."""
    (home / "datasets").write_text("a file where a folder is needed")
    with pytest.raises(StorageError, match="cannot be written"):
        label("tickets", "t-a001", "x", True, by="tester")
