"""Evidence held against a policy: every point, met or not, each unmet one with its cure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.promotion.approvals import counted
from workbench.promotion.policy import ENOUGH
from workbench.verdict import WORDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from workbench.promotion.approvals import Approval
    from workbench.promotion.evidence import Evidence
    from workbench.promotion.policy import Policy


@dataclass(frozen=True, slots=True)
class Point:
    """One thing that the policy asks for: `what` in words, what was `found`, and the `cure` where it is not met."""

    what: str
    met: bool
    found: str
    cure: str = ""

    @property
    def sentence(self) -> str:
        """The point in one sentence."""
        return f"{self.what}: {self.found}" + ("" if self.met else f"; {self.cure}")


@dataclass(frozen=True, slots=True)
class Checked:
    """All points of a policy."""

    points: tuple[Point, ...]

    @property
    def met(self) -> bool:
        """Whether every point is met."""
        return all(point.met for point in self.points)

    @property
    def unmet(self) -> tuple[str, ...]:
        """Every point that is not met, a sentence with its cure each."""
        return tuple(point.sentence for point in self.points if not point.met)

    def rows(self) -> list[tuple[str, str, str, str]]:
        """Mark, what is asked for, what was found, cure."""
        return [(mark(one.met), one.what, one.found, "" if one.met else one.cure) for one in self.points]

    def __str__(self) -> str:
        return "\n".join(f"{mark(point.met)} {point.sentence}" for point in self.points)

    def __repr__(self) -> str:
        return f"Checked({len(self.points) - len(self.unmet)} of {len(self.points)} points met)"

    def _repr_html_(self) -> str:
        from workbench.tables import plain_table

        return plain_table(("", "policy", "found", "cure"), self.rows(), "", names=1)


def mark(met: bool) -> str:
    """✔ or ✘."""
    return "✔" if met else "✘"


def check(policy: Policy, evidence: Evidence, approvals: Iterable[Approval]) -> Checked:
    """Every point of the policy, in the order in which a reader wants them."""
    points = [*_verdict(policy, evidence), *_tiers(policy, evidence), *_guards(policy, evidence)]
    points += [*_cost(policy, evidence), *_approvals(policy, evidence, approvals)]
    return Checked(tuple(points))


def _verdict(policy: Policy, evidence: Evidence) -> Iterator[Point]:
    verdict = evidence.verdict
    asked = "better" if policy.verdict == "better" else "better or not worse"
    yield Point(
        f"a confirmed verdict, {asked} on every model",
        verdict.kind == "confirmed" and verdict.outcome in ENOUGH[policy.verdict],
        f"{verdict.kind}, {WORDS[verdict.outcome]}",
        "see why with `workbench report`, change the prompt, and confirm the new version"
        if verdict.outcome != "unsure"
        else "add unseen test cases and confirm again, or confirm with a margin that you can live with",
    )
    if policy.metric:
        yield Point(
            f"judged by {policy.metric}",
            verdict.metric == policy.metric,
            f"judged by {verdict.metric}",
            f"confirm with metric {policy.metric}",
        )
    yield Point(
        f"asked with a margin of at most {policy.margin:g}",
        verdict.margin <= policy.margin,
        f"{verdict.margin:g}",
        f"confirm with --margin {policy.margin:g} or less",
    )
    fewest = min((part.n for part in verdict.parts), default=0)
    yield Point(
        f"at least {policy.min_cases} cases",
        fewest >= policy.min_cases,
        f"{fewest}",
        "add unseen test cases to the dataset and confirm again",
    )


def _tiers(policy: Policy, evidence: Evidence) -> Iterator[Point]:
    models = evidence.content["models"]
    for tier in policy.tiers:
        mine = {one["model"] for one in models if tier in _names(one)}
        parts = [part for part in evidence.verdict.parts if part.held in mine]
        said = ", ".join(f"{WORDS[part.outcome]} on {part.held}" for part in parts)
        yield Point(
            f"it holds on {tier}",
            bool(parts) and all(part.outcome in ENOUGH[policy.verdict] for part in parts),
            said or "not tried there",
            f"confirm with models that include {tier}",
        )


def _names(model: Mapping[str, Any]) -> set[str]:
    return {str(model["tier"]), f"{model['provider']}:{model['tier']}", str(model["model"]),
            f"{model['provider']}:{model['model']}"}  # fmt: skip


def _guards(policy: Policy, evidence: Evidence) -> Iterator[Point]:
    """Each guard at its own margin; all must hold, hence uncorrected."""
    for metric, margin in policy.guards.items():
        what = f"guard {metric}: not worse beyond {margin:g}"
        guard = evidence.content["guards"].get(metric)
        if guard is None and metric == evidence.verdict.metric:
            guard = evidence.content["verdict"]
        if guard is None:
            declare = f"@wb.scorer(metrics=[{metric!r}], bounds=...)"
            cure = f"have a scorer that names {metric} and has bounds, {declare}, confirm, and make the evidence again"
            yield Point(what, False, "not measured in this evidence", cure)
            continue
        if float(guard["margin"]) > margin:
            found = f"judged with a wider margin, {guard['margin']}"
            yield Point(what, False, found, "make the evidence again: --evidence latest")
            continue
        yield Point(
            what,
            guard["outcome"] in ENOUGH["not_worse"],
            WORDS[guard["outcome"]],
            f"change the prompt so that {metric} holds, or add test cases where it is not sure yet",
        )


def _cost(policy: Policy, evidence: Evidence) -> Iterator[Point]:
    limit = policy.max_cost_increase
    if math.isinf(limit):
        return
    for part in evidence.content["costs"]:
        increase = None if part["increase"] is None else float(part["increase"])
        on = f" on {part['held']}" if part["held"] else ""
        if increase is None:
            cure = "give the missing prices in the file that WORKBENCH_PRICES names, and confirm again"
        else:
            cure = "shorten the prompt or its answers, or allow more with max_cost_increase"
        yield Point(
            f"costs rise by at most {limit:.0%}{on}",
            increase is not None and increase <= limit,
            "unknown, and unknown is not free" if increase is None else share(increase),
            cure,
        )


def share(increase: float) -> str:
    """A change of cost in words: +12 %."""
    return "from nothing" if math.isinf(increase) else f"{100 * increase:+.0f} %"


def _approvals(policy: Policy, evidence: Evidence, given: Iterable[Approval]) -> Iterator[Point]:
    if not policy.approvals:
        return
    everybody = counted(evidence, given, author_counts=True)
    count = counted(evidence, everybody, author_counts=policy.author_may_approve)
    said = f"{len(count)} of {policy.approvals}" + (f": {', '.join(one.by for one in count)}" if count else "")
    if len(everybody) > len(count):
        said += f"; {evidence.by} made the evidence, so that approval does not count"
    yield Point(
        f"{policy.approvals} approval{'s' if policy.approvals > 1 else ''}",
        len(count) >= policy.approvals,
        said,
        "ask somebody to read the review and approve it: with the button in `wb.review`, or "
        f"`workbench review {evidence.ref} --approve --by NAME`",
    )
