"""A review as Markdown, made to be a comment on a pull request.

Prompts, outputs and names are hostile text: inside sentences every mark of Markdown and HTML that would do something
there is escaped, and what a forge would link on its own (mentions, issues, addresses) is broken by a zero-width space;
prompt versions stand as code, to be copied; longer texts stand in fenced blocks whose fence is longer than any in the
text.
"""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

from workbench.promotion.sections import Table, changes, facts, headline, tables, visible, warnings

if TYPE_CHECKING:
    from workbench.promotion.flips import Flip
    from workbench.promotion.review import Review

LONGEST_DIFF = 12_000
"""Characters of a prompt's change that are shown: a forge takes about 65,000 for the whole comment."""
FLIPS = 8
"""Flipped cases shown each way."""
LONGEST = 500
"""Characters of an output that are shown."""
CONTEXT = 2
"""Unchanged lines that are shown around a change."""

_REF = re.compile(r"(?<![\w@./`-])([A-Za-z0-9][A-Za-z0-9_./-]{0,199}@(?:v[0-9]{1,9}|production))(?![\w@`-])", re.ASCII)
_MARKS = re.compile(r"([\\`*\[\]#|~$]|(?<![^\W_])_|_(?![^\W_])|:(?=[\w/]))")
_FIRST = re.compile(r"^(\s*[0-9]*)([-+=.)])")
"""What begins a list, a heading or a rule, at the beginning of a line alone."""
_LINKED = re.compile(r"(@|\\#|\\:|www)(?=[\w/\\.])")


def markdown(review: Review) -> str:
    """The whole comment."""
    parts = [f"## {inline(headline(review))}"]
    parts += [f"> **{inline(one)}**" for one in warnings(review)]
    parts += [f"**{inline(review.evidence.verdict.sentence)}**"]
    parts += [_table(one) for one in tables(review)]
    parts += [_diff(review), _flips(review), _folded("Evidence", _rows(facts(review)))]
    return "\n\n".join(parts) + "\n"


def inline(text: str) -> str:
    """Any text as part of a line: it shows as it is, and nothing in it does anything."""
    parts = _REF.split(visible(text).replace("\n", " ").replace("\t", " "))
    return "".join(f"`{part}`" if at % 2 else _marked(part) for at, part in enumerate(parts))


def _marked(text: str) -> str:
    plain = _FIRST.sub(r"\1\\\2", _MARKS.sub(r"\\\1", escape(text, quote=False)))
    return _LINKED.sub(r"\1&#8203;", plain)


def block(text: str) -> str:
    """Any text as a block of its own."""
    shown = visible(text if len(text) <= LONGEST else f"{text[:LONGEST]} … (cut; the HTML page shows more)")
    longest = max((len(run) for run in re.findall(r"`+", shown)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{shown}\n{fence}"


def _table(table: Table) -> str:
    note = f"\n\n{inline(table.note)}" if table.note else ""
    return f"### {inline(table.title)}\n\n{_rows(table)}{note}"


def _rows(table: Table) -> str:
    head = f"| {' | '.join(inline(one) or ' ' for one in table.headings)} |\n|{' --- |' * len(table.headings)}"
    return "\n".join([head, *(f"| {' | '.join(inline(one) for one in row)} |" for row in table.rows)])


def _diff(review: Review) -> str:
    """The lines that changed, with a little around them, as a quotation."""
    lines = changes(review)
    changed = [i for i, line in enumerate(lines) if any(sign != "=" for sign, _ in line)]
    near = {i for at in changed for i in range(at - CONTEXT, at + CONTEXT + 1)}
    drawn: list[str] = []
    left, skipped = LONGEST_DIFF, False
    for i, line in enumerate(lines):
        if i not in near:
            skipped = True
            continue
        text = _joined(line)
        left -= len(text)
        if left < 0:
            drawn.append("> … the rest is left out here; the HTML page shows it")
            break
        drawn += ["> …", ">"] if skipped else []
        drawn.append(f"> {_indented(text.rstrip())}<br>")
        skipped = False
    said = "nothing is production yet, so all of it is new" if review.evidence.is_first else "~~removed~~ **added**"
    return f"### Change of the prompt\n\nBy words: {said}\n\n" + ("\n".join(drawn) or "> no change")


def _joined(line: list[tuple[str, str]]) -> str:
    """The pieces of a line; two marks that met without a space between them would not be read as marks."""
    drawn = ""
    for sign, text in line:
        piece = _piece(sign, text)
        drawn += f" {piece}" if drawn.endswith(("~~", "**")) and not piece.startswith(" ") else piece
    return drawn


def _piece(sign: str, text: str) -> str:
    """Marks must touch the words they mark, so white space stays outside."""
    core = text.strip()
    if sign == "=" or not core:
        return inline(text)
    mark = "~~" if sign == "-" else "**"
    start = len(text) - len(text.lstrip())
    before, after = text[:start], text[start + len(core) :]
    return f"{inline(before)}{mark}{inline(core)}{mark}{inline(after)}"


def _indented(text: str) -> str:
    core = text.lstrip(" ")
    return "&nbsp;" * (len(text) - len(core)) + core


def _flips(review: Review) -> str:
    flips = review.flips
    head = f"### {flips.title}"
    if flips.note:
        return f"{head}\n\n{inline(flips.note)}"
    return f"{head}\n\n{_side('Worse', flips.worse, flips.n_worse)}\n\n{_side('Better', flips.better, flips.n_better)}"


def _side(title: str, flips: tuple[Flip, ...], total: int) -> str:
    if not flips:
        return f"{title}: none."
    shown = flips[:FLIPS]
    return _folded(f"{title}: {len(shown)} of {total} shown, masked", "\n\n".join(map(_flip, shown)))


def _flip(flip: Flip) -> str:
    before, after = flip.scores
    return "\n\n".join(
        [
            f"**{inline(flip.case_id)}** on {inline(flip.held or 'this arm')}: {before:g} → {after:g}",
            "Input",
            block(flip.inputs),
            f"Expected: {inline(flip.expected[:LONGEST])}",
            "Before",
            block(flip.baseline),
            "After",
            block(flip.candidate),
        ]
    )


def _folded(title: str, body: str) -> str:
    """A blank line on either side makes a forge read the body as Markdown."""
    return f"<details><summary>{escape(title)}</summary>\n\n{body}\n\n</details>"
