"""What a run would do and cost, before anything is sent."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from workbench import catalog
from workbench.catalog import PARAMETERS
from workbench.errors import PlanError, choices
from workbench.prompts import unused
from workbench.records import KEY_SCHEMA, Usage, canonical, content_of, sha256
from workbench.report.text import number_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from workbench.client import Session
    from workbench.experiment.grid import Arm
    from workbench.prompts import Prompt
    from workbench.records import Case, Request
    from workbench.scorers import Scorer

TYPICAL_SD = 0.4
"""Standard deviation of a case's paired difference that plans assume: two arms right on 80 %, correlated 0.5."""

OUTPUT_TOKENS = 200
"""Output tokens assumed for a call of an arm whose answers are not known yet."""


@dataclass(frozen=True)
class Design:
    """Everything a run is made of. `run_id` depends on its content alone, so that the same plan resumes.

    `aliases`: what `ticket-triage@production` meant when this was planned, such as `ticket-triage@v2`.
    """

    name: str
    arms: tuple[Arm, ...]
    cases: tuple[Case, ...]
    scorers: tuple[Scorer, ...]
    repeats: int
    dataset: str
    dataset_sha: str
    split: str
    sample: int | None
    seed: int
    notes: tuple[str, ...] = ()
    purpose: str = "explore"
    aliases: Mapping[str, str] = field(default_factory=dict)

    @property
    def trials(self) -> int:
        """Number of trials."""
        return len(self.arms) * len(self.cases) * self.repeats

    def identity(self) -> dict[str, Any]:
        """What makes two runs the same: content hashes, not names of files or times."""
        chosen = {} if self.purpose == "explore" else {"purpose": self.purpose, "cases": self.case_hashes()}
        return chosen | {
            "name": self.name,
            "arms": [
                [
                    a.prompt.name,
                    a.prompt.version,
                    a.prompt.sha,
                    a.model.provider,
                    a.model.id,
                    a.model.endpoint,
                    a.origin,
                ]
                for a in self.arms
            ],
            "dataset": self.dataset_sha,
            "scorers": [[s.name, s.identity] for s in self.scorers],
            "repeats": self.repeats,
            "split": self.split,
            "sample": self.sample,
            "seed": self.seed,
            "schema": KEY_SCHEMA,
        }

    def case_hashes(self) -> list[str]:
        """Each case's content, hashed: what a confirmation must never have seen."""
        return [content_of(case.inputs, case.expected) for case in self.cases]

    @property
    def run_id(self) -> str:
        """`<name>-<10 hex>`."""
        slug = re.sub(r"[^A-Za-z0-9_.-]+", "-", self.name).strip("-.") or "run"
        return f"{slug[:60]}-{sha256(canonical(self.identity()))[:10]}"

    def unpriced(self) -> list[str]:
        """Models whose price is unknown."""
        return sorted({arm.model.ref for arm in self.arms if not catalog.is_priced(arm.model)})


@dataclass(frozen=True)
class Plan:
    """What a run would do: trials, hits, and an estimate of tokens and US dollars for the rest.

    `estimate_usd` assumes the output lengths seen in hits of the same arm, else 200 tokens; `at_most_usd` is the worst
    case with one attempt per trial: calls that break off and are tried again may cost more, within the budget. Both
    leave out judges and the models in `unpriced`. `sees`: the smallest difference, in units of a score from 0 to 1,
    that the planned cases and the test cases can see.
    """

    run_id: str
    trials: int
    cases: int
    repeats: int
    arms: tuple[str, ...]
    hits: int
    input_tokens: int
    output_tokens: int
    estimate_usd: float
    at_most_usd: float
    unpriced: tuple[str, ...]
    notes: tuple[str, ...] = field(default=())
    sees: Mapping[str, float] = field(default_factory=dict)

    @property
    def to_call(self) -> int:
        """Trials that are not in the cache yet."""
        return self.trials - self.hits

    def facts(self) -> dict[str, str]:
        """The plan as label and text, for every way of showing it."""
        money = f"about ${self.estimate_usd:.4f}, at most ${self.at_most_usd:.4f} without retries"
        repeats = f" × {self.repeats} repeats" if self.repeats > 1 else ""
        grid = f"{number_of(len(self.arms), 'arm')} × {number_of(self.cases, 'case')}{repeats}"
        shown = {
            "trials": f"{self.trials:,} = {grid}",
            "in the cache": f"{self.hits:,}, so {self.to_call:,} calls",
            "tokens": f"about {self.input_tokens:,} in, {self.output_tokens:,} out",
            "cost": money + (f", without {', '.join(self.unpriced)}: price unknown" if self.unpriced else ""),
            "run": self.run_id,
        }
        if self.sees:
            seen = ", ".join(_seen(cases, points) for cases, points in self.sees.items())
            shown["can see"] = f"{seen} (with 80 % power, if differences of a case vary by {TYPICAL_SD:g})"
        return shown | ({"notes": "; ".join(self.notes)} if self.notes else {})

    def __str__(self) -> str:
        return "\n".join(f"{label:>13}  {text}" for label, text in self.facts().items())

    def __repr__(self) -> str:
        return f"Plan({self.trials} trials, {self.hits} hits, about ${self.estimate_usd:.4f})"

    def _repr_html_(self) -> str:
        from workbench.tables import plain_table

        return plain_table(("plan", ""), list(self.facts().items()), "")


