"""The playground's ES module in an empty page, the last test with the real Python side behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from esm import open_view
from playwright.sync_api import expect

import workbench as wb
from workbench.widgets.playground_wire import hear, state_of

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

    from workbench.sim import StandIn

HOSTILE = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script></textarea>\u202e$x$'
TOLD_MS = 3000


def answer(**changed: Any) -> dict[str, Any]:
    """One answer's column."""
    usual = {"name": "fast", "live": False, "text": "billing", "left": 0, "said": "done", "state": "done", "facts": []}
    return usual | changed


def state(**changed: Any) -> dict[str, Any]:
    """A chat prompt of two messages, two variables, two models."""
    found = {
        "title": "triage@v3", "fault": "", "revision": 1,
        "turns": [["system", "Sort."], ["user", "{{ticket}} {{tone}}"]],
        "values": [["ticket", "My card was charged twice."], ["tone", "dry"]], "expected": '{"a": 1}',
        "expected_fault": "",
        "datasets": ["policy-qa", "tickets"], "dataset": "tickets", "case": "t-1", "ids": ["t-1", "t-2"],
        "where": "1 of 264 dev cases", "running": False, "run": 0, "repeat": 0,
        "answers": [answer(), answer(name="best")],
        "money": "$0 spent here", "about": "", "hint": "", "caption": "Simulated.", "said": "",
        "code": "wb.playground()",
    }  # fmt: skip
    return found | changed


def live(run: int = 1) -> dict[str, Any]:
    """The same while both models answer."""
    waiting = {"live": True, "text": "", "said": "waiting", "state": "waiting"}
    return state(running=True, run=run, answers=[answer(**waiting), answer(name="best", **waiting)])


def deltas(number: int, *pieces: list[Any], run: int = 1, kind: str = "deltas") -> dict[str, Any]:
    """A message with pieces: [answer, begins anew, text, characters so far]."""
    return {"type": kind, "run": run, "number": number, "pieces": list(pieces)}


def box(page: Page, name: str) -> Any:
    """Where a model's answer stands."""
    return page.get_by_role("region", name=f"answer of {name}", exact=True).locator(".wb-box")


def test_an_editor_per_message_and_a_field_per_variable(page: Page) -> None:
    """Every message, variable and control has a labelled field with its text; a new variable gets a field, the others
    keep what they hold."""
    view = open_view(page, "playground", state())
    expect(page.get_by_role("textbox", name="1. system")).to_have_value("Sort.")
    expect(page.get_by_role("textbox", name="2. user")).to_have_value("{{ticket}} {{tone}}")
    expect(page.get_by_role("textbox", name="ticket", exact=True)).to_have_value("My card was charged twice.")
    expect(page.get_by_role("textbox", name="expected: text or JSON")).to_have_value('{"a": 1}')
    expect(page.get_by_label("fill from")).to_have_value("tickets")
    page.get_by_role("textbox", name="tone").fill("angry")
    view.state(state(values=[["ticket", "My card was charged twice."], ["tone", "dry"], ["new", ""]]))
    expect(page.get_by_role("textbox", name="new")).to_have_value("")
    nameless = "() => [...document.querySelectorAll('button, input, select, textarea')].filter((n) => " \
        "!n.textContent.trim() && !n.labels?.length && !n.ariaLabel).length"  # fmt: skip
    assert page.evaluate(nameless) == 0
    view.state(state(revision=2, datasets=["", "tickets"], dataset="", case="", ids=[], where=""))
    expect(page.get_by_label("fill from")).to_have_value("")
    expect(page.get_by_role("button", name="next case")).to_be_hidden()


def test_what_was_typed_travels_once(page: Page) -> None:
    """Typing is told when it pauses, only what was touched; a command brings along what was not told yet."""
    page.clock.install()
    view = open_view(page, "playground", state())
    page.get_by_role("textbox", name="1. system").fill("Sort well.")
    assert view.told() == []
    page.clock.run_for(500)
    assert view.told() == [{"type": "edit", "edits": {"turns": {"0": "Sort well."}}}]
    page.get_by_role("textbox", name="tone").fill("angry")
    page.get_by_role("textbox", name="expected: text or JSON").fill("x")
    page.get_by_label("draw").fill("2")
    page.get_by_role("button", name="Run").click()
    edits = {"values": {"tone": "angry"}, "expected": "x", "repeat": 2}
    assert view.told()[1:] == [{"type": "run", "edits": edits}]
    page.clock.run_for(1000)
    assert len(view.told()) == 2


