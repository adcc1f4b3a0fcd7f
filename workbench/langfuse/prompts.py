"""Prompts in Langfuse: push, pull, list, compare, and move a label.

A version's content never changes there, its labels do. The server has no conditional update: whoever moves a label
reads back who holds it.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, replace
from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from workbench.errors import LangfuseAway, LangfuseError, LangfuseMissing, LangfuseRefused, PromptError
from workbench.langfuse.comparing import Compared, compared
from workbench.langfuse.rules import PRODUCTION, check_label, check_name, checked_body
from workbench.langfuse.server import ONCE, Server, at_once, in_path
from workbench.langfuse.stamp import FOREIGN, Stamp, read_stamp
from workbench.langfuse.wire import with_floats
from workbench.prompts import Prompt, load_prompt, prompt_names

if TYPE_CHECKING:
    from collections.abc import Iterable

ATTEMPTS = 8
"""How often a version is created when others create versions of the same name at the same moment."""
LOST = 2
"""How many answers may be lost before push gives up."""
PAGE = 100

_pushing: dict[tuple[str, str], Lock] = {}
_seen: WeakKeyDictionary[Server, dict[tuple[str, int], str]] = WeakKeyDictionary()
"""Content hashes of versions that were read, "" for content that no Prompt can hold; a hint where to look, no proof."""


@dataclass(frozen=True, slots=True)
class Remote:
    """One version of a prompt as Langfuse holds it.

    `prompt.version` is the local version that the commit message names, if its hash is that of the content; otherwise
    it is `langfuse-<number>`, and `local_version` is empty. `number` is Langfuse's own version.
    """

    prompt: Prompt
    number: int
    labels: tuple[str, ...]
    commit_message: str
    local_version: str

    @property
    def sha(self) -> str:
        """Hash of the content, the same as the local prompt's."""
        return self.prompt.sha


@dataclass(frozen=True, slots=True)
class Listed:
    """One name in the listing: its versions, and the labels and tags of any of them. `kind`: text or chat."""

    name: str
    kind: str
    versions: tuple[int, ...]
    labels: tuple[str, ...]
    tags: tuple[str, ...]


def check(prompt: Prompt) -> None:
    """Raises LangfuseRefused for all that Langfuse would refuse, expand or change, and for keys in the text."""
    checked_body(prompt)


def push(server: Server, prompt: Prompt, labels: Iterable[str] = ()) -> Remote:
    """Make the prompt a version in Langfuse, or find the version that has this content already; either way it carries
    `labels` afterwards. `production` is not among them: that is what a promotion is for.

    The same content is never pushed twice by one process; two machines at the same moment may. Raises LangfuseRefused
    before anything is sent, or when the name holds prompts of another type; LangfuseAway when nobody answers.
    """
    body = checked_body(prompt)
    wanted = tuple(dict.fromkeys(labels))
    for label in wanted:
        check_label(label)
        if label == PRODUCTION:
            raise LangfuseRefused(f"{prompt.ref}: label {PRODUCTION!r} is moved by a promotion, not by a push")
    with _pushing.setdefault((server.address.url, prompt.name), Lock()):
        remote = _same(server, prompt) or _created(server, prompt, {**body, "labels": list(wanted)})
    if missing := [label for label in wanted if label not in remote.labels]:
        remote = replace(remote, labels=tuple(_patch(server, prompt.name, remote.number, missing).labels))
    return remote


def pull(server: Server, name: str, *, number: int | None = None, label: str | None = None) -> Remote:
    """One version as it is stored, nothing expanded: by Langfuse's number or by label; neither means production.

    Raises LangfuseMissing when there is none, LangfuseError for content that a Prompt cannot hold.
    """
    if number is not None and label is not None:
        raise LangfuseRefused(f"prompt {name}: ask for a version or for a label, not for both")
    return _remote(server, _row(server, name, number, label))


def numbers(server: Server, name: str) -> tuple[int, ...]:
    """Langfuse's version numbers of a name, ascending; empty when there is no such name."""
    return _listed(server, name).versions


