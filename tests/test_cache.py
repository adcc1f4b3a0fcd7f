"""Laws of the cache: what was paid for comes back exactly or not at all, and nothing in it is ever executed."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import sqlite3
import stat
import subprocess
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import diskcache
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.cache import Cache, mark_hit
from workbench.cache.store import _text_disk
from workbench.errors import StorageError
from workbench.records import Message, Reply, Request, Usage, sha256

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ASKED = Request("openai", "responses", "gpt-6-luna", (Message("system", "Be brief."), Message("user", "Hello")),
                {"max_tokens": 9})  # fmt: skip
PAID = Reply(
    "Hi.", Usage(5, 0, 0, 2, 1), "end", "gpt-6-luna-2026", "req_1", "live", False, 0.5, 0.25, 0.1, 1, 0.01, 0.01
)

texts = st.text(st.characters(exclude_categories=()))
numbers = st.floats(0, 1e9, allow_nan=False)
replies = st.builds(
    Reply, text=texts, stop_reason=texts, served_by=texts, request_id=st.none() | texts, loose=st.booleans(),
    usage=st.builds(Usage, *[st.integers(0, 10**9)] * 6), latency_s=numbers, ttft_s=st.none() | numbers,
    cost_usd=st.none() | numbers, source=st.sampled_from(["live", "simulated", "recorded"]),
)  # fmt: skip
requests = st.builds(
    Request, provider=texts, endpoint=texts, model=texts, origin=texts, repeat=st.integers(0, 99),
    messages=st.lists(st.builds(Message, texts, texts), max_size=3).map(tuple),
    params=st.dictionaries(texts, texts | st.integers(), max_size=2),
    output_schema=st.none() | st.dictionaries(texts | st.sampled_from(["request",
        "body"]), st.dictionaries(texts, texts)),
)  # fmt: skip


def key(request: Request) -> str:
    return sha256(request.identity())


def stored(reply: Reply) -> Reply:
    """The reply as it comes back: a hit, for which nothing was spent or waited now."""
    return replace(reply, cached=True, spent_usd=0.0, waited_s=0.0, attempts=1)


def using(folder: Path, work: Callable[[Cache], Awaitable[Any]]) -> Any:
    """Run `work(cache)` and close the cache; who waits longer than half a minute waits for ever."""

    async def main() -> Any:
        cache = Cache(folder)
        try:
            return await asyncio.wait_for(work(cache), 30)
        finally:
            await cache.close()

    return asyncio.run(main())


def put(folder: Path, *pairs: tuple[Request, Reply]) -> None:
    async def work(cache: Cache) -> None:
        await asyncio.gather(*(cache.put(key(request), request.identity(), reply) for request, reply in pairs))

    using(folder, work)


def get(folder: Path, *wanted: Request) -> list[Reply | None]:
    async def work(cache: Cache) -> list[Reply | None]:
        found = cache.get_many([key(request) for request in wanted])
        return [found.get(key(request)) for request in wanted]

    return list(using(folder, work))


def alter(folder: Path, change: str, *values: Any) -> None:
    """Change the stored rows behind the cache's back."""
    connection = sqlite3.connect(folder / "cache.db")
    with connection:
        connection.execute(change, values)
    connection.close()


@pytest.fixture
def folder(home: Path) -> Path:
    return home / ".workbench" / "cache"


# What comes back


@settings(max_examples=60)
@given(st.lists(st.tuples(requests, replies), min_size=1, max_size=5, unique_by=lambda pair: key(pair[0])))
def test_replies_come_back_exactly(pairs: list[tuple[Request, Reply]]) -> None:
    """Whatever text, lone surrogates and NUL included, and whatever usage was stored comes back exactly, as a hit."""
    with tempfile.TemporaryDirectory() as folder:
        put(Path(folder), *pairs)
        assert get(Path(folder), *(request for request, _ in pairs)) == [stored(reply) for _, reply in pairs]


