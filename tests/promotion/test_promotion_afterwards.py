"""Afterwards: what status, record and review say of moves that failed, were taken back or went around the record."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import pytest
from promote_parts import NAME
from test_promotion_whole import PATCH, outside, unreadable, writes

import workbench as wb
from workbench.cli import run_command
from workbench.errors import LangfuseError, LangfuseMissing, PromotionFailed, PromotionRefused, PromptError
from workbench.langfuse.production import write_lock
from workbench.langfuse.prompts import holders, move_label, push
from workbench.promotion.log import Log
from workbench.promotion.move import Wish, _intent, held, recorded
from workbench.promotion.promote import promote
from workbench.promotion.record import Chain
from workbench.promotion.review import prepare
from workbench.promotion.rollback import rollback
from workbench.promotion.status import promotions, status
from workbench.sim.langfuse import PUBLIC_KEY, SECRET_KEY

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.langfuse.prompts import Remote
    from workbench.langfuse.server import Server
    from workbench.sim import StandInLangfuse
    from workbench.verdict import Verdict


def killed_after_its_intent(project: Server, wish: Wish) -> None:
    """A promotion of this workspace whose process died before it moved anything."""
    Log(project, NAME).append(_intent(wish, 600.0), f"asked: {wish.sentence()}")


def test_taken_back_needs_its_reason_after_any_record(project: Server, begun: Remote, verdict: Verdict) -> None:
    """Neither failed attempts, nor moves of others, nor a promotion that was killed make a version that was taken back
    acceptable: its return always carries a reason."""
    record = promote(verdict, by="Ann", server=project).record
    assert record is not None
    rollback(NAME, by="Bea", server=project)
    other = held(push(project, wb.load_prompt(f"{NAME}@v2")))
    rollback(NAME, other.number, override="a test", by="Bea", server=project)
    rollback(NAME, begun.number, by="Bea", server=project)
    wish = Wish(NAME, "promote", held(begun), record.after, "the dead", record.evidence, holders=(begun.number,))
    killed_after_its_intent(project, wish)
    with pytest.raises(PromotionRefused, match=r"taken back .* by Bea") as refused:
        promote(verdict, by="Ann", server=project)
    assert "--cache refresh" in str(refused.value) and recorded(project, NAME)[-1].result == "undone"
    killed_after_its_intent(project, wish)
    again = promote(verdict, by="Ann", override="after all", server=project).record
    assert again is not None and again.override == "after all" and again.by == "Ann"


def test_a_failed_attempt_is_no_history(
    project: Server, begun: Remote, verdict: Verdict, langfuse: StandInLangfuse
) -> None:
    """What status says of the holder comes from the move that put it there; a later attempt that failed is told beside
    it, and makes nothing of a label that somebody had moved outside of the record."""
    there = str(recorded(project, NAME)[-1].at)
    langfuse.control("faults", [{"route": PATCH, "times": 1, "status": 503}])
    with pytest.raises(PromotionFailed):
        promote(verdict, by="Ann", server=project)
    found = status(NAME, server=project)
    told = found.facts()
    assert (told["since"], told["evidence"], told["before"]) == (f"{there}, by the team", "none", "nobody")
    assert "not done: the label had not moved; by Ann" in told["last attempt"] and found.record != found.failed
    langfuse.control("settings", {"race": 1})
    outside(project)
    langfuse.control("faults", [{"route": PATCH, "times": None, "status": 503}])
    with pytest.raises(PromotionFailed):
        rollback(NAME, by="Ann", server=project)
    told = status(NAME, server=project).facts()
    assert f"left it at v3, version {begun.number} in Langfuse" in told["moved outside"] and "two holders" in told


def test_a_rollback_is_taken_back_by_a_rollback(project: Server, begun: Remote, verdict: Verdict) -> None:
    """Rolled back once more, production returns to where the rollback took it from, also after one with `to`; what was
    there outside of the record is no place to return to."""
    record = promote(verdict, by="Ann", server=project).record
    assert record is not None
    for expected in (begun.number, record.after.number, begun.number):
        assert rollback(NAME, by="Ann", server=project).after.number == expected
    other = push(project, wb.load_prompt(f"{NAME}@v2")).number
    assert rollback(NAME, other, override="a test", by="Ann", server=project).override == "a test"
    assert rollback(NAME, by="Ann", server=project).after.number == begun.number
    move_label(project, NAME, unreadable(project))
    assert rollback(NAME, by="Ann", server=project).after.number == begun.number
    assert rollback(NAME, by="Ann", server=project).after.number == other


def test_what_was_never_production_needs_a_reason(project: Server, begun: Remote) -> None:
    """A rollback gives production to a version that never had it by the record only with a reason, which stays on
    record; a blank one is none."""
    number = push(project, wb.load_prompt(f"{NAME}@v2")).number
    for blank in (None, " "):
        with pytest.raises(PromotionRefused, match="never production by the record"):
            rollback(NAME, number, override=blank, by="Ann", server=project)
    assert holders(project, NAME) == (begun.number,)
    assert "overridden: fire" in str(rollback(NAME, "v2", override="fire", by="Ann", server=project))
    rollback(NAME, override="not needed", by="Ann", server=project)
    assert rollback(NAME, number, by="Ann", server=project).override is None
    with pytest.raises(LangfuseMissing, match="has no prompt 'nope'"):
        rollback("nope", by="Ann", server=project)


def test_promoted_already(project: Server, begun: Remote, verdict: Verdict, langfuse: StandInLangfuse) -> None:
    """What is production by the record stays so and says so; the same content put there outside of the record is no
    promotion: the review says so, and promoting fails with the cure."""
    promote(verdict, by="Ann", server=project)
    before = writes(langfuse)
    again = promote(verdict, by="Ann", server=project)
    assert again.record is None and str(again) == f"{NAME}@v4 is production already; nothing was moved."
    assert "this is what it was promoted on" in str(again.review) and writes(langfuse) == before
    rollback(NAME, by="Bea", server=project)
    move_label(project, NAME, 2)
    review = prepare(verdict, "latest", project, "Ann")
    assert not review.met and str(review).startswith(f"✘ {NAME}@v4 holds production, but not by the record")
    with pytest.raises(PromotionFailed, match=f"nothing was moved: .*`workbench rollback {NAME}` gives it back"):
        promote(verdict, by="Ann", server=project)
    rollback(NAME, by="Ann", server=project)
    assert holders(project, NAME) == (begun.number,)


def test_a_label_astray_is_a_point_to_settle(
    project: Server, begun: Remote, verdict: Verdict, langfuse: StandInLangfuse
) -> None:
    """Two holders, and a label moved outside of the record, are no ground that a review calls met."""
    assert prepare(verdict, "latest", project, "Ann").met
    langfuse.control("settings", {"race": 1})
    theirs = outside(project)
    review = prepare(verdict, "latest", project, "Ann")
    assert not review.met and "hold it at once" in str(review) and "✔" not in str(review).splitlines()[0]
    with pytest.raises(PromotionRefused, match=f"versions {begun.number}, {theirs} hold it at once"):
        promote(verdict, by="Ann", server=project)
    langfuse.control("settings", {"race": 0})
    move_label(project, NAME, theirs)
    assert "somebody moved it to v2" in str(prepare(verdict, "latest", project, "Ann"))


def test_an_unreadable_production_names_the_way_back(project: Server, begun: Remote, verdict: Verdict) -> None:
    """Where nobody can read what holds production, a promotion says how to give it back, and that works."""
    move_label(project, NAME, unreadable(project))
    with pytest.raises(LangfuseError, match=f"cannot use its content: `workbench rollback {NAME}`"):
        promote(verdict, by="Ann", server=project)
    assert rollback(NAME, by="Ann", server=project).after.number == begun.number


def test_an_unknown_version_is_named(project: Server, begun: Remote, verdict: Verdict) -> None:
    """A version, a prompt or a label that is no local version is a named mistake with the choices, not a missing
    verdict."""
    for ref, said in ((f"{NAME}@v9", "no version 'v9'"), (f"{NAME}@production", "no version"), ("nope@v1", "nope")):
        with pytest.raises(PromptError, match=said):
            promote(ref, by="Ann", server=project)


def test_a_dry_run_leaves_an_open_move_and_every_file_alone(
    project: Server, begun: Remote, verdict: Verdict, home: Path, langfuse: StandInLangfuse
) -> None:
    """A dry run neither ends what somebody left open nor writes a lock or a record, and says what a promotion would
    end first."""
    wish = Wish(NAME, "promote", held(begun), held(push(project, wb.load_prompt(f"{NAME}@v4"))), "the dead",
                holders=(begun.number,))  # fmt: skip
    killed_after_its_intent(project, wish)
    before = writes(langfuse)
    found = promote(verdict, dry_run=True, by="Ann", server=project)
    assert "First it would end what is open: promote" in str(found) and writes(langfuse) == before
    assert not (home / "prompts" / NAME / "production.lock").exists() and Chain().records() == []


def test_a_promotion_on_a_stand_in_keeps_the_real_lock(project: Server, begun: Remote, verdict: Verdict) -> None:
    """The lock that a real server's promotion wrote is still there after one on a stand-in."""
    lock = write_lock(begun, "https://langfuse.example.org#project")
    text = lock.read_bytes()
    promote(verdict, by="Ann", server=project)
    assert lock.read_bytes() == text


