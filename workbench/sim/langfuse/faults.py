"""Faults on request: what a test wants to go wrong, and with which requests."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

EVERY = "*"


@dataclass(slots=True)
class Fault:
    """Happens to `times` requests of a route ("POST /api/public/scores", or "*"; None = always), once `after` others
    have passed unharmed. It delays the work by `delay_s`, answers `status` (with Retry-After, `message` and `error`) or
    drops the connection (`close`), before the work or, with `done`, after it; or it rejects the scores of some indexes.
    """

    route: str
    times: int | None = 1
    after: int = 0
    status: int | None = None
    retry_after: float | None = None
    message: str = "as asked for by a test"
    error: str | None = None
    close: bool = False
    done: bool = False
    delay_s: float = 0.0
    reject: list[int] = field(default_factory=list)

    @property
    def breaks(self) -> bool:
        """Whether the request fails by it; a fault that only delays or rejects lets others happen too."""
        return self.close or self.status is not None

    def hits(self, route: str) -> bool:
        """Whether it happens to this request; counts it."""
        if self.route not in {EVERY, route} or self.times == 0:
            return False
        if self.after > 0:
            self.after -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True


@dataclass(slots=True)
class Faults:
    """The faults still to happen, in order."""

    _waiting: list[Fault] = field(default_factory=list)

    def declare(self, faults: list[dict[str, Any]], routes: set[str]) -> None:
        """Replace what is waiting; raises ValueError or TypeError for a fault or route that does not exist."""
        waiting = [Fault(**fault) for fault in faults]
        for fault in waiting:
            if fault.route not in {EVERY, *routes}:
                raise ValueError(f"unknown route {fault.route!r}; there are: *, {', '.join(sorted(routes))}")
        self._waiting = waiting

    def take(self, route: str) -> list[Fault]:
        """What happens to this request: the faults that match it, up to and with the first that makes it fail."""
        taken = []
        for fault in self._waiting:
            if fault.hits(route):
                taken.append(fault)
                if fault.breaks:
                    break
        return taken
