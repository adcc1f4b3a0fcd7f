"""The review view, told in a real JupyterLab with a stand-in Langfuse."""

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
from workbench.langfuse.prompts import pull
from workbench.promotion.who import server_in_use
wb.offline(latency_s=0)
exp = wb.Experiment("review", "ticket-triage@production,v4", "tickets", "openai:gpt-6-luna",
                    wb.scorers.json_fields("category", "priority"))
verdict = await exp.confirm("ticket-triage@v4", "ticket-triage@production")
""",
    "view = wb.review(verdict)\nview",
    "found = pull(server_in_use(), 'ticket-triage')\nprint('holds:', found.local_version, found.labels)\n"
    "print(view.record and view.record.result, [one.by for one in view.review.approvals])",
    "view.close()",
]


def test_review_refused_then_approved_and_promoted(notebook: NotebookPage, lab: LabServer) -> None:
    """A policy that wants an approval refuses and says so; approved by keyboard it is promoted once, though the button
    is clicked twice, the stand-in Langfuse has it, it goes back, and what is saved is complete without a kernel."""
    policy = lab.root / "prompts" / "ticket-triage" / "promotion.toml"
    policy.parent.mkdir(parents=True, exist_ok=True)
    policy.write_text("approvals = 1\n")
    lab.write("review.ipynb", CELLS)
    notebook.open("review.ipynb")
    page = notebook.page
    assert notebook.run(0) and notebook.run(1)
    view = notebook.output(1).locator(".wb-review")
    promote = view.get_by_role("button", name="Promote …")
    expect(promote).to_be_disabled(timeout=RUNNING_MS)
    expect(view).to_contain_text("Promote is not possible: 1 approval: 0 of 1")
    before = page.locator(".jp-Notebook .jp-Cell").count()

    view.get_by_label("Approve as").fill("Bob Builder")
    for key in ("Tab", "Enter"):
        page.keyboard.press(key)
    expect(view.get_by_role("alertdialog")).to_contain_text("as Bob Builder?")
    expect(view.get_by_role("alertdialog")).to_be_focused()
    for key in ("d", "d", "Tab", "Enter"):  # in a notebook d d deletes the cell
        page.keyboard.press(key)
    expect(view.get_by_role("status")).to_have_text("Approved by Bob Builder, a claim.")
    expect(promote).to_be_enabled()
    notebook.run(2)
    expect(notebook.output(2)).to_contain_text("holds: v2")

    promote.click()
    expect(view.get_by_role("alertdialog")).to_contain_text("from v2, version 1 in Langfuse to v4, by ")
    view.get_by_role("button", name="Yes, promote").dblclick()
    expect(view).to_contain_text("✔ ticket-triage@v4 is production", timeout=RUNNING_MS)
    expect(view.get_by_role("status")).to_contain_text("approved by Bob Builder")
    expect(promote).to_be_disabled()
    notebook.run(2)
    expect(notebook.output(2)).to_contain_text("holds: v4")
    expect(notebook.output(2)).to_contain_text("done ['Bob Builder']")
    moved = [json.loads(line)["record"] for line in lab.read(".workbench/promotions.jsonl").splitlines()]
    assert [one["result"] for one in moved if one["action"] == "promote"] == ["done"]

    view.get_by_role("button", name="Roll back …").click()
    view.get_by_role("button", name="Yes, roll back").click()
    expect(view).to_contain_text("it was taken back", timeout=RUNNING_MS)
    expect(promote).to_be_disabled()
    notebook.run(2)
    expect(notebook.output(2)).to_contain_text("holds: v2")
    assert page.locator(".jp-Notebook .jp-Cell").count() == before

    notebook.run(3)
    expect(view).to_have_count(0)
    expect(notebook.output(1).first).to_contain_text("rollback ticket-triage to v2")
    notebook.save()
    left = json.loads(lab.read("review.ipynb"))["cells"][1]["outputs"]
    assert not any("widget" in mime for one in left for mime in one["data"])
    static = "".join(left[0]["data"]["text/html"])
    assert "Flipped cases" in static and "<script" not in static
    assert notebook.errors == []