def test_an_end_that_was_cut_off(project: Server, begun: Remote, verdict: Verdict) -> None:
    """Lines that are missing at the end of the local record are found by comparing with Langfuse; without a name it is
    said that nobody compared."""
    promote(verdict, by="Ann", server=project)
    rollback(NAME, by="Ann", server=project)
    path = Chain().path
    lines = path.read_text().splitlines(keepends=True)
    assert promotions(NAME, server=project).faults == () and "`workbench promotions NAME`" in str(promotions())
    for left in (lines[:-1], lines[:-2], []):
        path.write_text("".join(left))
        found = promotions(NAME, server=project)
        assert (
            found.broken and len(found.faults) == min(len(lines) - len(left), 2) and "missing in its file" in str(found)
        )
    path.with_name("promotions.id").unlink()  # the cure that it names
    assert promotions(NAME, server=project).faults == ()


def test_a_line_that_was_cut_short(project: Server, begun: Remote, verdict: Verdict) -> None:
    """A last line that was cut short while writing is a fault until the next move of this workspace, which writes the
    record again and goes on behind it; many unreadable lines are one fault."""
    promote(verdict, by="Ann", server=project)
    path = Chain().path
    path.write_bytes(path.read_bytes()[:-40])
    (fault,) = Chain().faults()
    number = len(path.read_text().splitlines())
    assert fault == f"line {number} cannot be read, perhaps cut short while writing"
    assert promotions(NAME, server=project).broken
    rollback(NAME, by="Ann", server=project)
    found = promotions(NAME, server=project)
    assert found.faults == () and f"line {number} cannot be read, cut short while writing" in str(found)
    path.write_text(path.read_text() + "garbage\n" * 81)
    assert Chain().faults() == [f"lines {number + 3} to {number + 83} cannot be read, perhaps cut short while writing"]


