"""Tables as HTML that needs no script, no style sheet and no network; whatever they hold is escaped here.

Looks sit in inline styles, because notebooks that were opened and not run drop the rest; the colour of text comes from
the page, so that dark themes stay readable.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

SHOWN = 200
"""Rows that a table shows at most; a report of any size stays small."""
CELL = 2000
"""Characters that a cell shows at most."""

TABLE = "border-collapse:collapse;font-size:12px;text-align:left"
HEAD = "padding:3px 6px;border-bottom:2px solid rgba(128,128,128,.5);text-align:{};white-space:nowrap"
CELL_STYLE = "padding:3px 6px;border-bottom:1px solid rgba(128,128,128,.25);text-align:{};vertical-align:top"
TEXT = "white-space:pre-wrap;max-width:420px;max-height:180px;overflow:auto"
PLAIN = '<div class="mathjax_ignore tex2jax_ignore">{}</div>'
"""Notebooks typeset whatever stands between two dollar signs; in ours that is money, or a model's output."""


def plain_table(
    headings: Sequence[str], rows: Sequence[Sequence[str]], caption: str, total: int | None = None, names: int = 1
) -> str:
    """A table of texts. `total`: how many rows there are, when more than are shown; `names`: columns never wrapped."""
    head = "".join(f'<th scope="col" style="{HEAD.format("left")}">{escape(h)}</th>' for h in headings)
    body = "".join(f"<tr>{''.join(_cell(i, text, names) for i, text in enumerate(row))}</tr>" for row in rows[:SHOWN])
    hidden = (total or len(rows)) - min(len(rows), SHOWN)
    more = f"<p>and {hidden:,} more</p>" if hidden > 0 else ""
    return table(head, body, caption) + more


def table(head: str, body: str, caption: str) -> str:
    """The frame of every table; `head` and `body` are escaped already."""
    return PLAIN.format(
        f'<table style="{TABLE}"><caption style="text-align:left;padding:4px 0">{escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def cut(text: str) -> str:
    """The beginning of a long text, and how much of it is left out."""
    return text if len(text) <= CELL else f"{text[:CELL]} … and {len(text) - CELL:,} more characters"


def _cell(column: int, text: str, names: int) -> str:
    style = CELL_STYLE.format("left") + _nowrap(column, names)
    shown = escape(cut(text))
    return f'<td style="{style}">{shown if column < names else f"""<div style="{TEXT}">{shown}</div>"""}</td>'


def _nowrap(column: int, names: int) -> str:
    return ";white-space:nowrap" if column < names else ""
