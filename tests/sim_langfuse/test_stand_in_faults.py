"""Who is let in, what is not there, and what goes wrong on request."""

from __future__ import annotations

from http.client import HTTPException
from typing import TYPE_CHECKING, Any

import pytest
from langfuse_parts import OTHER, PAIR, PROMPTS, SCORES, ask, basic, labels, make, move

from workbench.sim.child import StandInFailed

if TYPE_CHECKING:
    from workbench.sim import StandInLangfuse

WRONG = "Invalid credentials. Confirm that you've configured the correct host."
GET_PROMPT = "GET /api/public/v2/prompts/{name}"
CREATE = "POST /api/public/v2/prompts"


@pytest.mark.parametrize("header", [None, "", "Basic", "Basic !!", "Digest x", basic((PAIR[0], "no")), basic(("", ""))])
def test_only_keys_let_in(server: StandInLangfuse, header: str | None) -> None:
    """Without the right pair of keys every address is a 401; those of the newer wrapper say a message alone."""
    message = "No authorization header" if header is None else WRONG
    full = {"message": message, "error": "UnauthorizedError"}
    headers = {"Authorization": header}
    assert ask(server, "GET", PROMPTS, headers=headers).value == full
    assert ask(server, "POST", PROMPTS, {"name": "p", "prompt": "x"}, headers=headers).status == 401
    for method, path, body in (
        ("PATCH", f"{PROMPTS}/p/versions/1", {"newLabels": []}),
        ("POST", SCORES, []),
    ):
        heard = ask(server, method, path, body, headers=headers)
        assert (heard.status, heard.value) == (401, {"message": message})
    assert ask(server, "GET", PROMPTS).value["data"] == []


def test_keys_of_two_projects_do_not_mix(server: StandInLangfuse) -> None:
    """The public key of one project with the secret of another opens neither."""
    assert ask(server, "GET", PROMPTS, headers={"Authorization": basic((PAIR[0], OTHER[1]))}).status == 401


def test_unknown_addresses_and_methods_are_told(server: StandInLangfuse) -> None:
    """An address that does not exist is a 404, a method that it does not have a 405 with those it has."""
    assert ask(server, "GET", "/api/public/nothing").value["error"] == "LangfuseNotFoundError"
    heard = ask(server, "PUT", PROMPTS, {})
    assert (heard.status, heard.value["error"]) == (405, "MethodNotAllowedError")
    assert set(heard.headers["allow"].split(",")) == {"GET", "POST"}


@pytest.mark.parametrize("body", [b"", b"{", b"[1", b"NaN", b'{"name": "p", "prompt": "x", "config": Infinity}'])
def test_what_is_no_json_is_refused(server: StandInLangfuse, body: bytes) -> None:
    """A body that is no JSON is a 400, and nothing is created."""
    assert ask(server, "POST", PROMPTS, body).status == 400
    assert ask(server, "GET", PROMPTS).value["data"] == []


@pytest.mark.parametrize("text", ["\ud800", "😀", "\x00", "</script>", "ü" * 1000])
def test_hostile_texts_are_kept_or_replaced(server: StandInLangfuse, text: str) -> None:
    """No text breaks the server: what UTF-8 can say is kept, half a surrogate pair is replaced."""
    assert make(server, prompt=text, labels=["production"]).status == 201
    assert ask(server, "GET", f"{PROMPTS}/p").value["prompt"] == text.replace("\ud800", "�")


def test_deep_and_huge_json_is_refused_or_taken(server: StandInLangfuse) -> None:
    """Deep nesting and numbers without end get an answer, and the server goes on."""
    deep = b'{"name": "p", "prompt": "x", "config": ' + b"[" * 50000 + b"]" * 50000 + b"}"
    huge = b'{"name": "p", "prompt": "x", "config": 1' + b"0" * 9000 + b"}"
    assert ask(server, "POST", PROMPTS, deep).status == 400
    assert ask(server, "POST", PROMPTS, huge).status == 201
    assert ask(server, "GET", f"{PROMPTS}/p?version=1").value["config"] == {}


def test_health_is_told_to_anybody(server: StandInLangfuse) -> None:
    """The health of the server needs no keys."""
    heard = ask(server, "GET", "/api/public/health", headers={"Authorization": None})
    assert (heard.status, heard.value["status"]) == (200, "OK")


def test_a_fault_happens_as_often_as_it_was_asked(server: StandInLangfuse) -> None:
    """A fault lets `after` requests of its route pass, breaks `times` of them with its status and wait, and is over."""
    fault = {"route": CREATE, "status": 503, "after": 1, "times": 2, "retry_after": 1}
    server.control("faults", [fault])
    heard = [make(server) for _ in range(4)]
    assert [one.status for one in heard] == [201, 503, 503, 201]
    assert heard[1].headers["retry-after"] == "1"
    assert set(labels(server)) == {1, 2}


