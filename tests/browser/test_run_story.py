"""Stories of a run, told in a real JupyterLab with stand-in models."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import nbformat
from nbclient import NotebookClient
from playwright.sync_api import expect

if TYPE_CHECKING:
    import pytest
    from labserver import LabServer, NotebookPage
    from playwright.sync_api import Page

RUNNING_MS = 60_000
"""What a run may take on a busy machine."""

SETUP = """
import workbench as wb
wb.offline(latency_s={latency}, seed={seed})
exp = wb.Experiment("{name}", "ticket-triage@v2,v4", "tickets", "fast,balanced",
                    wb.scorers.json_fields("category", "priority"), providers="openai")
"""


def setup(name: str, latency: float = 0.0, seed: int = 0) -> str:
    """The first cell: an experiment of four arms. The workspace is shared: another `seed` finds no stored replies."""
    return SETUP.format(name=name, latency=latency, seed=seed)


def outputs(lab: LabServer, name: str) -> list[dict[str, Any]]:
    """All outputs in a saved notebook."""
    return [one for cell in json.loads(lab.read(name))["cells"] for one in cell.get("outputs", [])]


def test_plan_live_run_leaderboard(notebook: NotebookPage, lab: LabServer) -> None:
    """A plan says what it would cost, the run fills its grid while it goes and leaves a table, a board ranks."""
    cells = ["exp.plan(sample=40)", "report = await exp.run(sample=40, concurrency=8)", "report.leaderboard()"]
    lab.write("live.ipynb", [setup("live", 0.4, seed=1), *cells, "wb.show(report.run_id)"])
    notebook.open("live.ipynb")
    notebook.start("notebook:run-all-cells")
    view = notebook.output(2).locator(".wb-run")
    expect(view.get_by_role("button", name="Stop")).to_be_enabled(timeout=RUNNING_MS)
    expect(view.get_by_role("rowheader")).to_have_text(["ticket-triage@v2", "ticket-triage@v4"])
    expect(view.get_by_role("cell").first).to_contain_text(re.compile(r"[1-9]\d* of 40"), timeout=RUNNING_MS)
    expect(view).to_contain_text(re.compile(r"of 160 trials.*spent.*calls under way.*no status 429.*p50 latency"))
    expect(view).to_contain_text("Simulated")
    expect(notebook.output(4)).to_contain_text("160 of 160 trials", timeout=RUNNING_MS)
    expect(notebook.page.locator(".wb-view")).to_have_count(0)
    expect(notebook.output(1)).to_contain_text("160")
    expect(notebook.output(2).first).to_contain_text("finished: 160 of 160 trials, 0 failed, 0 from the cache")
    expect(notebook.output(2).first).to_contain_text(re.compile(r"Leading pair: .* against .*40 cases"))
    expect(notebook.output(3)).to_contain_text("95 % interval")
    assert notebook.errors == []


def test_interrupt_then_resume_without_paying_twice(notebook: NotebookPage, lab: LabServer) -> None:
    """The kernel's interrupt and Stop both keep what is done, the same line and Resume go on, nothing is paid twice."""
    counted = """
report = wb.load_report()
rows = [json.loads(line) for line in (report.folder / "rows.jsonl").open()]
money = report.totals()
# A reply that was stored while the interrupt came, and whose row was not, is a hit of the second start.
print(report.state, len(rows), len({(r["prompt_sha"], r["model"], r["case_id"]) for r in rows}), money["hits"] <= 16,
      money["spent_usd"] <= money["cost_usd"] + 1e-9)
"""
    lab.write(
        "again.ipynb", ["import json" + setup("again", 0.3, seed=2), "report = await exp.run(sample=60)", counted]
    )
    notebook.open("again.ipynb")
    notebook.run(0)
    notebook.start_cell(1)
    view = notebook.output(1).locator(".wb-run")
    some = re.compile(r"[1-9]\d* of 60")
    expect(view.get_by_role("cell").first).to_contain_text(some, timeout=RUNNING_MS)
    notebook.command("notebook:interrupt-kernel")
    expect(notebook.output(1).first).to_contain_text("interrupted: ", timeout=RUNNING_MS)
    expect(notebook.output(1).first).to_contain_text("the same line resumes it")
    expect(view).to_have_count(0)
    expect(notebook.output(1).last).to_contain_text("CancelledError")
    notebook.ready()
    notebook.start_cell(1)
    view.get_by_role("button", name="Stop").click(timeout=RUNNING_MS)
    expect(view).to_contain_text("the same line resumes it", timeout=RUNNING_MS)
    view.get_by_role("button", name="Resume").click()
    expect(notebook.output(1).first).to_contain_text("finished: 240 of 240 trials", timeout=RUNNING_MS)
    expect(view).to_have_count(0)
    notebook.run(2)
    expect(notebook.output(2)).to_have_text("finished 240 240 True True\n")
    assert notebook.errors == []


