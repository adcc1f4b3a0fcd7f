"""The review view without a front end: what it refuses, what it moves, and what it leaves behind."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

import workbench as wb
from workbench.client import current
from workbench.errors import LangfuseAway, LangfuseError, PromotionRefused, UsageError
from workbench.langfuse.prompts import holders, move_label, push
from workbench.langfuse.server import Address, Server
from workbench.promotion.move import Wish, held, move, recorded
from workbench.promotion.rollback import rollback
from workbench.sim.langfuse import PUBLIC_KEY, SECRET_KEY
from workbench.widgets import review_state
from workbench.widgets.review_state import BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from workbench.langfuse.prompts import Remote
    from workbench.sim import StandIn, StandInLangfuse
    from workbench.verdict import Verdict
    from workbench.widgets.review_view import ReviewView

NAME, V4 = "ticket-triage", "ticket-triage@v4"
HOSTILE = "<script>alert(1)</script></table></textarea>\u202e $x$"


@pytest.fixture
def project(langfuse: StandInLangfuse) -> Iterator[Server]:
    """A Langfuse project in which v2 is production, by the record."""
    with Server(Address(langfuse.url, PUBLIC_KEY, SECRET_KEY, stand_in=True)) as server:
        assert move(
            server, Wish(NAME, "begin", None, held(push(server, wb.load_prompt(f"{NAME}@v2"))), "the team")
        ).done
        yield server


@pytest.fixture
def verdict(server: StandIn) -> Verdict:
    """v4 against v2, confirmed."""
    refs = [V4, f"{NAME}@v2"]
    exp = wb.Experiment("p", refs, "tickets", "openai:gpt-6-luna", wb.scorers.json_fields("category", "priority"))
    return asyncio.run(exp.confirm(*refs))


@pytest.fixture
def asks_for_approval(home: Path) -> None:
    """A policy that wants one approval."""
    folder = home / "prompts" / NAME
    folder.mkdir(parents=True)
    (folder / "promotion.toml").write_text("approvals = 1\n")


def opened(what: Any, project: Server, by: str = "Ann Author") -> ReviewView:
    """A view of the project."""
    return wb.review(what, by=by, server=project)


def reasons(view: ReviewView) -> dict[str, str]:
    """Why each action cannot be done, as the front end is told."""
    return {name: reason for name, _, reason in view._state()["actions"]}


def click(view: ReviewView, **message: Any) -> None:
    """What a button tells, done to its end."""

    async def done() -> None:
        found = view._heard(message)
        if found is not None:
            await found

    asyncio.run(done())


def outside(project: Server) -> Remote:
    """Somebody in Langfuse's own pages gives production to v3."""
    remote = push(project, wb.load_prompt(f"{NAME}@v3"))
    move_label(project, NAME, remote.number)
    return remote


@pytest.mark.usefixtures("asks_for_approval")
def test_refused_approved_promoted_and_back(project: Server, verdict: Verdict) -> None:
    """What the policy refuses cannot be promoted and says why; approved it is production, and goes back from there."""
    view = opened(verdict, project)
    assert "1 approval: 0 of 1" in reasons(view)["promote"] and not reasons(view)["approve"]
    with pytest.raises(PromotionRefused, match="0 of 1"):
        view.promote()
    before = holders(project, NAME)
    view.approve("Ann Author")
    assert "that approval does not count" in reasons(view)["promote"]
    assert view.approve("Bob").by == "Bob"
    assert reasons(view)["promote"] == "" and [one.by for one in view.review.approvals] == ["Bob"]
    record = view.promote()
    assert record.done and view.record == record and holders(project, NAME) == (record.after.number,)
    assert reasons(view) == dict.fromkeys(["approve", "promote"], f"{V4} is production already") | {"rollback": ""}
    assert view.review.in_place and view._state()["headline"].startswith(f"✔ {V4} is production")
    with pytest.raises(PromotionRefused, match="production already"):
        view.promote()
    back = view.rollback()
    assert back.done and back.action == "rollback" and holders(project, NAME) == before
    assert "taken back" in reasons(view)["promote"] and "may not become" in view._state()["headline"]
    assert len(recorded(project, NAME)) == 3


