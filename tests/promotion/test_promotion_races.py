"""Many processes that move one label at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from moving import NAME

from workbench.errors import LangfuseAway
from workbench.langfuse.prompts import holders
from workbench.promotion.log import Log
from workbench.promotion.move import Wish, move, recorded
from workbench.promotion.status import promotions, status

if TYPE_CHECKING:
    from workbench.langfuse.server import Server
    from workbench.promotion.record import Held
    from workbench.sim import StandInLangfuse

PATCH = "PATCH /api/public/v2/prompts/{name}/versions/{version}"
PROCESSES, TRIES, WORKSPACES = 8, 25, 4


def start(langfuse: StandInLangfuse, home: Path, **told: Any) -> subprocess.Popen[str]:
    """A process that moves labels, in a workspace of its own."""
    told = {"url": langfuse.url} | told
    environment = os.environ | {"WORKBENCH_HOME": str(home)}
    command = [sys.executable, str(Path(__file__).with_name("moving.py")), json.dumps(told)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


@pytest.mark.parametrize("race", [False, True], ids=["as documented", "with the server's own race"])
def test_two_winners_never(
    langfuse: StandInLangfuse, project: Server, pushed: list[Held], tmp_path: Path, race: bool
) -> None:
    """Of 200 promotions by 8 processes in 4 workspaces, no two start from the same holder and both report success, the
    label ends where the record says, and every chain holds."""
    langfuse.control("faults", [{"route": PATCH, "delay_s": 0.02, "times": None}])
    if race:
        langfuse.control("settings", {"race": 3})
    crew = [
        start(langfuse, tmp_path / f"workspace{n % WORKSPACES}", by=f"process {n}", tries=TRIES, seed=n)
        for n in range(PROCESSES)
    ]
    answers = [json.loads(line) for process in crew for line in process.communicate(timeout=120)[0].splitlines()]
    assert len(answers) == PROCESSES * TRIES
    won = sorted((one for one in answers if one["result"] == "done"), key=lambda one: one["log"])
    assert len(won) >= PROCESSES
    log = recorded(project, NAME)
    done = [record for record in log if record.done]
    assert [one["log"] for one in won] == [record.log for record in done][1:]  # the first began it all
    for earlier, later in pairwise(done):
        assert later.before == earlier.after
    assert status(NAME, server=project).outside is False
    assert holders(project, NAME) == (log[-1].holder,)
    assert promotions(NAME, server=project).faults == ()


def test_one_answer_is_one_entry(langfuse: StandInLangfuse, project: Server, pushed: list[Held]) -> None:
    """A refused append is not sent again behind our back, and one whose answer was lost is found, not written twice."""
    log = Log(project, NAME)
    before = log.state().number
    route = "POST /api/public/v2/prompts"
    sent = langfuse.control("stats")["requests"][route]
    langfuse.control("faults", [{"route": route, "status": 503, "times": 1}])
    with pytest.raises(LangfuseAway):
        log.append({"kind": "note", "id": "a"}, "never arrives")
    assert langfuse.control("stats")["requests"][route] == sent + 1
    langfuse.control("faults", [{"route": route, "close": True, "done": True, "times": 1}])
    wish = Wish(NAME, "promote", pushed[0], pushed[1], "the test", holders=(1,))
    assert move(project, wish).done
    assert log.state().number == before + 2


def test_a_busy_server(langfuse: StandInLangfuse, project: Server, pushed: list[Held]) -> None:
    """What a move reads is asked again when the server says when; the label itself is moved once or not at all, and
    then the record says for how long the server asked."""
    wish = Wish(NAME, "promote", pushed[0], pushed[1], "the test", holders=(1,))
    reads = "GET /api/public/v2/prompts"
    langfuse.control("faults", [{"route": PATCH, "status": 429, "retry_after": 7}])
    sent = langfuse.control("stats")["requests"].get(PATCH, 0)
    record = move(project, wish)
    assert record.result == "undone" and "try again in 7 s" in str(record)
    assert langfuse.control("stats")["requests"][PATCH] == sent + 1
    langfuse.control("faults", [{"route": reads, "status": 429, "retry_after": 0, "times": 3}])
    assert move(project, wish).done
