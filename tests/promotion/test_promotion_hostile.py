"""What somebody with the project's keys wrote into a promotion log by hand."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import pytest
from moving import NAME, one_move

from workbench.errors import PromotionFailed
from workbench.langfuse.prompts import holders, move_label, pull
from workbench.langfuse.server import ONCE
from workbench.promotion.log import FOLDER, Log
from workbench.promotion.move import Wish, finish_open, recorded
from workbench.promotion.record import Chain, Record
from workbench.promotion.rollback import rollback
from workbench.promotion.settling import end_what_was_open
from workbench.promotion.status import promotions, status

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.langfuse.server import Server
    from workbench.promotion.record import Held


def write(project: Server, body: Any, name: str = NAME) -> int:
    """Append any config to the log, as anybody can with the keys."""
    request: Any = {"name": FOLDER + name, "type": "text", "prompt": "x", "config": body, "labels": []}
    return int(project.call("raw", lambda api: api.prompts.create(request=request, request_options=ONCE)).version)


def wish(pushed: list[Held], **changes: Any) -> dict[str, Any]:
    """The wish of an intent to move from 1 to 2, in JSON, changed."""
    return asdict(Wish(NAME, "promote", pushed[0], pushed[1], "Eve", holders=(1,))) | changes


def intent(pushed: list[Held], **changes: Any) -> dict[str, Any]:
    """An intent that looks like ours, changed."""
    same = {"kind": "intent", "id": "eve", "workspace": "w", "lease_s": 60.0, "sentence": "s", "by": "Eve"}
    return same | {"wish": wish(pushed)} | changes


NO_INTENTS: list[dict[str, Any]] = [
    {"id": 4, "wish": None},
    {"id": None},
    {"kind": ["intent"]},
    {"wish": None},
    {"wish": {}},
    {"wish": {"name": NAME}},
    {"lease_s": "soon"},
    {"lease_s": None},
    {"lease_s": [1]},
    {"lease_s": True},
    {"by": 7},
    {"sentence": {"a": 1}},
]
NO_WISHES: list[dict[str, Any]] = [
    {"name": "another"},
    {"before": 3},
    {"before": {"number": "1", "version": "", "sha": ""}},
    {"after": None},
    {"after": {"number": 2}},
    {"holders": "12"},
    {"holders": ["1"]},
    {"approvals": 4},
    {"approvals": [None]},
    {"label": "latest"},
    {"label": 5},
    {"evidence": 3},
    {"note": 1, "action": None},
]


@pytest.mark.parametrize("wrong", [*NO_INTENTS, *NO_WISHES], ids=str)
def test_a_malformed_intent_is_no_intent(project: Server, pushed: list[Held], wrong: dict[str, Any]) -> None:
    """An intent that nobody could finish is never granted: status, promotions and rollback go on as if it were not
    there."""
    changed = {"wish": wish(pushed, **wrong)} if wrong in NO_WISHES else wrong
    write(project, intent(pushed, **changed))
    assert Log(project, NAME).state().open is None
    assert status(NAME, server=project).under_way == ""
    assert one_move(project, None, 3, "Ann", 60.0)["result"] == "done"
    assert rollback(NAME, 1, server=project).done
    assert promotions(NAME, server=project).faults == ()


def test_a_lease_is_never_longer_than_ten_minutes(project: Server, pushed: list[Held]) -> None:
    """Whatever lease an intent claims, somebody may end it after ten minutes: no entry shuts a log for ever."""
    write(project, intent(pushed, lease_s=1e300))
    held = Log(project, NAME).state().open
    assert held is not None and held.ends == held.heard + 600.0


RECORDS: list[Any] = [
    None,
    "done",
    [],
    {},
    {"log": "1"},
    {"holder": "2"},
    {"at": 5},
    {"result": ["done"]},
    {"evidence": 12},
    {"approvals": [1]},
    {"by": None},
    {"name": "another"},
    {"after": {"number": [], "version": "v", "sha": ""}},
    {"note": {"deep": [[[]]]}},
]


@pytest.mark.parametrize("wrong", RECORDS, ids=str)
def test_an_outcome_without_a_record_closes_nothing(project: Server, pushed: list[Held], wrong: Any) -> None:
    """An outcome whose record cannot be read, or is about another prompt, is no outcome: the move stays open until it
    is ended properly, and the chain holds."""
    number = write(project, intent(pushed, lease_s=0.0))
    (good,) = recorded(project, NAME)
    data = good.to_json() | wrong if isinstance(wrong, dict) and wrong else wrong
    write(project, {"kind": "outcome", "of": number, "id": "eve", "record": data})
    assert status(NAME, server=project).record == good
    ended = end_what_was_open(project, NAME, "Ann")
    assert ended is not None and ended.result == "undone" and ended.previous == good.sha
    found = promotions(NAME, server=project)
    assert found.faults == () and len(found) == 2 and str(found) and found._repr_html_()


def test_a_record_shows_itself_in_one_line(pushed: list[Held]) -> None:
    """A record's repr is one line, and as HTML it is a table of text, whatever somebody wrote into it."""
    held = replace(pushed[0], version="v1\n<b>")
    record = Record(NAME, "rollback", None, held, "done", 1, "<script>\nEve", "2026-11-22T10:00:00Z", "s", 4, note="n")
    assert "\n" not in repr(record) and repr(record).startswith(f"Record(rollback {NAME} to v1")
    html = record._repr_html_()
    assert "<script" not in html and "<b>" not in html
    assert all(text in html for text in ("nobody", "&lt;script&gt;⟦U+000A⟧Eve", "2026-11-22", ">n<"))
    assert "asked for" in replace(record, result="lost")._repr_html_()
    assert ">a stand-in Langfuse<" in replace(record, server="stand-in#project-1")._repr_html_()
    assert ">https://here#1<" in replace(record, server="https://here#1")._repr_html_()


