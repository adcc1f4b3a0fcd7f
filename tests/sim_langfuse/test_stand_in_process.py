"""The stand-in Langfuse as a process: its store, its start, its end, and the page that it shows."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
from concurrent.futures import ThreadPoolExecutor, as_completed
from html.parser import HTMLParser
from http.client import HTTPException
from itertools import islice
from typing import TYPE_CHECKING

import pytest
from langfuse_parts import ITEMS, PAIR, PROMPTS, SCORES, TRACES, ask, labels, make

from workbench.sim import StandInLangfuse
from workbench.sim.child import StandInFailed
from workbench.sim.langfuse import PUBLIC_KEY, SECRET_KEY
from workbench.sim.langfuse.config import Config
from workbench.sim.langfuse.store import Store, StoreBroken

if TYPE_CHECKING:
    from pathlib import Path


def standing(store: Path) -> StandInLangfuse:
    """A server over a store of the test's own."""
    return StandInLangfuse(store, keys=[PAIR])


def test_identity_says_simulated(server: StandInLangfuse) -> None:
    """The server says that it is a simulation."""
    assert server.control("identity") == {"origin": "sim:langfuse", "source": "simulated", "kind": "langfuse"}


def test_state_survives_a_restart(tmp_path: Path) -> None:
    """A server on the store of another one has what that one had, and the same project."""
    with standing(tmp_path / "s.sqlite") as first:
        make(first, labels=["production"])
        project = ask(first, "GET", "/api/public/projects").value
    with standing(tmp_path / "s.sqlite") as second:
        assert labels(second) == {1: {"production"}}
        assert ask(second, "GET", "/api/public/projects").value == project


def test_a_killed_server_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    """After kill -9 in the middle of writing, everything that was answered is there, and each request is whole."""
    with standing(tmp_path / "s.sqlite") as server, ThreadPoolExecutor(8) as crowd:
        asked = {crowd.submit(_send_pair, server, number): number for number in range(400)}
        for _ in islice(as_completed(asked), 50):
            pass
        assert server._process is not None
        os.kill(server._process.pid, signal.SIGKILL)
        acknowledged = {number for sent, number in asked.items() if sent.result()}
    with standing(tmp_path / "s.sqlite") as after:
        kept = [int(one["id"].split("-")[0]) for one in after.control("scores")]
    assert 50 <= len(acknowledged) < 400
    assert acknowledged <= set(kept)
    assert all(kept.count(number) == 2 for number in kept)


def _send_pair(server: StandInLangfuse, number: int) -> bool:
    pair = [{"id": f"{number}-{half}", "name": "n", "value": 1, "traceId": "t"} for half in "ab"]
    try:
        return ask(server, "POST", SCORES, pair).status == 202
    except (OSError, HTTPException):
        return False


def test_concurrent_versions_never_collide(server: StandInLangfuse) -> None:
    """Versions that are created at once are numbered without a gap, and one of them is the latest."""
    with ThreadPoolExecutor(8) as crowd:
        made = list(crowd.map(lambda _: make(server, labels=["production"]).value["version"], range(40)))
    assert sorted(made) == list(range(1, 41))
    assert [version for version, held in labels(server).items() if held] == [40]


def test_a_temporary_store_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server without a store leaves no file behind, and its default keys open it."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with StandInLangfuse() as server:
        assert len(list(tmp_path.iterdir())) == 1
        assert server.keys == ((PUBLIC_KEY, SECRET_KEY),)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content", [b"this is no database, but it is long enough to look at" * 20, b"SQLite format 3\0junk"]
)
def test_a_broken_store_is_refused(tmp_path: Path, content: bytes) -> None:
    """A file that is no store is refused with its name, and left as it was."""
    path = tmp_path / "s.sqlite"
    path.write_bytes(content)
    with pytest.raises(StandInFailed, match=re.escape(str(path))):
        standing(path).start()
    assert path.read_bytes() == content


