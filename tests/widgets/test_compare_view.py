"""The compare view without a front end: cases, filters, votes, the static form."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import tracemalloc
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from compare_parts import A, B, arm, flips, row, write_run
from nbclient import NotebookClient

import workbench as wb
from workbench.errors import LabelError, ReportError, StorageError, UsageError, VerdictError
from workbench.labels import load_labels
from workbench.records import arm_ref
from workbench.report.rows import RowLog
from workbench.widgets import compare_case
from workbench.widgets.compare_data import KINDS, Filter, shuffled
from workbench.widgets.compare_votes import VoteLog

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.sim import StandIn
    from workbench.widgets.compare_view import CompareView

HOSTILE = (
    "<script>window.bad=1</script><img src=x onerror='window.bad=1'></textarea>",
    "\u202eright to left\u202c \u2067isolated",
    "half a character \ud83d here",
    "x" * 1_000_000,
    "$$\\frac{1}{0}$$ `code`",
)


@pytest.fixture
def report(home: Path) -> wb.Report:
    """Thirty cases: six better, three worse, three wrong everywhere, three with an error."""
    return write_run(home, 30, flips)


def ids(view: CompareView) -> list[str]:
    """The listed cases, as the state's page has them."""
    return [one[0] for one in view._state()["list"]["rows"]]


def letter_of(view: CompareView, version: str) -> str:
    """Under which letter a version is shown; asked behind the view's back."""
    case_id, repeat = view._spot(view.selected)
    order = shuffled(case_id, repeat, view.sides) if view.blind else range(len(view.sides))
    return next("ABCD"[place] for place, i in enumerate(order) if f"@{version} " in view.sides[i].arm)


def test_counts_and_filters_agree_with_the_verdict(report: wb.Report) -> None:
    """Every kind lists the cases that its words say, and flips are counted as the verdict counts them."""
    view = wb.side_by_side(report, A, B)
    part = view.verdict.parts[0]
    assert view.counts == {"all": 30, "better": 6, "worse": 3, "wrong": 3, "errors": 3, "voted": 0}
    assert (part.flips_better, part.flips_worse) == (6, 3)
    expected = {"better": {0, 1}, "worse": {2}, "wrong": {3}, "errors": {4}}
    for kind, ends in expected.items():
        view.filter = kind
        assert ids(view) == view.listed == [f"c-{n:04}" for n in range(30) if n % 10 in ends]
        assert view.selected == ids(view)[0]
    view.filter = "worse tag:tag 1 text:NUMBER 22"
    assert ids(view) == ["c-0022"]
    view.filter = "text:question 17"
    assert ids(view) == ["c-0017"] and view.filter == "text:question 17"


@pytest.mark.parametrize("written", ["all", "worse", "tag:a b", "better tag:x text:a tag:b text:c", "text:worse"])
def test_a_filter_reads_what_it_writes(written: str) -> None:
    """A filter's text gives the same filter again, words of the text included."""
    found = Filter.parse(written)
    assert Filter.parse(str(found)) == found and str(found) == written


def test_unknown_names_are_refused_with_the_choices(report: wb.Report) -> None:
    """A wrong filter, case, sort or held value names what there is; wrong arms raise as `compare` does."""
    view = wb.side_by_side(report, A, B)
    wrong = [("filter", "worst", "did you mean 'worse'"), ("filter", "tagg:x", "text:WORDS may follow"),
             ("selected", "c-9999", "there are"), ("sort", "size", "change"), ("held", "n", "there are: m"),
             ("against", 3, "1 to 2"), ("filter", "queue", "has no label queue")]  # fmt: skip
    for name, value, hint in wrong:
        with pytest.raises(UsageError, match=hint):
            setattr(view, name, value)
    for names in [(A,), (A, B, A, B, A)]:
        with pytest.raises(UsageError, match="two to four"):
            wb.side_by_side(report, *names)
    with pytest.raises(VerdictError, match="no arm of this run"):
        wb.side_by_side(report, A, "p@v9")
    with pytest.raises(VerdictError, match=r"same content|named twice"):
        wb.side_by_side(report, A, B, B)


