"""The stand-in server as a process: its identity, its start, and above all its end."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sim_parts import CASES, ROOT, ask_claude, claude, run

from workbench.sim import Behaviour, StandIn, origin_of
from workbench.sim.asked import Asked
from workbench.sim.config import Config
from workbench.sim.origin import behaviour_text, file_sha
from workbench.sim.process import StandInFailed
from workbench.sim.server import PortTaken, serve


def start(config: Config) -> subprocess.Popen[str]:
    """The bare module as a child, told its configuration."""
    child = subprocess.Popen(
        [sys.executable, "-m", "workbench.sim"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert child.stdin is not None
    child.stdin.write(config.to_json() + "\n")
    child.stdin.flush()
    return child


@pytest.mark.parametrize("how", ["stdin", "SIGTERM"])
def test_child_ends(how: str) -> None:
    """The server says where it listens in one line, and ends when its stdin closes or it is terminated."""
    with start(Config()) as child:
        assert child.stdout is not None
        assert child.stdin is not None
        hello = json.loads(child.stdout.readline())
        assert hello["url"].startswith("http://127.0.0.1:")
        assert (hello["origin"], hello["source"]) == (Config().origin, "simulated")
        if how == "stdin":
            child.stdin.close()
        else:
            child.send_signal(signal.SIGTERM)
        assert child.wait(5) == 0


def test_killed_parent_leaves_nothing() -> None:
    """When the parent is killed, the server ends by itself."""
    script = (
        "import os, signal; from workbench.sim import StandIn; server = StandIn(); server.start(); "
        "print(server._process.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=20)
    pid = int(done.stdout)
    deadline = time.monotonic() + 5
    while alive(pid) and time.monotonic() < deadline:
        pass
    assert not alive(pid)


def alive(pid: int) -> bool:
    """Whether the process runs; one that nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_closing_while_a_request_hangs() -> None:
    """Closing the stand-in does not wait for requests that will never be answered."""

    async def work(server: StandIn) -> None:
        async with claude(server.url) as client:
            hanging = asyncio.create_task(client.messages.create(**ask_claude()))
            while (await asyncio.to_thread(server.control, "stats"))["requests"] == 0:
                pass
            begun = time.monotonic()
            await asyncio.to_thread(server.close)
            assert time.monotonic() - begun < 2
            assert (await asyncio.gather(hanging, return_exceptions=True))[0]

    with StandIn(CASES, latency_s=0) as server:
        server.control("faults", [{"kind": "hang"}])
        run(work(server))
    assert server.url
    server.close()


def test_origin_is_content() -> None:
    """The origin is known before the start, has no address in it, and changes with behaviour, seed and recordings."""
    text = behaviour_text()
    one = origin_of(text, 0, None)
    assert one == StandIn().origin == StandIn(CASES, port=1234, latency_s=3).origin
    assert one.startswith("sim:")
    assert len(one) == 20
    others = {one, origin_of(text + " ", 0, None), origin_of(text, 1, None), origin_of(text, 0, "ab")}
    assert len(others) == 4


def test_origin_of_recordings(tmp_path: Path) -> None:
    """With recordings, the origin holds the hash of their file."""
    file = tmp_path / "r.jsonl"
    file.write_bytes(b'{"model": "m", "input": "i", "output": "o"}\r\n')
    with StandIn(recordings=file) as server:
        assert server.control("identity")["origin"] == server.origin == origin_of(behaviour_text(), 0, file_sha(file))


def test_import_is_light() -> None:
    """The origin can be computed without loading the server's library or the simulated models."""
    script = (
        "import sys; from workbench.sim import origin_of; origin_of('', 0, None); "
        "print([m for m in ('aiohttp', 'tomllib', 'statistics', 'subprocess') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("text", "words"),
    [("version = 1", "BehaviourError: behaviour file: KeyError: 'draws'"), (None, "FileNotFoundError")],
)
def test_child_that_cannot_start(tmp_path: Path, text: str | None, words: str) -> None:
    """A server that cannot start is an error with what it complained about."""
    file = tmp_path / "behaviour.toml"
    file.write_text(text or "")
    server = StandIn(behaviour=file)
    if text is None:
        file.unlink()
    with pytest.raises(StandInFailed, match=words):
        server.start()


def test_taken_port() -> None:
    """A fixed port that somebody else has is refused with its number and the cure."""

    async def work() -> None:
        ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        first = asyncio.create_task(serve(Config(), ready.set_result))
        port = int((await ready).rpartition(":")[2])
        with pytest.raises(PortTaken, match=f"port {port} on 127.0.0.1 is taken"):
            await serve(Config(port=port), print)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)

    run(work())


def test_same_answers_in_any_process_and_order() -> None:
    """Two servers, asked concurrently in different orders, give the same answers to the same questions."""

    async def ask(url: str, order: list[int]) -> dict[int, str]:
        async with claude(url) as client:
            questions = {i: ask_claude(CASES[i % 3].inputs["ticket"], max_tokens=100 + i) for i in order}
            replies = await asyncio.gather(*(client.messages.create(**questions[i]) for i in order))
        return {i: reply.content[0].text for i, reply in zip(order, replies, strict=True)}

    answers = []
    for order in (list(range(30)), list(range(29, -1, -1))):
        with StandIn(CASES, latency_s=0) as server:
            answers.append(run(ask(server.url, order)))
    assert answers[0] == answers[1]
    assert len(set(answers[0].values())) > 3


def test_latency_is_declared_and_can_be_set() -> None:
    """The declared latency is steady for a request and longer for better tiers; a setting replaces it."""
    behaviour = Behaviour.load(cases=CASES)
    questions = [Asked("anthropic", "", m, "", "t", "k") for m in ("claude-haiku-5-5", "claude-opus-5-5")]
    fast, slow = (behaviour.latency(question, 50) for question in questions)
    assert 0 < fast < slow
    assert fast == behaviour.latency(questions[0], 50)

    async def work(url: str) -> None:
        async with claude(url) as client:
            await client.messages.create(**ask_claude())

    with StandIn(CASES, latency_s=0) as server:
        server.control("settings", {"latency_s": 0.1})
        begun = time.monotonic()
        run(work(server.url))
        assert time.monotonic() - begun > 0.1
