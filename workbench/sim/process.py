"""The stand-in for the model vendors as a child process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from workbench.sim.child import Child, StandInFailed
from workbench.sim.config import Config

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from workbench.sim.cases import KnownCase

__all__ = ["StandIn", "StandInFailed"]


class StandIn(Child):
    """One stand-in server in a process of its own; `origin` is known before it starts.

    `cases` are `KnownCase`s (see `workbench.sim.cases.known_cases`); the rest as in `Config`.
    Use it as a context manager, or call `start` and `close`; it is closed at exit in any case.
    """

    def __init__(
        self,
        cases: Iterable[KnownCase] = (),
        *,
        behaviour: Path | str | None = None,
        seed: int = 0,
        recordings: Path | str | None = None,
        latency_s: float | None = None,
        port: int = 0,
        limits: Mapping[str, Mapping[str, float]] | None = None,
    ) -> None:
        super().__init__("workbench.sim")
        self.config = Config(
            port=port,
            behaviour=_absolute(behaviour),
            seed=seed,
            recordings=_absolute(recordings),
            latency_s=latency_s,
            cases=tuple(cases),
            limits=limits or {},
        )
        self.origin = self.config.origin

    def _told(self) -> str:
        return self.config.to_json()


def _absolute(path: Path | str | None) -> str | None:
    return None if path is None else str(Path(path).resolve())
