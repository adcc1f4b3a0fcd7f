"""Laws of the connection: no call without an explicit address, every failure one of ours, nothing tried twice."""

from __future__ import annotations

import json
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from workbench.errors import LangfuseAway, LangfuseError, LangfuseMissing, LangfuseRefused, SettingsError
from workbench.langfuse.server import ONCE, Address, Server, at_once, in_path
from workbench.sim.langfuse import PUBLIC_KEY, SECRET_KEY, project_of

if TYPE_CHECKING:
    from langfuse_between import Between

    from workbench.sim import StandInLangfuse

PROJECTS = "GET /api/public/projects"


def ask(server: Server) -> Any:
    """Any call."""
    return server.call("the project", lambda api: api.projects.get(request_options=ONCE))


@pytest.mark.parametrize(
    "url", ["", "cloud.langfuse.com", "ftp://x", "https://", "http://[::1", "http://x:port", "http://x:0", "file:///x"]
)
def test_addresses_that_are_none(url: str) -> None:
    """Without an explicit http address there is no server."""
    with pytest.raises(SettingsError, match="must begin with http"):
        Address(url, "pk", "sk")


@pytest.mark.parametrize("keys", [("", "sk"), ("pk", ""), ("pk\n", "sk"), ("pk", "s k"), ("pk", "sk-\u00e9")])
def test_keys_that_are_none(keys: tuple[str, str]) -> None:
    """Keys that are missing or that no header can carry are refused, and not repeated."""
    with pytest.raises(SettingsError, match="LANGFUSE_") as error:
        Address("http://x", *keys)
    assert "sk" not in str(error.value) and "s k" not in str(error.value)


def test_passwords_in_addresses() -> None:
    """An address with a password is refused without repeating it."""
    with pytest.raises(SettingsError, match="holds a password") as error:
        Address("https://user:hunter2@host", "pk", "sk")
    assert "hunter2" not in str(error.value)


def test_secrets_are_not_shown(remote: Server) -> None:
    """No repr holds the secret key."""
    assert SECRET_KEY not in repr(remote) + repr(remote.address) + str(remote.__dict__["address"])


def test_identity(remote: Server) -> None:
    """A stand-in's project is called the same at every address; a real one by address and project."""
    assert remote.identity == f"stand-in#{project_of(PUBLIC_KEY)}"
    with Server(Address(f"{remote.address.url}/", PUBLIC_KEY, SECRET_KEY)) as real:
        assert real.identity == f"{remote.address.url}#{project_of(PUBLIC_KEY)}"


@pytest.mark.parametrize(
    ("status", "kind", "maybe_done"),
    [
        (400, LangfuseRefused, False),
        (401, LangfuseRefused, False),
        (403, LangfuseRefused, False),
        (404, LangfuseMissing, False),
        (408, LangfuseAway, True),
        (413, LangfuseRefused, False),
        (422, LangfuseRefused, False),
        (429, LangfuseAway, False),
        (500, LangfuseAway, True),
        (503, LangfuseAway, True),
    ],
)
def test_failures_are_ours(
    remote: Server, langfuse: StandInLangfuse, status: int, kind: type[LangfuseError], maybe_done: bool
) -> None:
    """Each status is one kind of error with the server's words, and the call is made once."""
    langfuse.control("faults", [{"route": PROJECTS, "status": status, "times": None, "retry_after": 7}])
    for call in (lambda: ask(remote), lambda: remote.project):
        with pytest.raises(LangfuseError, match=f"as asked for by a test .{status}") as error:
            call()
        assert (type(error.value), error.value.status, error.value.maybe_done) == (kind, status, maybe_done)
        assert error.value.retry_after_s == (7 if kind is LangfuseAway else None)
    assert langfuse.control("stats")["requests"] == {PROJECTS: 2}


@pytest.mark.parametrize("status", [429, 503])
def test_what_is_read_is_asked_again(remote: Server, langfuse: StandInLangfuse, status: int) -> None:
    """A read waits for a server that says when to come back, not longer than a few seconds; what writes goes out once,
    and says how many seconds the server asked for."""
    langfuse.control("faults", [{"route": "*", "status": status, "times": 2, "retry_after": 0}])
    assert ask(remote).data and langfuse.control("stats")["requests"] == {PROJECTS: 3}
    langfuse.control("faults", [{"route": "*", "status": status, "times": None, "retry_after": 60}])
    with pytest.raises(LangfuseAway, match="try again in 60 s"):
        ask(remote)
    langfuse.control("faults", [{"route": "*", "status": status, "times": 1, "retry_after": 0}])
    with pytest.raises(LangfuseAway, match="try again in 0 s"):
        remote.call("scores", lambda api: api.scores.create(request=[], request_options=ONCE))
    assert langfuse.control("stats")["requests"] == {PROJECTS: 4, "POST /api/public/scores": 1}


