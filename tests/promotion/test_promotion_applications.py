"""Laws of what applications call: a prompt at once, whatever Langfuse does."""

from __future__ import annotations

import os
import shutil
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

import pytest
from moving import NAME

from workbench.errors import LangfuseAway, LangfuseMissing, LangfuseRefused
from workbench.langfuse.configured import NAMES
from workbench.langfuse.production import write_lock
from workbench.langfuse.prompts import move_label, pull
from workbench.langfuse.server import ONCE, Address, Server
from workbench.promotion import production
from workbench.promotion.production import production_prompt
from workbench.sim.langfuse import PUBLIC_KEY, SECRET_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from workbench.promotion.record import Held
    from workbench.sim import StandInLangfuse


class Hanging:
    """Takes every connection and never answers, until it is closed."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._taken: list[socket.socket] = []
        self._thread = threading.Thread(target=self._take)

    def _take(self) -> None:
        while True:
            try:
                self._taken.append(self._listening.accept()[0])
            except OSError:
                return

    @property
    def asked(self) -> int:
        """Connections so far."""
        return len(self._taken)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()
        for one in self._taken:
            one.close()
        for thread in threading.enumerate():
            if thread.name == "production prompt":
                thread.join()


@pytest.fixture(autouse=True)
def new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was asked before, and a slow machine is no Langfuse that hangs."""
    monkeypatch.setattr(production, "_copies", {})
    monkeypatch.setattr(production, "FIRST_S", 60.0)
    monkeypatch.setattr(production, "COPY_S", 60.0)


@pytest.fixture
def hanging() -> Iterator[Server]:
    """A Langfuse that never answers, with a connection that would wait for it for ever."""
    with Hanging() as langfuse, Server(Address(langfuse.url, "pk-lf-h", "sk-lf-h", True, 1e6)) as server:
        yield server


def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on nobody waits long."""
    monkeypatch.setattr(production, "FIRST_S", 0.1)
    monkeypatch.setattr(production, "COPY_S", 0.1)


def hangs(monkeypatch: pytest.MonkeyPatch, project: Server, hanging: Server) -> None:
    """From now on the project's connection leads to where nobody answers."""
    monkeypatch.setattr(project, "call", hanging.call)
    impatient(monkeypatch)


def test_nobody_waits_for_a_langfuse_that_hangs(hanging: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a copy and without a kept file, an application hears that nobody answers; it does not hang."""
    impatient(monkeypatch)
    with pytest.raises(LangfuseAway, match="no answer within"):
        production_prompt(NAME, server=hanging)


def test_what_is_kept_instead_of_waiting(
    project: Server, pushed: list[Held], hanging: Server, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a copy, and with Langfuse hanging, an application gets what is kept on disk."""
    write_lock(pull(project, NAME), project.identity)
    impatient(monkeypatch)
    assert production_prompt(NAME, server=hanging).sha == pushed[0].sha


def test_an_old_copy_instead_of_waiting(
    project: Server, pushed: list[Held], hanging: Server, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a copy in hand an application gets it, however old it is, and Langfuse is asked once for all who want it."""
    assert production_prompt(NAME, server=project).sha == pushed[0].sha
    hangs(monkeypatch, project, hanging)
    shutil.rmtree(home / ".workbench" / "production")
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: production_prompt(NAME, ttl_s=0, server=project).sha, range(50)))
    assert set(found) == {pushed[0].sha}


def test_the_own_copy_is_newer_than_the_disk(
    project: Server, pushed: list[Held], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that has read production itself never goes back to an older lock when Langfuse goes away, and needs no
    file at all."""
    write_lock(pull(project, NAME), project.identity)
    move_label(project, NAME, 2)
    (home / ".workbench" / "production").write_text("in the way")
    assert production_prompt(NAME, server=project).sha == pushed[1].sha
    with Server(Address("http://127.0.0.1:9", PUBLIC_KEY, SECRET_KEY, stand_in=True)) as away:
        monkeypatch.setattr(project, "call", away.call)
        assert production_prompt(NAME, ttl_s=0, server=project).sha == pushed[1].sha
        (home / "prompts" / NAME / "production.lock").unlink()
        assert production_prompt(NAME, ttl_s=0, server=project).sha == pushed[1].sha


def test_many_threads_ask_once(project: Server, pushed: list[Held], langfuse: StandInLangfuse) -> None:
    """Threads that begin together share one question."""
    _ = project.project
    langfuse.control("faults", [{"route": "*", "delay_s": 0.05, "times": None}])
    before = sum(langfuse.control("stats")["requests"].values())
    together = threading.Barrier(8)

    def ask(_: int) -> str:
        together.wait()
        return production_prompt(NAME, ttl_s=1e9, server=project).sha

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(8))) == {pushed[0].sha}
    assert sum(langfuse.control("stats")["requests"].values()) == before + 1


