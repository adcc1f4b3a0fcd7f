"""Replayed replies are the same every night, so whatever differs has been changed by somebody."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from workbench.regressions.records import KEPT, Change, Check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workbench.regressions.baseline import ArmRecord, Measured, Number


def exact_checks(then: Measured, now: Measured) -> list[Check]:
    """A check for each arm that both have, field by field, and one for what only one of them has."""
    checks = [_setting(then, now), *_missing_arms(then, now)]
    mine = {arm.key: arm for arm in now.arms}
    common = _common_places(then, now)
    for arm in then.arms:
        if arm.key in mine:
            checks.append(_arm_check(arm, mine[arm.key], common))
    return checks


Place = tuple[str, int, int, int, bool]
"""Case, repeat, the trial's place then and now, and whether the case has still the same content."""


def _setting(then: Measured, now: Measured) -> Check:
    """Whether the same cases were asked as often and scored alike."""
    said = []
    gone, new = sorted(set(then.cases) - set(now.cases)), sorted(set(now.cases) - set(then.cases))
    for cases, word in ((gone, "no longer there"), (new, "new")):
        if cases:
            said.append(f"{len(cases)} cases are {word}: {', '.join(cases[:5])}{' …' if len(cases) > 5 else ''}.")
    for what in ("dataset", "repeats", "metric", "bounds", "higher_is_better"):
        if getattr(then, what) != getattr(now, what):
            said.append(f"{what} was {getattr(then, what)}, is {getattr(now, what)}.")
    told = f"{len(then.cases)} cases × {then.repeats} of {then.dataset}, decided by {then.metric}."
    return Check("trials", "", "red" if said else "green", " ".join(said) or told)


def _missing_arms(then: Measured, now: Measured) -> Iterator[Check]:
    for ours, theirs, word in ((then, now, "was not run now"), (now, then, "is not in the baseline")):
        keys = {arm.key for arm in theirs.arms}
        for arm in ours.arms:
            if arm.key not in keys:
                yield Check("trials", arm.name, "red", f"This arm {word}.")


def _common_places(then: Measured, now: Measured) -> list[Place]:
    """Every trial that both have, with the place of its values in the columns of each."""
    at = {case: number for number, case in enumerate(now.cases)}
    return [
        (case, repeat, number * then.repeats + repeat, at[case] * now.repeats + repeat,
         then.contents[number] == now.contents[at[case]])
        for number, case in enumerate(then.cases)
        if case in at
        for repeat in range(min(then.repeats, now.repeats))
    ]  # fmt: skip


def _arm_check(then: ArmRecord, now: ArmRecord, places: list[Place]) -> Check:
    changes: list[Change] = []
    trials: set[tuple[str, int]] = set()
    fields: set[str] = set()
    for change in _changes(then, now, places):
        trials.add((change.case_id, change.repeat))
        fields.add(change.field)
        if len(changes) < KEPT:
            changes.append(change)
    said = [f"The prompt's content was {then.prompt_sha[:8]}, is {now.prompt_sha[:8]}."]
    said = said if then.prompt_sha != now.prompt_sha else []
    if not trials:
        told = f"{len(places)} trials are what they were."
        return Check("replay", now.name, "red" if said else "green", " ".join([*said, told]))
    said.append(f"{len(trials)} of {len(places)} trials changed, in {', '.join(sorted(fields))}.")
    return Check("replay", now.name, "red", " ".join(said), tuple(changes))


def _changes(then: ArmRecord, now: ArmRecord, places: list[Place]) -> Iterator[Change]:
    """Every field of every trial that differs; scores first, for they are what is read."""
    for case, repeat, a, b, same_case in places:
        if not same_case:
            yield Change(now.name, case, repeat, "case", "of one content", "of another")
        pairs: list[tuple[str, Number | str, Number | str]] = [
            (f"scores.{metric}", _at(then, metric, a), _at(now, metric, b))
            for metric in sorted({*then.scores, *now.scores})
        ]
        for field in ("error_type", "cost_usd", "judge_cost_usd"):
            pairs.append((field, getattr(then, field)[a], getattr(now, field)[b]))
        for field, was, is_ in pairs:
            if was != is_:
                yield Change(now.name, case, repeat, field, _text(was), _text(is_))


def _at(arm: ArmRecord, metric: str, place: int) -> Number | str:
    return arm.scores[metric][place] if metric in arm.scores else "no such metric"


def _text(value: Number | str) -> str:
    return value if isinstance(value, str) else "nothing" if value is None else json.dumps(value)
