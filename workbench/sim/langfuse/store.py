"""Where a stand-in Langfuse keeps everything: one SQLite file, one transaction for each request."""

from __future__ import annotations

import json
import sqlite3
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

APPLICATION = 0x6C6673  # "lfs", so that a foreign SQLite file is never taken for ours
VERSION = 1
TABLES = ("prompts", "datasets", "items", "scores", "spans")
_SCHEMA = """
CREATE TABLE prompts (
    id TEXT PRIMARY KEY, project TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, type TEXT NOT NULL,
    prompt TEXT NOT NULL, config TEXT NOT NULL, labels TEXT NOT NULL, tags TEXT NOT NULL, commit_message TEXT,
    created_at TEXT NOT NULL, updated_at TEXT NOT NULL, change INTEGER NOT NULL, UNIQUE (project, name, version));
CREATE TABLE datasets (
    id TEXT PRIMARY KEY, project TEXT NOT NULL, name TEXT NOT NULL, description TEXT, metadata TEXT,
    input_schema TEXT, expected_output_schema TEXT, created_at TEXT NOT NULL, updated_at TEXT NOT NULL,
    UNIQUE (project, name));
CREATE TABLE items (
    project TEXT NOT NULL, id TEXT NOT NULL, dataset_id TEXT NOT NULL, status TEXT NOT NULL, input TEXT,
    expected_output TEXT, metadata TEXT, source_trace_id TEXT, source_observation_id TEXT,
    created_at TEXT NOT NULL, valid_from TEXT NOT NULL, valid_to TEXT);
CREATE UNIQUE INDEX items_now ON items (project, id) WHERE valid_to IS NULL;
CREATE INDEX items_of ON items (project, dataset_id);
CREATE TABLE scores (
    project TEXT NOT NULL, id TEXT NOT NULL, timestamp TEXT NOT NULL, name TEXT NOT NULL, data_type TEXT NOT NULL,
    value TEXT NOT NULL, trace_id TEXT, observation_id TEXT, session_id TEXT, dataset_run_id TEXT, comment TEXT,
    metadata TEXT, environment TEXT NOT NULL, source TEXT NOT NULL, config_id TEXT, queue_id TEXT,
    created_at TEXT NOT NULL, updated_at TEXT NOT NULL, PRIMARY KEY (project, id, timestamp));
CREATE INDEX scores_of ON scores (project, trace_id);
CREATE TABLE spans (
    project TEXT NOT NULL, trace_id TEXT NOT NULL, span_id TEXT NOT NULL, parent_span_id TEXT, name TEXT NOT NULL,
    start_ns INTEGER NOT NULL, end_ns INTEGER NOT NULL, attributes TEXT NOT NULL, resource TEXT NOT NULL,
    experiment_id TEXT, created_at TEXT NOT NULL, updated_at TEXT NOT NULL, PRIMARY KEY (project, trace_id, span_id));
CREATE INDEX spans_of ON spans (project, start_ns);
CREATE INDEX spans_experiment ON spans (project, experiment_id);
"""


class StoreBroken(ValueError):
    """The file is no store of a stand-in Langfuse, or not of this version."""


class Store:
    """One open store. What `transaction` has committed survives a kill of the process."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        try:
            self._connection = sqlite3.connect(self.path, isolation_level=None, timeout=10)
            self._connection.row_factory = sqlite3.Row
            self._open()
        except sqlite3.Error as error:
            raise StoreBroken(f"{self.path} cannot be used as the store: {error}") from error

    def _open(self) -> None:
        rows = self._connection
        rows.execute("PRAGMA journal_mode = WAL")
        rows.execute("PRAGMA synchronous = NORMAL")
        (application,), (version,) = (
            rows.execute(f"PRAGMA {name}").fetchone() for name in ("application_id", "user_version")
        )
        if (application, version) == (0, 0) and not rows.execute("SELECT 1 FROM sqlite_schema").fetchone():
            rows.executescript(
                f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION};"
                "COMMIT;"
            )
        elif application != APPLICATION:
            raise StoreBroken(f"{self.path} is not the store of a stand-in Langfuse; give another file")
        elif version != VERSION:
            raise StoreBroken(
                f"{self.path} has schema version {version}, this is version {VERSION}; remove it or give another file"
            )
        (state,) = rows.execute("PRAGMA quick_check(1)").fetchone()
        if state != "ok":
            raise StoreBroken(f"{self.path} is damaged ({state}); remove it or give another file")

    @contextmanager
    def transaction(self, *, write: bool = True) -> Iterator[sqlite3.Connection]:
        """All of what is done inside, or nothing when it raises."""
        self._connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
        try:
            yield self._connection
        except BaseException:  # a cancelled request must leave no transaction open either
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def empty(self) -> None:
        """Forget everything."""
        with self.transaction() as rows:
            for table in TABLES:
                rows.execute(f"DELETE FROM {table}")  # noqa: S608  (our own names)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def pack(value: Any) -> str:
    """`value` as JSON text for a column, readable characters left as they are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def unpack(text: str | None) -> Any:
    """The value of a column of JSON text; None for none."""
    return None if text is None else json.loads(text)


def now() -> str:
    """This moment as the server writes it: ISO 8601, UTC, milliseconds."""
    return written(datetime.now(UTC))


def written(moment: datetime) -> str:
    """A moment as the server writes it; texts of this form sort by time."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
