"""The cases whose score changed from the baseline to the candidate, with both outputs, masked, for reading."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.errors import ReportError, VerdictError
from workbench.promotion.gathering import file_sha
from workbench.records import arm_key
from workbench.report import load_report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from workbench.promotion.evidence import Evidence
    from workbench.report import Report

SHOWN = 20
"""Cases shown each way."""
CELL = 2000
"""Characters of a text that are shown."""
WINDOW = 20_000
"""Characters of a text that are masked: far more than are shown, so that nothing is cut in two that would be masked."""

Side = tuple[str, str, str]
"""held, case id, and which arm: candidate or baseline."""


@dataclass(frozen=True, slots=True)
class Flip:
    """One case on one model; every text is masked and cut. `scores`: means over the repeats, baseline and candidate."""

    case_id: str
    held: str
    scores: tuple[float, float]
    inputs: str
    expected: str
    baseline: str
    candidate: str


@dataclass(frozen=True, slots=True)
class Flips:
    """Cases that rose and cases that fell, at most `SHOWN` each, the largest changes first; `n_better` and `n_worse`
    count all of them, a case on each of several `models` for itself. `note`: why none are shown."""

    better: tuple[Flip, ...] = ()
    worse: tuple[Flip, ...] = ()
    n_better: int = 0
    n_worse: int = 0
    note: str = ""
    models: int = 1

    @property
    def title(self) -> str:
        """How many flipped each way, in words."""
        counted = f" (a case counts on each of {self.models} models)" if self.models > 1 else ""
        return f"Flipped cases: {self.n_better} better, {self.n_worse} worse{counted}"


def find_flips(evidence: Evidence) -> Flips:
    """The flipped cases of the evidence's verdict, from its run's rows if they are here and unchanged."""
    from workbench.langfuse.masking import Mask

    parts = evidence.verdict.parts
    better, worse = sum(part.flips_better for part in parts), sum(part.flips_worse for part in parts)
    run = evidence.content["run"]
    try:
        report = load_report(run["id"])
        if file_sha(report.folder / "rows.jsonl") != run["rows_sha256"]:
            said = f"The rows of run {run['id']} have changed since: no outputs are shown."
            return Flips((), (), better, worse, said, len(parts))
        rose, fell = _changes(report, evidence)
        shown = {key for key, *_ in (*rose, *fell)}
        outputs = _outputs(report, evidence, shown)
        mask = Mask.of_workspace().mask
        made = [tuple(_flip(report, change, outputs, mask) for change in one) for one in (rose, fell)]
    except (ReportError, VerdictError, OSError, KeyError):
        said = f"Run {run['id']} is not on this machine, or not whole: no outputs are shown."
        return Flips((), (), better, worse, said, len(parts))
    return Flips(made[0], made[1], better, worse, models=len(parts))


Change = tuple[tuple[str, str], float, float]
"""(held, case id), the baseline's mean score, the candidate's."""


def _changes(report: Report, evidence: Evidence) -> tuple[list[Change], list[Change]]:
    """What rose and what fell, the largest change first, cut to what is shown."""
    metric = evidence.verdict.metric
    question = report.question(metric, 0.0)
    found: list[Change] = []
    for held, one, other in _pairs(report, evidence):
        ours, theirs = (report.tally_of(arm).by_case(metric) for arm in (one, other))
        for case in ours.keys() & theirs.keys():
            a, b = ours[case], theirs[case]
            if len(a) == len(b) == question.repeats and not any(x != x for x in a + b):
                found.append(((held, case), sum(b) / len(b), sum(a) / len(a)))
    found.sort(key=lambda change: (-abs(change[2] - change[1]), change[0]))
    rose = [change for change in found if question.sign * (change[2] - change[1]) > 0]
    fell = [change for change in found if question.sign * (change[2] - change[1]) < 0]
    return rose[:SHOWN], fell[:SHOWN]


def _pairs(report: Report, evidence: Evidence) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    from workbench.verdict.arms import pair_arms

    return pair_arms(report.plan["arms"], evidence.ref, str(evidence.content["baseline"]["ref"]))


def _outputs(report: Report, evidence: Evidence, wanted: set[tuple[str, str]]) -> dict[Side, dict[int, Any]]:
    """The rows behind the changes that are shown, by repeat; the others are never held in memory."""
    arms: dict[tuple[str, ...], tuple[str, str]] = {}
    for held, one, other in _pairs(report, evidence):
        arms |= {arm_key(one): (held, "candidate"), arm_key(other): (held, "baseline")}
    found: dict[Side, dict[int, Any]] = {}
    for row in report.rows():
        held, side = arms.get(arm_key(row), ("", ""))
        if side and (held, row["case_id"]) in wanted:
            kept = {"output": row["output"], "error": row["error"], "score": row["scores"].get(evidence.verdict.metric)}
            found.setdefault((held, row["case_id"], side), {})[row["repeat"]] = kept
    return found


def _flip(report: Report, change: Change, outputs: dict[Side, dict[int, Any]], mask: Callable[[str], str]) -> Flip:
    (held, case_id), before, after = change
    ours, theirs = outputs[held, case_id, "candidate"], outputs[held, case_id, "baseline"]
    repeat = next(_differing(ours, theirs), min(ours))
    case = report.cases[case_id]
    texts = [_text(case["inputs"]), _text(case["expected"]), _said(theirs[repeat]), _said(ours[repeat])]
    inputs, expected, baseline, candidate = (_cut(mask(text[:WINDOW]), len(text)) for text in texts)
    return Flip(mask(case_id), held, (before, after), inputs, expected, baseline, candidate)


def _differing(ours: dict[int, Any], theirs: dict[int, Any]) -> Iterator[int]:
    """The repeats that tell the story: those whose scores differ."""
    return (repeat for repeat in sorted(ours) if repeat in theirs and ours[repeat]["score"] != theirs[repeat]["score"])


def _said(row: dict[str, Any]) -> str:
    return str(row["output"]) if row["output"] is not None else f"(failed: {row['error']})"


def _text(value: Any) -> str:
    if isinstance(value, dict) and len(value) == 1:
        value = next(iter(value.values()))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _cut(masked: str, length: int) -> str:
    if len(masked) <= CELL and length <= WINDOW:
        return masked
    return f"{masked[:CELL]} … ({length:,} characters in all)"