def test_long_text(folder: Path) -> None:
    """A reply of many megabytes comes back whole, and stays inside the database."""
    long = replace(PAID, text="x\n\x00é🙃" * 2_000_000)
    put(folder, (ASKED, long))
    assert get(folder, ASKED) == [stored(long)]
    assert {path.name for path in folder.iterdir()} <= {"cache.db", "cache.db-wal", "cache.db-shm"}


def test_many_keys(folder: Path) -> None:
    """More keys than one query takes are all found, in any order, and unknown ones are simply absent."""
    asked = [replace(ASKED, repeat=i) for i in range(1200)]
    put(folder, *((request, replace(PAID, text=str(request.repeat))) for request in asked))
    found = get(folder, *asked[::-1], replace(ASKED, model="other"))
    assert [reply.text for reply in found[:-1] if reply] == [str(i) for i in reversed(range(1200))]
    assert found[-1] is None


def test_nothing_stored_yet(folder: Path) -> None:
    """Reading a cache that does not exist, or that another process is just creating, is a miss and creates nothing."""
    assert get(folder, ASKED) == [None]
    assert using(folder, lambda cache: asyncio.sleep(0, cache.size())) == (0, 0)
    assert not folder.exists()
    folder.mkdir(parents=True)
    (folder / "cache.db").touch()

    async def before_and_after(cache: Cache) -> None:
        assert (cache.get_many([key(ASKED)]), cache.size(), cache.nearest(ASKED)) == ({}, (0, 0), None)
        await cache.put(key(ASKED), ASKED.identity(), PAID)
        assert cache.get_many([key(ASKED)]) == {key(ASKED): stored(PAID)}

    using(folder, before_and_after)


def test_put_returns_when_it_is_on_disk(folder: Path) -> None:
    """Once put has returned, another process would find the reply: nothing is buffered."""

    async def work(cache: Cache) -> None:
        for repeat in range(3):
            asked = replace(ASKED, repeat=repeat)
            await cache.put(key(asked), asked.identity(), PAID)
            assert Cache(folder).get_many([key(asked)])

    using(folder, work)


def test_last_write_wins(folder: Path) -> None:
    """A refreshed reply replaces the one before, and one entry is kept."""
    put(folder, (ASKED, PAID))
    put(folder, (ASKED, replace(PAID, text="new")))
    assert get(folder, ASKED) == [stored(replace(PAID, text="new"))]
    assert using(folder, lambda cache: asyncio.sleep(0, cache.size()))[0] == 1


def test_close_and_use_again(folder: Path) -> None:
    """A closed cache may be used again, and closing waits for what is being written."""

    async def work(cache: Cache) -> None:
        writing = asyncio.create_task(cache.put(key(ASKED), ASKED.identity(), PAID))
        await asyncio.sleep(0)
        await cache.close()
        await writing
        assert cache.get_many([key(ASKED)])
        await cache.put(key(ASKED), ASKED.identity(), PAID)

    using(folder, work)


def test_cancelled_put_is_stored(folder: Path) -> None:
    """A put whose asker is interrupted is written all the same: the reply is paid for."""

    async def work(cache: Cache) -> None:
        writing = asyncio.create_task(cache.put(key(ASKED), ASKED.identity(), PAID))
        await asyncio.sleep(0)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing

    using(folder, work)
    assert get(folder, ASKED) == [stored(PAID)]


def test_one_bad_reply_does_not_take_others_along(folder: Path) -> None:
    """A reply that cannot be written fails alone and at once, without holding up those stored together with it."""
    other = replace(ASKED, repeat=1)

    async def work(cache: Cache) -> list[Any]:
        bad = cache.put(key(ASKED), ASKED.identity(), replace(PAID, cost_usd=float("nan")))
        return await asyncio.gather(bad, cache.put(key(other), other.identity(), PAID), return_exceptions=True)

    assert [type(one) for one in using(folder, work)] == [ValueError, type(None)]
    assert get(folder, ASKED, other) == [None, stored(PAID)]


