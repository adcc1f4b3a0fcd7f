"""kill -9 at any moment: nothing that was paid for is paid for again."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from workbench.cache import Cache
from workbench.records import canonical, sha256
from workbench.report import load_report

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.sim import StandIn

CONCURRENCY = 8
KILLS = 10
SAMPLE = 60
LINE = [
    sys.executable,
    "-c",
    "from workbench.cli import main; main()",
    "run",
    "ticket-triage@v2,v4",
    "--dataset",
    "tickets",
    "--models",
    "openai:gpt-6-luna",
    "--scorer",
    "json_fields:category,priority",
    "--sample",
    str(SAMPLE),
    "--concurrency",
    str(CONCURRENCY),
]


def start(server: StandIn, home: Path, *more: str, **options) -> subprocess.Popen[str]:
    """A real run in a process of its own."""
    command = [*LINE, "--base-url", f"openai={server.url}/v1", *more]
    return subprocess.Popen(
        command,
        env=os.environ | {"WORKBENCH_HOME": str(home)},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )


def stored(home: Path) -> set[str]:
    """The questions whose replies are on disk, named as the server names them."""
    names = set()
    for entry in Cache(home / ".workbench" / "cache").entries():
        identity = json.loads(entry.identity)
        content = {k: v for k, v in identity.items() if k not in ("origin", "repeat", "schema")}
        names.add(f"{sha256(canonical(content))}/{identity['repeat']}")
    return names


def asked(server: StandIn) -> dict[str, int]:
    """Requests per question, by the server's count."""
    return {key: counts["requests"] for key, counts in server.control("stats")["by_key"].items()}


def test_kill_9_repeats_only_what_was_in_flight(server: StandIn, home: Path) -> None:
    """Ten runs killed at seeded moments, then one to the end: no stored reply is asked again, and each kill costs at
    most the calls that were in flight."""
    server.control("settings", {"latency_s": 0.03})
    draw = random.Random(7)
    kept: dict[str, int] = {}
    for _ in range(KILLS):
        before = sum(asked(server).values())
        process = start(server, home)
        enough = before + draw.randint(1, 2 * SAMPLE // KILLS + CONCURRENCY)
        while sum(asked(server).values()) < enough and process.poll() is None:
            pass
        process.send_signal(signal.SIGKILL)
        process.communicate()
        now = asked(server)
        assert all(now[key] == count for key, count in kept.items()), "a stored reply was asked for again"
        kept = {key: now[key] for key in stored(home)}
    process = start(server, home)
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert f"{2 * SAMPLE} of {2 * SAMPLE} trials" in out
    counts = asked(server)
    assert all(counts[key] == count for key, count in kept.items())
    assert len(counts) == 2 * SAMPLE
    assert sum(counts.values()) - len(counts) <= KILLS * CONCURRENCY


def test_ctrl_c_lets_paid_calls_finish(server: StandIn, home: Path) -> None:
    """The first Ctrl-C keeps what is under way, says once how to go on, exits with 130; the same line finishes."""
    server.control("settings", {"latency_s": 0.05})
    process = start(server, home)
    while not asked(server):
        assert process.poll() is None, process.communicate()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 130
    assert (out + err).count("the same line resumes it") == 1
    stats = server.control("stats")
    assert stats["answered"] == stats["requests"] == len(stored(home))
    again = start(server, home)
    again.communicate()
    assert again.returncode == 0
    assert server.control("stats")["requests"] == 2 * SAMPLE


def test_full_disk_stops_clearly_and_loses_nothing(server: StandIn, home: Path) -> None:
    """When a file can grow no further the run stops with the reason and the cure, and every row so far can be read."""

    def small_files() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))

    process = start(server, home, preexec_fn=small_files)
    _, err = process.communicate()
    assert process.returncode == 1
    assert "Traceback" not in err
    assert "free space" in err
    report = load_report("latest")
    rows = list(report.rows())
    assert len(rows) == report.done < 2 * SAMPLE
    again = start(server, home)
    again.communicate()
    assert again.returncode == 0
    assert load_report("latest").done == 2 * SAMPLE


def test_workspace_that_cannot_be_written_is_refused_clearly(server: StandIn, home: Path) -> None:
    """Where `.workbench` cannot be a folder, the run ends with the reason before anything is sent."""
    (home / "other").mkdir()
    (home / "other" / ".workbench").write_text("in the way")
    process = start(server, home / "other")
    _, err = process.communicate()
    assert process.returncode == 1
    assert "Traceback" not in err
    assert ".workbench" in err
    assert not asked(server)
