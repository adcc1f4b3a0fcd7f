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
from typing import TYPE_CHECKING, Any

from workbench.errors import StorageError
from workbench.files import LineFile, lines, write_whole
from workbench.records import canonical, sha256
from workbench.settings import state_dir

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

SCHEMA = 1
LONGEST_LINE = 1000
CURE = "Free space or rights: the next move catches up on it."
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
            said.append(f"{'policy ' if self.action == 'promote' else ''}overridden: {self.override}")
        if self.evidence and self.source == "simulated":
            said.append("on simulated evidence")
        if self.note:
            said.append(self.note)
        return one_line("; ".join(said))

    def __repr__(self) -> str:
        told = f"{self.action} {self.name} to {self.after}: {WORDS.get(self.result, self.result)}, {self.at}"
        return f"Record({one_line(told)})"

    def _repr_html_(self) -> str:
        from workbench.tables import plain_table

        shown = {
            "result": WORDS.get(self.result, self.result),
            "production is now": str(self.after) if self.done else "",
            "asked for": "" if self.done else str(self.after),
            "it was": str(self.before or "nobody"),
            "by": self.by,
            "approved by": ", ".join(self.approvals),
            "at": self.at,
            "on": "a stand-in Langfuse" if self.server.startswith("stand-in#") else self.server,
            "evidence": self.evidence or "none",
            "overridden": self.override or "",
            "note": self.note,
        }
        rows = [(label, one_line(text)) for label, text in shown.items() if text]
        return plain_table(("", ""), rows, one_line(f"{self.action} {self.name}"))


class Chain:
    """The local file. Raises StorageError when it cannot be written; a broken line never hides the others."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or state_dir("promotions.jsonl")

    def append(self, record: Record) -> None:
        """Add one record behind the last, on disk when this returns."""
        with LineFile(self.path, CURE) as file:  # held, so that nothing comes between the last hash and this line
            line = {"record": record.to_json(), "before": self._last_hash()}
            line["hash"] = sha256(canonical(line))
            file.append(json.dumps(line), sync=True)

    def records(self, name: str | None = None) -> list[Record]:
        """The records of a prompt, or all, the oldest first; lines that cannot be read are left to `faults`."""
        found = [one for line in self._lines() if (one := _record(line)) is not None]
        return [one for one in found if name in (None, one.name)]

    def faults(self) -> list[str]:
        """What is wrong with the chain, a sentence each; empty when it holds."""
        return [fault for fault, _ in self._checked() if fault]

    def notes(self) -> list[str]:
        """What a process left that was killed while it wrote: the record after it follows the one before it."""
        return [note for _, note in self._checked() if note]

    def _checked(self) -> Iterator[tuple[str, str]]:
        """Faults and notes, one of the two each."""
        before, broken, number = "", 0, 0
        for number, line in enumerate(self._lines(), 1):
            if line is None or _record(line) is None:
                broken += 1
                continue
            claimed, follows, unread = str(line.get("hash")), line.get("before") == before, _lines(number - 1, broken)
            if broken and follows:
                yield "", f"{unread} cannot be read, cut short while writing; the record goes on in line {number}"
            elif broken:
                yield f"{unread} cannot be read, and line {number} does not follow what is before", ""
            elif not follows:
                yield f"line {number} does not follow the line before it: something is missing or was changed", ""
            if claimed != sha256(canonical({key: value for key, value in line.items() if key != "hash"})):
                yield f"line {number} was changed after it was written", ""
            before, broken = claimed, 0
        if broken:
            yield f"{_lines(number, broken)} cannot be read, perhaps cut short while writing", ""

    def _last_hash(self) -> str:
        """The hash of the last record: what a killed process left behind it counts for nothing."""
        last = ""
        for line in self._lines():
            if line is not None and _record(line) is not None:
                last = str(line.get("hash"))
        return last

    def _lines(self) -> Iterator[dict[str, Any] | None]:
        try:
            for _, line in lines(self.path, torn=True):
                try:
                    value = json.loads(line)
                except (ValueError, RecursionError):
                    value = None
                yield value if isinstance(value, dict) else None
        except FileNotFoundError:
            return
        except OSError as error:
            raise StorageError(f"{self.path} cannot be read: {error.strerror or error}") from None


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Processes of one workspace move labels one after another; who holds this knows that no other is at it."""
    path = state_dir("promotions.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a")
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror or error}") from None
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
        with suppress(StorageError):  # without a disk this is another workspace every time, and waits for leases
            write_whole(path, made)
        return made


def _lines(last: int, count: int) -> str:
    return f"line {last}" if count == 1 else f"lines {last - count + 1} to {last}"


def _record(line: Mapping[str, Any] | None) -> Record | None:
    try:
        return Record.from_json(line["record"]) if line else None
    except (KeyError, TypeError, ValueError):
        return None
