"""What a call costs. List prices come from genai-prices (imported here alone, and only when something must be priced)
and from the user's own price file. An unknown price is `None` everywhere: unknown is not free.
"""

from __future__ import annotations

import datetime
import tomllib
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from workbench.catalog.facts import facts
from workbench.errors import CatalogError, choices
from workbench.records import Usage, canonical
from workbench.settings import setting, workspace

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from workbench.catalog.models import Model
    from workbench.records import Request

_USER_PRICES = frozenset({"input", "output", "cache_read", "cache_write_5m", "cache_write_1h"})


def price(model: Model, usage: Usage) -> float | None:
    """List price of one call in US dollars; `None` when the price or the token counts are unknown."""
    rates = rates_today(model)
    return rates.price(usage) if rates else None


def worst_case(model: Model, request: Request) -> float | None:
    """The most that one call can cost in US dollars; `None` when the price is unknown, or nothing limits the answer."""
    rates = rates_today(model)
    return rates.worst_case(request) if rates else None


def rates_today(model: Model) -> Rates | None:
    """What the model charges now, to price a call by that is yet to be sent; `None` when it is unknown.

    Raises CatalogError for a price file that cannot be read.
    """
    return FREE if model.free else _rates(model.provider, model.id, datetime.date.today(), _price_file())


def is_priced(model: Model) -> bool:
    """Whether a price is known for this model."""
    return price(model, Usage(1, output_tokens=1)) is not None


@dataclass(frozen=True, slots=True)
class Rates:
    """US dollars per token, below the prompt size at which a vendor's next price tier begins.

    `long_prompt` is that size in tokens; above it (`dear`) the call is priced by genai-prices itself.
    """

    input: float
    cache_read: float
    cache_write_5m: float
    cache_write_1h: float
    output: float
    long_prompt: int | None = None
    model_ref: tuple[str, str] | None = None

    def price(self, usage: Usage) -> float | None:
        """Price of a call, `None` when its tokens were not counted; `usage.input_tokens` is the whole prompt, cached
        parts included."""
        if self is FREE:
            return 0.0
        if usage.input_tokens is None or usage.output_tokens is None:
            return None
        total = max(usage.input_tokens, _cached(usage))  # whoever contradicts himself is not undercharged
        if self.long_prompt is not None and total > self.long_prompt and self.model_ref:
            return _genai_price(*self.model_ref, usage)
        return (
            (total - _cached(usage)) * self.input
            + usage.cache_read_tokens * self.cache_read
            + usage.cache_write_5m_tokens * self.cache_write_5m
            + usage.cache_write_1h_tokens * self.cache_write_1h
            + usage.output_tokens * self.output
        )

    def worst_case(self, request: Request) -> float | None:
        """The most that one call can cost: a token holds at least one byte of text, all of the prompt may be written to
        or read from the dearest cache, and the answer may use all of `max_tokens`; embeddings have no answer.

        `None` when nothing limits the answer."""
        if self is FREE:
            return 0.0
        limit = 0 if request.endpoint == "embeddings" else request.params.get("max_tokens")
        if not isinstance(limit, int) or limit < 0:
            return None
        tokens = sum(len(m.content.encode("utf-8", "surrogatepass")) + 16 for m in request.messages) + 64
        if request.output_schema or request.tools:
            tokens += sum(len(canonical(one)) for one in (request.output_schema or "", *request.tools))
        shares = ((0, 0, 0), (tokens, 0, 0), (0, tokens, 0), (0, 0, tokens))  # a user's price file may say anything
        prices = [self.price(Usage(tokens, *cached, output_tokens=limit)) for cached in shares]
        return max((p for p in prices if p is not None), default=None)


FREE = Rates(0.0, 0.0, 0.0, 0.0, 0.0)
"""What the user's own machine charges, however little it counts."""


def _cached(usage: Usage) -> int:
    return usage.cache_read_tokens + usage.cache_write_5m_tokens + usage.cache_write_1h_tokens