def check(design: Design, session: Session, budget_usd: float | None) -> None:
    """Refuse, before anything is sent, what could not work. Raises PlanError naming every fault."""
    faults = [*_arm_faults(design), *_variable_faults(design), *_parameter_faults(design)]
    faults += _loose_faults(design, session)
    if budget_usd is not None and (unpriced := design.unpriced()):
        faults.append(
            f"no price is known for {', '.join(unpriced)}, so a budget of ${budget_usd:g} cannot be held: give "
            "one in the file that WORKBENCH_PRICES names, or ask for no cap with budget inf"
        )
    if faults:
        raise PlanError("; ".join(dict.fromkeys(faults)))


def notes(design: Design, session: Session) -> Iterator[str]:
    """What somebody should know before they run this, a sentence each."""
    yield from session.notes
    yield from design.notes
    if extra := unused([arm.prompt for arm in design.arms], design.cases[0].inputs):
        yield f"no prompt uses the input {', '.join(extra)}"
    if asking := [scorer.name for scorer in design.scorers if scorer.asks_models]:
        yield f"{', '.join(asking)} asks models itself: that is not in the estimate, but it counts against a budget"
    for model in {arm.model.ref: arm.model for arm in design.arms}.values():
        if not model.known:
            near = catalog.nearest(model)
            meant = f" (did you mean {near}?)" if near else ""
            yield f"{model.ref} is not in the catalog{meant}: its parameters are not checked, its price may be unknown"
        if model.ends and not model.stand_in:
            over = model.ends < datetime.date.today()
            yield f"{model.ref} {'ended' if over else 'ends'} on {model.ends} (catalog)"
    for prompt in {arm.prompt.ref: arm.prompt for arm in design.arms}.values():
        if ignored := sorted(set(prompt.config) - PARAMETERS - {"by_provider"}):
            yield f"{prompt.ref}: config {', '.join(ignored)} is kept but not sent: no model parameter"


