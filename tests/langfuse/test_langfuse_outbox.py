"""The outbox: whatever Langfuse does, no run fails, nothing is lost, and nothing arrives twice."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

import workbench as wb
from workbench.cli import run_command
from workbench.client import current
from workbench.errors import LangfuseAway, SettingsError
from workbench.langfuse import entries, outbox
from workbench.langfuse.patience import Patience
from workbench.langfuse.server import Address, Server
from workbench.prompts import Prompt
from workbench.sim import StandInLangfuse
from workbench.sim.langfuse import PUBLIC_KEY, SECRET_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from workbench.sim import StandIn

FIELDS = wb.scorers.json_fields("category", "priority")
SPANS, SCORES = "POST /api/public/otel/v1/traces", "POST /api/public/scores"
NOBODY = Address("http://127.0.0.1:9", PUBLIC_KEY, SECRET_KEY, stand_in=True)


def connected(remote: Server | None) -> None:
    """Send the runs of this session there."""
    current().langfuse = lambda: remote
    current().traces = True


def run(sample: int = 4, prompts: Any = "ticket-triage@v2", name: str = "t", dataset: Any = "tickets", **more: Any):
    """Run to the end; `more` goes to the Experiment."""
    exp = wb.Experiment(name, prompts, dataset, more.pop("models", "openai:gpt-6-luna"), FIELDS, **more)
    return asyncio.run(exp.run(sample=sample))


def whole(langfuse: StandInLangfuse, *reports: wb.Report) -> None:
    """Every row is there exactly once: two spans and its scores, and nothing else."""
    rows = [row for report in reports for row in report.rows()]
    assert not [row["error"] for row in rows if row["error"]]
    spans, scores = langfuse.control("traces"), langfuse.control("scores")
    assert len({(s["trace_id"], s["span_id"]) for s in spans}) == len(spans) == 2 * len(rows)
    assert len({s["trace_id"] for s in spans}) == len(rows)
    assert len({s["id"] for s in scores}) == len(scores)
    assert len(scores) == sum(value is not None for row in rows for value in row["scores"].values())
    assert {s["traceId"] for s in scores} <= {s["trace_id"] for s in spans}


@pytest.fixture
def restarted(tmp_path: Path) -> Iterator[StandInLangfuse]:
    """A stand-in of its own, with a store that outlives it."""
    with StandInLangfuse(tmp_path / "langfuse.sqlite") as own:
        yield own


def test_2000_trials_with_the_server_away_arrive_when_it_is_back(
    server: StandIn, restarted: StandInLangfuse, tmp_path: Path
) -> None:
    """A run of 2,000 trials while the server is away says what is unsent; with the server back they arrive whole, and
    sending once more changes nothing."""
    port = int(restarted.url.rpartition(":")[2])
    with Server(Address(restarted.url, PUBLIC_KEY, SECRET_KEY, stand_in=True)) as remote:
        restarted.close()
        connected(remote)
        report = run(50, "ticket-triage@v2,v4", repeats=20)
        assert report.done >= 2000 and report.unsent == report.done and "nobody answers" in report.message
        assert f"{report.done:,} results are not yet in Langfuse" in report.message
        with StandInLangfuse(tmp_path / "langfuse.sqlite", port=port) as back:
            synced = outbox.sync(remote)
            assert synced.unsent == 0 and synced.sent[0].trials == report.done
            whole(back, report)
            asked = back.control("stats")
            assert outbox.sync(remote).sent == () and back.control("stats") == asked
            entry = entries.load(report.run_id)
            assert entry is not None
            entries.save(replace(entry, offset=0))
            assert outbox.sync(remote).sent[0].trials == report.done
            whole(back, report)
        assert wb.load_report(report.run_id).message == ""


FAULTS = {
    "spans 503": [{"route": SPANS, "status": 503, "times": 1}],
    "scores 500": [{"route": SCORES, "status": 500, "times": 1}],
    "spans done, answer lost": [{"route": SPANS, "close": True, "done": True, "times": 1}],
    "scores done, answer lost": [{"route": SCORES, "close": True, "done": True, "times": 1}],
    "connection dropped": [{"route": SCORES, "close": True, "times": 1}],
    "scores done, then 500": [{"route": SCORES, "status": 500, "done": True, "times": 1, "after": 1}],
    "too many, too long": [{"route": SCORES, "status": 429, "retry_after": 3600, "times": 1}],
    "prompts away": [{"route": "POST /api/public/v2/prompts", "status": 503, "times": None}],
    "items away": [{"route": "POST /api/public/dataset-items", "status": 503, "times": 1}],
    "project away": [{"route": "GET /api/public/projects", "status": 503, "times": 1}],
}


@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS)
def test_a_fault_loses_nothing(
    faults: list[dict[str, Any]], server: StandIn, langfuse: StandInLangfuse, remote: Server
) -> None:
    """Whatever fails, the run finishes and says what is unsent, and the next sync brings it, without doubles."""
    connected(remote)
    langfuse.control("faults", faults)
    report = run(36)
    assert report.state == "finished" and report.unsent == report.done and "workbench langfuse sync" in str(report)
    assert outbox.unsent().rows == report.done
    langfuse.control("faults", [])
    synced = outbox.sync(remote)
    assert synced.unsent == 0 and report.unsent == 0 and not outbox.unsent().runs
    whole(langfuse, report)


def test_a_429_is_waited_for(server: StandIn, langfuse: StandInLangfuse, remote: Server) -> None:
    """A server that asks for a short wait gets everything in the same sending."""
    connected(remote)
    langfuse.control("faults", [{"route": "*", "status": 429, "retry_after": 0, "times": 2}])
    report = run()
    assert report.unsent == 0
    whole(langfuse, report)


def test_patience_ends() -> None:
    """A server that always asks to come back at once is left alone in the end."""
    patience, asked = Patience(0.25), []

    def always() -> None:
        asked.append(1)
        raise LangfuseAway("too many", status=429, retry_after_s=0.0)

    with pytest.raises(LangfuseAway, match="too many"):
        patience.ask(always)
    assert len(asked) == 3


def test_rejected_scores_are_kept_with_their_reason(server: StandIn, langfuse: StandInLangfuse, remote: Server) -> None:
    """What the server rejects with 207 is counted and explained, and not sent again."""
    connected(remote)
    langfuse.control("faults", [{"route": SCORES, "reject": [0, 2], "times": 1}])
    report = run()
    entry = entries.load(report.run_id)
    assert entry is not None and entry.rejected == 2 and "rejected" in entry.reasons[0]
    assert report.unsent == 0 and outbox.sync(remote).sent == () and "rejected 2 parts" in report.message
    assert langfuse.control("stats")["requests"][SCORES] == 1
    for told in (outbox.unsent(), outbox.sync(remote)):
        assert told.complete
        assert str(told) == f"everything is in Langfuse, except 2 parts that Langfuse rejected: {report.run_id} (2)"


def test_413_makes_batches_smaller(server: StandIn, langfuse: StandInLangfuse, remote: Server) -> None:
    """A server that finds batches too large gets smaller ones."""
    connected(remote)
    langfuse.control(
        "faults", [{"route": SPANS, "status": 413, "times": 1}, {"route": SCORES, "status": 413, "times": 1}]
    )
    report = run()
    assert report.unsent == 0
    whole(langfuse, report)


def test_a_refused_trial_lets_the_others_through(server: StandIn, langfuse: StandInLangfuse, remote: Server) -> None:
    """One trial that the server refuses is named, and does not hold up the rest."""
    connected(remote)
    langfuse.control("faults", [{"route": SPANS, "status": 400, "times": 4}])
    report = run(8)
    entry = entries.load(report.run_id)
    assert entry is not None and (entry.rejected, len(entry.reasons)) == (1, 1) and report.unsent == 0
    assert len(langfuse.control("traces")) == 2 * (report.done - 1)


@pytest.mark.parametrize("status", [400, 404, 405])
def test_a_server_that_refuses_everything_gets_it_later(
    status: int, server: StandIn, langfuse: StandInLangfuse, remote: Server
) -> None:
    """When not one trial is taken, it is the server that is wrong: everything waits."""
    connected(remote)
    langfuse.control("faults", [{"route": SPANS, "status": status, "times": None}])
    report = run()
    assert report.unsent == report.done and str(status) in report.message
    langfuse.control("faults", [])
    assert outbox.sync(remote).unsent == 0
    whole(langfuse, report)


def test_wrong_keys(server: StandIn, langfuse: StandInLangfuse) -> None:
    """Wrong keys stop the sending with their reason, without the key, and the run is as it would be without them."""
    with Server(Address(langfuse.url, PUBLIC_KEY, "sk-lf-wrong-one", stand_in=True)) as wrong:
        connected(wrong)
        report = run()
    assert report.state == "finished" and report.unsent == report.done
    assert "LANGFUSE_SECRET_KEY" in report.message and "sk-lf" not in report.message
    assert "sk-lf" not in entries.path_of(report.run_id).read_text()
    assert langfuse.control("traces") == []


def test_settings_that_are_wrong_do_not_end_a_run(server: StandIn) -> None:
    """When no Langfuse can be opened the run goes on, and the report says why nothing goes there."""

    def broken() -> Server | None:
        raise SettingsError("LANGFUSE_BASE_URL is missing")

    current().langfuse, current().traces = broken, True
    report = run()
    assert report.state == "finished" and "LANGFUSE_BASE_URL is missing" in report.message and report.unsent == 0


def test_without_traces_nothing_is_kept_or_asked(server: StandIn, home: Path) -> None:
    """A session without traces opens no Langfuse and leaves no outbox."""

    def never() -> Server | None:
        raise AssertionError("it was opened")

    current().langfuse, current().traces = never, False
    assert run().message == "" and not (home / ".workbench" / "outbox").exists()


def test_a_resumed_run_sends_only_what_is_new(server: StandIn, langfuse: StandInLangfuse, remote: Server) -> None:
    """A stopped run sends what it has; resumed, it sends the rest alone."""
    connected(remote)
    seen: list[object] = []
    exp = wb.Experiment("t", "ticket-triage@v2", "tickets", "openai:gpt-6-luna", FIELDS)

    async def stopped() -> wb.Report:
        task = exp.start(
            sample=20, concurrency=1, on_row=lambda row: (seen.append(row), len(seen) == 5 and task.stop())
        )
        return await task

    first = asyncio.run(stopped())
    assert first.state == "stopped" and first.unsent == 0
    whole(langfuse, first)
    second = asyncio.run(exp.run(sample=20))
    assert second.unsent == 0 and second.done == 20
    whole(langfuse, second)


def test_an_interrupted_run_sends_what_it_has(server: StandIn, langfuse: StandInLangfuse, remote: Server) -> None:
    """Interrupted once, a run sends the rows it has before it ends."""
    connected(remote)
    exp = wb.Experiment("t", "ticket-triage@v2", "tickets", "openai:gpt-6-luna", FIELDS)
    seen: list[object] = []

    async def interrupted() -> None:
        def on_row(row: object) -> None:
            seen.append(row)
            if len(seen) == 5:
                asyncio.get_running_loop().call_soon(task._task.cancel)

        task = exp.start(sample=20, concurrency=1, on_row=on_row)
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(interrupted())
    report = wb.load_report()
    assert report.unsent == 0 and 5 <= report.done < 20
    whole(langfuse, report)


def test_failed_trials_tried_again_arrive_once(server: StandIn, langfuse: StandInLangfuse, remote: Server) -> None:
    """A trial that failed and succeeded a day later is one trace, that of the success."""
    connected(None)
    report = run(6)
    path = report.folder / "rows.jsonl"
    answered, *others = path.read_text().splitlines()
    failed = json.loads(answered) | {"error": "away", "error_type": "X", "output": None, "scores": {}}
    failed["finished_at"] -= 86400
    path.write_text("\n".join([json.dumps(failed), *others]) + "\n")
    outbox.open_entry(report.run_id, remote.address)
    outbox.sync(remote)
    assert levels(langfuse) == {"ERROR": 2, "DEFAULT": 10}
    path.write_text(path.read_text() + answered + "\n")
    assert outbox.sync(remote).sent[0].trials == 1
    whole(langfuse, wb.load_report(report.run_id))
    assert levels(langfuse) == {"DEFAULT": 12}


def levels(langfuse: StandInLangfuse) -> dict[str, int]:
    """How many spans have which level."""
    return Counter(s["attributes"]["langfuse.observation.level"] for s in langfuse.control("traces"))


def test_the_file_of_rows_may_be_broken(server: StandIn, langfuse: StandInLangfuse, remote: Server) -> None:
    """A line that is no row is skipped, a last line without its end waits until it is whole."""
    connected(None)
    report = run(5)
    path = report.folder / "rows.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    odd = json.dumps(json.loads(lines[0]) | {"case_id": "odd", "scores": None}) + "\n"
    path.write_text("".join([*lines[:2], "not a row\n", '{"run_id": 1}\n', "[]\n", odd, *lines[2:4], lines[4][:-10]]))
    outbox.open_entry(report.run_id, remote.address)
    assert outbox.send(remote, report.run_id).trials == 4 and report.unsent == 0
    path.write_text(path.read_text() + lines[4][-10:])
    assert report.unsent == 1 and outbox.send(remote, report.run_id).trials == 1
    assert len({s["trace_id"] for s in langfuse.control("traces")}) == 5


def test_a_run_made_anew_goes_out_anew(server: StandIn, langfuse: StandInLangfuse, remote: Server) -> None:
    """When a run's folder was deleted and the run made again, what was confirmed of the old rows counts for nothing."""
    connected(remote)
    report = run(4)
    for file in report.folder.iterdir():
        file.unlink()
    again = run(4)
    assert again.unsent == 0 and again.done == 4
    spans = langfuse.control("traces")
    assert len({s["trace_id"] for s in spans}) == 4


