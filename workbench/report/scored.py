"""The scorers of a run, as its plan keeps them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.errors import ScorerError
from workbench.scorers import Scorer

if TYPE_CHECKING:
    from collections.abc import Mapping


def plan_scorers(plan: Mapping[str, Any]) -> tuple[Scorer, ...]:
    """All that is known of a run's scorers but their functions: they cannot score."""
    identities = dict(map(tuple, plan["identity"]["scorers"]))
    return tuple(
        Scorer(
            one["name"],
            _never,
            tuple(one["metrics"]),
            (one["bounds"][0], one["bounds"][1]) if one["bounds"] else None,
            bool(one["higher_is_better"]),
            identities.get(one["name"], ""),
            bool(one.get("asks_models")),
        )
        for one in plan["scorers"]
    )


def _never(*_: object) -> None:
    raise ScorerError("a scorer from a plan is known by its identity only")
