"""The compare view, told in a real JupyterLab with stand-in models."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from labserver import LabServer, NotebookPage

RUNNING_MS = 60_000
CELLS = [
    """
import workbench as wb
from workbench.labels import load_labels
wb.offline(latency_s=0)
exp = wb.Experiment("compare", "ticket-triage@v2,v4", "tickets", "openai:gpt-6-luna",
                    wb.scorers.json_fields("category", "priority"))
report = await exp.run(sample=60)
""",
    'view = wb.side_by_side(report, "ticket-triage@v4", "ticket-triage@v2", queue=5)\nview',
    "print(view.filter, view.selected, [vote.label for vote in view.votes])\nprint(view.code())",
    'print(len(load_labels("tickets").queue("judge_pair", pairs=True)), "label")',
    "view.close()",
]


def run_cell(notebook: NotebookPage, index: int) -> None:
    """Run one cell and wait for its end."""
    notebook.select(index)
    notebook.command("notebook:run-cell")
    notebook.idle()


def test_compare_filters_keyboard_and_a_blind_vote(notebook: NotebookPage, lab: LabServer) -> None:
    """Two versions are compared by filter and keyboard, a blind vote on a drawn pair is in the dataset's labels, Python
    has what was clicked, and what was saved and what is left after closing is complete without a kernel."""
    lab.write("compare.ipynb", CELLS)
    notebook.open("compare.ipynb")
    page = notebook.page
    for index in (0, 1):
        notebook.select(index)
        assert notebook.command("notebook:run-cell")
    view = page.locator(".wb-view")
    expect(view).to_have_count(1, timeout=RUNNING_MS)
    expect(view.locator(".wb-case")).to_have_count(5)
    expect(view.locator(".wb-answers")).not_to_contain_text("ticket-triage")
    before = page.locator(".jp-Notebook .jp-Cell").count()

    view.focus()
    page.keyboard.press("j")
    expect(view.locator("[aria-current=true]")).to_have_text(view.locator(".wb-case").nth(1).inner_text())
    for key in ("d", "d", "a", "b", "x"):  # in a notebook: delete the cell, cells above and below, cut
        page.keyboard.press(key)
    expect(view.get_by_role("button", name="diff on")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Shift+A")
    expect(view.locator(".wb-answers")).to_contain_text("ticket-triage@v4")
    expect(view.locator(".wb-said")).to_contain_text("4 of 5 left in the queue")
    labels = (lab.root / "datasets" / "labels" / "tickets.jsonl").read_text().splitlines()
    assert json.loads(labels[-1])["chosen"] == "queue" and len(labels) == 1

    view.get_by_role("button", name="to better").click()
    expect(view.get_by_role("button", name="to better")).to_have_attribute("aria-pressed", "true")
    view.focus()
    page.keyboard.press("j")
    chosen = view.locator("[aria-current=true]")
    expect(chosen).to_have_text(view.locator(".wb-case").nth(1).inner_text())
    name = chosen.inner_text()
    assert page.locator(".jp-Notebook .jp-Cell").count() == before

    run_cell(notebook, 2)
    expect(notebook.output(2)).to_contain_text(f"better {name} [True]")
    expect(notebook.output(2)).to_contain_text(f'filter="better", select="{name}"')
    run_cell(notebook, 3)
    expect(notebook.output(3)).to_contain_text("1 label")

    notebook.save()
    saved = json.loads(lab.read("compare.ipynb"))["cells"][1]["outputs"]
    static = "".join(saved[0]["data"]["text/html"])
    assert "<details>" in static and "What people said" in static and "<script" not in static
    run_cell(notebook, 4)
    expect(view).to_have_count(0)
    expect(notebook.output(1).first).to_contain_text("What people said")
    notebook.save()
    left = json.loads(lab.read("compare.ipynb"))["cells"][1]["outputs"]
    assert not any("widget" in mime for one in left for mime in one["data"])
    assert notebook.errors == []
