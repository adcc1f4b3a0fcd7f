"""The night as one self-contained page: no script, and no address that a browser would fetch."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from workbench.nightly.records import WORDS
from workbench.nightly.summary import YELLOW, counts, what
from workbench.regressions.html import regression_html
from workbench.tables import plain_table

if TYPE_CHECKING:
    from workbench.nightly.records import NightReport, Part


def page(night: NightReport) -> str:
    """The answer first, a line per notebook, then what each of them found."""
    rows = [
        (part.notebook, WORDS[part.outcome], counts(part), f"${part.spent_usd:.4f}" if night.live else "–")
        for part in night.parts
    ]
    table = plain_table(("notebook", "result", "what was looked at", "spent"), rows, "Notebooks", names=2)
    unsure = f"<p>{escape(YELLOW)}</p>" if any(part.outcome == "yellow" for part in night.parts) else ""
    details = "".join(_section(part) for part in night.parts)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{escape(night.headline())}</title>
<style>:root{{color-scheme:light dark}}
body{{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:1320px;padding:0 1rem}}
table{{margin:.5rem 0 1.5rem}}pre{{white-space:pre-wrap}}.wide{{overflow-x:auto}}</style></head><body>
<h1>{escape(night.headline())}</h1><div class="wide">{table}</div>{unsure}
{details}</body></html>
"""


def _section(part: Part) -> str:
    """One notebook: each report held against its baseline, then its failed cells, folded."""
    faults = "".join(
        f"<details><summary><b>{escape(cell.name)} failed</b>: {escape(what(cell))}</summary>"
        f"<pre>{escape(cell.fault)}</pre></details>"
        for cell in part.faults
    )
    found = "".join(f'<div class="wide">{regression_html(one)}</div>' for one in part.regressions)
    nothing = "" if faults or found else "<p>Every cell ran. No baseline.</p>"
    return f"<h2>{escape(part.notebook)}: {WORDS[part.outcome]}</h2>{found}{faults}{nothing}"