def in_child(ask: Callable[[], str]) -> str:
    """What a forked process finds; nothing where it raises."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            os.write(theirs, ask().encode())
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours) as said:
        found = said.read()
    os.waitpid(child, 0)
    return found


def test_a_forked_worker_asks_for_itself(
    project: Server, pushed: list[Held], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that is forked while a question is under way asks Langfuse itself: the thread that was asking is not
    in it."""
    asked, answer = threading.Event(), threading.Event()
    call = project.call

    def slow(about: str, ask: Any) -> Any:
        asked.set()
        answer.wait()
        return call(about, ask)

    def child() -> str:
        project.call = call  # type: ignore[method-assign]
        production.FIRST_S = 20.0
        return production_prompt(NAME, server=project).sha

    monkeypatch.setattr(project, "call", slow)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(production_prompt, NAME, server=project)
        asked.wait()
        assert in_child(child) == pushed[0].sha
        answer.set()
        assert waiting.result().sha == pushed[0].sha


def test_a_forked_worker_has_its_own_connection(
    langfuse: StandInLangfuse, pushed: list[Held], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process forked from one that has asked does not read answers from the connection of the other."""
    for name, value in zip(NAMES, (langfuse.url, PUBLIC_KEY, SECRET_KEY), strict=True):
        monkeypatch.setenv(name, value)
    assert production_prompt(NAME).sha == pushed[0].sha
    before = production._server()
    found = in_child(lambda: f"{production_prompt(NAME, ttl_s=0).sha} {production._server() is before}")
    assert found == f"{pushed[0].sha} False"
    production._configured.close()


def test_without_a_thread_the_caller_asks(
    project: Server, pushed: list[Held], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no thread can be started the caller asks Langfuse itself, and the next one asks again."""

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert production_prompt(NAME, ttl_s=0, server=project).sha == pushed[0].sha
    move_label(project, NAME, 2)
    assert production_prompt(NAME, ttl_s=0, server=project).sha == pushed[1].sha


def test_two_projects_of_one_address(project: Server, pushed: list[Held], langfuse: StandInLangfuse) -> None:
    """The copy of one project is never the answer for another at the same address."""
    assert production_prompt(NAME, server=project)
    with (
        Server(Address(langfuse.url, "pk-lf-other", "sk-lf-other")) as other,
        pytest.raises(LangfuseRefused, match="LANGFUSE_PUBLIC_KEY"),
    ):
        production_prompt(NAME, ttl_s=1e9, server=other)


def test_nothing_in_production_is_said_with_a_copy_in_hand(project: Server, pushed: list[Held]) -> None:
    """When Langfuse answers that nothing is in production any more, that is the answer."""
    assert production_prompt(NAME, server=project)
    project.call("delete", lambda api: api.prompts.delete(NAME, version=1, request_options=ONCE))
    with pytest.raises(LangfuseMissing):
        production_prompt(NAME, ttl_s=0, server=project)
