"""What scorers ask models with."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from workbench.errors import BudgetReached, CallError
from workbench.records import Message, Request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.catalog import Model
    from workbench.client.client import Client
    from workbench.records import Reply


class Asking:
    """What scorers ask models with: through one client, so cached, priced and budgeted. One for each trial of a run,
    or for a whole batch of questions.

    `cost_usd`: their list prices, `spent_usd`: what they cost now, hits nothing; both None once one is unknown.
    `uncertain_usd`: the most that calls which broke off may have cost beside. `asked`: each model that was asked, with
    its origin; `sources`: live, simulated or recorded, as far as they occurred.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self.cost_usd: float | None = 0.0
        self.spent_usd: float | None = 0.0
        self.uncertain_usd = 0.0
        self.asked: dict[str, str] = {}
        self.sources: set[str] = set()

    async def __call__(self, request: Request) -> Reply:
        """The reply to a scorer's request; who answers, at which endpoint, and how long an answer may be that names no
        limit, is the session's choice."""
        model = self._client.session.model(request.provider, request.model)
        params = model.limited(request.params)
        return await self._ask(replace(request, model=model.id, endpoint=model.endpoint, params=params), model)

    async def embed(self, ref: str, texts: Sequence[str]) -> list[list[float]]:
        """Vectors of `texts` by an embedding model (`openai:text-embedding-3-small`), all in one call.

        It is a request like any other: its messages are the texts, and its reply's text holds the vectors as JSON.
        """
        provider, _, model_id = ref.partition(":")
        request = Request(provider, "embeddings", model_id, tuple(Message("user", text) for text in texts))
        reply = await self._ask(request, self._client.session.model(provider, model_id))
        vectors: list[list[float]] = json.loads(reply.text)
        return vectors

    async def _ask(self, request: Request, model: Model) -> Reply:
        origin = self.asked[model.ref] = self._client.session.origin(request.provider).name
        try:
            reply = await self._client.complete(replace(request, origin=origin), model)
        except (BudgetReached, CallError) as error:
            self.uncertain_usd += error.uncertain_usd
            if isinstance(error, CallError) and error.maybe_charged and not error.uncertain_usd:
                self.spent_usd = None
            raise
        self.cost_usd = _plus(self.cost_usd, reply.cost_usd)
        self.spent_usd = _plus(self.spent_usd, reply.spent_usd)
        self.uncertain_usd += reply.uncertain_usd
        self.sources.add(reply.source)
        return reply


def _plus(total: float | None, more: float | None) -> float | None:
    """The sum; None once a part is unknown."""
    return None if total is None or more is None else total + more
