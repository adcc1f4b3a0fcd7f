"""A verdict as a notebook shows it."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from workbench.tables import PLAIN, plain_table
from workbench.verdict.records import WORDS

if TYPE_CHECKING:
    from workbench.verdict.records import Change, Verdict


def verdict_html(verdict: Verdict) -> str:
    """The sentence first, then a line for each value of the other axis."""
    headings = (
        "held equal",
        "outcome",
        "difference",
        "interval",
        "cases",
        "better / worse",
        "$ / 1,000",
        "latency",
        "basis",
    )
    rows = [
        (
            part.held or "–",
            WORDS[part.outcome],
            f"{part.difference:+.3f}",
            f"{part.low:+.3f} to {part.high:+.3f}",
            str(part.n),
            f"{part.flips_better} / {part.flips_worse}",
            _change(part.cost_per_1000, "$"),
            _change(part.latency, ""),
            f"{part.basis} at {part.alpha:g}",
        )
        for part in verdict.parts
    ]
    lines = str(verdict).split("\n")
    said = "".join(f"<p>{escape(line)}</p>" for line in lines[:-1])
    return PLAIN.format(said) + plain_table(headings, rows, lines[-1], names=len(headings))


def _change(change: Change | None, unit: str) -> str:
    if change is None:
        return "unknown"
    sign = "−" if change.difference < 0 else "+"
    size = abs(change.difference)
    return f"{sign}{unit}{size:.3g}" if unit else f"{sign}{1000 * size:.0f} ms"
