"""Laws of loading in applications: production and nothing else, what was last confirmed when Langfuse is away."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from workbench.errors import LangfuseAway, LangfuseError, LangfuseMissing, LangfuseRefused, PromptError
from workbench.langfuse.production import Production, _read, fetch_production, keep, write_lock
from workbench.langfuse.prompts import Remote, move_label, pull, push
from workbench.langfuse.server import ONCE, Address, Server
from workbench.prompts import Prompt, load_prompt
from workbench.records import Message
from workbench.sim import StandInLangfuse
from workbench.sim.langfuse import PUBLIC_KEY, SECRET_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from langfuse_between import Between

OLD = Prompt("greeting", "Greet {{who}}.", {"temperature": 1.0, "max_tokens": 64}, ("kind",), "first", "v1")
NEW = replace(OLD, template="Meet {{who}}.", version="v2")
REAL = "https://langfuse.example.org#project"


@pytest.fixture
def live(remote: Server) -> Server:
    """A project whose production is the older of two versions."""
    push(remote, OLD)
    push(remote, NEW)
    move_label(remote, "greeting", 1)
    return remote


@pytest.fixture
def away(langfuse: StandInLangfuse) -> Iterator[Server]:
    """The same stand-in project at an address where nobody listens."""
    with Server(Address("http://127.0.0.1:9", PUBLIC_KEY, SECRET_KEY, stand_in=True)) as server:
        yield server


@pytest.fixture
def real() -> Iterator[Server]:
    """A server that is no stand-in, and away."""
    with Server(Address("http://127.0.0.1:9", PUBLIC_KEY, SECRET_KEY)) as server:
        yield server


def kept_files(home: Path) -> list[Path]:
    """What is kept, in all."""
    return sorted(path for path in (home / ".workbench" / "production").rglob("*") if path.is_file())


def held(prompt: Prompt, number: int = 1) -> Remote:
    """A version as it was read from a server."""
    return Remote(prompt, number, ("production",), "", prompt.version)


def same(found: Production, prompt: Prompt) -> bool:
    """Whether an application gets this content under this version."""
    return (found.prompt.sha, found.prompt.version, found.prompt.tags) == (prompt.sha, prompt.version, prompt.tags)


def test_production_is_what_holds_the_label(live: Server) -> None:
    """The prompt is the one that holds production, not the newest, and it is said where it came from."""
    found = fetch_production(live, "greeting")
    assert same(found, OLD) and (found.number, found.source) == (1, "langfuse")
    assert found.said == f"greeting: version 1 holds production in {live.name}"


def test_kept_when_langfuse_goes_away(home: Path) -> None:
    """What was last confirmed is used when Langfuse has gone away, whatever newer files and versions there are."""
    with StandInLangfuse() as langfuse, Server(Address(langfuse.url, PUBLIC_KEY, SECRET_KEY, stand_in=True)) as remote:
        push(remote, OLD)
        move_label(remote, "greeting", 1)
        fetch_production(remote, "greeting")
        push(remote, NEW)
        replace(NEW, version="").save()
        langfuse.close()
        found = fetch_production(remote, "greeting")
    assert same(found, OLD) and (found.number, found.source) == (1, "kept")
    assert "as last confirmed in stand-in#" in found.said and "because" in found.said and "nobody answers" in found.said


def test_without_a_server(live: Server) -> None:
    """Without keys the last confirmed content is used, and what is missing is said."""
    fetch_production(live, "greeting")
    found = fetch_production(None, "greeting")
    assert same(found, OLD) and found.source == "kept" and "LANGFUSE_BASE_URL" in found.said


def test_kept_is_rewritten_only_when_it_changed(live: Server, home: Path) -> None:
    """The kept file follows the label, and stays untouched as long as nothing changes."""
    fetch_production(live, "greeting")
    (path,) = kept_files(home)
    before = path.stat()
    fetch_production(live, "greeting")
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    move_label(live, "greeting", 2)
    assert fetch_production(live, "greeting").number == 2
    assert kept_files(home) == [path] and path.stat().st_ino != before.st_ino
    assert same(fetch_production(None, "greeting"), NEW)


def test_nothing_in_production_is_no_outage(live: Server) -> None:
    """Where Langfuse answers that nothing holds production, that is the answer, whatever is kept."""
    fetch_production(live, "greeting")
    live.call("delete", lambda api: api.prompts.delete("greeting", version=1, request_options=ONCE))
    with pytest.raises(LangfuseMissing, match="with label 'production'"):
        fetch_production(live, "greeting")


def test_nothing_kept_and_away(away: Server) -> None:
    """Nobody there and nothing kept is an error with the cure, never the newest file."""
    replace(NEW, version="").save()
    with pytest.raises(LangfuseAway, match=r"nobody answers.*nothing is kept.*production\.lock"):
        fetch_production(away, "greeting")
    with pytest.raises(PromptError, match=r"LANGFUSE_BASE_URL.*nothing is kept.*production\.lock"):
        fetch_production(None, "greeting")


def test_wrong_keys(live: Server, langfuse: StandInLangfuse) -> None:
    """Wrong keys are an error when nothing is kept, and said when something is."""
    with Server(Address(langfuse.url, PUBLIC_KEY, "sk-lf-wrong", stand_in=True)) as wrong:
        with pytest.raises(LangfuseRefused, match="check LANGFUSE_PUBLIC_KEY"):
            fetch_production(wrong, "greeting")
        fetch_production(live, "greeting")
        found = fetch_production(wrong, "greeting")
    assert found.source == "kept" and "check LANGFUSE_PUBLIC_KEY" in found.said and "sk-lf" not in found.said


def test_one_attempt(live: Server, langfuse: StandInLangfuse) -> None:
    """A Langfuse that fails is asked once."""
    fetch_production(live, "greeting")
    langfuse.control("faults", [{"route": "*", "status": 503, "times": None}])
    before = sum(langfuse.control("stats")["requests"].values())
    assert fetch_production(live, "greeting").source == "kept"
    assert sum(langfuse.control("stats")["requests"].values()) == before + 1


def test_production_that_cannot_be_used(live: Server) -> None:
    """A production version that no Prompt can hold falls back to the last confirmed one, and says so."""
    fetch_production(live, "greeting")
    body: Any = {"name": "greeting", "prompt": "{{ a.b }}", "config": {}}
    live.call("raw", lambda api: api.prompts.create(request=body, request_options=ONCE))
    move_label(live, "greeting", 3)
    found = fetch_production(live, "greeting")
    assert same(found, OLD) and "version 3: this workbench cannot use it" in found.said


def test_no_langfuse_at_all(between: Between, changed: Server) -> None:
    """An address that answers with something else than Langfuse is no outage of the application either."""
    keep("stand-in#p", held(OLD))
    answers = [(200, b"<html>login</html>"), (200, b"[]"), (200, b"{}"), (302, b""), (500, b"")]
    between.ask = lambda method, path: answers[-1]
    while answers:
        assert fetch_production(changed, "greeting").source == "kept"
        answers.pop()


def test_the_server_asked_comes_first(langfuse: StandInLangfuse, away: Server, real: Server) -> None:
    """What this server had in production goes before what another had later, and that before the lock."""
    write_lock(held(OLD, 9), REAL)
    assert fetch_production(real, "greeting").source == "lock"
    keep(REAL, held(OLD, 1))
    assert fetch_production(real, "greeting").number == 1
    keep("http://127.0.0.1:9#p", held(OLD, 2))
    keep("https://third.example.org#p", held(OLD, 3))
    assert fetch_production(real, "greeting").number == 2
    assert fetch_production(away, "greeting").source == "kept"


def test_a_stand_in_never_answers_for_a_real_server(real: Server) -> None:
    """What was promoted on a stand-in is never used in place of a real server's production."""
    keep("stand-in#p", held(OLD))
    write_lock(held(OLD), "stand-in#p")
    with pytest.raises(LangfuseAway, match="from a stand-in, which never answers for a real server"):
        fetch_production(real, "greeting")
    assert fetch_production(None, "greeting").source == "kept"