def test_lower_is_better_turns_the_changes(home: Path) -> None:
    """Where lower is better a falling score is a change to the better, and the best value is the lowest."""
    report = write_run(
        home, 4, lambda one, n, _: {"score": float(one["version"] == "v1") + n}, higher=False, bounds=None
    )
    view = wb.side_by_side(report, A, B)
    assert view.counts["better"] == 4 and view.counts["worse"] == 0
    assert view.counts["wrong"] == 3


def test_missing_scores_are_no_change(home: Path) -> None:
    """A case without a score, or a row, of one arm is neither better nor worse nor wrong, and is listed last."""

    def answer(one: dict[str, Any], number: int, _: int) -> dict[str, Any] | None:
        if number == 0 and one["version"] == "v1":
            return None
        return {"score": None if number == 1 else one["version"] == "v2"}

    view = wb.side_by_side(write_run(home, 3, answer), A, B)
    assert view.counts == {"all": 3, "better": 1, "worse": 0, "wrong": 0, "errors": 0, "voted": 0}
    assert ids(view) == ["c-0002", "c-0000", "c-0001"]
    view.selected = "c-0000"
    assert "no row" in [one["trouble"] for one in view._state()["case"]["answers"]][letter_of(view, "v1") == "B"]


def test_repeats_are_one_case(home: Path) -> None:
    """The repeats of a case are one line with the mean of their changes; each is read under its own name."""
    report = write_run(home, 2, lambda one, n, r: {"score": one["version"] == "v2" or r == 1, "output": f"try {r}"},
                       repeats=3)  # fmt: skip
    view = wb.side_by_side(report, A, B, select="c-0001#2", blind=False)
    assert view.counts["better"] == 2 and view.selected == "c-0001#2"
    state = view._state()
    assert state["list"]["rows"][0][:2] == ["c-0000", "+0.67"]
    assert state["case"]["repeats"] == ["c-0001", "c-0001#1", "c-0001#2"]
    assert {one["pieces"][0][1] for one in state["case"]["answers"]} == {"try 2"}
    assert 'select="c-0001#2"' in view.code()


def test_tried_again_the_last_row_counts(report: wb.Report) -> None:
    """A trial that was done again shows its last row alone."""
    log = RowLog(report.folder)
    log.append(row(arm("v2"), 4, 0, {"score": True, "output": "the second try"}))
    log.close()
    view = wb.side_by_side(wb.load_report(report.folder), A, B, select="c-0004", blind=False)
    assert view.counts["errors"] == 2
    assert view.rows_of("c-0004", 0)[0]["output"] == "the second try"


def test_values_held_equal_can_be_chosen(home: Path) -> None:
    """With several models the view shows one at a time, named; arms are held together by what all have."""
    arms = [arm(version, model) for model in ("m", "n") for version in ("v2", "v1", "v0")]
    report = write_run(home, 4, lambda one, n, _: {"score": one["model"] == "m" and one["version"] == "v2"}, arms=arms)
    view = wb.side_by_side(report, A, B, "p@v0")
    assert view.helds == ["m", "n"] and view.counts["better"] == 4
    view.held = "n"
    assert view.counts["better"] == 0 and [side.arm for side in view.sides] == [
        f"p@{v} × n" for v in ("v2", "v1", "v0")
    ]
    assert eval(view.code(), {"wb": wb, "report": report}).code() == view.code()
    models = wb.side_by_side(report, "m", "n", held="p@v1")
    assert [side.name for side in models.sides] == ["m", "n"] and "p@v1" in models.helds
    arms_named = wb.side_by_side(report, "p@v2 × m", "p@v0 × n")
    assert arms_named.helds == [""] and len(arms_named.sides) == 2


