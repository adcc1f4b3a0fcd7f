"""Replies on disk: diskcache as a plain store of JSON text under string keys.

Nothing is ever evicted, expired or pickled. Writes go through diskcache (imported here alone, on the first write), many
replies to one transaction. Reads go straight to its SQLite table, many keys to one query: a replay then imports nothing
and costs a fraction of `Cache.get`. Every entry carries a checksum and the request it answers, so that a hit is proven.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from workbench.cache.entry import Entry, decode, encode
from workbench.cache.explaining import differences, likeness
from workbench.cache.recording import recording
from workbench.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import diskcache

    from workbench.records import Reply, Request

MODES = ("on", "off", "refresh", "replay")
_KEYS_PER_QUERY = 500


class Cache:
    """The store in one folder; made on the first write. One instance serves one event loop, any number of processes
    share the folder. Raises StorageError when the disk is full, read-only or not ours."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.damaged: list[str] = []
        self._reader: sqlite3.Connection | None = None
        self._writer: diskcache.Cache | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._pending: list[tuple[str, str, asyncio.Future[None]]] = []
        self._flushing: asyncio.Task[None] | None = None

    def get_many(self, keys: Sequence[str]) -> dict[str, Reply]:
        """The stored replies among `keys`, marked cached and costing nothing now. A damaged entry is set aside,
        reported once as a warning, and treated as a miss."""
        connection = self._read_connection()
        if connection is None or not keys:
            return {}
        found: dict[str, Reply] = {}
        for start in range(0, len(keys), _KEYS_PER_QUERY):
            for key, text in self._select(connection, "value", keys[start : start + _KEYS_PER_QUERY]):
                entry = decode(key, text)
                if entry is None:
                    self._set_aside(key, text)
                else:
                    found[key] = entry.reply
        return found

    async def put(self, key: str, identity: str, reply: Reply) -> None:
        """Store a complete reply; returns when it is on disk. Replies that arrive together share one transaction.

        Raises StorageError when it could not be written.
        """
        text = encode(Entry(key, identity, reply))
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending.append((key, text, done))
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())
        await done  # who stops waiting cancels this future alone; the write goes on

    def stored_at(self, keys: Sequence[str]) -> dict[str, float]:
        """When each of these replies was stored, seconds since 1970; those that are not there are left out."""
        connection = self._read_connection()
        if connection is None:
            return {}
        found: dict[str, float] = {}
        for start in range(0, len(keys), _KEYS_PER_QUERY):
            found |= dict(self._select(connection, "store_time", keys[start : start + _KEYS_PER_QUERY]))
        return found

    def entries(self) -> Iterator[Entry]:
        """Every stored entry, oldest first; damaged ones are left out."""
        connection = self._read_connection()
        if connection is None:
            return
        try:
            for key, text in connection.execute("SELECT key, value FROM Cache ORDER BY rowid"):
                if (entry := decode(key, text)) is not None:
                    yield entry
        except sqlite3.Error as error:
            raise _storage_error(self.folder, error) from None

    def size(self) -> tuple[int, int]:
        """Number of entries and their size in bytes."""
        connection = self._read_connection()
        if connection is None:
            return 0, 0
        query = "SELECT COUNT(*), COALESCE(SUM(LENGTH(value)), 0) FROM Cache"
        try:
            count, size = connection.execute(query).fetchone()
        except sqlite3.Error as error:
            raise _storage_error(self.folder, error) from None
        return count, size

    def export(self, path: Path) -> int:
        """Write every reply as a recording: JSONL of model, input, output, usage, and the key and repeat by which a
        stand-in server matches it exactly. Returns how many. Raises OSError."""
        count = 0
        with path.open("w", encoding="utf-8") as file:
            for entry in self.entries():
                # ASCII, so that a lone surrogate of hostile text stays an escape instead of ending the export
                file.write(json.dumps(recording(entry)) + "\n")
                count += 1
        return count

    def nearest(self, request: Request) -> tuple[Entry, list[str]] | None:
        """The stored entry that differs from `request` in the fewest fields, and what differs, field by field."""
        wanted = json.loads(request.identity())
        best: tuple[tuple[int, float], Entry, list[str]] | None = None
        for entry in self.entries():
            differing = differences(wanted, json.loads(entry.identity))
            rank = (len(differing), -likeness(wanted, json.loads(entry.identity)))
            if best is None or rank < best[0]:
                best = rank, entry, [text for _, text in differing]
        return (best[1], best[2]) if best else None

    async def close(self) -> None:
        """Finish what is being written, then close files; the instance may be used again."""
        while self._flushing is not None:
            await asyncio.wait([self._flushing])
        if self._thread is not None:
            self._thread.submit(self._drop_writer).result()
            self._thread.shutdown()
        if self._reader is not None:
            self._reader.close()
        self._reader = self._thread = None

    async def _flush(self) -> None:
        loop = asyncio.get_running_loop()
        self._thread = self._thread or ThreadPoolExecutor(1, thread_name_prefix="workbench-cache")
        try:
            while self._pending:
                batch, self._pending = self._pending, []
                texts = [(key, text) for key, text, _ in batch]
                try:
                    fault: Exception | None = await loop.run_in_executor(self._thread, self._write, texts)
                except Exception as error:  # noqa: BLE001  # whoever waits must hear of it instead of waiting for ever
                    fault = error
                for _, _, done in batch:
                    if not done.cancelled():
                        done.set_exception(fault) if fault else done.set_result(None)
        finally:
            self._flushing = None

    def _write(self, texts: list[tuple[str, str]]) -> StorageError | None:
        """In the writer's thread: all entries in one transaction, or the reason why not."""
        import diskcache

        try:
            writer = self._write_connection()
            # Not `retry=True`: diskcache then tries for ever, whatever the reason. SQLite waits 60 s for a lock anyway.
            with writer.transact():
                for key, text in texts:
                    writer.set(key, text)
        except (sqlite3.Error, OSError, diskcache.Timeout) as error:
            self._drop_writer()
            return _storage_error(self.folder, _first_cause(error))
        return None

    def _drop_writer(self) -> None:
        """Close the writing connection: after a failure it may hold half a transaction. A later write opens one."""
        writer, self._writer = self._writer, None
        if writer is not None:
            with suppress(sqlite3.Error):
                writer.close()

    def _write_connection(self) -> diskcache.Cache:
        if self._writer is None:
            import diskcache

            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.folder.chmod(0o700)
            self._writer = diskcache.Cache(str(self.folder), disk=_text_disk(), **_PLAIN_STORE)
        return self._writer

    def _read_connection(self) -> sqlite3.Connection | None:
        """A connection of its own for reading, or None while nothing was ever stored."""
        path = self.folder / "cache.db"
        if self._reader is None and path.exists():
            reader: sqlite3.Connection | None = None
            try:
                reader = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=60, check_same_thread=False)
                # The file of another process that is just making it has no table yet.
                if reader.execute("SELECT 1 FROM sqlite_master WHERE name = 'Cache'").fetchone():
                    self._reader = reader
            except sqlite3.Error as error:
                raise _storage_error(self.folder, error) from None
            finally:
                if reader is not None and self._reader is None:
                    reader.close()
        return self._reader

    def _select(self, connection: sqlite3.Connection, column: str, keys: Sequence[str]) -> list[tuple[str, Any]]:
        marks = ",".join("?" * len(keys))
        query = f"SELECT key, {column} FROM Cache WHERE raw = 1 AND key IN ({marks})"  # noqa: S608  # no text of others
        try:
            return connection.execute(query, keys).fetchall()
        except sqlite3.Error as error:
            raise _storage_error(self.folder, error) from None

    def _set_aside(self, key: str, text: object) -> None:
        """Keep the damaged text for inspection and take it out of the way of the reply that will replace it."""
        if key in self.damaged:
            return
        self.damaged.append(key)
        warnings.warn(f"cache entry {key[:12]} is damaged; it was set aside in {self.folder / 'damaged'} and will be "
                      "fetched again", stacklevel=2)  # fmt: skip
        try:
            aside = self.folder / "damaged"
            aside.mkdir(mode=0o700, exist_ok=True)
            (aside / f"{key[:64]}.txt").write_text(str(text), "utf-8", "replace")
        except OSError:
            pass  # a full or read-only disk must not turn a damaged entry into a failed run


