"""A run's results on their way to the session's Langfuse. Nothing that happens there fails or changes a run."""

from __future__ import annotations

import asyncio
from threading import Event
from typing import TYPE_CHECKING

from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from workbench.client import Session
    from workbench.langfuse.server import Server

PATIENCE_S = 300.0
"""How long the end of a run may take to send; what is left then waits in the outbox."""


class Tracing:
    """Notes where a run's results go before the first is there, and sends them after the last. `problem`: why nothing
    goes out, a sentence; what waits is told by the report."""

    def __init__(self, session: Session, run_id: str) -> None:
        self.problem = ""
        self._session = session
        self._run_id = run_id
        self._server: Server | None = None

    def open(self) -> None:
        """Put the run into the outbox, where the session has a Langfuse for its traces."""
        if not self._session.traces:
            return
        try:
            server = self._session.langfuse()
            if server is not None:
                from workbench.langfuse.outbox import open_entry

                open_entry(self._run_id, server.address)
                self._server = server
        except (WorkbenchError, OSError) as error:
            self.problem = f"Nothing goes to Langfuse: {error}"

    async def finish(self) -> None:
        """Send what there is, in a thread; when cancelled, what is left waits."""
        if self._server is None:
            return
        from workbench.langfuse.outbox import send

        stop = Event()
        late = asyncio.get_running_loop().call_later(PATIENCE_S, stop.set)
        try:
            await asyncio.to_thread(send, self._server, self._run_id, stop=stop)
        except Exception as error:  # noqa: BLE001  # the results are on disk: no fault of sending them may end the run
            self.problem = f"Sending to Langfuse failed: {error}"
        finally:
            late.cancel()
            stop.set()
