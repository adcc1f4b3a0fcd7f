"""What a stand-in server is started with; the same record on both sides of the process boundary."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from workbench.sim.cases import KnownCase
from workbench.sim.origin import origin_of_files

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Config:
    """`port` 0 is any free one. `behaviour` and `recordings` are paths; with recordings nothing is simulated.

    `latency_s` replaces the declared latencies by a constant; `limits` as in `Limits.declare`.
    """

    port: int = 0
    behaviour: str | None = None
    seed: int = 0
    recordings: str | None = None
    latency_s: float | None = None
    cases: tuple[KnownCase, ...] = ()
    limits: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        """Who answers: the hash of the behaviour, the seed and the recordings."""
        return origin_of_files(self.behaviour, self.seed, self.recordings)

    @property
    def source(self) -> str:
        """simulated or recorded."""
        return "recorded" if self.recordings else "simulated"

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> Config:
        """The record of one line of JSON; raises ValueError or TypeError for anything else."""
        value: dict[str, Any] = json.loads(line)
        cases = tuple(KnownCase(**case) for case in value.pop("cases", ()))
        return cls(cases=cases, **value)