def test_code_recreates_the_state(report: wb.Report) -> None:
    """The line that a view gives shows the same filter, case and options again."""
    view = wb.side_by_side(report, A, B, filter="worse", select="c-0012")
    assert view.code() == 'wb.side_by_side(report, "p@v2", "p@v1", filter="worse", select="c-0012")'
    view.filter, view.sort, view.blind = 'text:say "yes"\n', "order", False
    view.filter = "text:number 1"
    view.against, view.diff = 1, False
    again = eval(view.code(), {"wb": wb, "report": report})
    assert (again.diff, again.against) == (False, 1)
    assert again._state() | {"list": 0} == view._state() | {"list": 0}
    assert ids(again) == ids(view)


def test_blind_until_voted(report: wb.Report) -> None:
    """Until a vote nothing of the state tells which arm said what, nor how it scored; then all of it does."""
    view = wb.side_by_side(report, A, B, select="c-0002")
    hidden = json.dumps(view._state()["case"]["answers"])
    for telling in ("p@v", "because of", "right", "wrong", "$", "tokens", "live"):
        assert telling not in hidden
    view.selected = "c-0004"
    failed = json.dumps(view._state()["case"])
    assert "this trial failed: RateLimited" in failed and "openai" not in failed
    view.selected = "c-0002"
    view.vote(letter_of(view, "v1"), "the date is right")
    case = view._state()["case"]
    assert {one["name"] for one in case["answers"]} == {"p@v2", "p@v1"} and not case["hidden"]
    assert "because of p@v1" in json.dumps(case) and case["vote"] == letter_of(view, "v1")
    (vote,) = view.votes
    assert (vote.case_id, vote.winner, vote.note, vote.blind, vote.label) == \
        ("c-0002", "p@v1 × m", "the date is right", True, False)  # fmt: skip


def test_the_order_shown_is_shuffled_and_stays(report: wb.Report) -> None:
    """Which arm comes first differs from case to case, not with the order named, and is the same next time."""
    view, turned = wb.side_by_side(report, A, B), wb.side_by_side(report, B, A)
    first = {line.case_id: view.sides[shuffled(line.case_id, 0, view.sides)[0]].arm for line in view.of_kind("all")}
    other = {line.case_id: turned.sides[shuffled(line.case_id, 0, turned.sides)[0]].arm for line in view.of_kind("all")}
    assert first == other and 5 <= list(first.values()).count("p@v2 × m") <= 25
    open_view = wb.side_by_side(report, A, B, blind=False)
    assert [one["name"] for one in open_view._state()["case"]["answers"]] == ["p@v2", "p@v1"]


def test_votes_survive_and_the_last_one_counts(report: wb.Report) -> None:
    """Votes are in the file when they are given: a new view of the same arms has them, one of other arms has not."""
    view = wb.side_by_side(report, A, B, select="c-0000")
    view.vote("tie")
    view.vote(letter_of(view, "v2"), "on a second look")
    view.vote("", "only the note changes")
    again = wb.side_by_side(wb.load_report(report.folder), B, A)
    (vote,) = again.votes
    assert (vote.winner, vote.note) == ("p@v2 × m", "only the note changes")
    assert again.counts["voted"] == 1
    again.filter = "voted"
    assert ids(again) == ["c-0000"]
    assert "only the note changes" in again._repr_html_()
    with pytest.raises(LabelError, match="say A, B or tie"):
        view.vote("C")


def test_a_torn_line_is_skipped_and_a_broken_one_is_named(report: wb.Report) -> None:
    """What a crash left of a vote is passed over, also by the next writer; a line that is no vote is named."""
    view = wb.side_by_side(report, A, B, select="c-0000")
    view.vote("tie")
    path = report.folder / "votes.jsonl"
    with path.open("a") as file:
        file.write('{"case_id": "c-00')
    view.selected = "c-0001"
    view.vote("tie")
    assert {vote.case_id for vote in wb.side_by_side(report, A, B).votes} == {"c-0000", "c-0001"}
    with path.open("a") as file:
        file.write('{"winner": 1}\n')
    with pytest.raises(LabelError, match=r"votes.jsonl, line 4: no vote"):
        wb.side_by_side(report, A, B)


def _vote_often(folder: Path, who: str) -> None:
    log = VoteLog(folder)
    for number in range(50):
        log.append((f"{who}-{number}", 0), ("a", "b"), "a", "n" * 5000, blind=True, label=False)


def test_two_processes_vote_at_once(tmp_path: Path) -> None:
    """Votes of two processes on one run are all kept, each in a line of its own."""
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_vote_often, args=(tmp_path, who)) for who in ("x", "y")]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(VoteLog(tmp_path).last) == 100


def test_only_blind_votes_on_the_queue_are_labels(report: wb.Report) -> None:
    """A vote on a drawn pair becomes a label of the right output; once names were shown, or voted, it is a note."""
    view = wb.side_by_side(report, A, B, queue=5)
    assert view.filter == "queue" and view.counts["queue"] == 5 and len(ids(view)) == 5
    assert view.selected == ids(view)[0]
    assert all(one[1] == "hidden" for one in view._state()["list"]["rows"])
    for name in ids(view)[:2]:
        view.selected = name
        view.vote(letter_of(view, "v2"), "clearer")
    (label, _) = load_labels("made").queue("judge_pair", pairs=True)
    pair = label.outputs
    assert (label.value, label.note) == (("first", "second")["from v2" in pair[1]], "clearer")
    assert "from v2" in pair[("first", "second").index(label.value)]
    view.vote(letter_of(view, "v2"), "clearer")
    assert view.votes[-1].label
    view.vote("tie")
    view.selected = ids(view)[2]
    view.reveal()
    view.vote("tie")
    view.selected = ids(view)[3]
    view.blind = False
    view.blind = True
    view.vote("tie")
    assert len(view.votes) == 4
    assert len(load_labels("made").queue("judge_pair", pairs=True)) == 2
    later = wb.side_by_side(report, A, B, queue=5)
    assert ids(later) == ids(view) and sum(later.waits(name, 0) for name in ids(later)) == 3
    later.filter = "all"
    later.selected = next(name for name in ids(later) if (name, 0) not in later._sheet.drawn.spots)
    later.vote("tie")
    assert len(load_labels("made").queue("judge_pair", pairs=True)) == 2


def test_labels_given_elsewhere_are_seen(report: wb.Report) -> None:
    """What waits for a blind label stays out of the static form, and is in it once the queue itself has labelled it."""
    view = wb.side_by_side(report, A, B, queue=30)
    assert "wait in the label queue" in view._repr_html_()
    for index in view._sheet.drawn.queue.left:
        view._sheet.drawn.queue.label(index, "tie", by="somebody else")
    assert "wait in the label queue" not in view._repr_html_()


def test_a_judges_queue_is_found_and_its_opinion_shown_after_the_vote(server: StandIn) -> None:
    """The queue of a pairwise judge is found among the cases; what the judge said shows with the names, not before."""
    names = "ticket-triage@v4", "ticket-triage@v2"
    experiment = wb.Experiment("v", list(names), "tickets", "openai:gpt-6-luna", "json_fields:category,priority")
    report = asyncio.run(experiment.run(sample=20))
    pairs = asyncio.run(wb.judge_pairs(report, *names, rubric="It names the right category."))
    queue = pairs.queue(8)
    view = wb.side_by_side(report, *names, queue=queue)
    assert view.counts["queue"] == len(queue) and view.code().endswith("queue=queue)")
    assert [view.report.cases[name]["inputs"] for name in ids(view)] == [item[0] for item in queue]
    assert view._state()["case"]["judge"] == ""
    view.vote(letter_of(view, "v4"))
    assert view._state()["case"]["judge"] and queue.left == list(range(1, len(queue)))
    queue.label(1, "tie", by="somebody else")
    view.selected = ids(view)[1]
    assert not view._state()["case"]["hidden"]


