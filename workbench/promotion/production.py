"""What applications call: the prompt that is in production, quickly, and also while Langfuse is away or hangs.

Langfuse is asked in a thread of its own, and nobody waits for it longer than he must: with a copy in hand a second.
What it says later still becomes the copy.
"""

from __future__ import annotations

import logging
import os
import time
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Thread
from typing import TYPE_CHECKING

from workbench.client import in_use
from workbench.errors import LangfuseAway, LangfuseMissing, WorkbenchError
from workbench.langfuse.configured import ConfiguredProject
from workbench.langfuse.production import Production, fallback, fetch_production

if TYPE_CHECKING:
    from workbench.langfuse.server import Server
    from workbench.prompts import Prompt

TTL_S = 60.0
FIRST_S = 5.0
"""How long a caller waits who has nothing yet, before it gets what is kept on disk."""
COPY_S = 1.0
"""How long a caller waits whose copy is old, before it gets that."""

_log = logging.getLogger("workbench")


@dataclass(frozen=True, slots=True)
class _Copy:
    found: Production
    at: float


_Key = tuple[str, str, str]
_copies: dict[_Key, _Copy] = {}
_asked: dict[_Key, Future[Production]] = {}
_configured = ConfiguredProject()


def production_prompt(name: str, *, ttl_s: float = TTL_S, server: Server | None = None) -> Prompt:
    """The prompt that holds the `production` label: `production_prompt("ticket-triage").render(inputs)`.

    Asked from the Langfuse of the session in use, else the one that the settings name, and kept for `ttl_s` seconds;
    while one thread asks again, others get the copy, and after a second that thread, too; without a copy it waits 5
    seconds. With Langfuse away or without keys it is the content last confirmed as production: by this process, else
    kept on disk, else `prompts/<name>/production.lock`; never the newest file; a warning of the logger `workbench` says
    so. Raises LangfuseMissing when nothing is in production, LangfuseError or PromptError when nobody knows.
    """
    server = server or _server()
    key = (server.address.url, server.address.public_key, name) if server else ("", "", name)
    copy = _copies.get(key)
    if copy is not None and time.monotonic() - copy.at < ttl_s:
        return copy.found.prompt
    mine: Future[Production] = Future()
    answer = _asked.setdefault(key, mine)
    if answer is mine:
        _begin(server, key, mine)
    elif copy is not None:
        return copy.found.prompt
    try:
        found = answer.result(FIRST_S if copy is None else COPY_S)
    except TimeoutError:
        found = copy.found if copy is not None else fallback(server, name, _silent(server))
    if found.source != "langfuse":
        _log.warning("%s", found.said)
    return found.prompt


def _begin(server: Server | None, key: _Key, answer: Future[Production]) -> None:
    try:
        Thread(target=_ask, args=(server, key, answer), name="production prompt", daemon=True).start()
    except RuntimeError:  # there is no thread to be had: then the caller's own asks
        _ask(server, key, answer)


def _ask(server: Server | None, key: _Key, answer: Future[Production]) -> None:
    """One question, and its answer for everybody who waits."""
    try:
        found = _found(server, key)
    except BaseException as error:  # noqa: BLE001  # whoever waits must hear of it
        del _asked[key]
        answer.set_exception(error)
    else:
        _copies[key] = _Copy(found, time.monotonic())
        del _asked[key]
        answer.set_result(found)


def _found(server: Server | None, key: _Key) -> Production:
    """What Langfuse says. Where it does not answer, what this process has heard from it: the disk may be older."""
    copy = _copies.get(key)
    try:
        found = fetch_production(server, key[-1])
    except LangfuseMissing:
        _copies.pop(key, None)
        raise
    except WorkbenchError as error:
        if copy is None:
            raise
        why = str(error)
    else:
        if copy is None or found.source == "langfuse" or copy.found.source != "langfuse":
            return found
        why = found.said
    _log.warning("%s: the copy of this process stays in use: %s", key[-1], why)
    return copy.found


def _silent(server: Server | None) -> LangfuseAway:
    where = server.name if server else "Langfuse"
    return LangfuseAway(f"{where}: no answer within {FIRST_S:g} s")


def _server() -> Server | None:
    session = in_use()
    return session.langfuse() if session is not None else _configured.server()


def _forked() -> None:
    """A forked process has neither the threads that are asking nor a connection that only it reads."""
    global _configured
    _asked.clear()
    _configured = ConfiguredProject()


os.register_at_fork(after_in_child=_forked)