def cut_short_by_a_restart(notebook: NotebookPage, lab: LabServer) -> None:
    """While a run is watched, d d deletes nothing; restarted, saved and opened anew, its cell shows the table as it was
    kept, unfolded, and misses no widget."""
    lab.write("cut.ipynb", [setup("cut", 1.0, seed=5), "report = await exp.run(sample=60, concurrency=4)"])
    notebook.open("cut.ipynb")
    notebook.run(0)
    notebook.start_cell(1)
    view = notebook.output(1).locator(".wb-run")
    expect(view.get_by_role("cell").first).to_contain_text(re.compile(r"[1-9]\d* of 60"), timeout=RUNNING_MS)
    kept = notebook.output(1).locator(".wb-kept")
    expect(kept).to_be_hidden()
    view.get_by_role("button", name="Stop").focus()
    notebook.page.keyboard.press("d")
    notebook.page.keyboard.press("d")
    expect(view).to_be_visible()
    notebook.restart()
    expect(view).to_have_count(0)
    expect(kept.get_by_role("table")).to_be_visible()
    notebook.save()
    notebook.open("cut.ipynb")
    expect(notebook.output(1).locator(".wb-kept").get_by_role("table")).to_be_visible()
    expect(notebook.output(1).first).to_contain_text("of 240 trials")
    assert "Loading widget" not in notebook.page.content()


def test_reopened_after_a_restart_all_results_stand(notebook: NotebookPage, lab: LabServer) -> None:
    """Saved, the kernel restarted and the page opened anew, every result stands and no widget is missed, that of a run
    which the restart cut short included; a run of the earlier kernel shows from its rows."""
    lab.write("kept.ipynb", [setup("kept"), "report = await exp.run(sample=20)", "report", "wb.show(report.run_id)",
                             "import workbench\nworkbench.show()"])  # fmt: skip
    notebook.open("kept.ipynb")
    assert notebook.run_all()
    expect(notebook.page.locator(".wb-view")).to_have_count(0)
    notebook.save()
    assert not [one for one in outputs(lab, "kept.ipynb") if "widget" in json.dumps(one)]
    notebook.restart()
    notebook.open("kept.ipynb")
    for cell in (1, 2, 3, 4):
        expect(notebook.output(cell).first).to_contain_text("80 of 80 trials")
    assert "Loading widget" not in notebook.page.content()
    notebook.run(4)
    expect(notebook.output(4).first).to_contain_text("80 of 80 trials, finished")
    expect(notebook.output(4).get_by_role("table").first).to_contain_text("ticket-triage@v4")
    cut_short_by_a_restart(notebook, lab)
    assert notebook.errors == []


