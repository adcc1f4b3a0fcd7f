"""Live replies are drawn anew every night, so a difference counts only where chance would not make it.

All checks of a night share a false-alarm rate of one night in 90: with m checks in the night each gets α = 1/(90·m),
one-sided (Bonferroni's inequality, Dunn 1961, JASA 56, 52-64; it needs no independence). An arm fails a check when two
things hold: it is shown to be worse at all (the upper limit of the paired difference, two-sided level 1 − 2α, lies
below 0), and the estimate lies beyond what is allowed. The rate is one over nights and baselines together: a baseline
that was itself a lucky draw is compared with again every night.

A check passes when a drop beyond what is allowed is ruled out as a verdict's "not worse" rules it out (the lower limit
of the same difference, two-sided level 1 − `FIXED_ALPHA`). That level is not shared: a night passes only if each of its
checks does, so a drop of one arm slips through no more often than its own check lets it (intersection–union test,
Berger 1982, Technometrics 24, 295-300). What neither fails nor passes is yellow.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from workbench import stats
from workbench.regressions.baseline import NOT_RUN
from workbench.regressions.records import Check
from workbench.stats.difference import bounded_limits
from workbench.stats.signflip import DRAWS
from workbench.verdict.cases import same_cases
from workbench.verdict.judge import FIXED_ALPHA
from workbench.verdict.records import FEWEST

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from workbench.regressions.baseline import ArmRecord, Measured

    Floats = NDArray[np.float64]

NIGHT_ALPHA = 1 / 90
"""Probability that a night without any change has a false alarm."""
FAILURES = 0.05
"""Share of the trials that may newly fail."""
SHARED = 0.9
"""Share of the cases that baseline and report must have in common."""
KINDS: tuple[Kind, ...] = ("score", "cost", "failures")
Kind = Literal["score", "cost", "failures"]


@dataclass(frozen=True, slots=True)
class Allowed:
    """What is no alarm: a score lower by up to `margin` (units of the metric), cost per 1,000 cases dearer by up to
    `cost_share` (0.1 is a tenth). `checks`: how many share the night's false-alarm rate."""

    margin: float
    cost_share: float
    checks: int

    @property
    def alpha(self) -> float:
        """One-sided level of one check."""
        return NIGHT_ALPHA / max(self.checks, 1)


@dataclass(frozen=True, slots=True)
class Finding:
    """A paired change, turned so that more is better, with a verdict's limits `low` and `high`, the upper limit
    `most` at the night's level, and `n` cases whose changes have the standard deviation `sd`."""

    change: float
    low: float
    high: float
    most: float
    n: int
    sd: float

    def state(self, allowed: float) -> Literal["green", "yellow", "red"]:
        """red: shown to be worse, and by more than is allowed; green: worse by more than is allowed is ruled out."""
        if self.most < 0 and self.change < -allowed:
            return "red"
        return "green" if self.low >= -allowed else "yellow"

    def cases_needed(self, allowed: float) -> int | None:
        """Cases from which four nights of five are green while nothing changes; None if it has as many."""
        needed = stats.cases_needed(allowed, sd=self.sd, alpha=FIXED_ALPHA) if allowed > 0 else 0
        return needed if needed > self.n else None


def statistical_checks(then: Measured, now: Measured, allowed: Allowed) -> list[Check]:
    """Three checks for each arm: its score, its cost, its failures."""
    checks = [_coverage(then, now)]
    mine = {arm.key: arm for arm in now.arms}
    for arm in then.arms:
        if arm.key in mine:
            checks += [_check(kind, arm, mine[arm.key], (then, now), allowed) for kind in KINDS]
        else:
            checks.append(Check("trials", arm.name, "red", "This arm was not run now."))
    return checks


def still_stands(check: Check, then: Measured, now: Measured, fresh: Measured) -> Check:
    """An alarm after its flipped cases were asked once more. It stands unless the fresh answers, in place of tonight's
    first ones, leave no drop at all: of a true drop too, many flips go back by chance, so that what is left of it is
    less than what was seen. This can only take alarms away, so the rate of false ones holds whatever is said here."""
    arms = {arm.name: arm for arm in then.arms}
    mine = {arm.name: arm for arm in now.arms}
    again = {arm.name: arm for arm in fresh.arms}
    if check.arm not in again:
        return check
    kind: Kind = "score" if check.name == "score" else "failures"
    column = _column(kind, mine[check.arm], now)
    asked = dict(zip(fresh.cases, _column(kind, again[check.arm], fresh), strict=True))
    newer = {case: asked[once_more] for once_more, case in _matched(fresh, now).items()}
    newer = {case: value for case, value in newer.items() if not np.isnan(value)}  # no answer takes no alarm away
    column = np.array([newer.get(case, old) for case, old in zip(now.cases, column, strict=True)])
    changes = _paired(_column(kind, arms[check.arm], then), then, column, now)[2]
    change = float(changes[~np.isnan(changes)].mean())
    show = _unit(now) if kind == "score" else _percent
    told = f"Asked again, {len(fresh.cases)} flipped cases leave a change of {show(_sign(kind, now) * change)}"
    if change < 0:
        return replace(check, again=f"{told}: it stands.")
    return replace(check, state="green", again=f"{told}: the alarm is withdrawn.")


