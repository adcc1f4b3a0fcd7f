"""The path of one call: cache, budget, attempts, store."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from workbench import connect
from workbench.catalog import find_model, load_models, price
from workbench.client import Client, Origin, Session, current
from workbench.datasets import load_dataset
from workbench.errors import (
    BudgetReached,
    MalformedReply,
    NotRecorded,
    QuotaReached,
    RateLimited,
    SettingsError,
)
from workbench.ledger import Ledger
from workbench.records import Message, Reply, Request
from workbench.sim import StandIn
from workbench.traffic import Retries, Traffic

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.providers import Connection

MODEL = load_models("openai:gpt-6-luna")[0]
TICKET = load_dataset("tickets").cases[0].inputs["ticket"]


def ask(text: str = "", repeat: int = 0) -> Request:
    """A request that the server knows an answer to."""
    origin = current().origin("openai").name
    return Request(
        "openai",
        "responses",
        MODEL.id,
        (Message("user", f"{text} Sort this: {TICKET}"),),
        {"max_tokens": 200},
        repeat=repeat,
        origin=origin,
    )


def with_client(work, **options):
    """Run `work(client)` and close the client."""

    async def main():
        client = Client(current(), **options)
        try:
            return await work(client)
        finally:
            await client.close()

    return asyncio.run(main())


async def no_pause(seconds: float) -> None:
    """Waits for nothing."""


def requests(server: StandIn) -> int:
    """How many model calls the server has seen."""
    return server.control("stats")["requests"]


def test_second_ask_is_a_hit(server: StandIn) -> None:
    """A stored reply answers the same request again, for nothing, and says so."""

    async def twice(client: Client) -> list[Reply]:
        return [await client.complete(ask(), MODEL), await client.complete(ask(), MODEL)]

    first, second = with_client(twice)
    assert requests(server) == 1
    assert (first.cached, second.cached) == (False, True)
    assert first.spent_usd == first.cost_usd == second.cost_usd
    assert first.cost_usd > 0
    assert second.spent_usd == 0.0
    assert second.text == first.text
    assert first.source == second.source == "simulated"


def test_identical_requests_under_way_share_one_call(server: StandIn) -> None:
    """Twenty askers of one question at once cause one request; a different repeat is another question."""

    async def many(client: Client) -> list[Reply]:
        return await asyncio.gather(*[client.complete(ask(repeat=i % 2), MODEL) for i in range(20)])

    replies = with_client(many)
    assert requests(server) == 2
    assert sum(not reply.cached for reply in replies) == 2
    assert sum(reply.spent_usd for reply in replies) == pytest.approx(2 * replies[0].cost_usd, rel=0.5)


def test_waiting_asker_takes_over_from_an_interrupted_one(server: StandIn) -> None:
    """When the one who made the call is cancelled, the next one makes it: nobody waits for ever."""
    server.control("settings", {"latency_s": 0.05})

    async def interrupted(client: Client) -> Reply:
        first = asyncio.create_task(client.complete(ask(), MODEL))
        second = asyncio.create_task(client.complete(ask(), MODEL))
        while not client.traffic.in_flight:
            await asyncio.sleep(0)
        first.cancel()
        return await second

    reply = with_client(interrupted)
    assert reply.text
    assert not reply.cached


def test_replay_opens_no_socket(server: StandIn) -> None:
    """A miss in replay mode is an error that names the nearest stored request; nobody is connected to."""

    def must_not_connect() -> Connection:
        raise AssertionError("a replay connected")

    with_client(lambda client: client.complete(ask("a"), MODEL))
    origin = current().origin("openai")
    session = Session({"openai": Origin("openai", origin.name, must_not_connect, stand_in=True)})

    async def replay() -> None:
        client = Client(session, mode="replay")
        assert (await client.complete(ask("a"), MODEL)).cached
        with pytest.raises(NotRecorded, match="user message"):
            await client.complete(ask("b"), MODEL)
        await client.close()

    asyncio.run(replay())


def test_modes_off_and_refresh(server: StandIn) -> None:
    """Mode off neither reads nor writes; refresh asks again once and stores what came."""
    with_client(lambda client: client.complete(ask(), MODEL), mode="off")
    assert current().origin("openai").name.startswith("sim:")
    assert with_client(lambda client: client.complete(ask(), MODEL)).cached is False

    async def refresh(client: Client) -> list[Reply]:
        return [await client.complete(ask(), MODEL), await client.complete(ask(), MODEL)]

    first, second = with_client(refresh, mode="refresh")
    assert (first.cached, second.cached) == (False, True)
    assert requests(server) == 3


def test_rate_limits_are_waited_out(server: StandIn) -> None:
    """A passing 429 is tried again after what the server asked for, and the reply says how many attempts it took."""
    server.control("faults", [{"kind": "rate_limit", "times": 2, "retry_after_s": 7}])
    pauses: list[float] = []

    async def note(seconds: float) -> None:
        pauses.append(seconds)

    traffic = Traffic(sleep=note)
    reply = with_client(lambda client: client.complete(ask(), MODEL), traffic=traffic)
    assert reply.attempts == 3
    assert traffic.rate_limited == 2
    assert all(7 <= pause <= 7.7 for pause in pauses)
    assert reply.waited_s >= sum(pauses)


def test_quota_is_not_tried_again(server: StandIn) -> None:
    """A 429 that no waiting cures is reported at once."""
    server.control("faults", [{"kind": "quota", "times": 5}])
    with pytest.raises(QuotaReached):
        with_client(lambda client: client.complete(ask(), MODEL))
    assert requests(server) == 1


def test_errors_are_not_stored(server: StandIn) -> None:
    """A failure leaves nothing in the cache: the next ask is a call again, and nothing was spent."""
    server.control("faults", [{"kind": "rate_limit", "times": 2, "retry_after_s": 0}])
    ledger = Ledger()
    traffic = Traffic(retries=Retries(attempts=2))
    with pytest.raises(RateLimited) as caught:
        with_client(lambda client: client.complete(ask(), MODEL), ledger=ledger, traffic=traffic)
    assert caught.value.attempts == 2
    assert (ledger.spent_usd, ledger.uncertain_usd, ledger.reserved_usd) == (0.0, 0.0, 0.0)
    assert with_client(lambda client: client.complete(ask(), MODEL)).cached is False


def test_broken_calls_count_against_the_budget(server: StandIn) -> None:
    """A connection that drops may have been charged, so its worst case is held against the cap."""
    server.control("faults", [{"kind": "drop", "times": 1}])
    ledger = Ledger(1.0)

    reply = with_client(lambda c: c.complete(ask(), MODEL), ledger=ledger, traffic=Traffic(sleep=no_pause))
    assert reply.attempts == 2
    assert reply.uncertain_usd == ledger.uncertain_usd
    assert ledger.uncertain_usd > 0
    assert ledger.spent_usd == pytest.approx(reply.cost_usd)


@pytest.mark.parametrize("calls_that_fit", [1, 5, 20])
def test_budget_holds_over_64_parallel_calls(server: StandIn, calls_that_fit: int) -> None:
    """Spent + uncertain + reserved never passes the cap, at any moment, with 64 tasks and failing attempts."""
    server.control("faults", [{"kind": "server_error", "times": 10, "after": 3}])

    class Watched(Ledger):
        highest = 0.0

        async def reserve(self, amount_usd):
            reservation = await super().reserve(amount_usd)
            self.highest = max(self.highest, self.spent_usd + self.uncertain_usd + self.reserved_usd)
            return reservation

    first = with_client(lambda client: client.complete(ask("price"), MODEL))
    server.control("reset", {})
    ledger = Watched(first.cost_usd * calls_that_fit)

    async def storm(client: Client) -> list[object]:
        calls = [client.complete(ask(str(i)), MODEL) for i in range(64)]
        return await asyncio.gather(*calls, return_exceptions=True)

    # the worst case of a call is dearer than its price, so the last dollars may stay unspent, never overspent
    outcomes = with_client(storm, ledger=ledger, traffic=Traffic(64, sleep=no_pause))
    assert any(isinstance(outcome, BudgetReached) for outcome in outcomes)
    assert ledger.highest <= ledger.cap_usd
    assert ledger.spent_usd <= ledger.cap_usd
    assert ledger.reserved_usd == 0.0
    paid = sum(reply.spent_usd for reply in outcomes if isinstance(reply, Reply))
    assert paid == pytest.approx(ledger.spent_usd)


def test_simulated_reply_never_passes_for_a_real_one(server: StandIn) -> None:
    """A stand-in that answers under a vendor's name is refused, and nothing is stored under that name."""
    connection = current().origin("openai").connect()
    session = Session({"openai": Origin("openai", "vendor", lambda: connection)})
    request = Request("openai", "responses", MODEL.id, (Message("user", TICKET),), {"max_tokens": 50})

    async def disguised() -> None:
        client = Client(session)
        with pytest.raises(MalformedReply, match="simulated"):
            await client.complete(request, MODEL)
        assert client.lookup([request]) == [None]
        await client.close()

    asyncio.run(disguised())


