"""The run view as a saved notebook keeps it: how the run stands, its grid, and what went wrong. No script."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from workbench.report.text import table
from workbench.tables import PLAIN, plain_table
from workbench.widgets.base import Static
from workbench.widgets.run_data import cell_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PARAGRAPH = "margin:4px 0;font-size:12px"


def static(head: str, notes: Sequence[str], state: Mapping[str, Any]) -> Static:
    """The grid under its headline, `notes` above it, what is known of the verdict below; and as plain text."""
    said = [one for one in (*state["troubles"], state["verdict"]) if one]
    text = [*filter(None, [head, *notes, state["caption"]]), *table([_headings(state), *_rows(state, " · ")]), *said]
    return Static(_html(head, notes, state, said), "\n".join(text))


def _html(head: str, notes: Sequence[str], state: Mapping[str, Any], said: Sequence[str]) -> str:
    headings, rows = _headings(state), _rows(state, "\n")
    caption = " ".join(filter(None, [state["caption"], f"Cells: trials done, mean {state['metric']}."]))
    grid = plain_table(headings, rows, caption, names=len(headings))
    return PLAIN.format(f"<b>{escape(head)}</b>") + _paragraphs(notes) + grid + _paragraphs(said)


def _paragraphs(texts: Sequence[str]) -> str:
    return PLAIN.format("".join(f'<p style="{PARAGRAPH}">{escape(one)}</p>' for one in texts)) if texts else ""


def _headings(state: Mapping[str, Any]) -> list[str]:
    return ["prompt", *state["models"]]


def _rows(state: Mapping[str, Any], between: str) -> list[list[str]]:
    return [
        [prompt, *("–" if cell is None else cell_text(cell, between) for cell in cells)]
        for prompt, cells in zip(state["prompts"], state["cells"], strict=True)
    ]
