"""The review view's ES module in an empty page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from esm import open_view
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page

HOSTILE = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script></table></textarea>\u202e'


def state(**changed: Any) -> dict[str, Any]:
    """A review that may be promoted."""
    table = {"kind": "table", "title": "Policy", "open": True, "headings": ["", "asked for", "found"],
             "rows": [["✔", "at least 20 cases", "166"]], "note": "a note"}  # fmt: skip
    facts = {"kind": "table", "title": "Evidence", "open": False, "headings": [], "rows": [["run", "p-1"]], "note": ""}
    diff = {"kind": "diff", "title": "Change of the prompt, by words", "open": True,
            "lines": [[["=", "Sort "], ["-", "it."], ["+", "them."]], [["+", "Briefly."]]]}  # fmt: skip
    flips = {"kind": "flips", "title": "Flipped to worse: 1", "open": True, "note": "masked",
             "flips": [["t-1", "fast", "1 → 0", "the input", "the expected", "was", "is"]]}  # fmt: skip
    found = {
        "ref": "p@v2", "headline": "✔ p@v2 may become production: the policy is met",
        "moves": ["Production: v1, version 1 in Langfuse"], "warnings": ["SIMULATED"], "sentences": ["p@v2 is better."],
        "actions": [["approve", "Approve", ""], ["promote", "Promote", ""],
                    ["rollback", "Roll back", "not production"]], "asked": None,
        "by": "Ann", "hint": "Names are claims.", "busy": "", "said": [], "key": 0,
        "sections": [table, diff, flips, facts],
    }  # fmt: skip
    return found | changed


def asked(action: str = "promote") -> dict[str, str]:
    """The question before it is done."""
    return {"action": action, "question": "Move production of p from v1 to v2?"}


def test_all_of_it_is_there(page: Page) -> None:
    """Headline, tables, the change by words and the flipped cases are real elements that say what they hold."""
    open_view(page, "review_view", state())
    expect(page.get_by_text("✔ p@v2 may become production")).to_be_visible()
    expect(page.get_by_role("table", name="Policy").get_by_role("columnheader")).to_have_text(
        ["", "asked for", "found"]
    )
    expect(page.locator(".wb-box ins")).to_have_text(["them.", "Briefly."])
    expect(page.locator(".wb-box del")).to_have_text("it.")
    assert page.locator(".wb-box").inner_text() == "Sort it.them.\nBriefly."
    row = page.get_by_role("table", name="Flipped to worse: 1").get_by_role("row").nth(1)
    expect(row.get_by_role("cell")).to_have_text(["fast", "1 → 0", "the input", "the expected", "was", "is"])
    expect(page.get_by_role("table", name="Evidence")).to_be_hidden()


def test_what_is_refused_says_why(page: Page) -> None:
    """A button whose action is refused is disabled, and its reason stands there and describes it."""
    view = open_view(page, "review_view", state())
    back = page.get_by_role("button", name="Roll back")
    expect(back).to_be_disabled()
    expect(back).to_have_accessible_description("Roll back is not possible: not production")
    actions = [["approve", "Approve", ""], ["promote", "Promote", "1 approval: 0 of 1"], ["rollback", "Roll back", ""]]
    view.state(state(actions=actions))
    expect(back).to_be_enabled()
    expect(back).to_have_accessible_description("")
    expect(page.get_by_role("button", name="Promote")).to_be_disabled()
    expect(page.get_by_text("Promote is not possible: 1 approval: 0 of 1")).to_be_visible()
    actions = [["promote", "Promote", "1 approval: 0 of 1\nat least 20 cases: 5"]]
    view.state(state(actions=actions, sentences=["a", "b"]))
    expect(page.locator(".wb-reasons ul > li")).to_have_text(["1 approval: 0 of 1", "at least 20 cases: 5"])
    expect(page.locator(".wb-intro").nth(1).locator("p")).to_have_text(["a", "b"])


def test_asked_and_confirmed_by_keyboard(page: Page) -> None:
    """By keyboard alone: ask, read the question, which has the focus so that a held key presses no button, confirm;
    every click tells the kernel once."""
    view = open_view(page, "review_view", state())
    page.get_by_role("button", name="Promote").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert view.told() == [{"type": "ask", "action": "promote", "by": "Ann"}]
    view.answer()
    view.state(state(busy="Checking …"))
    expect(page.get_by_role("status")).to_have_text("Checking …")
    view.state(state(asked=asked()))
    expect(page.get_by_role("alertdialog")).to_be_focused()
    expect(page.get_by_role("button", name="Approve")).to_be_disabled()
    page.keyboard.press("Enter")
    assert len(view.told()) == 1
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Yes, promote")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert view.told()[1:] == [{"type": "confirm", "action": "promote"}]
    view.state(state(busy="Promoting …"))
    expect(page.get_by_role("alertdialog")).to_be_hidden()
    view.state(state(said=["promote p to v2: done"]))
    expect(page.get_by_role("status")).to_have_text("promote p to v2: done")
    expect(page.get_by_role("button", name="Promote")).to_be_focused()


def test_cancel(page: Page) -> None:
    """Cancel and Escape take the question away; the focus goes back to the button that asked."""
    view = open_view(page, "review_view", state())
    page.get_by_role("button", name="Promote").click()
    view.state(state(asked=asked()))
    page.keyboard.press("Escape")
    assert view.told()[-1] == {"type": "cancel"}
    view.state(state())
    expect(page.get_by_role("button", name="Promote")).to_be_focused()
    view.state(state(asked=asked()))
    page.get_by_role("button", name="Cancel").click()
    assert view.told()[-1] == {"type": "cancel"}


def test_the_name_is_typed_here(page: Page) -> None:
    """The name begins as the kernel's, and what was typed outlives every drawing and goes with the question."""
    view = open_view(page, "review_view", state())
    name = page.get_by_label("Approve as")
    expect(name).to_have_value("Ann")
    expect(name).to_have_accessible_description("Names are claims.")
    name.fill("Bob")
    view.state(state(said=["something else"]))
    expect(name).to_have_value("Bob")
    page.get_by_role("button", name="Approve").click()
    assert view.told() == [{"type": "ask", "action": "approve", "by": "Bob"}]


