"""Whole nights: notebooks of a workspace, run by nbval or nbclient in kernels of their own."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import nbformat
import pytest
from night_parts import FIRST, GATE, RUN, edit, keep, write_notebook

from workbench.cli import run_command
from workbench.client import use
from workbench.regressions.baseline import read

if TYPE_CHECKING:
    from pathlib import Path


def summary(home: Path, name: str, live: bool = False) -> str:
    """A file of the newest night."""
    (folder,) = [one for one in (home / ".workbench" / "nightly").iterdir() if one.name.endswith("-live") == live]
    return (folder / name).read_text("utf-8")


@pytest.fixture
def small(offline_report, home: Path) -> Path:
    """A workspace with a small notebook and the baseline of what it runs; the path of the baseline."""
    use(None)
    write_notebook(home, FIRST, RUN, GATE)
    return keep(offline_report, home)


def test_the_gate_bites(small: Path, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    """A night passes as it is, fails with one score changed in the baseline and with one prompt changed in the tree,
    and names case and field each time."""
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(home / "job.md"))
    assert run_command(["nightly"]) == 0
    assert "1 passed" in capsys.readouterr().out
    assert (home / "job.md").read_text("utf-8") == summary(home, "summary.md")
    _well_formed(home)
    case = read(small).cases[4]
    before = small.read_text("utf-8")
    edit(small, lambda content: content["arms"][0]["scores"]["json_fields"].__setitem__(4, 0.123))
    assert run_command(["nightly"]) == 1
    said = capsys.readouterr().out
    assert f"ticket-triage@v2 × sim-openai-fast, case {case}: scores.json_fields was 0.123" in said
    assert case in summary(home, "summary.html") and "scores.json_fields" in summary(home, "junit.xml")
    small.write_text(before, "utf-8")
    _change_prompt(home)
    assert run_command(["nightly"]) == 1
    said = capsys.readouterr().out
    assert "The prompt's content was" in said
    assert "ticket-triage@v3 × sim-openai-fast, case " in said and ": cost_usd was " in said
    assert "ticket-triage@v2 × sim-openai-fast, case " not in said


def _change_prompt(home: Path) -> None:
    from workbench.prompts import load_prompt, to_yaml

    folder = home / "prompts" / "ticket-triage"
    folder.mkdir(parents=True, exist_ok=True)
    text = to_yaml(load_prompt("ticket-triage@v3"))
    (folder / "v3.yaml").write_text(text.replace("You sort", "You slowly sort"), "utf-8")


def _well_formed(home: Path) -> None:
    """The page asks nobody for anything and runs no script; the XML counts every cell and check."""
    html = summary(home, "summary.html")
    assert "default-src 'none'" in html and "<script" not in html and "http" not in html.replace("http-equiv", "")
    (suite,) = ElementTree.fromstring(summary(home, "junit.xml"))
    assert suite.get("tests") == "7" and suite.get("failures") == "0"


def test_faults_of_notebooks_are_told_apart(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A torn file, a dead kernel, a cell that raises and a baseline nobody looked at each fail with their reason, and
    the others run on."""
    write_notebook(home, "1 + 1", name="a_fine")
    (home / "notebooks" / "b_torn.ipynb").write_text("{", "utf-8")
    write_notebook(home, "import os; os._exit(1)", "2", name="c_dies")
    write_notebook(home, "raise ValueError('the </script> reason')", name="d_raises")
    (home / "notebooks" / "baselines").mkdir()
    (home / "notebooks" / "baselines" / "a_fine.json").write_text("{}")
    assert run_command(["nightly", "--timeout", "5"]) == 1
    said = capsys.readouterr().out
    assert "4 notebooks, 4 FAILED" in said
    assert "No cell of the notebook held a report against it" in said
    assert "the </script> reason" in said and "&lt;/script&gt; reason" in summary(home, "summary.html")
    assert "Notebook does not appear to be JSON" in said
    assert "c_dies: 2 cells, 1 failed" in said and "Timeout of 5 seconds" in said


