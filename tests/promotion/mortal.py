"""A connection to Langfuse whose process dies."""

from __future__ import annotations

import os
import signal
from typing import Any

from workbench.langfuse.server import Address, Server


class Mortal(Server):
    """A real connection whose process is killed, as by the system, right before or after its n-th call."""

    def __init__(self, address: Address, kill_at: int, when: str) -> None:
        super().__init__(address)
        self.left, self.when = kill_at, when

    def call(self, about: str, ask: Any) -> Any:
        """The call, and perhaps the end."""
        self.left -= 1
        if self.left == 0 and self.when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        answer = super().call(about, ask)
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer
