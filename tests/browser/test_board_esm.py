"""The board's module in an empty page, with the real Python side behind it; and itables' table, offline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from esm import HARNESS
from playwright.sync_api import expect
from wired import Wired, compare_parts

from workbench.widgets import frame_view
from workbench.widgets.board_view import BoardView

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

HOSTILE = "<script>window.bad = 1</script><img src=x onerror='window.bad = 1'></textarea>\u202egnp.exe "
COSTS = {"small": 0.0, "middle": 0.0001, "large": 0.01}


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Any:
    """How runs are made without a model."""
    return compare_parts(monkeypatch)


class Board(Wired):
    """A board view in a page."""

    name = "board_view"


def make(parts: Any, home: Path, models: tuple[str, ...] = ("small", "middle", "large"), right: int = 3) -> BoardView:
    """Two versions on some models; the later model is the better and dearer one."""
    arms = [parts.arm(version, model) for version in ("v1", "v2") for model in models]

    def answer(one: dict[str, Any], number: int, _: int) -> dict[str, Any]:
        level = right + arms.index(one)
        return {"score": number % 10 < level, "cost_usd": COSTS.get(one["model"], 0.001)}

    return BoardView(parts.write_run(home, 30, answer, arms=arms))


@pytest.fixture
def wired(page: Page, parts: Any, home: Path) -> Board:
    """Six arms; one model costs nothing."""
    return Board(page, make(parts, home))


def box(wired: Board, name: str) -> Any:
    """The check box of an arm's row."""
    return wired.page.get_by_role("checkbox", name=name)


def test_rows_and_points_are_chosen_together(wired: Board) -> None:
    """A box, a click on a row and a click on a point choose the arm in both places and in Python; Python's choice is
    drawn; the line for side_by_side stands there as soon as there are two."""
    page = wired.page
    expect(page.locator(".wb-hint")).to_contain_text("Choose two arms")
    box(wired, "p@v1 × small").check()
    assert wired.settle() == [{"type": "choose", "arm": wired.python._arms.names.index("p@v1 × small")}]
    chosen = page.get_by_role("option", selected=True)
    expect(chosen).to_have_count(1)
    expect(chosen).to_have_attribute("aria-label", wired.python._state()["chart"]["points"][0]["said"])
    page.get_by_role("option", name="p@v2 × large").locator(".wb-mark").click()
    wired.settle()
    expect(box(wired, "p@v2 × large")).to_be_checked()
    assert wired.python.selected == ["p@v1 × small", "p@v2 × large"]
    expect(page.locator(".wb-hint code")).to_have_text('wb.side_by_side(report, "p@v1 × small", "p@v2 × large")')
    page.get_by_role("cell", name="p@v1", exact=True).first.click()
    assert [one["type"] for one in wired.settle()] == ["choose"]
    wired.python.selected = ["p@v2 × middle"]
    wired.settle()
    expect(page.locator("tr.wb-on")).to_contain_text(["middle"])
    expect(page.locator("tr.wb-on")).to_have_count(1)
    expect(chosen).to_have_count(1)
    page.get_by_role("button", name="choose none").click()
    wired.settle()
    expect(chosen).to_have_count(0)
    expect(page.get_by_role("button", name="choose none")).to_be_disabled()


def test_keyboard_alone_suffices(wired: Board) -> None:
    """One tab stop leads into the chart, arrow keys walk by cost and by quality, Enter and Space choose and the focus
    stays; headings and boxes are reached by Tab; no key reaches the page around the view."""
    page = wired.page
    page.evaluate(
        "() => { window.escaped = []; document.addEventListener('keydown', (e) => window.escaped.push(e.key)); }"
    )
    options = page.get_by_role("option")
    expect(page.locator("[role=option][tabindex='0']")).to_have_count(1)
    options.first.focus()
    said = [point["said"] for point in wired.python._state()["chart"]["points"]]
    focused = lambda: page.evaluate("() => document.activeElement.getAttribute('aria-label')")  # noqa: E731
    for key, place in [
        ("ArrowRight", 1),
        ("ArrowRight", 2),
        ("ArrowLeft", 1),
        ("End", 5),
        ("ArrowRight", 5),
        ("Home", 0),
    ]:
        page.keyboard.press(key)
        assert focused() == said[place]
        expect(page.locator(".wb-about")).to_have_text(said[place])
    page.keyboard.press("ArrowUp")
    assert "p@v1 × middle" in focused()
    page.keyboard.press("Enter")
    wired.settle()
    page.keyboard.press("ArrowUp")
    page.keyboard.press(" ")
    wired.settle()
    assert wired.python.selected == ["p@v1 × middle", "p@v1 × large"] and "p@v1 × large" in focused()
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("() => document.activeElement.type") == "checkbox"
    page.keyboard.press(" ")
    (told,) = wired.settle()
    assert told["type"] == "choose" and page.evaluate("() => document.activeElement.type") == "checkbox"
    page.get_by_role("button", name="quality").focus()
    page.keyboard.press("Enter")
    wired.settle()
    assert wired.python.sort == "quality"
    assert page.evaluate("() => document.activeElement.dataset.name") == "quality"
    assert page.evaluate("() => window.escaped") == []


def test_headings_sort_and_say_so(wired: Board) -> None:
    """A heading sorts upwards, then downwards, then puts the best first again, and says so to screen readers."""
    page = wired.page
    heading = page.get_by_role("columnheader", name="$ / 1,000")
    first = page.locator("tbody tr").first
    ways = [("ascending", "small"), ("descending", "large"), ("none", "large")]
    for way, model in ways:
        heading.get_by_role("button").click()
        wired.settle()
        expect(heading).to_have_attribute("aria-sort", way)
        expect(first).to_contain_text(model)
    assert wired.python.sort == "" and page.locator(".wb-choice").first.inner_text().strip() == "1"