def test_typing_is_not_overwritten(page: Page) -> None:
    """A state that answers an older edit leaves the field alone that is typed in; filled from the kernel, all fields
    follow and what was typed is forgotten."""
    page.clock.install()
    view = open_view(page, "playground", state())
    editor = page.get_by_role("textbox", name="1. system")
    editor.fill("Sort well, please.")
    view.state(state(turns=[["system", "Sort well"], ["user", "{{ticket}} {{tone}}"]], fault="unclosed"))
    expect(editor).to_have_value("Sort well, please.")
    expect(page.get_by_text("⚠ unclosed")).to_be_visible()
    view.state(state(revision=2, turns=[["system", "Other."], ["user", "{{ticket}} {{tone}}"]]))
    expect(editor).to_have_value("Other.")
    page.clock.run_for(1000)
    assert view.told() == []


def test_keys_run_and_stop(page: Page) -> None:
    """Ctrl+Enter runs from any field, Escape stops; while answers are under way Run does nothing, and neither does Stop
    when none are; no key reaches the page around the view."""
    view = open_view(page, "playground", state())
    page.evaluate("() => { window.leaked = 0; document.addEventListener('keydown', () => window.leaked++); }")
    page.get_by_role("textbox", name="1. system").focus()
    page.keyboard.press("Escape")
    page.keyboard.press("Control+Enter")
    assert [one["type"] for one in view.told()] == ["run"]
    view.state(live())
    page.keyboard.press("Control+Enter")
    page.get_by_role("button", name="Run").click(force=True)
    page.keyboard.press("Escape")
    assert [one["type"] for one in view.told()] == ["run", "stop"]
    assert page.evaluate("() => window.leaked") == 0
    expect(page.get_by_role("textbox", name="1. system")).to_have_value("Sort.")


def test_answers_stream_by_deltas(page: Page) -> None:
    """Pieces are appended where they belong, a void answer begins anew, the text on disk has the last word, and pieces
    that come late change nothing any more."""
    view = open_view(page, "playground", state())
    view.state(live())
    expect(box(page, "fast")).to_have_text("")
    view.message(deltas(1, [0, True, "bil", 3], [1, True, "ref", 3]))
    view.message(deltas(2, [0, False, "ling", 7]))
    expect(box(page, "fast")).to_have_text("billing")
    view.message(deltas(3, [0, True, "ship", 4]))
    expect(box(page, "fast")).to_have_text("ship")
    expect(page.get_by_text("4 characters")).to_be_visible()
    expect(page.get_by_text("0 of 2 answers are in")).to_be_visible()
    view.state(live() | {"answers": [answer(text="shipping"), answer(name="best", live=True, said="streaming")]})
    view.message(deltas(4, [0, False, "XXX", 9], [1, False, "und", 6]))
    expect(box(page, "fast")).to_have_text("shipping")
    expect(box(page, "best")).to_have_text("refund")


def test_a_lost_message_is_asked_for(page: Page) -> None:
    """A gap in the numbers, and a view drawn while answers stream, ask for the whole, which replaces the rest."""
    view = open_view(page, "playground", live())
    assert [one["type"] for one in view.told()] == ["again"]
    view.message(deltas(3, [0, True, "so far", 6], [1, True, "", 0], kind="whole"))
    expect(box(page, "fast")).to_have_text("so far")
    view.message(deltas(5, [0, False, "lost one", 14]))
    assert [one["type"] for one in view.told()] == ["again", "again"]
    view.message(deltas(5, [0, True, "so far and lost one", 19], kind="whole"))
    view.message(deltas(6, [0, False, "!", 20]))
    expect(box(page, "fast")).to_have_text("so far and lost one!")
    view.message(deltas(1, [0, True, "of an older run", 15], run=0))
    expect(box(page, "fast")).to_have_text("so far and lost one!")


def test_save_add_choose_and_more(page: Page) -> None:
    """Each button tells what its fields hold."""
    view = open_view(page, "playground", state(answers=[answer(left=1_000_000), answer(name="best", left=10)]))
    page.get_by_label("what changed").fill("shorter")
    page.get_by_role("button", name="Save as new version").click()
    page.get_by_label("to dataset").fill("mine")
    page.get_by_label("id", exact=True).fill("x-1")
    page.get_by_role("button", name="Add as case").click()
    page.get_by_role("button", name="next case").click()
    page.get_by_label("fill from").select_option("policy-qa")
    page.get_by_role("button", name="show 200,000 more of 1,000,000 characters").click()
    page.get_by_role("button", name="show all, 10 more characters").click()
    field = page.get_by_role("combobox", name="case", exact=True)
    field.fill("t-2")
    field.press("Tab")
    told = [{name: value for name, value in one.items() if name != "edits"} for one in view.told()]
    assert told == [
        {"type": "save", "text": "shorter"},
        {"type": "add", "case_id": "x-1", "dataset": "mine"},
        {"type": "step", "by": 1},
        {"type": "dataset", "dataset": "policy-qa"},
        {"type": "more", "number": 0},
        {"type": "more", "number": 1},
        {"type": "case", "case_id": "t-2"},
    ]
    view.state(state(said="Saved as triage@v4, in prompts/triage/v4.yaml."))
    expect(page.get_by_role("status").filter(has_text="Saved as triage@v4")).to_be_visible()
    expect(page.get_by_label("what changed")).to_have_value("")