def test_folder_is_private(folder: Path) -> None:
    """Nobody else may look into the cache, whatever the umask, nor into one that was open before."""
    folder.mkdir(parents=True, mode=0o755)
    before = os.umask(0)
    try:
        put(folder, (ASKED, PAID))
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_hit_for_a_second_asker() -> None:
    """A reply shared by two askers costs the second nothing, and keeps its list price."""
    shared = mark_hit(PAID)
    assert (shared.cached, shared.spent_usd, shared.waited_s, shared.cost_usd, shared.text) == (
        True,
        0.0,
        0.0,
        0.01,
        "Hi.",
    )


# Damage and malice


@settings(max_examples=60)
@given(st.data())
def test_damaged_entries_are_never_believed(data: st.DataObject) -> None:
    """However one character of an entry is changed, the reply that comes back is the one stored or none."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        put(folder, (ASKED, PAID))
        connection = sqlite3.connect(folder / "cache.db")
        (text,) = connection.execute("SELECT value FROM Cache").fetchone()
        connection.close()
        at = data.draw(st.integers(0, len(text) - 1))
        other = data.draw(st.characters(exclude_categories=("Cs",), exclude_characters=text[at]) | st.just(""))
        alter(folder, "UPDATE Cache SET value = ?", text[:at] + other + text[at + 1 :])
        with pytest.warns(UserWarning, match="damaged"):
            assert get(folder, ASKED) == [None]


@pytest.mark.parametrize("value", [None, "", "{}", 5, b"bytes", "x" * 200, '{"checksum":"' + "0" * 64 + '","body":{}}'])
def test_damaged_entry_is_set_aside_and_stored_again(value: object, folder: Path) -> None:
    """A damaged entry is reported once with where it went, counts as a miss, and can be stored again."""
    put(folder, (ASKED, PAID))
    alter(folder, "UPDATE Cache SET value = ?", value)

    async def work(cache: Cache) -> None:
        with pytest.warns(UserWarning, match=f"{key(ASKED)[:12]} is damaged.*{folder / 'damaged'}"):
            assert cache.get_many([key(ASKED)]) == {}
        assert cache.get_many([key(ASKED)]) == {}  # a second warning would be an error here
        assert cache.damaged == [key(ASKED)]
        assert [path.stem for path in (folder / "damaged").iterdir()] == [key(ASKED)]
        assert list(cache.entries()) == []
        await cache.put(key(ASKED), ASKED.identity(), PAID)
        assert cache.get_many([key(ASKED)]) == {key(ASKED): stored(PAID)}

    using(folder, work)


def test_entry_under_a_foreign_key(folder: Path) -> None:
    """A valid entry moved under another key, so that it would answer another question, is not believed."""
    other = replace(ASKED, messages=(Message("user", "Is it safe?"),))
    put(folder, (ASKED, PAID))
    alter(folder, "UPDATE Cache SET key = ?", key(other))
    with pytest.warns(UserWarning, match="damaged"):
        assert get(folder, other) == [None]


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("place", ["value", "key", "file"])
def test_planted_pickle_runs_no_code(place: str, folder: Path, home: Path) -> None:
    """A pickle planted as value, as key or as file is refused when reading and when writing, and runs nothing."""
    put(folder, (ASKED, PAID))
    mark = home / "exploded"
    bomb = pickle.dumps(Bomb(mark))
    if place == "key":
        alter(folder, "UPDATE Cache SET key = ?, raw = 0", bomb)
    elif place == "value":
        alter(folder, "UPDATE Cache SET mode = 4, value = ?", bomb)
    else:
        (folder / "planted.val").write_bytes(bomb)
        alter(folder, "UPDATE Cache SET mode = 4, value = NULL, filename = 'planted.val'")
    if place == "key":
        assert get(folder, ASKED) == [None]
    else:
        with pytest.warns(UserWarning, match="damaged"):
            assert get(folder, ASKED) == [None]
    assert using(folder, lambda cache: asyncio.sleep(0, list(cache.entries()))) == []
    with diskcache.Cache(str(folder), disk=_text_disk()) as raw:
        with pytest.raises(ValueError, match="refused"):
            list(raw) if place == "key" else raw[key(ASKED)]
        for attempt in (lambda: raw.set("k", object()), lambda: raw.set(5, "v"), lambda: raw.set("k", b"v")):
            with pytest.raises(TypeError, match="are text"):
                attempt()
    put(folder, (ASKED, PAID))
    assert get(folder, ASKED) == [stored(PAID)]
    assert not mark.exists()
    pickle.loads(bomb)
    assert mark.exists(), "the bomb was none"


def test_planted_file_name_deletes_nothing(folder: Path, home: Path) -> None:
    """A row that names a file of the user does not get it deleted when the row is replaced."""
    precious = home / "precious.txt"
    precious.write_text("keep me")
    put(folder, (ASKED, PAID))
    alter(folder, "UPDATE Cache SET value = '', filename = ?", os.path.relpath(precious, folder))
    put(folder, (ASKED, PAID))
    assert precious.read_text() == "keep me"
    assert get(folder, ASKED) == [stored(PAID)]


# Disks and processes


def test_file_that_is_no_database(folder: Path) -> None:
    """A cache file that is no database is a StorageError with the cure, for reading and for writing."""
    folder.mkdir(parents=True)
    (folder / "cache.db").write_bytes(b"no database " * 1000)
    for attempt in (lambda: get(folder, ASKED), lambda: put(folder, (ASKED, PAID))):
        with pytest.raises(StorageError, match=r"not a database.*move it away") as refused:
            attempt()
        assert "intact" not in str(refused.value)


def test_broken_pages(folder: Path) -> None:
    """A database with broken pages is a StorageError, whatever is asked of it."""
    put(folder, *((replace(ASKED, repeat=i), replace(PAID, text="x" * 3000)) for i in range(40)))
    path = folder / "cache.db"
    path.write_bytes(path.read_bytes()[: 3 * 4096] + b"\xff" * (path.stat().st_size - 3 * 4096))
    asked: list[Callable[[Cache], object]] = [
        lambda cache: cache.get_many([key(replace(ASKED, repeat=i)) for i in range(40)]),
        lambda cache: list(cache.entries()), lambda cache: cache.size(),
        lambda cache: cache.stored_at([key(replace(ASKED, repeat=i)) for i in range(40)]),
    ]  # fmt: skip

    async def work(cache: Cache) -> None:
        for ask in asked:
            with pytest.raises(StorageError, match="cannot be used"):
                ask(cache)

    using(folder, work)


def test_folder_that_cannot_be_made(home: Path) -> None:
    """A cache that cannot be created is a StorageError for everyone who waits, and nobody waits for ever."""
    (home / ".workbench").write_text("a file")
    with pytest.raises(StorageError, match="free space or rights"):
        put(home / ".workbench" / "cache", (ASKED, PAID), (replace(ASKED, repeat=1), PAID))


def child(script: str, *arguments: str) -> str:
    """What a Python process prints; it may take half a minute, after which something waits for ever."""
    done = subprocess.run(
        [sys.executable, "-c", HELPERS + script, *arguments], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


HELPERS = """
import asyncio, os, resource, sys
from pathlib import Path
from workbench.cache import Cache
from workbench.errors import StorageError
from workbench.records import Message, Reply, Request, sha256
folder = Path(sys.argv[1])
def asked(repeat, who=""):
    return Request("openai", "responses", "gpt-6-luna", (Message("user", f"Hello {who}"),), repeat=repeat)
