"""One call, from request to stored reply: cache → budget → slot → provider → price → store."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from workbench import catalog
from workbench.cache import MODES, Cache, mark_hit
from workbench.errors import BudgetReached, CallError, CatalogError, MalformedReply, NotRecorded, UsageError, choices
from workbench.records import Request, sha256
from workbench.settings import state_dir
from workbench.traffic import Traffic

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from workbench.catalog import Model, Rates
    from workbench.client.session import Session
    from workbench.ledger import Ledger
    from workbench.providers import Provider
    from workbench.records import Reply

    OnDelta = Callable[[str], object]

EXPLAINED = 5
"""Misses of one replay whose nearest stored request is looked for."""


class Client:
    """Calls for one run in one event loop. Close it with `await client.close()`.

    `mode`: `on` uses and fills the cache, `off` does neither, `refresh` fills only, `replay` reads only: a miss raises
    NotRecorded, and no socket is opened.
    """

    def __init__(
        self, session: Session, *, mode: str = "on", ledger: Ledger | None = None, traffic: Traffic | None = None
    ) -> None:
        if mode not in MODES:
            raise UsageError(f"cache mode {mode!r}: {choices(mode, MODES)}")
        self.session = session
        self.mode = mode
        self.ledger = ledger or session.ledger
        self.traffic = traffic or Traffic()
        self.cache = Cache(state_dir("cache"))
        self._providers: dict[str, Provider] = {}
        self._under_way: dict[str, asyncio.Future[Reply]] = {}
        self._refreshed: set[str] = set()
        self._explained = 0

    def lookup(self, requests: Sequence[Request]) -> list[Reply | None]:
        """The stored reply of each request, or None; one query for all of them."""
        if self.mode == "off":
            return [None] * len(requests)
        keys = [sha256(request.identity()) for request in requests]
        wanted = keys if self.mode != "refresh" else [key for key in keys if key in self._refreshed]
        found = self.cache.get_many(wanted)
        return [_priced(request, found.get(key)) for request, key in zip(requests, keys, strict=True)]

    async def complete(self, request: Request, model: Model, on_delta: OnDelta | None = None) -> Reply:
        """The reply to `request`: a hit, or a call. `model` gives its price.

        With `on_delta` the call is streamed and each piece of text told as it comes; an empty piece begins each
        attempt, and what came before it is void. A hit, and a call that somebody else has under way, tell nothing.
        Raises NotRecorded on a miss in replay mode, BudgetReached, CallError, StorageError.
        """
        hit = self.lookup([request])[0]
        return hit if hit is not None else await self.fetch(request, model, on_delta)

    async def fetch(self, request: Request, model: Model, on_delta: OnDelta | None = None) -> Reply:
        """The reply to a request that `lookup` did not find. Identical requests under way share one call."""
        if self.mode == "replay":
            raise NotRecorded(self._not_recorded(request))
        identity = request.identity()
        key = sha256(identity)
        while (under_way := self._under_way.get(key)) is not None:
            await asyncio.wait([under_way])
            if not under_way.cancelled():
                return _shared(under_way)
            # the one who asked was interrupted, so the next one asks
        outcome: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._under_way[key] = outcome
        try:
            reply = await self._call(request, model, key, identity, on_delta)
            outcome.set_result(reply)
            return reply
        except asyncio.CancelledError:
            outcome.cancel()
            raise
        except BaseException as error:  # whoever waits for this call gets the same error
            outcome.set_exception(error)
            outcome.exception()  # read once, so that asyncio does not complain when nobody waited
            raise
        finally:
            del self._under_way[key]

    def prepare(self, request: Request) -> None:
        """Open what a call for this request will need, unless it is a hit: its time then holds no start-up of others.

        Raises SettingsError for a provider that cannot be used.
        """
        if self.mode != "replay" and self.lookup([request])[0] is None:
            self._provider(request.provider)

    async def close(self) -> None:
        """Close connections and files."""
        for provider in self._providers.values():
            await provider.close()
        self._providers.clear()
        await self.cache.close()

    async def _call(self, request: Request, model: Model, key: str, identity: str, on_delta: OnDelta | None) -> Reply:
        """Attempts until one succeeds or no more are allowed; each one is paid for by a reservation of its own.

        What may fail without a call, the provider and the prices, comes before any money is set aside.
        """
        provider, rates = self._provider(request.provider), catalog.rates_today(model)
        call = _Call(request, key, identity, provider, rates, rates.worst_case(request) if rates else None, on_delta)
        waited_s = uncertain_usd = 0.0
        maybe_charged = False
        attempt = 0
        while True:
            attempt += 1
            try:
                reply, slot_s = await self._attempt(call)
            except BudgetReached as reached:
                reached.uncertain_usd = uncertain_usd
                raise
            except CallError as error:
                uncertain_usd += error.uncertain_usd
                maybe_charged = maybe_charged or error.maybe_charged
                error.attempts, error.uncertain_usd, error.maybe_charged = attempt, uncertain_usd, maybe_charged
                self.traffic.rate_limited += error.status == 429
                pause_s = self.traffic.retries.pause(error, attempt)
                if pause_s is None:
                    raise
                waited_s += pause_s
                await self.traffic.sleep(pause_s)
                continue
            return replace(reply, attempts=attempt, waited_s=waited_s + slot_s, uncertain_usd=uncertain_usd)

    async def _attempt(self, call: _Call) -> tuple[Reply, float]:
        """One attempt: reserve, wait for a slot, call, price, store, settle. Returns the reply and the slot's wait."""
        reservation = await self.ledger.reserve(call.worst_usd)
        spent_usd: float | None = 0.0
        uncertain_usd = 0.0
        try:
            async with self.traffic.slot(call.request.provider) as slot_s:
                # From here on the vendor may charge, whatever becomes of the answer.
                uncertain_usd = reservation.amount_usd
                reply = await call.send()
            self._check_origin(call.request, reply)
            cost_usd = call.rates.price(reply.usage) if call.rates else None
            spent_usd, uncertain_usd = cost_usd, 0.0
            reply = replace(reply, cost_usd=cost_usd, spent_usd=cost_usd)
            # A stand-in that knows no such case may know it tomorrow, when the dataset has been added.
            if self.mode != "off" and not (reply.loose and reply.source == "simulated"):
                await self.cache.put(call.key, call.identity, reply)
                self._refreshed.add(call.key)
            return reply, slot_s
        except CallError as error:
            uncertain_usd = error.uncertain_usd = reservation.amount_usd if error.maybe_charged else 0.0
            raise
        finally:
            self.ledger.settle(reservation, spent_usd, uncertain_usd)

    def _provider(self, name: str) -> Provider:
        if name not in self._providers:
            from workbench.providers import open_provider

            connection = self.session.origin(name).connect()
            self._providers[name] = open_provider(replace(connection, concurrency=self.traffic.concurrency))
        return self._providers[name]

    def _check_origin(self, request: Request, reply: Reply) -> None:
        """A simulated or recorded reply must never be stored under the name of somebody else, nor the reverse."""
        if (reply.source != "live") != request.origin.startswith("sim:"):
            raise MalformedReply(
                f"{request.provider}: the answer is marked {reply.source}, but the request went to "
                f"{request.origin}; nothing was stored. Check the base URL."
            )

    def _not_recorded(self, request: Request) -> str:
        self._explained += 1
        if self._explained > EXPLAINED:  # each explanation reads the whole cache
            return f"{request.provider}:{request.model}: not in the cache, and this is a replay"
        nearest = self.cache.nearest(request)
        why = f"the nearest stored request differs in {'; '.join(nearest[1])}" if nearest else "the cache is empty"
        return f"{request.provider}:{request.model}: not in the cache, and this is a replay; {why}"