def test_two_stand_ins_share_keys(server: StandIn) -> None:
    """The key holds no address: what one stand-in answered is a hit for the same stand-in on another port."""
    with_client(lambda client: client.complete(ask(), MODEL))
    with StandIn(server.config.cases, latency_s=0.0) as other:
        connect.at({"openai": other.url + "/v1"})
        assert with_client(lambda client: client.complete(ask(), MODEL)).cached
        assert other.control("stats")["requests"] == 0


def test_what_broken_attempts_may_have_cost_is_told_once(server: StandIn) -> None:
    """A call that is given up carries the most that all its attempts may have cost, whatever the last one said, and of
    several askers of one question one alone is told."""
    server.control("faults", [{"kind": "drop", "times": 2}, {"kind": "rate_limit", "times": 1, "retry_after_s": 999}])
    ledger = Ledger()

    async def thrice(client: Client) -> list[object]:
        return await asyncio.gather(*(client.complete(ask(), MODEL) for _ in range(3)), return_exceptions=True)

    outcomes = with_client(thrice, ledger=ledger, traffic=Traffic(sleep=no_pause))
    assert [type(one) for one in outcomes] == [RateLimited] * 3 and requests(server) == 3
    assert outcomes[0].uncertain_usd == ledger.uncertain_usd > 0
    assert [one.maybe_charged for one in outcomes] == [True, False, False]
    assert [one.uncertain_usd for one in outcomes[1:]] == [0.0, 0.0]
    assert [one.attempts for one in outcomes] == [3, 3, 3]


