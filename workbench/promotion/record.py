"""What was moved, by whom, on what evidence: `.workbench/promotions.jsonl`, each line with the hash of the one before.

The same record is in the promotion log of its Langfuse, chained there for itself; this file is this workspace's copy.
The hashes show accidents and later edits. They are no signature: whoever may write the file may write all of it anew.
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from workbench.errors import StorageError
from workbench.records import canonical, sha256
from workbench.settings import state_dir

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

SCHEMA = 1
LONGEST_LINE = 1000
WORDS = {
    "done": "done",
    "undone": "not done: the label had not moved",
    "put back": "put back: two versions held the label",
    "gave way": "gave way to somebody else's move",
    "overtaken": "overtaken by somebody else's move",
    "stale": "not done: production had moved since the evidence was made",
    "lost": "not done: another promotion was faster",
}
"""result -> how it is told."""

HELD = {"number": (int,), "version": (str,), "sha": (str,)}
_KINDS = {
    "name": (str,),
    "action": (str,),
    "before": (dict, type(None)),
    "after": (dict,),
    "result": (str,),
    "holder": (int, type(None)),
    "by": (str,),
    "at": (str,),
    "server": (str,),
    "log": (int,),
    "label": (str,),
    "evidence": (str, type(None)),
    "approvals": (list,),
    "override": (str, type(None)),
    "source": (str,),
    "note": (str,),
    "previous": (str,),
    "schema": (int,),
}
"""field of a record in JSON -> its kinds."""


@dataclass(frozen=True, slots=True)
class Held:
    """A version of a prompt: `number` is Langfuse's, `version` the local one where it is known."""

    number: int
    version: str
    sha: str

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Held:
        """A version from its fields. Raises ValueError."""
        if not fits(data, HELD):
            raise ValueError("no version of a prompt")
        return cls(data["number"], data["version"], data["sha"])

    def __str__(self) -> str:
        known = f"{self.version}, " if self.version and not self.version.startswith("langfuse-") else ""
        return f"{known}version {self.number} in Langfuse"


