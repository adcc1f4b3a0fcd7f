"""Gathering evidence: from a confirmed verdict, its run and what production is now to one bundle of plain data."""

from __future__ import annotations

import hashlib
import math
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from platform import python_version
from typing import TYPE_CHECKING, Any

from workbench.errors import PromotionRefused, ReportError
from workbench.experiment.kept import Kept, kept_verdicts
from workbench.promotion.evidence import Evidence, seal, sealed_evidence
from workbench.promotion.layout import SCHEMA
from workbench.prompts import Prompt
from workbench.records import canonical, sha256
from workbench.report import Report, load_report
from workbench.verdict.records import Verdict, in_words

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from workbench.langfuse.prompts import Remote
    from workbench.promotion.policy import Policy

COST_KNOWN = 0.9
"""Share of the cases whose price must be known before anything is said about a change of cost."""

_PACKAGES = {
    "workbench": "prompt-workbench",
    "anthropic": "anthropic",
    "openai": "openai",
    "ollama": "ollama",
    "langfuse": "langfuse",
}


def find_verdict(name: str, version: str | None = None) -> tuple[Verdict, Report]:
    """The newest confirmed verdict of this workspace on that prompt version, or on any version of the prompt, with its
    run. Raises PromotionRefused when there is none."""
    for kept in kept_verdicts():
        prompt, _, found = kept.verdict.candidate.partition("@")
        if prompt == name and "×" not in found and version in (None, found):
            return kept.verdict, _report(kept.verdict)
    ref = f"{name}@{version}" if version else name
    raise PromotionRefused(
        f"no confirmed verdict on {ref} in this workspace: run `workbench confirm {ref} --candidate {ref} --baseline "
        f"{name}@production ...`, or give a sealed bundle: --evidence FILE"
    )


def latest_evidence(verdict: Verdict, production: Remote | None, server: str, by: str, policy: Policy) -> Evidence:
    """The sealed bundle of this verdict: one that says the same is used again, so that its approvals stay attached;
    else a new one is made. Raises PromotionRefused, StorageError."""
    made = gather(verdict, production, server, by, policy)
    same = [one for one in sealed_evidence(made.name, made.version) if made.says_the_same(one)]
    return max(same, key=lambda one: str(one.content["at"])) if same else seal(made)


def gather(verdict: Verdict, production: Remote | None, server: str, by: str, policy: Policy) -> Evidence:
    """Evidence for making the verdict's candidate production, not sealed yet.

    `production`: what holds the label now, None before the first promotion; `server`: identity of the Langfuse project;
    `by`: who makes it, a claim. The verdict is judged again from its rows. Raises PromotionRefused for an exploratory
    verdict, a candidate that is no saved prompt version, a run that is not here, and rows that say something else.
    """
    if verdict.kind != "confirmed":
        raise PromotionRefused(
            f"the verdict on {verdict.candidate} is {verdict.kind}: confirm it on unseen test cases, "
            f"await exp.confirm({verdict.candidate!r}, {verdict.baseline!r})"
        )
    report = _report(verdict)
    candidate = _candidate(verdict, report)
    kept = _kept(verdict)
    again = _judged(report, verdict, verdict.metric, verdict.margin, kept.alpha)
    if in_words(again.to_json()) != in_words(verdict.to_json()):
        raise PromotionRefused(
            f"the rows or labels of run {report.run_id} no longer give the verdict that was confirmed: confirm again"
        )
    return Evidence.of(
        {
            "schema": SCHEMA,
            "name": candidate.name,
            "candidate": _content(candidate) | {"version": candidate.version},
            "baseline": _baseline(verdict, report),
            "server": server,
            "by": by,
            "at": datetime.now(UTC).isoformat(timespec="microseconds"),
            "versions": _versions(),
        }
        | _against(production, candidate, server)
        | _about_run(report, verdict)
        | _measured(report, verdict, kept, policy.guards)
    )