def test_a_hit_has_nothing_uncertain(server: StandIn) -> None:
    """What broken attempts may have cost belongs to the call that made them, not to those who find its reply."""
    server.control("faults", [{"kind": "drop", "times": 1}])

    async def thrice(client: Client) -> list[Reply]:
        together = await asyncio.gather(client.complete(ask(), MODEL), client.complete(ask(), MODEL))
        return [*together, await client.complete(ask(), MODEL)]

    first, *others = with_client(thrice, traffic=Traffic(sleep=no_pause))
    assert first.uncertain_usd > 0
    assert [one.uncertain_usd for one in others] == [0.0, 0.0]


def test_an_answer_without_a_limit_is_refused_under_a_cap(server: StandIn) -> None:
    """A request that names no max_tokens may cost anything, so no budget can hold it and it is not sent."""
    endless = replace(ask(), params={})
    with pytest.raises(BudgetReached, match="max_tokens"):
        with_client(lambda client: client.complete(endless, MODEL), ledger=Ledger(1000.0))
    assert requests(server) == 0


def test_prices_are_those_that_held_when_it_was_sent(
    server: StandIn, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A price file that becomes unreadable while a call is under way costs nothing: the reply is priced, settled and
    stored."""
    prices = home / "prices.toml"
    prices.write_text('["openai:gpt-6-luna"]\ninput = 1.0\noutput = 2.0\n')
    monkeypatch.setenv("WORKBENCH_PRICES", "prices.toml")
    ledger = Ledger(1.0)

    def half_saved(piece: str) -> None:
        prices.write_text("[half an edit")

    async def paid(client: Client) -> tuple[Reply, Reply | None]:
        reply = await client.complete(ask(), MODEL, half_saved)
        return reply, client.lookup([ask()])[0]

    reply, stored = with_client(paid, ledger=ledger)
    assert prices.read_text() == "[half an edit"
    assert stored is not None and stored.text == reply.text
    assert reply.spent_usd == ledger.spent_usd > 0 and ledger.uncertain_usd == 0.0
    monkeypatch.delenv("WORKBENCH_PRICES")
    assert reply.cost_usd != price(MODEL, reply.usage)


def test_nothing_is_set_aside_for_a_provider_that_cannot_be_opened(server: StandIn) -> None:
    """While nothing can be sent, nothing is reserved or spent: the cause is what every call says, not the budget."""

    def no_connection() -> Connection:
        raise SettingsError("the key has blanks")

    name = current().origin("openai").name
    ledger = Ledger(0.003)
    session = Session({"openai": Origin("openai", name, no_connection, stand_in=True)}, ledger)

    async def often() -> list[object]:
        client = Client(session)
        calls = [client.complete(ask(repeat=i), MODEL) for i in range(20)]
        found = await asyncio.gather(*calls, return_exceptions=True)
        await client.close()
        return found

    assert {str(one) for one in asyncio.run(often())} == {"the key has blanks"}
    assert (ledger.spent_usd, ledger.uncertain_usd, ledger.reserved_usd) == (0.0, 0.0, 0.0)


def test_a_hit_takes_the_price_that_is_known_by_now(
    server: StandIn, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reply that was stored without a price has one from the day that somebody gives it; a price that was known stays
    what it was, and an unreadable price file stops no hit."""
    unlisted = find_model("openai", "my-own")
    request = replace(ask(), model=unlisted.id)
    assert with_client(lambda client: client.complete(request, unlisted)).cost_usd is None
    prices = home / "prices.toml"
    prices.write_text('["openai:my-own"]\ninput = 1.0\noutput = 2.0\n')
    monkeypatch.setenv("WORKBENCH_PRICES", "prices.toml")
    hit = with_client(lambda client: client.complete(request, unlisted), mode="replay")
    assert hit.cached and hit.cost_usd == price(unlisted, hit.usage) > 0 and hit.spent_usd == 0.0
    prices.write_text("[half an edit")
    assert with_client(lambda client: client.complete(request, unlisted)).cost_usd is None
    assert requests(server) == 1