def test_hostile_text_stays_text(page: Page) -> None:
    """Whatever prompts, cases and models say, it is text; a megabyte in pieces does not hold up the page."""
    bad = answer(name=HOSTILE, text=HOSTILE, said=HOSTILE, facts=[HOSTILE])
    words = dict.fromkeys(
        ("title", "fault", "expected",
         "expected_fault", "dataset", "case", "where", "money", "about", "hint", "caption", "said", "code"),
        HOSTILE,
    )
    hostile = state(turns=[[HOSTILE, HOSTILE]], values=[["ticket", HOSTILE]], datasets=[HOSTILE], ids=[HOSTILE],
                    answers=[bad, answer()], **words)  # fmt: skip
    view = open_view(page, "playground", hostile)
    view.alert(HOSTILE)
    view.state(live())
    for number in range(1, 51):
        view.message(deltas(number, [0, number == 1, ("x" * 400)[:400], number * 20_000]))
    expect(page.get_by_text("1,000,000 characters; the first 20,000 are shown")).to_be_visible(timeout=TOLD_MS)
    view.state(state(answers=[answer(text="<b>" * 66_000), answer()]))
    page.get_by_role("textbox", name="1. system").press("Control+Enter")
    assert view.told()[-1]["type"] == "run"
    assert page.evaluate("() => window.pwned") is None
    assert page.locator("img, script, b").count() == 0


def test_drawn_twice_cleaned_up_and_alone(page: Page) -> None:
    """The same model can be drawn twice, both follow it, a clean-up leaves no listener, and nothing is fetched."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    view = open_view(page, "playground", state(), dark=True)
    view.draw_again()
    view.state(state(title="now", revision=2, values=[["ticket", "both"]]))
    expect(page.get_by_text("Playground: now")).to_have_count(2)
    for place in (0, 1):
        expect(page.get_by_role("textbox", name="ticket", exact=True).nth(place)).to_have_value("both")
    assert view.clean() > 0
    expect(page.locator(".wb-view")).to_have_count(1)
    assert page.evaluate("() => { window.wb.cleanToo(); return Object.values(window.wb.on).flat().length; }") == 0
    assert [url for url in asked if not url.startswith("blob:")] == []


def test_it_fits_and_speaks(page: Page) -> None:
    """At 1,280 pixels nothing runs out of the page, and the parts have roles and names."""
    four = [answer(name=f"model {n}", text="word " * 500 + "x" * 3000) for n in range(4)]
    open_view(page, "playground", state(answers=four))
    assert page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
    for name in ("prompt", "variables"):
        expect(page.get_by_role("group", name=name)).to_be_visible()
    for n in range(4):
        expect(box(page, f"model {n}")).to_be_visible()


def test_with_the_python_side(page: Page, server: StandIn, home: Path) -> None:
    """What is typed in the page becomes the prompt, the case and the file that Python sees."""
    python = wb.playground("ticket-triage@v3", "fast")
    view = open_view(page, "playground", state_of(python))
    heard = 0

    def settle() -> None:
        nonlocal heard
        for message in view.told()[heard:]:
            heard += 1
            hear(python, message)
        view.state(state_of(python))

    editor = page.get_by_role("textbox", name="2. user")
    editor.fill("{{ticket}} Be {{tone}}.")
    page.get_by_role("button", name="next case").click()
    settle()
    page.get_by_role("textbox", name="tone").fill("brief")
    page.get_by_role("button", name="Save as new version").click()
    settle()
    assert python.inputs["tone"] == "brief" and python.prompt.ref == "ticket-triage@v5"
    page.get_by_role("button", name="Add as case").click()
    settle()
    expect(page.get_by_role("status").filter(has_text="Added: case play-")).to_be_visible()
    assert (home / "datasets" / "tickets.jsonl").exists()
    assert wb.load_dataset("tickets")[python.case].inputs["tone"] == "brief"