def test_a_stand_in_leaves_a_real_servers_lock_alone(live: Server, real: Server, home: Path) -> None:
    """Whatever is promoted on a stand-in, the lock of a real server stays as it is, also one that cannot be read; and
    without keys what a real server had goes before what a stand-in had."""
    lock = write_lock(held(OLD, 9), REAL)
    text = lock.read_bytes()
    assert write_lock(held(NEW), "stand-in#p") == lock and lock.read_bytes() == text
    keep("stand-in#p", held(NEW))
    assert same(fetch_production(real, "greeting"), OLD) and same(fetch_production(None, "greeting"), OLD)
    assert write_lock(held(NEW), REAL).read_bytes() != text
    lock.write_text("<<<<<<< ours")
    assert write_lock(held(NEW), "stand-in#p").read_text() == "<<<<<<< ours"


def test_the_lock(live: Server, home: Path) -> None:
    """The lock lies beside the versions, is the same bytes for the same content, and gives the same prompt back."""
    path = write_lock(pull(live, "greeting"), live.identity)
    assert path == home / "prompts" / "greeting" / "production.lock"
    text = path.read_bytes()
    assert write_lock(pull(live, "greeting"), live.identity).read_bytes() == text
    content = json.loads(text)
    assert (content["langfuse_version"], content["local_version"], content["sha256"]) == (1, "v1", OLD.sha)
    lock = _read(path, "greeting")
    assert (lock.prompt.sha, lock.number, lock.server) == (OLD.sha, 1, live.identity)
    found = fetch_production(None, "greeting")
    assert same(found, OLD) and (found.number, found.source) == (1, "lock") and str(path) in found.said
    with pytest.raises(PromptError):
        load_prompt("greeting")  # a lock is no version


