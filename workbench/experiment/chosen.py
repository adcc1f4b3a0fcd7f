"""Which prompts and models an experiment is about: refs become versions, and `@production` what production is now."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workbench import catalog
from workbench.client import current
from workbench.errors import PlanError, PromptError
from workbench.prompts import NEWEST, Prompt, load_prompt, load_prompts, prompt_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from workbench.catalog import Model
    from workbench.client import Session

PRODUCTION = "production"


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

        found = fetch_production(current().langfuse(), name)
        same = [one for one in [*given, *_versions(name)] if one.sha == found.prompt.sha]
        prompt = same[0] if same else found.prompt
        self.prompts.setdefault(prompt.ref, prompt)
        self.aliases[f"{name}@{PRODUCTION}"] = prompt.ref
        self.notes.append(f"{name}@{PRODUCTION} is {prompt.ref}: {found.said}")


def choose(given: str | Prompt | Iterable[str | Prompt]) -> Chosen:
    """Prompts and refs as an experiment takes them, in their order. Raises PlanError and PromptError, and LangfuseError
    for a `@production` that nobody knows."""
    chosen = Chosen()
    wanted = [
        one for entry in ([given] if isinstance(given, (str, Prompt)) else given) for one in _parts(entry, chosen)
    ]
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
        chosen.notes.append(f"{entry} means its newest {NEWEST} versions at most: {told}")
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


def choose_models(
    given: str | Model | Iterable[str | Model], session: Session, providers: str | Iterable[str] | None = None
) -> list[Model]:
    """Models as this session's origins serve them; tiers without `providers` mean all that can be used. Raises
    PlanError, CatalogError and SettingsError."""
    entries = [given] if isinstance(given, catalog.Model) else given.split(",") if isinstance(given, str) else given
    named = [entry.strip() if isinstance(entry, str) else entry for entry in entries]
    found = [model for entry in named if entry for model in _models_of(entry, session, providers)]
    models = {model.ref: model for model in map(session.serve, found)}
    if not models:
        raise PlanError("no models: name tiers (fast, balanced, powerful) or provider:id")
    return list(models.values())


def _models_of(entry: str | Model, session: Session, providers: str | Iterable[str] | None) -> list[Model]:
    if isinstance(entry, catalog.Model) or ":" in entry:
        return catalog.load_models([entry])
    stand_in = any(origin.stand_in for origin in session.origins.values())
    having = catalog.providers_of(entry, stand_in=stand_in)
    usable = [name for name in having if name in session.origins]
    if not usable and not providers:
        session.origin(having[0])  # says what is missing for it
    return catalog.load_models([entry], providers or usable, stand_in=stand_in)


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
