"""Promote, roll back, status and record, over a real confirmation, the real SDK and a stand-in Langfuse."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from promote_parts import NAME, confirm, write_policy

import workbench as wb
from workbench.cli import run_command
from workbench.errors import LangfuseAway, PromotionFailed, PromotionRefused, SettingsError, UsageError
from workbench.langfuse.prompts import holders, move_label, pull, push
from workbench.langfuse.server import Address, Server
from workbench.promotion.evidence import Evidence, load_evidence, seal
from workbench.promotion.log import Log
from workbench.promotion.move import Wish, held, move, recorded
from workbench.promotion.production import production_prompt
from workbench.promotion.promote import promote
from workbench.promotion.record import Chain
from workbench.promotion.review import prepare
from workbench.promotion.rollback import rollback
from workbench.promotion.status import promotions, status
from workbench.promotion.who import server_in_use
from workbench.sim.langfuse import PUBLIC_KEY, SECRET_KEY

if TYPE_CHECKING:
    from collections.abc import Callable

    from workbench.langfuse.prompts import Remote
    from workbench.promotion.record import Record
    from workbench.sim import StandInLangfuse
    from workbench.verdict import Verdict

PATCH = "PATCH /api/public/v2/prompts/{name}/versions/{version}"


def outside(project: Server) -> int:
    """Somebody in Langfuse's own pages gives production to v2."""
    remote = push(project, wb.load_prompt(f"{NAME}@v2"))
    move_label(project, NAME, remote.number)
    return remote.number


def locked(home: Path) -> tuple[int, str]:
    """Langfuse's number and the hash of what images are built with."""
    lock = json.loads((home / "prompts" / NAME / "production.lock").read_text())
    return lock["langfuse_version"], lock["sha256"]


def unreadable(project: Server) -> int:
    """Somebody in Langfuse's own pages writes a version that no prompt can hold."""
    turns = [{"role": "user", "content": "{{ a.b }}"}]
    request: Any = {"type": "chat", "name": NAME, "prompt": turns, "config": {}, "labels": []}
    return int(project.call("raw", lambda api: api.prompts.create(request=request)).version)


def writes(langfuse: StandInLangfuse) -> dict[str, int]:
    """What was created or changed so far."""
    requests = langfuse.control("stats")["requests"]
    return {route: count for route, count in requests.items() if not route.startswith("GET")}


def test_the_winner_goes_to_production(project: Server, begun: Remote, verdict: Verdict, home: Path) -> None:
    """A promotion gives the label to the very content of the evidence, records it here and in Langfuse, and leaves the
    lock that images are built with."""
    record = promote(verdict, by="Ann", server=project).record
    assert record is not None and record.done and record.action == "promote"
    assert (record.before, record.by, record.source) == (held(begun), "Ann", "simulated")
    assert holders(project, NAME) == (record.after.number,)
    assert pull(project, NAME).sha == wb.load_prompt(f"{NAME}@v4").sha
    assert Chain().records(NAME)[-1] == recorded(project, NAME)[-1] == record
    assert promotions(NAME, server=project).faults == ()
    assert locked(home) == (record.after.number, record.after.sha)
    found = status(NAME, server=project)
    assert not found.outside and found.record == record and found.now == record.after


def test_policy_refuses_with_every_point(
    project: Server, begun: Remote, verdict: Verdict, langfuse: StandInLangfuse, home: Path
) -> None:
    """An unmet policy is refused with every unmet point, and nothing at all was written to Langfuse."""
    write_policy(home, 'approvals = 2\nmin_cases = 100000\ntiers = ["powerful"]\n')
    before = writes(langfuse)
    with pytest.raises(PromotionRefused) as refused:
        promote(verdict, by="Ann", server=project)
    assert len(refused.value.unmet) == 3 and refused.value.exit_code == 5
    assert all(word in str(refused.value) for word in ("approv", "100000", "powerful"))
    assert writes(langfuse) == before


def test_an_override_is_on_record(project: Server, begun: Remote, verdict: Verdict, home: Path) -> None:
    """A policy can be overridden with a reason, which the record tells; a blank reason is none."""
    write_policy(home, "approvals = 2\n")
    with pytest.raises(PromotionRefused):
        promote(verdict, by="Ann", override="  ", server=project)
    record = promote(verdict, by="Ann", override="the old one leaks", server=project).record
    assert record is not None and record.override == "the old one leaks"
    assert "policy overridden: the old one leaks" in str(recorded(project, NAME)[-1])


