"""Confirmation: is it still better on cases that nobody has looked at?

Each dataset has an account of 0.05: the k-th confirmation gets 0.05 / (k (k + 1)), which sums to 0.05 however many
there are. Enough fresh test cases open a new account, judged on those cases alone. What was spent stands in
`.workbench/confirmations.jsonl` before the verdict is shown.
"""

from __future__ import annotations

import fcntl
import json
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

from workbench.cache import Cache
from workbench.errors import StorageError, VerdictError
from workbench.labels import load_calibration
from workbench.records import canonical, sha256
from workbench.report.rows import read_rows
from workbench.settings import state_dir

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workbench.datasets import Dataset
    from workbench.experiment.grid import Arm
    from workbench.experiment.plan import Design
    from workbench.records import Case
    from workbench.report import Report
    from workbench.scorers import Scorer
    from workbench.verdict import Verdict

ACCOUNT = 0.05
FEWEST_CASES = 20
FARTHEST_S = 7 * 24 * 3600.0
FRESH_CASES = 100
"""Unseen test cases, beyond those of the last account, that open a new one."""


@dataclass(frozen=True, slots=True)
class Spending:
    """The k-th confirmation of an account, and the error probability that it may spend."""

    account: int
    k: int

    @property
    def alpha(self) -> float:
        """0.05 / (k (k + 1))."""
        return ACCOUNT / (self.k * (self.k + 1))


def unseen_cases(dataset: Dataset) -> tuple[Case, ...]:
    """The test cases that no exploratory run of this workspace has shown. Raises VerdictError if they are too few."""
    if not dataset.from_workspace:
        raise VerdictError(
            f"{dataset.name} was given by path or as a DataFrame, so runs use all of it and no case is "
            "unseen: put it into datasets/ and load it by name"
        )
    test = dataset.test.cases
    shown = _shown()
    cases = tuple(case for case in test if case_hash(case) not in shown)
    if len(cases) < FEWEST_CASES:
        raise VerdictError(
            f"{dataset.name} has {len(cases)} unseen test cases of {len(test)}, and a confirmation needs "
            f"{FEWEST_CASES}: add cases that nobody has looked at"
        )
    return cases


def case_hash(case: Case) -> str:
    """A case's content, hashed."""
    return sha256(canonical([dict(case.inputs), case.expected]))


def choose_cases(dataset: str, cases: Iterable[Case]) -> tuple[tuple[Case, ...], int]:
    """The cases to confirm on, and the account they belong to: fresh ones alone once they are enough for a new one."""
    entries = _entries(dataset)
    if not entries:
        return tuple(cases), 1
    last = max(entry["account"] for entry in entries)
    used = {one for entry in entries for one in entry["cases"]}
    fresh = tuple(case for case in cases if case_hash(case) not in used)
    if len(fresh) >= FRESH_CASES:
        return fresh, last + 1
    mine = {one for entry in entries if entry["account"] == last for one in entry["cases"]}
    return tuple(case for case in cases if case_hash(case) in mine), last


def check_ages(design: Design) -> None:
    """Refuse to confirm on pairs whose replies lie over a week apart: the models may have changed in between.

    Raises VerdictError naming the cases, with the cure.
    """
    keys = {
        (case.id, number): sha256(arm.request(case, repeat).identity())
        for case in design.cases
        for number, (arm, repeat) in enumerate(product(design.arms, range(design.repeats)))
    }
    stored = Cache(state_dir("cache")).stored_at(list(keys.values()))
    times: dict[str, list[float]] = {}
    for (case_id, _), key in keys.items():
        if key in stored:
            times.setdefault(case_id, []).append(stored[key])
    apart = [case_id for case_id, found in times.items() if max(found) - min(found) > FARTHEST_S]
    if apart:
        shown = ", ".join(apart[:5]) + (f" and {len(apart) - 5} more" if len(apart) > 5 else "")
        raise VerdictError(
            f"the replies of {len(apart)} pairs were given over 7 days apart ({shown}): confirm again with "
            'cache="refresh", which asks all of them anew'
        )


async def check_judge(scorer: Scorer, dataset: Dataset) -> None:
    """Hold a calibrated judge against its anchors once more: the model behind it may have changed since."""
    calibration = load_calibration(scorer, dataset.name) if scorer.asks_models else None
    if calibration is not None and calibration.anchors:
        await calibration.check_anchors(scorer, dataset=dataset)


def spend(design: Design, dataset: str, account: int, question: list[Any], *, anew: bool) -> Spending:
    """Take the next share of the account, on disk before anything is judged.

    The same question again takes none and keeps the share it had, unless its replies were asked for `anew`: new draws
    are another try. Raises StorageError when it cannot be written: an unrecorded confirmation would be one too many.
    """
    asked = sha256(canonical([design.run_id, question]))
    path = state_dir("confirmations.jsonl")
    try:
        with path.open("a", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # two processes must not take the same share
            entries = [entry for entry in _entries(dataset) if entry["account"] == account]
            before = [entry["k"] for entry in entries if entry["question"] == asked]
            if before and not anew:
                return Spending(account, before[-1])
            spending = Spending(account, len(entries) + 1)
            line = {
                "dataset": dataset,
                "account": account,
                "k": spending.k,
                "alpha": spending.alpha,
                "question": asked,
                "asked": question,
                "run": design.run_id,
                "cases": design.case_hashes(),
            }
            file.write(json.dumps(line) + "\n")
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error}; nothing was judged") from None
    return spending


def confirmed(
    report: Report, candidate: str, baseline: str, metric: str | None, margin: float, alpha: float
) -> Verdict:
    """The verdict on a finished confirmation run, at the level that was bought for it."""
    from workbench.verdict.arms import pair_arms
    from workbench.verdict.compare import judge_all
    from workbench.verdict.records import Verdict

    question = replace(report.question(metric, margin), alpha=alpha)
    parts = judge_all(report, pair_arms(report.plan["arms"], candidate, baseline), question)
    looks, variants = report.look(question.metric, candidate, baseline)
    return Verdict(
        candidate,
        baseline,
        question.metric,
        margin,
        parts,
        "confirmed",
        report.source,
        report.run_id,
        report.plan["dataset"]["name"],
        looks,
        variants,
    )


def arms_of(arms: Iterable[Arm], candidate: str, baseline: str) -> tuple[Arm, ...]:
    """The arms that a comparison of the two needs. Raises VerdictError as `compare` does."""
    from workbench.experiment.plan import arm_facts
    from workbench.verdict.arms import pair_arms

    known = list(arms)
    facts = [arm_facts(arm) for arm in known]
    wanted = [one for _, *pair in pair_arms(facts, candidate, baseline) for one in pair]
    return tuple(arm for arm, fact in zip(known, facts, strict=True) if fact in wanted)


def _entries(dataset: str) -> list[dict[str, Any]]:
    return [entry for entry in read_rows(state_dir("confirmations.jsonl")) if entry["dataset"] == dataset]


def _shown() -> set[str]:
    """Hashes of the cases that any run but a confirmation has shown, under whatever name its dataset went."""
    found: set[str] = set()
    for path in state_dir("runs").glob("*/plan.json"):
        try:
            plan = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError):
            continue
        if plan["identity"]["split"] != "dev" and plan["purpose"] != "confirm":
            cases = read_rows(path.parent / "cases.jsonl")
            found |= {sha256(canonical([case["inputs"], case["expected"]])) for case in cases}
    return found
