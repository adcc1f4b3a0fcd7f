"""Files of lines: what two writers, a crash and a full disk leave of them."""

from __future__ import annotations

import json
import multiprocessing
import resource
from typing import TYPE_CHECKING

import pytest

from workbench.errors import StorageError
from workbench.files import LineFile, append_line, json_lines, lines, whole_end

if TYPE_CHECKING:
    from pathlib import Path

CURE = "Free space, then try again."


@pytest.mark.parametrize(("cut", "left"), [(True, b'{"a": 1}\n{"b": 2}\n'), (False, b'{"a": 1}\n{"tor\n{"b": 2}\n')])
def test_a_torn_end_spoils_no_other_line(tmp_path: Path, cut: bool, left: bytes) -> None:
    """Behind half a line the next one begins on its own: the half is cut off, or stays where somebody may repair it."""
    path = tmp_path / "some" / "lines.jsonl"
    append_line(path, '{"a": 1}', CURE)
    path.write_bytes(path.read_bytes() + b'{"tor')
    with LineFile(path, CURE, cut=cut) as file:
        file.append('{"b": 2}')
    assert path.read_bytes() == left


def test_lines_are_read_between_two_bytes(tmp_path: Path) -> None:
    """A range gives the whole lines in it with the byte where each begins; a torn end is left out unless asked for."""
    path = tmp_path / "lines"
    path.write_bytes(b"a\nbb\n\nccc\ntorn")
    every = [(0, b"a\n"), (2, b"bb\n"), (5, b"\n"), (6, b"ccc\n")]
    assert list(lines(path)) == every
    assert list(lines(path, torn=True)) == [*every, (10, b"torn")]
    assert whole_end(path) == 10 and whole_end(tmp_path / "none") == 0
    for start, _ in every:
        assert list(lines(path, start)) == [one for one in every if one[0] >= start]
        assert list(lines(path, 0, start)) == [one for one in every if one[0] < start]
    assert list(lines(path, 0, 9)) == every[:3]


def test_the_end_of_a_long_torn_line_is_found(tmp_path: Path) -> None:
    """Where the last whole line ends is found behind any number of bytes, also when there is none."""
    path = tmp_path / "lines"
    for head in (b"", b"first\n"):
        path.write_bytes(head + b"x" * 200_000)
        assert whole_end(path) == len(head)


def test_a_line_that_is_no_json_is_named(tmp_path: Path) -> None:
    """The error says in which file, at which line, and what was expected there."""
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 1}\n\xff{\n')
    with pytest.raises(ValueError, match=r"rows\.jsonl, line 2: not a row: "):
        list(json_lines(path, "a row"))


def _append_often(path: Path, who: str) -> None:
    for number in range(100):
        append_line(path, json.dumps([who, number, "n" * 5000]), CURE)


def test_lines_of_two_processes_are_all_kept(tmp_path: Path) -> None:
    """Two processes that append to one file lose none of each other's lines."""
    path = tmp_path / "lines.jsonl"
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_append_often, args=(path, who)) for who in ("x", "y")]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len({(who, number) for _, (who, number, _) in json_lines(path, "a line")}) == 200


def _write_beyond_the_limit(path: Path) -> None:
    # beyond it the kernel takes a part of a write, as a full disk does
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
    with LineFile(path, CURE) as file:
        file.append("a" * 60)
        with pytest.raises(StorageError, match=r"lines cannot be written: .*Free space, then try again\."):
            file.append("b" * 60)
        file.append("c" * 20)


def test_half_a_line_is_taken_back(tmp_path: Path) -> None:
    """A disk that takes only half of a line keeps nothing of it: the error says so, and the file goes on whole."""
    path = tmp_path / "lines"
    child = multiprocessing.get_context("fork").Process(target=_write_beyond_the_limit, args=(path,))
    child.start()
    child.join()
    assert child.exitcode == 0
    assert path.read_text() == "a" * 60 + "\n" + "c" * 20 + "\n"


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    """Who does not want to wait is told at once that the file is held, and gets it when it is released."""
    with LineFile(tmp_path / "lines", CURE), pytest.raises(BlockingIOError):
        LineFile(tmp_path / "lines", CURE, wait=False)
    LineFile(tmp_path / "lines", CURE, wait=False).close()
