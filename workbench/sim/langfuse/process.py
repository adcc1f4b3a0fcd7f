"""The stand-in Langfuse as a child process."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.sim.child import Child
from workbench.sim.langfuse.config import PUBLIC_KEY, SECRET_KEY, Config

if TYPE_CHECKING:
    from collections.abc import Sequence


class StandInLangfuse(Child):
    """One stand-in Langfuse in a process of its own, its state in the SQLite file `store`.

    Without `store` the file is a temporary one, removed when the server is closed. Each pair of (public, secret)
    keys is a project of its own. `start()` returns the URL; it raises StandInFailed, for instance for a store that is
    broken or that another version has written. Use it as a context manager, or call `start` and `close`.
    """

    def __init__(
        self,
        store: Path | str | None = None,
        *,
        port: int = 0,
        keys: Sequence[tuple[str, str]] = ((PUBLIC_KEY, SECRET_KEY),),
    ) -> None:
        super().__init__("workbench.sim.langfuse")
        self.keys = tuple(keys)
        self.port = port
        self._store = None if store is None else Path(store).resolve()
        self._scratch: tempfile.TemporaryDirectory[str] | None = None

    def _told(self) -> str:
        store = self._store
        if store is None:
            self._scratch = self._scratch or tempfile.TemporaryDirectory(prefix="stand-in-langfuse-")
            store = Path(self._scratch.name) / "langfuse.sqlite"
        return Config(str(store), self.port, self.keys).to_json()

    def close(self) -> None:
        """End the child process and remove its temporary store, if it has one; harmless when it is not running."""
        super().close()
        scratch, self._scratch = self._scratch, None
        if scratch is not None:
            scratch.cleanup()
