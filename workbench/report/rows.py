"""`rows.jsonl`: appended as trials finish, read as a stream, never rewritten.

A later row of the same trial replaces the earlier one (a failed trial tried again on resume). A last line without its
end is what a crash or a full disk leaves behind: readers skip it, the next writer cuts it off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.errors import ReportError, UsageError
from workbench.files import LineFile, json_lines, whole_end
from workbench.records import arm_key

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from workbench.records import Row

TrialKey = tuple[str, str, str, str, str, int]
"""What a row is about: prompt, content hash, provider, model, case, repeat."""

ENDED = "ended"
"""File in the folder of a race that came to its end, which is mostly before the last trial."""
CURE = "Rows so far are intact, replies are in the cache; free space or rights, then run the same line again."


def trial_key(row: dict[str, Any]) -> TrialKey:
    """The trial that a row, as read from JSON, is about."""
    return (*arm_key(row), row["case_id"], row["repeat"])


def read_rows(path: Path, end: int | None = None) -> Iterator[dict[str, Any]]:
    """Every row written, in the order of writing, one at a time, up to byte `end`. Raises ReportError for a line that
    is no row."""
    for _, row in placed_rows(path, end):
        yield row


def placed_rows(path: Path, end: int | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    """As `read_rows`, each row with the byte where it begins."""
    try:
        yield from json_lines(path, "a row", end)
    except FileNotFoundError:
        return
    except OSError as error:
        raise ReportError(f"{path} cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise ReportError(str(error)) from None


def last_rows(path: Path, end: int | None = None) -> Iterator[dict[str, Any]]:
    """The rows that count: of several rows of one trial only the last one. Reads twice to hold none of them, both times
    up to the same byte: a run that goes on appends in between."""
    end = rows_end(path) if end is None else end
    last = {hash(trial_key(row)): at for at, row in placed_rows(path, end)}
    for at, row in placed_rows(path, end):
        if last[hash(trial_key(row))] == at:
            yield row


def rows_end(path: Path) -> int:
    """How far the rows are written now: the byte where the last whole one ends. Raises ReportError."""
    try:
        return whole_end(path)
    except OSError as error:
        raise ReportError(f"{path} cannot be read: {error.strerror or error}") from None


class RowLog:
    """The one writer of a run's rows. Raises UsageError while another process writes the same run, StorageError when
    the disk refuses; what was written before stays readable."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "rows.jsonl"
        self.unpriced: set[int] = set()
        try:
            self._file = LineFile(self.path, CURE, cut=True, wait=False, mode=0o600)
        except BlockingIOError:
            raise UsageError(
                f"run {folder.name} is being written by another process; wait for it, or stop it"
            ) from None

    def finished(self, judged: Collection[str] = ()) -> set[int]:
        """Hashes of the trials that a resumed run need not do again: those with a row without an error, and with a
        score for each metric in `judged`, where a missing one is a failed call. Those among them whose price was not
        known are in `unpriced` then."""
        # hashes instead of keys: a resumed run of 100,000 trials holds 8 MB of them, not 40
        done: set[int] = set()
        for row in read_rows(self.path):
            key = hash(trial_key(row))
            if row["error"] is None and all(row["scores"].get(metric) is not None for metric in judged):
                done.add(key)
            else:
                done.discard(key)
            (self.unpriced.add if row["cost_usd"] is None and key in done else self.unpriced.discard)(key)
        return done

    def append(self, row: Row) -> None:
        """Write one row; it is in the file when this returns."""
        self._file.append(row.to_json())

    def close(self) -> None:
        """Release the file; safe to call twice."""
        self._file.close()
