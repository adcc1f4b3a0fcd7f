"""Policy: read from three places, checked point by point; approvals: who counts."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from promote_parts import FIELDS, NAME, changed, confirm, made, write_policy

import workbench as wb
from workbench.errors import PromotionRefused, SettingsError, UsageError, WorkbenchError
from workbench.promotion.approvals import LONGEST, Approval, approvals, approve, counted, key_of
from workbench.promotion.checking import Checked, check
from workbench.promotion.policy import load_policy

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.langfuse.prompts import Remote
    from workbench.langfuse.server import Server
    from workbench.promotion.evidence import Evidence
    from workbench.sim import StandIn
    from workbench.verdict import Verdict


@pytest.fixture
def evidence(verdict: Verdict, production: Remote, project: Server) -> Evidence:
    """Evidence under the shipped policy."""
    return made(verdict, production, project)


def held_against(home: Path, evidence: Evidence, text: str) -> Checked:
    """The evidence held against a policy written for the prompt."""
    write_policy(home, text)
    return check(load_policy(NAME), evidence, approvals(evidence))


def test_policy_comes_from_three_places(home: Path) -> None:
    """The prompt's own file is over pyproject.toml over what ships, guards add up, and each value says where it is
    from."""
    (home / "pyproject.toml").write_text(
        "[tool.workbench.promotion]\napprovals = 2\nmargin = 0.01\nguards = {tone = 0.1, length = 0.2}\n"
    )
    write_policy(home, "margin = 0\n[guards]\ntone = 0.05\n")
    policy = load_policy(NAME)
    assert (policy.verdict, policy.approvals, policy.margin) == ("not_worse", 2, 0)
    assert policy.guards == {"tone": 0.05, "length": 0.2}
    assert policy.origins["verdict"] == "shipped default"
    assert "pyproject" in policy.origins["approvals"]
    assert policy.origins["guards.tone"] == f"prompts/{NAME}/promotion.toml"
    assert "margin = 0  (prompts/ticket-triage/promotion.toml)" in str(policy)
    assert "promotion.toml" in policy._repr_html_()
    assert load_policy("another").guards == {"tone": 0.1, "length": 0.2}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("aprovals = 1", "did you mean 'approvals'"),
        ("approvals = true", "whole number"),
        ("approvals = -1", "whole number"),
        ("approvals = 1.5", "whole number"),
        ('verdict = "worse"', '"better" or "not_worse"'),
        ("verdict = [1]", '"better" or "not_worse"'),
        ("margin = -0.1", "number, 0 or more"),
        ("margin = nan", "number, 0 or more"),
        ("min_cases = 0", "whole number, 1"),
        ('max_cost_increase = "20%"', "a share such as 0.2"),
        ("author_may_approve = 1", "true or false"),
        ('tiers = "fast"', "a list of tiers"),
        ('tiers = ["fsat"]', "no tier named 'fsat': did you mean 'fast'"),
        ('tiers = ["fast", "opneai:fast"]', "did you mean 'openai'"),
        ("guards = 3", "a table of metric"),
        ("[guards]\ntone = true", "a table of metric"),
        ("metric = 3", "the name of a metric"),
        ("approvals = = 1", "cannot be read as TOML"),
    ],
)
def test_wrong_policy_is_named(home: Path, text: str, said: str) -> None:
    """An unknown key or a value of a wrong kind is an error that names the place and what may stand there."""
    write_policy(home, text)
    with pytest.raises(SettingsError, match=said) as caught:
        load_policy(NAME)
    assert "promotion.toml" in str(caught.value)


def test_shipped_policy_is_met(home: Path, evidence: Evidence) -> None:
    """A confirmed "better" on enough cases meets what ships."""
    checked = check(load_policy(NAME), evidence, ())
    assert checked.met
    assert checked.unmet == ()
    assert str(checked).count("✔") == len(checked.points) == 3
    assert "✔" in checked._repr_html_()


@pytest.mark.parametrize(
    ("met", "unmet", "said"),
    [
        ('metric = "json_fields"', 'metric = "category"', "confirm with metric category"),
        ("min_cases = 166", "min_cases = 167", "at least 167 cases: 166; add unseen test cases"),
        ("max_cost_increase = 0.5", "max_cost_increase = 0.4", "at most 40% on sim-openai-fast: +44 %; shorten"),
        ('tiers = ["fast"]', 'tiers = ["balanced"]', "on balanced: not tried there; confirm with models that include"),
        ('tiers = ["openai:fast"]', 'tiers = ["anthropic:fast"]', "not tried there"),
        ("approvals = 0", "approvals = 1", "1 approval: 0 of 1; ask somebody"),
        ("guards = {}", "guards = {tone = 0.1}", "guard tone: not worse beyond 0.1: not measured"),
        ("guards = {json_fields = 0.1}", "guards = {category = 0.1}", "not measured in this evidence"),
    ],
)
def test_each_point_is_met_or_says_its_cure(home: Path, evidence: Evidence, met: str, unmet: str, said: str) -> None:
    """Every point of a policy can be met, and where it is not it says what was found and what to do."""
    assert held_against(home, evidence, met).met
    checked = held_against(home, evidence, unmet)
    assert not checked.met
    assert said in checked.unmet[0]


def test_outcomes_and_margins(server: StandIn, project: Server, home: Path) -> None:
    """ "not worse" meets a policy that asks for it and no other; a wider margin than allowed does not; "worse" never
    does."""
    asked = {"margin": 0.05, "models": "openai:gpt-6-luna"}
    back = made(asyncio.run(confirm("v3", "v4", **asked)), None, project)
    checked = held_against(home, back, 'verdict = "better"\nmargin = 0.01')
    assert "confirmed, worse; see why" in checked.unmet[0]
    assert "margin of at most 0.01: 0.05; confirm with --margin 0.01 or less" in checked.unmet[1]
    part = {**back.content["verdict"]["verdicts"][0], "outcome": "not_worse"}
    level = changed(back, verdict={**back.content["verdict"], "verdicts": [part]})
    assert held_against(home, level, 'verdict = "not_worse"').met
    assert not held_against(home, level, 'verdict = "better"').met
    unsure = changed(back, verdict={**back.content["verdict"], "verdicts": [{**part, "outcome": "unsure"}]})
    assert "add unseen test cases" in held_against(home, unsure, 'verdict = "not_worse"').unmet[0]
    explored = changed(level, verdict={**level.content["verdict"], "kind": "exploratory"})
    assert not held_against(home, explored, 'verdict = "not_worse"').met


def test_all_unmet_points_are_listed(home: Path, evidence: Evidence) -> None:
    """A policy that is not met lists everything at once, not the first point alone."""
    text = 'metric = "priority"\nmin_cases = 500\nmax_cost_increase = 0\napprovals = 2\n'
    text += 'tiers = ["powerful"]\nguards = {a = 0}'
    assert len(held_against(home, evidence, text).unmet) == 6


def test_tiers_must_each_hold(server: StandIn, production: Remote, project: Server, home: Path) -> None:
    """A tier is met when every part of the verdict on it fulfils the policy."""
    verdict = asyncio.run(confirm("v4", "v3", models="fast,balanced", providers="openai"))
    both = made(verdict, production, project)
    assert held_against(home, both, 'tiers = ["fast", "balanced"]').met
    parts = [dict(part) for part in both.content["verdict"]["verdicts"]]
    parts[1]["outcome"] = "unsure"
    half = changed(both, verdict={**both.content["verdict"], "verdicts": parts})
    checked = held_against(home, half, 'tiers = ["fast", "balanced"]')
    assert len(checked.unmet) == 2
    assert "it holds on balanced: not sure yet" in checked.unmet[1]


def test_guards_hold_or_do_not(server: StandIn, production: Remote, project: Server, home: Path) -> None:
    """A guard is met when it is not worse beyond its margin; one that got worse is not, whatever the verdict says; one
    judged with a wider margin must be judged again."""
    write_policy(home, "[guards]\nbrief = 0.0\ncategory = 0.05\n")
    fields = [FIELDS, wb.scorer(brief, bounds=(0.0, 1.0))]
    verdict = asyncio.run(confirm("v4", "v3", scorers=fields))
    evidence = made(verdict, production, project)
    checked = check(load_policy(NAME), evidence, ())
    assert [point.met for point in checked.points if point.what.startswith("guard")] == [False, True]
    assert "guard brief: not worse beyond 0: worse; change the prompt" in checked.unmet[0]
    assert (
        "wider margin, 0.05; make the evidence again"
        in held_against(home, evidence, "guards = {category = 0}").unmet[0]
    )


def brief(case: wb.Case, reply: wb.Reply) -> bool:
    """Whether an answer does not reason: v4 is told to."""
    return not reply.text.startswith(("The customer", "There is", "From what"))


def test_unknown_cost_is_not_met(home: Path, evidence: Evidence) -> None:
    """Where the cost is unknown a limit on it is not met; costs from nothing are an infinite increase."""
    (cost,) = evidence.content["costs"]
    unknown = changed(evidence, costs=[{**cost, "increase": None, "usd_per_1000": None}])
    assert "unknown, and unknown is not free" in held_against(home, unknown, "max_cost_increase = 9").unmet[0]
    assert held_against(home, unknown, "max_cost_increase = inf").met
    free = changed(evidence, costs=[{**cost, "increase": "inf"}])
    assert "from nothing" in held_against(home, free, "max_cost_increase = 9").unmet[0]


def test_model_without_price_has_unknown_cost(server: StandIn, project: Server, home: Path) -> None:
    """A model without a price makes a bundle that says the cost is unknown, not zero; rows that are changed afterwards
    make none."""
    verdict = asyncio.run(confirm("v4", "v3", models="openai:a-model-of-no-price"))
    assert made(verdict, None, project).content["costs"][0]["increase"] is None
    path = wb.load_report(verdict.run_id).folder / "rows.jsonl"
    rows = [json.loads(line) | {"cost_usd": 0.1} for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(PromotionRefused, match="no longer give the verdict"):
        made(verdict, None, project)


def test_approvals_count_people(evidence: Evidence, home: Path) -> None:
    """Each person counts once however the name is spelled, and the author only where the policy says so."""
    for name in ("Bob Builder", " bob  BUILDER ", "Cleo", "Ann  author"):
        approve(evidence, name)
    given = approvals(evidence)
    assert sorted(one.by for one in given) == ["Ann author", "Bob Builder", "Cleo"]
    assert held_against(home, evidence, "approvals = 2").met
    checked = held_against(home, evidence, "approvals = 3")
    assert "2 of 3: " in checked.unmet[0]
    assert "Ann Author made the evidence, so that approval does not count" in checked.unmet[0]
    assert held_against(home, evidence, "approvals = 3\nauthor_may_approve = true").met


def test_approval_of_other_evidence_does_not_count(evidence: Evidence, home: Path) -> None:
    """An approval holds for one sealed bundle; moved beside another, it counts for nothing."""
    approve(evidence, "Bob")
    other = changed(evidence, at="2026-01-01T00:00:00+00:00")
    assert approvals(other) == ()
    (path,) = evidence.path.parent.glob("*.approved-by-*")
    moved = path.with_name(path.name.replace(evidence.stem, other.stem))
    path.rename(moved)
    assert approvals(other) == approvals(evidence) == ()
    assert counted(other, [Approval("Bob", evidence.sha, "")], author_counts=True) == ()


@pytest.mark.parametrize(
    "name", ["../../../etc/passwd", "<script>alert(1)</script>", 'a\\b:c*?"|', "Zoë O'Neill", "李雷"]
)
def test_strange_names_stay_names(evidence: Evidence, home: Path, name: str) -> None:
    """A name may hold any visible character; its file stays beside the evidence, and its name is plain."""
    approve(evidence, name)
    (path,) = evidence.path.parent.glob("*.approved-by-*")
    assert path.name.isascii()
    assert not set(path.name) & set('<>\\:*?"|/ ')
    assert [one.by for one in approvals(evidence)] == [name]


@pytest.mark.parametrize(
    "name", ["", "  ", "\u200d", "x" * 10_000, "Bob\u202egnp.exe", "a\x00b", "a\x1b[31mb", "\ud800"]
)
def test_hostile_names_are_refused(evidence: Evidence, name: str) -> None:
    """No name, a name of 10,000 characters, and names with control, right-to-left or broken characters are refused,
    also when they stand in a file."""
    with pytest.raises(UsageError):
        approve(evidence, name)
    path = evidence.path.parent / f"{evidence.stem}.approved-by-x.json"
    path.write_text(json.dumps({"by": name, "evidence_sha256": evidence.sha, "at": "2026"}))
    with pytest.raises(PromotionRefused, match="restore the file or delete it"):
        approvals(evidence)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"by": 1, "evidence_sha256": 2, "at": 3}', '{"by": null}'])
def test_broken_approval_is_named(evidence: Evidence, text: str) -> None:
    """A file that is no approval is named and not passed over: somebody may believe that it counts."""
    path = evidence.path.parent / f"{evidence.stem}.approved-by-x.json"
    path.write_text(text)
    with pytest.raises(PromotionRefused, match=path.name):
        approvals(evidence)


@given(st.text(max_size=LONGEST))
def test_key_ignores_case_and_space(name: str) -> None:
    """However a name is spaced, it is the same person."""
    assert key_of(name) == key_of(f" {name} ") == key_of(" ".join(name))


def test_two_approve_at_once(evidence: Evidence) -> None:
    """Approvals by several people and twice by one at the same moment all arrive, once each."""
    names = [f"Person {n % 5}" for n in range(20)]
    failed: list[WorkbenchError] = []

    def one(name: str) -> None:
        try:
            approve(evidence, name)
        except WorkbenchError as error:
            failed.append(error)

    crew = [threading.Thread(target=one, args=(name,)) for name in names]
    for worker in crew:
        worker.start()
    for worker in crew:
        worker.join()
    assert failed == []
    assert len(approvals(evidence)) == 5
