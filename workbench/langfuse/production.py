"""The prompt that is in production, for applications: asked from Langfuse, and kept for when Langfuse is away.

Kept is what was last confirmed there, under `.workbench/production/`, and `prompts/<name>/production.lock`, which is
made to be committed and to go into images. The newest version file is never taken for production.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from workbench.errors import LangfuseError, LangfuseMissing, PromptError, StorageError
from workbench.files import write_whole
from workbench.langfuse.prompts import Remote, pull
from workbench.langfuse.stamp import FOREIGN
from workbench.prompts import Prompt, prompt_folders
from workbench.records import sha256
from workbench.settings import state_dir

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.langfuse.server import Server

LOCK = "production.lock"
STAND_IN = "stand-in"


@dataclass(frozen=True, slots=True)
class Production:
    """The prompt to use. `number`: Langfuse's version; `said`: where it came from, and why not from Langfuse if so."""

    prompt: Prompt
    number: int | None
    source: Literal["langfuse", "kept", "lock"]
    said: str


@dataclass(frozen=True, slots=True)
class Kept:
    """What a kept file or a lock says: the content that held production, its version there, and which project."""

    prompt: Prompt
    number: int
    server: str
    path: Path


def fetch_production(server: Server | None, name: str) -> Production:
    """The prompt that holds `production`: one attempt at Langfuse, then what is kept; `said` tells which.

    Raises LangfuseMissing when Langfuse answers that nothing is in production. When it does not answer as it should and
    nothing is kept: its error; without a server: PromptError.
    """
    prompt_folders(name)  # the name must be one before it is part of a path
    if server is None:
        return fallback(None, name, PromptError("no Langfuse is set up (LANGFUSE_BASE_URL and both keys)"))
    try:
        remote = pull(server, name)
    except LangfuseMissing:
        raise
    except LangfuseError as error:
        return fallback(server, name, error)
    said = f"{name}: version {remote.number} holds production in {server.name}"
    try:
        keep(server.identity, remote)
    except (LangfuseError, StorageError) as error:
        said += f"; it could not be kept for later: {error}"
    return Production(remote.prompt, remote.number, "langfuse", said)


def keep(server_identity: str, remote: Remote) -> None:
    """Remember what was confirmed as production in this project. Raises StorageError."""
    folder = f"{re.sub(r'[^A-Za-z0-9]+', '-', server_identity)[:60]}-{sha256(server_identity)[:8]}"
    _write(state_dir("production", folder, f"{remote.prompt.name}.json"), _text(remote, server_identity))


def write_lock(remote: Remote, server_identity: str) -> Path:
    """Write `production.lock` beside the prompt's versions in the workspace; same content, same bytes. One from a real
    server is left as it is by a stand-in: applications rely on it.

    Raises StorageError.
    """
    locks = [folder / LOCK for folder in prompt_folders(remote.prompt.name)]
    if not _is_stand_in(server_identity) or all(_is_stand_in(_server_of(path)) for path in locks if _is_there(path)):
        _write(locks[0], _text(remote, server_identity))
    return locks[0]


def fallback(server: Server | None, name: str, why: LangfuseError | PromptError) -> Production:
    """What was confirmed here last, else the lock. Raises `why`, with the cure, if there is neither."""
    refused: list[str] = []
    locks = [path for folder in prompt_folders(name) if _is_there(path := folder / LOCK)]
    paths = [*_candidates(server, name), *locks[:1]]
    if server is None:  # nobody knows which project is meant: a stand-in's is the last resort
        paths.sort(key=lambda path: _is_stand_in(_server_of(path)))
    for path in paths:
        try:
            kept = _read(path, name)
        except PromptError as error:
            refused.append(str(error))
            continue
        if _may_answer_for(kept, server):
            return _production(kept, "lock" if path.name == LOCK else "kept", why, refused)
        refused.append(f"{path}: from a stand-in, which never answers for a real server")
    found = refused or ["nothing is kept that could be used instead"]
    cure = "ask once while Langfuse answers, or bring prompts/<name>/production.lock, which a promotion writes"
    raise _same_kind(why, "; ".join([f"{name}: {why}", *found, cure]))


