"""One report against its baseline: exactly where replies were replayed."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
from night_parts import edit, keep

import workbench as wb
from workbench.cache import Cache
from workbench.client import use
from workbench.errors import RegressionFound
from workbench.nightly import night
from workbench.prompts import to_yaml
from workbench.regressions.baseline import VARIABLE, measured, read, to_text
from workbench.regressions.records import Regression

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.report import Report


def test_same_run_is_green(run, home: Path) -> None:
    """A report is green against its own baseline, says the same on every call, and `require` returns it."""
    report = run()
    keep(report, home)
    found = wb.regression(report, "notebooks/baselines/small.json")
    assert found.ok and found.state == "green" and found.require() is found
    assert found.how == "exact" and found.trials == 60
    assert repr(found) == "Regression(small: green, 4 exact checks)"
    assert str(found) == str(wb.regression(report, "small"))
    assert "\n" not in repr(found)


def test_changed_score_names_case_and_field(run, home: Path) -> None:
    """One changed score is red and names arm, case and field, also when the file's seal was renewed."""
    report = run()
    path = keep(report, home)
    case = read(path).cases[7]

    def change(content) -> None:
        values = content["arms"][1]["scores"]["json_fields"]
        values[7] = 0.25

    edit(path, change)
    found = wb.regression(report, path)
    (changed,) = found.changes
    assert found.state == "red" and not found.ok
    assert (changed.case_id, changed.field, changed.then) == (case, "scores.json_fields", "0.25")
    assert changed.arm == "ticket-triage@v3 × sim-openai-fast"
    with pytest.raises(RegressionFound, match=f"case {case}: scores.json_fields was 0.25") as raised:
        found.require()
    assert raised.value.exit_code == 1


def night_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A night that replays keeps watch in that folder."""
    folder.mkdir()
    (folder / "night.json").write_text(json.dumps({"live": False, "checks": 1}))
    monkeypatch.setenv(VARIABLE, str(folder))


def test_a_red_finding_outlives_a_green_one(run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several reports held against one baseline in a night every finding is kept, and the worst decides."""
    good, bad = run(), run(sample=20)
    keep(good, home)
    night_in(home / "night", monkeypatch)
    assert [wb.regression(one, "small").state for one in (good, bad, good)] == ["green", "red", "green"]
    found = night._findings("small", home / "night", live=False, over_budget=False)
    assert [one.state for one in found] == ["green", "red", "green"]
    assert night.Part("small", (), found).outcome == "red"


