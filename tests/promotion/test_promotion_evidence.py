"""Evidence: gathered from a confirmed verdict, sealed, found again, refused when it does not hold."""

from __future__ import annotations

import asyncio
import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from promote_parts import FIELDS, NAME, changed, confirm, made, write_policy

import workbench as wb
from workbench.datasets import append_case
from workbench.errors import PromotionRefused, UsageError, VerdictError
from workbench.experiment.kept import kept_verdicts
from workbench.langfuse.prompts import move_label, pull, push
from workbench.promotion.checking import check
from workbench.promotion.evidence import Evidence, faults, find_evidence, load_evidence, seal
from workbench.promotion.gathering import find_verdict, gather, latest_evidence
from workbench.promotion.policy import load_policy
from workbench.records import Case, canonical
from workbench.scorers.text import last_json_object
from workbench.verdict import Change, PairVerdict, Verdict
from workbench.verdict.records import WORDS, in_words

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.langfuse.prompts import Remote
    from workbench.langfuse.server import Server
    from workbench.sim import StandIn

numbers = st.floats(allow_nan=False)
changes = st.none() | st.builds(Change, numbers, numbers, numbers)
parts = st.builds(
    PairVerdict, candidate=st.text(), baseline=st.text(), held=st.text(), outcome=st.sampled_from(sorted(WORDS)),
    basis=st.text(), alpha=numbers, difference=numbers, low=numbers, high=numbers, n=st.integers(0),
    p_value=st.none() | numbers, flips_better=st.integers(0), cost_per_1000=changes, latency=changes,
    more_cases=st.none() | st.integers(0), more_usd=st.none() | numbers, reason=st.text(),
)  # fmt: skip
verdicts = st.builds(
    Verdict, candidate=st.text(), baseline=st.text(), metric=st.text(), margin=numbers,
    parts=st.lists(parts, min_size=1, max_size=3).map(tuple), kind=st.sampled_from(["exploratory", "confirmed"]),
    run_id=st.text(), dataset=st.text(), looks=st.integers(0), variants=st.integers(0),
    notes=st.lists(st.text(), max_size=2).map(tuple),
)  # fmt: skip


@given(verdicts)
def test_verdict_survives_json(verdict: Verdict) -> None:
    """Any verdict is the same after canonical JSON and back, infinite limits included."""
    assert Verdict.from_json(json.loads(canonical(in_words(verdict.to_json())))) == verdict
    assert Verdict.from_json(verdict.to_json()) == verdict


def test_nan_survives_json() -> None:
    """A difference that nobody knows stays unknown."""
    part = PairVerdict("a", "b", "", "unsure", "none", 0.05, math.nan, -math.inf, math.inf, 0)
    again = Verdict.from_json(in_words(Verdict("a", "b", "m", 0.0, (part,)).to_json()))
    assert math.isnan(again.parts[0].difference)
    assert (again.parts[0].low, again.parts[0].high) == (-math.inf, math.inf)


@pytest.mark.parametrize("broken", [{}, {"margin": "much"}, {"verdicts": [{"outcome": "great"}]}, {"verdicts": 3}])
def test_broken_verdict_is_refused(broken: dict) -> None:
    """What is no verdict is said to be none."""
    good = Verdict("a", "b", "m", 0.0, (), run_id="r").to_json()
    with pytest.raises(VerdictError, match="no verdict"):
        Verdict.from_json(good | broken if broken else {})


def test_confirmation_keeps_its_verdict(verdict: Verdict) -> None:
    """What a confirmation said is kept beside its rows with the share it took; asked again it stays one file."""
    (kept,) = kept_verdicts()
    assert kept.verdict == verdict
    assert (kept.account, kept.k, kept.alpha) == (1, 1, 0.025)
    asyncio.run(confirm("v4", "v3"))
    assert len(kept_verdicts()) == 1
    assert find_verdict(NAME, "v4")[0] == verdict == find_verdict(NAME)[0]
    with pytest.raises(PromotionRefused, match="no confirmed verdict on ticket-triage@v2"):
        find_verdict(NAME, "v2")


def test_newest_verdict_is_found(verdict: Verdict) -> None:
    """Of several confirmed verdicts on a version the newest one is found."""
    second = asyncio.run(confirm("v4", "v2"))
    assert find_verdict(NAME, "v4")[0] == second != verdict


