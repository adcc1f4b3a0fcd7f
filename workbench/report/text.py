"""Numbers and tables as plain text, the same wording wherever they are shown."""

from __future__ import annotations

import textwrap
from math import floor, log10
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.report.summary import ArmSummary, Leaderboard

BAR = 24
HEADINGS = (
    "prompt",
    "model",
    "quality",
    "95 % interval",
    "scored",
    "$ / 1,000",
    "spent",
    "p50",
    "p95",
    "cut off",
    "errors",
)


def quality(value: float | None) -> str:
    """A mean score."""
    return "no score" if value is None else f"{value:.3f}"


def interval(row: ArmSummary) -> str:
    """The limits of a mean."""
    return "" if row.low is None or row.high is None else f"{row.low:.3f} – {row.high:.3f}"


def dollars(value: float | None) -> str:
    """Money, cents above one dollar and three significant digits below; an unknown price is said to be unknown."""
    if value is None:
        return "unknown"
    if value == 0:
        return "$0"
    digits = 2 if value >= 1 else min(2 - floor(log10(value)), 8)
    return f"${value:,.{digits}f}"


def spent(value: float | None, unknown: int) -> str:
    """Money paid, with the number of trials whose cost nobody knows."""
    return dollars(value) + (f" + {unknown} unknown" if unknown and value is not None else "")


def seconds(value: float | None) -> str:
    """A duration."""
    if value is None:
        return ""
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


def scored(row: ArmSummary) -> str:
    """How many trials have a score, of how many that were run, of how many that were planned."""
    text = f"{row.n_scored} of {row.n}"
    return text if row.n == row.planned else f"{text} ({row.planned} planned)"


def cells(row: ArmSummary) -> tuple[str, ...]:
    """One leaderboard row as texts under `HEADINGS`."""
    return (
        row.prompt + (f" [{row.tag}]" if row.tag else ""),
        row.model,
        quality(row.mean),
        interval(row),
        scored(row),
        dollars(row.cost_per_1000_usd),
        spent(row.spent_usd, row.unknown_spent),
        seconds(row.p50_s),
        seconds(row.p95_s),
        str(row.truncated or "–"),
        str(row.errors or "–"),
    )


def leaderboard_text(board: Leaderboard, width: int | None = None) -> str:
    """The leaderboard as text; a bar shows each interval on a common scale where `width` characters have room."""
    rows = [cells(row) for row in board]
    low, high = scale(list(board))
    bars = ["", *(bar(row, low, high) for row in board)]
    lines = table([HEADINGS, *rows], left=2)
    head = [textwrap.fill(board.caption, min(width or 120, 120))] if board.caption else []
    if width is None or max(map(len, lines)) + BAR + 4 <= width:
        lines = [f"{line}  {bar_text}".rstrip() for line, bar_text in zip(lines, bars, strict=True)]
    return "\n".join([*head, "", *lines]).strip("\n")


def table(rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """Aligned columns, the first `left` to the left and the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            c.ljust(w) if i < left else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def scale(rows: list[ArmSummary]) -> tuple[float, float]:
    """Ends of the common axis of all intervals: 0 to 1 when everything fits there."""
    lows = [row.low for row in rows if row.low is not None]
    highs = [row.high for row in rows if row.high is not None]
    return min([0.0, *(x for x in lows if x > float("-inf"))]), max([1.0, *(x for x in highs if x < float("inf"))])


def bar(row: ArmSummary, low: float, high: float) -> str:
    """An interval drawn with characters: `├──●──┤` on an axis of `BAR` cells."""
    if row.mean is None or row.low is None or row.high is None:
        return ""
    left, middle, right = (
        min(max(round((x - low) / (high - low) * (BAR - 1)), 0), BAR - 1)
        for x in (max(row.low, low), row.mean, min(row.high, high))
    )
    drawn = [" "] * BAR
    drawn[left : right + 1] = ["─"] * (right + 1 - left)
    drawn[left], drawn[right] = "├", "┤"
    drawn[middle] = "●"
    return "│" + "".join(drawn) + "│"