def test_a_refusal_gives_the_buttons_back(page: Page) -> None:
    """After a click that ended in an alert, all can be clicked again; a kernel that is gone is told too."""
    page.clock.install()
    view = open_view(page, "review_view", state())
    page.get_by_role("button", name="Promote").click()
    expect(page.get_by_role("button", name="Refresh")).to_be_disabled()
    page.clock.run_for(6000)
    expect(page.get_by_role("alert")).to_contain_text("The kernel has not answered")
    view.answer()
    view.alert("production has moved")
    expect(page.get_by_role("alert")).to_have_text("production has moved")
    expect(page.get_by_role("button", name="Refresh")).to_be_enabled()


def test_sections_stay_as_they_were_opened(page: Page) -> None:
    """A section that was closed stays closed, also when the review changes; nothing is drawn anew before."""
    view = open_view(page, "review_view", state())
    page.locator("summary", has_text="Policy").click()
    page.evaluate("() => { document.querySelector('details').dataset.mine = '1'; }")
    view.state(state(said=["x"]))
    assert page.locator("details[data-mine]").count() == 1
    view.state(state(key=1))
    assert page.locator("details[data-mine]").count() == 0
    expect(page.get_by_role("table", name="Policy")).to_be_hidden()
    expect(page.get_by_role("table", name="Flipped to worse: 1")).to_be_visible()


def test_hostile_text_stays_text(page: Page) -> None:
    """Whatever comes from prompts, models and people is text."""

    def hostile(value: Any) -> Any:
        if isinstance(value, list):
            return [hostile(one) for one in value]
        if isinstance(value, dict):
            return {k: v if k in ("kind", "open", "action") else hostile(v) for k, v in value.items()}
        return HOSTILE if isinstance(value, str) else value

    bad = hostile(state(asked=asked(), said=["x"]))
    bad["actions"] = [["approve", HOSTILE, HOSTILE], ["promote", HOSTILE, ""], ["rollback", HOSTILE, HOSTILE]]
    view = open_view(page, "review_view", bad)
    view.alert(HOSTILE)
    assert page.evaluate("() => window.pwned") is None
    assert page.locator("img, script, textarea").count() == 0
    expect(page.get_by_role("alert")).to_have_text(HOSTILE)


def test_drawn_twice_and_cleaned_up(page: Page) -> None:
    """The same model can be drawn twice, both follow it, and a clean-up leaves the other alone and no listener."""
    view = open_view(page, "review_view", state())
    view.draw_again()
    view.state(state(headline="✔ p@v2 is production"))
    expect(page.get_by_text("✔ p@v2 is production")).to_have_count(2)
    assert page.evaluate("() => new Set([...document.querySelectorAll('[id]')].map((n) => n.id)).size === "
                         "document.querySelectorAll('[id]').length")  # fmt: skip
    assert view.clean() > 0
    expect(page.locator(".wb-view")).to_have_count(1)
    assert page.evaluate("() => { window.wb.cleanToo(); return Object.values(window.wb.on).flat().length; }") == 0


def test_nothing_is_asked_of_a_network_and_all_fits(page: Page) -> None:
    """The module fetches nothing, and long texts make neither theme's page wider than the screen."""
    asked_for: list[str] = []
    page.on("request", lambda request: asked_for.append(request.url))
    flips = {"kind": "flips", "title": "Flipped", "open": True, "note": "",
             "flips": [["t-1", "a-model", "1 → 0", *["x" * 3000] * 4]]}  # fmt: skip
    open_view(page, "review_view", state(sections=[flips], headline="y" * 500), dark=True)
    assert page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
    assert [url for url in asked_for if not url.startswith("blob:")] == []
