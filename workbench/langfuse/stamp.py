"""The last line of a commit message in Langfuse: which local version this is, and the hash of its content.

It is believed only if the content has that hash: anybody may write a commit message.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.langfuse.wire import plain, whole_floats

if TYPE_CHECKING:
    from workbench.prompts import Prompt

FOREIGN = "langfuse-"
"""How versions are called that no local file is known for."""

_STAMP = re.compile(
    r"workbench (?P<name>[^\s@]+)@(?P<version>[A-Za-z0-9_.\-]{1,64}) sha256:(?P<sha>[0-9a-f]{64})"
    r"(?: floats:(?P<floats>[0-9]{1,4}(?:,[0-9]{1,4})*))?"
)
_VERSION = re.compile(r"[A-Za-z0-9_.\-]{1,64}")


@dataclass(frozen=True, slots=True)
class Stamp:
    """What the last line says. `own`: the commit message above it; `floats`: places of whole floats in the config."""

    name: str
    version: str
    sha: str
    own: str
    floats: frozenset[int]

    @property
    def local_version(self) -> str:
        """The local version, empty for content that came from some Langfuse itself."""
        return "" if self.version.startswith(FOREIGN) else self.version


def stamped(prompt: Prompt) -> str:
    """The prompt's own commit message with our line below it."""
    floats = ",".join(map(str, whole_floats(plain(dict(prompt.config)))))
    line = f"workbench {prompt.ref} sha256:{prompt.sha}" + (f" floats:{floats}" if floats else "")
    return f"{prompt.commit_message}\n{line}" if prompt.commit_message else line


def is_stampable(version: str) -> bool:
    """Whether a version can be named in the stamp."""
    return bool(_VERSION.fullmatch(version))


def read_stamp(message: str | None) -> Stamp | None:
    """The stamp that ends a commit message, None without one."""
    own, _, line = (message or "").rpartition("\n")
    if not (found := _STAMP.fullmatch(line.strip())):
        return None
    floats = frozenset(int(place) for place in (found["floats"] or "").split(",") if place)
    return Stamp(found["name"], found["version"], found["sha"], own, floats)