@dataclass(frozen=True, slots=True)
class _Call:
    """A call with all that its attempts need. `rates`: the prices at which it is asked, and so is paid for."""

    request: Request
    key: str
    identity: str
    provider: Provider
    rates: Rates | None
    worst_usd: float | None
    on_delta: OnDelta | None

    async def send(self) -> Reply:
        """Ask once; raises CallError."""
        if self.on_delta is None:
            return await self.provider.complete(self.request)
        return await _told(self.provider, self.request, self.on_delta)


def _priced(request: Request, hit: Reply | None) -> Reply | None:
    """A stored reply whose price was not known when it was paid for, at the price that is known now."""
    if hit is None or hit.cost_usd is not None:
        return hit
    try:
        rates = catalog.rates_today(catalog.find_model(request.provider, request.model))
    except CatalogError:
        return hit  # a price file that cannot be read stops the next call, and a hit needs none
    return replace(hit, cost_usd=rates.price(hit.usage)) if rates else hit


def _shared(outcome: asyncio.Future[Reply]) -> Reply:
    """What came of somebody else's call, for a second asker: that it cost something is told to the first alone."""
    error = outcome.exception()
    if isinstance(error, (BudgetReached, CallError)):
        error = copy(error)
        error.uncertain_usd = 0.0
    if isinstance(error, CallError):
        error.maybe_charged = False
    if error is not None:
        raise error
    return mark_hit(outcome.result())


async def _told(provider: Provider, request: Request, on_delta: OnDelta) -> Reply:
    """One streamed call whose pieces are told; whatever the listener raises, the call is paid for and goes on."""
    reply: Reply | None = None
    with suppress(Exception):
        on_delta("")
    async for part in provider.stream(request):
        if isinstance(part, str):
            with suppress(Exception):
                on_delta(part)
        else:
            reply = part
    assert reply is not None  # the adapters' law: exactly one, and it is last
    return reply
