"""The compare view as a saved notebook keeps it: verdict, counts, flipped cases side by side, votes. No script."""

from __future__ import annotations

from collections import Counter
from html import escape
from typing import TYPE_CHECKING

from workbench.report.text import score_text
from workbench.tables import CELL_STYLE, HEAD, PLAIN, TEXT, cut, table
from workbench.widgets.base import Static, missing
from workbench.widgets.compare_case import blank
from workbench.widgets.compare_data import as_text, by_change, plain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workbench.widgets.compare_data import Line
    from workbench.widgets.compare_reading import Reading

FLIPS = 20
"""Flipped cases that are shown each way at most."""
BYTES = 60_000
"""Bytes of flipped cases each way at most: a saved notebook stays small whatever the replies."""
SCROLLED = '<div style="max-height:480px;overflow:auto">{}</div>'
"""What comes below the flipped cases is reached without passing all of them."""
FAILED = 200
"""Cases with an error that are read at most, to say what went wrong."""
NAME = 100
"""Characters of a case's id that are shown at most."""
WAITING = "{} wait in the label queue and stay hidden until they have a label"
WAYS = (("better", "rose"), ("worse", "fell"))
WORDS = {"all": "cases", "wrong": "wrong in all arms", "errors": "with errors", "queue": "in the label queue",
         "voted": "voted on"}  # fmt: skip


def static(view: Reading) -> Static:
    """The whole view without a script, and as plain text."""
    return Static(_html(view), _text(view))


def counted(view: Reading) -> str:
    """How many cases there are of each kind, in a line."""
    return ", ".join(f"{n:,} {WORDS.get(name, name)}" for name, n in view.counts.items())


def _html(view: Reading) -> str:
    lines = "".join(f"<p>{escape(plain(line))}</p>" for line in view.verdict_lines)
    said = PLAIN.format(lines) if view.verdict is None else plain(view.verdict._repr_html_())
    on = f"{view.held}: " if len(view.helds) > 1 else ""
    parts = [said, PLAIN.format(f"<p>{escape(plain(on + counted(view)))}</p>")]
    parts += [PLAIN.format(f"<p>{escape(why)}</p>") for why in _failures(view)]
    parts += [_flipped(view, kind, word) for kind, word in WAYS]
    if view.votes:
        parts.append(_votes(view))
    parts.append(PLAIN.format(f"<p><code>{escape(plain(view.code()))}</code></p>"))
    if why := missing():
        parts.append(f"<p>No live view: {escape(why)}</p>")
    return "".join(parts)


def _failures(view: Reading) -> list[str]:
    """Why trials failed, in the words of the most frequent error; nothing where none did."""
    trials = ((line.case_id, repeat) for line in view.of_kind("errors")[:FAILED] for repeat in line.repeats)
    rows = (row for trial in trials for row in view.rows_of(*trial) if row is not None and row["error"] is not None)
    said = Counter(plain(f"{row['error_type']}: {row['error']}") for row in rows)
    return [f"Trials failed, most often with {cut(text)}" for text, _ in said.most_common(1)]


def _flipped(view: Reading, kind: str, word: str) -> str:
    """The cases that flipped one way, the answers beside each other; those that wait for a blind label stay away."""
    every = by_change(view.of_kind(kind))
    lines = [line for line in every if not view.awaits(line)]
    names = [side.name for side in view.sides]
    heads = ["case", "change", "input", "expected", *names, "vote"]
    head = "".join(f'<th scope="col" style="{HEAD.format("left")}">{escape(plain(one))}</th>' for one in heads)
    rows: list[str] = []
    size = 0
    for line in lines[:FLIPS]:
        row = "".join(_cells(view, line))
        size += len(row.encode())
        if rows and size > BYTES:
            break
        rows.append(f"<tr>{row}</tr>")
    cases = "1 case" if len(every) == 1 else f"{len(every):,} cases"
    caption = f"{names[0]} {kind} than {names[1]}: {cases} whose {view.metric} {word}"
    waiting, more = len(every) - len(lines), len(lines) - len(rows)
    notes = [f"and {more:,} more"] * bool(more)
    notes += [WAITING.format(f"{waiting:,}")] * bool(waiting)
    tail = f"<p>{'; '.join(notes)}</p>" if notes else ""
    if not every:
        return PLAIN.format(f"<p>{escape(caption)}</p>")
    return SCROLLED.format(table(head, "".join(rows), plain(caption))) + tail


def _cells(view: Reading, line: Line) -> Iterable[str]:
    case, repeat = view.report.cases[line.case_id], line.repeats[0]
    vote = view.vote_on(line.case_id, repeat)
    yield _cell(line.case_id)
    yield _cell(f"{line.change:+.2f}" if line.change is not None else "")
    yield _cell(as_text(case["inputs"]), boxed=True)
    yield _cell("" if case["expected"] is None else as_text(case["expected"]), boxed=True)
    for row in view.rows_of(line.case_id, repeat):
        if row is None:
            yield _cell("no row")
        else:
            said = row["error"] if row["error"] is not None else row["output"] or ""
            shown = f"({blank(said)})" if blank(said) else said
            yield _cell(shown, boxed=True, above=score_text(row["scores"].get(view.metric)))
    yield _cell("" if vote is None else _said(view, vote.winner, vote.note), boxed=True)


def _cell(text: str, *, boxed: bool = False, above: str = "") -> str:
    style = CELL_STYLE.format("left") + ("" if boxed else ";white-space:nowrap")
    shown = escape(cut(plain(text)) if boxed else plain(text)[:NAME])
    head = f"<b>{escape(above)}</b>" if above else ""
    inner = f'{head}<div style="{TEXT}">{shown}</div>' if boxed else shown
    return f'<td style="{style}">{inner}</td>'


def _votes(view: Reading) -> str:
    """How often each arm was preferred, labels and notes apart."""
    heads = ("votes", *(side.name for side in view.sides), "tie", "note alone")
    head = "".join(f'<th scope="col" style="{HEAD.format("left")}">{escape(plain(one))}</th>' for one in heads)
    rows = (_tallied(view, name, label) for name, label in (("labels", True), ("notes", False)))
    return table(head, "".join(rows), "What people said")


def _tallied(view: Reading, name: str, label: bool) -> str:
    winners = [vote.winner for vote in view.votes if vote.label == label]
    counts = [winners.count(side.arm) for side in view.sides] + [winners.count("tie"), winners.count(None)]
    return f"<tr>{''.join(_cell(text) for text in [name, *map(str, counts)])}</tr>"


def _said(view: Reading, winner: str | None, note: str) -> str:
    names = {side.arm: f"{side.name} better" for side in view.sides} | {"tie": "tie"}
    return ": ".join(filter(None, [names.get(winner or "", ""), note]))


def _text(view: Reading) -> str:
    lines: list[str] = [*view.verdict_lines, counted(view), *_failures(view)]
    for kind, _ in WAYS:
        every = view.of_kind(kind)
        ids = [line.case_id for line in by_change(every) if not view.awaits(line)]
        more = f" and {len(ids) - FLIPS:,} more" if len(ids) > FLIPS else ""
        waiting = WAITING.format(f"{len(every) - len(ids):,}") if len(ids) < len(every) else ""
        shown = "; ".join(filter(None, [", ".join(ids[:FLIPS]) + more, waiting]))
        lines += [f"{kind}: {shown}"] if shown else []
    if view.votes:
        lines.append(f"votes: {len(view.votes)}, of them labels: {sum(vote.label for vote in view.votes)}")
    return plain("\n".join([*lines, view.code()]))
