"""The story of a playground, told in a real JupyterLab with stand-in models."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from labserver import LabServer, NotebookPage

RUNNING_MS = 60_000
"""What a run may take on a busy machine."""
SETUP = """
import workbench as wb
wb.offline(latency_s={latency})
known = wb.load_prompt("ticket-triage@v3")
first = wb.Prompt.from_plain("play/triage", known.plain, dict(known.config), "").save()
view = wb.playground("play/triage@v1", models="fast", dataset="tickets")
view
"""
KEPT = """
print(view.prompt.ref, repr(view.answers), len(wb.load_dataset("play-cases")), view.case)
print(wb.load_prompt("play/triage@v2").commit_message)
"""


def test_playground_streams_and_saves_a_version(notebook: NotebookPage, lab: LabServer) -> None:
    """Edited and asked by keyboard, three models stream side by side and can be stopped; the text is saved as a version
    and the case added; closed, the static form alone stays in the file."""
    lab.write("play.ipynb", [SETUP.format(latency=6), "wb.offline(latency_s=0.5)", KEPT, "view.close()"])
    notebook.open("play.ipynb")
    notebook.run(0)
    view = notebook.output(0).locator(".wb-play")
    editor = view.get_by_role("textbox", name="1. system")
    expect(editor).to_have_value(re.compile("You sort the support tickets"))
    expect(notebook.output(0).get_by_text("The same without a kernel")).to_be_visible()
    editor.fill("Category is one of: billing, hardware, app. Think first, then answer with a JSON object.")
    expect(view).to_contain_text("edited from play/triage@v1")
    editor.press("Control+Enter")
    answers = view.locator(".wb-box")
    expect(answers).to_have_count(3)
    for n in range(3):
        expect(answers.nth(n)).not_to_be_empty(timeout=RUNNING_MS)
    expect(view).to_contain_text("streaming")
    expect(view).to_contain_text("time to first token")
    editor.press("Escape")
    expect(view).to_contain_text("stopped: what came so far; it may be charged")
    expect(view).to_contain_text("for calls that broke off")
    notebook.run(1)
    view.get_by_role("button", name="Run").click()
    expect(view.get_by_text(re.compile(r"tokens \d+ in, \d+ out · cost .* · from simulated"))).to_have_count(
        3, timeout=RUNNING_MS
    )
    expect(view).to_contain_text("Simulated: stand-in servers answered")
    view.get_by_label("what changed").fill("shorter")
    view.get_by_role("button", name="Save as new version").click()
    expect(view).to_contain_text("Saved as play/triage@v2, in prompts/play/triage/v2.yaml.")
    view.get_by_role("textbox", name="ticket", exact=True).fill("The clamp fell off.")
    view.get_by_label("to dataset").fill("play-cases")
    view.get_by_role("button", name="Add as case").click()
    expect(view).to_contain_text("Added: case play-")
    notebook.run(2)
    shown = notebook.output(2)
    expect(shown).to_contain_text(re.compile(r"^play/triage@v2 .*3 done.* 1 play-[0-9a-f]{8}\nshorter", re.DOTALL))
    assert (lab.root / "prompts" / "play" / "triage" / "v2.yaml").exists()
    notebook.run(3)
    expect(notebook.page.locator(".wb-play")).to_have_count(0)
    expect(notebook.output(0).first).to_contain_text("The clamp fell off.")
    expect(notebook.output(0).get_by_role("table")).to_have_count(3)
    notebook.save()
    saved = json.loads(lab.read("play.ipynb"))
    assert "widget-view" not in json.dumps(saved["cells"])
    assert notebook.errors == []
