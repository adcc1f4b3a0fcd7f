"""Models, tiers, what each model accepts, and what a call costs. Facts are data in `catalog.toml`.

List prices come from genai-prices (imported here alone, and only when something must be priced) and from the user's
own price file. An unknown price is `None` everywhere: unknown is not free.
"""

from __future__ import annotations

import datetime
import tomllib
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import CatalogError, choices
from workbench.records import Usage
from workbench.settings import setting, workspace

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from workbench.records import Message

TIERS = ("fast", "balanced", "powerful")
SAMPLING = frozenset({"temperature", "top_p", "top_k"})
PARAMETERS = frozenset({"max_tokens", "effort", "stop", "seed"}) | SAMPLING
"""Every model parameter a prompt's config may hold."""


@dataclass(frozen=True, slots=True)
class Model:
    """One model of one provider and what the catalog knows about it.

    `known` is False for an id given by hand that the catalog does not list: nothing is checked for it. `stand_in`: a
    stand-in server answers under this id, and every table shows `label` instead of it.
    """

    provider: str
    id: str
    tier: str | None = None
    endpoint: str = ""
    params: frozenset[str] = PARAMETERS
    sampling: str = "always"
    efforts: tuple[str, ...] = ()
    default_max_tokens: int = 4096
    forced_tools: bool | None = None
    min_cache_tokens: int | None = None
    lifecycle: str = "unknown"
    ends: datetime.date | None = None
    free: bool = False
    known: bool = False
    stand_in: bool = False

    @property
    def ref(self) -> str:
        """How it is asked for: `anthropic:claude-sonnet-5-5`."""
        return f"{self.provider}:{self.id}"

    @property
    def label(self) -> str:
        """How tables name it: the id, or `sim-anthropic-fast` when a stand-in answers under that id."""
        return f"sim-{self.provider}-{self.tier or self.id}" if self.stand_in else self.id

    def refuses(self, params: Mapping[str, Any]) -> list[str]:
        """Why this model would refuse `params`, a sentence each; empty when it takes them."""
        faults = []
        for name in sorted(set(params) & PARAMETERS):
            if name in SAMPLING and not self._takes_sampling(name, params):
                cure = "set effort to none" if self.sampling == "effort none" else "use effort"
                faults.append(f"{self.ref} takes no {name}; {cure}, or keep it for the providers that do "
                              f"under config.by_provider")  # fmt: skip
            elif name not in SAMPLING and name not in self.params:
                faults.append(f"{self.ref} takes no {name}; it takes {', '.join(sorted(self.params))}")
        effort = params.get("effort")
        if effort is not None and self.efforts and effort not in self.efforts:
            faults.append(f"{self.ref} knows no effort {effort!r}; it knows {', '.join(self.efforts)}")
        return faults

    def _takes_sampling(self, name: str, params: Mapping[str, Any]) -> bool:
        allowed = self.sampling == "always" or (self.sampling == "effort none" and params.get("effort") == "none")
        return allowed and name in self.params

    def __repr__(self) -> str:
        return f"Model({self.label if self.stand_in else self.ref}, tier {self.tier or 'none'})"


def load_models(spec: str | Iterable[str | Model], providers: str | Iterable[str] | None = None, *,
                stand_in: bool = False, chat_completions: bool = False) -> list[Model]:  # fmt: skip
    """Models by tier, `"fast,balanced"`, optionally of some `providers`, or by explicit id, `"anthropic:<id>"`.

    Without `providers` a tier means every provider that has a model for it; Ollama has those that the settings
    OLLAMA_FAST, OLLAMA_BALANCED and OLLAMA_POWERFUL name, or the stand-in's own. Raises CatalogError with the choices.
    """
    entries = [part.strip() for part in spec.split(",")] if isinstance(spec, str) else list(spec)
    asked = _provider_names(providers)
    models: dict[str, Model] = {}
    for entry in entries:
        if isinstance(entry, Model):
            found = [entry]
        elif ":" in entry:
            provider, _, model_id = entry.partition(":")
            found = [find_model(provider, model_id)]
        else:
            found = _of_tier(entry, asked, stand_in)
        for model in found:
            endpoint = "chat_completions" if chat_completions and model.provider == "openai" else model.endpoint
            models[model.ref] = _on_endpoint(replace(model, stand_in=stand_in), endpoint)
    if not models:
        raise CatalogError(f"no models in {spec!r}: name tiers ({', '.join(TIERS)}) or provider:id")
    return list(models.values())


def providers_of(tier: str, *, stand_in: bool = False) -> list[str]:
    """The providers that have a model for `tier`. Raises CatalogError for an unknown tier."""
    return list(dict.fromkeys(model.provider for model in _of_tier(tier, None, stand_in)))


