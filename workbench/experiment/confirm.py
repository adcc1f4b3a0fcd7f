"""Confirmation: is it still better on cases that nobody has looked at?

Each dataset has an account of 0.05: the k-th confirmation gets 0.05 / (k (k + 1)), which sums to 0.05 however many
there are. Enough fresh test cases open a new account, judged on those cases alone. What was spent stands in
`.workbench/confirmations.jsonl` before the verdict is shown.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

from workbench.cache import Cache
from workbench.errors import ReportError, VerdictError
from workbench.files import LineFile, json_lines
from workbench.labels import load_calibration
from workbench.records import canonical, content_of, sha256
from workbench.report.rows import read_rows
from workbench.settings import state_dir

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workbench.datasets import Dataset
    from workbench.experiment.grid import Arm
    from workbench.experiment.plan import Design
    from workbench.ledger import Ledger
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
    cases = _unseen(test)
    if len(cases) < FEWEST_CASES:
        raise VerdictError(
            f"{dataset.name} has {len(cases)} unseen test cases of {len(test)}, and a confirmation needs "
            f"{FEWEST_CASES}: add cases that nobody has looked at"
        )
    return cases


def uses_up(dataset: Dataset, chosen: Iterable[Case]) -> tuple[str, ...]:
    """What a run over `chosen` takes from later confirmations: a sentence where it shows test cases that nobody has
    seen yet, else nothing. A dataset given by path has none to keep."""
    if not dataset.from_workspace or not (test := [case for case in chosen if case.split == "test"]):
        return ()
    known = _unseen(dataset.test.cases)
    kept = {case.id for case in known} - {case.id for case in test}
    if not (used := len(known) - len(kept)):
        return ()
    return (
        f"{used} test cases of {dataset.name} count as seen once this has run, and confirm nothing any more: "
        f"{len(kept)} of {len(dataset.test)} stay unseen",
    )


class CasesUsedUp(UserWarning):
    """A run shows test cases that nobody had seen, so that they confirm nothing any more."""


def warn_used_up(dataset: Dataset, chosen: Iterable[Case]) -> None:
    """Say what `uses_up` says where somebody in Python sees it: no plan has to be asked for before a run."""
    for told in uses_up(dataset, chosen):
        warnings.warn(f"{told}.", CasesUsedUp, stacklevel=3)


def _unseen(test: Iterable[Case]) -> tuple[Case, ...]:
    shown = _shown()
    return tuple(case for case in test if content_of(case.inputs, case.expected) not in shown)


def choose_cases(dataset: str, cases: Iterable[Case]) -> tuple[tuple[Case, ...], int]:
    """The cases to confirm on, and the account they belong to: fresh ones alone once they are enough for a new one."""
    entries = _entries(dataset)
    if not entries:
        return tuple(cases), 1
    last = max(entry["account"] for entry in entries)
    used = {one for entry in entries for one in entry["cases"]}
    by_content = [(content_of(case.inputs, case.expected), case) for case in cases]
    fresh = tuple(case for content, case in by_content if content not in used)
    if len(fresh) >= FRESH_CASES:
        return fresh, last + 1
    mine = {one for entry in entries if entry["account"] == last for one in entry["cases"]}
    return tuple(case for content, case in by_content if content in mine), last


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


async def check_judge(scorer: Scorer, dataset: Dataset, ledger: Ledger, *, replay: bool) -> tuple[str, ...]:
    """Hold a calibrated judge against its anchors once more, paid from `ledger`: the model behind it may have changed
    since. A replay asks nobody; the notes that come back say so."""
    calibration = load_calibration(scorer, dataset.name) if scorer.asks_models else None
    if calibration is None or not calibration.anchors:
        return ()
    if replay:
        return (f"Judge {scorer.name} was not held against its anchors: this is a replay.",)
    await calibration.check_anchors(scorer, dataset=dataset, within=ledger)
    return ()


def check_scored(report: Report, metric: str, candidate: str, baseline: str) -> None:
    """Raises VerdictError where not one pair has a score: nothing could be judged, so no share is to be spent on it."""
    from workbench.verdict.arms import pair_arms

    for _, *arms in pair_arms(report.plan["arms"], candidate, baseline):
        found = [report.tally_of(arm).by_case(metric) for arm in arms]
        if any(all(x == x for one in found for x in one[case]) for case in found[0].keys() & found[1].keys()):
            return
    failed = report.errors(n=1)
    why = report.unscored(metric) or f"{failed.title}, such as: {failed.rows[0]['error'] if failed.rows else 'none'}"
    raise VerdictError(f"not confirmed: no pair has a score of {metric}, so nothing was judged or spent. {why}")


def spend(design: Design, dataset: str, account: int, question: list[Any], *, anew: bool) -> Spending:
    """Take the next share of the account, on disk before anything is judged.

    The same question again takes none and keeps the share it had, unless its replies were asked for `anew`: new draws
    are another try. Raises StorageError when it cannot be written: an unrecorded confirmation would be one too many.
    """
    asked = sha256(canonical([design.run_id, question]))
    path = state_dir("confirmations.jsonl")
    # held, so that two processes do not take the same share; half a line is of one who died before anything was judged
    with LineFile(path, "Nothing was judged: free space or rights, then confirm again.", cut=True) as file:
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
        file.append(json.dumps(line), sync=True)
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
    try:
        found = [entry for _, entry in json_lines(state_dir("confirmations.jsonl"), "a confirmation")]
    except FileNotFoundError:
        return []
    except (ValueError, OSError) as error:
        raise ReportError(f"{error}. Repair that line: each one is a share of an account of 0.05") from None
    return [entry for entry in found if entry["dataset"] == dataset]


def _shown() -> set[str]:
    """Hashes of the cases that any run but a confirmation has shown, under whatever name its dataset went. A run whose
    plan cannot be read may have shown all that it holds."""
    found: set[str] = set()
    for path in state_dir("runs").glob("*/plan.json"):
        try:
            plan = json.loads(path.read_text("utf-8"))
            hidden = plan["identity"]["split"] == "dev" or plan["purpose"] == "confirm"
        except (OSError, ValueError, TypeError, KeyError):
            hidden = False
        if not hidden:
            cases = read_rows(path.parent / "cases.jsonl")
            found |= {content_of(case["inputs"], case["expected"]) for case in cases}
    return found