def test_evidence_says_what_it_rests_on(verdict: Verdict, production: Remote, project: Server, home: Path) -> None:
    """The bundle names content, production, dataset, run, models, verdict, metrics, costs, maker and versions, and
    nothing of this machine."""
    evidence = made(verdict, production, project)
    content = evidence.content
    assert content["candidate"]["sha"] == wb.load_prompt(f"{NAME}@v4").sha
    assert content["production"] | {"server": project.identity} == content["production"]
    assert (content["production"]["number"], content["production"]["local_version"]) == (production.number, "v3")
    assert "{+" in content["diff"]
    assert content["dataset"] == {
        "name": "tickets",
        "sha": wb.load_dataset("tickets").sha,
        "split": "test",
        "cases": 166,
    }
    assert evidence.verdict == verdict
    assert content["verdict"]["share"]["alpha"] == 0.025
    assert content["other_metrics"].keys() == {"category", "priority"}
    (cost,) = content["costs"]
    change = verdict.parts[0].cost_per_1000
    assert cost["usd_per_1000"]["candidate"] - cost["usd_per_1000"]["baseline"] == pytest.approx(change.difference)
    assert (content["source"], content["by"], content["variants"]) == ("simulated", "Ann Author", 2)
    assert content["versions"]["langfuse"] == "5.0.4"
    assert str(home) not in evidence.path.read_text()
    assert load_evidence(evidence.path) == evidence


def test_latest_evidence_is_used_again(verdict: Verdict, production: Remote, project: Server) -> None:
    """The same verdict against the same production is sealed once, so that approvals stay attached; a policy with a new
    guard makes new evidence."""
    policy = load_policy(NAME)
    first = latest_evidence(verdict, production, project.identity, "Ann", policy)
    assert latest_evidence(verdict, production, project.identity, "Bob", policy) == first
    asyncio.run(confirm("v4", "v3"))
    assert latest_evidence(find_verdict(NAME)[0], production, project.identity, "Bob", policy).sha == first.sha
    guarded = replace(policy, guards={"category": 0.02})
    other = latest_evidence(verdict, production, project.identity, "Ann", guarded)
    assert other.sha != first.sha
    assert find_evidence(NAME, "v4").sha == other.sha
    assert find_evidence(NAME, "v4", first.path).sha == first.sha
    assert find_evidence(NAME, "v9") is None


def test_only_confirmed_versions_make_evidence(server: StandIn, project: Server) -> None:
    """Exploratory verdicts, drafts, models and arms are refused with the cure."""
    policy = load_policy(NAME)
    refs = [f"{NAME}@v3", f"{NAME}@v4"]
    exp = wb.Experiment("p", refs, "tickets", "fast,balanced", FIELDS, providers="openai")
    report = asyncio.run(exp.run(sample=30))
    with pytest.raises(PromotionRefused, match="exploratory: confirm it"):
        gather(report.compare(*refs), None, project.identity, "Ann", policy)
    tiers = asyncio.run(exp.confirm("openai:balanced", "openai:fast"))
    arms = asyncio.run(exp.confirm(f"{refs[1]} × openai:fast", f"{refs[0]} × openai:fast"))
    for verdict in (tiers, arms):
        with pytest.raises(PromotionRefused, match="only a prompt version"):
            gather(verdict, None, project.identity, "Ann", policy)
    with pytest.raises(PromotionRefused, match="no confirmed verdict"):
        find_verdict(NAME, "v4")
    draft = wb.load_prompt(refs[0]).edit("Answer with", "Think, then answer with")
    with pytest.raises(PromotionRefused, match="is a draft"):
        gather(asyncio.run(exp.confirm(draft, refs[0])), None, project.identity, "Ann", policy)


def test_verdict_made_by_hand_is_refused(verdict: Verdict, project: Server) -> None:
    """A verdict that no confirmation kept, or that its rows do not give, makes no evidence; nor does one without its
    run."""
    policy = load_policy(NAME)
    forged = replace(verdict, parts=(replace(verdict.parts[0], difference=0.9),))
    with pytest.raises(PromotionRefused, match="keeps no such confirmed verdict"):
        gather(forged, None, project.identity, "Ann", policy)
    rows = wb.load_report(verdict.run_id).folder / "rows.jsonl"
    lines = [json.loads(line) for line in rows.read_text().splitlines()]
    better = [row | {"scores": dict.fromkeys(row["scores"], row["version"] == "v4")} for row in lines]
    rows.write_text("".join(json.dumps(row) + "\n" for row in better))
    with pytest.raises(PromotionRefused, match="no longer give the verdict"):
        gather(verdict, None, project.identity, "Ann", policy)
    (rows.parent / "plan.json").unlink()
    with pytest.raises(PromotionRefused, match="not in this workspace"):
        gather(verdict, None, project.identity, "Ann", policy)