def test_a_damaged_store_is_refused(tmp_path: Path) -> None:
    """A store with pages overwritten is refused instead of answering from it."""
    path = tmp_path / "s.sqlite"
    store = Store(path)
    store.close()
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(StoreBroken, match=re.escape(str(path))):
        Store(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [("PRAGMA user_version = 99", "schema version 99"), ("PRAGMA application_id = 7", "is not the store of")],
)
def test_stores_of_others_are_refused(tmp_path: Path, change: str, message: str) -> None:
    """A store of another schema version, or a database of another program, is refused and says so."""
    path = tmp_path / "s.sqlite"
    Store(path).close()
    connection = sqlite3.connect(path)
    connection.execute(change)
    connection.close()
    with pytest.raises(StandInFailed, match=message):
        standing(path).start()


def test_a_store_without_a_folder_is_refused(tmp_path: Path) -> None:
    """A store in a folder that does not exist is refused."""
    with pytest.raises(StandInFailed, match="cannot be used as the store"):
        standing(tmp_path / "no" / "s.sqlite").start()


def test_a_taken_port_is_refused(server: StandInLangfuse) -> None:
    """A port that somebody else has is refused by number."""
    port = int(server.url.rpartition(":")[2])
    with pytest.raises(StandInFailed, match=f"port {port} on 127.0.0.1 is taken"):
        StandInLangfuse(port=port).start()


def test_keys_are_in_no_repr_and_no_store(server: StandInLangfuse) -> None:
    """The secret keys are neither in the configuration's repr nor in the store."""
    make(server)
    assert PAIR[1] not in repr(Config("s", keys=(PAIR,)))
    assert not any(PAIR[1] in text for text in server.control("store"))


class _Seen(HTMLParser):
    """The tags and texts of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_the_page_shows_what_there_is(server: StandInLangfuse) -> None:
    """The page names prompts with their labels, traces with cost and scores, and datasets; it says that it is a
    stand-in, has no script, and shows hostile texts as texts."""
    evil = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    make(server, "triage", evil, labels=["production"], commitMessage=evil)
    make(server, "triage")
    ask(server, "POST", "/api/public/v2/datasets", {"name": "d", "description": evil})
    ask(server, "POST", ITEMS, {"datasetName": "d"})
    cost = {"key": "langfuse.observation.cost_details", "value": {"stringValue": '{"input": 0.5, "x": "y"}'}}
    span = {"traceId": "ab" * 16, "spanId": "cd" * 8, "name": evil, "startTimeUnixNano": "1", "attributes": [cost]}
    ask(server, "POST", TRACES, {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})
    ask(server, "POST", SCORES, [{"name": "right", "value": evil, "traceId": "ab" * 16}])
    heard = ask(server, "GET", "/", headers={"Authorization": None})
    seen = _Seen()
    seen.feed(heard.value)
    assert heard.headers["content-security-policy"].startswith("default-src 'none'")
    assert not {tag for tag, _ in seen.tags} & {"script", "img", "iframe", "form", "link"}
    assert not [name for _, attributes in seen.tags for name in attributes if name.startswith("on")]
    text = " ".join(seen.texts)
    assert {"triage", "production", "d", "right"} <= set(re.split(r"[\s,]+", text))
    assert ("span", {"class": "label production"}) in seen.tags
    assert "0.500000" in text and "ab" * 16 in text and "not Langfuse itself" in text and evil in text


def test_the_record_of_moves_is_folded(server: StandInLangfuse) -> None:
    """The workbench's own entries are behind a line that counts them, and the prompts stand before it."""
    make(server, "triage", labels=["production"])
    for _ in range(3):
        make(server, "workbench/promotions/triage", commitMessage="promote: production of triage")
    page = ask(server, "GET", "/").value
    before, _, folded = page.partition("<details>")
    assert "<strong>triage</strong>" in before and "promote:" not in before
    assert "3 entries" in folded and folded.partition("</details>")[0].count("promote: production of triage") == 3


def test_the_page_of_nothing(server: StandInLangfuse) -> None:
    """An empty server has a page that says so."""
    assert ask(server, "GET", "/").value.count("None yet.") == 3


def test_names_with_odd_characters_have_addresses(server: StandInLangfuse) -> None:
    """A prompt whose name needs quoting in a path is found by its quoted name."""
    for name, quoted in (("a/b", "a%2Fb"), ("50%", "50%25"), ("ä {x} ?", "%C3%A4%20%7Bx%7D%20%3F")):
        make(server, name, labels=["production"])
        assert ask(server, "GET", f"{PROMPTS}/{quoted}").value["name"] == name