def test_no_done_for_a_label_that_did_not_move(project: Server, pushed: list[Held]) -> None:
    """A forged takeover of a move that is under way does not make it done, and does not count before its lease."""
    body = intent(pushed)
    number = write(project, body)
    write(project, {"kind": "takeover", "of": number, "id": "mallory", "workspace": "", "by": "M"})
    found = Log(project, NAME).state().open
    assert found is not None and found.owner == "eve"
    with pytest.raises(PromotionFailed, match="under way"):
        finish_open(project, NAME, "Ann")
    assert holders(project, NAME) == (1,)


def test_texts_of_others_are_shown_plainly(project: Server, pushed: list[Held]) -> None:
    """No text in a log reaches a terminal with control characters, and none without an end."""
    evil = "\x1b[2Jdone\r" + "x" * 100_000
    number = write(project, intent(pushed, by=evil, sentence=evil))
    shown = str(status(NAME, server=project))
    with pytest.raises(PromotionFailed) as error:
        finish_open(project, NAME, "Ann")
    (good,) = recorded(project, NAME)
    record = replace(good, by=evil, note=evil, log=number, previous=good.sha)
    write(project, {"kind": "outcome", "of": number, "id": "eve", "record": record.to_json()})
    for text in (shown, str(error.value), str(promotions(NAME, server=project)), str(status(NAME, server=project))):
        assert text.encode() and "\x1b" not in text and "\r" not in text and len(text) < 3000


def test_a_line_of_the_local_record_may_be_anything(project: Server, pushed: list[Held], home: Path) -> None:
    """Whatever stands in the local file is a fault with its line, and never a crash."""
    path = Chain().path
    path.parent.mkdir(exist_ok=True)
    path.write_text('{"record": "x"}\n{"record": {"before": 3}}\n[]\n' + "[" * 100_000 + "\n")
    found = promotions()
    assert found.faults == ("promotions.jsonl: lines 1 to 4 cannot be read, perhaps cut short while writing",)
    assert rollback(NAME, 2, override="a test", server=project).done


def test_production_that_no_prompt_can_hold_is_taken_back(project: Server, pushed: list[Held]) -> None:
    """Somebody gives production to text that this workbench cannot read: status tells it as moved outside, and rollback
    brings the recorded holder back."""
    request: Any = {"name": NAME, "prompt": "{{ a.b }}", "config": {}, "labels": []}
    made = project.call("raw", lambda api: api.prompts.create(request=request, request_options=ONCE))
    move_label(project, NAME, made.version)
    found = status(NAME, server=project)
    assert found.outside and f"version {made.version}" in str(found)
    record = rollback(NAME, server=project)
    assert record.done and record.before is not None and record.before.number == made.version
    assert holders(project, NAME) == (1,) and pull(project, NAME).sha == pushed[0].sha


@pytest.mark.parametrize("hours", [-100_000.0, -1.0, 1.0, 100_000.0])
def test_a_wrong_clock_here_changes_nothing(
    project: Server, pushed: list[Held], hours: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether a lease is over is for the server's clock: a machine whose own clock is wrong ends what is over, and
    leaves alone what is not."""
    import time

    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + hours * 3600)
    write(project, intent(pushed, lease_s=600.0))
    with pytest.raises(PromotionFailed, match="under way"):
        finish_open(project, NAME, "Ann")
    assert Log(project, NAME).state().open is not None
    write(project, {"kind": "outcome", "of": 3, "id": "eve", "record": recorded(project, NAME)[0].to_json()})
    write(project, intent(pushed, lease_s=0.0))
    ended = finish_open(project, NAME, "Ann")
    assert ended is not None and ended.result == "undone"