def test_untrusted_notebook_shows_complete_tables(
    notebook: NotebookPage, lab: LabServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run without a front end and opened by a colleague who runs nothing, the tables are complete and script-free."""
    cells = [setup("plain"), "report = await exp.run(sample=20)", "report", "wb.runs()",
             'report.compare("ticket-triage@v4", "ticket-triage@v2")']  # fmt: skip
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell.strip()) for cell in cells])
    monkeypatch.setenv("WORKBENCH_HOME", str(lab.root / "elsewhere"))
    NotebookClient(made, timeout=120, kernel_name="python3").execute()
    nbformat.write(made, lab.root / "plain.ipynb")
    assert not [one for one in outputs(lab, "plain.ipynb") if "widget" in json.dumps(one)]
    notebook.open("plain.ipynb")
    assert (
        notebook.page.evaluate("() => window.jupyterapp.shell.currentWidget.content.model.cells.get(1).trusted")
        is False
    )
    expect(notebook.output(1).get_by_role("cell")).to_have_count(2 * 3)
    expect(notebook.output(1).first).to_contain_text("finished: 80 of 80 trials")
    expect(notebook.output(1).first).to_contain_text("Leading pair: ")
    expect(notebook.output(2).get_by_role("table").first.get_by_role("row")).to_have_count(1 + 4)
    expect(notebook.output(3).get_by_role("row")).to_have_count(1 + 1)
    expect(notebook.output(4)).to_contain_text("20 cases")
    shown = notebook.page.locator(".jp-OutputArea-output")
    assert shown.locator("script, style, iframe, svg").count() == 0
    assert notebook.errors == []


HOSTILE = (
    '<script>window.pwned=1</script>', '<img src=x onerror="window.pwned=1">', "</textarea></table></div>after it",
    "\u202egnp.exe \u2066over", "$x$ \\(y\\) {{ticket}} [a](javascript:window.pwned=1)", "x" * 1_000_000,
)  # fmt: skip
"""What models say that no page may believe."""
HOSTILE_RUN = """
import json
import workbench as wb
cases = tuple(wb.Case(id=f"c{n}", inputs={"ticket": f"case number {n} of these"}, expected="fine") for n in range(6))
with open("hostile.jsonl", "w") as file:
    for n, said in enumerate(json.load(open("hostile.json"))):
        for model in ("m1", "m2"):
            line = {"model": model, "input": f"case number {n} of these", "output": said}
            print(json.dumps(line), file=file)
wb.offline(recordings="hostile.jsonl")
exp = wb.Experiment("hostile", "ticket-triage@v2", wb.Dataset("hostile", cases), "openai:m1,openai:m2", "exact")
"""


def test_hostile_output_stays_text_everywhere(notebook: NotebookPage, lab: LabServer, page: Page) -> None:
    """Scripts, handlers, closing tags, marks that turn text around and a line of a megabyte are text in every view, in
    the saved notebook and in the HTML report."""
    (lab.root / "hostile.json").write_text(json.dumps(HOSTILE))
    cells = ["report = await exp.run()", "report", "report.wrong(n=6)",
             'wb.side_by_side(report, "openai:m1", "openai:m2")', "print(report.html())"]  # fmt: skip
    lab.write("hostile.ipynb", [HOSTILE_RUN, *cells])
    notebook.open("hostile.ipynb")
    assert notebook.run_all()
    for cell in (2, 3):
        for said in HOSTILE[:3]:
            expect(notebook.output(cell).get_by_text(said).first).to_be_attached()
        assert notebook.output(cell).locator("textarea, a").count() == 0
    expect(notebook.output(4).locator(".wb-view")).to_contain_text("window.pwned")
    assert notebook.page.locator(".jp-OutputArea-output").locator("script, img").count() == 0
    assert notebook.page.evaluate("() => window.pwned") is None
    notebook.save()
    assert (lab.root / "hostile.ipynb").stat().st_size < 300_000
    page.goto((lab.root / notebook.output(5).inner_text().strip()).as_uri())
    for said in HOSTILE[:3]:
        expect(page.get_by_text(said).first).to_be_attached()
    assert page.locator("script, textarea, a").count() == 0
    assert page.evaluate("() => window.pwned") is None
    assert notebook.errors == []