def _about_run(report: Report, verdict: Verdict) -> dict[str, Any]:
    identity = report.plan["identity"]
    arms = {arm["model"]: arm for _, arm, _ in _pairs(report, verdict)}
    return {
        "dataset": {
            "name": report.plan["dataset"]["name"],
            "sha": identity["dataset"],
            "split": identity["split"],
            "cases": len(report.cases),
        },
        "run": {
            "id": report.run_id,
            "rows_sha256": file_sha(report.folder / "rows.jsonl"),
            # without the aliases: a run that is asked for by one more name is the same run
            "plan_sha256": sha256(canonical({k: v for k, v in report.plan.items() if k != "aliases"})),
        },
        "models": [{name: arm[name] for name in ("model", "provider", "tier")} for arm in arms.values()],
        "judges": _judges(report),
        "variants": verdict.variants,
        "looks": verdict.looks,
        "source": report.source,
    }


def _measured(report: Report, verdict: Verdict, kept: Kept, guards: Mapping[str, float]) -> dict[str, Any]:
    """The verdict, every guard at its margin, every other metric, and what it costs; on the same rows at the same
    level: all guards must hold, which needs no correction."""
    others = [metric for metric in report.metrics if metric != verdict.metric and metric not in guards]
    share = {"account": kept.account, "k": kept.k, "alpha": kept.alpha, "at": kept.at}
    judged = {name: _guard(report, verdict, name, margin, kept.alpha) for name, margin in guards.items()}
    return {
        "verdict": in_words(verdict.to_json()) | {"share": share},
        "guards": {name: one for name, one in judged.items() if one is not None},
        "other_metrics": {name: _guard(report, verdict, name, 0.0, kept.alpha) for name in others},
        "costs": [_cost(report, pair) for pair in _pairs(report, verdict)],
    }


def _guard(report: Report, verdict: Verdict, metric: str, margin: float, alpha: float) -> dict[str, Any] | None:
    """What one more metric says on the same rows; None for one that was not scored, whose scorer is not known, or that
    cannot have a margin."""
    scorer = report.scorer_of(metric) if metric in report.metrics else None
    if scorer is None or (margin and scorer.bounds is None):
        return None
    said = _judged(report, verdict, metric, margin, alpha).to_json()
    return dict(in_words({name: said[name] for name in ("metric", "margin", "outcome", "sentence", "verdicts")}))


def _judged(report: Report, verdict: Verdict, metric: str, margin: float, alpha: float) -> Verdict:
    """The verdict's pair judged on a metric of its run, at the level that the confirmation bought."""
    from workbench.verdict.compare import judge_all

    question = replace(report.question(metric, margin), alpha=alpha)
    return replace(verdict, metric=metric, margin=margin, parts=judge_all(report, _pairs(report, verdict), question))


def _pairs(report: Report, verdict: Verdict) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    from workbench.verdict.arms import pair_arms

    return pair_arms(report.plan["arms"], _meant(report, verdict.candidate), _meant(report, verdict.baseline))


def _cost(report: Report, pair: tuple[str, dict[str, Any], dict[str, Any]]) -> dict[str, Any]:
    """Mean cost in US dollars per 1,000 cases and mean latency in seconds of both arms on one model; `increase`: the
    candidate's cost over the baseline's, less one. None where prices of a tenth of the cases or more are unknown."""
    held, one, other = pair
    cost = _means(report, one, other, "cost", 1000.0)
    latency = _means(report, one, other, "latency", 1.0)
    increase = None
    if cost is not None:
        increase = 0.0 if cost[0] == cost[1] else cost[0] / cost[1] - 1 if cost[1] else math.inf
    found = {
        "held": held,
        "usd_per_1000": cost and {"candidate": cost[0], "baseline": cost[1]},
        "latency_s": latency and {"candidate": latency[0], "baseline": latency[1]},
        "increase": increase,
    }
    return dict(in_words(found))


def _means(
    report: Report, one: dict[str, Any], other: dict[str, Any], column: str, scale: float
) -> tuple[float, float] | None:
    a, b = (report.tally_of(arm).column_by_case(column) for arm in (one, other))
    shared = a.keys() & b.keys()
    known = sorted(case for case in shared if not math.isnan(a[case] + b[case]))
    if not known or len(known) <= COST_KNOWN * len(shared):
        return None
    first, second = (math.fsum(arm[case] for case in known) / len(known) * scale for arm in (a, b))
    return first, second


