"""The outbox's entries: which runs go to which Langfuse, and how far each has been confirmed.

`.workbench/outbox/<run id>.json` is there from the moment a run starts, so that no crash loses it. The rows themselves
stay in the run's folder and are never copied.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from workbench.errors import StorageError, UsageError
from workbench.files import write_whole
from workbench.records import sha256
from workbench.settings import state_dir

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from workbench.langfuse.server import Address

_RUN_FILE = re.compile(r".+-[0-9a-f]{10}\.json")
_HEAD = 4096
_BLOCK = 1 << 20


class BeingSent(UsageError):
    """Another process is sending the same run."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One run on its way to one Langfuse.

    `url`, `public_key` and `stand_in` say which one; `project` is known after the first contact. `offset`: bytes of
    `rows.jsonl` that are confirmed, `head`: hash of how that file began. `dataset_id` and `links` (content hash of a
    prompt -> its name and Langfuse version) are None until they were asked for. `rejected`: how many trials and scores
    Langfuse did not take, `reasons`: why; `notes`: what else went without; `error`: why the rest has not gone yet.
    `first_for`: the Langfuse that it was meant for before, when it was sent to another one.
    """

    run_id: str
    url: str
    public_key: str
    stand_in: bool = False
    project: str = ""
    offset: int = 0
    head: str = ""
    dataset_id: str | None = None
    links: Mapping[str, tuple[str, int]] | None = None
    rejected: int = 0
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    error: str = ""
    first_for: str = ""

    def is_for(self, address: Address) -> bool:
        """Whether it goes to this project. A stand-in's address changes with every start, so its key alone counts."""
        same_place = address.stand_in if self.stand_in else address.url == self.url and not address.stand_in
        return same_place and address.public_key == self.public_key

    def may_go_to(self, address: Address) -> bool:
        """Whether this project may have it: its own, or another one while its own was never reached, as with an address
        or a key that was wrong. A stand-in never gets by itself what was meant for a real server."""
        unreached = not self.project and not self.stand_in
        return self.is_for(address) or (unreached and (address.url == self.url or not address.stand_in))

    def sent_to(self, address: Address) -> Entry:
        """The entry on its way to that project: all of it, whatever its own has got."""
        first = self.first_for or self.where
        return Entry(self.run_id, address.url, address.public_key, address.stand_in, first_for=first)

    @property
    def where(self) -> str:
        """The Langfuse it goes to, in words."""
        return f"{self.url}{' (stand-in)' if self.stand_in else ''}, key {self.public_key}"

    @property
    def rows(self) -> Path:
        """The file that holds the run's rows."""
        return state_dir("runs", self.run_id, "rows.jsonl")

    def waiting(self) -> int:
        """How many rows are not confirmed yet."""
        count = 0
        try:
            with self.rows.open("rb") as file:
                file.seek(self.confirmed())
                while block := file.read(_BLOCK):
                    count += block.count(b"\n")
        except FileNotFoundError:
            return 0
        return count

    def confirmed(self) -> int:
        """The offset, or 0 when the file is another one than it was: a run's folder may be deleted and made again."""
        return self.offset if self.offset and self.head == head_of(self.rows, self.offset) else 0

    def advanced(self, offset: int) -> Entry:
        """The entry with everything before `offset` confirmed."""
        return replace(self, offset=offset, head=head_of(self.rows, offset))


def head_of(path: Path, offset: int) -> str:
    """Hash of a file's first bytes, of those before `offset`; empty when it is shorter than that."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size < offset:
                return ""
            return sha256(file.read(min(offset, _HEAD)).decode("utf-8", "replace"))
    except FileNotFoundError:
        return ""


def path_of(run_id: str) -> Path:
    """Where a run's entry is."""
    return state_dir("outbox") / f"{run_id}.json"


def load(run_id: str) -> Entry | None:
    """A run's entry; None when it goes nowhere. Raises StorageError for a file that cannot be read."""
    path = path_of(run_id)
    try:
        kept = json.loads(path.read_text("utf-8"))
        links = kept.pop("links")
        kept |= {name: tuple(kept[name]) for name in ("reasons", "notes")}
        return Entry(**kept, links=None if links is None else {sha: (one[0], one[1]) for sha, one in links.items()})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise StorageError(
            f"{path} cannot be read ({error}): delete it, and the run goes out from its first row when it is run again"
        ) from None


def load_all() -> tuple[list[Entry], tuple[str, ...]]:
    """Every entry, by run id; and of each file that cannot be read what to do about it."""
    folder = state_dir("outbox")
    found, broken = [], []
    for name in sorted(path.name for path in folder.glob("*.json") if _RUN_FILE.fullmatch(path.name)):
        try:
            entry = load(name.removesuffix(".json"))
        except StorageError as error:
            broken.append(str(error))
        else:
            found += [entry] if entry is not None else []
    return found, tuple(broken)


def save(entry: Entry) -> None:
    """Write an entry; a reader sees the old one or the new one. Raises StorageError."""
    write_whole(path_of(entry.run_id), json.dumps(asdict(entry), indent=1))


@contextmanager
def held(run_id: str) -> Iterator[None]:
    """This process alone sends the run. Raises BeingSent while another one does."""
    path = path_of(run_id).with_suffix(".lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        raise BeingSent(f"run {run_id} is being sent to Langfuse by another process") from None
    try:
        yield
    finally:
        os.close(file)
