"""The run view's ES module in an empty page."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from esm import open_view
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page

HOSTILE = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script></table></textarea>\u202e'


def cell(count: str = "3 of 40", mean: str = "0.667", more: str = "", share: float = 0.075) -> dict[str, Any]:
    """One arm."""
    return {"share": share, "count": count, "mean": mean, "more": more, "failed": "failed" in more}


def state(**changed: Any) -> dict[str, Any]:
    """A run of two prompts on two models."""
    found = {
        "run": "triage-1", "state": "running", "done": 12, "total": 160,
        "counts": "12 of 160 trials, 1 failed, 0 from the cache", "money": "$0.10 spent of $2.00", "spent": 0.05,
        "pace": "16 of 16 calls under way · no status 429 · p50 latency 307 ms · about 77 s to go",
        "troubles": [],
        "verdict": "Leading pair: b against a: not sure yet.", "caption": "Simulated: declared.", "message": "",
        "metric": "exact", "prompts": ["p@v1", "p@v2"], "models": ["fast", "balanced"],
        "cells": [[cell(), cell("4 of 40", "", "1 failed")], [cell(), None]],
    }  # fmt: skip
    return found | changed


def test_the_grid_fills_up(page: Page) -> None:
    """Every arm is a cell of a real table under its prompt and model, and follows the state without being made anew."""
    view = open_view(page, "run_view", state())
    table = page.get_by_role("table", name="Trials done and mean exact so far")
    expect(table.get_by_role("columnheader")).to_have_text(["prompt", "fast", "balanced"])
    expect(table.get_by_role("rowheader")).to_have_text(["p@v1", "p@v2"])
    expect(table.get_by_role("cell")).to_have_text(["3 of 400.667", "4 of 401 failed", "3 of 400.667", "–"])
    page.evaluate("() => { document.querySelector('td').dataset.mine = '1'; }")
    view.state(state(cells=[[cell("40 of 40", "0.700"), cell()], [cell(), None]], done=120))
    expect(table.get_by_role("cell").first).to_have_text("40 of 400.700")
    assert page.locator("td[data-mine]").count() == 1


def test_stop_and_resume(page: Page) -> None:
    """Stop is there while the run goes on, Resume once it stopped, both by keyboard; each tells the kernel once, and
    the focus stays in the view, where a key held down starts nothing."""
    view = open_view(page, "run_view", state())
    page.keyboard.press("Tab")
    stop, resume = page.get_by_role("button", name="Stop"), page.get_by_role("button", name="Resume")
    expect(stop).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert view.told() == [{"type": "stop"}]
    view.answer()
    view.state(state(state="stopping"))
    expect(stop).to_be_disabled()
    expect(stop).to_be_focused()
    page.keyboard.down("Enter")
    view.state(state(state="stopped", message="12 of 160 trials are kept."))
    expect(page.get_by_text("12 of 160 trials are kept.")).to_be_visible()
    expect(resume).to_be_focused()
    page.keyboard.down("Enter")
    assert view.told() == [{"type": "stop"}]
    page.keyboard.up("Enter")
    page.keyboard.press("Enter")
    assert view.told() == [{"type": "stop"}, {"type": "resume"}]
    expect(stop).to_be_hidden()


def test_keys_are_not_the_notebooks(page: Page) -> None:
    """No key pressed in the view reaches the page, which would take d d for an order to delete the cell."""
    open_view(page, "run_view", state())
    page.evaluate("() => { window.heard = 0; document.addEventListener('keydown', () => { window.heard += 1; }); }")
    page.get_by_role("button", name="Stop").focus()
    for key in ("d", "d", "Enter"):
        page.keyboard.press(key)
    assert page.evaluate("() => window.heard") == 0
    expect(page.locator("[data-lm-suppress-shortcuts=true]")).to_have_count(1)


def test_why_trials_failed_is_said(page: Page) -> None:
    """The most frequent failure stands above the grid, and goes when it is mended."""
    view = open_view(page, "run_view", state(troubles=["Trials failed, most often with Unreachable: nobody answers"]))
    expect(page.get_by_text("most often with Unreachable: nobody answers")).to_be_visible()
    view.state(state(troubles=[]))
    expect(page.get_by_text("most often")).to_have_count(0)


def test_a_kernel_that_does_not_answer(page: Page) -> None:
    """A click that nobody answers becomes an alert, and a late answer takes it away."""
    page.clock.install()
    view = open_view(page, "run_view", state())
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("alert")).to_be_hidden()
    page.clock.run_for(6000)
    expect(page.get_by_role("alert")).to_contain_text("The kernel has not answered")
    view.answer()
    expect(page.get_by_role("alert")).to_be_hidden()
    view.alert("the disk is full")
    expect(page.get_by_role("alert")).to_have_text("the disk is full")


def test_hostile_text_stays_text(page: Page) -> None:
    """Names, messages and verdicts are text, whatever they hold."""
    hostile = state(run=HOSTILE, state=HOSTILE, counts=HOSTILE, money=HOSTILE, pace=HOSTILE, verdict=HOSTILE,
                    caption=HOSTILE, message=HOSTILE, troubles=[HOSTILE],
                    metric=HOSTILE, prompts=[HOSTILE] * 2, models=[HOSTILE] * 2,
                    cells=[[cell(HOSTILE, HOSTILE, HOSTILE)] * 2] * 2)  # fmt: skip
    view = open_view(page, "run_view", hostile)
    view.alert(HOSTILE)
    assert page.evaluate("() => window.pwned") is None
    assert page.locator("img, script, textarea").count() == 0
    expect(page.get_by_role("alert")).to_have_text(HOSTILE)


def test_drawn_twice_and_cleaned_up(page: Page) -> None:
    """The same model can be drawn twice, both follow it, and a clean-up leaves the other alone and no listener."""
    view = open_view(page, "run_view", state())
    view.draw_again()
    view.state(state(verdict="Leading pair: now."))
    expect(page.get_by_text("Leading pair: now.")).to_have_count(2)
    assert view.clean() > 0
    expect(page.locator(".wb-view")).to_have_count(1)
    assert page.evaluate("() => { window.wb.cleanToo(); return Object.values(window.wb.on).flat().length; }") == 0


def test_nothing_is_asked_of_a_network(page: Page) -> None:
    """The module imports nothing and fetches nothing."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    open_view(page, "run_view", state(), dark=True)
    assert [url for url in asked if not url.startswith("blob:")] == []
    assert json.dumps(state())