def test_a_folder_that_refuses_is_a_red_check(run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be left for the night is red and says why; neither that nor an impossible name raises in the cell."""
    report = run()
    keep(report, home)
    night_in(home / "night", monkeypatch)
    (home / "night" / "small.measured.json").mkdir()
    found = wb.regression(report, "small")
    assert [check.name for check in found.checks if check.state == "red"] == ["night"]
    assert "small.measured.json: cannot be written" in str(found)
    assert wb.regression(report, "x" * 400).state == "red"


def test_edited_by_hand_is_said(run, home: Path) -> None:
    """A file that was edited by hand is red for that alone, and still says what it would change."""
    report = run()
    path = keep(report, home)
    edit(path, lambda content: content["arms"][0]["cost_usd"].__setitem__(0, 1.0), seal=False)
    found = wb.regression(report, path)
    assert [check.name for check in found.checks if check.state == "red"] == ["baseline", "replay"]
    assert "edited since it was written" in str(found)
    assert found.changes[0].field == "cost_usd" and found.changes[0].then == "1.0"


def test_missing_recording_is_named(run, home: Path) -> None:
    """A trial whose reply is not recorded any more is red, by its case and `error_type`."""
    report = run()
    keep(report, home)
    for file in (home / ".workbench" / "runs").rglob("*.*"):
        file.unlink()
    for file in (home / ".workbench" / "cache").rglob("*.*"):
        file.unlink()
    found = wb.regression(run(cache="replay"), "small")
    assert not found.ok
    fields = {change.field: change.now for change in found.changes}
    assert fields["error_type"] == "NotRecorded" and fields["cost_usd"] == "nothing"
    assert found.changes[0].case_id


def test_changed_prompt_names_cases(run, home: Path) -> None:
    """A prompt whose text changed under the same version is red: its content, and the first cases that cost more."""
    keep(run("ticket-triage@v2"), home)
    folder = home / "prompts" / "ticket-triage"
    folder.mkdir(parents=True)
    old = to_yaml(wb.load_prompt("ticket-triage@v2"))
    (folder / "v2.yaml").write_text(old.replace("You sort", "You carefully and patiently sort"), "utf-8")
    found = wb.regression(run("ticket-triage@v2"), "small")
    (check,) = [check for check in found.checks if check.name == "replay"]
    assert check.state == "red" and "The prompt's content was" in check.sentence
    assert {change.field for change in check.changes} >= {"cost_usd"}


def test_recordings_travel(run, home: Path) -> None:
    """Exported recordings play back what was recorded; one that is missing is red, named by its case."""
    run("ticket-triage@v2")
    lines = home / "recorded.jsonl"
    Cache(home / ".workbench" / "cache").export(lines)

    def played() -> Report:
        wb.offline(recordings=lines, latency_s=0)
        exp = wb.Experiment("played", "ticket-triage@v2", "tickets", "fast", "json_fields:category", providers="openai")
        return asyncio.run(exp.run(sample=30))

    try:
        report = played()
        path = keep(report, home)
        assert report.source == "recorded" and report.totals()["errors"] == 0
        assert wb.regression(report, path).state == "green"
        kept = lines.read_text("utf-8").splitlines(keepends=True)
        lines.write_text("".join(kept[1:]), "utf-8")
        found = wb.regression(played(), path)
    finally:
        use(None)
    assert found.state == "red"
    assert {change.field for change in found.changes} >= {"error_type", "cost_usd"}
    assert len({change.case_id for change in found.changes}) == 1


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("missing", "there is no baseline notebooks/baselines/small.json: `workbench baseline small --from latest`"),
        ("torn", "cannot be read"),
        ("schema", "has schema 99, and this version reads 1"),
        ("columns", "is no baseline"),
        ("list", "has schema None"),
        ("arms", "is for other arms"),
        ("dataset", "is for dataset policy-qa"),
        ("source", "holds live replies"),
    ],
)
def test_bad_baselines(run, home: Path, fault: str, said: str) -> None:
    """A baseline that cannot be used makes a red check with the cure, never a traceback."""
    report = run()
    path = keep(report, home)
    if fault == "missing":
        path.unlink()
    elif fault == "torn":
        path.write_text(path.read_text("utf-8")[:500], "utf-8")
    elif fault == "list":
        path.write_text("[1]", "utf-8")
    else:
        edit(path, {
            "schema": lambda c: c.update(schema=99),
            "columns": lambda c: c["arms"][0]["cost_usd"].pop(),
            "arms": lambda c: [arm.update(version="v9") for arm in c["arms"]],
            "dataset": lambda c: c.update(dataset="policy-qa"),
            "source": lambda c: c.update(source="live"),
        }[fault])  # fmt: skip
    found = wb.regression(report, "small")
    (check,) = [check for check in found.checks if check.state == "red"]
    assert said in check.sentence and "workbench baseline small" in check.sentence
    assert str(home) not in str(found)


def test_empty_report(run, home: Path) -> None:
    """A report without rows passes no gate."""
    report = run()
    keep(report, home)
    (report.folder / "rows.jsonl").write_text("")
    found = wb.regression(wb.load_report(report.folder), "small")
    assert not found.ok and "no rows" in str(found)


def test_other_cases_and_arms_are_said(run, home: Path) -> None:
    """Cases and arms that only one of the two has are red and named."""
    keep(run(), home)
    found = wb.regression(run(sample=20), "small")
    assert "10 cases are no longer there" in str(found)
    found = wb.regression(run("ticket-triage@v2"), "small")
    assert "ticket-triage@v3 × sim-openai-fast: This arm was not run now." in str(found)
    found = wb.regression(run("ticket-triage@v2,v3,v4"), "small")
    assert "ticket-triage@v4 × sim-openai-fast: This arm is not in the baseline." in str(found)


def test_repeats_are_told_apart(run, home: Path) -> None:
    """A change in one repeat of a case names that repeat."""
    exp = wb.Experiment("r", "ticket-triage@v2", "tickets", "fast", "json_fields:category", 2, providers="openai")
    report = asyncio.run(exp.run(sample=5))
    path = keep(report, home)
    edit(path, lambda content: content["arms"][0]["cost_usd"].__setitem__(3, 1.0))
    (changed,) = wb.regression(report, path).changes
    assert (changed.case_id, changed.repeat) == (read(path).cases[1], 1)


def test_file_is_stable_and_reads_back(run, home: Path) -> None:
    """The file's text depends on what was measured alone, and reading it gives the same record."""
    report = run()
    path = keep(report, home)
    assert read(path) == measured(report)
    again = run(cache="refresh")
    assert to_text(measured(again)) == path.read_text("utf-8")
    assert len([line for line in path.read_text("utf-8").splitlines() if '"prompt_sha"' in line]) == 2


def test_shown_as_text_and_table(run, home: Path) -> None:
    """The HTML form is escaped and holds no script; what a hostile case is called stays text."""
    report = run()
    path = keep(report, home)
    found = Regression.from_json(json.loads(json.dumps(wb.regression(report, path).to_json())))
    assert found == wb.regression(report, path)
    text = path.read_text("utf-8").replace(read(path).cases[0], "<img src=x onerror=alert(1)>")
    path.write_text(text, "utf-8")
    html = wb.regression(report, path)._repr_html_()
    assert "<img" not in html and "<script" not in html and "&lt;img" in html
    assert "Simulated: declared, not measured." in html
