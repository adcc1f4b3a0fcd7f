"""Files that hold what was written, whole or not at all, whatever happens meanwhile: files that are replaced, and files
of lines that only grow."""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from workbench.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from types import TracebackType

LONGEST_NAME = 255
"""Characters that the name of a file may have, and of a prompt or dataset in Langfuse, too."""
_BLOCK = 1 << 16


def utf8(data: bytes) -> str:
    """A file's text, without a byte order mark. Raises ValueError naming the line and the cure."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"line {line} is not UTF-8; save the file with the encoding UTF-8") from None


def write_whole(path: Path, text: str | Iterable[str]) -> None:
    """Put `text` (or its parts) in the place of what `path` holds: a reader sees the old or the new, never a half.

    Raises StorageError.
    """
    with _beside(path, text) as temporary:
        temporary.replace(path)


def write_page(path: Path, text: str) -> None:
    """`write_whole` for what people read and models wrote: halves of characters, which no file holds, become "?"."""
    write_whole(path, text.encode("utf-8", "replace").decode("utf-8"))


def write_new(path: Path, text: str) -> bool:
    """Create `path` with `text`; False, and nothing is changed, if it exists: another process was faster.

    Raises StorageError.
    """
    with _beside(path, text) as temporary:
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
    return True


def lines(path: Path, start: int = 0, end: int | None = None, *, torn: bool = False) -> Iterator[tuple[int, bytes]]:
    """The lines that begin at byte `start` or later and end by byte `end`, each with the byte where it begins.

    A last line without its end is still being written, or what a crash left: it is left out unless `torn`. Raises
    OSError.
    """
    with path.open("rb") as file:
        file.seek(start)
        for line in file:
            after = start + len(line)
            if (end is not None and after > end) or not (torn or line.endswith(b"\n")):
                return
            yield start, line
            start = after


def json_lines(path: Path, what: str, end: int | None = None) -> Iterator[tuple[int, Any]]:
    """The JSON values of a file's whole lines, each with the byte where it begins.

    Raises ValueError naming file and line, and `what` a line ought to be; OSError.
    """
    for number, (at, line) in enumerate(lines(path, 0, end), 1):
        try:
            value = json.loads(str(line, "utf-8"))  # given bytes, it guesses the encoding of every line
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: not {what}: {error}") from None
        yield at, value


def whole_end(path: Path) -> int:
    """The byte where the last whole line ends; 0 where there is no file. Raises OSError."""
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return 0
    try:
        return _whole_end(file)
    finally:
        os.close(file)


def append_line(path: Path, line: str, cure: str, *, mode: int = 0o666) -> None:
    """Write one line behind the last; it is in the file when this returns. Raises StorageError with `cure`."""
    with LineFile(path, cure, mode=mode) as file:
        file.append(line)


class LineFile:
    """A file of lines, open for appending and held by this process alone until it is closed.

    A last line without its end, which a crash or an editor left, is cut off where `cut`; else what is appended begins
    on a line of its own. `cure`: what somebody should do when the disk refuses. Raises StorageError; with `wait` False
    BlockingIOError while another process holds the file.
    """

    def __init__(self, path: Path, cure: str, *, cut: bool = False, wait: bool = True, mode: int = 0o666) -> None:
        self.path = path
        self._cure = cure
        self._file = -1
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, mode)
            fcntl.flock(self._file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            self._open = os.fstat(self._file).st_size > (whole := _whole_end(self._file))
            if self._open and cut:
                os.ftruncate(self._file, whole)
                self._open = False
        except BlockingIOError:
            self.close()
            raise
        except OSError as error:
            self.close()
            raise self._refused(error) from None

    def append(self, line: str, *, sync: bool = False) -> None:
        """Write one line, given without its end; `sync`: it is on the disk itself when this returns."""
        data = (f"\n{line}\n" if self._open else f"{line}\n").encode()
        try:
            done = os.write(self._file, data)
            if done < len(data):
                os.ftruncate(self._file, os.fstat(self._file).st_size - done)
                raise OSError("the disk is full")
            self._open = False
            if sync:
                os.fsync(self._file)
        except OSError as error:
            raise self._refused(error) from None

    def close(self) -> None:
        """Release the file; safe to call twice."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> LineFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _refused(self, error: OSError) -> StorageError:
        return StorageError(f"{self.path} cannot be written: {error.strerror or error}. {self._cure}")


def _whole_end(file: int) -> int:
    """Where the last whole line of an open file ends, read from behind."""
    end = os.fstat(file).st_size
    while end > 0:
        start = max(end - _BLOCK, 0)
        at = os.pread(file, end - start, start).rfind(b"\n")
        if at >= 0:
            return start + at + 1
        end = start
    return 0


@contextmanager
def _beside(path: Path, text: str | Iterable[str]) -> Iterator[Path]:
    """A finished file in the same folder, gone afterwards."""
    temporary = path.with_name(f".{path.name[:80]}.{os.urandom(8).hex()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("w", encoding="utf-8") as file:
            file.writelines([text] if isinstance(text, str) else text)
        yield temporary
    except OSError as error:
        why = error.strerror or error  # the rest of it names the path again
        raise StorageError(f"{path}: cannot be written: {why}. Free space or rights, then try again.") from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