def holders(server: Server, name: str, label: str = PRODUCTION) -> tuple[int, ...]:
    """Every version that lists the label: more than one after two moves at once."""
    every, found = _listed(server, name), _listed(server, name, label)
    if not found.versions or label not in found.labels:
        return ()
    if set(found.versions) < set(every.versions) or len(found.versions) == 1:
        return found.versions
    # All of them: either all hold it, or this server lists every version of a name that has the label somewhere.
    rows = at_once(lambda number: _row(server, name, number, None), found.versions)
    return tuple(row.version for row in rows if label in row.labels)


def move_label(server: Server, name: str, number: int, label: str = PRODUCTION) -> None:
    """Give the label to this version; Langfuse takes it from the others and leaves this one's other labels.

    Not atomic with anything read before: read `holders` afterwards.
    """
    check_label(label)
    _patch(server, name, number, [label])


def listing(server: Server) -> tuple[Listed, ...]:
    """All prompt names of the project."""
    return tuple(sorted(_lines(server, "the prompts"), key=lambda one: one.name))


def compare_local(server: Server, name: str) -> Compared:
    """The local versions of a name beside Langfuse's."""
    local = [load_prompt(f"{name}@{version}") for version in prompt_names().get(name, [])]
    rows = at_once(lambda number: _row(server, name, number, None), numbers(server, name))
    return compared(name, server.name, local, [(row.version, tuple(row.labels), _or_none(server, row)) for row in rows])


def _same(server: Server, prompt: Prompt) -> Remote | None:
    """The oldest version with the prompt's content, read now. Raises LangfuseRefused when the name has another type."""
    kind, found = "text" if isinstance(prompt.template, str) else "chat", _listed(server, prompt.name)
    if found.versions and found.kind != kind:
        raise LangfuseRefused(
            f"{server.name}: prompt {prompt.ref} is {kind}, but Langfuse holds {prompt.name!r} as {found.kind}, and a "
            "name never changes its type there: choose another name"
        )
    seen = _seen.setdefault(server, {})
    unread = [number for number in found.versions if (prompt.name, number) not in seen]
    remotes = dict(zip(unread, at_once(lambda number: _look(server, prompt.name, number), unread), strict=True))
    for number in found.versions:
        if seen.get((prompt.name, number)) != prompt.sha:
            continue
        remote = remotes.get(number) or _look(server, prompt.name, number)
        if remote and remote.sha == prompt.sha:
            return remote
        for key in [key for key in seen if key[0] == prompt.name]:
            del seen[key]  # deleted and made anew by somebody: nothing that was read of this name holds any longer
        return _same(server, prompt)
    return None


def _look(server: Server, name: str, number: int) -> Remote | None:
    """A version, None for one that is gone or that no Prompt can hold; remembers its hash."""
    try:
        remote = _or_none(server, _row(server, name, number, None))
    except LangfuseMissing:
        remote = None
    _seen.setdefault(server, {})[name, number] = remote.sha if remote else ""
    return remote


def _created(server: Server, prompt: Prompt, body: dict[str, Any]) -> Remote:
    """A new version. Two at once collide on the server, and a lost answer may have been a success: then look first."""
    request: Any = body  # the SDK takes its own classes or their JSON; these would drop what is None in a config
    lost = 0
    for attempt in range(1, ATTEMPTS + 1):
        try:
            row = server.call(
                f"prompt {prompt.ref}", lambda api: api.prompts.create(request=request, request_options=ONCE)
            )
            return _arrived(server, prompt, row)
        except LangfuseError as error:
            lost += error.maybe_done
            if attempt == ATTEMPTS or lost == LOST or not (error.maybe_done or _collided(error)):
                raise
            time.sleep(random.uniform(0.2, 1.0) * min(0.02 * 2**attempt, 0.5))  # noqa: S311
            if there := _after(error, server, prompt):
                return there
    raise AssertionError("unreachable")


