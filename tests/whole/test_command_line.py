"""The command line: what it prints, what it writes, how it ends."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import workbench as wb
from workbench.cli import run_command

if TYPE_CHECKING:
    from workbench.sim import StandIn

DATA = Path(__file__).parents[3] / "shared" / "data"
SCORER = ("--scorer", "json_fields:category,priority")


@pytest.fixture
def line(server: StandIn):
    """Run a command line against the shared server; returns its exit code."""

    def call(*arguments: str) -> int:
        return run_command([*arguments, "--base-url", f"openai={server.url}/v1"])

    return call


def test_run_writes_one_object(line, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`run --json` writes the leaderboard, totals and run as one JSON object, and ends with 0."""
    code = line(
        "run",
        "ticket-triage@v2,v4",
        "--dataset",
        "tickets",
        "--tiers",
        "fast",
        "--providers",
        "openai",
        *SCORER,
        "--repeats",
        "2",
        "--sample",
        "10",
        "--concurrency",
        "64",
        "--budget",
        "2",
        "--json",
        str(home / "out.json"),
    )
    assert code == 0
    out = json.loads((home / "out.json").read_text())
    assert set(out) == {"leaderboard", "totals", "run"}
    assert [(row["prompt"], row["model"], row["metric"], row["n"], row["n_scored"]) for row in out["leaderboard"]] == [
        ("ticket-triage@v4", "sim-openai-fast", "json_fields", 20, 20),
        ("ticket-triage@v2", "sim-openai-fast", "json_fields", 20, 20),
    ]
    for row in out["leaderboard"]:
        assert 0 <= row["low"] <= row["mean"] <= row["high"] <= 1
        assert row["cost_usd"] == pytest.approx(row["spent_usd"])
        assert row["metrics"]["category"]["correct"] >= 0
    assert out["totals"]["done"] == 40
    assert "declared in behaviour.toml" in capsys.readouterr().out


def test_json_on_standard_output_is_all_there_is(line, capsys: pytest.CaptureFixture[str]) -> None:
    """With `--json -` standard output is the object and nothing else."""
    assert (
        line("run", "ticket-triage@v4", "-d", "tickets", "--tiers", "fast", *SCORER, "--sample", "2", "--json", "-")
        == 0
    )
    assert json.loads(capsys.readouterr().out)["totals"]["done"] == 2


def test_exit_codes_of_runs(line, server: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    """A failed trial ends with 1, a budget that is reached with 3 and its reason."""
    common = ("run", "ticket-triage@v2", "-d", "tickets", *SCORER)
    server.control("faults", [{"kind": "bad_request", "times": 1}])
    assert line(*common, "--models", "openai:gpt-6-luna", "--sample", "5") == 1
    assert "failed:" in capsys.readouterr().out
    assert line(*common, "--models", "openai:gpt-6.1-sol", "--budget", "0.08") == 3
    assert "budget of $0.08 reached" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "ticket-triage@v9", "-d", "tickets", "-s", "exact"], "v4"),
        (["run", "ticket-triag", "-d", "tickets", "-s", "exact"], "ticket-triage"),
        (["run", "ticket-triage", "-d", "ticket", "-s", "exact"], "tickets"),
        (["run", "ticket-triage", "-d", "tickets", "-s", "exakt"], "exact"),
        (["run", "ticket-triage", "-d", "tickets", "-s", "exact", "--tiers", "fats"], "fast"),
        (["run", "ticket-triage", "-d", "tickets", "-s", "exact", "--providers", "anthropi"], "anthropic"),
        (["run", "ticket-triage", "-d", "tickets", "-s", "exact", "--budget", "0"], "more than 0"),
        (["run", "ticket-triage", "-d", "tickets", "-s", "exact", "--repeats", "0"], "1 or more"),
        (["run", "ticket-triage", "-d", "tickets", "-s", "exact", "--sample", "0"], "at least 1"),
        (["run", "ticket-triage", "-d", "tickets", "-s", "exact", "--cache", "maybe"], "replay"),
        (
            ["run", "ticket-triage", "-d", "tickets", "-s", "exact", "--live", "--base-url", "openai=http://x"],
            "one of them",
        ),
        (["run", "ticket-triage", "-d", "tickets", "-s", "exact", "--base-url", "nobody=http://x"], "anthropic"),
        (["run", "ticket-triage", "-d", "tickets", "-s", "exact", "--base-url", "openai"], "name=value"),
        (["run", "ticket-triage", "-d", "tickets", "-s", "exact", "--recordings", "no.jsonl"], "no.jsonl: No such"),
        (["run", "ticket-triage", "-d", "tickets", "-s", "exact", "--live"], "ANTHROPIC_API_KEY"),
        (["report", "no-such-run"], "there are none"),
        (["run", "ticket-triage", "-d", "tickets"], "--scorer"),
        (["fly"], "fly"),
    ],
)
def test_bad_usage_ends_with_2_and_the_choices(arguments, says, capsys: pytest.CaptureFixture[str]) -> None:
    """What does not exist or cannot be ends with 2, in one sentence that names what would work."""
    assert run_command(arguments) == 2
    captured = capsys.readouterr()
    assert says in captured.err
    assert "Traceback" not in captured.err


