"""Numbers and tables as plain text, the same wording wherever they are shown."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from workbench.ledger import dollars as dollars

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

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
JUDGES = "for judges"
"""Heading of the part of `spent` that judges took; a column only where they took some."""


REASONS, REASON = 3, 200
"""Reasons for missing scores that are told, and the characters of each."""


def number_of(count: int, thing: str) -> str:
    """How many of a thing, in words that fit one of them too."""
    return f"{count:,} {thing}{'s' * (count != 1)}"


def trials(done: int, planned: int) -> str:
    """How many of the planned trials were run."""
    return f"{done:,} of {number_of(planned, 'trial')}"


def quality(value: float | None) -> str:
    """A mean score."""
    return "no score" if value is None else f"{value:.3f}"


def score_text(value: float | bool | None) -> str:
    """One score for reading: unscored is not zero."""
    if value is None:
        return "unscored"
    return {True: "right", False: "wrong"}[value] if isinstance(value, bool) else f"{value:.3g}"


def interval(row: ArmSummary) -> str:
    """The limits of a mean."""
    return "" if row.low is None or row.high is None else f"{row.low:.3f} – {row.high:.3f}"


def spent(value: float | None, unknown: int) -> str:
    """Money paid, with the number of trials whose cost nobody knows."""
    return dollars(value) + (f" + {unknown} unknown" if unknown and value is not None else "")


def perhaps(uncertain_usd: float) -> str:
    """What calls that broke off may have cost beside, as the end of a phrase; empty where none did."""
    return f", perhaps {dollars(uncertain_usd)} more for calls that broke off" if uncertain_usd else ""


def paid(totals: Mapping[str, Any], to: str = "") -> str:
    """What a run spent, from its totals: all of it, of it for judges, and what it may have cost beside."""
    judges = f", {dollars(totals['judge_spent_usd'])} of it for judges" if totals["judge_spent_usd"] else ""
    money = spent(totals["spent_usd"], totals["unknown_spent"])
    return f"{money} spent{to}{judges}{perhaps(totals['uncertain_usd'])}"


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
        spent(row.spent_usd, row.unknown_spent)
        + (f" + perhaps {dollars(row.uncertain_usd)}" if row.uncertain_usd else ""),
        seconds(row.p50_s),
        seconds(row.p95_s),
        str(row.truncated or "–"),
        str(row.errors or "–"),
    )


def unscored(reasons: Mapping[str, int], answers: int) -> str:
    """How many answers have no score and why, the commonest reasons first; empty when all have one."""
    if not (missing := sum(reasons.values())):
        return ""
    told = sorted(reasons.items(), key=lambda one: (-one[1], one[0]))
    parts = [f"{_short(why) or 'no reason given'} ({count:,}×)" for why, count in told[:REASONS]]
    more = [f"{len(told) - REASONS:,} more reasons"] if len(told) > REASONS else []
    return f"{missing:,} of {answers:,} answers unscored: {'; '.join([*parts, *more])}"


def why_unscored(row: Mapping[str, Any], metric: str) -> str:
    """Why an answer has no score of `metric`; a scorer that raised before it named its metrics gave its reason under
    its own name. Empty when nobody said."""
    silent = [name for name in (metric, *row["scores"]) if row["scores"].get(name, 0) is None]
    return str(row["reasons"].get(silent[0], "")) if silent else ""


def _short(reason: str) -> str:
    plain = " ".join(reason.split())
    return plain if len(plain) <= REASON else f"{plain[: REASON - 1]}…"


def grid(board: Leaderboard) -> list[tuple[str, ...]]:
    """The leaderboard's texts, headings first; what judges took has a column where they took any."""
    rows = [HEADINGS, *(cells(row) for row in board)]
    if not any(row.judge_spent_usd for row in board):
        return rows
    at = HEADINGS.index("spent") + 1
    judges = [JUDGES, *(dollars(row.judge_spent_usd) for row in board)]
    return [(*row[:at], one, *row[at:]) for row, one in zip(rows, judges, strict=True)]


def leaderboard_text(board: Leaderboard, width: int | None = None) -> str:
    """The leaderboard as text; a bar shows each interval on a common scale where `width` characters have room."""
    low, high = scale(list(board))
    bars = ["", *(bar(row, low, high) for row in board)]
    lines = table(grid(board), left=2)
    head = [wrapped(board.caption, width)] if board.caption else []
    if width is None or max(map(len, lines)) + BAR + 4 <= width:
        lines = [f"{line}  {bar_text}".rstrip() for line, bar_text in zip(lines, bars, strict=True)]
    return "\n".join([*head, "", *lines, *(["", wrapped(board.note, width)] if board.note else [])]).strip("\n")


def wrapped(text: str, width: int | None) -> str:
    """A paragraph in lines of 120 characters, or of `width` where that is less."""
    return textwrap.fill(text, min(width or 120, 120))


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