@lru_cache(maxsize=512)
def _rates(provider: str, model_id: str, day: datetime.date, own_prices: tuple[Path, int] | None) -> Rates | None:
    """Prices per token, asked once per model, day and state of the user's price file: genai-prices takes 80 µs a call,
    which every reply would pay."""
    if own_prices and (own := _user_prices(*own_prices).get(f"{provider}:{model_id}")):
        return own
    per_token = [
        _genai_price(provider, model_id, usage)
        for usage in (
            Usage(1000, output_tokens=0),
            Usage(1000, cache_read_tokens=1000, output_tokens=0),
            Usage(1000, cache_write_5m_tokens=1000, output_tokens=0),
            Usage(1000, cache_write_1h_tokens=1000, output_tokens=0),
            Usage(0, output_tokens=1000),
        )
    ]
    known = [value / 1000 for value in per_token if value is not None]
    if len(known) < len(per_token):
        return None
    return replace(_as_rates(known), long_prompt=_first_tier(provider, model_id), model_ref=(provider, model_id))


def _genai_price(provider: str, model_id: str, usage: Usage) -> float | None:
    from genai_prices import Usage as GenaiUsage
    from genai_prices import calc_price

    tokens = GenaiUsage(
        # genai-prices refuses counts that contradict each other; a paid reply must be priced all the same
        input_tokens=max(usage.input_tokens or 0, _cached(usage)),
        cache_read_tokens=usage.cache_read_tokens or None,
        cache_write_tokens=(usage.cache_write_5m_tokens + usage.cache_write_1h_tokens) or None,
        cache_write_5m_tokens=usage.cache_write_5m_tokens or None,
        cache_write_1h_tokens=usage.cache_write_1h_tokens or None,
        output_tokens=usage.output_tokens,
    )
    try:
        return float(calc_price(tokens, model_id, provider_id=provider).total_price)
    except LookupError:
        return None


def _first_tier(provider: str, model_id: str) -> int | None:
    """Prompt size in tokens above which any price of this model changes."""
    from genai_prices import Usage as GenaiUsage
    from genai_prices import calc_price
    from genai_prices.types import TieredPrices

    model_price = calc_price(GenaiUsage(input_tokens=1, output_tokens=1), model_id, provider_id=provider).model_price
    kinds = ("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok")
    prices = [getattr(model_price, kind) for kind in kinds]
    starts = [tier.start for p in prices if isinstance(p, TieredPrices) for tier in p.tiers]
    return min(starts, default=None)


def _price_file() -> tuple[Path, int] | None:
    """The user's price file and when it changed, so that an edit counts at once; None when there is none."""
    text = setting("WORKBENCH_PRICES").text
    if not text:
        return None
    path = workspace() / text
    try:
        return path, path.stat().st_mtime_ns
    except OSError as error:
        raise _not_prices(path, error) from None


@lru_cache(maxsize=4)
def _user_prices(path: Path, stamp: int) -> dict[str, Rates]:
    """The file that WORKBENCH_PRICES names: a table per `provider:id`, US dollars per million tokens."""
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
        return {_user_ref(ref): _user_rates(ref, table) for ref, table in tables.items()}
    except (OSError, ValueError, TypeError) as error:
        raise _not_prices(path, error) from None


def _not_prices(path: Path, error: Exception) -> CatalogError:
    return CatalogError(f'{path}: not a price file ({error}); write ["openai:my-model"], then input = 1.0 and '
                        "output = 2.0 in US dollars per million tokens")  # fmt: skip


def _user_ref(ref: str) -> str:
    provider, _, model_id = ref.partition(":")
    if provider not in facts()["provider"] or not model_id:
        raise ValueError(f"{ref!r} is no provider:id")
    return ref


def _user_rates(ref: str, table: Any) -> Rates:
    """Raises ValueError or TypeError: a misspelt price would otherwise be taken for another one."""
    if not isinstance(table, dict) or not {"input", "output"} <= table.keys():
        raise ValueError(f"{ref}: input and output are needed")
    if unknown := sorted(table.keys() - _USER_PRICES):
        raise ValueError(f"{ref}: unknown price {unknown[0]!r}: {choices(unknown[0], _USER_PRICES)}")
    dear = float(table["input"])
    values = [dear, table.get("cache_read", dear), table.get("cache_write_5m", dear),
              table.get("cache_write_1h", dear), table["output"]]  # fmt: skip
    per_token = [float(value) / 1e6 for value in values]
    if not all(0 <= value < float("inf") for value in per_token):
        raise ValueError(f"{ref}: a price must be zero or more")
    return _as_rates(per_token)


def _as_rates(per_token: Iterable[float]) -> Rates:
    """From the five prices in the order of the fields."""
    fresh, read, write_5m, write_1h, output = per_token
    return Rates(fresh, read, write_5m, write_1h, output)