def test_clicks_are_asked_twice_and_done_once(project: Server, verdict: Verdict) -> None:
    """Nothing moves on the first click; what is confirmed without having been asked, or twice, does nothing more."""
    view = opened(verdict, project)
    click(view, type="confirm", action="promote")
    assert len(recorded(project, NAME)) == 1
    click(view, type="ask", action="promote")
    assert view._state()["asked"]["question"].endswith("from v2, version 1 in Langfuse to v4, by Ann Author?")
    click(view, type="confirm", action="rollback")
    click(view, type="cancel")
    click(view, type="confirm", action="promote")
    assert view.record is None and len(recorded(project, NAME)) == 1
    click(view, type="ask", action="promote")

    async def twice() -> None:
        first, second = (view._heard({"type": "confirm", "action": "promote"}) for _ in range(2))
        assert second is None and view._state()["busy"] == "Promoting …"
        with pytest.raises(UsageError, match="this view is at something"):
            view.promote()
        await first

    asyncio.run(twice())
    assert view.record is not None and view.record.done and len(recorded(project, NAME)) == 2
    assert view._state()["busy"] == "" and "promote ticket-triage to v4" in view._state()["said"][0]
    with pytest.raises(UsageError, match="means nothing here"):
        click(view, type="override")


def test_the_second_view_is_stale(project: Server, verdict: Verdict) -> None:
    """Of two views on one prompt the second refuses once the first has moved production, and shows where it is."""
    first, second = opened(verdict, project), opened(V4, project)
    third = opened(verdict, project)
    first.promote()
    with pytest.raises(PromotionRefused, match="is production already; nothing was moved"):
        second.promote()
    assert "is production already" in reasons(second)["promote"]
    with pytest.raises(PromotionRefused, match="is production already"):
        click(third, type="ask", action="promote")
    assert third._state()["asked"] is None and third._state()["headline"].startswith(f"✔ {V4} is production")
    assert len(recorded(project, NAME)) == 2


def test_somebody_elses_move_is_seen_first(project: Server, verdict: Verdict) -> None:
    """Where somebody moved production in between, neither promoting nor taking back moves it from where nobody here had
    seen it."""
    view = opened(verdict, project)
    there = outside(project)
    with pytest.raises(PromotionRefused, match="production has moved"):
        click(view, type="ask", action="promote")
    assert any(one.startswith("Moved outside") for one in view._state()["moves"])
    assert "the evidence does not hold" in reasons(view)["approve"]
    with pytest.raises(PromotionRefused, match="not approved: the evidence does not hold"):
        view.approve("Bob")
    move_label(project, NAME, 1)
    view.refresh()
    view.promote()
    outside(project)
    with pytest.raises(
        PromotionRefused, match=r"has moved since it was shown: it was v4.* and is v3.*nothing was moved"
    ):
        view.rollback()
    with pytest.raises(PromotionRefused, match="nothing of it can be taken back"):
        view.rollback()
    assert holders(project, NAME) == (there.number,)


def test_a_version_that_was_taken_back_is_refused_from_the_start(project: Server, verdict: Verdict) -> None:
    """A new view on a version that somebody rolled back says so before anybody asks."""
    opened(verdict, project).promote()
    rollback(NAME, by="Ops", server=project)
    view = opened(V4, project)
    assert "by Ops, after its verdict was confirmed" in reasons(view)["promote"]
    assert "✘" in str(view).splitlines()[0] and "by Ops" in str(view).split("\n\n")[0]
    assert view.promote(override="Ops looked again").override == "Ops looked again"


def test_what_speaks_against_it_stands_in_the_policy(project: Server, verdict: Verdict) -> None:
    """That a version was taken back is a point like the others, with its cure: once in the table, and once beside the
    button, with the line that promotes it all the same."""
    opened(verdict, project).promote()
    rollback("ticket-triage", by="Ops", server=project)
    view = opened(verdict, project)
    [row] = [row for row in view._state()["sections"][0]["rows"] if row[0] == "✘"]
    assert row[1] == "not taken back since its verdict was confirmed" and "by Ops" in row[2] and "--override" in row[3]
    [*points, all_the_same] = reasons(view)["promote"].split("\n")
    assert [one for one in points if "taken back" in one] == points and len(points) == 1
    assert all_the_same == f'or say why all the same: `wb.promote("{V4}", override="the reason")`'
    assert "taken back" not in " ".join(view._state()["warnings"])
    assert "127.0.0.1" not in view._repr_html_()
    by_model = [part.sentence(verdict.metric) for part in verdict.parts]
    assert view._state()["sentences"] == by_model and all(one in str(view) for one in by_model)


