"""Notebooks as they are written: the lines that the whole design was made for, and the chapters of the manual."""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import workbench as wb
from workbench.client import use

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
CHAPTERS = sorted((ROOT / "notebooks").glob("*.ipynb"))

LINES = """\
import workbench as wb
wb.offline()                                                   # or wb.live(budget_usd=5)
tickets = wb.load_dataset("tickets")
draft   = wb.load_prompt("ticket-triage@v3").edit("Answer with", "Think first, then answer with")
exp     = wb.Experiment("triage", prompts=["ticket-triage@production", "ticket-triage@v3", draft], dataset=tickets,
                        models="fast,balanced", scorers=wb.scorers.json_fields("category", "priority"))
exp.plan(sample=30)                                            # trials, dollars, the smallest difference it could see
report  = await exp.run(sample=30)                             # live view; dev cases
report.wrong("category", prompt=draft)                         # read what went wrong
report  = await exp.run(budget_usd=2)                          # the 30 are hits
wb.side_by_side(report, draft, "ticket-triage@v3")             # look at the flips
v4      = draft.save()                                         # prompts/ticket-triage/v4.yaml
verdict = await exp.confirm(v4, "ticket-triage@production", margin=0.01)   # unseen test cases
wb.review(verdict)
wb.promote(verdict)
"""
"""The notebook that we wanted to write, before there was anything to import."""


@pytest.fixture
def at_ease() -> Iterator[None]:
    """The session that a notebook's lines began is over when its test is."""
    yield
    use(None)


def cells(path: Path) -> list[dict[str, Any]]:
    """The code cells of a notebook file."""
    found = json.loads(path.read_text("utf-8"))["cells"]
    return [cell | {"source": "".join(cell["source"])} for cell in found if cell["cell_type"] == "code"]


def shown(cell: dict[str, Any]) -> str:
    """What a cell left behind, as text: tables, prints, tracebacks; no pictures."""
    texts = []
    for output in cell["outputs"]:
        kept = {kind: data for kind, data in output.get("data", {}).items() if not kind.startswith("image/")}
        texts.append(json.dumps(output | {"data": kept}, ensure_ascii=False))
    return "\n".join(texts)


@pytest.mark.usefixtures("at_ease")
def test_the_lines_we_wanted_to_write_run(home: Path) -> None:
    """From an empty workspace the lines run as they stand, and the last one moves production on the stand-in."""
    code = compile(LINES.replace("wb.offline()", "wb.offline(latency_s=0)"), "lines", "exec",
                   flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)  # fmt: skip
    names: dict[str, Any] = {}

    async def run() -> None:
        outcome = eval(code, names)
        if inspect.isawaitable(outcome):
            await outcome

    asyncio.run(run())
    verdict, saved = names["verdict"], names["v4"]
    assert verdict.kind == "confirmed" and verdict.outcome in ("better", "not_worse")
    assert names["report"].state == "finished" and names["report"].totals()["hits"] > 0
    assert (home / "prompts" / "ticket-triage" / f"{saved.version}.yaml").is_file()
    assert wb.production_prompt("ticket-triage").sha == names["draft"].sha == saved.sha
    history = wb.promotions("ticket-triage")
    assert not history.faults and [one.result for one in history] == ["done", "done"]


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_one_switch_turns_a_notebook_live(path: Path) -> None:
    """Every notebook begins with the same switch, off as it is committed, with a cap on what live may cost."""
    first = cells(path)[0]
    assert re.search(r"^import workbench as wb$", first["source"], re.MULTILINE)
    assert re.search(r"^LIVE = False  # True: real models answer and are paid for, \d dollars? at most$",
                     first["source"], re.MULTILINE)  # fmt: skip
    assert re.search(r"wb\.live\(budget_usd=\d\) if LIVE else wb\.offline\((latency_s=0)?\)$",
                     first["source"], re.MULTILINE)  # fmt: skip
    assert "nbval-ignore-output" in first["metadata"]["tags"]
    assert not any("wb.live(" in cell["source"] or "wb.offline(" in cell["source"] for cell in cells(path)[1:])


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_notebook_is_recorded_whole_and_small(path: Path) -> None:
    """Every cell was run in order without an error, and the file stays within 300 kB."""
    ran = cells(path)
    assert [cell["execution_count"] for cell in ran] == list(range(1, len(ran) + 1))
    assert not [output for cell in ran for output in cell["outputs"] if output["output_type"] == "error"]
    assert path.stat().st_size <= 300_000


AGEING = {
    "a date": r"\b20\d\d-\d\d-\d\d",
    "a time": r"\b\d\d:\d\d:\d\d\b",
    "a hash": r"\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{10,}\b",
    "a port": r"(127\.0\.0\.1|localhost):\d+",
    "a machine's path": r"(?<![\w.])/(home|root|tmp|work|Users|var)/",
    "an address in memory": r"\b0x[0-9a-f]{6,}\b",
}
"""What would differ on another day or machine."""


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_what_is_checked_does_not_age(path: Path) -> None:
    """Cells whose outputs are compared hold no dates, hashes, ports or paths, and there are some in every notebook."""
    checked = [cell for cell in cells(path) if "nbval-check-output" in cell["metadata"].get("tags", ())]
    assert len(checked) >= 3
    for cell in checked:
        said = shown(cell)
        found = {name: hit[0] for name, pattern in AGEING.items() if (hit := re.search(pattern, said))}
        assert not found, f"{found} in the output of: {cell['source']}"


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_outputs_name_no_machine(path: Path) -> None:
    """No output, checked or not, holds a folder of the machine that recorded it."""
    for cell in cells(path):
        hit = re.search(AGEING["a machine's path"], shown(cell))
        assert hit is None, f"{hit} in the output of: {cell['source']}"
