"""Policy: what evidence must show before a prompt may become production.

`prompts/<name>/promotion.toml` over `[tool.workbench.promotion]` of the workspace's pyproject.toml over what ships.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.catalog import load_models, providers_of
from workbench.errors import CatalogError, SettingsError, choices
from workbench.settings import tool_table, workspace

if TYPE_CHECKING:
    from collections.abc import Mapping

SHIPPED = Path(__file__).with_name("promotion.toml")
ENOUGH = {"better": ("better",), "not_worse": ("better", "not_worse")}
"""verdict asked for -> outcomes that will do."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What a promotion of one prompt needs; see the comments of the shipped `promotion.toml`.

    `max_cost_increase`: a share, 0.2 is 20 %, infinite for no limit. `guards`: metric -> margin. `origins`: where each
    value comes from, guards under `guards.<metric>`.
    """

    verdict: str
    metric: str
    margin: float
    min_cases: int
    max_cost_increase: float
    approvals: int
    author_may_approve: bool
    tiers: tuple[str, ...]
    guards: Mapping[str, float]
    origins: Mapping[str, str] = field(default_factory=dict)

    def facts(self) -> list[tuple[str, str, str]]:
        """Name, value and origin of every setting."""
        found = [(key, _shown(getattr(self, key)), self.origins[key]) for key in _CHECKS if key != "guards"]
        guards = [(f"guards.{name}", f"{margin:g}", self.origins[f"guards.{name}"])
                  for name, margin in self.guards.items()]  # fmt: skip
        return found + guards

    def __str__(self) -> str:
        return "\n".join(f"{name} = {value}  ({origin})" for name, value, origin in self.facts())

    def _repr_html_(self) -> str:
        from workbench.tables import plain_table

        return plain_table(("policy", "value", "from"), self.facts(), "", names=3)


def load_policy(name: str) -> Policy:
    """The policy in force for a prompt. Guards add up over the three places: a nearer one changes a margin and removes
    none. Raises SettingsError for unknown keys and values of a wrong kind, naming the place."""
    own = workspace() / "prompts" / name / "promotion.toml"
    values: dict[str, Any] = {"guards": {}}
    origins: dict[str, str] = {}
    for table, origin in [
        (_file(SHIPPED), "shipped default"),
        (tool_table("promotion"), "pyproject.toml [tool.workbench.promotion]"),
        (_file(own) if own.exists() else {}, f"prompts/{name}/promotion.toml"),
    ]:
        _check(table, origin)
        values |= {key: value for key, value in table.items() if key != "guards"}
        values["guards"] |= {metric: float(margin) for metric, margin in table.get("guards", {}).items()}
        origins |= dict.fromkeys((key for key in table if key != "guards"), origin)
        origins |= {f"guards.{metric}": origin for metric in table.get("guards", {})}
    values["tiers"] = tuple(values["tiers"])
    return Policy(**values, origins=origins)


def _file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: cannot be read as TOML: {error}") from None


def _check(table: Mapping[str, Any], origin: str) -> None:
    for key, value in table.items():
        if key not in _CHECKS:
            raise SettingsError(f"{origin}: unknown key {key!r}: {choices(key, _CHECKS)}")
        test, wanted = _CHECKS[key]
        if not test(value):
            raise SettingsError(f"{origin}: {key} is {value!r}: it must be {wanted}")
    for tier in table.get("tiers", ()):
        try:
            _ = load_models([tier], stand_in=True) if ":" in tier else providers_of(tier, stand_in=True)
        except CatalogError as error:
            raise SettingsError(f"{origin}: tiers: {error}") from None


def _is_number(value: object, least: float = 0.0) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= least


def _is_whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) and one for one in value)


def _is_guards(value: object) -> bool:
    return isinstance(value, dict) and all(_is_number(one) for one in value.values())


_CHECKS: dict[str, tuple[Any, str]] = {
    "verdict": (lambda value: isinstance(value, str) and value in ENOUGH, '"better" or "not_worse"'),
    "metric": (lambda value: isinstance(value, str), "the name of a metric"),
    "margin": (_is_number, "a number, 0 or more"),
    "min_cases": (lambda value: _is_whole(value, 1), "a whole number, 1 or more"),
    "max_cost_increase": (lambda value: _is_number(value, -1.0), "a share such as 0.2, or inf"),
    "approvals": (lambda value: _is_whole(value, 0), "a whole number, 0 or more"),
    "author_may_approve": (lambda value: isinstance(value, bool), "true or false"),
    "tiers": (_is_texts, 'a list of tiers, provider:tier or provider:id: ["fast"]'),
    "guards": (_is_guards, "a table of metric = margin, margins 0 or more"),
}


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(value) or "any"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value).lower() if isinstance(value, bool) else str(value) or "any"