def _same_kind(why: LangfuseError | PromptError, text: str) -> LangfuseError | PromptError:
    if isinstance(why, PromptError):
        return PromptError(text)
    return type(why)(text, status=why.status, retry_after_s=why.retry_after_s, maybe_done=why.maybe_done)


def _production(kept: Kept, source: Literal["kept", "lock"], why: Exception, refused: list[str]) -> Production:
    where = (
        f"as last confirmed in {kept.server}" if source == "kept" else f"from {kept.path}, confirmed in {kept.server}"
    )
    said = "; ".join([f"{kept.prompt.name}: version {kept.number}, {where}, because {why}", *refused])
    return Production(kept.prompt, kept.number, source, said)


def _candidates(server: Server | None, name: str) -> list[Path]:
    """Kept files of this prompt: those of the server asked first, then the newest."""
    files = [path for folder in state_dir("production").glob("*/") if _is_there(path := folder / f"{name}.json")]
    return sorted(files, key=lambda path: (_is_of(path, server), path.stat().st_mtime_ns), reverse=True)


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name too long for this disk
        return False


def _is_of(path: Path, server: Server | None) -> int:
    """How surely a file is of this server: 2 the same project, 1 the same address, 0 another."""
    if server is None:
        return 0
    identity = _server_of(path)
    # Asking for the project now would be a second attempt.
    if server.known_project is not None and identity == server.identity:
        return 2
    return int(identity.partition("#")[0] == (STAND_IN if server.stand_in else server.address.url))


def _server_of(path: Path) -> str:
    """The project that a kept file or a lock names, empty where it cannot be read."""
    with suppress(OSError, ValueError, AttributeError, RecursionError):
        return str(json.loads(path.read_text("utf-8")).get("server"))
    return ""


def _is_stand_in(identity: str) -> bool:
    return identity.partition("#")[0] == STAND_IN


def _may_answer_for(kept: Kept, server: Server | None) -> bool:
    """What a stand-in had in production never answers for a real server."""
    return server is None or server.stand_in or not _is_stand_in(kept.server)


def _text(remote: Remote, server: str) -> str:
    """The same bytes for the same content, to be read by people, too."""
    prompt = remote.prompt
    content = {
        "name": prompt.name,
        "langfuse_version": remote.number,
        "local_version": remote.local_version,
        "sha256": prompt.sha,
        "server": server,
        "prompt": prompt.plain,
        "config": dict(prompt.config),
        "tags": list(prompt.tags),
    }
    return json.dumps(content, indent=1, sort_keys=True) + "\n"


def _read(path: Path, name: str) -> Kept:
    """Raises PromptError for a file that is not as it was written."""
    try:
        content = json.loads(path.read_text("utf-8"))
        number, sha, local = int(content["langfuse_version"]), content["sha256"], str(content["local_version"])
        if content["name"] != name:
            raise PromptError(f"it is about prompt {content['name']!r}")
        prompt = Prompt.from_plain(
            name, content["prompt"], content["config"], local or f"{FOREIGN}{number}", tags=tuple(content["tags"])
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, PromptError) as error:
        said = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise PromptError(f"{path}: refused, it cannot be read as a production prompt: {said}") from None
    if prompt.sha != sha:
        raise PromptError(
            f"{path}: refused, its content does not have the hash that it names: it was edited or cut short"
        )
    return Kept(prompt, number, str(content["server"]), path)


def _write(path: Path, text: str) -> None:
    """All or nothing, and not at all where the text stands already."""
    with suppress(OSError, ValueError):
        if path.read_text("utf-8") == text:
            return
    write_whole(path, text)