def test_a_queue_of_single_replies_is_refused(report: wb.Report) -> None:
    """Labels of single replies are no votes on pairs; three arms have no pair to be labelled."""
    with pytest.raises(UsageError, match="judge_pairs"):
        wb.side_by_side(report, A, B, queue=wb.label_queue(report, 3))
    with pytest.raises(UsageError, match="two answers"):
        wb.side_by_side(report, A, B, "p@v0", queue=3)
    with pytest.raises(LabelError, match="1 or more"):
        wb.side_by_side(report, A, B, queue=0)


def test_waiting_labels_stay_hidden_in_the_static_form(report: wb.Report) -> None:
    """The static form leaves out the flipped cases that wait for a blind label, says how many, and shows the others."""
    view = wb.side_by_side(report, A, B, queue=30)
    assert ">c-0000<" not in view._repr_html_() and "6 wait in the label queue" in view._repr_html_()
    assert ">c-0000<" in wb.side_by_side(report, A, B)._repr_html_()


def test_the_static_form_is_complete_and_small(home: Path) -> None:
    """Verdict, counts and at most twenty flips each way, without a script, below 300 kB whatever the answers hold."""
    report = write_run(home, 400, lambda one, n, _: {"score": (one["version"] == "v2") == (n % 2 == 0),
                                                     "output": "<&>" * 3000})  # fmt: skip
    view = wb.side_by_side(report, A, B)
    page = view._repr_html_()
    assert len(page.encode()) < 150_000 and "<script" not in page
    assert "200 better, 200 worse" in page and "more" in page and "more characters" in page
    assert "200 better" in str(view) and "and 180 more" in str(view) and "\n" not in repr(view)
    small = write_run(home / "small", 50, flips)
    shown = wb.side_by_side(small, A, B)._repr_html_()
    assert shown.count("<tr><td") == 1 + 15 and "c-0042" in shown and "no from v2 number 2" in shown


@pytest.mark.parametrize("text", HOSTILE, ids=["markup", "directions", "surrogate", "1 MB", "formula"])
def test_hostile_answers_stay_text_and_are_cut(home: Path, text: str) -> None:
    """Whatever an answer, an input or a note holds is escaped in the static form; in the state it is text, cut, and can
    be written as UTF-8."""
    report = write_run(home, 1, lambda one, n, _: {"score": one["version"] == "v2", "output": text + one["version"]},
                       inputs=lambda _: {"text": text})  # fmt: skip
    view = wb.side_by_side(report, A, B, blind=False)
    view.vote("A", text[:100])
    page = view._repr_html_()
    assert "<script" not in page and "<img" not in page and "</textarea" not in page
    assert len(page.encode()) < 300_000
    state = json.dumps(view._state(), ensure_ascii=False, allow_nan=False).encode()
    assert len(state) < 60_000
    view._heard({"type": "more", "part": "A"})
    assert len(json.dumps(view._state())) < 400_000


def test_more_of_a_long_text_is_sent_in_parts(home: Path) -> None:
    """A long answer is cut; each wish for more sends another part, until nothing is left."""
    whole = "0123456789" * 50_000
    view = wb.side_by_side(write_run(home, 1, lambda one, n, _: {"score": True, "output": whole}), A, B)
    seen = []
    for _ in range(4):
        answer = view._state()["case"]["answers"][1]
        seen.append(answer["left"])
        view._heard({"type": "more", "part": "B"})
    assert seen == [496_000, 296_000, 96_000, 0]
    assert "".join(text for _, text in view._state()["case"]["answers"][1]["pieces"]) == whole