def test_a_fault_speaks_as_the_server_would(server: StandInLangfuse) -> None:
    """A fault has the message and the error class that were asked for, as when two creations collide."""
    body = {"message": "unique constraint failure", "error": "InvalidRequestError"}
    server.control("faults", [{"route": CREATE, "status": 400, **body}])
    heard = make(server)
    assert (heard.status, heard.value) == (400, body)


def test_a_lasting_fault_lasts_until_replaced(server: StandInLangfuse) -> None:
    """A fault with `times` null breaks everything on every route until it is taken back."""
    server.control("faults", [{"route": "*", "status": 500, "times": None}])
    assert [make(server).status for _ in range(3)] == [500] * 3
    assert ask(server, "GET", PROMPTS).status == 500
    server.control("faults", [])
    assert make(server).status == 201


def test_faults_take_turns(server: StandInLangfuse) -> None:
    """Of several faults the first that breaks wins a request, and the next one has the next."""
    server.control("faults", [{"route": CREATE, "status": 429}, {"route": "*", "status": 502}])
    assert [make(server).status for _ in range(3)] == [429, 502, 201]


@pytest.mark.parametrize(("done", "versions"), [(False, set()), (True, {1})])
def test_a_lost_answer_may_hide_done_work(server: StandInLangfuse, done: bool, versions: set[int]) -> None:
    """A dropped connection leaves nothing, or, with `done`, work that was done and whose answer was lost."""
    server.control("faults", [{"route": CREATE, "close": True, "done": done}])
    with pytest.raises((HTTPException, OSError)):
        make(server)
    assert set(labels(server)) == versions


def test_a_move_may_be_done_and_still_fail(server: StandInLangfuse) -> None:
    """A PATCH that is done and then answered with an error has moved the label."""
    make(server, labels=["production"])
    make(server)
    route = "PATCH /api/public/v2/prompts/{name}/versions/{version}"
    server.control("faults", [{"route": route, "status": 500, "done": True}])
    assert move(server, 2, "production").status == 500
    assert labels(server) == {1: set(), 2: {"production"}}


def test_scores_are_rejected_on_request(server: StandInLangfuse) -> None:
    """A fault that rejects indexes of a batch answers 207, and the others are kept."""
    server.control("faults", [{"route": f"POST {SCORES}", "reject": [0, 2]}])
    batch = [{"id": str(i), "name": "n", "value": 1, "traceId": "t"} for i in range(3)]
    heard = ask(server, "POST", SCORES, batch)
    assert (heard.status, heard.value["accepted"], heard.value["rejected"]) == (207, 1, 2)
    assert [one["id"] for one in server.control("scores")] == ["1"]


def test_a_delay_delays_and_lets_other_faults_happen(server: StandInLangfuse) -> None:
    """A delay on every request comes before the work and goes together with a fault that breaks."""
    server.control("faults", [{"route": "*", "delay_s": 0.001, "times": None}, {"route": CREATE, "status": 503}])
    assert [make(server).status for _ in range(2)] == [503, 201]


@pytest.mark.parametrize(
    "wrong", [[{"route": "GET /nowhere"}], [{"status": 503}], [{"route": "*", "colour": 1}], {"route": "*"}, 3]
)
def test_faults_that_cannot_happen_are_refused(server: StandInLangfuse, wrong: Any) -> None:
    """A fault of an unknown route or kind is refused by name instead of never happening."""
    with pytest.raises(StandInFailed, match="/sim/faults"):
        server.control("faults", wrong)


def test_unknown_settings_and_steps_are_refused(server: StandInLangfuse) -> None:
    """Steering what does not exist is refused."""
    for path, value in (
        ("settings", {"colour": 1}),
        ("settings", {"reads": "any"}),
        ("nothing", {}),
        ("nothing", None),
    ):
        with pytest.raises(StandInFailed):
            server.control(path, value)


def test_requests_are_counted_by_route(server: StandInLangfuse) -> None:
    """The counts name each route by its template, and a reset forgets them with everything else."""
    make(server, "a")
    for name in ("a", "b"):
        ask(server, "GET", f"{PROMPTS}/{name}")
    assert server.control("stats") == {"requests": {CREATE: 1, GET_PROMPT: 2}}
    server.control("faults", [{"route": "*", "status": 500, "times": None}])
    server.control("settings", {"race": True})
    server.control("reset", {})
    assert (server.control("stats"), server.control("store")) == ({"requests": {}}, [])
    make(server, labels=["x"])
    make(server)
    move(server, 2, "x")
    assert labels(server) == {1: set(), 2: {"x"}}
