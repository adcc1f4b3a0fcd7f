"""Which scorer a metric belongs to: bounds and direction are those of the scorer that gives it, and of no other.

A scorer that names its metrics gives exactly those. What a scorer gives that names none shows when it runs, and a row
does not say who gave what: of several such scorers any one may have given a metric that nobody names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from workbench.scorers.base import Scorer


def declared(scorers: Iterable[Scorer]) -> dict[str, Scorer]:
    """metric -> the scorer that says it gives it; one that names none stands under its own name. As in a row, a name
    that an earlier scorer gives is written `scorer.metric`."""
    found: dict[str, Scorer] = {}
    for one in scorers:
        for metric in one.metrics or (one.name,):
            found[metric if metric not in found else f"{one.name}.{metric}"] = one
    return found


def owner(metric: str, scorers: Sequence[Scorer], seen: Collection[str] = ()) -> Scorer | None:
    """The scorer that gives `metric`, or one that was declared alike where it does not matter which; None where it
    cannot be told. `seen`: the metrics of the rows."""
    known = declared(scorers).get(metric)
    if known is not None:
        # under both names: in some rows an earlier scorer, which names nothing, has taken this one
        return None if f"{known.name}.{metric}" in seen else known
    for one in scorers:
        rest = metric.removeprefix(f"{one.name}.")
        if rest != metric and rest in seen and rest in (one.metrics or seen):
            return one
    silent = [one for one in scorers if not one.metrics]
    if len({(one.bounds, one.higher_is_better) for one in silent}) != 1:
        return None
    return silent[0] if len(silent) == 1 or not any(one.asks_models for one in silent) else None


def unknown(metric: str) -> str:
    """Why nothing is judged by a metric without an owner, and the cure."""
    return (
        f"nothing says which scorer gives {metric}, so neither its bounds nor which way is better are known: let that "
        f"scorer name what it gives, @wb.scorer(metrics=[{metric!r}, ...]), and run again; the replies are in the cache"
    )
