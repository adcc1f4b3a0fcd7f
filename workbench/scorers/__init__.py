"""Scorers: plain functions on (case, reply).

Built-in ones are `scorers.exact()`, `contains`, `regex`, `numeric`, `valid_json`, `json_fields`; any function
`(case, reply) -> bool | number | mapping | Score | None`, sync or async, is one too. Models that grade are `judge`,
`grounded` and `relevance`, and `ragas` has that library's metrics; `pair_judge` compares two answers.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import TYPE_CHECKING

from workbench.errors import ScorerError, choices
from workbench.scorers.base import Scorer, score, scorer
from workbench.scorers.judge import JUDGES, grounded, judge, relevance
from workbench.scorers.pair import pair_judge
from workbench.scorers.ragas import ragas
from workbench.scorers.text import BUILT_IN as PLAIN
from workbench.scorers.text import contains, exact, json_fields, numeric, regex, valid_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workbench.scorers.base import Function

__all__ = ["BUILT_IN", "Scorer", "as_scorers", "contains", "exact", "grounded", "json_fields", "judge", "numeric",
           "pair_judge", "ragas", "regex", "relevance", "score", "scorer", "valid_json"]  # fmt: skip

BUILT_IN: Mapping[str, Callable[..., Scorer]] = {**PLAIN, **JUDGES, "ragas": ragas}
"""Scorers that a text can name."""


def as_scorers(given: str | Function | Scorer | Iterable[str | Function | Scorer]) -> tuple[Scorer, ...]:
    """Scorers from scorers, functions, or texts such as `"exact"` and `"json_fields:category,priority"`.

    Raises ScorerError for anything else, for unknown names and for two scorers of one name.
    """
    entries = [given] if isinstance(given, str) or callable(given) else given
    if not isinstance(entries, Iterable):
        raise _refused(entries)
    found = tuple(map(_as_scorer, entries))
    if not found:
        raise ScorerError(f"no scorers given: {choices('', BUILT_IN)}")
    names = [one.name for one in found]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ScorerError(f"two scorers are named {min(twice)!r}: give one another name with @scorer(name=...)")
    return found


def _as_scorer(entry: str | Function | Scorer) -> Scorer:
    if isinstance(entry, Scorer):
        return entry
    if callable(entry):
        return scorer(entry)
    if not isinstance(entry, str):
        raise _refused(entry)
    name, _, text = entry.partition(":")
    if name not in BUILT_IN:
        raise ScorerError(
            f"no scorer named {name!r}: {choices(name, BUILT_IN)}; in Python a function (case, reply) is one too"
        )
    # a pattern or a marker may hold commas of its own; only fields are a list
    parts = text.split(",") if name == "json_fields" else [text]
    try:
        return BUILT_IN[name](*[part.strip() for part in parts if part.strip()])
    except TypeError:
        takes = inspect.signature(BUILT_IN[name])
        raise ScorerError(f"{entry!r}: wrong number of arguments for {name}{takes}") from None


def _refused(given: object) -> ScorerError:
    return ScorerError(
        f"scorers is {given!r:.80}: give scorers, functions (case, reply) or names, such as "
        'scorers="exact" or scorers=[wb.scorers.json_fields("category"), my_function]'
    )


def __dir__() -> list[str]:
    """What completion offers: the scorers, and how to write one."""
    return sorted({*__all__} - {"BUILT_IN", "as_scorers"})