def test_edited_evidence_is_refused(verdict: Verdict, production: Remote, project: Server) -> None:
    """A sealed bundle that was edited by hand or cut short is refused, and sealing again does not overwrite it."""
    evidence = made(verdict, production, project)
    text = evidence.path.read_text()
    evidence.path.write_text(text.replace('"Ann Author"', '"Bob"'))
    with pytest.raises(PromotionRefused, match="edited by hand or cut short"):
        load_evidence(evidence.path)
    with pytest.raises(PromotionRefused, match="edited by hand"):
        seal(evidence)
    with pytest.raises(PromotionRefused, match="edited by hand"):
        find_evidence(NAME, "v4", evidence.path)
    for broken in (text[:-100], "[]", "NaN", '{"evidence": 3}', "\x00", "{" * 100_000):
        evidence.path.write_text(broken)
        with pytest.raises(UsageError, match="Restore the file, or delete it"):
            load_evidence(evidence.path)
    with pytest.raises(UsageError, match="cannot be read"):
        load_evidence(evidence.path.parent / "nothing.json")


def test_a_damaged_bundle_is_left_out(verdict: Verdict, production: Remote, project: Server) -> None:
    """One bundle that was edited, cut short or is no bundle keeps nobody from the others, nor from sealing a new one;
    it is named, with what to do about it."""
    evidence, policy = made(verdict, production, project), load_policy(NAME)
    text = evidence.path.read_text()
    stray = evidence.path.with_name("v4-000000000000.json")
    for path, broken in ((stray, "{"), (evidence.path, text.replace('"Ann Author"', '"Bob"')), (stray, text[:-100])):
        path.write_text(broken)
        with pytest.warns(UserWarning, match=rf"left out: .*{path.name}.*Restore the file, or delete it"):
            again = latest_evidence(verdict, production, project.identity, "Ann", policy)
        assert again.says_the_same(evidence) and again.path != path
        path.write_text(text)
        stray.unlink(missing_ok=True)


def test_rehashed_nonsense_is_refused(verdict: Verdict, production: Remote, project: Server) -> None:
    """A right hash over parts that are missing, or over another prompt than it claims, is refused all the same."""
    evidence = made(verdict, production, project)
    other = {**evidence.content["candidate"], "template": "Something else"}
    without = {key: value for key, value in evidence.content.items() if key != "run"}
    broken = [changed(evidence, verdict=3), changed(evidence, run=3), Evidence.of(without)]
    for content in [changed(evidence, candidate=other), *broken]:
        error = UsageError if content in broken else PromotionRefused
        evidence.path.write_text(json.dumps({"evidence": content.content, "sha256": content.sha}))
        with pytest.raises(error):
            load_evidence(evidence.path)


def test_sound_evidence_has_no_faults(verdict: Verdict, production: Remote, project: Server) -> None:
    """Evidence for this content, dataset, server and production holds."""
    evidence = made(verdict, production, project)
    assert faults(evidence, wb.load_prompt(f"{NAME}@v4"), production, project.identity, stand_in=True) == []


