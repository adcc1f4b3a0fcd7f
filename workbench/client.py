"""One call, from request to stored reply: cache → budget → slot → provider → price → store.

`Origin` says who answers for a provider, `Session` what a notebook or command has chosen; the doors make both.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from workbench import catalog
from workbench.cache import MODES, Cache, mark_hit
from workbench.errors import CallError, MalformedReply, NotRecorded, SettingsError, UsageError, choices
from workbench.ledger import Ledger
from workbench.records import Message, Request, canonical, sha256
from workbench.settings import state_dir
from workbench.traffic import Traffic

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from workbench.catalog import Model
    from workbench.langfuse.server import Server
    from workbench.providers import Connection, Provider
    from workbench.records import Reply

    OnDelta = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Origin:
    """Who answers for one provider.

    `name` goes into every cache key: `vendor`, a custom URL, or `sim:<hash>`. `connect` is called on the first miss,
    never before: it may start a stand-in server, and a replay must open nothing. `loose`: recordings that are matched
    by their input alone. `chat_completions`: an OpenAI-compatible server.
    """

    provider: str
    name: str
    connect: Callable[[], Connection]
    stand_in: bool = False
    recorded: bool = False
    loose: bool = False
    chat_completions: bool = False


@dataclass
class Session:
    """Who answers, and the money that all runs of this notebook or command may spend together.

    `live`: somebody may be paid. `run_budget_usd`: the cap of a run that names none. `missing`: provider name -> why it
    cannot be used. `notes` are told with every plan. `langfuse`: opens the Langfuse that prompts are promoted on, None
    where there is none; `traces`: runs are sent there too.
    """

    origins: Mapping[str, Origin]
    ledger: Ledger = field(default_factory=Ledger)
    live: bool = False
    run_budget_usd: float | None = None
    missing: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    close: Callable[[], None] = lambda: None
    langfuse: Callable[[], Server | None] = lambda: None
    traces: bool = False

    def origin(self, provider: str) -> Origin:
        """Who answers for `provider`. Raises SettingsError with the cure or the choices."""
        if provider in self.origins:
            return self.origins[provider]
        cure = self.missing.get(provider, f"nobody answers for it here: {choices(provider, self.origins)}")
        raise SettingsError(f"provider {provider!r}: {cure}")

    def model(self, provider: str, model_id: str) -> Model:
        """A model as this session's origin serves it. Raises SettingsError and CatalogError."""
        return self.serve(catalog.find_model(provider, model_id))

    def serve(self, model: Model) -> Model:
        """The same model with the endpoint and the name that its origin gives it."""
        origin = self.origin(model.provider)
        stand_in = origin.stand_in and not origin.recorded
        return catalog.load_models([model], stand_in=stand_in, chat_completions=origin.chat_completions)[0]


EXPLAINED = 5
"""Misses of one replay whose nearest stored request is looked for."""

_current: Session | None = None
_open_default: Callable[[], Session] | None = None


def use(session: Session | None) -> None:
    """Make `session` the one that runs use from now on, and close the one before."""
    global _current
    if _current is not None and _current is not session:
        _current.close()
    _current = session


def use_by_default(opener: Callable[[], Session]) -> None:
    """Who opens a session when a run starts before anyone chose one; a door registers itself here."""
    global _open_default
    _open_default = opener


def in_use() -> Session | None:
    """The session in use, None when nobody chose one yet."""
    return _current


def current() -> Session:
    """The session in use. Raises SettingsError when nobody chose one."""
    if _current is None:
        if _open_default is None:
            raise SettingsError("nobody said who answers: call wb.offline() or wb.live(budget_usd=...) first")
        use(_open_default())
    assert _current is not None
    return _current


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
        return [found.get(key) for key in keys]

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
                return mark_hit(under_way.result())
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
        """Attempts until one succeeds or no more are allowed; each one is paid for by a reservation of its own."""
        beside = [request.output_schema or "", *request.tools]
        extra_bytes = sum(len(canonical(one)) for one in beside) if request.output_schema or request.tools else 0
        worst_usd = catalog.worst_case(model, request.messages, request.params.get("max_tokens", 0), extra_bytes)
        waited_s = 0.0
        attempt = 0
        while True:
            attempt += 1
            try:
                reply, slot_s = await self._attempt(request, model, worst_usd, (key, identity), on_delta)
            except CallError as error:
                error.attempts = attempt
                self.traffic.rate_limited += error.status == 429
                pause_s = self.traffic.retries.pause(error, attempt)
                if pause_s is None:
                    raise
                waited_s += pause_s
                await self.traffic.sleep(pause_s)
                continue
            return replace(reply, attempts=attempt, waited_s=waited_s + slot_s)

    async def _attempt(
        self,
        request: Request,
        model: Model,
        worst_usd: float | None,
        kept_as: tuple[str, str],
        on_delta: OnDelta | None,
    ) -> tuple[Reply, float]:
        """One attempt: reserve, wait for a slot, call, price, store, settle. Returns the reply and the slot's wait."""
        reservation = await self.ledger.reserve(worst_usd)
        spent_usd: float | None = 0.0
        uncertain_usd = 0.0
        try:
            async with self.traffic.slot(request.provider) as slot_s:
                # From here on the vendor may charge, whatever becomes of the answer.
                uncertain_usd = reservation.amount_usd
                provider = self._provider(request.provider)
                reply = await (provider.complete(request) if on_delta is None else _told(provider, request, on_delta))
            self._check_origin(request, reply)
            cost_usd = catalog.price(model, reply.usage)
            spent_usd, uncertain_usd = cost_usd, 0.0
            reply = replace(reply, cost_usd=cost_usd, spent_usd=cost_usd)
            # A stand-in that knows no such case may know it tomorrow, when the dataset has been added.
            if self.mode != "off" and not (reply.loose and reply.source == "simulated"):
                await self.cache.put(*kept_as, reply)
                self._refreshed.add(kept_as[0])
            return reply, slot_s
        except CallError as error:
            uncertain_usd = reservation.amount_usd if error.maybe_charged else 0.0
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


class Asking:
    """What scorers ask models with: through one client, so cached, priced and budgeted. One for each trial of a run,
    or for a whole batch of questions.

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
        reply = await self._client.complete(replace(request, origin=origin), model)
        known = self.cost_usd is not None and reply.cost_usd is not None
        self.cost_usd = (self.cost_usd or 0.0) + (reply.cost_usd or 0.0) if known else None
        self.sources.add(reply.source)
        return reply