def _after(error: LangfuseError, server: Server, prompt: Prompt) -> Remote | None:
    """The version, if it is there in spite of the error. Raises the error itself when nobody can be asked."""
    try:
        return _same(server, prompt)
    except LangfuseAway:
        raise error from None


def _collided(error: LangfuseError) -> bool:
    return error.status in (400, 409) and "unique constraint" in str(error).lower()


def _arrived(server: Server, prompt: Prompt, row: Any) -> Remote:
    """What the server made of a push. Raises LangfuseError if that is something else."""
    remote = _remote(server, row)
    if remote.sha != prompt.sha:
        raise LangfuseError(f"{server.name}: {prompt.ref} became version {remote.number}, but with another content")
    _seen.setdefault(server, {})[prompt.name, remote.number] = remote.sha
    return remote


def _patch(server: Server, name: str, number: int, labels: list[str]) -> Any:
    return server.call(
        f"labels of prompt {name}, version {number}",
        lambda api: api.prompt_version.update(in_path(name), number, new_labels=labels, request_options=ONCE),
    )


def _row(server: Server, name: str, number: int | None, label: str | None) -> Any:
    label = None if number is not None else label or PRODUCTION
    about = f"prompt {name}, {f'label {label}' if label else f'version {number}'}"
    row = server.call(
        about,
        lambda api: api.prompts.get(in_path(name), version=number, label=label, resolve=False, request_options=ONCE),
    )
    if row.name != name or number not in (None, row.version):
        raise LangfuseError(f"{server.name}: {about}: the answer is about {row.name!r}, version {row.version}")
    return row


def _remote(server: Server, row: Any) -> Remote:
    """A row as a Remote. Raises LangfuseError for content that a Prompt cannot hold."""
    message, stamp = row.commit_message or "", read_stamp(row.commit_message)
    content = row.prompt if isinstance(row.prompt, str) else [_turn(one) for one in row.prompt]
    try:
        prompt = Prompt.from_plain(
            row.name, content, row.config or {}, f"{FOREIGN}{row.version}", tags=tuple(row.tags), commit_message=message
        )
        prompt = _as_stamped(prompt, stamp)
    except (PromptError, RecursionError) as error:
        raise LangfuseError(
            f"{server.name}: prompt {row.name!r}, version {row.version}: this workbench cannot use it: {error}"
        ) from None
    local = stamp.local_version if stamp and prompt.commit_message == stamp.own and prompt.sha == stamp.sha else ""
    return Remote(prompt, row.version, tuple(row.labels), message, local)


def _as_stamped(prompt: Prompt, stamp: Stamp | None) -> Prompt:
    """The prompt as its stamp describes it, or unchanged when that has another hash."""
    if stamp is None or stamp.name != prompt.name:
        return prompt
    version = stamp.local_version or prompt.version
    config = with_floats(dict(prompt.config), stamp.floats)
    original = replace(prompt, config=config, version=version, commit_message=stamp.own)
    return original if original.sha == stamp.sha else prompt


def _or_none(server: Server, row: Any) -> Remote | None:
    try:
        return _remote(server, row)
    except LangfuseError:
        return None


def _turn(message: Any) -> dict[str, Any]:
    found: dict[str, Any] = message.model_dump(exclude_unset=True)
    return found


def _listed(server: Server, name: str, label: str | None = None) -> Listed:
    """What the server lists for one name; no versions when there is none."""
    check_name(f"prompt {name!r}", name)
    for one in _lines(server, f"versions of prompt {name}", name=name, label=label):
        if one.name == name:
            return one
    return Listed(name, "", (), (), ())


def _lines(server: Server, about: str, **filters: str | None) -> list[Listed]:
    rows = server.pages(
        about, lambda api, page: api.prompts.list(page=page, limit=PAGE, request_options=ONCE, **filters)
    )
    return [
        Listed(row.name, str(row.type.value), tuple(sorted(set(row.versions))), tuple(row.labels), tuple(row.tags))
        for row in rows
    ]
