"""Parts for tests of regressions: reports made in this process, and workspaces with a small notebook."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import workbench as wb
from workbench.client import use

sys.path.insert(0, str(Path(__file__).parents[1] / "stats"))  # the made-up nights live beside the made-up arms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from workbench.report import Report
    from workbench.sim import StandIn


@pytest.fixture
def run(server: StandIn) -> Callable[..., Report]:
    """Run a small experiment against the shared server."""

    def call(prompts: str = "ticket-triage@v2,v3", sample: int = 30, **options: Any) -> Report:
        exp = wb.Experiment("night", prompts, "tickets", "fast", "json_fields:category,priority", providers="openai")
        return asyncio.run(exp.run(sample=sample, **options))

    return call


@pytest.fixture
def offline_report(home: Path) -> Iterator[Report]:
    """What the small notebook runs, by the simulated models that it would start itself."""
    wb.offline(latency_s=0)
    exp = wb.Experiment("night", "ticket-triage@v2,v3", "tickets", "fast",
                        wb.scorers.json_fields("category", "priority"), providers="openai")  # fmt: skip
    yield asyncio.run(exp.run(sample=30))
    use(None)
