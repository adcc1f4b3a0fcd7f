"""A review as HTML: one self-contained page, and the fragment that a notebook shows.

No script and nothing to fetch; whatever comes from a prompt, a model or a person is escaped here. Removed words are
struck through and added ones underlined, so that the change can be read without colours.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from workbench.promotion.sections import Table, changes, facts, headline, sentences, tables, visible, warnings
from workbench.prompts import piece_html
from workbench.tables import PLAIN, plain_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.promotion.flips import Flip
    from workbench.promotion.review import Review

LONGEST_DIFF = 200_000
"""Characters of a prompt's change that are shown."""
_WARNING = "border-left:4px solid rgb(200,120,0);padding:.3rem .8rem;margin:.5rem 0;font-weight:600"
_LINE = "white-space:pre-wrap;margin:.3rem 0"
_TEXT = "white-space:pre-wrap;overflow-wrap:anywhere"
_BOX = "border:1px solid rgba(128,128,128,.4);padding:.5rem;margin:.3rem 0;" + _TEXT
_CELL = "vertical-align:top;text-align:left;padding:.3rem;width:50%"


def page(review: Review) -> str:
    """The whole page."""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{_safe(review.ref)}: review</title>
<style>:root{{color-scheme:light dark}}
body{{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:1180px;padding:0 1rem}}
table{{margin:.3rem 0 1rem}}h2{{margin-top:2rem}}.wide{{overflow-x:auto}}summary{{cursor:pointer}}</style></head><body>
{fragment(review, opened=True)}</body></html>
"""


def fragment(review: Review, *, opened: bool = False, lines: Sequence[str] = ()) -> str:
    """What a notebook shows: the answer first, then what came of it in `lines`; flipped cases folded, and the prompt
    too unless `opened`."""
    state = " open" if opened else ""
    return PLAIN.format(
        f"<h1>{_safe(headline(review))}</h1>"
        + "".join(f'<p style="{_LINE}">{_safe(one)}</p>' for one in lines)
        + "".join(f'<p style="{_WARNING}">{_safe(one)}</p>' for one in warnings(review))
        + _verdict(review)
        + "".join(_table(one) for one in tables(review))
        + f"<details{state}><summary><b>Change of the prompt, by words</b></summary>{_diff(review)}</details>"
        + _flips(review, state)
        + _table(facts(review))
    )


def _verdict(review: Review) -> str:
    """A sentence stands out; several are a list."""
    said = [_safe(one) for one in sentences(review)]
    return f"<p><b>{said[0]}</b></p>" if len(said) == 1 else f"<ul>{''.join(f'<li>{one}</li>' for one in said)}</ul>"


def _table(table: Table) -> str:
    shown = [tuple(visible(text) for text in row) for row in table.rows]
    drawn = plain_table(table.headings, shown, visible(table.note), names=table.names)
    return f'<h2>{_safe(table.title)}</h2><div class="wide">{drawn}</div>'


def _diff(review: Review) -> str:
    if review.evidence.is_first:
        intro = "<p>Nothing is production yet; this is all of it.</p>"
    else:
        intro = "<p><del>Struck through</del>: removed. <ins>Underlined</ins>: added.</p>"
    drawn, left = [], LONGEST_DIFF
    for line in changes(review):
        left -= sum(len(text) for _, text in line) + 1
        if left < 0:
            drawn.append("… the rest is left out here")
            break
        drawn.append("".join(piece_html(sign, text) for sign, text in line))
    newline = "\n"
    return f'{intro}<pre style="{_BOX}">{newline.join(drawn)}</pre>'


def _flips(review: Review, state: str) -> str:
    flips = review.flips
    head = f"<h2>{flips.title}</h2>"
    if flips.note:
        return f"{head}<p>{_safe(flips.note)}</p>"
    worse = _side("Worse", flips.worse, flips.n_worse, state)
    return head + worse + _side("Better", flips.better, flips.n_better, "")


def _side(title: str, flips: tuple[Flip, ...], total: int, state: str) -> str:
    if not flips:
        return f"<p>{title}: none.</p>"
    counted = f"{title}: {len(flips)} of {total} shown, personal data and keys masked"
    return f"<details{state}><summary>{counted}</summary>{''.join(map(_flip, flips))}</details>"


def _flip(flip: Flip) -> str:
    before, after = flip.scores
    return (
        f"<h4>{_safe(flip.case_id)} on {_safe(flip.held or 'this arm')}: {before:g} → {after:g}</h4>"
        f'<div style="{_TEXT}"><b>Input</b> {_safe(flip.inputs)}\n<b>Expected</b> {_safe(flip.expected)}</div>'
        '<table style="width:100%;table-layout:fixed;border-collapse:collapse"><thead><tr>'
        f'<th scope="col" style="{_CELL}">before</th><th scope="col" style="{_CELL}">after</th></tr></thead><tbody><tr>'
        f'<td style="{_CELL}"><div style="{_BOX}">{_safe(flip.baseline)}</div></td>'
        f'<td style="{_CELL}"><div style="{_BOX}">{_safe(flip.candidate)}</div></td></tr></tbody></table>'
    )


def _safe(text: str) -> str:
    return escape(visible(text))
