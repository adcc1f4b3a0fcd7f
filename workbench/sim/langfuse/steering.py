"""Steering the stand-in in tests: /sim/*, loopback only, no authentication, no part of Langfuse."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from workbench.sim.langfuse.calls import Settings
from workbench.sim.langfuse.faults import Faults
from workbench.sim.langfuse.score_reading import GROUPS
from workbench.sim.langfuse.score_reading import answered as answered_score
from workbench.sim.langfuse.store import TABLES, Store
from workbench.sim.langfuse.traces import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

IDENTITY = {"origin": "sim:langfuse", "source": "simulated", "kind": "langfuse"}


@dataclass(slots=True)
class Desk:
    """What one server knows beside its store: faults, settings and counts, all forgotten by a reset or a restart."""

    store: Store
    routes: set[str]
    faults: Faults = field(default_factory=Faults)
    settings: Settings = field(default_factory=Settings)
    requests: Counter[str] = field(default_factory=Counter)

    def look(self, name: str) -> Any:
        """GET /sim/NAME; raises KeyError if there is no such thing."""
        looks: dict[str, Callable[[], Any]] = {
            "identity": lambda: IDENTITY,
            "stats": lambda: {"requests": dict(self.requests)},
            "store": lambda: sorted(set(_texts_of(self._rows(*TABLES)))),
            "traces": lambda: [plain(row) for row in self._rows("spans")],
            "scores": lambda: [_score(row) for row in self._rows("scores")],
        }
        return looks[name]()

    def steer(self, name: str, value: Any) -> None:
        """POST /sim/NAME; raises KeyError if there is no such thing, ValueError or TypeError for a wrong value."""
        steps: dict[str, Callable[[Any], None]] = {
            "reset": lambda _: self.reset(),
            "faults": lambda faults: self.faults.declare(faults, self.routes),
            "settings": self.settings.change,
        }
        steps[name](value)

    def reset(self) -> None:
        """The server as it was when new."""
        self.store.empty()
        self.faults, self.settings = Faults(), Settings()
        self.requests.clear()

    def _rows(self, *tables: str) -> list[Any]:
        with self.store.transaction(write=False) as rows:
            return [row for table in tables for row in rows.execute(f"SELECT * FROM {table} ORDER BY rowid")]  # noqa: S608


def _score(row: Any) -> dict[str, Any]:
    names = {
        "traceId": "trace_id",
        "observationId": "observation_id",
        "sessionId": "session_id",
        "datasetRunId": "dataset_run_id",
    }
    return answered_score(row, frozenset(GROUPS)) | {name: row[column] for name, column in names.items()}


def _texts_of(rows: list[Any]) -> Iterator[str]:
    for row in rows:
        for value in tuple(row):
            yield from _texts(value)


def _texts(value: Any) -> Iterator[str]:
    """A value's texts, and those inside of texts that are JSON."""
    if isinstance(value, str):
        yield value
        if value[:1] in {"{", "[", '"'}:
            try:
                inner = json.loads(value)
            except (ValueError, RecursionError):
                return
            yield from _texts(inner)
    elif isinstance(value, dict):
        for name, one in value.items():
            yield name
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