_PLAIN_STORE: dict[str, Any] = {
    "eviction_policy": "none",
    "size_limit": 2**62,
    "cull_limit": 0,
    "timeout": 60,
    # Every value stays inside the database: one place to read, nothing that can go missing beside it.
    "disk_min_file_size": 2**30,
}


@lru_cache
def _text_disk() -> type[diskcache.Disk]:
    """diskcache's storage, narrowed to text: what is not a string is refused both ways (CVE-2025-69872: pickle)."""
    import diskcache

    class TextDisk(diskcache.Disk):  # type: ignore[misc]  # diskcache has no types
        def put(self, key: object) -> Any:
            if not isinstance(key, str):
                raise TypeError("cache keys are text")
            return super().put(key)

        def get(self, key: object, raw: bool) -> Any:
            if not raw or not isinstance(key, str):
                raise ValueError("refused: a cache key that is not text")
            return key

        def store(self, value: object, read: bool, key: object = diskcache.UNKNOWN) -> Any:
            if read or not isinstance(value, str):
                raise TypeError("cache values are text")
            return super().store(value, read, key)

        def fetch(self, mode: int, filename: str | None, value: object, read: bool) -> Any:
            if mode != diskcache.core.MODE_RAW or not isinstance(value, str):
                raise ValueError("refused: a cache value that is not text")
            return value

        def remove(self, file_path: str) -> None:
            """Nothing: no value of ours is a file, so a file that a planted row names is somebody else's."""

    return TextDisk


def _first_cause(error: BaseException) -> BaseException:
    """What went wrong first: diskcache hides it behind its own Timeout, or behind the rollback that failed too."""
    while isinstance(error.__context__, (sqlite3.Error, OSError)):
        error = error.__context__
    return error


def _storage_error(folder: Path, error: BaseException) -> StorageError:
    told = f"the cache in {folder} cannot be used: {error}."
    if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
        return StorageError(f"{told} Its file cache.db is broken: move it away, then run the same line again.")
    return StorageError(
        f"{told} Replies stored so far are intact; free space or rights, then run the same line again."
    )