def test_the_diff_is_by_words_and_gives_up_in_time(home: Path) -> None:
    """Two answers show which words differ; without a common word, and on repetitive texts, it says why not."""
    pieces, why = compare_case.compare_words("the fee is EUR 5", "the fee is EUR 9 now")
    assert pieces == [["=", "the fee is EUR "], ["-", "5"], ["+", "9 now"]] and why == ""
    assert compare_case.compare_words("yes", "no") == (None, "no word in common")
    assert compare_case.compare_words("a " * 2000, "a b " * 1000)[0] is None
    long = compare_case.compare_words("one " + "x" * 9000, "one " + "x" * 9001)
    assert "first 4,000" in long[1] or long[0] is None


def test_messages_of_the_front_end_do_what_they_say(report: wb.Report) -> None:
    """Every message that the view knows changes the Python values; an unknown one is an error with a sentence."""
    view = wb.side_by_side(report, A, B, filter="worse")
    view._heard({"type": "set", "name": "filter", "value": "better"})
    assert (view.filter, view.selected) == ("better", "c-0000")
    view._heard({"type": "step", "by": 1})
    assert view.selected == "c-0001"
    for _ in range(9):
        view._heard({"type": "step", "by": 1})
    assert view.selected == "c-0021"
    view._heard({"type": "next"})
    assert view.filter == "worse"
    view._heard({"type": "toggle", "name": "diff"})
    view._heard({"type": "toggle", "name": "diff"})
    view._heard({"type": "set", "name": "against", "value": 1})
    assert view.diff and view.against == 1
    view._heard({"type": "vote", "answer": "tie", "note": "same", "case": "c-0002", "held": "m", "blind": True})
    assert view.votes[0].winner == "tie"
    for wrong in ({"type": "set", "name": "report", "value": "x"}, {"type": "nonsense"}):
        with pytest.raises(UsageError, match="another version"):
            view._heard(wrong)


def test_rows_that_moved_are_told(report: wb.Report) -> None:
    """When the rows are gone or changed, reading a case says so and what to do."""
    view = wb.side_by_side(report, A, B)
    (report.folder / "rows.jsonl").rename(report.folder / "elsewhere.jsonl")
    with pytest.raises(ReportError, match="moved or changed since this view was opened"):
        view._state()


def test_a_vote_is_about_what_was_on_screen(home: Path) -> None:
    """A vote given on a case, a model or an order that the view has left meanwhile is refused, and nothing is kept."""
    arms = [arm(version, model) for model in ("m", "n") for version in ("v2", "v1")]
    view = wb.side_by_side(write_run(home, 30, flips, arms=arms), A, B)
    drawn = {"type": "vote", "answer": "A", "note": "", "case": view.selected, "held": view.held, "blind": view.blind}
    for left in ({"case": "c-0001"}, {"held": "n"}, {"blind": False}):
        with pytest.raises(LabelError, match=f"given on {left.get('case', 'c-0000')}, .* moved on to c-0000"):
            view._heard(drawn | left)
    with pytest.raises(LabelError, match="not kept"):
        view._heard({"type": "vote", "answer": "A", "note": ""})
    assert view.votes == [] and not (view.report.folder / "votes.jsonl").exists()
    view._heard(drawn)
    assert [vote.case_id for vote in view.votes] == ["c-0000"]