def flipped(check: Check, then: Measured, now: Measured) -> list[str]:
    """Ids of tonight's cases that changed either way in a check that raised an alarm."""
    kind: Kind = "score" if check.name == "score" else "failures"
    before = next(arm for arm in then.arms if arm.name == check.arm)
    after = next(arm for arm in now.arms if arm.name == check.arm)
    cases, _, changes = _paired(_column(kind, before, then), then, _column(kind, after, now), now)
    return [case for case, change in zip(cases, changes, strict=True) if change != 0]


def _coverage(then: Measured, now: Measured) -> Check:
    """Whether both are about the same cases, and all of them were run."""
    shared = len(_matched(then, now))
    if then.dataset != now.dataset or shared < SHARED * max(len(then.cases), len(now.cases)):
        said = (
            f"The baseline has {len(then.cases)} cases of {then.dataset}, this run {len(now.cases)} of {now.dataset}, "
            f"and they share {shared}: at least {SHARED:.0%} are needed."
        )
        return Check("trials", "", "red", said)
    if not_run := now.not_run():
        return Check("trials", "", "yellow", f"{not_run} of {now.trials} trials were not run.")
    old = {arm.key: arm.prompt_sha for arm in then.arms}
    edited = sorted({f"{a.prompt}@{a.version}" for a in now.arms if old.get(a.key, a.prompt_sha) != a.prompt_sha})
    noted = f" The content of {', '.join(edited)} changed since the baseline." if edited else ""
    return Check("trials", "", "yellow" if edited else "green", f"{shared} cases are the same.{noted}")


def _check(kind: Kind, then: ArmRecord, now: ArmRecord, both: tuple[Measured, Measured], allowed: Allowed) -> Check:
    before, after = _column(kind, then, both[0]), _column(kind, now, both[1])
    _, pairs, changes = _paired(before, both[0], after, both[1])
    lost = int(np.isnan(changes).sum())
    pairs = pairs[~np.isnan(changes)]
    if len(pairs) < FEWEST:
        why = "no price or score is known there" if lost else "nothing is said on fewer"
        return Check(kind, now.name, "yellow", f"{len(pairs)} pairs, and {FEWEST} are needed: {why}.")
    if kind == "cost":
        found, limit = _dearer(pairs, allowed.alpha), allowed.cost_share
    else:
        limit = allowed.margin if kind == "score" else FAILURES
        found = _difference(pairs, _bounds(kind, both[0]), both[0].repeats, allowed.alpha)
    state = found.state(limit)
    return Check(kind, now.name, state, _sentence(kind, found, limit, state, lost, both[0]))


def _column(kind: Kind, arm: ArmRecord, one: Measured) -> Floats:
    """A value per case, the mean of its repeats, turned so that more is better; NaN where one is missing."""
    if kind == "score":
        sign = 1 if one.higher_is_better else -1
        values = [np.nan if v is None else sign * float(v) for v in arm.scores.get(one.metric, ())]
        values = values or [np.nan] * len(arm.error_type)
    elif kind == "cost":
        values = [np.nan if v is None else -float(v) for v in arm.cost_usd]
    else:
        values = [np.nan if e == NOT_RUN else -float(e is not None) for e in arm.error_type]
    means: Floats = np.array(values, dtype=float).reshape(len(one.cases), one.repeats).mean(axis=1)
    return means


def _paired(before: Floats, then: Measured, after: Floats, now: Measured) -> tuple[list[str], Floats, Floats]:
    """Ids, pairs (now, then) of shape (cases, 2), and changes of the cases that both have, matched by content."""
    values = dict(zip(then.cases, before, strict=True))
    old = {mine: values[theirs] for theirs, mine in _matched(then, now).items()}
    shared = [(case, value, old[case]) for case, value in zip(now.cases, after, strict=True) if case in old]
    pairs = np.array([[a, b] for _, a, b in shared], dtype=float).reshape(len(shared), 2)
    return [case for case, *_ in shared], pairs, pairs[:, 0] - pairs[:, 1]


def _matched(then: Measured, now: Measured) -> dict[str, str]:
    """Case ids of `then` -> those of `now` with the same content."""
    return same_cases(*(dict(zip(one.cases, one.contents, strict=True)) for one in (then, now)))


