"""The compare view's module in an empty page, with the real Python side behind it and no Jupyter between them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect
from wired import Wired, compare_parts

import workbench as wb
from workbench.errors import LabelError
from workbench.labels import load_labels

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page


HOSTILE = "<script>window.bad = 1</script><img src=x onerror='window.bad = 1'></textarea>\u202egnp.exe "


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Any:
    """How runs are made without a model."""
    return compare_parts(monkeypatch)


class Compare(Wired):
    """A compare view in a page."""

    name = "compare_view"

    def press(self, *keys: str) -> None:
        """Type keys into the view, each one settled."""
        self.page.locator(".wb-view").focus()
        for key in keys:
            self.page.keyboard.press(key)
            self.settle()

    def click(self, name: str) -> None:
        """Click a button."""
        self.page.get_by_role("button", name=name).click()
        self.settle()


@pytest.fixture
def wired(page: Page, parts: Any, home: Path) -> Compare:
    """Thirty cases of two versions."""
    return Compare(page, wb.side_by_side(parts.write_run(home, 30, parts.flips), parts.A, parts.B))


def letter(wired: Compare, version: str) -> str:
    """Under which letter a version is shown: its output says so."""
    wired.press("d")
    return "A" if f"from {version}" in wired.page.get_by_label("answer A").inner_text() else "B"


def test_filters_and_counts(wired: Compare) -> None:
    """The verdict stands on top; a click on a kind lists its cases, a text and a tag narrow them, Python has them."""
    page = wired.page
    expect(page.locator(".wb-verdict")).to_contain_text("27 cases, 6 better, 3 worse")
    wired.click("to worse 3")
    expect(page.get_by_role("button", name="to worse 3")).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".wb-case")).to_have_text(["c-0002", "c-0012", "c-0022"])
    page.get_by_label("text").fill("number 12")
    page.get_by_label("text").press("Enter")
    wired.settle()
    expect(page.locator(".wb-case")).to_have_text(["c-0012"])
    assert wired.python.filter == "worse text:number 12"
    page.get_by_label("text").fill("")
    page.get_by_label("text").press("Enter")
    wired.settle()
    page.get_by_label("tag").select_option("tag 1")
    wired.settle()
    expect(page.locator(".wb-case")).to_have_text(["c-0022"])
    expect(page.locator("code")).to_have_text(wired.python.code())
    assert wired.python.selected == "c-0022"


def test_keyboard_alone_suffices(wired: Compare) -> None:
    """j and k walk, f goes to the next filter, d and digits steer the diff, Shift and a letter vote; typing stays
    typing, and no key reaches the page around the view."""
    page = wired.page
    page.evaluate(
        "() => { window.escaped = []; document.addEventListener('keydown', (e) => window.escaped.push(e.key)); }"
    )
    wired.press("j", "j", "k")
    assert wired.python.selected == wired.python._state()["list"]["rows"][1][0]
    expect(page.locator("[aria-current=true]")).to_have_text(wired.python.selected)
    wired.press("f")
    assert wired.python.filter == "better"
    expect(page.locator("ins").first).to_be_visible()
    wired.press("d")
    expect(page.locator("ins, del")).to_have_count(0)
    wired.press("1")
    expect(page.get_by_label("answer B").locator("ins").first).to_be_visible()
    expect(page.get_by_label("answer A").locator("ins")).to_have_count(0)
    wired.press("n")
    page.keyboard.type("jkd1 because")
    page.keyboard.press("Escape")
    assert wired.settle() == []
    wired.press("Shift+B")
    (vote,) = wired.python.votes
    assert vote.note == "jkd1 because" and vote.winner == vote.arms[1]
    assert page.evaluate("() => document.activeElement.classList.contains('wb-view')")
    assert page.evaluate("() => window.escaped") == []


def test_votes_are_blind_until_given(page: Page, parts: Any, home: Path) -> None:
    """Names, scores and reasons are not in the page before the vote, all of them after it, and the vote is a label."""
    wired = Compare(page, wb.side_by_side(parts.write_run(home, 30, parts.flips), parts.A, parts.B, queue=4))
    answers = page.locator(".wb-answers")
    for telling in ("p@v", "because of", "latency", "right"):
        expect(answers).not_to_contain_text(telling)
    assert "p@v2" not in page.locator(".wb-two").evaluate("(node) => node.outerHTML")
    expect(page.locator(".wb-said")).to_contain_text("kept as a label")
    better = letter(wired, "v2")
    wired.click(f"{better} better")
    expect(answers).to_contain_text("because of p@v2 × m")
    expect(page.get_by_role("heading", name=f"{better}: p@v2")).to_be_visible()
    expect(page.get_by_role("button", name=f"{better} better")).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".wb-said")).to_contain_text("Kept as a label for judge_pair; 3 of 4 left")
    assert len(load_labels("made").queue("judge_pair", pairs=True)) == 1
    wired.press("j")
    wired.click("show names")
    wired.click("tie")
    expect(page.locator(".wb-said")).to_contain_text("Kept as a note")
    assert len(load_labels("made").queue("judge_pair", pairs=True)) == 1
    expect(page.get_by_role("button", name="show names")).to_be_hidden()


def test_hostile_texts_stay_text(page: Page, parts: Any, home: Path) -> None:
    """Markup in answers, inputs, tags, reasons and errors is shown as it was written, runs nothing, and a line of a
    megabyte is cut with a button for the rest."""

    def answer(one: dict[str, Any], number: int, _: int) -> dict[str, Any]:
        if number == 1:
            return {"output": None, "error": HOSTILE, "error_type": HOSTILE}
        long = "w" * 1_000_000 if one["version"] == "v1" else ""
        return {"output": HOSTILE + long, "score": one["version"] == "v2", "reasons": {"exact": HOSTILE}}

    report = parts.write_run(home, 2, answer, inputs=lambda _: {"text": HOSTILE})
    wired = Compare(page, wb.side_by_side(report, parts.A, parts.B, blind=False, sort="order"))
    view = page.locator(".wb-view")
    expect(page.get_by_label("answer A")).to_contain_text("<script>window.bad = 1</script><img src=x")
    assert len(page.get_by_label("answer B").inner_text()) < 6_000
    wired.click("show 200,000 more of")
    assert 200_000 < len(page.get_by_label("answer B").inner_text()) < 210_000
    wired.press("j")
    expect(page.get_by_label("answer A")).to_contain_text("⚠ this trial failed: <script>")
    assert view.locator("script, img, textarea").count() == 0
    assert page.evaluate("() => window.bad") is None
    assert wired.drawn.page.locator(".wb-box").first.evaluate("(box) => getComputedStyle(box).unicodeBidi") == "isolate"


def test_drawn_twice_and_cleaned_up(wired: Compare) -> None:
    """The same model in two cells shows the same; the clean-up of one leaves no listener of it and the other alone."""
    page = wired.page
    before = page.evaluate("() => Object.values(window.wb.on).reduce((n, l) => n + l.length, 0)")
    wired.drawn.draw_again()
    views = page.locator(".wb-view")
    expect(views).to_have_count(2)
    views.nth(1).focus()
    page.keyboard.press("j")
    wired.settle()
    expect(page.locator("[aria-current=true]")).to_have_text([wired.python.selected] * 2)
    assert views.nth(0).inner_text() == views.nth(1).inner_text()
    assert wired.drawn.clean() == before
    expect(views).to_have_count(1)
    page.keyboard.press("j")
    wired.settle()
    expect(page.locator("[aria-current=true]")).to_have_text(wired.python.selected)


def test_only_a_page_of_a_large_run_is_drawn(page: Page, parts: Any, home: Path) -> None:
    """Of 10,000 cases 200 are in the page; the last of them leads on to the next ones, and buttons turn pages."""
    wired = Compare(page, wb.side_by_side(parts.write_run(home, 10_000, parts.flips), parts.A, parts.B, sort="order"))
    expect(page.locator(".wb-case")).to_have_count(200)
    expect(page.locator(".wb-list").get_by_role("status")).to_have_text("case 1 of 10,000, 1 to 200 listed")
    wired.python.selected = "c-0199"
    wired.press("j")
    expect(page.locator("[aria-current=true]")).to_have_text("c-0200")
    expect(page.locator(".wb-list").get_by_role("status")).to_have_text("case 201 of 10,000, 201 to 400 listed")
    wired.click("earlier")
    expect(page.locator(".wb-case").first).to_have_text("c-0000")
    assert wired.python.selected == "c-0200"
    assert len(json.dumps(wired.python._state())) < 30_000


def test_an_error_is_a_sentence_in_the_view(wired: Compare) -> None:
    """What goes wrong on the Python side is an alert in the view, and the view goes on."""
    wired.drawn.alert("rows.jsonl was moved or changed since this view was opened: put it back")
    expect(wired.page.get_by_role("alert")).to_contain_text("put it back")
    wired.press("j")
    expect(wired.page.locator("[aria-current=true]")).to_have_text(wired.python.selected)


def test_a_vote_before_the_next_case_is_drawn_is_refused(wired: Compare) -> None:
    """Keys pressed faster than the view is drawn: the vote carries what was on screen, and is not kept for the next."""
    page = wired.page
    page.locator(".wb-view").focus()
    page.keyboard.press("j")
    page.keyboard.press("Shift+A")
    with pytest.raises(LabelError, match=r"given on c-0000, .* moved on to c-0001"):
        wired.settle()
    assert wired.python.votes == []
    wired.drawn.state(wired.python._state())
    wired.press("Shift+A")
    assert [vote.case_id for vote in wired.python.votes] == ["c-0001"]


def test_a_note_is_kept_by_enter_and_a_draft_stays_with_its_case(wired: Compare) -> None:
    """Enter keeps a typed note; one that was not kept is there again when its case is, and on no other case."""
    page, note = wired.page, wired.page.get_by_label("note", exact=True)
    note.fill("too short")
    note.press("Enter")
    wired.settle()
    assert [(vote.case_id, vote.winner, vote.note) for vote in wired.python.votes] == [("c-0000", None, "too short")]
    expect(page.locator(".wb-said")).to_contain_text("The note is kept")
    expect(note).to_be_focused()
    note.fill("too short, and rude")
    note.press("Escape")
    wired.press("j")
    expect(note).to_have_value("")
    wired.press("k")
    expect(note).to_have_value("too short, and rude")
    wired.click("tie")
    assert wired.python.votes[0].note == "too short, and rude"
    wired.python.vote("tie", "said in Python")
    wired.settle()
    expect(note).to_have_value("said in Python")


def test_the_focus_stays_where_it_was(wired: Compare) -> None:
    """By keyboard alone: a button that was drawn again keeps the focus, so does a text; of one that is gone the view
    has it, and the keys go on."""
    page = wired.page
    compare = page.get_by_label("answer A").get_by_role("button")
    compare.focus()
    page.keyboard.press("Enter")
    wired.settle()
    expect(compare).to_have_text("the others are compared with this")
    expect(compare).to_be_focused()
    page.get_by_label("answer B").locator(".wb-box").focus()
    page.keyboard.press("j")
    wired.settle()
    expect(page.get_by_label("answer B").locator(".wb-box")).to_be_focused()
    page.get_by_role("button", name="show names").focus()
    page.keyboard.press("Enter")
    wired.settle()
    expect(page.locator(".wb-view")).to_be_focused()
    page.keyboard.press("k")
    wired.settle()
    assert wired.python.selected == "c-0000"


def test_flips_that_wait_for_a_label_are_only_counted(page: Page, parts: Any, home: Path) -> None:
    """In a label queue the list of what got better is empty until there are labels, and says how many wait."""
    Compare(page, wb.side_by_side(parts.write_run(home, 30, parts.flips), parts.A, parts.B, queue=30, filter="better"))
    expect(page.get_by_role("button", name="to better 6")).to_be_visible()
    expect(page.locator(".wb-case")).to_have_count(0)
    expect(page.locator(".wb-list").get_by_role("status")).to_have_text("no case; 6 more wait for their blind label")


def test_what_is_not_there_is_said(page: Page, parts: Any, home: Path) -> None:
    """A failed trial has its error and no empty box; an empty answer is called one."""

    def answer(one: dict[str, Any], number: int, _: int) -> dict[str, Any]:
        if number == 0:
            return {"output": None, "error": "nobody listens", "error_type": "ConnectionRefused"}
        return {"output": "", "score": False}

    wired = Compare(page, wb.side_by_side(parts.write_run(home, 2, answer), parts.A, parts.B, sort="order"))
    first = page.get_by_label("answer A")
    expect(first).to_contain_text("⚠ this trial failed: ConnectionRefused: nobody listens")
    expect(first.locator(".wb-box")).to_have_count(0)
    wired.press("j")
    expect(first).to_contain_text("(empty answer)")
    expect(first.locator(".wb-box")).to_have_count(0)


@pytest.mark.parametrize(("width", "columns"), [(1280, 4), (1100, 2), (620, 2), (480, 1)])
def test_answers_are_wide_enough_to_be_read(page: Page, parts: Any, home: Path, width: int, columns: int) -> None:
    """Four answers stand in one row, in two or below each other, each 200 pixels wide or more; a reason has a line of
    its own; in a narrow view the list stands above the case, and nothing runs out of the frame."""
    arms = [parts.arm(version) for version in ("v2", "v1", "v3", "v4")]
    report = parts.write_run(home, 30, parts.flips, arms=arms)
    page.set_viewport_size({"width": width, "height": 900})
    Compare(page, wb.side_by_side(report, parts.A, parts.B, "p@v3", "p@v4", blind=False))
    expect(page.locator(".wb-answer")).to_have_count(4)
    boxes = page.locator(".wb-answer").evaluate_all("(all) => all.map((one) => one.getBoundingClientRect().toJSON())")
    assert len({box["left"] for box in boxes}) == columns and min(box["width"] for box in boxes) >= 200
    reason = page.locator(".wb-scores td[colspan]").first.bounding_box()
    assert reason and reason["width"] > 190 and reason["height"] < 30
    below = "([a, b]) => document.querySelector(b).getBoundingClientRect().top > " \
        "document.querySelector(a).getBoundingClientRect().bottom - 1"  # fmt: skip
    assert page.evaluate(below, [".wb-list", ".wb-of"]) == (width < 800)
    outside = "() => { const right = (one) => one.getBoundingClientRect().right; " \
        "return [...document.querySelectorAll('.wb-view *')].filter((one) => one.offsetParent && " \
        "right(one) > right(document.querySelector('.wb-view'))).length; }"  # fmt: skip
    assert page.evaluate(outside) == 0
    assert page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_everything_has_a_name_and_fits(page: Page, parts: Any, home: Path, dark: bool) -> None:
    """Four arms fit into 1,280 pixels; every control has a name; one case alone is in the tab order of the list."""
    arms = [parts.arm(version) for version in ("v2", "v1", "v3", "v4")]
    report = parts.write_run(home, 30, parts.flips, arms=arms)
    Compare(page, wb.side_by_side(report, parts.A, parts.B, "p@v3", "p@v4", blind=False), dark=dark)
    expect(page.locator(".wb-answer")).to_have_count(4)
    assert page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
    nameless = "() => [...document.querySelectorAll('button, input, select')].filter((n) => n.offsetParent && " \
        "!n.textContent.trim() && !n.labels?.length).length"  # fmt: skip
    assert page.evaluate(nameless) == 0
    assert page.locator(".wb-case[tabindex='0']").count() == 1