def test_clocks_may_go_backwards(server: StandIn, langfuse: StandInLangfuse, remote: Server) -> None:
    """Rows whose times decrease, or lie before 1970, arrive like all others."""
    connected(None)
    report = run(5)
    path = report.folder / "rows.jsonl"
    rows = [json.loads(line) | {"finished_at": 1e9 * (2 - i)} for i, line in enumerate(path.read_text().splitlines())]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    outbox.open_entry(report.run_id, remote.address)
    assert outbox.send(remote, report.run_id).unsent == 0
    whole(langfuse, report)
    assert all(0 <= s["start_ns"] <= s["end_ns"] for s in langfuse.control("traces"))


def test_runs_of_another_server_wait_for_it(server: StandIn, langfuse: StandInLangfuse, remote: Server) -> None:
    """A sync sends the runs of its server and names those of others; a listing shows all, without any secret."""
    connected(None)
    here, there = run(3, name="here"), run(3, name="there")
    outbox.open_entry(here.run_id, remote.address)
    outbox.open_entry(there.run_id, Address("https://langfuse.example", "pk-lf-other", "sk-lf-other"))
    listing = outbox.unsent()
    assert {one.run_id for one in listing} == {here.run_id, there.run_id} and listing.rows == 6
    assert "langfuse.example" in str(listing) and "<table" in listing._repr_html_() and "sk-lf" not in str(listing)
    synced = outbox.sync(remote)
    assert [one.run_id for one in synced.sent] == [here.run_id]
    assert [one.run_id for one in synced.elsewhere] == [there.run_id] and synced.unsent == 3
    assert "langfuse.example" in outbox.send(remote, there.run_id).reason
    whole(langfuse, here)