def _bounds(kind: Kind, one: Measured) -> tuple[float, float] | None:
    if kind == "failures":
        return (-1.0, 0.0)
    if one.bounds is None:
        return None
    low, high = one.bounds
    return (low, high) if one.higher_is_better else (-high, -low)


def _difference(pairs: Floats, bounds: tuple[float, float] | None, repeats: int, alpha: float) -> Finding:
    """The paired difference of scores or failures, by the rules of every verdict."""
    changes, width = pairs[:, 0] - pairs[:, 1], None if bounds is None else bounds[1] - bounds[0]
    limits = [_limits(pairs, bounds, repeats, level) for level in (FIXED_ALPHA, 2 * alpha)]
    (low, high), (_, most) = limits
    sd = float(changes.std(ddof=1))
    if width is not None:  # one more flip each way, as in the limits: cases that are all alike still leave a doubt
        sd = ((len(changes) * float(changes.var()) + 2 * width**2) / (len(changes) + 2)) ** 0.5
    return Finding(float(changes.mean()), low, high, most, len(changes), sd)


def _limits(pairs: Floats, bounds: tuple[float, float] | None, repeats: int, alpha: float) -> tuple[float, float]:
    """Limits at level 1 − alpha. Below 200 cases verdicts use sign flips, of which 4,999 cannot speak of levels below
    1/2,500: there the score limits on effective flips, joined with Student's, take their place."""
    now, then = pairs[:, 0], pairs[:, 1]
    width = None if bounds is None else bounds[1] - bounds[0]
    binary = repeats == 1 and bounds is not None and bool(np.isin(pairs, bounds).all())
    if binary or len(pairs) >= stats.LARGE or (DRAWS + 1) * alpha >= 4:
        scale = width if binary and width else 1.0
        found = stats.paired_difference(now / scale, then / scale, binary=binary, bounds=bounds, alpha=alpha)
        return found.low * scale, found.high * scale
    low, high = stats.t_limits(now - then, 1 - alpha)
    if width is not None:
        lower, upper, _ = bounded_limits((now - then) / width, alpha)
        low, high = min(low, float(lower) * width), max(high, float(upper) * width)
    return low, high


def _dearer(pairs: Floats, alpha: float) -> Finding:
    """How much cheaper the cases have become, as a share of what they cost in the baseline (Student's limits)."""
    before = -float(pairs[:, 1].mean())
    if before == 0:
        change = float(pairs[:, 0].mean())
        limit = change and -np.inf
        return Finding(limit, limit, limit, limit, len(pairs), 0.0)
    changes = (pairs[:, 0] - pairs[:, 1]) / before
    (low, high), (_, most) = (stats.t_limits(changes, 1 - level) for level in (FIXED_ALPHA, 2 * alpha))
    return Finding(float(changes.mean()), low, high, most, len(pairs), float(changes.std(ddof=1)))


def _sentence(kind: Kind, found: Finding, limit: float, state: str, lost: int, one: Measured) -> str:
    what = {
        "score": f"{one.metric} changed by",
        "cost": "cost per 1,000 cases changed by",
        "failures": "failures changed by",
    }
    sign = _sign(kind, one)
    show = _unit(one) if kind == "score" else _percent
    ends = sorted((sign * found.low, sign * found.high))
    size = f"{what[kind]} {show(sign * found.change)} ({show(ends[0])} to {show(ends[1])}; {found.n} cases)"
    beyond = {"score": show(limit).lstrip("+"), "cost": f"{limit:.0%}", "failures": f"{limit:.0%} of the trials"}
    needed = found.cases_needed(limit)
    unsure = (
        f"too small to see a change of {beyond[kind]}; about {needed:,} cases would do."
        if needed
        else f"a change of {beyond[kind]} is not ruled out."
    )
    said = {
        "red": f"{size}: worse beyond the allowed {beyond[kind]}.",
        "green": f"{size}; {beyond[kind]} are allowed.",
        "yellow": f"{size}: {unsure}",
    }[state]
    return said + (f" {lost} pairs lack a value." if lost else "")


def _sign(kind: Kind, one: Measured) -> int:
    """Changes are kept so that more is better, and told as they are: costs, failures and some scores rise."""
    return 1 if kind == "score" and one.higher_is_better else -1


def _unit(one: Measured) -> Callable[[float], str]:
    """A score between 0 and 1 is told in points, any other in its own unit."""
    return _points if one.bounds == (0.0, 1.0) else "{:+.4g}".format


def _points(change: float) -> str:
    return f"{round(100 * change, 1) + 0.0:+.1f} points"


def _percent(share: float) -> str:
    return f"{round(100 * share, 1) + 0.0:+.1f} %"


def kinds_of(arms: Sequence[ArmRecord]) -> int:
    """How many checks so many arms take."""
    return len(KINDS) * len(arms)
