"""Models and tiers, and what each model accepts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from workbench.catalog.facts import PARAMETERS, SAMPLING, TIERS, facts
from workbench.errors import CatalogError, choices
from workbench.settings import setting

if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterable, Mapping


ALIKE = 0.75
"""Share of two names that is the same, from which one may be a misspelling of the other."""


@dataclass(frozen=True, slots=True)
class Model:
    """One model of one provider and what the catalog knows about it.

    `known` is False for an id given by hand that the catalog does not list: nothing is checked for it. `stand_in`: a
    stand-in server answers under this id, and every table shows `label` instead of it. `by_id`: another model of the
    same run has its provider and tier too, so its names hold the id instead of the tier.
    """

    provider: str
    id: str
    tier: str | None = None
    endpoint: str = ""
    params: frozenset[str] = PARAMETERS
    sampling: str = "always"
    efforts: tuple[str, ...] = ()
    default_max_tokens: int = 4096
    lifecycle: str = "unknown"
    ends: datetime.date | None = None
    free: bool = False
    known: bool = False
    stand_in: bool = False
    by_id: bool = False

    @property
    def ref(self) -> str:
        """How it is asked for: `anthropic:claude-sonnet-5-5`."""
        return f"{self.provider}:{self.id}"

    @property
    def label(self) -> str:
        """How tables name it: the id, or `sim-anthropic-fast` when a stand-in answers under that id."""
        return f"sim-{self.provider}-{self.place}" if self.stand_in else self.id

    @property
    def place(self) -> str:
        """What it is called beside its provider: the tier, or the id where it has none of its own."""
        return self.id if self.by_id or self.tier is None else self.tier

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

    def limited(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """`params` with a limit on the answer, this model's default where they name none: what is sent, hashed and
        reserved for is the same."""
        return {"max_tokens": self.default_max_tokens, **params}

    def _takes_sampling(self, name: str, params: Mapping[str, Any]) -> bool:
        allowed = self.sampling == "always" or (self.sampling == "effort none" and params.get("effort") == "none")
        return allowed and name in self.params

    def __repr__(self) -> str:
        return f"Model({self.label if self.stand_in else self.ref}, tier {self.tier or 'none'})"


def load_models(spec: str | Iterable[str | Model], providers: str | Iterable[str] | None = None, *,
                stand_in: bool = False, chat_completions: bool = False) -> list[Model]:  # fmt: skip
    """Models by tier, `"fast,balanced"`, optionally of some `providers`, by provider and tier, `"anthropic:fast"`, or
    by explicit id, `"anthropic:<id>"`.

    Without `providers` a tier means every provider that has a model for it; Ollama has those that the settings
    OLLAMA_FAST, OLLAMA_BALANCED and OLLAMA_POWERFUL name, else those of the workspace's catalog, else the stand-in's
    own. Raises CatalogError with the choices.
    """
    entries = [part.strip() for part in spec.split(",")] if isinstance(spec, str) else list(spec)
    asked = _provider_names(providers)
    models: dict[str, Model] = {}
    for entry in entries:
        if isinstance(entry, Model):
            found = [entry]
        elif ":" in entry:
            provider, _, model_id = (part.strip() for part in entry.partition(":"))
            tier = model_id.lower() in TIERS
            found = (_of_tier(model_id.lower(), _provider_names([provider]), stand_in) if tier else
                     [find_model(provider, model_id)])  # fmt: skip
        else:
            found = _of_tier(entry.lower(), asked, stand_in)
        for model in found:
            endpoint = "chat_completions" if chat_completions and model.provider == "openai" else model.endpoint
            models[model.ref] = _on_endpoint(replace(model, stand_in=stand_in), endpoint)
    if not models:
        raise CatalogError(f"no models in {spec!r}: name tiers ({', '.join(TIERS)}), provider:tier or provider:id")
    return list(models.values())


def provider_names() -> list[str]:
    """Every provider there is."""
    return list(facts()["provider"])


def providers_of(tier: str, *, stand_in: bool = False) -> list[str]:
    """The providers that have a model for `tier`. Raises CatalogError for an unknown tier."""
    return list(dict.fromkeys(model.provider for model in _of_tier(tier.lower(), None, stand_in)))


def find_model(provider: str, model_id: str) -> Model:
    """One model by provider and id; an id the catalog does not list is allowed and marked `known=False`.

    Raises CatalogError for an unknown provider or an empty id.
    """
    known = facts()
    if provider not in known["provider"]:
        raise CatalogError(f"no provider named {provider!r}: {choices(provider, known['provider'])}")
    if not model_id.strip():
        raise CatalogError(f"{provider}: needs a model id after the colon")
    general = {key: value for key, value in known["provider"][provider].items() if key in _FIELDS}
    own: dict[str, Any] = next((m for m in known["model"] if m["provider"] == provider and m["id"] == model_id), {})
    if not own and provider != "ollama":
        # Nothing is known about it: let the vendor judge its parameters.
        general = {key: general[key] for key in ("endpoint", "default_max_tokens")}
    values = general | {key: value for key, value in own.items() if key in _FIELDS}
    values["params"] = frozenset(values.get("params", PARAMETERS))
    values["efforts"] = tuple(values.get("efforts", ()))
    return Model(provider, model_id, known=bool(own) or provider == "ollama", **values)


def nearest(model: Model) -> str | None:
    """The tier or listed model of the same provider that an unlisted id may be a misspelling of, as one writes it."""
    listed = [m["id"] for m in facts()["model"] if m["provider"] == model.provider]
    near = get_close_matches(model.id, [*TIERS, *listed], n=1, cutoff=ALIKE)
    return f"{model.provider}:{near[0]}" if near and not model.known else None


_FIELDS = frozenset(Model.__slots__) - {"provider", "id", "known", "stand_in", "by_id"}


def _provider_names(providers: str | Iterable[str] | None) -> list[str] | None:
    if providers is None:
        return None
    names = [p.strip() for p in providers.split(",")] if isinstance(providers, str) else list(providers)
    known = facts()["provider"]
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
    for provider in asked or facts()["provider"]:
        ids = [m["id"] for m in facts()["model"] if m["provider"] == provider and m.get("tier") == tier]
        if provider == "ollama":
            ids = _ollama_ids(tier, ids, stand_in)
            if not ids and asked:
                raise CatalogError(f"no Ollama model is named for tier {tier}: set OLLAMA_{tier.upper()}, "
                                   "or write ollama:<model>")  # fmt: skip
        found += [replace(find_model(provider, model_id), tier=tier) for model_id in ids]
    return found


def _ollama_ids(tier: str, listed: list[str], stand_in: bool) -> list[str]:
    """The setting's model over those that the workspace's catalog lists, over the stand-in's own."""
    named = setting(f"OLLAMA_{tier.upper()}").text
    ids = [named] if named else listed
    return ids or ([facts()["stand_in"]["ollama"][tier]] if stand_in else [])


def _on_endpoint(model: Model, endpoint: str) -> Model:
    special = facts()["provider"][model.provider].get(endpoint)
    if not isinstance(special, dict):
        return model
    return replace(model, endpoint=endpoint, params=frozenset(special["params"]), sampling=special["sampling"])
