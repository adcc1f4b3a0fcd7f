"""A behaviour file, read and checked: what `behaviour.toml` declares about the simulated models."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

TIERS = ("fast", "balanced", "powerful")
ADDING_TRAITS = ("format", "labels", "definitions", "examples", "reasoning")
"""Traits of a prompt that change the probability of a right answer."""

TRAITS = (*ADDING_TRAITS, "answer_line")
JUDGE_KINDS = ("rubric", "graded", "relevance", "grounded", "pair")
"""What simulated models know how to judge."""

WRONG_KINDS = ("near_miss", "missing_field", "prose_around", "prose")


class BehaviourError(ValueError):
    """A behaviour file is wrong; the message names the place in it."""


@dataclass(frozen=True, slots=True)
class Speed:
    """Seconds before an answer and per output token, already scaled."""

    base: float
    per_token: float


@dataclass(frozen=True, slots=True)
class Task:
    """How answers to one dataset's cases come out. `wrong_stated` is for prompts that state the output format."""

    increments: Mapping[str, Mapping[str, float]]
    wrong_stated: Mapping[str, float]
    wrong_free: Mapping[str, float]
    reasoning_texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Judges:
    """How simulated models judge answers. `skill`: tier -> sensitivity and specificity. For pairs, in standard
    deviations of a preference: `position` is added for the answer shown first, `length` for the longer one, and a
    preference within ± `tie` is called a tie. `kinds`: which properties of the asked schema tell what is asked.
    `reasons`: what a judge says with each verdict."""

    skill: Mapping[str, tuple[float, float]]
    position: float
    length: float
    tie: float
    kinds: Mapping[str, tuple[str, ...]]
    reasons: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Declared:
    """The whole file. `models` is provider -> model -> tier; `traits` holds any-of patterns per trait."""

    models: Mapping[str, Mapping[str, str]]
    default_tier: str
    thinking: Mapping[str, int]
    shared_difficulty: float
    shared_request: float
    speeds: Mapping[str, Speed]
    traits: Mapping[str, re.Pattern[str]]
    tasks: Mapping[str, Task]
    difficulty: Mapping[str, Mapping[str, float]]
    no_case: str
    no_expected: str
    vague: tuple[str, ...]
    judges: Judges | None = None

    def task(self, dataset: str) -> Task:
        """The task of a dataset, by its name, else the default one."""
        return self.tasks.get(dataset, self.tasks["default"])

    def tier(self, provider: str, model: str) -> str:
        """The tier that a model id is declared to behave like."""
        return self.models.get(provider, {}).get(model, self.default_tier)


def declared(text: str) -> Declared:
    """Read a behaviour file's text; raises BehaviourError with the place that is wrong."""
    try:
        return _declared(tomllib.loads(text))
    except (KeyError, TypeError, AttributeError, tomllib.TOMLDecodeError, re.error) as error:
        raise BehaviourError(f"behaviour file: {type(error).__name__}: {error}") from error


def _declared(data: Mapping[str, Any]) -> Declared:
    draws, replies = data["draws"], data["replies"]
    defaults = data["tasks"]["default"]
    models = {provider: dict(tiers) for provider, tiers in data["models"].items()}
    for provider, tiers in models.items():
        for model, tier in tiers.items():
            _one_of(tier, TIERS, f"models.{provider}.{model}")
    return Declared(
        models=models,
        default_tier=_one_of(data["default_tier"], TIERS, "default_tier"),
        thinking=dict(data.get("thinking", {})),
        shared_difficulty=_share(draws["shared_difficulty"], "draws.shared_difficulty"),
        shared_request=_share(draws["shared_request"], "draws.shared_request"),
        speeds=_speeds(data["latency"]),
        traits={name: _any_of(data["traits"][name]) for name in TRAITS},
        tasks={name: _task(name, task, defaults) for name, task in data["tasks"].items()},
        difficulty=data.get("difficulty", {}),
        no_case=replies["no_case"],
        no_expected=replies["no_expected"],
        vague=tuple(replies["vague"]),
        judges=_judges(data["judge"]) if "judge" in data else None,
    )


def _task(name: str, task: Mapping[str, Any], defaults: Mapping[str, Any]) -> Task:
    for tier in TIERS:
        for trait in task[tier]:
            _one_of(trait, ("base", *ADDING_TRAITS), f"tasks.{name}.{tier}")
    wrong = task.get("wrong", defaults["wrong"])
    return Task(
        increments={tier: dict(task[tier]) for tier in TIERS},
        wrong_stated=_weights(wrong["format"], f"tasks.{name}.wrong.format"),
        wrong_free=_weights(wrong["free"], f"tasks.{name}.wrong.free"),
        reasoning_texts=tuple(task.get("reasoning_texts", defaults["reasoning_texts"])),
    )


def _judges(given: Mapping[str, Any]) -> Judges:
    for kind in given["kinds"]:
        _one_of(kind, JUDGE_KINDS, "judge.kinds")
    skill = {}
    for tier in TIERS:
        found = [float(given[tier][name]) for name in ("sensitivity", "specificity")]
        if not all(0 < share < 1 for share in found):
            raise BehaviourError(f"judge.{tier}: sensitivity and specificity lie between 0 and 1; no judge is certain")
        skill[tier] = (found[0], found[1])
    return Judges(
        skill=skill,
        position=float(given["position"]),
        length=float(given["length"]),
        tie=float(given["tie"]),
        kinds={kind: tuple(names) for kind, names in given["kinds"].items()},
        reasons={verdict: str(given["reasons"][verdict]) for verdict in ("good", "bad", "even")},
    )


def _weights(given: Mapping[str, float], where: str) -> dict[str, float]:
    """Shares of the wrong kinds, made to sum to 1."""
    for kind in given:
        _one_of(kind, WRONG_KINDS, where)
    total = sum(given.values())
    if total <= 0 or min(given.values()) < 0:
        raise BehaviourError(f"{where}: weights must not be negative, and one must be positive")
    return {kind: given.get(kind, 0.0) / total for kind in WRONG_KINDS}


def _speeds(given: Mapping[str, Any]) -> dict[str, Speed]:
    scale = given["scale"]
    return {tier: Speed(given[tier]["base"] * scale, given[tier]["per_token"] * scale) for tier in TIERS}


def _any_of(patterns: list[str]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.IGNORECASE | re.MULTILINE)


def _one_of(value: str, allowed: tuple[str, ...], where: str) -> str:
    if value not in allowed:
        raise BehaviourError(f"{where}: {value!r} is not one of {', '.join(allowed)}")
    return value


def _share(value: float, where: str) -> float:
    if not 0 <= value < 1:
        raise BehaviourError(f"{where}: {value} is not in [0, 1)")
    return value