async def put(cache, request, text="Hi."):
    await cache.put(sha256(request.identity()), request.identity(), Reply(text))
def found(repeats, who=""):
    return len(Cache(folder).get_many([sha256(asked(i, who).identity()) for i in repeats]))
"""
FULL_DISK = """
limit = resource.getrlimit(resource.RLIMIT_FSIZE)
async def main():
    cache = Cache(folder)
    for repeat in range(5):
        await put(cache, asked(repeat))
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, limit[1]))
    for attempt in range(2):
        try:
            await asyncio.gather(*(put(cache, asked(5 + i), "x" * 300_000) for i in range(4)))
        except StorageError as error:
            print("told:", error)
    assert found(range(5)) == 5
    resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    await asyncio.gather(*(put(cache, asked(5 + i), "x" * 300_000) for i in range(4)))
    assert found(range(9)) == 9
    await cache.close()
asyncio.run(main())
"""


def test_full_disk(folder: Path) -> None:
    """When the disk takes no more, every put says so with the cure, what was stored stays, and it goes on once there is
    room again: no half transaction is left behind. (A limit on file sizes stands for the full disk.)"""
    told = child(FULL_DISK, str(folder)).splitlines()
    assert len(told) == 2
    assert all("free space or rights" in line and str(folder) in line for line in told)
    assert all("transaction" not in line for line in told), "the failed rollback hides the reason"


READ_ONLY = """
import concurrent.futures.thread, diskcache  # while the interpreter's own folder can still be read
if os.geteuid() == 0:
    os.seteuid(65534)