def test_looking_commands(line, capsys: pytest.CaptureFixture[str], home: Path) -> None:
    """plan, runs, report, prompts, cache and doctor show what there is and end with 0."""
    assert line("plan", "ticket-triage@v2", "-d", "tickets", "--tiers", "fast", *SCORER, "--sample", "3") == 0
    assert "3 = 1 arm × 3 cases" in capsys.readouterr().out
    line("run", "ticket-triage@v2", "-d", "tickets", "--tiers", "fast", *SCORER, "--sample", "3")
    for arguments, says in [
        (["runs"], "ticket-triage@v2"),
        (["report", "--wrong", "2", "--by", "tag"], "lowest json_fields"),
        (["prompts"], "invoice-fields@v4"),
        (["prompts", "show", "ticket-triage@v3"], "type: chat"),
        (["prompts", "diff", "ticket-triage@v2", "ticket-triage@v3"], "{+"),
        (["cache"], "3 replies"),
        (["cache", "export", str(home / "r.jsonl")], "3 recordings"),
        (["doctor"], "WORKBENCH_RUN_BUDGET"),
    ]:
        capsys.readouterr()
        assert run_command(arguments) == 0
        assert says in capsys.readouterr().out


def test_a_broken_prompt_hides_no_other(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A version file that cannot be read is named beside all the others, and the exit code says so."""
    (home / "prompts" / "mine").mkdir(parents=True)
    (home / "prompts" / "mine" / "v1.yaml").write_text("a: [")
    (home / "prompts" / "mine" / "v2.yaml").write_bytes(b"prompt: M\xfcnchen")
    assert run_command(["prompts"]) == 2
    told = capsys.readouterr()
    assert "ticket-triage@v4" in told.out and "mine" not in told.out
    assert "mine/v1.yaml" in told.err and "mine/v2.yaml: cannot be read: line 1 is not UTF-8" in told.err


def test_doctor_says_everything_that_is_wrong(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is broken does not keep doctor from showing the rest; each fault is told once, and the exit code says so."""
    (home / ".workbench" / "cache").mkdir(parents=True)
    (home / ".workbench" / "cache" / "cache.db").write_text("no database")
    (home / "catalog.toml").write_text("[[model]")
    (home / ".env").write_text("WORKBENCH_CONCURENCY=3\n")
    assert run_command(["doctor"]) == 2
    told = capsys.readouterr()
    assert "WORKBENCH_RUN_BUDGET" in told.out and "genai-prices" in told.out
    assert all(told.err.count(what) == 1 for what in ("file is not a database", "catalog.toml", "WORKBENCH_CONCURENCY"))
    (home / ".env").write_text("no line of settings\n")
    assert run_command(["doctor"]) == 2
    assert capsys.readouterr().err.count(".env, line 1") == 1


def test_doctor_names_a_catalog_of_ones_own(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Doctor says that the workspace's own catalog is in force, and which file it is."""
    (home / "catalog.toml").write_text('[[model]]\nprovider = "ollama"\nid = "mine:3b"\ntier = "fast"\n')
    assert run_command(["doctor"]) == 0
    assert f"known, with those of {home / 'catalog.toml'} over the shipped ones" in capsys.readouterr().out


def test_where_json_goes_is_known_before_the_run(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that cannot be written is refused before anything is asked or paid for."""
    common = ("run", "ticket-triage@v2", "-d", "tickets", "--tiers", "fast", *SCORER, "--sample", "1", "--json")
    for where, fault in [(home / "no folder" / "x.json", "there is no folder"), (home, "is a folder")]:
        assert run_command([*common, str(where)]) == 2
        assert fault in capsys.readouterr().err
    assert not (home / ".workbench" / "runs").exists()


def test_cache_why_names_the_difference(line, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A miss is explained by the nearest stored request and the fields that differ; a hit is called one."""
    line("run", "ticket-triage@v2", "-d", "tickets", "--tiers", "fast", *SCORER, "--sample", "1")
    row = json.loads(next((home / ".workbench" / "runs").glob("*/rows.jsonl")).read_text())
    capsys.readouterr()
    common = ("--dataset", "tickets", "--case", row["case_id"], "--model", "openai:gpt-6-luna")
    assert line("cache", "why", "ticket-triage@v2", *common) == 0
    assert "a hit" in capsys.readouterr().out
    assert line("cache", "why", "ticket-triage@v2", *common, "--repeat", "3") == 0
    assert "repeat: '3' now, '0' stored" in capsys.readouterr().out
    assert line("cache", "why", "ticket-triage@v3", *common) == 0
    assert "system message" in capsys.readouterr().out


def test_doctor_never_shows_a_key(
    monkeypatch: pytest.MonkeyPatch, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Doctor says where each setting comes from, and of a key only that it is set."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-from-environment")
    (home / ".env").write_text("ANTHROPIC_API_KEY=sk-secret-from-file\nOPENAI_BASE_URL=http://me:pw@host/v1\n")
    assert run_command(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "secret" not in out
    assert "pw" not in out
    assert re.search(r"ANTHROPIC_API_KEY +set, hidden +\.env", out)
    assert re.search(r"OPENAI_API_KEY +set, hidden +environment", out)
    assert "http://***@host/v1" in out
    assert "catalog.toml" not in out
    monkeypatch.setenv("WORKBENCH_RUN_BUDGET", "plenty")
    assert run_command(["doctor"]) == 2


def test_our_own_crash_is_70(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A fault of ours shows its traceback, says whose fault it is, and ends with 70."""
    monkeypatch.setattr("workbench.report.runs", lambda: 1 / 0)
    assert run_command(["runs"]) == 70
    captured = capsys.readouterr().err
    assert "ZeroDivisionError" in captured
    assert "not of your input" in captured


def test_sim_command_serves_until_interrupted(home: Path) -> None:
    """`workbench sim` prints the addresses, answers there as a stand-in, and ends cleanly with Ctrl-C."""
    import signal
    import urllib.request

    process = subprocess.Popen(
        [sys.executable, "-c", "from workbench.cli import main; main()", "sim"],
        text=True,
        stdout=subprocess.PIPE,
        env=os.environ | {"WORKBENCH_HOME": str(home)},
    )
    try:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(4)]
        url = lines[1].strip().partition("anthropic=")[2]
        with urllib.request.urlopen(f"{url}/sim/identity") as answer:
            assert json.load(answer)["origin"].startswith("sim:")
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate()
    assert process.returncode == 0


def test_truth_is_exact(capsys: pytest.CaptureFixture[str]) -> None:
    """`sim truth` prints expected scores, the leader of the tickets 20 points ahead on every tier."""
    from workbench.truth import expected_scores

    assert run_command(["sim", "truth", "ticket-triage@v4", "--tiers", "fast", "--providers", "openai"]) == 0
    assert "Declared, not measured" in capsys.readouterr().out
    for tier in ("fast", "balanced", "powerful"):
        found = {
            row.arm.partition(" × ")[0]: row.expected["json_fields"]
            for row in expected_scores(
                ["ticket-triage"], "tickets", ["json_fields:category,priority"], models=tier, providers="openai"
            )
        }
        leader, second = sorted(found.values(), reverse=True)[:2]
        assert leader - second >= 0.20


def test_truth_leaves_out_what_is_unscored() -> None:
    """Expected scores are means over what is scored, with how much that is: unscored is not zero."""
    from workbench.truth import expected_scores

    tickets = wb.load_dataset("tickets").dev.cases[:20]
    scored = {case.id for case in tickets[:15]}

    @wb.scorer
    def some(case: wb.Case, reply: wb.Reply) -> bool | None:
        return True if case.id in scored else None

    @wb.scorer
    def none(case: wb.Case, reply: wb.Reply) -> None:
        return None

    found = expected_scores(
        ["ticket-triage@v2"], wb.Dataset("tickets", tickets), [some, none, "json_fields"],
        models="openai:gpt-6-luna", split="all",
    )  # fmt: skip
    (truth,) = found
    assert truth.expected["some"] == pytest.approx(1.0) and truth.scored["some"] == pytest.approx(15)
    assert "none" not in truth.expected and 0 < truth.expected["json_fields"] < 1
    assert "1.0000 (15 of 20 scored)" in str(found) and "unscored (0 of 20 scored)" in str(found)
    assert "20 of 20" not in str(found)


@pytest.mark.skipif(not DATA.is_dir(), reason="the recorded GSM8K answers lie outside the repository and are not here")
def test_gsm8k_recordings_give_the_published_counts(home: Path) -> None:
    """Real models' recorded answers to 1,319 questions, through HTTP, cache, rows and `numeric`, count exactly as
    published."""
    folder = home / "prompts" / "maths"
    folder.mkdir(parents=True)
    (folder / "v1.yaml").write_text('name: maths\ntype: text\nprompt: "{{question}}"\n')
    names = ["6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification"]
    code = run_command(
        [
            "run",
            "maths@v1",
            "--dataset",
            str(DATA / "gsm8k-test.jsonl"),
            "--scorer",
            "numeric",
            "--models",
            ",".join(f"openai:{name}" for name in names),
            "--concurrency",
            "64",
            "--recordings",
            str(DATA / "gsm8k-recorded.jsonl"),
            "--json",
            str(home / "out.json"),
        ]
    )
    assert code == 0
    board = json.loads((home / "out.json").read_text())["leaderboard"]
    assert {row["model"]: row["correct"] for row in board} == dict(zip(names, (286, 515, 458, 742), strict=True))
    assert {(row["n"], row["n_scored"], row["source"]) for row in board} == {(1319, 1319, "recorded")}


def test_unsent_results_have_their_own_exit_code(
    server: StandIn, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run whose results Langfuse did not take is done, says how many are left and how to send them, and exits 6."""
    from workbench.cli.experiments import run_and_show
    from workbench.client import current
    from workbench.langfuse.server import Address, Server

    with Server(Address("http://127.0.0.1:9", "pk-lf-nobody", "sk-lf-nobody", stand_in=True)) as nobody:
        session = current()
        session.langfuse, session.traces = (lambda: nobody), True
        experiment = wb.Experiment("unsent", "ticket-triage@v2", "tickets", "openai:gpt-6-luna", "exact")
        assert run_and_show(experiment, {"sample": 5}, None) == 6
    assert run_command(["langfuse"]) == 6
    said = capsys.readouterr().out
    assert "5 results are not yet in Langfuse" in said and "workbench langfuse sync" in said and "sk-lf" not in said


def test_runs_that_measured_nothing_end_with_1(line, capsys: pytest.CaptureFixture[str]) -> None:
    """Where no answer could be scored the run ends with 1, with the reason on the screen."""
    common = ("run", "ticket-triage@v2", "-d", "tickets", "--models", "openai:fast", "--sample", "4")
    assert line(*common, "-s", "json_fields:ctegory") == 1
    assert "4 of 4 answers unscored: json_fields raised KeyError" in " ".join(capsys.readouterr().out.split())
    assert line(*common, "-s", "json_fields:category") == 0


def test_a_rerun_says_that_it_paid_nothing(line, capsys: pytest.CaptureFixture[str]) -> None:
    """The last line tells what this start spent apart from what the run cost in all."""
    common = ("run", "ticket-triage@v2", "-d", "tickets", "--models", "openai:fast", "--sample", "4", *SCORER)
    assert line(*common) == 0
    assert "spent now" not in capsys.readouterr().out
    assert line(*common) == 0
    out = capsys.readouterr().out
    assert re.search(r"4 of 4 trials \(4 from before\), .* \$0 spent now; in all \$0\.0\d+ spent at list price", out)


@pytest.mark.parametrize("option", ["--models", "--tiers", "--providers", "--split", "--name", "--scorer"])
def test_an_empty_option_is_not_the_default(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty text, as an unset variable of a shell gives it, is refused: it must not mean all models."""
    assert run_command(["run", "ticket-triage@v2", "-d", "tickets", "-s", "exact", option, ""]) == 2
    assert f"{option} is empty" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["run", "race"])
def test_test_cases_need_a_yes(line, command: str, server: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    """Unseen test cases are shown only where --use-test-cases says so; cases that were seen need no yes."""
    common = (command, "ticket-triage@v2,v4", "-d", "tickets", "--models", "openai:fast", *SCORER, "--split", "test")
    assert line(*common) == 2
    assert "0 of 166 stay unseen. Say --use-test-cases" in capsys.readouterr().err
    assert server.control("stats")["requests"] == 0
    assert line(*common, "--use-test-cases") == 0
    assert line(*common) == 0


def test_the_budget_that_is_told_is_the_one_given(
    line, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--live --budget 1` says 1 dollar, once nothing is refused any more, and each note once."""
    common = ("run", "ticket-triage@v2", "-d", "tickets", "--models", "openai:fast", "--sample", "1", *SCORER)
    limits = ("--live", "--budget", "1")
    assert run_command([*common, *limits]) == 2
    assert "Live" not in capsys.readouterr().out
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    run_command([*common, *limits, "--concurrency", "1"])
    captured = capsys.readouterr()
    assert "Live: real calls are made and paid for, $1 in all." in captured.out and "$5" not in captured.out
    assert (captured.out + captured.err).count("anthropic is left out") == 1
