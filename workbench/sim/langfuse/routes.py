"""Every address of the stand-in that a client of Langfuse may ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.sim.langfuse import (
    datasets,
    experiments,
    items,
    observations,
    prompts,
    score_reading,
    scores,
    traces,
)
from workbench.sim.langfuse.calls import Answer, Call

if TYPE_CHECKING:
    from collections.abc import Callable

MEGABYTE = 1024 * 1024
SERVER_VERSION = "4.59.0"


@dataclass(frozen=True, slots=True)
class Route:
    """`METHOD template` and what answers it. `terse`: its errors of authentication say a message and nothing else."""

    method: str
    template: str
    answer: Callable[[Call], Answer]
    largest_body: int = MEGABYTE
    terse: bool = False
    raw: bool = False
    open: bool = False

    @property
    def name(self) -> str:
        """How faults and counts name it."""
        return f"{self.method} {self.template}"


def health(call: Call) -> Answer:
    """GET /api/public/health."""
    return Answer(200, {"status": "OK", "version": SERVER_VERSION})


def projects(call: Call) -> Answer:
    """GET /api/public/projects: the one that the keys are for."""
    organization = {"id": "organization-stand-in", "name": "Stand-in"}
    project = {"id": call.project, "name": call.project, "organization": organization, "metadata": {}}
    return Answer(200, {"data": [project]})


_PROMPTS = "/api/public/v2/prompts"
_DATASETS = "/api/public/v2/datasets"
_ITEMS = "/api/public/dataset-items"
_SCORES = "/api/public/scores"
ITEM_BODY = 4 * MEGABYTE + MEGABYTE // 2
ROUTES = (
    Route("GET", "/api/public/health", health, open=True),
    Route("GET", "/api/public/projects", projects),
    Route("POST", _PROMPTS, prompts.create),
    Route("GET", _PROMPTS, prompts.every),
    Route("GET", _PROMPTS + "/{name}", prompts.get),
    Route("DELETE", _PROMPTS + "/{name}", prompts.delete),
    Route("PATCH", _PROMPTS + "/{name}/versions/{version}", prompts.move_labels, terse=True),
    Route("POST", _DATASETS, datasets.create),
    Route("GET", _DATASETS, datasets.every),
    Route("GET", _DATASETS + "/{name}", datasets.get),
    Route("POST", _ITEMS, items.put, ITEM_BODY),
    Route("GET", _ITEMS, items.every),
    Route("GET", _ITEMS + "/{id}", items.get),
    Route("DELETE", _ITEMS + "/{id}", items.delete),
    Route("POST", _SCORES, scores.create, terse=True),
    Route("DELETE", _SCORES + "/{id}", scores.delete, terse=True),
    Route("GET", "/api/public/v3/scores", score_reading.every, terse=True),
    Route("POST", "/api/public/otel/v1/traces", traces.export, 64 * MEGABYTE, raw=True),
    Route("GET", "/api/public/v2/observations", observations.every),
    Route("GET", "/api/public/experiments", experiments.every),
    Route("GET", "/api/public/experiment-items", experiments.every_item),
)