def test_tags_costs_and_the_front(wired: Board) -> None:
    """By tag lists tags; free arms stand apart on the log scale; the front is drawn; the numbers of a row under the
    pointer are said, and its point is the one that stands out."""
    page = wired.page
    expect(page.locator(".wb-chart")).to_contain_text("log scale, $0 apart")
    assert len(page.locator(".wb-front").get_attribute("points").split()) == 3
    page.get_by_label("by tag").check()
    wired.settle()
    expect(page.locator("tbody tr")).to_have_count(18)
    expect(page.locator("tbody")).to_contain_text("p@v1 [tag 2]")
    page.locator("tbody tr").nth(2).hover()
    near = page.locator("[role=option].wb-near")
    expect(near).to_have_count(1)
    expect(page.locator(".wb-about")).to_have_text(near.get_attribute("aria-label"))
    expect(page.locator("tr.wb-near")).to_have_count(3)


def test_a_row_chosen_in_the_chart_is_scrolled_to(page: Page, parts: Any, home: Path) -> None:
    """Where the table is longer than its box, the row of a point that is chosen comes into sight."""
    wired = Board(page, make(parts, home, tuple(f"m{n}" for n in range(12)), right=-9))
    row = page.locator("tbody tr").last
    seen = """(row) => {
      const box = row.closest(".wb-wide").getBoundingClientRect(), own = row.getBoundingClientRect();
      return own.top >= box.top && own.bottom <= box.bottom + 1;
    }"""
    assert not row.evaluate(seen)
    wired.python.selected = [list(wired.python.report.leaderboard())[-1]]
    wired.settle()
    assert row.evaluate(seen)


def test_hostile_names_stay_text(page: Page, parts: Any, home: Path) -> None:
    """Nothing of a name is an element of the page, wherever it is shown."""
    wired = Board(page, make(parts, home, (HOSTILE, "m")))
    for option in page.get_by_role("option").all():
        option.locator(".wb-mark").hover()
        option.locator(".wb-mark").click()
        wired.settle()
    expect(page.locator("tbody")).to_contain_text("<script>window.bad = 1</script>")
    expect(page.locator(".wb-hint code")).to_contain_text("<script>")
    assert page.evaluate("() => window.bad") is None
    assert page.locator(".wb-view script, .wb-view img").count() == 0


def test_drawn_twice_and_cleaned(wired: Board) -> None:
    """A second drawing of the model shows the same, each can be cleaned up, and then nothing listens."""
    wired.drawn.draw_again()
    views = wired.page.locator(".wb-board")
    expect(views).to_have_count(2)
    views.last.get_by_role("checkbox", name="p@v2 × middle").check()
    wired.settle()
    for view in (views.first, views.last):
        expect(view.locator("tr.wb-on")).to_have_count(1)
        expect(view.get_by_role("option", selected=True)).to_have_count(1)
    assert wired.drawn.clean() > 0
    expect(views).to_have_count(1)
    wired.page.evaluate("() => window.wb.cleanToo()")
    expect(views).to_have_count(0)
    assert wired.page.evaluate("() => Object.values(window.wb.on).flat().length") == 0


def test_an_empty_board_and_an_alert(page: Page, parts: Any, home: Path) -> None:
    """A run without rows is an empty table and chart; an error is an alert."""
    view = BoardView(parts.write_run(home, 3, lambda *_: None))
    wired = Board(page, view)
    expect(page.get_by_text("0 of 6 planned trials")).to_be_visible()
    expect(page.get_by_role("option")).to_have_count(0)
    wired.drawn.alert("UsageError: no")
    expect(page.get_by_role("alert")).to_have_text("UsageError: no")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_fits_and_can_be_told_without_colour(page: Page, parts: Any, home: Path, dark: bool) -> None:
    """At 1,280 pixels nothing is cut off; every point has a number and a shape, versions differ in shape."""
    Board(page, make(parts, home), dark=dark)
    assert page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
    assert page.locator(".wb-wide").evaluate("(node) => node.scrollWidth <= node.clientWidth")
    points = page.get_by_role("option")
    assert sorted(points.locator("text").all_text_contents()) == list("123456")
    shapes = {points.nth(place).locator("path").get_attribute("d") for place in range(6)}
    assert len(shapes) == 2


def test_a_frame_is_a_table_without_network_and_without_html(page: Page) -> None:
    """itables draws a frame offline, pages and searches it, and hostile cells and headings stay text."""
    pytest.importorskip("itables", reason="needs the extra tables")
    rows = 300
    frame = pd.DataFrame({"output": [HOSTILE] * rows, "n": range(rows), HOSTILE: [{"text": HOSTILE}] * rows})
    live = frame_view.live_table(frame)
    asked: list[str] = []

    def gate(route: Any) -> None:
        asked.append(route.request.url)
        route.abort()

    page.route("**/*", gate)
    page.set_content("<!doctype html><body></body>")
    traits = {name: getattr(live, name) for name in ("caption", "classes", "selected_rows", "_style", "_dt_args")}
    harness = HARNESS.replace('const traits = { state, alert: "" }', "const traits = state")
    page.evaluate(harness, [str(live._esm), str(live._css), traits])
    live.close()
    expect(page.get_by_role("row")).not_to_have_count(0)
    expect(page.locator("tbody tr").first).to_contain_text("<script>window.bad = 1</script>")
    expect(page.locator("thead").first).to_contain_text("<script>window.bad = 1</script>")
    page.get_by_role("searchbox").fill("299")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_role("searchbox").fill("")
    assert page.evaluate("() => window.bad") is None
    assert page.locator("table script, table img, table textarea").count() == 0
    assert [url for url in asked if not url.startswith(("data:", "blob:"))] == []