def test_simulated_evidence_never_moves_a_real_label(
    project: Server, begun: Remote, verdict: Verdict, langfuse: StandInLangfuse
) -> None:
    """Simulated evidence is refused on a server that is no stand-in, with or without an override."""
    with Server(Address(langfuse.url, PUBLIC_KEY, SECRET_KEY)) as real:
        before = writes(langfuse)
        with pytest.raises(PromotionRefused, match="simulated"):
            promote(verdict, override="I want it", by="Ann", server=real)
    assert writes(langfuse) == before
    assert holders(project, NAME) == (begun.number,)


def test_a_dry_run_moves_nothing(project: Server, begun: Remote, verdict: Verdict, langfuse: StandInLangfuse) -> None:
    """A dry run checks everything, says what it found and writes nothing to Langfuse."""
    before = writes(langfuse)
    found = promote(verdict, dry_run=True, by="Ann", server=project)
    assert found.record is None and "nothing was moved" in str(found)
    assert writes(langfuse) == before


def test_a_bundle_from_elsewhere(
    project: Server, begun: Remote, verdict: Verdict, home: Path, tmp_path_factory: Any, monkeypatch: Any
) -> None:
    """A sealed bundle promotes from a workspace that has neither the run nor the verdict."""
    bundle = prepare(verdict, "latest", project, "Ann").evidence.path
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.setenv("WORKBENCH_HOME", str(elsewhere))
    with pytest.raises(PromotionRefused, match="no confirmed verdict"):
        promote(f"{NAME}@v4", by="Bea", server=project)
    record = promote(f"{NAME}@v4", str(bundle), by="Bea", server=project).record
    assert record is not None and record.done and record.by == "Bea"


def test_stale_evidence(project: Server, begun: Remote, verdict: Verdict) -> None:
    """Evidence made against another production than there is now is refused, and what changed is said."""
    prepare(verdict, "latest", project, "Ann")
    outside(project)
    with pytest.raises(PromotionRefused, match="v2") as refused:
        promote(verdict, by="Ann", server=project)
    assert "v3" in str(refused.value)


class Interfered(Server):
    """A real connection beside which, right before its n-th call, somebody does something. Reading an entry of the
    log does not count: entries never change, and there are more of them at every try."""

    def __init__(self, address: Address, at: int, deed: Any) -> None:
        super().__init__(address)
        self.left, self.deed = at, deed

    def call(self, about: str, ask: Any) -> Any:
        """The call, after the deed if it is its turn."""
        if not re.fullmatch(f"the record of moves of prompt {NAME}, entry [0-9]+", about):
            self.left -= 1
            if self.left == 0:
                self.deed()
        return super().call(about, ask)


def test_somebody_else_moves_meanwhile(project: Server, begun: Remote, verdict: Verdict) -> None:
    """Whenever somebody else moves the label during a promotion, it is no silent win: either the promotion fails and
    the label is theirs or back, explained by the record, or it was theirs only afterwards and status says so."""
    prepare(verdict, "latest", project, "Ann")
    theirs = push(project, wb.load_prompt(f"{NAME}@v2")).number
    outcomes = set()
    for at in range(1, 60, 2):
        move_label(project, NAME, begun.number)
        with Interfered(project.address, at, lambda: move_label(project, NAME, theirs)) as meddled:
            try:
                promote(verdict, by="Ann", override="again", server=meddled)
                outcomes.add("done" if holders(project, NAME) != (theirs,) else "moved after")
                assert holders(project, NAME) != (theirs,) or status(NAME, server=project).outside
            except (PromotionFailed, PromotionRefused) as error:
                outcomes.add(type(error).__name__)
                assert holders(project, NAME) in ((theirs,), (begun.number,))
            if meddled.left > 0:
                break  # the promotion was over before its turn came
    assert outcomes >= {"PromotionFailed", "PromotionRefused", "done"}
    assert promotions(NAME, server=project).faults == ()


def test_two_holders_are_put_back(project: Server, begun: Remote, verdict: Verdict, langfuse: StandInLangfuse) -> None:
    """When the server leaves two holders behind, the label goes back to the one before, the promotion fails, and the
    record tells."""
    langfuse.control("settings", {"race": 1})
    with pytest.raises(PromotionFailed, match="put back"):
        promote(verdict, by="Ann", server=project)
    assert holders(project, NAME) == (begun.number,)
    assert recorded(project, NAME)[-1].result == "put back"
    assert not status(NAME, server=project).outside


