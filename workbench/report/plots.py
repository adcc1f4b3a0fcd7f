"""Plots as matplotlib Figures, made with the object interface: pyplot's global state breaks in notebooks' threads."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from workbench.report.summary import ArmSummary, Leaderboard

MARKERS = "osD^vPX*"
INK = "#777777"
"""Colour of lines and words: as far from white as from the black of a dark theme."""
ALIKE = 1.01
"""Ratio of two prices up to which they count as one."""
NAME = 60
"""Characters of a name that a legend has room for."""


def pareto(board: Leaderboard, sign: int = 1) -> Figure:
    """Quality against cost per 1,000 cases: an arm a point with its interval, colour by model, marker by prompt. A line
    joins the arms that no other arm beats in both; `sign` is -1 where a lower score is better. Arms without a score or
    a price are named below the axes."""
    board = _drawable(board)
    figure = _picture()(figsize=(9, 5), layout="constrained")
    axes = _axes(figure)
    shown = [row for row in board if row.mean is not None and row.cost_per_1000_usd is not None]
    left_out = [row.arm for row in board if row not in shown]
    models, prompts = (list(dict.fromkeys(names)) for names in ([r.model for r in shown], [r.prompt for r in shown]))
    _scale_costs(axes, shown)
    for row in shown:
        assert row.mean is not None and row.low is not None and row.high is not None
        axes.errorbar(
            row.cost_per_1000_usd or 0.0,
            row.mean,
            yerr=[[row.mean - row.low], [row.high - row.mean]],
            fmt=MARKERS[prompts.index(row.prompt) % len(MARKERS)],
            color=f"C{models.index(row.model) % 10}",
            markersize=7,
            capsize=2,
            elinewidth=1,
            alpha=0.85,
        )
    front = front_of(shown, sign)
    axes.plot([r.cost_per_1000_usd or 0.0 for r in front], [r.mean or 0.0 for r in front], color="0.6", lw=1, zorder=0)
    axes.set_xlabel("US dollars per 1,000 cases (list price)", color=INK)
    axes.set_ylabel(f"mean {shown[0].metric}, 95 % interval" if shown else "mean", color=INK)
    axes.grid(alpha=0.25)
    simulated = any(row.source == "simulated" for row in shown)
    told = " (simulated: declared, not measured)" if simulated else ""
    axes.set_title(f"Quality and cost{told}", loc="left", color=INK)
    for prompt in prompts:
        axes.plot([], [], MARKERS[prompts.index(prompt) % len(MARKERS)], color=INK, label=prompt)
    for model in models:
        axes.plot([], [], "-", lw=4, color=f"C{models.index(model) % 10}", label=model)
    if shown:
        figure.legend(loc="outside right upper", fontsize=8, frameon=False, labelcolor=INK)
    if left_out:
        told = f"Not shown (no score or unknown price): {', '.join(left_out)}"
        figure.text(0.01, 0.0, told, fontsize=8, color=INK)
    return figure


def _axes(figure: Figure) -> Axes:
    """Axes without a ground of their own, so that the picture lies on a light page and on a dark one."""
    axes: Axes = figure.subplots()
    for ground in (figure.patch, axes.patch):
        ground.set_alpha(0)
    for spine in axes.spines.values():
        spine.set_edgecolor(INK)
    axes.tick_params(which="both", color=INK, labelcolor=INK)
    return axes


@cache
def _picture() -> type[Figure]:
    """A Figure that a notebook shows by itself: matplotlib's own only do once pyplot was imported."""
    from matplotlib.figure import Figure

    class Picture(Figure):
        def _repr_png_(self) -> bytes:
            image = BytesIO()
            self.savefig(image, format="png", dpi=100)
            return image.getvalue()

    return Picture


def front_of(rows: Iterable[ArmSummary], sign: int) -> list[ArmSummary]:
    """The arms that no other arm beats in cost and mean both, from cheap to dear; `sign` as in `pareto`."""
    front: list[ArmSummary] = []
    for row in sorted(rows, key=lambda r: (r.cost_per_1000_usd or 0.0, -sign * (r.mean or 0.0))):
        if not front or sign * (row.mean or 0.0) > sign * (front[-1].mean or 0.0):
            front.append(row)
    return front


def _drawable(board: Leaderboard) -> Leaderboard:
    """The same with short names that matplotlib does not take for formulas, and without infinite numbers."""
    from workbench.report.summary import Leaderboard

    return Leaderboard(tuple(map(_drawable_row, board)), board.caption)


def _drawable_row(row: ArmSummary) -> ArmSummary:
    mean = _finite(row.mean)
    return replace(
        row,
        prompt=_short(row.prompt),
        model=_short(row.model),
        metric=_short(row.metric),
        mean=mean,
        low=mean if _finite(row.low) is None else row.low,
        high=mean if _finite(row.high) is None else row.high,
        cost_per_1000_usd=_finite(row.cost_per_1000_usd),
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _short(name: str) -> str:
    """A name without half characters and formulas, which stand between dollar signs."""
    whole = name.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return (whole if len(whole) <= NAME else f"{whole[: NAME - 1]}…").replace("$", r"\$")


def _scale_costs(axes: Axes, rows: list[ArmSummary]) -> None:
    """A logarithmic axis of dollars, with a place for 0 where something is free."""
    free = any(row.cost_per_1000_usd == 0 for row in rows)
    axes.set_xscale("symlog" if free else "log", **({"linthresh": _smallest(rows)} if free else {}))
    costs = [row.cost_per_1000_usd or 0.0 for row in rows]
    if rows and max(costs) <= min(costs) * ALIKE:  # one price has no extent that an axis could be drawn over
        axes.set_xlim(*(0, 1) if free else (min(costs) / 2, max(costs) * 2))
    axes.xaxis.set_major_formatter(lambda value, _: f"${value:g}")


def _smallest(rows: list[ArmSummary]) -> float:
    """The cheapest paid arm: left of it the axis is linear down to 0."""
    return min((r.cost_per_1000_usd for r in rows if r.cost_per_1000_usd), default=1.0)
