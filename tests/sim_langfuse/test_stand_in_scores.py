"""Scores: batches in, pages out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from langfuse.api import Error
from langfuse_parts import OTHER, PAIR, SCORES, ask, basic

if TYPE_CHECKING:
    from langfuse import Langfuse
    from langfuse.api import LangfuseAPI

    from workbench.sim import StandInLangfuse

TRACE = "0" * 31 + "1"
AT = datetime(2026, 11, 22, 12, 0, 0, 123000, tzinfo=UTC)


def score(**more: Any) -> dict[str, Any]:
    """A score that is accepted."""
    return {"id": "s", "name": "right", "value": 1.0, "traceId": TRACE, "timestamp": "2026-11-22T12:00:00Z", **more}


def test_scores_of_every_type_arrive(sdk: Langfuse, api: LangfuseAPI) -> None:
    """Numbers, yes or no, categories and texts read back by the SDK as they were sent, with their reasons."""
    sent = {"NUMERIC": 0.25, "BOOLEAN": 1, "CATEGORICAL": "good", "TEXT": "well said"}
    for data_type, value in sent.items():
        sdk.create_score(
            name=data_type, value=value, trace_id=TRACE, observation_id="o1", data_type=data_type, comment="because",
            score_id=f"s-{data_type}", timestamp=AT, metadata={"k": 1},
        )  # fmt: skip
    sdk.flush()
    read = {one.name: one for one in api.scores.get_many(trace_id=TRACE, fields="details,subject").data}
    assert {name: one.value for name, one in read.items()} == sent
    assert all(
        (o.comment, o.timestamp, o.metadata, o.id) == ("because", AT, {"k": 1}, f"s-{n}") for n, o in read.items()
    )
    assert all((one.subject.kind, one.subject.trace_id) == ("observation", TRACE) for one in read.values())


def test_the_same_id_and_time_is_the_same_score(server: StandInLangfuse) -> None:
    """A replay with the same id and timestamp doubles nothing and the last one counts; another timestamp is another."""
    for value in (0.0, 1.0, 1.0):
        assert ask(server, "POST", SCORES, [score(value=value)]).status == 202
    assert [one["value"] for one in server.control("scores")] == [1.0]
    ask(server, "POST", SCORES, [score(timestamp="2026-11-22T12:00:01Z")])
    assert len(server.control("scores")) == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": None},
        {"value": None},
        {"value": True},
        {"value": "x", "dataType": "NUMERIC"},
        {"value": 0.5, "dataType": "BOOLEAN"},
        {"value": 1, "dataType": "CATEGORICAL"},
        {"value": "", "dataType": "TEXT"},
        {"value": "x" * 501, "dataType": "TEXT"},
        {"dataType": "STARS"},
        {"traceId": None},
        {"sessionId": "s"},
        {"traceId": None, "datasetRunId": "r", "observationId": "o"},
        {"environment": "langfuse-x"},
        {"environment": "Prod"},
        {"source": "EVAL"},
        {"source": "ANNOTATION"},
        {"timestamp": "yesterday"},
    ],
    ids=str,
)
def test_wrong_scores_are_rejected_one_by_one(server: StandInLangfuse, wrong: dict[str, Any]) -> None:
    """A batch with a wrong score is a 207 that counts and says why; the others are in, the wrong one is not."""
    batch = [score(id="a"), score(id="b", **wrong), score(id="c")]
    heard = ask(server, "POST", SCORES, batch)
    assert (heard.status, heard.value["accepted"], heard.value["rejected"]) == (207, 2, 1)
    (error,) = heard.value["errors"]
    assert error["message"].startswith("Score 1: ")
    assert {one["id"] for one in server.control("scores")} == {"a", "c"}


def test_whole_batches_are_accepted_or_no_batches_at_all(server: StandInLangfuse) -> None:
    """A clean batch is a 202; an object instead of an array is a 400, and a body over 1 MB a 413."""
    assert ask(server, "POST", SCORES, [score(), score(id="t")]).value == {"message": "Accepted"}
    assert ask(server, "POST", SCORES, []).status == 202
    assert ask(server, "POST", SCORES, score()).status == 400
    assert ask(server, "POST", SCORES, [score(comment="x" * 1024 * 1024)]).status == 413


def test_scores_of_runs_and_sessions_have_their_subject(server: StandInLangfuse, api: LangfuseAPI) -> None:
    """A score of a run or session reads back with that subject, and filters find it by it."""
    run = score(id="r", traceId=None, datasetRunId="run1")
    session = score(id="z", traceId=None, sessionId="session1")
    ask(server, "POST", SCORES, [run, session, score()])
    by_run = api.scores.get_many(experiment_id="run1", fields="subject").data
    assert [(one.id, one.subject.kind, one.subject.id) for one in by_run] == [("r", "experiment", "run1")]
    assert [one.id for one in api.scores.get_many(session_id="session1,other").data] == ["z"]
    assert [one.id for one in api.scores.get_many(trace_id=TRACE).data] == ["s"]


def test_pages_by_cursor_miss_and_double_nothing(server: StandInLangfuse, api: LangfuseAPI) -> None:
    """Following the cursor gives each score once, the newest first, and the last page has no cursor."""
    ask(server, "POST", SCORES, [score(id=f"{i:03}", timestamp=f"2026-11-22T12:00:{i % 7:02}Z") for i in range(70)])
    seen, cursor, times = [], None, []
    while True:
        page = api.scores.get_many(limit=20, cursor=cursor)
        seen += [one.id for one in page.data]
        times += [one.timestamp for one in page.data]
        cursor = page.meta.cursor
        if cursor is None:
            break
    assert sorted(seen) == [f"{i:03}" for i in range(70)]
    assert times == sorted(times, reverse=True)


def test_filters_narrow_and_wrong_ones_are_refused(server: StandInLangfuse, api: LangfuseAPI) -> None:
    """Names, types, values and times filter; combinations that the server does not know are a 400."""
    batch = [score(id=str(i), name="n" if i < 3 else "m", value=i / 10) for i in range(6)]
    batch += [score(id="c", name="m", value="cat"), score(id="b", name="m", value=1, dataType="BOOLEAN")]
    ask(server, "POST", SCORES, batch)

    def ids(**filters: Any) -> set[str]:
        return {one.id for one in api.scores.get_many(**filters).data}

    assert ids(name="n") == {"0", "1", "2"}
    assert ids(id="0,5") == {"0", "5"}
    assert ids(data_type="numeric", value_min=0.25, value_max=0.4) == {"3", "4"}
    assert ids(data_type="NUMERIC", value="0.1,0.2") == {"1", "2"}
    assert ids(data_type="CATEGORICAL", value="cat") == {"c"}
    assert ids(data_type="BOOLEAN", value="true") == {"b"}
    assert ids(from_timestamp=datetime(2027, 1, 1, tzinfo=UTC)) == set()
    assert ids(author_user_id="me") == set()
    for wrong in (
        {"fields": "details,wishes"},
        {"limit": 101},
        {"value": "1"},
        {"observation_id": "o"},
        {"trace_id": "a", "session_id": "b"},
        {"cursor": "AAAA"},
        {"data_type": "NUMERIC", "value": "lots"},
    ):
        with pytest.raises(Error):
            api.scores.get_many(**wrong)


def test_the_public_key_alone_sends_scores_and_nothing_else(server: StandInLangfuse) -> None:
    """Bearer with the public key may create scores in its project; all else is a 403."""
    headers = {"Authorization": f"Bearer {OTHER[0]}"}
    assert ask(server, "POST", SCORES, [score()], headers=headers).status == 202
    (kept,) = server.control("scores")
    assert kept["projectId"] != ask(server, "GET", "/api/public/projects").value["data"][0]["id"]
    heard = ask(server, "GET", "/api/public/v2/prompts", headers=headers)
    assert (heard.status, heard.value["error"]) == (403, "ForbiddenError")


def test_deleted_scores_are_gone(server: StandInLangfuse) -> None:
    """A deleted score is not read again, and only its own project can delete it."""
    ask(server, "POST", SCORES, [score()])
    assert ask(server, "DELETE", f"{SCORES}/s", headers={"Authorization": basic(OTHER)}).status == 204
    assert len(server.control("scores")) == 1
    assert ask(server, "DELETE", f"{SCORES}/s", headers={"Authorization": basic(PAIR)}).status == 204
    assert server.control("scores") == []
