"""What all views share: updates held back, errors in the view, the rules for their modules, clean notebooks."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from workbench.widgets import base
from workbench.widgets.coalesced import Coalesced

ROOT = Path(__file__).parents[2]
MODULES = sorted(base.FOLDER.glob("*.js"))
STATIC = base.Static("<p>all of it</p>", "all of it")


def test_updates_wait_for_their_time() -> None:
    """However often something changes, it is drawn once until its time is there, and what changed last is drawn."""
    drawn: list[int] = []

    async def changes() -> None:
        now = [0]
        view = Coalesced(lambda: drawn.append(now[0]), per_second=100)
        for turn in range(1000):
            now[0] = turn
            view.soon()
        assert drawn == []
        while not drawn:
            await asyncio.sleep(0)
        view.soon()
        view.cancel()

    asyncio.run(changes())
    assert drawn == [999]


def test_errors_in_callbacks_are_shown_in_the_view() -> None:
    """A callback that fails, plain or async, leaves its error as the view's alert and raises nothing."""

    def broken() -> None:
        raise ValueError("three")

    async def broken_later() -> None:
        raise OSError("the disk is full")

    async def clicks() -> list[str]:
        shown = base.Shown("run_view", lambda: STATIC)
        shown.guarded(broken)
        first = shown.alert
        shown.guarded(broken_later)
        while shown.alert == first:
            await asyncio.sleep(0)
        return [first, shown.alert]

    assert asyncio.run(clicks()) == ["ValueError: three", "OSError: the disk is full"]


def test_outside_a_notebook_a_view_is_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a notebook showing prints the text, and the live half does nothing."""
    shown = base.Shown("run_view", lambda: STATIC)
    shown.state = {"n": 1}
    shown.show()
    shown.send({"type": "more"})
    shown.refresh()
    shown.end()
    shown.end()
    assert (capsys.readouterr().out, shown.is_live, base.has_front_end()) == ("all of it\n", False, False)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_modules_are_small_and_set_text_as_text(path: Path) -> None:
    """Each ES module has 300 lines at most, sets no HTML, imports nothing and names no address."""
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= 300
    forbidden = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "import ", "://", "fetch(")
    assert [one for one in forbidden if one in text] == []


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.name)
def test_committed_notebooks_hold_no_widgets(path: Path) -> None:
    """A committed notebook has neither widget outputs nor widget state: both are dead without their kernel."""
    notebook = json.loads(path.read_text("utf-8"))
    assert "widgets" not in notebook["metadata"]
    outputs = [one for cell in notebook["cells"] for one in cell.get("outputs", [])]
    assert [one for one in outputs if "application/vnd.jupyter.widget-view+json" in one.get("data", {})] == []
