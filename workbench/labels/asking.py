"""Judges asked outside a run: to calibrate them, and to compare answers in pairs."""

from __future__ import annotations

import asyncio
import math
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from workbench.client import Asking, Client, current
from workbench.errors import UsageError
from workbench.ledger import Ledger
from workbench.settings import concurrency
from workbench.traffic import Traffic

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Iterable


T = TypeVar("T")


@asynccontextmanager
async def asking(budget_usd: float | None, cache: str, within: Ledger | None = None) -> AsyncIterator[Asking]:
    """Ask models within a budget of its own and the session's, or that of the ledger `within`. `cache` as for runs."""
    session = current()
    cap = budget_usd if budget_usd is not None or within is not None else session.run_budget_usd
    if cap is not None and not cap > 0:
        raise UsageError(f"a budget of {cap} dollars: it must be more than 0")
    ledger = Ledger(None if cap == math.inf else cap, within or session.ledger)
    client = Client(session, mode=cache, ledger=ledger, traffic=Traffic(concurrency()))
    try:
        yield Asking(client)
    finally:
        await client.close()


async def in_order(work: Iterable[Awaitable[T]]) -> list[T]:
    """The results of all, in their order; the first error ends the others before it is raised."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
