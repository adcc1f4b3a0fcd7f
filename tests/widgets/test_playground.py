"""The playground without a front end: editing, filling, asking, keeping, the static form."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

import workbench as wb
from workbench import connect
from workbench.client import current, use
from workbench.datasets import load_dataset
from workbench.errors import DatasetError, PromptError, UsageError
from workbench.widgets.playground_cases import OFFERED
from workbench.widgets.playground_data import SHOWN, Draft, field_text, field_value
from workbench.widgets.playground_wire import hear, state_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from workbench.sim import StandIn
    from workbench.widgets.playground import Playground
    from workbench.widgets.playground_data import Answers

HOSTILE = (
    "<script>window.bad=1</script><img src=x onerror='window.bad=1'></textarea>",
    "\u202eright to left\u202c \u2067isolated",
    "x" * 1_000_000,
    "$$\\frac{1}{0}$$ {{ticket}}",
)


def opened(**options: Any) -> Playground:
    """A playground of three fast models on the shipped tickets."""
    return wb.playground("ticket-triage@v3", "fast", **options)


def calls(server: StandIn) -> int:
    """How many model calls the server has seen."""
    return int(server.control("stats")["requests"])


def test_it_opens_filled_and_asks_nothing(server: StandIn) -> None:
    """Without a dataset the first that fits fills the variables from a dev case, and nothing is asked yet."""
    view = opened()
    case = load_dataset("tickets").dev.cases[0]
    assert (view.dataset, view.case, view.inputs, view.expected) == ("tickets", case.id, case.inputs, case.expected)
    assert view.prompt is view.draft.base and view.title == "ticket-triage@v3"
    assert len(view.answers) == 0 and calls(server) == 0
    assert "Nothing was asked yet" in view._repr_html_() and "Playground: ticket-triage@v3" in str(view)


def test_answers_stand_side_by_side_and_are_hits_the_second_time(server: StandIn) -> None:
    """All models answer the same question at once; asked again every one is a hit, and nothing more is spent."""
    view = opened(budget_usd=1)
    first = asyncio.run(view.run())
    spent = view.ledger.spent_usd
    assert [one.state for one in first] == ["done"] * 3 and calls(server) == 3
    assert all(one.ttft_s is not None and one.reply and one.text == one.reply.text for one in first)
    assert sum(one.cost_usd or 0 for one in first) == pytest.approx(spent) and spent > 0
    again = asyncio.run(view.run())
    assert [one.state for one in again] == ["hit"] * 3 and calls(server) == 3 and view.ledger.spent_usd == spent
    assert [one.text for one in again] == [one.text for one in first]
    assert "from the cache, nothing spent" in again._repr_html_() and " of $1.00" in view.money
    asyncio.run(view.run(repeat=1))
    assert calls(server) == 6 and view.answers.repeat == 1
    assert view.answers["sim-openai-fast"] is view.answers[1]
    with pytest.raises(UsageError, match="no answer of"):
        view.answers["gpt"]


def test_an_experiment_finds_the_answers(server: StandIn) -> None:
    """What the playground asked is a hit for a run of the same prompt on the same case."""
    view = opened()
    asyncio.run(view.run())
    cases = wb.Dataset("one", (load_dataset("tickets")[view.case],))
    exp = wb.Experiment("again", view.prompt, cases, "fast", "exact")
    assert asyncio.run(exp.run()).totals()["hits"] == 3 and calls(server) == 3


def test_stop_keeps_what_came(server: StandIn) -> None:
    """Stopped after the first piece, every answer is partial and marked so, and its worst case counts as money."""
    server.control("settings", {"latency_s": 3.0})
    view = opened()

    async def law() -> Answers:
        asking = asyncio.create_task(view.run())
        while view._round is None or not all(view._round.text(number) for number in range(3)):
            await asyncio.sleep(0)
        with pytest.raises(UsageError, match="under way"):
            await view.run()
        view.stop()
        return await asking

    found = asyncio.run(law())
    assert [one.state for one in found] == ["stopped"] * 3 and all(one.text for one in found)
    assert view.ledger.spent_usd == view.ledger.reserved_usd == 0 and view.ledger.uncertain_usd > 0
    assert "perhaps" in view.money and "what came so far; it may be charged" in view._repr_html_()
    server.control("settings", {"latency_s": 0.0})
    assert [one.state for one in asyncio.run(view.run())] == ["done"] * 3


def test_an_interrupt_keeps_what_came_and_is_raised(server: StandIn) -> None:
    """A cell that is interrupted raises, and the view holds what came so far, ready for another run."""
    server.control("settings", {"latency_s": 3.0})
    view = opened()

    async def law() -> None:
        asking = asyncio.create_task(view.run())
        while view._round is None or not view._round.text(0):
            await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    asyncio.run(law())
    assert not view.is_running and view.answers[0].state == "stopped" and view.answers[0].text


def test_one_failure_is_its_own(server: StandIn) -> None:
    """A model that refuses or fails is an answer that says why; the others answer."""
    server.control("faults", [{"kind": "auth", "provider": "openai", "times": 1}])
    view = opened()
    found = asyncio.run(view.run())
    assert [one.state for one in found] == ["done", "failed", "done"] and "key" in found[1].error
    view.prompt = wb.Prompt("p", "Sort {{ticket}}", {"temperature": 0.5, "max_tokens": 64})
    hot = asyncio.run(view.run())
    assert hot[0].state == "failed" and "takes no temperature" in hot[0].error and hot[2].state == "done"


def test_the_budget_holds(server: StandIn) -> None:
    """A budget that the worst case does not fit in asks nothing; a replay without a stored answer says so."""
    tight = opened(budget_usd=1e-9)
    found = asyncio.run(tight.run())
    assert [one.state for one in found] == ["failed", "failed", "done"]  # the third is free
    assert "budget" in found[0].error and calls(server) == 1
    found = asyncio.run(opened(cache="replay").run())
    assert "not in the cache" in found[0].error and found[2].state == "hit" and calls(server) == 1


def test_edits_make_a_draft_and_undoing_them_the_version(server: StandIn) -> None:
    """A changed message makes a draft of the version; the old text makes the version itself again; text that is no
    prompt says why, and neither runs nor is saved."""
    view = opened()
    old = view.turns[0].content
    hear(view, {"type": "edit", "edits": {"turns": {"0": old + " Be brief. {{tone}}"}, "values": {"tone": "dry"}}})
    assert view.prompt.is_draft and view.variables == ("tone", "ticket") and view.inputs["tone"] == "dry"
    assert view.title.endswith(", edited from ticket-triage@v3")
    hear(view, {"type": "edit", "edits": {"turns": {"0": old + " {{oops"}}})
    assert "unclosed" in state_of(view)["fault"] and state_of(view)["values"][0] == ["tone", "dry"]
    for doing in (view.save, lambda: asyncio.run(view.run())):
        with pytest.raises(PromptError, match="unclosed"):
            doing()
    hear(view, {"type": "edit", "edits": {"turns": {"0": old}}})
    assert view.prompt.ref == "ticket-triage@v3" and not state_of(view)["fault"]
    view.inputs.clear()
    with pytest.raises(PromptError, match="no value for ticket"):
        asyncio.run(view.run())


def test_save_writes_the_next_version_once(server: StandIn, home: Path) -> None:
    """A draft is saved as the next version in the workspace, which then stands in its place; the same content is not
    saved twice."""
    view = opened()
    view.prompt = view.prompt.edit("Answer with", "Think first, then answer with")
    assert view.save("thinks first") == "ticket-triage@v5" == view.prompt.ref
    assert "Saved as ticket-triage@v5, in prompts/ticket-triage/v5.yaml" in view.said
    assert wb.load_prompt("ticket-triage@v5").commit_message == "thinks first"
    assert view.save() == "ticket-triage@v5" and "nothing was written" in view.said
    assert [path.name for path in (home / "prompts" / "ticket-triage").iterdir()] == ["v5.yaml"]
    assert 'wb.playground("ticket-triage@v5"' in view.code()


def test_add_case_copies_a_shipped_dataset_first(server: StandIn, home: Path) -> None:
    """A new case goes to the workspace's file, with the shipped cases before it; it is a dev case, becomes the one on
    screen, and the same inputs or the same id are refused."""
    shipped = load_dataset("tickets")
    view = opened()
    view.inputs = {"ticket": "My clamp fell off."}
    added = view.add_case({"category": "hardware", "priority": "low"})
    assert added.path == home / "datasets" / "tickets.jsonl" and added.copied and "a copy of the shipped" in view.said
    assert [path.name for path in added.path.parent.iterdir()] == ["tickets.jsonl"]
    now = load_dataset("tickets")
    assert now.cases[:-1] == shipped.cases and now.cases[-1].split == "dev"
    assert now.cases[-1].expected == {"category": "hardware", "priority": "low"} == view.expected
    assert view.case == added.case_id == now.cases[-1].id
    with pytest.raises(DatasetError, match="the same inputs"):
        view.add_case()
    view.inputs = {"ticket": "My hub fell off."}
    with pytest.raises(DatasetError, match="already"):
        view.add_case(case_id=added.case_id)
    second = view.add_case("text", case_id="mine")
    assert second.copied is None and load_dataset("tickets")["mine"].expected == "text"


def test_a_case_goes_nowhere_by_accident(server: StandIn, home: Path) -> None:
    """A click adds to no dataset that is not named, takes no broken JSON for the right answer, and what was added
    before is not said beside a refusal; JSON that is mended is JSON."""
    view = opened()
    hear(view, {"type": "add", "dataset": "tickets", "edits": {"values": {"ticket": "One clamp."}}})
    assert view.said.startswith("Added: ")
    rows = (home / "datasets" / "tickets.jsonl").read_text()
    broken = {"values": {"ticket": "Two clamps."}, "expected": '{"category": '}
    for dataset, said in ((" ", "no dataset is named"), ("tickets", "begins like JSON and is none")):
        with pytest.raises(UsageError, match=said):
            hear(view, {"type": "add", "dataset": dataset, "edits": broken})
    assert view.said == "" and "begins like JSON" in state_of(view)["expected_fault"]
    assert (home / "datasets" / "tickets.jsonl").read_text() == rows
    hear(view, {"type": "add", "dataset": "tickets", "edits": {"expected": '{"category": "app"}'}})
    assert load_dataset("tickets").cases[-1].expected == {"category": "app"} and state_of(view)["expected_fault"] == ""


def test_add_case_begins_a_dataset_or_appends_to_a_file(server: StandIn, home: Path) -> None:
    """A name that nobody has makes a new file; a dataset given by path is appended to where it is."""
    view = opened()
    assert view.add_case(dataset="mine").path == home / "datasets" / "mine.jsonl"
    assert view.dataset == "mine" and len(load_dataset("mine")) == 1
    file = home / "aside.jsonl"
    file.write_text(json.dumps({"id": "a", "inputs": {"ticket": "one"}}) + "\n")
    view = opened(dataset=str(file))
    view.inputs = {"ticket": "two"}
    assert view.add_case("x", case_id="b").path == file and len(file.read_text().splitlines()) == 2
    for name in ("../evil", "a/b", ""):
        with pytest.raises((DatasetError, UsageError)):
            wb.playground("ticket-triage@v3", "fast", inputs={"ticket": "x"}).add_case(dataset=name)


def test_test_cases_stay_unseen(server: StandIn) -> None:
    """Of a dataset with a name, dev cases alone can be chosen; steps go round them."""
    dataset = load_dataset("tickets")
    view = opened()
    with pytest.raises(UsageError, match="stay unseen"):
        view.case = dataset.test.cases[0].id
    with pytest.raises(DatasetError, match="no case"):
        view.case = "nobody"
    hear(view, {"type": "step", "by": -1})
    assert view.case == dataset.dev.cases[-1].id
    hear(view, {"type": "step", "by": 1})
    assert view.case == dataset.dev.cases[0].id
    assert len(state_of(view)["ids"]) == min(OFFERED, len(dataset.dev))


def test_the_code_opens_the_same(server: StandIn) -> None:
    """`code()` makes a view with the same prompt, models, case, inputs and draw."""
    view = opened(inputs={"tone": "dry"}, repeat=2)
    view.prompt = view.prompt.edit("Answer with", "Answer {{tone}} with")
    same = eval(view.code(), {"wb": wb})
    assert same.prompt.sha == view.prompt.sha and same.models == view.models
    assert (same.case, same.inputs, same.repeat) == (view.case, view.inputs, 2) and same.code() == view.code()
    aside = opened(dataset=wb.Dataset("aside", (wb.Case("a", {"ticket": "one"}),)), budget_usd=2)
    assert (
        aside.code() == """wb.playground("ticket-triage@v3", models="fast", inputs={'ticket': 'one'}, budget_usd=2)"""
    )


def test_wrong_questions_are_refused(server: StandIn) -> None:
    """Too many models, unknown names, a bad draw or budget: a sentence with the choices, before anything is asked."""
    with pytest.raises(UsageError, match="9 models: name 4 at most"):
        wb.playground("ticket-triage@v3", "fast,balanced,powerful")
    with pytest.raises(PromptError, match="no prompt named"):
        wb.playground("ticket-triag", "fast")
    with pytest.raises(UsageError, match="it must be more than 0"):
        opened(budget_usd=0)
    view = opened()
    with pytest.raises(UsageError, match="whole number"):
        asyncio.run(view.run(repeat=-1))
    with pytest.raises(UsageError, match="another version"):
        hear(view, {"type": "nonsense"})
    assert calls(server) == 0


def test_another_session_answers_with_its_own_money(server: StandIn) -> None:
    """After `wb.offline` or `wb.live` the next question goes to the new session and counts in its ledger."""
    view = opened()
    asyncio.run(view.run())
    before = view.ledger
    url = server.url
    connect.at({name: url + path for name, path in connect.PATHS.items()})
    asyncio.run(view.run(repeat=1))
    assert view.ledger is not before and view.ledger.parent is current().ledger and view.ledger.spent_usd > 0


@pytest.fixture
def hostile(home: Path) -> Iterator[Playground]:
    """Four models whose answers no page may believe."""
    lines = [{"model": f"m{n}", "input": "hello there, all of you", "output": said} for n, said in enumerate(HOSTILE)]
    (home / "said.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    wb.offline(recordings=home / "said.jsonl")
    prompt = wb.Prompt.from_text("hostile", "{{ticket}}", max_tokens=64)
    yield wb.playground(prompt, [f"openai:m{n}" for n in range(4)], inputs={"ticket": "hello there, all of you"})
    use(None)


def test_hostile_answers_stay_text(hostile: Playground) -> None:
    """Scripts, closing tags and a megabyte are escaped and cut in the static form, small in the state, and JSON."""
    found = asyncio.run(hostile.run())
    assert [one.text for one in found] == list(HOSTILE)
    assert hostile.money == "$0 spent here, and 4 answers of unknown price" and found[0].cost_usd is None
    html = hostile._repr_html_()
    assert "<script" not in html and "<img" not in html and "</textarea" not in html and len(html) < 60_000
    assert "more characters" in html and "Recorded" in html
    state = state_of(hostile)
    assert len(json.dumps(state)) < 200_000 and state["answers"][2]["left"] == 1_000_000 - SHOWN
    hear(hostile, {"type": "more", "number": 2})
    assert state_of(hostile)["answers"][2]["left"] == 1_000_000 - SHOWN - 200_000
    assert len(str(hostile)) < 60_000


def test_deltas_come_numbered_at_most_ten_a_second(server: StandIn) -> None:
    """While answers stream, messages carry what is new, in order, far fewer than pieces; together they are the text."""
    server.control("settings", {"latency_s": 0.8})
    view = opened()
    sent: list[dict[str, Any]] = []
    states: list[dict[str, Any]] = []

    class Cell:
        """A front end that listens."""

        is_live = True

        def send(self, message: dict[str, Any]) -> None:
            sent.append(message)

        def guarded(self, callback: Any, *given: Any) -> None:
            callback(*given)

        def refresh(self) -> None:
            pass

        @property
        def state(self) -> dict[str, Any]:
            return states[-1]

        @state.setter
        def state(self, state: dict[str, Any]) -> None:
            states.append(state)

    view._shows._cells.append(Cell())  # type: ignore[arg-type]
    began = time.monotonic()
    found = asyncio.run(view.run())
    took = time.monotonic() - began
    deltas = [one for one in sent if one["type"] == "deltas"]
    assert [one["number"] for one in deltas] == list(range(1, len(deltas) + 1)) and deltas[0]["run"] == view.stream.run
    assert 2 <= len(deltas) <= 10 * took + 4
    said = {n: "".join(text for one in deltas for i, _, text, _ in one["pieces"] if i == n) for n in range(3)}
    for number, answer in enumerate(found):
        assert answer.text.startswith(said[number]) and said[number]
    live = [one for state in states for one in state["answers"] if one["live"]]
    assert live and all(one["text"] == "" for one in live)
    assert [one["text"] for one in states[-1]["answers"]] == [one.text for one in found]


@pytest.mark.parametrize("value", ["text", "", "5", 5, None, {"a": [1]}, True, '{"a": 1}'])
def test_fields_give_back_what_they_were_filled_with(value: Any) -> None:
    """A value that nobody touched, or typed as it was, is the same value."""
    assert field_value(field_text(value), value) == value


def test_what_python_sets_fills_the_fields(server: StandIn) -> None:
    """Setting prompt, case, inputs, expected or draw tells the front end to take them over; typing does not."""
    view = opened()
    for name, value in (("prompt", "ticket-triage@v2"), ("case", view.cases.ids[3]), ("inputs", {"ticket": "x"}),
                        ("expected", "y"), ("repeat", 3)):  # fmt: skip
        before = view.revision
        setattr(view, name, value)
        assert view.revision > before
    before = view.revision
    hear(view, {"type": "edit", "edits": {"values": {"ticket": "z", "nobody": "n"}, "expected": "5", "repeat": 1}})
    assert view.revision == before and view.inputs == {"ticket": "z"} and (view.expected, view.repeat) == ("5", 1)


def test_a_draft_of_a_text_prompt() -> None:
    """A text prompt has one editor, and stays a text prompt."""
    draft = Draft(wb.Prompt.from_text("greeting", "Greet {{who}}."))
    draft.edit(0, "Hail {{who}}.")
    assert draft.prompt.template == "Hail {{who}}." and draft.variables() == ("who",)
    with pytest.raises(UsageError, match="no message 1"):
        draft.edit(1, "x")