def test_other_content_dataset_or_server_is_a_fault(
    verdict: Verdict, production: Remote, project: Server, home: Path
) -> None:
    """Evidence for another content, another version, a changed dataset or another server does not hold, and says so."""
    evidence = made(verdict, production, project)
    v4 = wb.load_prompt(f"{NAME}@v4")

    def found(prompt=v4, server=project.identity) -> str:
        (said,) = faults(evidence, prompt, production, server, stand_in=True)
        return said

    assert "its file has changed since" in found(replace(v4, config={"max_tokens": 5}))
    assert "ticket-triage@v2 has content" in found(wb.load_prompt(f"{NAME}@v2"))
    assert "not for invoice-fields" in found(wb.load_prompt("invoice-fields"))
    assert "made against" in found(server="https://elsewhere#p2")
    folder = home / "datasets"
    folder.mkdir()
    lines = [{"id": c.id, "inputs": dict(c.inputs), "expected": c.expected, "tags": list(c.tags), "split": c.split}
             for c in wb.load_dataset("tickets")]  # fmt: skip
    (folder / "tickets.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert faults(evidence, v4, production, project.identity, stand_in=True) == []
    append_case(folder / "tickets.jsonl", Case("new", {"ticket": "?"}, {"category": "app", "priority": "low"}))
    assert "dataset tickets has changed" in found()
    gone = changed(evidence, dataset={**evidence.content["dataset"], "name": "gone"})
    assert "cannot be read here" in faults(gone, v4, production, project.identity, stand_in=True)[0]


def test_stale_evidence_says_what_changed(verdict: Verdict, production: Remote, project: Server) -> None:
    """Evidence made before production moved says from which version to which it moved."""
    evidence = made(verdict, production, project)
    move_label(project, NAME, push(project, wb.load_prompt(f"{NAME}@v2")).number)
    now = pull(project, NAME)
    (said,) = faults(evidence, wb.load_prompt(f"{NAME}@v4"), now, project.identity, stand_in=True)
    assert "it was v3, version 1 in Langfuse and is v2, version 2 in Langfuse" in said
    first = made(verdict, None, project)
    (said,) = faults(first, wb.load_prompt(f"{NAME}@v4"), now, project.identity, stand_in=True)
    assert "it was nothing and is v2" in said


def test_baseline_must_be_production(server: StandIn, production: Remote, project: Server) -> None:
    """A verdict against another version than production is a fault; before the first promotion any baseline will do."""
    verdict = asyncio.run(confirm("v4", "v2"))
    v4 = wb.load_prompt(f"{NAME}@v4")
    (said,) = faults(made(verdict, production, project), v4, production, project.identity, stand_in=True)
    assert "compares with ticket-triage@v2" in said
    assert "ticket-triage@production" in said
    first = made(verdict, None, project)
    assert first.is_first
    assert faults(first, v4, None, project.identity, stand_in=True) == []


def test_simulated_evidence_moves_no_real_label(verdict: Verdict, production: Remote, project: Server) -> None:
    """On a server that is no stand-in, simulated evidence is a fault whatever else holds."""
    evidence = made(verdict, production, project)
    (said,) = faults(evidence, wb.load_prompt(f"{NAME}@v4"), production, project.identity, stand_in=False)
    assert "simulated" in said
    assert "override" in said


def test_guards_are_judged_at_their_margin(verdict: Verdict, production: Remote, project: Server, home: Path) -> None:
    """A guard is judged on the same rows, at the confirmation's level and its own margin; one that was not scored is
    left out of the evidence."""
    write_policy(home, "[guards]\ncategory = 0.02\ncolour = 0.1\n")
    content = made(verdict, production, project).content
    assert content["guards"].keys() == {"category"}
    (part,) = content["guards"]["category"]["verdicts"]
    assert (content["guards"]["category"]["margin"], part["alpha"]) == (0.02, 0.025)
    report = wb.load_report(verdict.run_id)
    alone = report.compare(f"{NAME}@v4", f"{NAME}@v3", "category", 0.02).parts[0]
    assert part["difference"] == alone.difference
    assert content["other_metrics"].keys() == {"priority"}


def test_guards_have_the_direction_of_their_scorer(
    server: StandIn, production: Remote, project: Server, home: Path
) -> None:
    """A guard on what a mapping without declared names gives is judged as its scorer declares: what rises where lower
    is better is worse. Where two scorers may have given it, it is not judged, and the policy's point is not met."""

    @wb.scorer(higher_is_better=False, bounds=(0.0, 1.0))
    def harm(case: wb.Case, reply: wb.Reply) -> dict[str, bool]:
        return {"right": last_json_object(reply.text) == case.expected}

    @wb.scorer(bounds=(0.0, 1.0))
    def good(case: wb.Case, reply: wb.Reply) -> dict[str, bool]:
        return {"wrong": last_json_object(reply.text) != case.expected}

    write_policy(home, "[guards]\nright = 0.01\n")
    content = made(asyncio.run(confirm("v4", "v3", scorers=[FIELDS, harm])), production, project).content
    assert content["guards"]["right"]["outcome"] == "worse"
    either = made(asyncio.run(confirm("v4", "v3", scorers=[FIELDS, harm, good])), production, project)
    assert either.content["guards"] == {} and either.content["other_metrics"]["wrong"] is None
    (point,) = [one for one in check(load_policy(NAME), either, ()).points if "guard right" in one.what]
    assert not point.met and "@wb.scorer(metrics=['right']" in point.cure


def test_another_process_makes_the_same_evidence(project: Server, verdict: Verdict, home: Path) -> None:
    """A verdict that was confirmed in one process is the same to the last digit when another process judges its rows
    again, whatever order its sets have."""
    code = (
        "import json, sys; from workbench.promotion.gathering import find_verdict, _judged, _kept\n"
        f"verdict, report = find_verdict({NAME!r}, 'v4')\n"
        "again = _judged(report, verdict, verdict.metric, verdict.margin, _kept(verdict).alpha)\n"
        "print(json.dumps(again.to_json(), sort_keys=True))"
    )
    said = set()
    for seed in "123456":
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        said.add(done.stdout)
    assert said == {json.dumps(verdict.to_json(), sort_keys=True) + "\n"}


def test_one_more_name_changes_no_evidence(project: Server, production: Remote, verdict: Verdict, home: Path) -> None:
    """A run that learns what production was keeps its evidence, and with it the approvals."""
    before = made(verdict, production, project)
    path = wb.load_report(verdict.run_id).folder / "plan.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"aliases": {f"{NAME}@production": f"{NAME}@v3"}}))
    policy = load_policy(NAME)
    assert latest_evidence(verdict, production, project.identity, "Ann Author", policy).sha == before.sha
    path.write_text(json.dumps(json.loads(path.read_text()) | {"trials": 1}))
    assert not gather(verdict, production, project.identity, "Ann Author", policy).says_the_same(before)