def test_two_views_that_are_looked_at_say_the_same(project: Server, verdict: Verdict, asks_for_approval: None) -> None:
    """What is done in one cell is drawn in the others that show the same prompt, with the question there taken away."""
    first, second = opened(verdict, project), opened(verdict, project)
    for view in (first, second):
        view.show()
        view._shown[0]._live = SimpleNamespace()  # somebody looks at it
    second._asked = ("approve", "Cy")
    first.approve("Bob Builder")
    assert "may become production" in second._shown[0].state["headline"] and second._asked is None
    first.promote()
    assert second._shown[0].state["headline"] == first._shown[0].state["headline"]
    assert second._shown[0].state["busy"] == "" and not second._alone.locked()
    for view in (first, second):
        view._shown.clear()  # nobody looks any more: views of later tests tell them nothing


def test_an_approval_needs_a_name(project: Server, verdict: Verdict) -> None:
    """Without a name nothing is asked, with one the question names it, and one that deceives the eye is refused."""
    view = opened(verdict, project)
    with pytest.raises(UsageError, match="needs a name"):
        click(view, type="ask", action="approve", by=" \n ")
    click(view, type="ask", action="approve", by=f"Bob {HOSTILE}")
    assert "\u202e" not in json.dumps(view._state(), ensure_ascii=False) and "Bob <script>" in str(
        view._state()["asked"]
    )
    with pytest.raises(UsageError, match="invisible"):
        click(view, type="confirm", action="approve")
    click(view, type="ask", action="approve", by="Bob")
    click(view, type="confirm", action="approve")
    assert [one.by for one in view.review.approvals] == ["Bob"] and view._state()["said"] == [
        "Approved by Bob, a claim."
    ]


def test_langfuse_away_is_told_and_got_over(project: Server, verdict: Verdict, langfuse: StandInLangfuse) -> None:
    """While Langfuse is away an action fails with a sentence and leaves the view usable."""
    view = opened(verdict, project)
    langfuse.control("faults", [{"route": "*", "status": 503, "times": None}])
    with pytest.raises(LangfuseError):
        click(view, type="ask", action="promote")
    with pytest.raises(LangfuseAway):
        view.refresh()
    assert view._state()["busy"] == "" and view._state()["asked"] is None
    langfuse.control("faults", [])
    assert view.promote().done


def test_another_langfuse_is_another_review(
    project: Server, verdict: Verdict, langfuse: StandInLangfuse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the session uses another Langfuse by now, the view does nothing there."""
    monkeypatch.setattr(current(), "langfuse", lambda: project)
    view = wb.review(verdict, by="Ann")
    with Server(Address(langfuse.url, PUBLIC_KEY, SECRET_KEY)) as other:
        monkeypatch.setattr(current(), "langfuse", lambda: other)
        for act in (view.promote, view.rollback, view.refresh):
            with pytest.raises(PromotionRefused, match="review it there anew"):
                act()
    assert len(recorded(project, NAME)) == 1


def test_static_form(project: Server, verdict: Verdict, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a front end the view is the whole review, as text and as HTML without script; afterwards it says what was
    done."""
    view = opened(verdict, project)
    for whole, shown in ((view.review._repr_html_(), view._repr_html_()), (str(view.review), str(view))):
        head, _, rest = whole.partition("SIMULATED")
        assert rest in shown and shown.count(view._standing.headline) == 1 and shown.startswith(head.rstrip("! ")[:40])
    assert V4 in repr(view)
    view.promote()
    view.show()
    assert "promote ticket-triage to v4" in capsys.readouterr().out.split("\n\n")[0]
    html = view._repr_html_()
    assert html.index("is production") < html.index("promote ticket-triage to v4") < html.index("Change of the prompt")
    assert "<script" not in html and "var(--" not in html and len(html.encode()) < BYTES
    json.dumps(view._state(), allow_nan=False)


def test_static_form_stays_small(project: Server, verdict: Verdict) -> None:
    """However long the answers, flipped cases are left out until the static form is small, and it says how many."""
    view = opened(verdict, project)
    flips = view.review.flips
    long = [replace(one, candidate="ä" * 2000, inputs=HOSTILE + "ö" * 1900) for one in flips.better]
    big = replace(view.review, flips=replace(flips, better=tuple(long)))
    html = review_state.static(replace(view._standing, review=big), ()).html
    assert len(html.encode()) <= BYTES < len(big._repr_html_().encode())
    assert f"of {flips.n_better} shown" in html and "<script" not in html
    sections = review_state.sections(big)
    assert "\u202e" not in json.dumps(sections, ensure_ascii=False)


def test_nothing_to_review(project: Server, server: StandIn) -> None:
    """Without evidence there is nothing to review, and a verdict on arms is no prompt version; both say the cure."""
    with pytest.raises(PromotionRefused, match="workbench confirm"):
        opened(V4, project)
    with pytest.raises(UsageError, match="no prompt version"):
        opened("ticket-triage", project)
