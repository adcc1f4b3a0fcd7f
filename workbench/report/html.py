"""Tables as HTML that needs no script, no style sheet and no network.

Everything is escaped here: model output is hostile text. Looks sit in inline styles, because notebooks that were opened
and not run drop the rest; the colour of text comes from the page, so that dark themes stay readable.
"""

from __future__ import annotations

import base64
import json
from html import escape
from io import BytesIO
from typing import TYPE_CHECKING, Any

from workbench.report.cases import Cases
from workbench.report.text import HEADINGS, cells, scale, spent
from workbench.tables import CELL_STYLE, HEAD, PLAIN, SHOWN, plain_table, table

if TYPE_CHECKING:
    from workbench.report.report import Report
    from workbench.report.summary import ArmSummary, Leaderboard

_BAR = 100
_LEFT = 2


def leaderboard_html(board: Leaderboard) -> str:
    """The leaderboard: one row per arm with its interval drawn on a common scale."""
    low, high = scale(list(board))
    headings = [*HEADINGS[:3], "", *HEADINGS[3:]]
    head = "".join(f'<th scope="col" style="{HEAD.format(_side(i))}">{escape(h)}</th>' for i, h in enumerate(headings))
    body = "".join(_leaderboard_row(row, low, high) for row in list(board)[:SHOWN])
    more = f"<p>and {len(board) - SHOWN} more arms</p>" if len(board) > SHOWN else ""
    return table(head, body, board.caption) + more


def _leaderboard_row(row: ArmSummary, low: float, high: float) -> str:
    texts = cells(row)
    drawn = [*(escape(text) for text in texts[:3]), _interval(row, low, high), *(escape(text) for text in texts[3:])]
    return (
        "<tr>"
        + "".join(
            f'<td style="{CELL_STYLE.format(_side(i))};white-space:nowrap">{one}</td>' for i, one in enumerate(drawn)
        )
        + "</tr>"
    )


def _interval(row: ArmSummary, low: float, high: float) -> str:
    """A bar from the lower to the upper limit with a mark at the mean, on the axis of the whole table."""
    if row.mean is None or row.low is None or row.high is None:
        return ""
    left, middle, right = (100 * (min(max(x, low), high) - low) / (high - low) for x in (row.low, row.mean, row.high))
    parts = [
        ("transparent", left),
        ("rgba(56,128,200,.45)", middle - left),
        ("rgb(56,128,200)", 2.0),
        ("rgba(56,128,200,.45)", right - middle - 2.0),
    ]
    spans = "".join(
        f'<span style="display:inline-block;height:12px;width:{width * _BAR / 100:.1f}px;background-color:{colour}">'
        "</span>"
        for colour, width in parts
        if width > 0
    )
    title = f"{row.mean:.3f}, 95 % interval {row.low:.3f} to {row.high:.3f}"
    return (
        f'<div title="{title}" style="width:{_BAR + 2}px;text-align:left;white-space:nowrap;line-height:12px;'
        f'margin-top:3px;background-color:rgba(128,128,128,.15)">{spans}</div>'
    )


def cases_html(cases: Cases) -> str:
    """Rows with their inputs, expected value and output, all of it as text."""
    headings = ("case", "prompt", "model", "score", "why", "input", "expected", "output")
    rows = [
        (
            row["case_id"],
            f"{row['prompt']}@{row['version']}",
            row["model"],
            "" if not cases.metric else str(row["scores"].get(cases.metric)),
            row["error"] or row["reasons"].get(cases.metric) or "; ".join(row["reasons"].values()),
            _as_text(row["inputs"]),
            _as_text(row["expected"]),
            row["output"] or "",
        )
        for row in list(cases)[:SHOWN]
    ]
    return plain_table(headings, rows, cases.title, len(cases), names=3)


def report_fragment(report: Report) -> str:
    """The report as a notebook shows it: the answer first, details folded."""
    head = PLAIN.format(f"<b>{escape(_headline(report))}</b>")
    return f"{head}{leaderboard_html(report.leaderboard())}{_folded(report)}"


def report_html(report: Report) -> str:
    """The report as one self-contained page: no script, and no address that a browser would fetch."""
    board = report.leaderboard()
    image = BytesIO()
    report.pareto().savefig(image, format="png", dpi=120)
    picture = base64.b64encode(image.getvalue()).decode()
    prompts = "".join(
        f"<details><summary>{escape(p['ref'])}</summary><pre style='white-space:pre-wrap'>{escape(p['text'])}"
        f"</pre></details>"
        for p in report.plan["prompts"]
    )
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{escape(report.run_id)}</title>
<style>:root{{color-scheme:light dark}}
body{{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:1320px;padding:0 1rem}}
table{{margin:.5rem 0 1.5rem}}img{{max-width:100%;background:#fff}}.wide{{overflow-x:auto}}</style></head><body>
<h1>{escape(report.run_id)}</h1><p>{escape(_headline(report))}</p>
<h2>Leaderboard: {escape(report.metrics[0])}</h2><div class="wide">{leaderboard_html(board)}</div>
<h2>Quality and cost</h2><img alt="Quality against cost per 1,000 cases; the numbers are in the table above."
src="data:image/png;base64,{picture}">
<h2>What went wrong</h2><div class="wide">{_folded(report, opened=True)}</div>
<h2>Prompts</h2>{prompts}</body></html>
"""


def _folded(report: Report, opened: bool = False) -> str:
    errors, wrong = report.errors(n=20), _wrong_of_leader(report)
    parts = [cases_html(part) for part in (errors, wrong) if len(part)]
    if not parts:
        return "<p>No failed trial, no wrong answer.</p>"
    state = " open" if opened else ""
    return f"<details{state}><summary>{escape(errors.title)}; {escape(wrong.title)}</summary>{''.join(parts)}</details>"


def _wrong_of_leader(report: Report) -> Cases:
    """What the leading arm got wrong: the answers somebody would have to live with."""
    board = report.leaderboard()
    best = board.best if len(board) else None
    if best is None:
        return report.wrong()
    found = report.wrong(prompt=best.prompt.removesuffix("*"), model=best.model)
    return Cases(found.rows, report.cases, found.metric, f"{best.arm}, {found.title}")


def _headline(report: Report) -> str:
    totals = report.totals()
    text = (
        f"{totals['done']:,} of {totals['trials']:,} trials, {report.state}; {totals['hits']:,} from the cache, "
        f"{totals['errors']:,} failed; {spent(totals['spent_usd'], totals['unknown_spent'])} spent{report.paid_to()}"
    )
    return f"{text}. {report.message}" if report.message else text


def _side(column: int) -> str:
    return "left" if column < _LEFT else "right"


def _as_text(value: Any) -> str:
    if isinstance(value, dict) and len(value) == 1 and isinstance(next(iter(value.values())), str):
        return str(next(iter(value.values())))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
