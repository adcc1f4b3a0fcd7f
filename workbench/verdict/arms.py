"""Which arms a comparison is about: two values of one axis, everything else held equal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.errors import VerdictError, choices
from workbench.records import ref_of

if TYPE_CHECKING:
    from collections.abc import Iterable

Arm = dict[str, Any]


def pair_arms(
    arms: Iterable[Arm], candidate: str, baseline: str, others: Iterable[Arm] | None = None
) -> list[tuple[str, Arm, Arm]]:
    """(what is held equal, candidate's arm, baseline's arm) for every value of the other axis that has both.

    `others`: the arms of another run, when the baseline is taken from there; it may then be the same arm, run earlier.
    """
    known = list(arms)
    a_axis, a = _select(known, candidate)
    b_axis, b = _select(known if others is None else list(others), baseline)
    if a_axis != b_axis:
        raise VerdictError(
            f"{candidate!r} is a {a_axis} and {baseline!r} a {b_axis}: compare two values of one axis, or "
            "write both as arms, 'prompt@v2 × provider:tier'"
        )
    pairs = [(held, a[held], b[held]) for held in a if held in b]
    if not pairs:
        raise VerdictError(f"{candidate!r} and {baseline!r} never ran on the same {_other(a_axis)}")
    for _, one, other in pairs if others is None else ():
        if one is other or all(one[key] == other[key] for key in ("prompt_sha", "provider", "model")):
            raise VerdictError(f"{candidate!r} and {baseline!r} have the same content, so there is nothing to compare")
    return pairs


def arm_name(arm: Arm, held: str) -> str:
    """How an arm is called when `held` is said once for both."""
    prompt = ref_of(arm)
    if held in (arm["model"], f"{arm['provider']}:{arm['model']}"):
        return prompt
    return arm["model"] if held.startswith(prompt) else f"{prompt} × {arm['model']}"


def _select(arms: list[Arm], value: str) -> tuple[str, dict[str, Arm]]:
    """The axis that a value belongs to, and its arms by what is held equal."""
    if "×" in value:
        prompt, _, model = (part.strip() for part in value.partition("×"))
        found = [arm for arm in arms if ref_of(arm) == prompt and model in _models(arm)]
        if found:
            return "arm", _by(value, (("", arm) for arm in found))
    by_prompt = {_model_of(arm, arms): arm for arm in arms if ref_of(arm) == value}
    if by_prompt:
        return "prompt", by_prompt
    by_model = [(ref_of(arm), arm) for arm in arms if value in _models(arm)]
    if by_model:
        return "model", _by(value, by_model)
    by_tier = [(f"{ref_of(arm)} with {arm['provider']}", arm) for arm in arms if arm["tier"] == value]
    if by_tier:
        return "tier", _by(value, by_tier)
    names = {ref_of(arm) for arm in arms} | {name for arm in arms for name in _offered(arm)}
    raise VerdictError(f"no arm of this run is {value!r}: {choices(value, names)}")


def _by(value: str, found: Iterable[tuple[str, Arm]]) -> dict[str, Arm]:
    """Arms by what is held equal. Raises VerdictError for a value that means two models at once."""
    by: dict[str, Arm] = {}
    for held, arm in found:
        if by.setdefault(held, arm) is not arm:
            both = " and ".join(f"{one['provider']}:{one['model']}" for one in (by[held], arm))
            raise VerdictError(f"{value!r} is {both} in this run: write one of these")
    return by


def _model_of(arm: Arm, arms: list[Arm]) -> str:
    """A model's name, with its provider where another provider has a model of that name."""
    alike = {other["provider"] for other in arms if other["model"] == arm["model"]}
    return str(arm["model"]) if len(alike) == 1 else f"{arm['provider']}:{arm['model']}"


def _models(arm: Arm) -> set[str]:
    """Every name that means an arm's model."""
    return _offered(arm) | {f"{arm['provider']}:{arm['model']}", str(arm.get("model_id", arm["model"]))}


def _offered(arm: Arm) -> set[str]:
    """The names that one would write: a stand-in's label and the id that it answers under. Plans of earlier versions do
    not tell that id."""
    names = {arm["tier"], arm.get("model_id", arm["model"])} - {None}
    return {arm["model"]} | {f"{arm['provider']}:{name}" for name in names}


def _other(axis: str) -> str:
    return {"prompt": "model", "model": "prompt", "tier": "prompt and provider"}.get(axis, "run")
