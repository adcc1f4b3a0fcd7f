"""A regression as a notebook, or the page of a night, shows it: no script, everything escaped."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from workbench.regressions.records import WORDS
from workbench.tables import PLAIN, plain_table

if TYPE_CHECKING:
    from workbench.regressions.records import Regression

RANK = {"red": 0, "yellow": 1, "green": 2}


def regression_html(found: Regression) -> str:
    """The sentence, then a line per check, the worst first, then every changed field that was kept."""
    simulated = "<p>Simulated: declared, not measured.</p>" if found.source == "simulated" else ""
    head = PLAIN.format(f"{simulated}<p><b>{escape(found.headline())}</b></p>")
    checks = sorted(found.checks, key=lambda check: RANK[check.state])
    rows = [
        (WORDS[check.state], check.name, check.arm or "all", f"{check.sentence} {check.again}".strip())
        for check in checks
    ]
    table = plain_table(("result", "check", "arm", "what was found"), rows, "Checks", names=3)
    if not found.ok or len(rows) <= 6:
        return head + table + _changes(found)
    return f"{head}<details><summary>{len(rows)} checks</summary>{table}</details>"


def _changes(found: Regression) -> str:
    if not found.changes:
        return ""
    headings = ("arm", "case", "repeat", "field", "then", "now")
    rows = [(c.arm, c.case_id, str(c.repeat), c.field, c.then, c.now) for c in found.changes]
    return plain_table(headings, rows, "What changed", names=4)