def test_warnings_are_sentences(
    project: Server, verdict: Verdict, langfuse: StandInLangfuse, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """On the command line a warning is one line without Python's source, and a first promotion says that it is one
    before its record."""
    for name, text in (("BASE_URL", langfuse.url), ("PUBLIC_KEY", PUBLIC_KEY), ("SECRET_KEY", SECRET_KEY)):
        monkeypatch.setenv(f"LANGFUSE_{name}", text)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert run_command(["promote", f"{NAME}@v4", "--by", "Ann"]) == 0
    said = capsys.readouterr()
    assert "! First promotion" in said.err and "UserWarning" not in said.err and "promote" in said.out


@pytest.mark.parametrize("to", [None, "v3", 1])
def test_a_rollback_that_broke_off_is_finished_not_taken_back(
    project: Server, begun: Remote, verdict: Verdict, to: str | int | None
) -> None:
    """Asked for again, a rollback whose process died after the label had moved ends where it was going, and until then
    nothing is called a move of somebody else's."""
    record = promote(verdict, by="Ann", server=project).record
    assert record is not None
    wish = Wish(NAME, "rollback", record.after, held(begun), "the dead", holders=(record.after.number,))
    killed_after_its_intent(project, wish)
    move_label(project, NAME, begun.number, "production")
    seen = status(NAME, server=project)
    assert not seen.outside and seen.under_way and "since" not in seen.facts() and not seen.astray
    done = rollback(NAME, to, by="Bea", server=project)
    assert done.after.number == begun.number and done.note.startswith("interrupted")
    assert holders(project, NAME) == (begun.number,) and len(recorded(project, NAME)) == 3
    assert rollback(NAME, by="Bea", server=project).after == record.after


def test_another_address_of_the_same_langfuse_breaks_no_chain(
    project: Server, begun: Remote, verdict: Verdict, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was recorded while Langfuse had another address is not missing here: a record is known by its hash."""
    promote(verdict, by="Ann", server=project)
    monkeypatch.setattr(type(project), "identity", property(lambda _: "http://elsewhere#project"))
    assert promotions(NAME, server=project).faults == ()