def test_a_server_that_is_away_is_asked_once(server: StandIn) -> None:
    """With several runs waiting and nobody there, one attempt is made, and all runs get the reason."""
    connected(None)
    for name in ("one", "two"):
        outbox.open_entry(run(2, name=name).run_id, NOBODY)
    with Server(NOBODY) as nobody:
        synced = outbox.sync(nobody)
    assert synced.unsent == 4 and all("nobody answers" in one.reason for one in synced.sent)


def test_two_at_once(server: StandIn, langfuse: StandInLangfuse, remote: Server) -> None:
    """While one sends a run, another one is told so and sends nothing of it."""
    connected(None)
    report = run(4)
    outbox.open_entry(report.run_id, remote.address)
    with entries.held(report.run_id):
        sent = outbox.send(remote, report.run_id)
        assert sent.trials == 0 and sent.unsent == 4 and "another process" in sent.reason
    assert outbox.send(remote, report.run_id).trials == 4


SYNC = """
import sys
from workbench.langfuse import outbox
from workbench.langfuse.server import Address, Server
with Server(Address(sys.argv[1], "pk-lf-stand-in", "sk-lf-stand-in", stand_in=True)) as remote:
    print("ready", flush=True)
    print(outbox.sync(remote, lambda done, total: print("batch", done, flush=True)))
"""


