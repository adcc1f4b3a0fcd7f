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

from workbench.errors import VerdictError
from workbench.records import ref_of
from workbench.report.cases import Cases
from workbench.report.text import HEADINGS, grid, paid, scale, score_text, trials
from workbench.tables import PLAIN, SHOWN, fitting, plain_table, table

if TYPE_CHECKING:
    from workbench.report.report import Report
    from workbench.report.summary import ArmSummary, Leaderboard

_BAR = 92
_TRACK, _RANGE, _MARK = "rgba(128,128,128,.2)", "#8fb8e0", "#2060a8"
_LEFT = 2


def leaderboard_html(board: Leaderboard) -> str:
    """The leaderboard: one row per arm with its interval drawn on a common scale."""
    low, high = scale(list(board))
    texts = grid(board)
    head = "".join(f'<th scope="col" style="{_side(i)}">{escape(h)}</th>' for i, h in enumerate(texts[0]))
    rows = zip(list(board)[:SHOWN], texts[1:], strict=False)
    shown = fitting(_leaderboard_row(row, one, low, high) for row, one in rows)
    more = f"<p>and {len(board) - len(shown):,} more rows</p>" if len(board) > len(shown) else ""
    note = PLAIN.format(f"<p>{escape(board.note)}</p>") if board.note else ""
    return table(head, "".join(shown), board.caption) + more + note


def _leaderboard_row(row: ArmSummary, texts: tuple[str, ...], low: float, high: float) -> str:
    drawn = [escape(text) for text in texts]
    drawn[HEADINGS.index("95 % interval")] += _interval(row, low, high)
    cells = (f'<td style="{_side(i)}white-space:nowrap">{one}</td>' for i, one in enumerate(drawn))
    return f"<tr>{''.join(cells)}</tr>"


def _interval(row: ArmSummary, low: float, high: float) -> str:
    """A bar from the lower to the upper limit with a mark at the mean, on the axis of the whole table."""
    if row.mean is None or row.low is None or row.high is None:
        return ""
    left, middle, right = (
        _BAR * (min(max(x, low), high) - low) / (high - low) for x in (row.low, row.mean, row.high)
    )
    sides = f"border:solid {_RANGE};border-width:0 {right - middle:.0f}px 0 {middle - left:.0f}px"
    drawn = f"margin-left:{left:.0f}px;width:2px;height:5px;background-color:{_MARK};{sides}"
    track = f"width:{_BAR + 2}px;margin-left:auto;background-color:{_TRACK}"
    return f'<div style="{track}"><div style="{drawn}"></div></div>'


def cases_html(cases: Cases) -> str:
    """Rows with their inputs, expected value and output, all of it as text."""
    if not len(cases):
        return PLAIN.format(f"<p>{escape(cases.headline)}</p>")
    headings = ("case", "prompt", "model", "score", "why", "input", "expected", "output")
    rows = [
        (
            row["case_id"],
            ref_of(row),
            row["model"],
            "" if not cases.metric else score_text(row["scores"].get(cases.metric)),
            row["error"] or row["reasons"].get(cases.metric) or "; ".join(row["reasons"].values()),
            _as_text(row["inputs"]),
            _as_text(row["expected"]),
            row["output"] or "",
        )
        for row in list(cases)[:SHOWN]
    ]
    return plain_table(headings, rows, cases.headline, len(cases), names=3)


def report_fragment(report: Report) -> str:
    """The report as a notebook shows it: the answer first, details folded."""
    head = PLAIN.format(f"<b>{escape(_headline(report))}</b>")
    return f"{head}{leaderboard_html(report.leaderboard())}{_folded(report)}"


def report_html(report: Report) -> str:
    """The report as one self-contained page: no script, and no address that a browser would fetch."""
    board = report.leaderboard()
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
table{{margin:.5rem 0 1.5rem}}img{{max-width:100%}}.wide{{overflow-x:auto}}</style></head><body>
<h1>{escape(report.run_id)}</h1><p>{escape(_headline(report))}</p>
<h2>Leaderboard: {escape(report.metrics[0])}</h2><div class="wide">{leaderboard_html(board)}</div>
<h2>Quality and cost</h2>{_picture(report)}
<h2>What went wrong</h2><div class="wide">{_folded(report, opened=True)}</div>
<h2>Prompts</h2>{prompts}</body></html>
"""


def _picture(report: Report) -> str:
    image = BytesIO()
    try:
        report.pareto().savefig(image, format="png", dpi=120)
    except VerdictError as error:
        return f"<p>Not drawn: {escape(str(error))}.</p>"
    said = "Quality against cost per 1,000 cases; the numbers are in the table above."
    return f'<img alt="{said}"\nsrc="data:image/png;base64,{base64.b64encode(image.getvalue()).decode()}">'


def _folded(report: Report, opened: bool = False) -> str:
    errors, wrong = report.errors(n=20), _wrong_of_leader(report)
    parts = [cases_html(part) for part in (errors, wrong) if len(part)]
    if not parts and (report.scorer_of(report.metrics[0]) is None or report.unscored()):
        return f"<p>No failed trial; {escape(wrong.title)}.</p>"
    if not parts:
        return "<p>No failed trial, no wrong answer.</p>"
    state = " open" if opened else ""
    return f"<details{state}><summary>{escape(errors.title)}; {escape(wrong.title)}</summary>{''.join(parts)}</details>"


def _wrong_of_leader(report: Report) -> Cases:
    """What the leading arm got wrong: the answers somebody would have to live with."""
    board = report.leaderboard()
    if all(row.mean is None for row in board):
        return report.wrong()
    best = board.best
    if report.scorer_of(best.metric) is None:
        return Cases((), report.cases, "", f"which answers are wrong by {best.metric} is not known")
    # without its note: the leaderboard above has said it
    found = report.wrong(prompt=best.prompt.removesuffix("*"), model=best.model)
    return Cases(found.rows, report.cases, found.metric, f"{best.arm}, {found.title}")


def _headline(report: Report) -> str:
    totals = report.totals()
    text = (
        f"{trials(totals['done'], totals['trials'])}, {report.state}; {totals['hits']:,} from the cache, "
        f"{totals['errors']:,} failed; {paid(totals, report.paid_to())}"
    )
    return f"{text}. {report.message}" if report.message else text


def _side(column: int) -> str:
    """Numbers stand to the right, as everything in a table does that does not say otherwise."""
    return "text-align:left;" if column < _LEFT else ""


def _as_text(value: Any) -> str:
    if isinstance(value, dict) and len(value) == 1 and isinstance(next(iter(value.values())), str):
        return str(next(iter(value.values())))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