@pytest.mark.parametrize("fault", [{"close": True}, {"close": True, "done": True}, {"status": 503}, {"status": 429}])
def test_langfuse_goes_away_at_any_step(
    project: Server, begun: Remote, verdict: Verdict, langfuse: StandInLangfuse, fault: dict[str, Any]
) -> None:
    """Whatever the request that fails, nothing is reported that is not so, and the next promotion comes through."""
    prepare(verdict, "latest", project, "Ann")
    routes = [PATCH, "POST /api/public/v2/prompts", "GET /api/public/v2/prompts", "GET /api/public/v2/prompts/{name}"]
    for route in routes:
        for after in (0, 2):
            langfuse.control("faults", [fault | {"route": route, "times": 1, "after": after}])
            try:
                promote(verdict, by="Ann", override="again", server=project)
            except (LangfuseAway, PromotionFailed, PromotionRefused):
                langfuse.control("faults", [])
                promote(verdict, by="Ann", override="again", server=project)
            langfuse.control("faults", [])
            assert holders(project, NAME) != (begun.number,)
            assert not status(NAME, server=project).outside
            rollback(NAME, begun.number, by="Ann", server=project)
    assert promotions(NAME, server=project).faults == ()


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_any_step(
    project: Server, begun: Remote, verdict: Verdict, langfuse: StandInLangfuse, home: Path, when: str
) -> None:
    """A promotion whose process is killed, before or after any of its calls, is finished or taken up by the next one,
    with one record each, here and in Langfuse, and the lock of what holds production."""
    prepare(verdict, "latest", project, "Ann")
    script = Path(__file__).with_name("promoting.py")
    for at in range(1 if when == "before" else 2, 60, 4):
        command = [sys.executable, str(script), langfuse.url, str(at), when]
        dead = subprocess.run(command, capture_output=True, text=True, check=False)
        assert dead.returncode in (0, -signal.SIGKILL), dead.stderr
        if dead.returncode:
            with suppress(PromotionRefused):  # it had come through, and only its record here was missing
                promote(verdict, by="Ann", override="again", server=project)
        assert (locked(home)[0],) == holders(project, NAME) != (begun.number,)
        assert promotions(NAME, server=project).faults == () and not status(NAME, server=project).outside
        known = {record.sha for record in Chain().records(NAME)}
        assert {record.sha for record in recorded(project, NAME)[1:]} <= known
        if not dead.returncode:
            return
        rollback(NAME, begun.number, by="Ann", server=project)
    pytest.fail("no promotion came through")


def test_back_with_nothing_but_the_keys(
    project: Server, begun: Remote, verdict: Verdict, tmp_path_factory: Any, monkeypatch: Any
) -> None:
    """From an empty folder, a rollback finds the previous holder in Langfuse, moves the label, and is recorded."""
    promote(verdict, by="Ann", server=project)
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path_factory.mktemp("empty")))
    record = rollback(NAME, by="Bea", server=project)
    assert record.done and record.after == held(begun) and holders(project, NAME) == (begun.number,)
    assert recorded(project, NAME)[-1] == record
    assert not status(NAME, server=project).outside


def test_back_to_what_is_named(project: Server, begun: Remote, verdict: Verdict) -> None:
    """`to` is a local version or Langfuse's number; what does not exist is refused with the choices, what holds it
    already is refused too."""
    promote(verdict, by="Ann", server=project)
    assert rollback(NAME, "v3", by="Ann", server=project).after.number == begun.number
    assert rollback(NAME, 2, by="Ann", server=project).after.version == "v4"
    with pytest.raises(UsageError, match=r"there are: 1$"):
        rollback(NAME, "v9", by="Ann", server=project)
    with pytest.raises(PromotionRefused, match="already"):
        rollback(NAME, "v4", by="Ann", server=project)


def test_nothing_to_go_back_to(project: Server, verdict: Verdict) -> None:
    """A first promotion says beforehand that it cannot be taken back, and taking it back names the versions."""
    assert "cannot be taken back" in str(prepare(verdict, "latest", project, "Ann"))
    with pytest.warns(UserWarning, match="First promotion.*cannot be taken back"):
        promote(verdict, by="Ann", server=project)
    with pytest.raises(PromotionFailed, match="nothing else was production by the record, and there is no other"):
        rollback(NAME, by="Ann", server=project)
    push(project, wb.load_prompt(f"{NAME}@v2"))
    unreadable(project)
    with pytest.raises(PromotionFailed, match=r'with --to: 2 --override "reason"$'):
        rollback(NAME, by="Ann", server=project)


def test_taken_back_does_not_return_by_itself(project: Server, begun: Remote, verdict: Verdict) -> None:
    """What was taken back is not promoted again on the evidence from before, unless a reason is given."""
    promote(verdict, by="Ann", server=project)
    rollback(NAME, by="Bea", server=project)
    with pytest.raises(PromotionRefused, match="taken back"):
        promote(verdict, by="Ann", server=project)
    assert promote(verdict, by="Ann", override="it was the network", server=project).record is not None