def syncing(langfuse: StandInLangfuse, home: Path) -> subprocess.Popen[str]:
    """A process that syncs."""
    return subprocess.Popen(
        [sys.executable, "-c", SYNC, langfuse.url],
        env=os.environ | {"WORKBENCH_HOME": str(home)},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_kill_9_while_sending(server: StandIn, langfuse: StandInLangfuse, remote: Server, home: Path) -> None:
    """A process killed between and within batches leaves an outbox that the next sync finishes, without doubles."""
    connected(None)
    report = run(60, "ticket-triage@v2,v4", repeats=6)
    outbox.open_entry(report.run_id, remote.address)
    langfuse.control("faults", [{"route": "*", "delay_s": 0.01, "times": None}])
    for batches in (0, 1, 2):
        with syncing(langfuse, home) as child:
            assert child.stdout is not None
            for _ in range(1 + batches):
                child.stdout.readline()
            child.send_signal(signal.SIGKILL)
    assert 0 < report.unsent < report.done
    assert outbox.sync(remote).unsent == 0
    whole(langfuse, report)


def test_two_processes_syncing(server: StandIn, langfuse: StandInLangfuse, remote: Server, home: Path) -> None:
    """Two processes that sync the same outbox share it: every run is sent by one of them, nothing twice."""
    connected(None)
    reports = [run(40, name=name) for name in ("one", "two", "three")]
    for report in reports:
        outbox.open_entry(report.run_id, remote.address)
    with syncing(langfuse, home) as first, syncing(langfuse, home) as second:
        first.communicate()
        second.communicate()
    assert (first.returncode, second.returncode) == (0, 0)
    outbox.sync(remote)
    whole(langfuse, *reports)
    assert langfuse.control("stats")["requests"][SPANS] == len(reports)


def test_sending_can_be_stopped(server: StandIn, langfuse: StandInLangfuse, remote: Server) -> None:
    """Somebody who cannot wait stops between two batches; what is confirmed stays confirmed."""
    connected(None)
    report = run(60, "ticket-triage@v2,v4", repeats=2)
    outbox.open_entry(report.run_id, remote.address)
    stop = threading.Event()
    sent = outbox.send(remote, report.run_id, lambda done, total: stop.set(), stop=stop)
    assert sent.trials == 100 and sent.unsent == report.unsent == report.done - 100 and "stopped" in sent.reason
    assert outbox.sync(remote).unsent == 0
    whole(langfuse, report)


HOSTILE = "joe@example.com +49 30 1234567 4111 1111 1111 1111 sk-ant-api03-abc123456 X-99 \ud800"


def test_no_secret_is_sent(
    server: StandIn, langfuse: StandInLangfuse, remote: Server, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Addresses, phones, cards, keys and the user's patterns, in inputs, expected values, outputs, reasons and errors,
    are in nothing that Langfuse holds; with `mask_items` neither are they in its dataset."""
    (home / "pyproject.toml").write_text("[tool.workbench.mask]\nbadge = 'X-\\d\\d'\n")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "an odd phrase")
    connected(None)
    report = run(3)
    text = HOSTILE + " an odd phrase"
    path, cases = report.folder / "rows.jsonl", report.folder / "cases.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[0] |= {"output": text, "reasons": dict.fromkeys(rows[0]["scores"], text)}
    rows[1] |= {"error": text, "output": None, "scores": {}, "served_by": text, "request_id": text}
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    kept = [json.loads(line) for line in cases.read_text().splitlines()]
    told = HOSTILE[:-1] + " an odd phrase"
    kept = [
        case | {"inputs": case["inputs"] | {"ticket": told, "joe@example.com": 1}, "expected": told} for case in kept
    ]
    cases.write_text("".join(json.dumps(case) + "\n" for case in kept))
    outbox.open_entry(report.run_id, remote.address)
    assert outbox.send(remote, report.run_id, mask_items=True).unsent == 0
    held = "\n".join(langfuse.control("store"))
    for secret in ("joe@", "1234567", "4111", "abc123456", "X-99", "odd phrase", SECRET_KEY):
        assert secret not in held, secret
    assert all(shown in held for shown in ("[e-mail]", "[phone]", "[card]", "[key]", "[badge]"))


def test_items_go_verbatim_but_never_with_a_key(server: StandIn, langfuse: StandInLangfuse, remote: Server) -> None:
    """Cases go out as they are, unless one holds a key: that one is masked, and the sending says so."""
    connected(None)
    report = run(2)
    cases = report.folder / "cases.jsonl"
    kept = [json.loads(line) for line in cases.read_text().splitlines()]
    kept[0]["inputs"]["ticket"] = "from joe@example.com"
    kept[1]["inputs"]["ticket"] = "my key is sk-ant-api03-abc123456"
    cases.write_text("".join(json.dumps(case) + "\n" for case in kept))
    outbox.open_entry(report.run_id, remote.address)
    sent = outbox.send(remote, report.run_id)
    held = "\n".join(langfuse.control("store"))
    assert "from joe@example.com" in held and "abc123456" not in held and "my key is [key]" in held
    assert "hold a key" in sent.notes[0]


def test_drafts_are_not_pushed_and_refused_prompts_lose_their_link(
    server: StandIn, langfuse: StandInLangfuse, remote: Server
) -> None:
    """A draft and a prompt with a key in it never reach Langfuse; their trials do, without a link."""
    connected(remote)
    draft = wb.load_prompt("ticket-triage@v2").edit("Reply with", "Answer with")
    keyed = Prompt("keyed", "sk-ant-api03-abc123456 {{ticket}}", {"max_tokens": 64}, version="v1")
    report = run(2, [draft, keyed])
    generations = [s["attributes"] for s in langfuse.control("traces") if s["name"] == "generation"]
    assert report.unsent == 0 and len(generations) == 4
    assert not [one for one in generations if "langfuse.observation.prompt.name" in one]
    entry = entries.load(report.run_id)
    assert entry is not None and "keyed" in entry.notes[0] and "abc123456" not in "".join(langfuse.control("store"))


def test_items_are_remembered_per_server(server: StandIn, langfuse: StandInLangfuse, remote: Server) -> None:
    """A server that stays gets each item once, and again when the case has changed or changed back."""
    plain = Server(replace(remote.address, stand_in=False))
    connected(plain)
    route = "POST /api/public/dataset-items"
    with plain:
        run(3, name="one")
        run(3, name="two")
        assert langfuse.control("stats")["requests"][route] == 3
        for count, ticket in ((4, "changed"), (5, None)):
            report = run(3, name=f"run {count}")
            cases = report.folder / "cases.jsonl"
            kept = [json.loads(line) for line in cases.read_text().splitlines()]
            kept[0]["inputs"]["ticket"] = ticket or kept[0]["inputs"]["ticket"]
            cases.write_text("".join(json.dumps(case) + "\n" for case in kept))
            entry = entries.load(report.run_id)
            assert entry is not None
            entries.save(replace(entry, offset=0))
            outbox.sync(plain)
            assert langfuse.control("stats")["requests"][route] >= count


def test_a_broken_entry_stops_no_other(
    server: StandIn, langfuse: StandInLangfuse, remote: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    """An entry that cannot be read is named with its path and the cure, all others are listed and sent, its run counts
    as unsent, and the exit code says that something is left."""
    connected(None)
    broken, other = run(3, name="broken"), run(2, name="other")
    for report in (broken, other):
        outbox.open_entry(report.run_id, remote.address)
    path = entries.path_of(broken.run_id)
    path.write_bytes(path.read_bytes()[:100])
    listing = outbox.unsent()
    assert [one.run_id for one in listing] == [other.run_id] and path.name in str(listing)
    assert "delete it" in listing._repr_html_() and broken.unsent == 3 and path.name in broken.message
    synced = outbox.sync(remote)
    assert [one.trials for one in synced.sent] == [2] and not synced.complete and "delete it" in str(synced)
    assert run_command(["langfuse"]) == 6 and path.name in capsys.readouterr().out
    path.unlink()
    assert outbox.open_entry(broken.run_id, remote.address) and outbox.sync(remote).complete
    whole(langfuse, broken, other)


def test_a_wrong_address_can_be_put_right(server: StandIn, langfuse: StandInLangfuse, remote: Server) -> None:
    """Results for a Langfuse that was never reached go to the one that is set now, by the next sync or when the run is
    run again, and it is said; none of a real server go to a stand-in by themselves."""
    connected(None)
    wrong = Address("http://127.0.0.1:9", PUBLIC_KEY, SECRET_KEY)
    reports = [run(3, name=name) for name in ("synced", "again")]
    for report in reports:
        outbox.open_entry(report.run_id, wrong)
    with Server(wrong) as nobody:
        assert outbox.sync(nobody).unsent == 6 and "127.0.0.1:9" in reports[0].message
    assert outbox.sync(remote).unsent == 6 and outbox.sync(remote).sent == ()
    with Server(replace(remote.address, stand_in=False)) as real:
        connected(real)
        again = run(3, name="again")
        assert again.unsent == 0 and "instead of http://127.0.0.1:9" in again.message
        synced = outbox.sync(real)
    assert synced.complete and "instead of http://127.0.0.1:9" in str(synced)
    whole(langfuse, *reports)


def test_results_can_be_redirected(
    server: StandIn, langfuse: StandInLangfuse, remote: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another Langfuse has got in part waits for it until `--redirect` sends the whole run to the one that is set
    now, as the listing says."""
    connected(None)
    report = run(4)
    entry = outbox.open_entry(report.run_id, Address("http://127.0.0.1:9", "pk-lf-other", "sk-lf-other"))
    first = entry.rows.read_bytes().index(b"\n") + 1
    entries.save(replace(entry, project="reached").advanced(first))
    with Server(replace(remote.address, stand_in=False)) as real:
        assert outbox.open_entry(report.run_id, real.address).url == "http://127.0.0.1:9"
        waiting = outbox.sync(real)
    assert not waiting.complete and "--redirect" in str(waiting) and "--redirect" in str(outbox.unsent())
    assert "sends them to http://127.0.0.1:9, with --redirect" in report.message
    for name, text in (("BASE_URL", langfuse.url), ("PUBLIC_KEY", PUBLIC_KEY), ("SECRET_KEY", SECRET_KEY)):
        monkeypatch.setenv(f"LANGFUSE_{name}", text)
    assert run_command(["langfuse", "sync"]) == 6
    assert run_command(["langfuse", "sync", "--redirect"]) == 0
    assert run_command(["langfuse"]) == 0
    whole(langfuse, report)


def test_every_trial_is_one_generation_on_every_model(
    server: StandIn, langfuse: StandInLangfuse, remote: Server
) -> None:
    """Over providers, tiers and repeats each trial has ids of its own."""
    connected(remote)
    report = run(3, "ticket-triage@v2,v4", models="fast,balanced", repeats=2)
    whole(langfuse, report)
    counted = Counter(s["name"] for s in langfuse.control("traces"))
    assert counted == {"trial": report.done, "generation": report.done}


def test_rows_of_earlier_versions_go_out(server: StandIn, langfuse: StandInLangfuse, remote: Server) -> None:
    """Rows that lack the fields that were added later are rows, and arrive."""
    connected(None)
    report = run(5)
    path = report.folder / "rows.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        del row["judge_spent_usd"], row["uncertain_usd"], row["finished_at"]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    outbox.open_entry(report.run_id, remote.address)
    assert outbox.send(remote, report.run_id).trials == 5