def test_nothing_to_run(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No notebook, an unknown one, a live night without a cap and a cap without a live night are wrong usage."""
    assert run_command(["nightly"]) == 2
    write_notebook(home, "1")
    for arguments in (["other"], ["--live"], ["--live", "--budget", "0"], ["--budget", "5"]):
        assert run_command(["nightly", *arguments]) == 2
    said = capsys.readouterr().err
    assert "no notebooks in" in said and "there are: small" in said and "--budget 5" in said


def test_missing_nbval_is_said(home: Path, capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    """Where nbval is not installed the message says how to get it."""
    write_notebook(home, "1")
    monkeypatch.setattr("workbench.nightly.replayed.find_spec", lambda name: None if name == "nbval" else name)
    assert run_command(["nightly"]) == 2
    assert "pip install nbval" in capsys.readouterr().err


def test_live_night_is_capped_over_notebooks(running_server, home: Path, capsys, monkeypatch, small: Path) -> None:
    """A live night calls the models under one cap: what one notebook spent the next one lacks, and the night ends with
    3 when the money does not last. Nothing is spent beyond it."""
    running_server.control("reset", {})
    monkeypatch.setenv("OPENAI_BASE_URL", f"{running_server.url}/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-nobody-may-read-this")
    source = (home / "notebooks" / "small.ipynb").read_text("utf-8")
    assert run_command(["nightly", "--live", "--budget", "5"]) == 0
    said = capsys.readouterr().out
    assert "1 not sure" in said and "too small to see a change of 5.0 points" in said
    assert (home / "notebooks" / "small.ipynb").read_text("utf-8") == source
    spent = float(said.split("$")[1].split(" of")[0])
    assert spent > 0
    write_notebook(home, FIRST, RUN.replace("v2,v3", "v2,v4"), name="t_second")
    write_notebook(home, FIRST, RUN.replace("v2,v3", "v1,v4"), name="v_third")
    for old in (home / ".workbench" / "nightly").glob("*-live/*/home"):
        shutil.rmtree(old)  # or the first notebook's replies would all be hits
    assert run_command(["nightly", "--live", "--budget", f"{spent * 1.3:.6f}"]) == 3
    said = capsys.readouterr().out
    assert "NOT DONE, budget reached  t_second" in said
    assert float(said.split("$")[1].split(" of")[0]) <= spent * 1.3
    for file in (home / ".workbench" / "nightly").rglob("*"):
        assert not file.is_file() or b"sk-nobody-may-read-this" not in file.read_bytes()


def test_live_alarm_is_asked_again(running_server, home: Path, capsys, monkeypatch, small: Path) -> None:
    """An alarm of a live night asks its flipped cases again before it fails, says so, and fails where it stands; a
    notebook without the switch is not run live, and a dead kernel's budget counts as spent."""
    running_server.control("reset", {})
    monkeypatch.setenv("OPENAI_BASE_URL", f"{running_server.url}/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    edit(small, lambda c: [arm["scores"].update(json_fields=[1.0] * 30) for arm in c["arms"]])
    write_notebook(home, "1", name="t_no_switch")
    write_notebook(home, FIRST, "import os; os._exit(1)", name="u_dies")
    write_notebook(home, FIRST, name="v_late")
    assert run_command(["nightly", "--live", "--budget", "5"]) == 1
    said = capsys.readouterr().out
    assert "Asked again, " in said and "flipped cases leave a change of -" in said and "it stands" in said
    assert "It has no line `LIVE = False`" in said
    assert "its budget counts as spent" in said
    assert "NOT DONE, budget reached  v_late" in said
    notebook = nbformat.read(home / "notebooks" / "u_dies.ipynb", as_version=4)
    assert not notebook.cells[0].outputs


def test_baseline_command_shows_and_asks(run, home: Path, capsys, monkeypatch) -> None:
    """A baseline is written by command alone: it shows every change, asks, and writes only when told to."""
    report = run()
    assert run_command(["baseline", "small"]) == 2
    assert "no night has measured small" in capsys.readouterr().err
    monkeypatch.setattr("builtins.input", lambda _: "n")
    assert run_command(["baseline", "small", "--from", "latest"]) == 2
    assert not (home / "notebooks").exists()
    assert run_command(["baseline", "small", "--from", report.run_id, "--yes"]) == 0
    path = home / "notebooks" / "baselines" / "small.json"
    edit(path, lambda content: content["arms"][0]["scores"]["json_fields"].__setitem__(0, 0.125))
    capsys.readouterr()
    before = path.read_text("utf-8")
    assert run_command(["baseline", "small", "--from", "latest"]) == 2
    assert "scores.json_fields was 0.125" in capsys.readouterr().out and path.read_text("utf-8") == before
    monkeypatch.setattr("builtins.input", lambda _: "y")
    assert run_command(["baseline", "small", "--from", "latest"]) == 0
    assert run_command(["baseline", "small", "--from", "latest"]) == 0
    assert "nothing changes" in capsys.readouterr().out