def new_guard(home: Path) -> None:
    """Evidence under another policy is another bundle."""
    write_policy(home, "[guards]\ncategory = 0.5\n")


def no_bundle(home: Path) -> None:
    """Somebody deletes what was sealed."""
    for path in (home / "prompts" / NAME / "promotions").iterdir():
        path.unlink()


def asked_again(home: Path) -> None:
    """The same question once more, answered from the cache, and its bundle anew."""
    asyncio.run(confirm("v4", "v3"))
    no_bundle(home)


def older_bundle(home: Path) -> None:
    """A bundle that does not say when its verdict was confirmed, made after the label was taken back."""
    (path,) = (home / "prompts" / NAME / "promotions").iterdir()
    content = load_evidence(path).content | {"at": "2999-01-01T00:00:00+00:00"}
    del content["verdict"]["share"]["at"]
    path.unlink()
    seal(Evidence.of(content))


@pytest.mark.parametrize("renewed", [new_guard, no_bundle, asked_again, older_bundle])
def test_taken_back_stays_so_on_a_renewed_bundle(
    project: Server, begun: Remote, verdict: Verdict, home: Path, renewed: Callable[[Path], None]
) -> None:
    """What was taken back does not return on a bundle made since, while the verdict in it is from before."""
    promote(verdict, by="Ann", server=project)
    rollback(NAME, by="Bea", server=project)
    renewed(home)
    with pytest.raises(PromotionRefused, match=r"taken back .* by Bea, after its verdict was confirmed"):
        promote(f"{NAME}@v4", by="Ann", server=project)
    assert holders(project, NAME) == (begun.number,)


def test_taken_back_is_remembered_over_later_moves(project: Server, begun: Remote, verdict: Verdict) -> None:
    """Moves of other versions in between do not make a version that was taken back acceptable; its own return does."""
    promote(verdict, by="Ann", server=project)
    rollback(NAME, by="Bea", server=project)
    other = held(push(project, wb.load_prompt(f"{NAME}@v2")))
    assert move(project, Wish(NAME, "promote", held(begun), other, "Cay", holders=(begun.number,))).done
    rollback(NAME, by="Dan", server=project)
    assert "by Bea" in prepare(verdict, "latest", project, "Ann").taken_back
    promote(verdict, by="Ann", override="it was the network", server=project)
    assert prepare(verdict, "latest", project, "Ann").taken_back == ""


def test_taken_back_returns_with_new_answers(project: Server, begun: Remote, verdict: Verdict) -> None:
    """A confirmation whose replies were all asked for anew, after the rollback, knows of it and needs no reason."""
    promote(verdict, by="Ann", server=project)
    rollback(NAME, by="Bea", server=project)
    again = asyncio.run(confirm("v4", "v3", cache="refresh"))
    record = promote(again, by="Ann", server=project).record
    assert record is not None and record.done and record.override is None


def test_moved_outside_the_record(project: Server, begun: Remote, verdict: Verdict) -> None:
    """Status notices a label that moved without a record; rolling back gives it to whoever held it by the record."""
    record = promote(verdict, by="Ann", server=project).record
    outside(project)
    found = status(NAME, server=project)
    assert found.outside and "moved outside" in str(found)
    assert record is not None and rollback(NAME, by="Ann", server=project).after == record.after


def test_rollback_from_two_holders(project: Server, begun: Remote, verdict: Verdict, langfuse: StandInLangfuse) -> None:
    """Two holders, left by two moves at once elsewhere, become one again by a rollback."""
    promote(verdict, by="Ann", server=project)
    langfuse.control("settings", {"race": 1})
    outside(project)
    assert len(holders(project, NAME)) == 2 and status(NAME, server=project).outside
    assert rollback(NAME, "v3", by="Ann", server=project).done
    assert holders(project, NAME) == (begun.number,)


def tampered(lines: list[str]) -> list[list[str]]:
    """A record whose middle line was changed, removed, cut short, and two lines swapped."""
    changed = lines[1].replace("Ann", "Eve")
    return [[lines[0], changed, *lines[2:]], [lines[0], *lines[2:]], [lines[0], lines[1][:50], *lines[2:]], lines[::-1]]


