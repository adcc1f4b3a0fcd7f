"""Files that are there whole or not at all, whatever happens while they are written."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from workbench.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


def write_whole(path: Path, text: str | Iterable[str]) -> None:
    """Put `text` (or its parts) in the place of what `path` holds: a reader sees the old or the new, never a half.

    Raises StorageError.
    """
    with _beside(path, text) as temporary:
        temporary.replace(path)


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
        raise StorageError(f"{path}: cannot be written: {error}. Free space or rights, then try again.") from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
