"""A small page to look at: prompts with their labels, the latest traces, datasets. Read-only, no script."""

from __future__ import annotations

from html import escape
from itertools import groupby
from typing import TYPE_CHECKING, Any

from aiohttp import web

from workbench.sim.langfuse.observations import moment, numbers
from workbench.sim.langfuse.store import unpack

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

MOST_TRACES = 50
MOVES = "workbench/promotions/"
"""Prompts of this folder are the workbench's record of moved labels: many, and seldom what somebody came to see."""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 0 auto; padding: 1rem 1.5rem 3rem; }
header { border-left: .4rem solid #c77700; padding: .2rem 1rem; margin-bottom: 2rem; }
h1 { font-size: 1.3rem; margin: 0; } h2 { font-size: 1.1rem; margin-top: 2rem; } p { margin: .2rem 0; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .3rem .7rem .3rem 0; border-bottom: 1px solid #8884; }
th { font-weight: 600; } td.number { font-variant-numeric: tabular-nums; }
.label { display: inline-block; border: 1px solid #888; border-radius: .7rem; padding: 0 .55rem;
  margin: 0 .3rem .15rem 0; font-size: .85rem; white-space: nowrap; }
time { white-space: nowrap; }
.production { background: #0a6b32; border-color: #0a6b32; color: #fff; font-weight: 600; }
code, .long { overflow-wrap: anywhere; } .long { min-width: 14rem; }
@media (max-width: 50rem) { time { white-space: normal; } .long { min-width: 9rem; } }
details { margin-top: 1rem; } summary { cursor: pointer; }
"""


def page(rows: sqlite3.Connection) -> web.Response:
    """The page about everything in the store."""
    found = rows.execute("SELECT * FROM prompts ORDER BY project, name, version DESC").fetchall()
    moves = [row for row in found if row["name"].startswith(MOVES)]
    heads = ("name", "version", "labels", "commit message", "created")
    sections = (
        _section("Prompts", heads, _prompts([row for row in found if not row["name"].startswith(MOVES)])),
        _folded(f"Moved labels: {len(moves)} entries of the workbench's own record, {MOVES}", heads, _prompts(moves)),
        _section("Latest traces", ("trace", "started", "name", "spans", "cost, USD", "scores"), _traces(rows)),
        _section("Datasets", ("name", "items", "description"), _datasets(rows)),
    )
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Stand-in Langfuse</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><header><h1>Stand-in Langfuse</h1>"
        "<p>A simulated server for tests and demonstrations, not Langfuse itself. Read-only.</p></header>"
        f"<main>{''.join(sections)}</main></body></html>"
    )
    headers = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
    return web.Response(text=text, content_type="text/html", headers=headers)


def _prompts(found: list[sqlite3.Row]) -> Iterable[list[str]]:
    for _, versions in groupby(found, key=lambda row: (row["project"], row["name"])):
        for index, row in enumerate(versions):
            labels = "".join(_label(label) for label in unpack(row["labels"]))
            name = _cell(f"<strong>{escape(row['name'].removeprefix(MOVES))}</strong>" if index == 0 else "")
            message = f'<td class="long">{escape(row["commit_message"] or "")}</td>'
            yield [
                name,
                _number(row["version"]),
                _cell(labels),
                message,
                _cell(f"<time>{escape(row['created_at'])}</time>"),
            ]


def _traces(rows: sqlite3.Connection) -> Iterable[list[str]]:
    latest = rows.execute(
        "SELECT project, trace_id, min(start_ns) AS start_ns, count(*) AS spans FROM spans GROUP BY project, trace_id"
        " ORDER BY start_ns DESC LIMIT ?",
        (MOST_TRACES,),
    ).fetchall()
    for trace in latest:
        key = trace["project"], trace["trace_id"]
        spans = rows.execute("SELECT * FROM spans WHERE project = ? AND trace_id = ? ORDER BY start_ns", key).fetchall()
        scores = rows.execute("SELECT * FROM scores WHERE project = ? AND trace_id = ? ORDER BY name", key).fetchall()
        said = ", ".join(f"{escape(score['name'])} {escape(score['value'][:80])}" for score in scores)
        yield [
            _cell(f"<code>{escape(trace['trace_id'])}</code>"),
            _cell(escape(moment(trace["start_ns"]))),
            _cell(escape(spans[0]["name"])),
            _number(trace["spans"]),
            _number(_cost(spans)),
            _cell(said),
        ]


def _cost(spans: list[sqlite3.Row]) -> str:
    """The trace's cost, as far as it is known."""
    details = [numbers(unpack(span["attributes"]).get("langfuse.observation.cost_details")) for span in spans]
    known = [one.get("total", sum(one.values())) for one in details if one]
    return f"{sum(known):.6f}" if known else ""


def _datasets(rows: sqlite3.Connection) -> Iterable[list[str]]:
    found = rows.execute(
        "SELECT name, description,"
        " (SELECT count(*) FROM items WHERE dataset_id = datasets.id AND valid_to IS NULL) AS n"
        " FROM datasets ORDER BY name"
    )
    for row in found:
        yield [_cell(escape(row["name"])), _number(row["n"]), _cell(escape(row["description"] or ""))]


def _section(title: str, heads: tuple[str, ...], lines: Iterable[list[str]]) -> str:
    return f"<section><h2>{title}</h2>{_table(heads, lines) or '<p>None yet.</p>'}</section>"


def _folded(title: str, heads: tuple[str, ...], lines: Iterable[list[str]]) -> str:
    table = _table(heads, lines)
    return f"<details><summary>{title}</summary>{table}</details>" if table else ""


def _table(heads: tuple[str, ...], lines: Iterable[list[str]]) -> str:
    """Empty without any line."""
    body = "".join(f"<tr>{''.join(cells)}</tr>" for cells in lines)
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    whole = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="scroll">{whole}</div>' if body else ""


def _label(label: str) -> str:
    kind = "label production" if label == "production" else "label"
    return f'<span class="{kind}">{escape(label)}</span>'


def _cell(html: str) -> str:
    return f"<td>{html}</td>"


def _number(value: Any) -> str:
    return f'<td class="number">{escape(str(value))}</td>'