async def main():
    cache = Cache(folder)
    for attempt in range(2):
        try:
            await put(cache, asked(1))
        except StorageError as error:
            print("told:", error)
    await cache.close()
asyncio.run(main())
"""


@pytest.mark.parametrize("what", ["file", "folder"])
def test_read_only(what: str) -> None:
    """A cache that is not ours to write is a StorageError with the cure, at once."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        folder = Path(name) / "cache"
        put(folder, (ASKED, PAID))
        if os.geteuid() == 0:  # nobody owns the folder, root the file, or root both
            os.chown(folder, 65534 if what == "file" else 0, -1)
        elif what == "folder":
            pytest.skip("only root can give a folder away")
        (folder / "cache.db").chmod(0o444)
        told = child(READ_ONLY, str(folder)).splitlines()
        assert len(told) == 2
        assert all("free space or rights" in line for line in told)


WRITER = """
async def main():
    cache = Cache(folder)
    print("ready", flush=True)
    sys.stdin.readline()
    for start in range(0, 120, 10):
        await asyncio.gather(*(put(cache, asked(i, sys.argv[2])) for i in range(start, start + 10)))
        await put(cache, asked(start), sys.argv[2])
    await cache.close()
    assert found(range(120), sys.argv[2]) == 120
asyncio.run(main())
"""


