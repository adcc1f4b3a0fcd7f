"""Whole nights: notebooks of a workspace, run by nbval or nbclient in kernels of their own."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import nbformat
import pytest
from night_parts import FIRST, GATE, RUN, edit, keep, write_notebook

import workbench as wb
from workbench import connect
from workbench.cli import run_command
from workbench.client import use
from workbench.connect import process_ledger
from workbench.nightly import kernel
from workbench.regressions.baseline import read

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.sim import StandIn


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
    write_notebook(home, "x = 1\nassert x == 2", name="e_asserts")
    (home / "notebooks" / "baselines").mkdir()
    (home / "notebooks" / "baselines" / "a_fine.json").write_text("{}")
    assert run_command(["nightly"]) == 1
    said = capsys.readouterr().out
    assert "5 notebooks, 5 FAILED" in said and "[1] x = 1: AssertionError: assert x == 2" in said
    assert "No cell of the notebook held a report against it" in said
    assert "the </script> reason" in said and "&lt;/script&gt; reason" in summary(home, "summary.html")
    assert "Notebook does not appear to be JSON" in said
    assert "c_dies: 2 cells, 1 failed" in said and "exit status 1" in said


def test_a_dead_kernel_is_noticed_at_once(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A kernel that ends in a cell is told as dead, with the cell and how its process ended, long before the cell's
    time is over; a cell that is only slow still ends as a time-out."""
    write_notebook(home, "1", "# a comment\nimport os\nos._exit(3)", "2", name="a_exits")
    write_notebook(home, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)", name="b_killed")
    began = time.monotonic()
    assert run_command(["nightly"]) == 1
    assert time.monotonic() - began < 300  # of 600 that one cell may take
    said = capsys.readouterr().out
    assert "[2] import os: The kernel died: its process ended with exit status 3." in said
    assert "The kernel died: its process was ended by SIGKILL, as when memory runs out." in said
    write_notebook(home, "import time; time.sleep(60)", name="c_slow")
    assert run_command(["nightly", "c_slow", "--timeout", "1"]) == 1
    assert "[1] import time; time.sleep(60): Timeout of 1 seconds exceeded" in capsys.readouterr().out


def test_a_changed_output_says_what_it_was_and_is(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A changed output names the notebook, the cell by the number and line that the notebook shows, and what the output
    was and is, cut short, in every summary; hostile text stays text in each of them."""
    hostile = "<img src=x onerror=alert(1)> | `tick` [a](https://evil.example) www.evil.example"
    path = write_notebook(home, "1", "# told\nprint('the same ' * 30 + TEXT)", "'kept'", "2")
    notebook = nbformat.read(path, as_version=4)
    text = f"TEXT = {'now ' + hostile!r}"
    for cell, number in zip(notebook.cells, (2, 7, 8, None), strict=True):
        cell.execution_count, cell.metadata["tags"] = number, ["nbval-check-output"]
    notebook.cells[0].source = text
    notebook.cells[1].outputs = [nbformat.v4.new_output("stream", text="the same " * 30 + "then " + hostile)]
    notebook.cells[2].outputs = [nbformat.v4.new_output("execute_result", {"text/plain": "'kept'"}, execution_count=8)]
    nbformat.write(notebook, path)
    assert run_command(["nightly"]) == 1
    said = capsys.readouterr().out
    line = "[7] print('the same ' * 30 + TEXT): The output changed, stdout: was “…"
    assert line in said and "4 cells, 1 failed" in said
    (told,) = [one for one in said.splitlines() if line in one]
    assert "the same then <img" in told and "is “…" in told and "the same now <img" in told and len(told) < 500
    (suite,) = ElementTree.fromstring(summary(home, "junit.xml"))
    (case,) = [case for case in suite if case.find("failure") is not None]
    assert case.get("classname") == "small" and case.get("name") == "[7] print('the same ' * 30 + TEXT)"
    assert (case.find("failure").get("message") or "") in told
    html, markdown = summary(home, "summary.html"), summary(home, "summary.md")
    assert "<img" not in html and "<b>[7] print(" in html and "the same now &lt;img" in html
    assert "<img" not in markdown and "://" not in markdown and "www." not in markdown
    assert r"**small**, \[7\] print(" in markdown and r"\`tick\`" in markdown


def test_markdown_has_a_line_for_each_change(small: Path, home: Path) -> None:
    """The Markdown summary lists the first ten changes of a check, a line for each, and how many more there are."""
    edit(small, lambda content: content["arms"][0]["scores"].update(json_fields=[0.25] * 30))
    assert run_command(["nightly"]) == 1
    lines = summary(home, "summary.md").splitlines()
    changes = [line for line in lines if line.startswith("  - ")]
    assert len(changes) == 11 and changes[-1] == "  - … and 20 more"
    assert all(line.count(" was ") == 1 for line in changes[:10])


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
    assert "1 not sure" in said and "too small to see a change of 5.0 points; about 212 cases would do" in said
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
    assert "[2] import os; os._exit(1): The kernel died: its process ended with exit status 1." in said
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


def test_a_disk_that_refuses_is_no_crash(run, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A baseline or a report's page that cannot be written ends with its sentence and cure, the old one as it was."""
    report = run()
    path = home / "notebooks" / "baselines"
    path.parent.mkdir()
    path.write_text("in the way")
    assert run_command(["baseline", "small", "--from", "latest", "--yes"]) == 1
    assert "small.json: cannot be written" in capsys.readouterr().err
    (report.folder / "report.html").mkdir()
    assert run_command(["report", "latest"]) == 1
    assert "report.html: cannot be written" in capsys.readouterr().err


def test_a_kernel_says_what_was_really_spent(server: StandIn) -> None:
    """What a kernel tells its night is what left the purse: rows that were replaced and judges count, hits do not, and
    without a cap nothing is over it."""
    process_ledger.cache_clear()
    connect.at({name: server.url + path for name, path in connect.PATHS.items()})
    exp = wb.Experiment("k", "ticket-triage@v4", "tickets", "openai:gpt-6-luna", wb.scorers.judge("Right?"))

    async def work() -> tuple[dict[str, Any], float]:
        spent = 0.0
        for cache in ("on", "refresh", "on"):
            started = exp.start(sample=5, cache=cache)
            await started
            spent += started.spent_usd
        return json.loads((await kernel.finish({})).removeprefix(kernel.MARK)), spent

    said, spent = asyncio.run(work())
    process_ledger.cache_clear()
    assert said == {"spent_usd": pytest.approx(spent), "over_budget": False}
    assert spent > 0