def test_what_cannot_be_read_is_not_gone_to(report: wb.Report) -> None:
    """With the rows gone the view stays where it is, whatever is chosen, and takes no vote; nothing is written where
    the run was. When they are back, all goes on."""
    view = wb.side_by_side(report, A, B)
    view.selected = "c-0001"
    before = (view.filter, view.selected, view.sort, view.blind, view.listed)
    elsewhere = report.folder.rename(report.folder.with_name("elsewhere"))
    told: list[dict[str, Any]] = [
        {"type": "step", "by": 1}, {"type": "next"}, {"type": "toggle", "name": "blind"},
        {"type": "set", "name": "filter", "value": "text:number 22"}, {"type": "set", "name": "sort", "value": "order"},
        {"type": "set", "name": "selected", "value": "c-0002"},
        {"type": "vote", "answer": "A", "note": "", "case": "c-0001", "held": "m", "blind": True},
    ]  # fmt: skip
    for message in told:
        with pytest.raises(ReportError, match="was moved or changed") as refused:
            view._heard(message)
        assert str(refused.value).count(str(report.folder)) == 1 and "put it back" in str(refused.value)
        assert (view.filter, view.selected, view.sort, view.blind, view.listed) == before
    assert view.votes == [] and not report.folder.exists()
    elsewhere.rename(report.folder)
    for message in told:
        if message["type"] != "vote":
            view._heard(message)
    assert (view.filter, view.selected, view.sort, view.blind) == ("text:number 22", "c-0002", "order", False)


def test_a_vote_that_cannot_be_written_names_the_file_once(report: wb.Report) -> None:
    """Where the disk refuses a vote, one sentence says which file, why and what helps; no number of the system."""
    view = wb.side_by_side(report, A, B)
    path = report.folder / "votes.jsonl"
    path.mkdir()
    with pytest.raises(StorageError) as refused:
        view.vote("tie")
    assert str(refused.value) == f"{path} cannot be written: Is a directory. The vote is not kept: free space or " \
        "rights, then vote again."  # fmt: skip
    with pytest.raises(StorageError, match=r"votes\.jsonl cannot be read: Is a directory$"):
        wb.side_by_side(report, A, B)


def test_an_empty_note_is_no_vote(report: wb.Report) -> None:
    """Keeping a note where nothing was written writes nothing."""
    view = wb.side_by_side(report, A, B)
    view.vote("")
    assert view.votes == [] and not (report.folder / "votes.jsonl").exists()
    view.vote("", "look again")
    view.vote("", "")
    assert [(vote.winner, vote.note) for vote in view.votes] == [(None, "")]


def test_nothing_tells_how_a_blind_case_was_scored(report: wb.Report) -> None:
    """Before the vote the list hides the change of every blind case; what waits for a label is in no list of flips and
    at no place of its size, nor in the text, blind or not, and only counted; once labelled it is there."""
    plain = wb.side_by_side(report, A, B)
    assert {row[1] for row in plain._state()["list"]["rows"]} == {"", "hidden"}
    plain.vote("tie")
    assert plain._state()["list"]["rows"][0][1] == "+1.00"

    view = wb.side_by_side(report, A, B, queue=30)
    drawn = [case_id for case_id, _ in view._sheet.drawn.spots]
    for blind in (True, False, True):
        view.blind = blind
        view.filter = "better"
        assert (ids(view), view.selected, view.counts["better"]) == ([], "", 6)
        assert view._state()["list"]["waiting"] == 6
        view.filter = "all"
        listed = [name for name in ids(view) if name in drawn]
        assert listed == sorted(listed)
        shown = {row[0]: row[1] for row in view._state()["list"]["rows"] if row[0] != listed[0]}
        assert {shown[name] for name in listed[1:]} == {"hidden"}
    assert "better: 6 wait in the label queue" in str(view) and "c-0000" not in str(view).split("wb.side_by_side")[0]
    view.filter = "queue"
    view.selected = "c-0010"
    view.vote("tie")
    view.filter = "better"
    assert ids(view) == ["c-0010"] and view._state()["list"]["rows"][0][1] == "+1.00"