@dataclass(frozen=True, slots=True)
class Record:
    """One move of a label, also of one that failed.

    `result`: a key of `WORDS`. `holder`: Langfuse's version that held the label at the end. `at`: ISO 8601 in UTC, by
    the clock of whoever moved it. `evidence`: SHA-256 of the sealed bundle. `log`: number of the intent in the
    promotion log. `previous`: hash of the record before it in that log.
    """

    name: str
    action: str
    before: Held | None
    after: Held
    result: str
    holder: int | None
    by: str
    at: str
    server: str
    log: int
    label: str = "production"
    evidence: str | None = None
    approvals: tuple[str, ...] = ()
    override: str | None = None
    source: str = ""
    note: str = ""
    previous: str = ""
    schema: int = SCHEMA

    @property
    def sha(self) -> str:
        """SHA-256 of the record's canonical JSON."""
        return sha256(canonical(self.to_json()))

    def to_json(self) -> dict[str, Any]:
        """Plain data, the same on every machine."""
        return asdict(self) | {"approvals": list(self.approvals)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Record:
        """The inverse of `to_json`. Raises ValueError or TypeError for anything else."""
        if not fits(data, _KINDS) or not {type(one) for one in data["approvals"]} <= {str}:
            raise ValueError("no record of a move")
        values = {key: data[key] for key in _KINDS}
        values["before"] = Held.from_json(data["before"]) if data["before"] is not None else None
        values["after"] = Held.from_json(data["after"])
        values["approvals"] = tuple(data["approvals"])
        return cls(**values)

    @property
    def done(self) -> bool:
        """Whether the label went where it was to go."""
        return self.result == "done"

    def __str__(self) -> str:
        came = f"from {self.before}" if self.before else "the first one"
        said = [f"{self.at}  {self.action} {self.name} to {self.after}, {came}: {WORDS.get(self.result, self.result)}"]
        said += [f"by {self.by}" + (f", approved by {', '.join(self.approvals)}" if self.approvals else "")]
        if self.evidence:
            said.append(f"evidence {self.evidence[:12]}")
        if self.override:
            said.append(f"policy overridden: {self.override}")
        if self.source == "simulated":
            said.append("on simulated evidence")
        if self.note:
            said.append(self.note)
        return one_line("; ".join(said))


class Chain:
    """The local file. Raises StorageError when it cannot be written; a broken line never hides the others."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or state_dir("promotions.jsonl")

    def append(self, record: Record) -> None:
        """Add one record behind the last, on disk when this returns."""
        line = {"record": record.to_json(), "before": self._last_hash()}
        line["hash"] = sha256(canonical(line))
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a+b") as file:
                file.write(_line_end(file) + json.dumps(line).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StorageError(f"{self.path} cannot be written: {error}") from None

    def records(self, name: str | None = None) -> list[Record]:
        """The records of a prompt, or all, the oldest first; lines that cannot be read are left to `faults`."""
        found = [one for line in self._lines() if (one := _record(line)) is not None]
        return [one for one in found if name in (None, one.name)]

    def faults(self) -> list[str]:
        """What is wrong with the chain, a sentence each; empty when it holds."""
        found, before = [], ""
        for number, line in enumerate(self._lines(), 1):
            if line is None or _record(line) is None:
                found.append(f"line {number} cannot be read")
                before = ""
                continue
            claimed = line.get("hash")
            if claimed != sha256(canonical({key: value for key, value in line.items() if key != "hash"})):
                found.append(f"line {number} was changed after it was written")
            if number > 1 and line.get("before") != before:
                found.append(f"line {number} does not follow the line before it: something is missing or was changed")
            before = str(claimed)
        return found

    def _last_hash(self) -> str:
        last = ""
        for line in self._lines():
            last = str(line.get("hash", "")) if line else ""
        return last

    def _lines(self) -> Iterator[dict[str, Any] | None]:
        try:
            text = self.path.read_text("utf-8", "replace")
        except FileNotFoundError:
            return
        except OSError as error:
            raise StorageError(f"{self.path} cannot be read: {error}") from None
        for line in text.splitlines():
            try:
                value = json.loads(line)
            except (ValueError, RecursionError):
                value = None
            yield value if isinstance(value, dict) else None


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Processes of one workspace move labels one after another; who holds this knows that no other is at it."""
    path = state_dir("promotions.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a")
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error}") from None
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def fits(data: Any, kinds: Mapping[str, tuple[type, ...]]) -> bool:
    """Whether JSON data is an object that has at least these fields, of these kinds."""
    return isinstance(data, dict) and all(name in data and type(data[name]) in kinds[name] for name in kinds)


def one_line(text: str) -> str:
    """What somebody else may have written, for a terminal: one line, printable, cut where it is too long."""
    plain = "".join(one if one.isprintable() else f"⟦U+{ord(one):04X}⟧" for one in text[:LONGEST_LINE])
    return plain + (" …" if len(text) > LONGEST_LINE else "")


def workspace_id() -> str:
    """A random name of this workspace, kept beside the lock: who shares it may take over at once."""
    path = state_dir("promotions.id")
    try:
        return path.read_text("ascii").strip()
    except (OSError, ValueError):
        made = os.urandom(16).hex()
        with suppress(OSError):  # without a disk this is another workspace every time, and waits for leases
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(made, "ascii")
        return made


def _line_end(file: BinaryIO) -> bytes:
    """A line end where the last line has none: a process was killed while it wrote."""
    if file.seek(0, os.SEEK_END) == 0:
        return b""
    file.seek(-1, os.SEEK_END)
    return b"" if file.read(1) == b"\n" else b"\n"


def _record(line: Mapping[str, Any] | None) -> Record | None:
    try:
        return Record.from_json(line["record"]) if line else None
    except (KeyError, TypeError, ValueError):
        return None