def test_the_chain_shows_what_was_changed(project: Server, begun: Remote, verdict: Verdict) -> None:
    """A line that was changed, removed, cut short or moved is named; an untouched chain holds."""
    promote(verdict, by="Ann", server=project)
    rollback(NAME, by="Ann", server=project)
    rollback(NAME, "v4", by="Ann", server=project)
    chain = Chain()
    lines = chain.path.read_text().splitlines()
    assert chain.faults() == [] and len(lines) >= 3
    for wrong in tampered(lines):
        chain.path.write_text("\n".join(wrong) + "\n")
        assert Chain().faults(), wrong
    chain.path.write_text("\n".join(lines) + "\n")
    assert promotions(NAME, server=project).faults == ()


def test_a_record_that_langfuse_lacks(project: Server, begun: Remote, verdict: Verdict) -> None:
    """A record that somebody deleted in Langfuse is missed."""
    promote(verdict, by="Ann", server=project)
    log = Log(project, NAME)
    project.call("delete", lambda api: api.prompts.delete(log.name.replace("/", "%2F"), version=log.state().number))
    assert any("lacks" in fault for fault in promotions(NAME, server=project).faults)


def test_a_full_disk_does_not_stop_a_rollback(project: Server, begun: Remote, verdict: Verdict, home: Path) -> None:
    """Where nothing can be written, a rollback still moves the label and says that it is not recorded here."""
    promote(verdict, by="Ann", server=project)
    for name in ("promotions.lock", "promotions.jsonl"):
        path = home / ".workbench" / name
        path.unlink()
        path.mkdir()
    with pytest.warns(UserWarning, match="not in this workspace"):
        assert rollback(NAME, by="Ann", server=project).done
    assert holders(project, NAME) == (begun.number,)


def test_nobody_is_asked_without_an_address() -> None:
    """Without settings there is no Langfuse, never a default one, and the message names all that is missing."""
    from workbench.client import Session, use

    use(Session({}))
    try:
        with pytest.raises(SettingsError, match="LANGFUSE_BASE_URL, LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY"):
            server_in_use()
    finally:
        use(None)


def test_applications_get_production(
    project: Server, begun: Remote, verdict: Verdict, caplog: pytest.LogCaptureFixture
) -> None:
    """An application gets what holds production, asks again only when its copy is old, and keeps getting the confirmed
    content while Langfuse is away, with a warning."""
    assert production_prompt(NAME, ttl_s=0, server=project).sha == begun.sha
    record: Record | None = promote(verdict, by="Ann", server=project).record
    assert production_prompt(NAME, ttl_s=1e9, server=project).sha == begun.sha  # its copy is not old yet
    assert record is not None and production_prompt(NAME, ttl_s=0, server=project).sha == record.after.sha
    with Server(Address("http://127.0.0.1:9", "pk-lf-none", "sk-lf-none", stand_in=True)) as away:
        assert production_prompt(NAME, server=away).sha == record.after.sha
    assert "127.0.0.1:9" in caplog.text and "sk-lf-none" not in caplog.text


def test_exit_codes(
    project: Server,
    begun: Remote,
    verdict: Verdict,
    langfuse: StandInLangfuse,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The command line promotes on the server that the settings name: 5 refused, 0 done, 1 moved outside, 1 broken."""
    for name, text in (("BASE_URL", langfuse.url), ("PUBLIC_KEY", PUBLIC_KEY), ("SECRET_KEY", SECRET_KEY)):
        monkeypatch.setenv(f"LANGFUSE_{name}", text)
    write_policy(home, "approvals = 1\n")
    assert run_command(["promote", f"{NAME}@v4", "--by", "Ann"]) == 5
    assert run_command(["review", f"{NAME}@v4", "--approve"]) == 2
    assert run_command(["review", f"{NAME}@v4", "--approve", "--by", "Bea"]) == 0
    assert run_command(["promote", f"{NAME}@v4", "--by", "Ann", "--dry-run"]) == 0
    assert run_command(["promote", f"{NAME}@v4", "--by", "Ann"]) == 0
    assert run_command(["status", NAME]) == run_command(["promotions", NAME]) == run_command(["promotions"]) == 0
    outside(project)
    assert run_command(["status", NAME]) == 1
    assert run_command(["rollback", NAME, "--to", "v3"]) == 0
    assert run_command(["rollback", NAME, "--to", "v99"]) == 2
    assert [run_command([command, "nope"]) for command in ("rollback", "promotions", "status")] == [2, 2, 2]
    assert run_command(["promote", "nope@v1"]) == run_command(["review", f"{NAME}@production"]) == 2
    path = Chain().path
    path.write_text(path.read_text().replace("Bea", "Eve"))
    assert run_command(["promotions"]) == 1
    said = capsys.readouterr()
    assert SECRET_KEY not in said.out + said.err
    assert json.loads(path.read_text().splitlines()[0])["record"]["name"] == NAME