def _judges(report: Report) -> list[dict[str, Any]]:
    """The scorers that ask models, each with the calibration that it has here."""
    from workbench.labels import load_calibration
    from workbench.report.scored import plan_scorers

    found = []
    for judge in plan_scorers(report.plan):
        if not judge.asks_models:
            continue
        made = load_calibration(judge, report.plan["dataset"]["name"])
        told = None
        if made is not None:
            plain = ("model", "date", "source", "n", "missing", "anchors_checked", "anchors_agree")
            rates = ("agreement", "kappa", "sensitivity", "specificity")
            told = {name: getattr(made, name) for name in plain} | {
                name: in_words(asdict(getattr(made, name))) for name in rates
            }
        found.append({"name": judge.name, "identity": judge.identity, "calibration": told})
    return found


def _against(production: Remote | None, candidate: Prompt, server: str) -> dict[str, Any]:
    if production is None:
        return {"production": None, "diff": ""}
    held = {"server": server, "number": production.number, "local_version": production.local_version}
    return {"production": held | _content(production.prompt), "diff": production.prompt.diff(candidate)}


def _content(prompt: Prompt) -> dict[str, Any]:
    return {"sha": prompt.sha, "text": prompt.text, "template": prompt.plain, "config": dict(prompt.config)}


def _baseline(verdict: Verdict, report: Report) -> dict[str, Any]:
    ref = _meant(report, verdict.baseline)
    found = next((one for one in report.plan["prompts"] if one["ref"] == ref), None)
    if found is None:
        raise PromotionRefused(f"the verdict compares with {verdict.baseline}, which is no prompt version")
    return {"asked": verdict.baseline, "ref": ref, "sha": found["sha"]}


def _candidate(verdict: Verdict, report: Report) -> Prompt:
    """The version that the verdict is about, as the run's plan keeps it."""
    ref = _meant(report, verdict.candidate)
    found = next((one for one in report.plan["prompts"] if one["ref"] == ref), None)
    if found is None:
        raise PromotionRefused(
            f"the verdict is about {verdict.candidate}, and only a prompt version can be promoted: confirm two "
            "versions of a prompt, such as ticket-triage@v4 against ticket-triage@production"
        )
    name, _, made = ref.partition("@")
    if made.startswith("draft-"):
        raise PromotionRefused(f"{ref} is a draft that no file holds: draft.save(), then confirm the saved version")
    return Prompt.from_plain(name, found["template"], found["config"], made)


def _meant(report: Report, ref: str) -> str:
    """What `ticket-triage@production` stood for when the run was planned."""
    return str(report.plan.get("aliases", {}).get(ref, ref))


def _report(verdict: Verdict) -> Report:
    try:
        return load_report(verdict.run_id)
    except ReportError:
        raise PromotionRefused(
            f"run {verdict.run_id or '(unnamed)'}, which the verdict rests on, is not in this workspace: promote where "
            "it was confirmed, or give a sealed bundle: --evidence FILE"
        ) from None


def _kept(verdict: Verdict) -> Kept:
    """The verdict as its confirmation wrote it: one made by hand was bought with no share of any account."""
    for kept in kept_verdicts(verdict.run_id):
        same = (kept.verdict.candidate, kept.verdict.baseline, kept.verdict.metric, kept.verdict.margin)
        asked = (verdict.candidate, verdict.baseline, verdict.metric, verdict.margin)
        if same == asked and in_words(kept.verdict.to_json()["verdicts"]) == in_words(verdict.to_json()["verdicts"]):
            return kept
    raise PromotionRefused(
        f"run {verdict.run_id} keeps no such confirmed verdict on {verdict.candidate}: "
        f"await exp.confirm({verdict.candidate!r}, {verdict.baseline!r})"
    )


def file_sha(path: Path) -> str:
    """SHA-256 of a file's bytes, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _versions() -> dict[str, str]:
    found = {"python": python_version()}
    for name, package in _PACKAGES.items():
        try:
            found[name] = version(package)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
