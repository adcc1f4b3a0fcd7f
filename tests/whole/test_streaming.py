"""Calls whose pieces are told as they come: the same keys, cache, retries and money as any other call."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from workbench.catalog import load_models
from workbench.client import Client, current
from workbench.datasets import load_dataset
from workbench.errors import ConnectionLost
from workbench.ledger import Ledger
from workbench.records import Message, Reply, Request
from workbench.traffic import Retries, Traffic

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from workbench.catalog import Model
    from workbench.sim import StandIn

TICKET = load_dataset("tickets").cases[0].inputs["ticket"]
MODELS = load_models("fast", stand_in=True)
every = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.provider)


def ask(model: Model) -> Request:
    """A question that the server knows an answer to, with one that takes several pieces."""
    system = Message("system", "category is one of: billing, hardware. Think first, then answer with a JSON object.")
    origin = current().origin(model.provider).name
    messages = (system, Message("user", TICKET))
    return Request(model.provider, model.endpoint, model.id, messages, {"max_tokens": 300}, origin=origin)


def with_client(work: Callable[[Client], Awaitable[Any]], **options: Any) -> Any:
    """Run `work(client)` and close the client; no pause between attempts."""

    async def main() -> Any:
        client = Client(current(), traffic=Traffic(retries=Retries(attempts=2, first_s=0.0)), **options)
        try:
            return await work(client)
        finally:
            await client.close()

    return asyncio.run(main())


def asked(server: StandIn) -> int:
    """How many calls the server has seen."""
    return int(server.control("stats")["requests"])


@every
def test_pieces_are_the_reply_and_are_stored(model: Model, server: StandIn) -> None:
    """The pieces told make up the reply, whose first came no later than the last; asked again, streamed or not, it is a
    hit that tells nothing, and its key is that of an unstreamed call."""

    async def law(client: Client) -> tuple[Reply, list[str], list[Reply], list[str]]:
        first: list[str] = []
        later: list[str] = []
        reply = await client.complete(ask(model), model, first.append)
        again = [await client.complete(ask(model), model, later.append), await client.complete(ask(model), model)]
        return reply, first, again, later

    reply, first, again, later = with_client(law)
    assert first[0] == "" and len(first) > 2 and "".join(first) == reply.text != ""
    assert reply.ttft_s is not None and reply.ttft_s <= reply.latency_s
    assert not reply.cached and reply.cost_usd == reply.spent_usd is not None
    assert later == [] and all(one.cached and one.text == reply.text and one.spent_usd == 0 for one in again)
    assert asked(server) == 1


@every
def test_an_unstreamed_call_is_a_hit_for_a_streamed_one(model: Model, server: StandIn) -> None:
    """What was asked without a listener is stored under the same key."""
    told: list[str] = []

    async def law(client: Client) -> Reply:
        await client.complete(ask(model), model)
        return await client.complete(ask(model), model, told.append)

    assert with_client(law).cached and told == [] and asked(server) == 1


@every
def test_a_broken_stream_begins_anew(model: Model, server: StandIn) -> None:
    """A stream that breaks off is tried again; an empty piece says that what came before is void, and both attempts
    count as money that may be gone."""
    server.control("faults", [{"kind": "cut", "times": 1}])
    told: list[str] = []
    ledger = Ledger(1.0)
    reply = with_client(lambda client: client.complete(ask(model), model, told.append), ledger=ledger)
    begins = [place for place, piece in enumerate(told) if not piece]
    assert len(begins) == 2 and "".join(told[begins[1] :]) == reply.text
    assert reply.attempts == 2 and asked(server) == 2
    assert ledger.reserved_usd == 0 and (ledger.uncertain_usd > 0 or model.free)


@every
def test_a_stream_that_never_succeeds_raises(model: Model, server: StandIn) -> None:
    """After the last attempt the error is raised, nothing is stored, and what may be charged is counted."""
    server.control("faults", [{"kind": "cut", "times": 9}])
    ledger = Ledger(1.0)
    with pytest.raises(ConnectionLost):
        with_client(lambda client: client.complete(ask(model), model, lambda _: None), ledger=ledger)
    assert ledger.spent_usd == ledger.reserved_usd == 0 and (ledger.uncertain_usd > 0 or model.free)
    server.control("reset", {})
    assert not with_client(lambda client: client.complete(ask(model), model)).cached


@every
def test_an_interrupted_stream_may_be_charged(model: Model, server: StandIn) -> None:
    """Cancelled after its first piece, a call leaves its worst case in the ledger and nothing in the cache."""
    server.control("settings", {"latency_s": 2.0})
    ledger = Ledger(1.0)

    async def law(client: Client) -> None:
        came = asyncio.Event()
        call = asyncio.create_task(client.complete(ask(model), model, lambda piece: piece and came.set()))
        await came.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert client.lookup([ask(model)]) == [None]

    with_client(law, ledger=ledger)
    assert ledger.spent_usd == ledger.reserved_usd == 0 and (ledger.uncertain_usd > 0 or model.free)


@every
def test_a_listener_that_raises_loses_no_reply(model: Model, server: StandIn) -> None:
    """Whatever a listener does, the paid reply is stored and returned."""

    def broken(piece: str) -> None:
        raise RuntimeError(piece)

    async def law(client: Client) -> Reply:
        assert (await client.complete(ask(model), model, broken)).text
        return await client.complete(ask(model), model)

    assert with_client(law).cached and asked(server) == 1