def test_failures_and_empty_answers_say_what_they_are(home: Path) -> None:
    """An error that all arms share is told in full, blind too, and the static form has the most frequent one; an answer
    in which there is nothing to see is called that."""

    def answer(one: dict[str, Any], number: int, _: int) -> dict[str, Any]:
        if number < 2:
            return {"output": None, "error": "nobody listens there", "error_type": "ConnectionRefused"}
        return {"output": "" if one["version"] == "v2" else " \n", "score": one["version"] == "v2"}

    view = wb.side_by_side(write_run(home, 3, answer), A, B, select="c-0000")
    told = {one["trouble"] for one in view._state()["case"]["answers"]}
    assert told == {"this trial failed: ConnectionRefused: nobody listens there"}
    assert {one["blank"] for one in view._state()["case"]["answers"]} == {""}
    view.selected = "c-0002"
    assert {one["blank"] for one in view._state()["case"]["answers"]} == {"empty answer", "white space only"}
    for form in (str(view), view._repr_html_()):
        assert "Trials failed, most often with ConnectionRefused: nobody listens there" in form
    assert "(empty answer)" in view._repr_html_() and "(white space only)" in view._repr_html_()


def test_a_large_run_is_paged(home: Path) -> None:
    """Of 20,000 rows only a page of cases and one case's answers are sent, and memory holds no row."""
    report = write_run(home, 10_000, flips)
    tracemalloc.start()
    view = wb.side_by_side(report, A, B)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    state = view._state()
    assert len(state["list"]["rows"]) == 200 and state["list"]["total"] == 10_000
    assert len(json.dumps(state)) < 30_000
    assert held < 40_000_000
    view.selected = "c-9999"
    assert "c-9999" in ids(view)
    view._heard({"type": "page", "by": -1})
    assert "c-9999" not in ids(view)
    view.filter = "text:number 9998"
    assert ids(view) == ["c-9998"]


def test_without_a_notebook_the_text_is_printed(report: wb.Report, capsys: pytest.CaptureFixture[str]) -> None:
    """Shown without a notebook, the view prints its text; closing it is safe, twice too."""
    view = wb.side_by_side(report, A, B)
    view.show()
    assert capsys.readouterr().out.strip() == str(view)
    view.close()
    view.close()


NOTEBOOK = """
import workbench as wb
view = wb.side_by_side(wb.load_report("latest"), "p@v2", "p@v1")
view
"""


def test_without_a_front_end_the_static_form_is_all(report: wb.Report) -> None:
    """A notebook run by a program holds the static form, open, and nothing of a widget; closing changes nothing."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(one) for one in (NOTEBOOK, "view.close()")])
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    (output,) = notebook.cells[0].outputs
    assert set(output.data) == {"text/html", "text/plain"} and "widgets" not in notebook.metadata
    assert "<details" not in output.data["text/html"] and "6 better" in output.data["text/html"]


LIVE = NOTEBOOK.replace("view\n", "from workbench.widgets import base\nbase.has_front_end = lambda: True\nview\n")
CLOSED = """
before = view._shows.is_live
folder = view.report.folder
folder.rename(folder.with_name("elsewhere"))
view.close()
print(before, view._shows.is_live)
"""


def test_a_view_closes_though_its_rows_are_gone(report: wb.Report) -> None:
    """Closed after the run was moved, every cell of a view keeps its static form as it was last, with the reason, and
    no widget; no cell gets a traceback."""
    cells = [nbformat.v4.new_code_cell(one) for one in (LIVE, "view.show()", CLOSED)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    assert notebook.cells[2].outputs[0].text == "True False\n"
    for cell in notebook.cells[:2]:
        first, second = cell.outputs
        page = first.data["text/html"]
        assert "<details" not in page and "6 better" in page and second.data == {}
        assert "As it was drawn last:" in page and "was moved or changed" in page


def test_names_are_what_the_plan_calls_arms(report: wb.Report) -> None:
    """A vote names whole arms, as rows and queues write them; kinds are those that the view counts."""
    view = wb.side_by_side(report, A, B)
    assert [side.arm for side in view.sides] == [arm_ref(arm("v2")), arm_ref(arm("v1"))]
    assert set(view.counts) < set(KINDS)
