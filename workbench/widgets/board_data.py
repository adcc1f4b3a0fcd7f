"""What the board shows, as data: leaderboard rows in any order, and arms as points of quality against cost."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

from workbench.errors import UsageError, choices
from workbench.report.plots import front_of
from workbench.report.text import HEADINGS, cells, scale
from workbench.tables import SHOWN, cut
from workbench.widgets.board_axes import cost_axis, quality_axis
from workbench.widgets.compare_data import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from workbench.report.summary import ArmSummary

    State = dict[str, Any]

POINTS = 200
"""Points that are drawn at most."""
NAMED = 8
"""Arms that are named below the chart at most."""
SHAPES, HUES = 8, 10
"""How many shapes and colours the front end has; they repeat, numbers do not."""

_BY_HEADING: Mapping[str, str] = dict(
    zip(
        HEADINGS,
        ("prompt", "model", "mean", "low", "n_scored", "cost_per_1000_usd", "spent_usd", "p50_s", "p95_s", "truncated",
         "errors"),
        strict=True,
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Arms:
    """The arms of a report. `names`: as `report.compare` takes them, `ticket-triage@v3 × sim-anthropic-fast`, with the
    provider where two of them have a model of that name; `looks`: of each its shape by prompt and hue by model."""

    names: tuple[str, ...]
    looks: tuple[tuple[int, int], ...]
    _places: Mapping[tuple[str, str, str], int]

    @classmethod
    def of(cls, rows: Iterable[ArmSummary]) -> Arms:
        """The arms of a leaderboard, in its order."""
        keys = list(dict.fromkeys(map(_key, rows)))
        prompts = list(dict.fromkeys(prompt for prompt, _, _ in keys))
        models = list(dict.fromkeys((provider, model) for _, provider, model in keys))
        plain_names = [f"{prompt} × {model}" for prompt, _, model in keys]
        names = (
            name if plain_names.count(name) == 1 else f"{prompt} × {provider}:{model}"
            for name, (prompt, provider, model) in zip(plain_names, keys, strict=True)
        )
        looks = ((prompts.index(key[0]) % SHAPES, models.index(key[1:]) % HUES) for key in keys)
        return cls(tuple(names), tuple(looks), {key: place for place, key in enumerate(keys)})

    def place(self, row: ArmSummary) -> int:
        """Which arm a leaderboard row is about."""
        return self._places[_key(row)]

    def name(self, value: object) -> str:
        """The name of an arm given as such, as a leaderboard writes it, or as a leaderboard row. Raises UsageError."""
        written = str(getattr(value, "arm", value))
        unstarred = written.replace("* × ", " × ", 1)
        for one in (written, unstarred):
            if one in self.names:
                return one
        if hasattr(value, "provider"):
            key = _key(value)  # type: ignore[arg-type]
            if key in self._places:
                return self.names[self._places[key]]
        raise UsageError(f"no arm of this board is {written!r}: {choices(written, self.names)}")


def _key(row: ArmSummary) -> tuple[str, str, str]:
    """An arm; its prompt without the star that says that the file has changed since."""
    return row.prompt.removesuffix("*"), row.provider, row.model


def sorted_rows(rows: Sequence[ArmSummary], sort: str) -> list[ArmSummary]:
    """Rows by a heading of the table, `quality`, downwards with a minus, `-quality`; as given for an empty one. What
    has no value comes last both ways. Raises UsageError for an unknown heading."""
    heading = sort.removeprefix("-")
    if not sort:
        return list(rows)
    if heading not in _BY_HEADING:
        raise UsageError(
            f"sort {sort!r}: a heading of the table, with a minus for downwards: {choices(sort, HEADINGS)}"
        )
    field = _BY_HEADING[heading]
    known = [row for row in rows if getattr(row, field) is not None]
    known.sort(key=lambda row: getattr(row, field), reverse=sort != heading)
    return known + [row for row in rows if getattr(row, field) is None]


def table_state(rows: Sequence[ArmSummary], arms: Arms, numbers: Mapping[int, int], sort: str) -> State:
    """The leaderboard as the front end draws it: the texts of the static one, and where each interval's bar begins,
    has its mark and ends, 0 to 1 on an axis common to all rows."""
    low, high = scale(list(rows))
    shown = sorted_rows(rows, sort)[:SHOWN]
    return {
        "headings": list(HEADINGS),
        "sort": sort,
        "rows": [
            {
                "arm": arms.place(row),
                "number": numbers[arms.place(row)],
                "cells": [plain(cut(text)) for text in cells(row)],
                "bar": _bar(row, low, high),
            }
            for row in shown
        ],
        "more": len(rows) - len(shown),
    }


def chart_state(rows: Sequence[ArmSummary], arms: Arms, numbers: Mapping[int, int], sign: int) -> State:
    """The arms as points, all places 0 to 1. `sign`: -1 where lower is better, 0 where that is not known.

    An arm without a score or a price has no place: it is named in `left_out`, its numbers are in `undrawn`.
    """
    placed = [row for row in rows if _finite(row.mean) and _finite(row.cost_per_1000_usd)]
    missing = [row for row in rows if row not in placed]
    shown, undrawn = placed[:POINTS], [*missing, *placed[POINTS:]]
    x = cost_axis(row.cost_per_1000_usd or 0.0 for row in shown)
    y = quality_axis(value for row in shown for value in (row.low, row.mean, row.high) if value is not None)
    front = front_of(shown, sign) if sign else []
    points = [
        {
            "arm": arms.place(row),
            "number": numbers[arms.place(row)],
            "x": x.place(row.cost_per_1000_usd or 0.0),
            "y": y.place(row.mean or 0.0),
            "low": y.place(_or(row.low, row.mean or 0.0)),
            "high": y.place(_or(row.high, row.mean or 0.0)),
            "said": said(row, numbers[arms.place(row)]) + (", on the front" if row in front else ""),
        }
        for row in shown
    ]
    points.sort(key=lambda point: (point["x"], point["y"]))
    return {
        "points": points,
        "undrawn": [[arms.place(row), said(row, numbers[arms.place(row)])] for row in undrawn[:SHOWN]],
        "front": [[x.place(row.cost_per_1000_usd or 0.0), y.place(row.mean or 0.0)] for row in front],
        "costs": [[x.place(value), f"${value:,.10g}"] for value in x.ticks()],
        "qualities": [[y.place(value), f"{value:,.10g}"] for value in y.ticks()],
        "cost_name": "US dollars per 1,000 cases (list price)" + _scale_words(x.log, x.free),
        "quality_name": plain(f"mean {rows[0].metric}, 95 % interval") if rows else "mean",
        "free": x.free,
        "left_out": _left_out(missing, len(placed) - len(shown), numbers, arms),
    }


def said(row: ArmSummary, number: int) -> str:
    """The numbers of an arm in one line."""
    facts = [f"{heading} {text}" for heading, text in list(zip(HEADINGS, cells(row), strict=True))[2:] if text]
    return plain(cut(f"{number}. {row.arm}: {', '.join(facts)}"))


def _bar(row: ArmSummary, low: float, high: float) -> list[float] | None:
    if row.mean is None or row.low is None or row.high is None or not isfinite(row.mean):
        return None
    return [(min(max(value, low), high) - low) / (high - low) for value in (row.low, row.mean, row.high)]


def _or(value: float | None, other: float) -> float:
    return other if value is None else value


def _finite(value: float | None) -> bool:
    return value is not None and isfinite(value)


def _scale_words(log: bool, free: bool) -> str:
    return "" if not log else ", log scale, $0 apart" if free else ", log scale"


def _left_out(missing: Sequence[ArmSummary], more: int, numbers: Mapping[int, int], arms: Arms) -> str:
    parts = []
    if missing:
        named = ", ".join(f"{numbers[arms.place(row)]}. {row.arm}" for row in missing[:NAMED])
        others = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
        parts.append(f"Not drawn (no score or unknown price): {named}{others}.")
    if more > 0:
        parts.append(f"Drawn are the first {POINTS} arms; {more:,} more are in `report.leaderboard()`.")
    return plain(cut(" ".join(parts)))
