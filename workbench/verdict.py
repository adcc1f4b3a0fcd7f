"""Is one arm better than another? One method per question, and a plain sentence.

A run that reached its planned size is judged by the fixed-n paired test at 0.04, an earlier stop and every live number by
the anytime-valid sequence at 0.01: together they spend 0.05, however often somebody looks. Pure: rows in, verdict out.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from workbench import stats
from workbench.datasets import place
from workbench.errors import VerdictError, choices

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from workbench.report import Report
    from workbench.report.summary import Tally

    Floats = NDArray[np.float64]

FIXED_ALPHA, LIVE_ALPHA = 0.04, 0.01
FEWEST = 20
"""Pairs below which nothing is said."""
HOPELESS = 20.0
"""Times the present cases above which more cases are not offered as a way to settle it."""

Outcome = Literal["better", "not_worse", "worse", "unsure"]
WORDS = {"better": "better", "not_worse": "not worse", "worse": "worse", "unsure": "not sure yet"}


@dataclass(frozen=True, slots=True)
class Change:
    """A paired difference, candidate minus baseline, with its 95 % interval."""

    difference: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class PairVerdict:
    """Candidate against baseline with everything else equal (`held`: the value of the other axis).

    `difference`, `low`, `high`: mean paired difference of the metric, turned so that more is better, with its interval at
    1 − `alpha`; `n` pairs. `flips_better` cases rose and `flips_worse` fell. `missing`: pairs with a score missing,
    `left_out`: cases that only one arm has. `more_cases` and `more_usd` would settle an unsure one, None if nothing
    sensible would. Costs are US dollars per 1,000 cases, latencies seconds.
    """

    candidate: str
    baseline: str
    held: str
    outcome: Outcome
    basis: str
    alpha: float
    difference: float
    low: float
    high: float
    n: int
    p_value: float | None = None
    flips_better: int = 0
    flips_worse: int = 0
    missing: int = 0
    left_out: int = 0
    cost_per_1000: Change | None = None
    latency: Change | None = None
    more_cases: int | None = None
    more_usd: float | None = None
    reason: str = ""

    def sentence(self, metric: str) -> str:
        """The verdict in words."""
        on = f" on {self.held}" if self.held else ""
        if self.n < FEWEST:
            return f"{self.candidate} against {self.baseline}{on}: {WORDS[self.outcome]}, {self.reason}."
        size = f"{100 * self.difference:+.1f} points of {metric}, {100 * self.low:+.1f} to {100 * self.high:+.1f}"
        text = (
            f"{self.candidate} is {WORDS[self.outcome]}{'' if self.outcome == 'unsure' else ' than'} "
            if self.outcome in ("better", "worse", "not_worse")
            else f"{self.candidate} against "
        )
        ending = f": {WORDS['unsure']}" if self.outcome == "unsure" else ""
        text += f"{self.baseline}{on}{ending} ({size}; {self.n} cases, {self.flips_better} better, {self.flips_worse} worse)"
        return f"{text}. {self.reason}".strip() if self.reason else f"{text}."


@dataclass(frozen=True)
class Verdict:
    """What `compare` says: a verdict for each value of the other axis, never a pool over them.

    `outcome` holds for all of `parts` at once (intersection–union, hence uncorrected). `kind`: exploratory on dev cases,
    confirmed on unseen test cases. `looks` and `variants`: how often this dataset was looked at and how many prompt
    versions were tried on it here, at least.
    """

    candidate: str
    baseline: str
    metric: str
    margin: float
    parts: tuple[PairVerdict, ...]
    kind: Literal["exploratory", "confirmed"] = "exploratory"
    source: str = "live"
    run_id: str = ""
    dataset: str = ""
    looks: int = 0
    variants: int = 0
    notes: tuple[str, ...] = field(default=())

    @property
    def outcome(self) -> Outcome:
        """The outcome that all parts share; `worse` as soon as one is."""
        found = [part.outcome for part in self.parts]
        if "worse" in found:
            return "worse"
        if "unsure" in found:
            return "unsure"
        return "better" if set(found) == {"better"} else "not_worse"

    @property
    def sentence(self) -> str:
        """The verdict in plain words, a sentence for each part."""
        return " ".join(part.sentence(self.metric) for part in self.parts)

    def to_json(self) -> dict[str, Any]:
        """What `--json` writes: one object per held value under `verdicts`."""
        return {
            "candidate": self.candidate,
            "baseline": self.baseline,
            "metric": self.metric,
            "margin": self.margin,
            "outcome": self.outcome,
            "kind": self.kind,
            "source": self.source,
            "run": self.run_id,
            "dataset": self.dataset,
            "looks": self.looks,
            "variants": self.variants,
            "notes": list(self.notes),
            "sentence": self.sentence,
            "verdicts": [asdict(part) for part in self.parts],
        }

    def __str__(self) -> str:
        counted = f"{self.kind}; at least {self.variants} variants tried and {self.looks} looks taken on {self.dataset}"
        simulated = ["Simulated: declared, not measured."] if self.source == "simulated" else []
        return "\n".join([*simulated, self.sentence, f"({counted})", *self.notes])

    def __repr__(self) -> str:
        return f"Verdict({self.candidate} against {self.baseline}: {WORDS[self.outcome]}, {self.kind})"

    def _repr_html_(self) -> str:
        from workbench.report.html import verdict_html

        return verdict_html(self)


@dataclass(frozen=True, slots=True)
class Question:
    """How pairs of one report are judged. `sign` is −1 where lower is better; `alpha` None: by the basis."""

    metric: str
    margin: float
    bounds: tuple[float, float] | None
    sign: int
    repeats: int
    seed: int
    finished: bool
    alpha: float | None = None


def judge_pair(names: tuple[str, str, str], candidate: Tally, baseline: Tally, question: Question) -> PairVerdict:
    """The verdict for one pair of arms; `names`: candidate, baseline, and what is held equal."""
    pairs = _pairs(candidate, baseline, question)
    alpha = question.alpha or (FIXED_ALPHA if question.finished else LIVE_ALPHA)
    basis = "fixed-n paired test" if question.finished else "anytime-valid sequence"
    if pairs.n < FEWEST:
        reason = f"{pairs.n} pairs so far, and nothing is said on fewer than {FEWEST}"
        nothing = float("nan") if not pairs.n else float(pairs.difference.mean())
        return PairVerdict(*names, "unsure", basis, alpha, nothing, -np.inf, np.inf, pairs.n, reason=reason)
    found = _interval(pairs.candidate, pairs.baseline, pairs.binary, question, alpha)
    outcome, reason = _robust_outcome(found, pairs, question, alpha)
    more = (None, None) if outcome != "unsure" else _more(found, pairs, question, alpha, candidate, baseline)
    if outcome == "unsure":
        reason = " ".join(filter(None, [reason, _cure(more)]))
    return PairVerdict(
        *names,
        outcome,
        basis if not question.finished else f"{basis} ({found.method})",
        alpha,
        found.difference,
        found.low,
        found.high,
        pairs.n,
        p_value=found.p_value if question.finished else None,
        flips_better=int((pairs.difference > 0).sum()),
        flips_worse=int((pairs.difference < 0).sum()),
        missing=pairs.missing,
        left_out=pairs.left_out,
        cost_per_1000=_change(candidate, baseline, "cost", 1000.0),
        latency=_change(candidate, baseline, "latency", 1.0),
        more_cases=more[0],
        more_usd=more[1],
        reason=reason,
    )


@dataclass(frozen=True)
class Pairs:
    """Case means of both arms, turned so that more is better, in the plan's shuffled order.

    The first three are complete pairs; `worst_*` add the pairs with missing scores, the candidate's counted worst and the
    baseline's best, and `best_*` the reverse.
    """

    candidate: Floats
    baseline: Floats
    binary: bool
    worst: tuple[Floats, Floats] | None
    best: tuple[Floats, Floats] | None
    missing: int
    left_out: int

    @property
    def n(self) -> int:
        return len(self.candidate)

    @property
    def difference(self) -> Floats:
        return self.candidate - self.baseline


def _pairs(candidate: Tally, baseline: Tally, question: Question) -> Pairs:
    a, b = candidate.by_case(question.metric), baseline.by_case(question.metric)
    shared = sorted(a.keys() & b.keys(), key=lambda case_id: place(case_id, question.seed))
    if not question.finished:
        shared = _final_prefix(shared, a, b, question.repeats)
    left, right = [a[case] for case in shared], [b[case] for case in shared]
    whole = [i for i, (x, y) in enumerate(zip(left, right, strict=True)) if not (_lacks(x) or _lacks(y))]
    binary = question.metric not in candidate.graded | baseline.graded and question.repeats == 1
    return Pairs(
        question.sign * np.array([np.mean(left[i]) for i in whole]),
        question.sign * np.array([np.mean(right[i]) for i in whole]),
        binary,
        _imputed(left, right, question, candidate_gets_worst=True),
        _imputed(left, right, question, candidate_gets_worst=False),
        len(shared) - len(whole),
        len(a.keys() ^ b.keys()),
    )


def _final_prefix(
    order: Sequence[str], a: Mapping[str, list[float]], b: Mapping[str, list[float]], repeats: int
) -> list[str]:
    """Cases up to the first that is not final in both arms: who answers slowly must not change who is counted."""
    final = []
    for case in order:
        if len(a[case]) < repeats or len(b[case]) < repeats:
            break
        final.append(case)
    return final


def _lacks(values: list[float]) -> bool:
    return any(value != value for value in values)


def _imputed(
    left: list[list[float]], right: list[list[float]], question: Question, *, candidate_gets_worst: bool
) -> tuple[Floats, Floats] | None:
    """Both arms with every missing score filled at an end of the bounds; None without bounds to fill from."""
    if question.bounds is None:
        return None
    low, high = sorted(question.sign * bound for bound in question.bounds)
    fill = (low, high) if candidate_gets_worst else (high, low)
    filled = [
        np.array([np.mean([end if v != v else question.sign * v for v in values]) for values in arm])
        for arm, end in zip((left, right), fill, strict=True)
    ]
    return filled[0], filled[1]


def _interval(a: Floats, b: Floats, binary: bool, question: Question, alpha: float) -> stats.Difference:
    if question.finished:
        return stats.paired_difference(a, b, binary=binary, bounds=_scaled(question), alpha=alpha)
    span = _span(question)
    if span is None:
        raise VerdictError(f"{question.metric} has no declared bounds, so an unfinished run cannot be judged: declare "
                           "them with @wb.scorer(bounds=...), or finish the run")  # fmt: skip
    sequence = stats.ConfidenceSequence((-span, span), alpha)
    sequence.extend(a - b)
    return stats.Difference(float((a - b).mean()), sequence.low, sequence.high, len(a), float("nan"), "betting")


def _scaled(question: Question) -> tuple[float, float] | None:
    if question.bounds is None:
        return None
    low, high = sorted(question.sign * bound for bound in question.bounds)
    return low, high


def _span(question: Question) -> float | None:
    return question.bounds[1] - question.bounds[0] if question.bounds else None


def _outcome(low: float, high: float, margin: float) -> Outcome:
    if low > 0:
        return "better"
    if margin > 0 and low > -margin:
        return "not_worse"
    return "worse" if high < 0 else "unsure"


def _robust_outcome(found: stats.Difference, pairs: Pairs, question: Question, alpha: float) -> tuple[Outcome, str]:
    """The outcome of the complete pairs, unless the missing ones could overturn it."""
    outcome = _outcome(found.low, found.high, question.margin)
    if not pairs.missing or outcome == "unsure":
        return outcome, ""
    filled = pairs.best if outcome == "worse" else pairs.worst
    if filled is None:
        return "unsure", f"{pairs.missing} pairs lack a score, and without bounds they could be anything."
    hard = _interval(*filled, pairs.binary, question, alpha)
    if _outcome(hard.low, hard.high, question.margin) in _at_least(outcome):
        return outcome, ""
    return "unsure", f"{pairs.missing} pairs lack a score and could overturn it: run again to fill them."


def _at_least(outcome: Outcome) -> set[str]:
    return {"better": {"better"}, "not_worse": {"better", "not_worse"}, "worse": {"worse"}}[outcome]


def _more(
    found: stats.Difference, pairs: Pairs, question: Question, alpha: float, candidate: Tally, baseline: Tally
) -> tuple[int | None, float | None]:
    """How many more cases, and dollars, would probably settle it, if the difference is what it looks like."""
    sd = float(pairs.difference.std(ddof=1))
    distance = max(abs(found.difference), found.difference + question.margin)
    if sd == 0 or distance <= 0:
        return None, None
    more = stats.cases_needed(distance, sd=sd, alpha=alpha) - pairs.n
    if more <= 0 or more > HOPELESS * pairs.n:
        return None, None
    prices = [float(np.nanmean(np.frombuffer(one.cost, dtype=float))) for one in (candidate, baseline)]
    usd = None if any(p != p for p in prices) else more * question.repeats * sum(prices)
    return more, usd


def _cure(more: tuple[int | None, float | None]) -> str:
    cases, usd = more
    if cases is None:
        return "No sensible number of cases would settle so small a difference."
    return f"About {cases} more cases{'' if usd is None else f' (${usd:.2f})'} would probably settle it."


def _change(candidate: Tally, baseline: Tally, column: str, scale: float) -> Change | None:
    """Paired difference of cost or latency over the cases that both arms have."""
    a, b = candidate.column_by_case(column), baseline.column_by_case(column)
    differences = np.array([a[case] - b[case] for case in a.keys() & b.keys()]) * scale
    differences = differences[~np.isnan(differences)]
    if len(differences) < 2:
        return None
    low, high = stats.t_limits(differences)
    return Change(float(differences.mean()), low, high)


def compare(
    report: Report, candidate: Any, baseline: Any, metric: str | None = None, margin: float = 0.0
) -> Verdict:
    """Whether `candidate` is better than `baseline` in this report, for every value of the other axis.

    Both are values of one axis: prompt versions (`"ticket-triage@v3"`), models (`"anthropic:fast"`, an id or a label),
    tiers (`"fast"`), or arms (`"ticket-triage@v3 × anthropic:fast"`). `margin`: how much worse still counts as not worse,
    in units of the metric. Raises VerdictError for values that do not exist or lie on two axes, and for identical content.
    """
    if margin < 0 or margin != margin:
        raise VerdictError(f"margin is {margin}: it must be zero or more")
    pairs = pair_arms(report.plan["arms"], str(getattr(candidate, "ref", candidate)), str(getattr(baseline, "ref", baseline)))
    question = report.question(metric, margin)
    if margin and question.bounds is None:
        raise VerdictError(f"{question.metric} has no declared bounds, so a margin has no meaning: declare them with "
                           "@wb.scorer(bounds=...)")  # fmt: skip
    parts = []
    for held, one, other in pairs:
        names = (arm_name(one, held), arm_name(other, held), held)
        parts.append(judge_pair(names, report.tally_of(one), report.tally_of(other), question))
    return report.verdict(str(getattr(candidate, "ref", candidate)), str(getattr(baseline, "ref", baseline)), question,
                          tuple(parts))  # fmt: skip


Arm = dict[str, Any]


def pair_arms(arms: Iterable[Arm], candidate: str, baseline: str) -> list[tuple[str, Arm, Arm]]:
    """(what is held equal, candidate's arm, baseline's arm) for every value of the other axis that has both."""
    known = list(arms)
    a_axis, a = _select(known, candidate)
    b_axis, b = _select(known, baseline)
    if a_axis != b_axis:
        raise VerdictError(f"{candidate!r} is a {a_axis} and {baseline!r} a {b_axis}: compare two values of one axis, or "
                           "write both as arms, 'prompt@v2 × provider:tier'")  # fmt: skip
    pairs = [(held, a[held], b[held]) for held in a if held in b]
    if not pairs:
        raise VerdictError(f"{candidate!r} and {baseline!r} never ran on the same {_other(a_axis)}")
    for _, one, other in pairs:
        if one is other or (one["prompt_sha"] == other["prompt_sha"] and one["model"] == other["model"]):
            raise VerdictError(f"{candidate!r} and {baseline!r} have the same content, so there is nothing to compare")
    return pairs


def arm_name(arm: Arm, held: str) -> str:
    """How an arm is called when `held` is said once for both."""
    prompt = f"{arm['prompt']}@{arm['version']}"
    if held == arm["model"]:
        return prompt
    return arm["model"] if held.startswith(prompt) else f"{prompt} × {arm['model']}"


def _select(arms: list[Arm], value: str) -> tuple[str, dict[str, Arm]]:
    """The axis that a value belongs to, and its arms by what is held equal."""
    if "×" in value:
        prompt, _, model = (part.strip() for part in value.partition("×"))
        found = {"": arm for arm in arms if _prompt(arm) == prompt and model in _models(arm)}
        if found:
            return "arm", found
    by_prompt = {arm["model"]: arm for arm in arms if _prompt(arm) == value}
    if by_prompt:
        return "prompt", by_prompt
    by_model = {_prompt(arm): arm for arm in arms if value in _models(arm)}
    if by_model:
        return "model", by_model
    by_tier = {f"{_prompt(arm)} with {arm['provider']}": arm for arm in arms if arm["tier"] == value}
    if by_tier:
        return "tier", by_tier
    names = {_prompt(arm) for arm in arms} | {name for arm in arms for name in _models(arm)}
    raise VerdictError(f"no arm of this run is {value!r}: {choices(value, names)}")


def _prompt(arm: Arm) -> str:
    return f"{arm['prompt']}@{arm['version']}"


def _models(arm: Arm) -> set[str]:
    return {arm["model"], f"{arm['provider']}:{arm['model']}", f"{arm['provider']}:{arm['tier']}"}


def _other(axis: str) -> str:
    return {"prompt": "model", "model": "prompt", "tier": "prompt and provider"}.get(axis, "run")
