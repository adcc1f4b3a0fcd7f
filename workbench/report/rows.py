"""`rows.jsonl`: appended as trials finish, read as a stream, never rewritten.

A later row of the same trial replaces the earlier one (a failed trial tried again on resume). A last line without its
end is what a crash or a full disk leaves behind: readers skip it, the next writer cuts it off.
"""

from __future__ import annotations

import fcntl
import json
import os
from typing import TYPE_CHECKING, Any

from workbench.errors import ReportError, StorageError, UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from workbench.records import Row

TrialKey = tuple[str, str, str, str, str, int]
"""What a row is about: prompt, content hash, provider, model, case, repeat."""


def trial_key(row: dict[str, Any]) -> TrialKey:
    """The trial that a row, as read from JSON, is about."""
    return (row["prompt"], row["prompt_sha"], row["provider"], row["model"], row["case_id"], row["repeat"])


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Every row written, in the order of writing, one at a time. Raises ReportError for a line that is no row."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    return
                try:
                    yield json.loads(line)
                except ValueError as error:
                    raise ReportError(f"{path}, line {number}: not a row: {error}") from None
    except FileNotFoundError:
        return


def last_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows that count: of several rows of one trial only the last one. Reads twice to hold none of them."""
    last = {hash(trial_key(row)): number for number, row in enumerate(read_rows(path))}
    for number, row in enumerate(read_rows(path)):
        if last[hash(trial_key(row))] == number:
            yield row


class RowLog:
    """The one writer of a run's rows. Raises UsageError while another process writes the same run, StorageError when
    the disk refuses; what was written before stays readable."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "rows.jsonl"
        try:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            raise self._refused(error) from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            raise UsageError(
                f"run {folder.name} is being written by another process; wait for it, or stop it"
            ) from None
        self._cut_torn_line()

    def finished(self, judged: Collection[str] = ()) -> set[int]:
        """Hashes of the trials that a resumed run need not do again: those with a row without an error, and with a
        score for each metric in `judged`, where a missing one is a failed call."""
        # hashes instead of keys: a resumed run of 100,000 trials holds 8 MB of them, not 40
        done: set[int] = set()
        for row in read_rows(self.path):
            key = hash(trial_key(row))
            if row["error"] is None and all(row["scores"].get(metric) is not None for metric in judged):
                done.add(key)
            else:
                done.discard(key)
        return done

    def append(self, row: Row) -> None:
        """Write one row; it is in the file when this returns."""
        line = (row.to_json() + "\n").encode("ascii")
        try:
            written = os.write(self._file, line)
        except OSError as error:
            raise self._refused(error) from None
        if written < len(line):
            self._cut_torn_line()
            raise self._refused(OSError("the disk is full"))

    def close(self) -> None:
        """Release the file; safe to call twice."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _cut_torn_line(self) -> None:
        size = os.fstat(self._file).st_size
        keep = size
        while keep > 0:
            start = max(keep - 65536, 0)
            at = os.pread(self._file, keep - start, start).rfind(b"\n")
            if at >= 0:
                keep = start + at + 1
                break
            keep = start
        if keep < size:
            os.ftruncate(self._file, keep)

    def _refused(self, error: OSError) -> StorageError:
        return StorageError(
            f"{self.path} cannot be written: {error}. Rows so far are intact, replies are in the cache; "
            "free space or rights, then run the same line again."
        )