def estimate(design: Design, pairs: Iterator[tuple[Arm, Request, Usage | None]], session: Session) -> Plan:
    """Add up what is stored and what is not. `pairs`: each trial's arm, request, and usage if it is a hit."""
    hits = input_tokens = 0
    at_most = 0.0
    seen: dict[int, list[int]] = {id(arm): [0, 0] for arm in design.arms}
    asked: dict[int, list[int]] = {id(arm): [0, 0] for arm in design.arms}
    for arm, request, usage in pairs:
        if usage is not None:
            hits += 1
            seen[id(arm)][0] += 1
            seen[id(arm)][1] += usage.output_tokens or 0
            continue
        tokens = sum(len(message.content) for message in request.messages) // 4 + 8
        input_tokens += tokens
        asked[id(arm)][0] += 1
        asked[id(arm)][1] += tokens
        at_most += catalog.worst_case(arm.model, request) or 0.0
    output_tokens, usd = 0, 0.0
    for arm in design.arms:
        calls, tokens = asked[id(arm)]
        known, total = seen[id(arm)]
        per_call = min(round(total / known) if known else OUTPUT_TOKENS, _max_tokens(arm))
        output_tokens += calls * per_call
        if calls:
            usd += calls * (catalog.price(arm.model, Usage(tokens // calls, output_tokens=per_call)) or 0.0)
    return Plan(
        run_id=design.run_id,
        trials=design.trials,
        cases=len(design.cases),
        repeats=design.repeats,
        arms=tuple(str(arm) for arm in design.arms),
        hits=hits,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        estimate_usd=usd,
        at_most_usd=at_most,
        unpriced=tuple(design.unpriced()),
        notes=tuple(dict.fromkeys(notes(design, session))),
    )


def smallest_differences(cases: int, unseen: int, arms: int) -> dict[str, float]:
    """What dev, test and a race over all arms can see, said before money is spent."""
    from workbench.stats import separable_difference, smallest_difference

    shown = {number_of(cases, "case"): smallest_difference(cases, sd=TYPICAL_SD)}
    if unseen:
        shown[number_of(unseen, "test case")] = smallest_difference(unseen, sd=TYPICAL_SD, alpha=0.025)
    if arms > 2:
        shown[f"{cases} cases in a race of {arms} arms"] = separable_difference(cases, arms, sd=TYPICAL_SD)
    return shown


def _seen(cases: str, difference: float) -> str:
    return f"{100 * difference:.0f} points on {cases}" if difference <= 1 else f"nothing on {cases}: too few"


def _max_tokens(arm: Arm) -> int:
    return int(arm.model.limited(arm.prompt.params(arm.model.provider))["max_tokens"])


def _arm_faults(design: Design) -> Iterator[str]:
    """Rows say which arm they are of by these names: of two arms that share them only one would run."""
    seen: dict[tuple[str, ...], Arm] = {}
    for arm in design.arms:
        names = (arm.prompt.name, arm.prompt.sha, arm.model.provider, arm.model.label)
        if seen.setdefault(names, arm) is not arm:
            yield f"{seen[names]} ({seen[names].model.ref}) and {arm} ({arm.model.ref}) have one name: leave one out"


def _variable_faults(design: Design) -> Iterator[str]:
    for prompt in {arm.prompt.ref: arm.prompt for arm in design.arms}.values():
        lacking = [(case, missing) for case in design.cases if (missing := prompt.missing(case.inputs))]
        if lacking:
            case, missing = lacking[0]
            yield (
                f"{prompt.ref} needs {', '.join(missing)}, which {len(lacking)} of {len(design.cases)} cases do not "
                f"give (first: {case.id}, with {', '.join(case.inputs)})"
            )


def _parameter_faults(design: Design) -> Iterator[str]:
    for arm in design.arms:
        params = arm.prompt.params(arm.model.provider)
        for fault in arm.model.refuses(params):
            yield f"{arm.prompt.ref}: {fault}"
        tokens = params.get("max_tokens", 1)
        if isinstance(tokens, bool) or not isinstance(tokens, int) or tokens < 1:
            yield f"{arm.prompt.ref}: max_tokens {tokens!r} must be a whole number, 1 or more"
    for prompt in {arm.prompt.ref: arm.prompt for arm in design.arms}.values():
        yield from _config_faults(prompt)


def _config_faults(prompt: Prompt) -> Iterator[str]:
    """Words of a prompt's config that would be ignored and look like misspelt ones."""
    by_provider = prompt.config.get("by_provider", {})
    known = catalog.provider_names()
    for name in by_provider:
        if name not in known:
            yield f"{prompt.ref}: config.by_provider names no provider {name!r}: {choices(name, known)}"
    parts = {"config": prompt.config, **{f"config.by_provider.{name}": own for name, own in by_provider.items()}}
    for where, keys in parts.items():
        for name in sorted(set(keys) - PARAMETERS - {"by_provider"}):
            if "did you mean" in (hint := choices(name, PARAMETERS)):
                yield f"{prompt.ref}: {where} key {name!r} is no model parameter: {hint}"


def _loose_faults(design: Design, session: Session) -> Iterator[str]:
    versions = {arm.prompt.sha for arm in design.arms}
    loose = sorted({a.model.provider for a in design.arms if session.origin(a.model.provider).loose})
    if loose and len(versions) > 1:
        yield (
            f"the recordings for {', '.join(loose)} are matched by input alone, so they would answer all "
            f"{len(versions)} prompt versions alike: run one version, or record with `workbench cache export`"
        )


def arm_facts(arm: Arm) -> dict[str, Any]:
    """An arm as `plan.json` keeps it."""
    return {
        "prompt": arm.prompt.name,
        "version": arm.prompt.version,
        "prompt_sha": arm.prompt.sha,
        "provider": arm.model.provider,
        "model": arm.model.label,
        "model_id": arm.model.id,
        "tier": arm.model.tier,
    }


def settings_of(design: Design) -> Mapping[str, Any]:
    """What `plan.json` keeps: the identity, and what a reader needs without the workspace it came from."""
    prompts: Sequence[Any] = list({arm.prompt.sha: arm.prompt for arm in design.arms}.values())
    return {
        "run_id": design.run_id,
        "identity": design.identity(),
        "purpose": design.purpose,
        "trials": design.trials,
        "dataset": {"name": design.dataset, "cases": len(design.cases)},
        "scorers": [
            {
                "name": s.name,
                "metrics": list(s.metrics),
                "bounds": s.bounds,
                "higher_is_better": s.higher_is_better,
                "asks_models": s.asks_models,
            }
            for s in design.scorers
        ],
        "arms": [arm_facts(arm) for arm in design.arms],
        "prompts": [
            {"ref": p.ref, "sha": p.sha, "text": p.text, "template": p.plain, "config": dict(p.config)} for p in prompts
        ],
        "aliases": dict(design.aliases),
    }
