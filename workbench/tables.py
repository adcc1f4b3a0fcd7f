"""Tables as HTML that needs no script, no style sheet and no network; whatever they hold is escaped here.

Looks sit in inline styles, because notebooks that were opened and not run drop the rest, and on as few elements as can
be, because a notebook keeps all of it: JupyterLab has rules of its own for cells, so that their side and their wrapping
are said in each, and the lines between rows once. The colour of text comes from the page: dark themes stay readable.
"""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SHOWN = 200
"""Rows that a table shows at most; a report of any size stays small."""
BYTES = 30_000
"""Bytes of a table's rows at most: a saved notebook stays small however long its cells are."""
CELL = 2000
"""Characters that a cell shows at most."""

CAPTION = "font-size:12px;margin:4px 0"
TABLE = "border-collapse:collapse;border-color:rgba(128,128,128,.3);font-size:12px;text-align:right"
HEAD = "text-align:{};vertical-align:bottom"
CELL_STYLE = "text-align:{};vertical-align:top"
TEXT = "white-space:pre-wrap;max-width:420px;max-height:180px;overflow:auto"
SHORT, WORD = 160, 40
"""Characters of a text, and of its longest word, that needs no box of its own."""
LINE = 60
"""Characters of a JSON value that stands in one line: a longer one would push the column beside it together."""
NEWLINE = "\n"
PLAIN = '<div class="mathjax_ignore tex2jax_ignore">{}</div>'
"""Notebooks typeset whatever stands between two dollar signs; in ours that is money, or a model's output."""


def plain_table(
    headings: Sequence[str], rows: Sequence[Sequence[str]], caption: str, total: int | None = None, names: int = 1
) -> str:
    """A table of texts. `total`: how many rows there are, when more than are given; `names`: columns that are wrapped
    nowhere but at their line breaks."""
    head = "".join(f'<th scope="col" style="{HEAD.format("left")}">{escape(h)}</th>' for h in headings)
    shown = fitting(f"<tr>{''.join(_cell(i, text, names) for i, text in enumerate(row))}</tr>" for row in rows[:SHOWN])
    hidden = (total or len(rows)) - len(shown)
    more = f"<p>and {hidden:,} more</p>" if hidden > 0 else ""
    return table(head, "".join(shown), caption) + more


def fitting(rows: Iterable[str]) -> list[str]:
    """The first rows, as many as a table has room for."""
    shown: list[str] = []
    size = 0
    for row in rows:
        size += len(row.encode("utf-8", "surrogatepass"))
        if shown and size > BYTES:
            break
        shown.append(row)
    return shown


def table(head: str, body: str, caption: str) -> str:
    """The frame of every table; `head` and `body` are escaped already."""
    # No caption element: it is never wider than its table, and many a narrow table has a long one.
    said = f'<p style="{CAPTION}">{escape(caption)}</p>' if caption else ""
    frame = f'cellpadding="4" rules="rows" style="{TABLE}"'
    return PLAIN.format(f"{said}<table {frame}><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")


def told(value: Any) -> str:
    """A value of a case as a cell's text: a text as it is, anything else as JSON, and nothing for None."""
    if value is None or isinstance(value, str):
        return value or ""
    line = json.dumps(value, ensure_ascii=False, default=str)
    return line if len(line) <= LINE else json.dumps(value, ensure_ascii=False, default=str, indent=1)


def cut(text: str) -> str:
    """The beginning of a long text, and how much of it is left out."""
    return text if len(text) <= CELL else f"{text[:CELL]} … and {len(text) - CELL:,} more characters"


def _cell(column: int, text: str, names: int) -> str:
    style, shown = CELL_STYLE.format("left"), escape(cut(text))
    if column < names:
        return f'<td style="{style};white-space:nowrap">{shown.replace(NEWLINE, "<br>")}</td>'
    return f'<td style="{style}">{shown if _is_short(text) else f"""<div style="{TEXT}">{shown}</div>"""}</td>'


def _is_short(text: str) -> bool:
    """Whether it reads the same without its own line breaks, and needs no room of its own."""
    words = text.split()
    return len(text) <= SHORT and " ".join(words) == text and all(len(word) <= WORD for word in words)
