"""Which prompts and models an experiment is about: refs become versions, and `@production` what production is now."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from workbench import catalog
from workbench.client import current
from workbench.errors import LangfuseMissing, PlanError, PromptError
from workbench.experiment.given import entries
from workbench.prompts import NEWEST, Prompt, load_prompt, load_prompts, prompt_names
from workbench.settings import setting

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from workbench.catalog import Model
    from workbench.client import Session

PRODUCTION = "production"
PROMPTS = 'refs or Prompts, such as prompts="ticket-triage@v1,v2" or prompts=[draft, "ticket-triage@v2"]'


@dataclass
class Chosen:
    """The prompts by ref, each content once; `aliases`: what `ticket-triage@production` meant, a ref among them;
    `notes`: what the plan should say about how they were chosen."""

    prompts: dict[str, Prompt] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add_production(self, name: str, given: Iterable[Prompt]) -> None:
        """Pin what holds the production label now to its content; a version at hand with that content stands for it."""
        from workbench.langfuse.production import fetch_production

        server = current().langfuse()
        try:
            found = fetch_production(server, name)
        except LangfuseMissing as error:
            raise LangfuseMissing(_not_promoted(name, error), status=error.status) from None
        same = [one for one in [*given, *_versions(name)] if one.sha == found.prompt.sha]
        prompt = same[0] if same else found.prompt
        self.prompts.setdefault(prompt.ref, prompt)
        self.aliases[f"{name}@{PRODUCTION}"] = prompt.ref
        self.notes.append(f"{name}@{PRODUCTION} is {prompt.ref}: {found.said}")


def _not_promoted(name: str, error: LangfuseMissing) -> str:
    refs = [one.ref for one in _versions(name)]
    cure = f"promote one (`workbench promote {refs[0]}`), or name one: {', '.join(refs)}" if refs else "name a version"
    return f"no version of {name} is in production: {cure} ({error})"


def choose(given: str | Prompt | Iterable[str | Prompt]) -> Chosen:
    """Prompts and refs as an experiment takes them, in their order. Raises PlanError and PromptError, and LangfuseError
    for a `@production` that nobody knows."""
    chosen = Chosen()
    wanted = [one for entry in entries("prompts", given, (str, Prompt), PROMPTS) for one in _parts(entry, chosen)]
    versions = [one for one in wanted if isinstance(one, Prompt)]
    for one in wanted:
        if isinstance(one, Prompt):
            chosen.prompts.setdefault(one.ref, one)
        else:
            chosen.add_production(one, versions)
    _check(chosen.prompts)
    return chosen


def _parts(entry: str | Prompt, chosen: Chosen) -> list[str | Prompt]:
    """What one entry stands for: prompts, and a bare name where production is meant."""
    if isinstance(entry, Prompt):
        return [entry]
    name, _, versions = entry.partition("@")
    wanted = [one.strip() for one in versions.split(",") if one.strip()]
    if not wanted:
        newest = load_prompts(name)
        told = ", ".join(prompt.version for prompt in newest)
        which = "only version" if len(newest) == 1 else f"newest {NEWEST} versions at most"
        chosen.notes.append(f"{entry} means its {which}: {told}")
        return [*newest]
    return [name if one == PRODUCTION else load_prompt(f"{name}@{one}") for one in wanted]


def find_prompt(ref: str, aliases: Mapping[str, str], at_hand: Iterable[Prompt]) -> Prompt:
    """One prompt by ref or alias; `@production` is asked for when this experiment has not pinned it."""
    wanted = aliases.get(ref, ref)
    for prompt in at_hand:
        if prompt.ref == wanted:
            return prompt
    if wanted.endswith(f"@{PRODUCTION}"):
        return next(iter(choose(wanted).prompts.values()))
    return load_prompt(wanted)


def where_asked(sides: Iterable[object]) -> tuple[str, ...]:
    """Which Langfuse said what production is, where a side is `@production` and that is no stand-in of this workspace's
    own; as a note."""
    if not any(isinstance(one, str) and one.endswith(f"@{PRODUCTION}") for one in sides):
        return ()
    server = current().langfuse()
    named = (setting("LANGFUSE_BASE_URL").text or "").rstrip("/")
    return (f"@{PRODUCTION} was asked for at {server.name}",) if server and server.address.url == named else ()


def choose_models(
    given: str | Model | Iterable[str | Model], session: Session, providers: str | Iterable[str] | None = None
) -> list[Model]:
    """Models as this session's origins serve them; tiers without `providers` mean all that can be used. Two of one
    provider and tier are told apart by their ids. Raises PlanError, CatalogError and SettingsError."""
    several = [given] if isinstance(given, (str, catalog.Model)) else given
    named = [one for entry in several for one in _names(entry)]
    models: dict[str, tuple[Model, str]] = {}
    for entry in named:
        told = entry.ref if isinstance(entry, catalog.Model) else entry
        for model in map(session.serve, _models_of(entry, session, providers)):
            if model.ref in models:
                raise PlanError(f"{model.ref} is named twice, by {models[model.ref][1]} and {told}: leave one out")
            models[model.ref] = model, told
    if not models:
        raise PlanError("no models: name tiers (fast, balanced, powerful), provider:tier or provider:id")
    chosen = [model for model, _ in models.values()]
    tiers = Counter((model.provider, model.tier) for model in chosen)
    return [replace(one, by_id=one.tier is not None and tiers[one.provider, one.tier] > 1) for one in chosen]


def _names(entry: str | Model) -> list[str | Model]:
    return [entry] if isinstance(entry, catalog.Model) else [one.strip() for one in entry.split(",") if one.strip()]


def _models_of(entry: str | Model, session: Session, providers: str | Iterable[str] | None) -> list[Model]:
    stand_in = any(origin.stand_in for origin in session.origins.values())
    if isinstance(entry, catalog.Model) or ":" in entry:
        return catalog.load_models([entry], stand_in=stand_in)
    having = catalog.providers_of(entry, stand_in=stand_in)
    usable = [name for name in having if name in session.origins]
    if not usable and providers is None:
        session.origin(having[0])  # says what is missing for it
    return catalog.load_models([entry], usable if providers is None else providers, stand_in=stand_in)


def _check(found: Mapping[str, Prompt]) -> None:
    if not found:
        raise PlanError("an experiment needs at least one prompt")
    by_content: dict[str, Prompt] = {}
    for prompt in found.values():
        if (same := by_content.setdefault(prompt.sha, prompt)) is not prompt:
            raise PlanError(f"{same.ref} and {prompt.ref} have the same content: leave one out")


def _versions(name: str) -> list[Prompt]:
    """The versions that can be read here, the newest first."""
    found = []
    for version in reversed(prompt_names().get(name, [])):
        try:
            found.append(load_prompt(f"{name}@{version}"))
        except PromptError:
            continue
    return found
