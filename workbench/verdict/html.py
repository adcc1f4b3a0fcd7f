"""A verdict as a notebook shows it."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from workbench.ledger import dollars
from workbench.tables import PLAIN, plain_table
from workbench.verdict.records import WORDS, signed

if TYPE_CHECKING:
    from workbench.verdict.records import Change, Verdict

HEADINGS = ("held equal", "outcome", "difference", "interval", "cases", "better / worse", "$ / 1,000", "latency")


def verdict_html(verdict: Verdict) -> str:
    """The sentence first, then a line for each value of the other axis. The basis that all of them share is told once:
    a column of it would be wider than the others together."""
    bases = [f"{part.basis} at {part.alpha:g}" for part in verdict.parts]
    shared = len(set(bases)) == 1
    rows = [
        (
            part.held or "–",
            WORDS[part.outcome],
            signed(part.difference, ".3f"),
            f"{signed(part.low, '.3f')} to {signed(part.high, '.3f')}",
            str(part.n),
            f"{part.flips_better} / {part.flips_worse}",
            _dearer(part.cost_per_1000),
            _slower(part.latency),
            *([] if shared else [basis]),
        )
        for part, basis in zip(verdict.parts, bases, strict=True)
    ]
    lines = str(verdict).split("\n")
    said = "".join(f"<p>{escape(line)}</p>" for line in lines[:-1])
    caption = f"{lines[-1]} Basis: {bases[0]}." if shared else lines[-1]
    headings = HEADINGS if shared else (*HEADINGS, "basis")
    return PLAIN.format(said) + plain_table(headings, rows, caption, names=len(HEADINGS))


def _dearer(change: Change | None) -> str:
    if change is None:
        return "unknown"
    sign = "" if change.difference == 0 else "-" if change.difference < 0 else "+"
    return f"{sign}{dollars(abs(change.difference))}"


def _slower(change: Change | None) -> str:
    return "unknown" if change is None else f"{signed(1000 * change.difference, '.0f')} ms"