def test_chat_and_odd_texts_are_kept_exactly(home: Path) -> None:
    """Chat messages, whole floats and texts that files are hard on come back from a lock with the same hash."""
    chat = (Message("system", "a\r\nb\u2028\x00\ud800"), Message("user", " {{q}}\n"))
    prompt = Prompt("team/chat", chat, {"temperature": 1.0, "seed": 2**60, "stop": None}, version="v3")
    lock = _read(write_lock(held(prompt), REAL), "team/chat")
    assert lock.prompt.sha == prompt.sha and lock.prompt.template == prompt.template


CHANGES: list[Any] = [
    lambda text: text.replace("Greet", "Beat"),
    lambda text: text.replace('"max_tokens": 64', '"max_tokens": 65'),
    lambda text: text[: len(text) // 2],
    lambda text: "",
    lambda text: "[]",
    lambda text: "{}",
    lambda text: text.replace('"greeting"', '"other"'),
    lambda text: text.replace('"langfuse_version": 1', '"langfuse_version": null'),
    lambda text: "[" * 5000,
    lambda text: text.replace("{{who}}", "{{ who.name }}"),
]


@pytest.mark.parametrize("change", CHANGES)
def test_files_changed_by_hand_are_refused(live: Server, away: Server, home: Path, change: Any) -> None:
    """A kept file or lock that is not as it was written is refused by its path, and the next source is used."""
    fetch_production(live, "greeting")
    (path,) = kept_files(home)
    path.write_text(change(path.read_text()))
    with pytest.raises(PromptError, match=r"greeting\.json: refused"):
        fetch_production(None, "greeting")
    with pytest.raises(LangfuseAway, match=r"greeting\.json: refused"):
        fetch_production(away, "greeting")
    lock = write_lock(held(NEW, 2), live.identity)
    found = fetch_production(None, "greeting")
    assert (found.source, found.number) == ("lock", 2) and "greeting.json: refused" in found.said
    lock.write_text(change(lock.read_text().replace("Meet", "Greet")))
    with pytest.raises(PromptError, match=r"production\.lock: refused"):
        fetch_production(None, "greeting")


def test_what_cannot_be_kept_is_said(live: Server, home: Path) -> None:
    """A disk that takes no file does not keep an application from its prompt."""
    (home / ".workbench").mkdir()
    (home / ".workbench" / "production").write_text("in the way")
    found = fetch_production(live, "greeting")
    assert found.source == "langfuse" and "could not be kept" in found.said


@pytest.mark.parametrize("name", ["../../secret", "/etc/passwd", "a b", "", "a//b", "x\x00"])
def test_names_are_never_paths(live: Server, name: str) -> None:
    """What is no prompt name is refused before it touches a path or the server."""
    for server in (live, None):
        with pytest.raises(PromptError, match="no prompt name"):
            fetch_production(server, name)


def test_names_too_long_for_a_file(live: Server, home: Path) -> None:
    """A name that Langfuse takes and no disk does is loaded all the same, and it is said that it was not kept."""
    name = "n" * 255
    push(live, replace(OLD, name=name))
    move_label(live, name, 1)
    assert "could not be kept" in fetch_production(live, name).said
    with pytest.raises(PromptError, match="nothing is kept"):
        fetch_production(None, name)


def test_no_key_in_a_file(live: Server, home: Path) -> None:
    """Neither key is in anything that is kept."""
    fetch_production(live, "greeting")
    write_lock(pull(live, "greeting"), live.identity)
    for path in [*kept_files(home), *home.rglob("*.lock")]:
        assert PUBLIC_KEY not in path.read_text() and SECRET_KEY not in path.read_text()


def test_errors_keep_their_facts(away: Server) -> None:
    """An error that names the cure is still of the kind that the server's was."""
    with pytest.raises(LangfuseError) as error:
        fetch_production(away, "greeting")
    assert type(error.value) is LangfuseAway and not error.value.maybe_done
