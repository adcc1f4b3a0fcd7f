"""Judges asked outside a run: to calibrate them, and to compare answers in pairs."""

from __future__ import annotations

import asyncio
import json
import math
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from workbench.client import Client, current
from workbench.errors import UsageError
from workbench.ledger import Ledger
from workbench.records import Message, Request
from workbench.settings import concurrency
from workbench.traffic import Traffic

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence

    from workbench.catalog import Model
    from workbench.records import Reply

T = TypeVar("T")


class Asking:
    """Hands requests to the session's client; what a run hands to its scorers, but for a whole batch of questions.

    `cost_usd`: their list prices, None once one is unknown. `asked`: each model that was asked, with its origin;
    `sources`: live, simulated or recorded, as far as they occurred.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self.cost_usd: float | None = 0.0
        self.asked: dict[str, str] = {}
        self.sources: set[str] = set()

    @property
    def spent_usd(self) -> float:
        """US dollars spent, those of calls that broke off included."""
        return self._client.ledger.spent_usd + self._client.ledger.uncertain_usd

    async def __call__(self, request: Request) -> Reply:
        """The reply to a scorer's request; who answers, and at which endpoint, is the session's choice."""
        model = self._client.session.model(request.provider, request.model)
        return await self._ask(replace(request, endpoint=model.endpoint), model)

    async def embed(self, ref: str, texts: Sequence[str]) -> list[list[float]]:
        """Vectors of `texts` by an embedding model (`openai:text-embedding-3-small`), all in one call."""
        provider, _, model_id = ref.partition(":")
        request = Request(provider, "embeddings", model_id, tuple(Message("user", text) for text in texts))
        reply = await self._ask(request, self._client.session.model(provider, model_id))
        vectors: list[list[float]] = json.loads(reply.text)
        return vectors

    async def _ask(self, request: Request, model: Model) -> Reply:
        origin = self.asked[model.ref] = self._client.session.origin(request.provider).name
        reply = await self._client.complete(replace(request, origin=origin), model)
        known = self.cost_usd is not None and reply.cost_usd is not None
        self.cost_usd = (self.cost_usd or 0.0) + (reply.cost_usd or 0.0) if known else None
        self.sources.add(reply.source)
        return reply


@asynccontextmanager
async def asking(budget_usd: float | None, cache: str) -> AsyncIterator[Asking]:
    """Ask models within a budget of its own and the session's. `cache` as for runs."""
    session = current()
    cap = budget_usd if budget_usd is not None else session.run_budget_usd
    if cap is not None and not cap > 0:
        raise UsageError(f"a budget of {cap} dollars: it must be more than 0")
    ledger = Ledger(None if cap == math.inf else cap, session.ledger)
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