def test_two_processes_write_at_once(folder: Path) -> None:
    """Two processes that create and fill one cache at once lose nothing of each other's."""
    writers = [subprocess.Popen([sys.executable, "-c", HELPERS + WRITER, str(folder), who], stdin=subprocess.PIPE,
               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for who in ("one", "two")]  # fmt: skip
    for writer in writers:
        assert writer.stdout
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin
        writer.stdin.write("\n")
        writer.stdin.flush()
    for writer in writers:
        _, errors = writer.communicate(timeout=60)
        assert (writer.returncode, errors) == (0, "")
    assert using(folder, lambda cache: asyncio.sleep(0, cache.size()))[0] == 240 + 12


REPLAY = """
import asyncio, json, sys
from pathlib import Path
from workbench.cache import Cache
before = set(sys.modules)
cache = Cache(Path(sys.argv[1]))
assert len(cache.get_many([sys.argv[2]])) == 1
assert len(list(cache.entries())) == 1
asyncio.run(cache.close())
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def test_reading_needs_the_standard_library_only(folder: Path) -> None:
    """Reading replies imports nothing but the standard library and ourselves."""
    put(folder, (ASKED, PAID))
    script = f"import sys; sys.path.insert(0, {str(PACKAGES)!r})\n{REPLAY}"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script, str(folder), key(ASKED)], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)) - set(sys.stdlib_module_names) <= {"workbench", "__main__"}


PACKAGES = Path(__file__).parents[1]


# Why a request is a miss

NEAREST = [
    ({"repeat": 1}, ["repeat: '1' now, '0' stored"]),
    ({"model": "gpt-6.1-sol"}, ["model: 'gpt-6.1-sol' now, 'gpt-6-luna' stored"]),
    ({"origin": "sim:1", "endpoint": "chat"}, ["endpoint: 'chat' now", "origin: 'sim:1' now, 'vendor' stored"]),
    ({"params": {"max_tokens": 8, "effort": "low"}},
     ["params.effort: 'low' now, 'null' stored", "params.max_tokens: '8' now, '9' stored"]),
    ({"params": {}}, ["params.max_tokens: 'null' now, '9' stored"]),
    ({"messages": (ASKED.messages[0], Message("user", "Hello!"))}, ["user message: 'Hello!' now, 'Hello' stored"]),
    ({"messages": (Message("user", "Be brief."), ASKED.messages[1])}, ["message of the user now, of the system"]),
    ({"messages": (Message("user", "Hello"),)}, ["messages: "]),
    ({"output_schema": {"type": "object"}}, ["output_schema: "]),
]  # fmt: skip


@pytest.mark.parametrize(("change", "told"), NEAREST, ids=[",".join(change) for change, _ in NEAREST])
def test_nearest_names_the_differing_fields(change: dict[str, Any], told: list[str], folder: Path) -> None:
    """A miss is explained by the stored request that differs in the fewest fields, and by exactly those fields."""
    far = replace(ASKED, provider="ollama", model="other", endpoint="chat", repeat=7, origin="x", params={"seed": 1})
    put(folder, (far, replace(PAID, text="far")), (ASKED, PAID))
    found = using(folder, lambda cache: asyncio.sleep(0, cache.nearest(replace(ASKED, **change))))
    entry, differences = found
    assert entry.reply.text == "Hi."
    assert len(differences) == len(told)
    assert all(sentence.startswith(start) for sentence, start in zip(differences, told, strict=True))


def test_nearest_prefers_likeness(folder: Path) -> None:
    """Among requests that differ in equally many fields, the one that begins most alike is the nearest."""
    near, far = (replace(ASKED, messages=(ASKED.messages[0], Message("user", text))) for text in ("Hello you", "Bye"))
    put(folder, (far, replace(PAID, text="far")), (near, replace(PAID, text="near")))
    assert using(folder, lambda cache: asyncio.sleep(0, cache.nearest(ASKED)))[0].reply.text == "near"


# Recordings


def test_export_is_matched_by_key(folder: Path, home: Path) -> None:
    """An exported reply carries the key, repeat and usage by which a stand-in finds it again, hostile text included."""
    hostile = replace(ASKED, repeat=2, messages=(Message("user", "lone \ud800 surrogate"),))
    put(folder, (ASKED, PAID), (hostile, replace(PAID, text="\ud800")))
    assert using(folder, lambda cache: asyncio.sleep(0, cache.export(home / "out.jsonl"))) == 2
    lines = [json.loads(line) for line in (home / "out.jsonl").read_text().splitlines()]
    assert [line["key"] for line in lines] == [ASKED.content_key(), hostile.content_key()]
    assert [line["repeat"] for line in lines] == [0, 2]
    assert [line["output"] for line in lines] == ["Hi.", "\ud800"]
    assert lines[0] | {"usage": asdict(PAID.usage), "system": "Be brief.", "input": "Hello"} == lines[0]