def test_addresses_of_something_else(between: Between) -> None:
    """Where nothing of Langfuse is, the error names the setting to check, and nothing passes for missing in Langfuse;
    what does not answer has its own exit code."""
    with Server(Address(between.url, PUBLIC_KEY, SECRET_KEY)) as other:
        between.ask = lambda method, path: (404, b"<html>no such page")
        with pytest.raises(LangfuseError, match="check LANGFUSE_BASE_URL") as error:
            ask(other)
        assert not isinstance(error.value, LangfuseMissing)
        between.ask = lambda method, path: (404, b'{"message": "Not found", "error": "LangfuseNotFoundError"}')
        with pytest.raises(LangfuseMissing, match="check LANGFUSE_BASE_URL"):
            ask(other)
    with (
        Server(Address("http://127.0.0.1:9", "pk", "sk")) as nobody,
        pytest.raises(LangfuseAway, match=r"nobody answers \(.+\): check LANGFUSE_BASE_URL") as away,
    ):
        ask(nobody)
    assert away.value.exit_code == 6


def test_lost_answers(remote: Server, langfuse: StandInLangfuse) -> None:
    """A connection that drops is away, and says that the work may have been done; where nobody listens it was not."""
    langfuse.control("faults", [{"route": PROJECTS, "close": True}])
    with pytest.raises(LangfuseAway, match="the answer was lost") as lost:
        ask(remote)
    assert lost.value.maybe_done and lost.value.status is None
    with Server(Address("http://127.0.0.1:9", "pk", "sk")) as nobody, pytest.raises(LangfuseAway) as refused:
        ask(nobody)
    assert not refused.value.maybe_done


def test_slow_answers(remote: Server, langfuse: StandInLangfuse) -> None:
    """An answer that does not come in time is lost."""
    langfuse.control("faults", [{"route": PROJECTS, "delay_s": 5.0}])
    with (
        Server(Address(remote.address.url, PUBLIC_KEY, SECRET_KEY, timeout_s=0.05)) as hasty,
        pytest.raises(LangfuseAway, match="the answer was lost") as lost,
    ):
        ask(hasty)
    assert lost.value.maybe_done


@pytest.mark.parametrize(
    "answer",
    [(200, b"<html>"), (200, b""), (200, b"[]"), (200, b"{}"), (200, b'{"data": 5}'), (200, b"[" * 100_000),
     (200, b"\xff\xfe"), (302, b""), (418, b"\x00<script>"), (400, b'{"message": {"a": [1]}}'), (400, b"5")],
)  # fmt: skip
def test_whatever_is_answered(between: Between, changed: Server, answer: tuple[int, bytes]) -> None:
    """Whatever an address answers, it is an error of ours that names the address and has one line."""
    between.ask = lambda method, path: answer
    with pytest.raises(LangfuseError, match=between.url) as error:
        ask(changed)
    assert "\n" not in str(error.value) and len(str(error.value)) < 600


def test_threads_share_one_connection_pool(remote: Server, langfuse: StandInLangfuse) -> None:
    """Threads that use a server first at the same moment leave nothing open, and each gets its answer."""
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: remote.project, range(32)))
    assert set(found) == {project_of(PUBLIC_KEY)}


def test_closing_twice_and_using_again(remote: Server) -> None:
    """A server can be closed twice, and opens again when it is used again."""
    ask(remote)
    remote.close()
    remote.close()
    assert ask(remote).data


def test_the_first_error_ends_what_is_done_at_once() -> None:
    """Answers keep their order; the first error is raised and what has not begun is left."""
    assert at_once(lambda n: n * n, range(50)) == [n * n for n in range(50)]
    begun = []

    def work(n: int) -> None:
        begun.append(n)
        raise LangfuseRefused(f"number {n}")

    with pytest.raises(LangfuseRefused, match="number 0"):
        at_once(work, range(10_000))
    assert len(begun) < 10_000


@pytest.mark.parametrize(("name", "segment"), [("a/b", "a%2Fb"), ("a b?c#d%", "a%20b%3Fc%23d%25"), ("..a", "..a")])
def test_names_are_one_segment(name: str, segment: str) -> None:
    """A name is one segment of a path, whatever it holds."""
    assert in_path(name) == segment


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_names_that_would_be_another_path(name: str) -> None:
    """What a path reads as something else than a name is refused."""
    with pytest.raises(LangfuseRefused, match="is no name"):
        in_path(name)


def test_pages_end(between: Between, changed: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listing that never ends is given up."""
    monkeypatch.setattr("workbench.langfuse.server.MOST_PAGES", 5)
    line = {"name": "p", "type": "text", "versions": [1], "labels": [], "tags": [], "lastConfig": {},
            "lastUpdatedAt": "2026-01-01T00:00:00Z"}  # fmt: skip
    meta = {"page": 1, "limit": 1, "totalItems": 10**9, "totalPages": 10**9}
    between.answer = lambda method, path, value: {"data": [line], "meta": meta}
    with pytest.raises(LangfuseError, match="does not end after 5 pages"):
        list(changed.pages("prompts", lambda api, page: api.prompts.list(page=page, request_options=ONCE)))


def test_a_server_that_repeats_what_it_was_sent(between: Between, changed: Server) -> None:
    """A key that a server puts into its complaint, plain or as it was sent, is not shown."""
    sent = b64encode(f"{PUBLIC_KEY}:{SECRET_KEY}".encode()).decode()
    between.ask = lambda method, path: (400, json.dumps({"message": f"no {SECRET_KEY} in Basic {sent}"}).encode())
    with pytest.raises(LangfuseRefused) as error:
        _ = changed.project
    assert SECRET_KEY not in str(error.value) and sent not in str(error.value) and "[key]" in str(error.value)