def find_model(provider: str, model_id: str) -> Model:
    """One model by provider and id; an id the catalog does not list is allowed and marked `known=False`.

    Raises CatalogError for an unknown provider or an empty id.
    """
    facts = _catalog()
    if provider not in facts["provider"]:
        raise CatalogError(f"no provider named {provider!r}: {choices(provider, facts['provider'])}")
    if not model_id.strip():
        raise CatalogError(f"{provider}: needs a model id after the colon")
    general = {key: value for key, value in facts["provider"][provider].items() if key in _FIELDS}
    own: dict[str, Any] = next((m for m in facts["model"] if m["provider"] == provider and m["id"] == model_id), {})
    if not own and provider != "ollama":
        # Nothing is known about it: let the vendor judge its parameters.
        general = {key: general[key] for key in ("endpoint", "default_max_tokens")}
    values = general | {key: value for key, value in own.items() if key in _FIELDS}
    values["params"] = frozenset(values.get("params", PARAMETERS))
    values["efforts"] = tuple(values.get("efforts", ()))
    return Model(provider, model_id, known=bool(own) or provider == "ollama", **values)


def price(model: Model, usage: Usage) -> float | None:
    """List price of one call in US dollars; `None` when the price or the token counts are unknown."""
    if model.free:
        return 0.0
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    rates = _rates_today(model)
    return rates.price(usage) if rates else None


def worst_case(model: Model, messages: Iterable[Message], max_tokens: int, extra_bytes: int = 0) -> float | None:
    """The most that one call can cost in US dollars: a token holds at least one byte of text, all of the prompt may be
    written to or read from the dearest cache, and the answer may use all of `max_tokens`. `extra_bytes`: what the
    prompt holds beside its messages, such as an output schema.

    `None` when the price is unknown."""
    if model.free:
        return 0.0
    rates = _rates_today(model)
    if rates is None:
        return None
    tokens = sum(len(m.content.encode("utf-8", "surrogatepass")) + 16 for m in messages) + extra_bytes + 64
    shares = ((0, 0, 0), (tokens, 0, 0), (0, tokens, 0), (0, 0, tokens))  # a user's price file may say anything
    prices = [rates.price(Usage(tokens, *cached, output_tokens=max_tokens)) for cached in shares]
    return max((p for p in prices if p is not None), default=None)


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
        """Price of a call; `usage.input_tokens` is the whole prompt, cached parts included."""
        total = max(usage.input_tokens or 0, _cached(usage))  # whoever contradicts himself is not undercharged
        if self.long_prompt is not None and total > self.long_prompt and self.model_ref:
            return _genai_price(*self.model_ref, usage)
        return (
            (total - _cached(usage)) * self.input
            + usage.cache_read_tokens * self.cache_read
            + usage.cache_write_5m_tokens * self.cache_write_5m
            + usage.cache_write_1h_tokens * self.cache_write_1h
            + (usage.output_tokens or 0) * self.output
        )


@lru_cache
def _catalog() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name("catalog.toml").read_text("utf-8"))


_USER_PRICES = frozenset({"input", "output", "cache_read", "cache_write_5m", "cache_write_1h"})
_FIELDS = frozenset(Model.__slots__) - {"provider", "id", "known", "stand_in"}


def _provider_names(providers: str | Iterable[str] | None) -> list[str] | None:
    if providers is None:
        return None
    names = [p.strip() for p in providers.split(",")] if isinstance(providers, str) else list(providers)
    known = _catalog()["provider"]
    for name in names:
        if name not in known:
            raise CatalogError(f"no provider named {name!r}: {choices(name, known)}")
    if not names:
        raise CatalogError(f"no providers given: {choices('', known)}")
    return names


def _of_tier(tier: str, asked: list[str] | None, stand_in: bool) -> list[Model]:
    if tier not in TIERS:
        raise CatalogError(f"no tier named {tier!r}: {choices(tier, TIERS)}; a single model is written provider:id")
    found = []
    for provider in asked or _catalog()["provider"]:
        ids = [m["id"] for m in _catalog()["model"] if m["provider"] == provider and m.get("tier") == tier]
        if provider == "ollama":
            ids = _ollama_ids(tier, stand_in)
            if not ids and asked:
                raise CatalogError(f"no Ollama model is named for tier {tier}: set OLLAMA_{tier.upper()}, "
                                   "or write ollama:<model>")  # fmt: skip
        found += [replace(find_model(provider, model_id), tier=tier) for model_id in ids]
    return found


def _ollama_ids(tier: str, stand_in: bool) -> list[str]:
    if stand_in:
        return [_catalog()["stand_in"]["ollama"][tier]]
    named = setting(f"OLLAMA_{tier.upper()}").text
    return [named] if named else []


def _on_endpoint(model: Model, endpoint: str) -> Model:
    special = _catalog()["provider"][model.provider].get(endpoint)
    if not isinstance(special, dict):
        return model
    return replace(model, endpoint=endpoint, params=frozenset(special["params"]), sampling=special["sampling"])


def _rates_today(model: Model) -> Rates | None:
    return _rates(model.provider, model.id, datetime.date.today(), _price_file())


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
    if provider not in _catalog()["provider"] or not model_id:
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
