"""The baseline's file: what every trial of one run scored, cost and failed with; small, sorted, and sealed by a hash.

The file changes by `workbench baseline` alone, which shows the change. One line per arm, so that git's diff names arms.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import BaselineError
from workbench.records import canonical, sha256
from workbench.settings import workspace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workbench.report import Report

SCHEMA = 1
FOLDER = Path("notebooks") / "baselines"
NOT_RUN = "not run"
VARIABLE = "WORKBENCH_NIGHT"
"""Names the folder of the night that a kernel runs in."""
DIGITS = 10
"""Significant digits of money and graded scores: more than any price has, fewer than where sums begin to differ."""

Number = float | bool | None


@dataclass(frozen=True, slots=True)
class ArmRecord:
    """One arm's trials, case by case and within a case repeat by repeat; every column has one place per trial.

    `scores`: metric -> values; `error_type`: the failure, `not run` where there is no row; money in US dollars.
    """

    prompt: str
    version: str
    prompt_sha: str
    provider: str
    model: str
    scores: Mapping[str, tuple[Number, ...]]
    cost_usd: tuple[Number, ...]
    judge_cost_usd: tuple[Number, ...]
    error_type: tuple[str | None, ...]

    @property
    def name(self) -> str:
        """How the arm is written."""
        return f"{self.prompt}@{self.version} × {self.model}"

    @property
    def key(self) -> tuple[str, ...]:
        """What arms of two nights are matched by: the content of the prompt is not part of it."""
        return (self.prompt, self.version, self.provider, self.model)


@dataclass(frozen=True, slots=True)
class Measured:
    """A run as a baseline keeps it. `cases`: ids, sorted; `contents`: a hash of each case's inputs and expected value.

    `metric` is the deciding one, with its `bounds` and direction; `edited`: the file is not as it was written.
    """

    run_id: str
    dataset: str
    source: str
    metric: str
    bounds: tuple[float, float] | None
    higher_is_better: bool
    repeats: int
    cases: tuple[str, ...]
    contents: tuple[str, ...]
    arms: tuple[ArmRecord, ...]
    edited: bool = False

    @property
    def trials(self) -> int:
        """Number of trials."""
        return len(self.arms) * len(self.cases) * self.repeats

    def not_run(self) -> int:
        """Trials without a row."""
        return sum(error == NOT_RUN for arm in self.arms for error in arm.error_type)


def measured(report: Report) -> Measured:
    """A report as a baseline would keep it; nothing that differs from run to run, such as a time, is in it."""
    identity, question = report.plan["identity"], report.question(None, 0.0)
    contents = report.contents()
    cases = tuple(sorted(contents))
    repeats = int(identity["repeats"])
    rows: dict[tuple[str, ...], dict[tuple[str, int], dict[str, Any]]] = {}
    for row in report.rows():
        arm = (row["prompt"], row["version"], row["provider"], row["model"])
        rows.setdefault(arm, {})[row["case_id"], row["repeat"]] = row
    places = [(case, repeat) for case in cases for repeat in range(repeats)]
    arms = [_arm_record(arm, rows, places, report.metrics) for arm in report.plan["arms"]]
    return Measured(
        run_id=report.run_id,
        dataset=report.plan["dataset"]["name"],
        source=report.source,
        metric=question.metric,
        bounds=question.bounds,
        higher_is_better=question.sign > 0,
        repeats=repeats,
        cases=cases,
        contents=tuple(contents[case][:12] for case in cases),
        arms=tuple(sorted(arms, key=lambda arm: arm.key)),
    )


def _arm_record(
    arm: Mapping[str, Any],
    rows: Mapping[tuple[str, ...], Mapping[tuple[str, int], Mapping[str, Any]]],
    places: list[tuple[str, int]],
    metrics: list[str],
) -> ArmRecord:
    about = {name: arm[name] for name in ("prompt", "version", "prompt_sha", "provider", "model")}
    mine = rows.get((arm["prompt"], arm["version"], arm["provider"], arm["model"]), {})
    found = [mine.get(place) for place in places]
    return ArmRecord(
        **about,
        scores={
            metric: tuple(_rounded(row["scores"].get(metric)) if row else None for row in found) for metric in metrics
        },
        cost_usd=tuple(_rounded(row["cost_usd"]) if row else None for row in found),
        judge_cost_usd=tuple(_rounded(row["judge_cost_usd"]) if row else 0.0 for row in found),
        error_type=tuple(_failure(row) for row in found),
    )


def _failure(row: Mapping[str, Any] | None) -> str | None:
    if row is None:
        return NOT_RUN
    return str(row["error_type"]) if row["error"] is not None else None


def _rounded(value: Number) -> Number:
    return value if value is None or isinstance(value, bool) else float(f"{value:.{DIGITS}g}")


def to_text(one: Measured) -> str:
    """The file's text: sealed, an arm a line."""
    content = _content(one)
    arms = ",\n".join(f"  {json.dumps(arm, ensure_ascii=False)}" for arm in content.pop("arms"))
    head = "".join(
        f" {json.dumps(name)}: {json.dumps(value, ensure_ascii=False)},\n" for name, value in content.items()
    )
    return f'{{\n{head} "arms": [\n{arms}\n ]\n}}\n'


def _content(one: Measured) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": SCHEMA}
    content |= {f.name: getattr(one, f.name) for f in fields(one) if f.name not in ("arms", "edited")}
    content["arms"] = [_arm_content(arm) for arm in one.arms]
    return {"sha256": _seal(content)} | content


def _arm_content(arm: ArmRecord) -> dict[str, Any]:
    """An arm's columns; judge's prices and errors are left out where there are none."""
    content = {f.name: getattr(arm, f.name) for f in fields(arm)}
    if not any(arm.judge_cost_usd):
        del content["judge_cost_usd"]
    if not any(arm.error_type):
        del content["error_type"]
    return content


def _seal(content: Mapping[str, Any]) -> str:
    return sha256(canonical(json.loads(json.dumps(content))))


def read(path: Path) -> Measured:
    """The baseline in a file. Raises BaselineError, with the cure, for one that is missing, torn or of another schema;
    one that was edited by hand is read and marked as such."""
    cure = f"{remake(path.stem)} makes one"
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise BaselineError(f"there is no baseline {_shown(path)}: {cure}") from None
    except (OSError, ValueError) as error:
        raise BaselineError(f"{_shown(path)} cannot be read ({error}): {cure}") from None
    schema = content.get("schema") if isinstance(content, dict) else None
    if schema != SCHEMA:
        raise BaselineError(f"{_shown(path)} has schema {schema!r}, and this version reads {SCHEMA}: {cure}")
    try:
        return _measured_of(content)
    except (KeyError, TypeError, ValueError) as error:
        raise BaselineError(f"{_shown(path)} is no baseline ({type(error).__name__}: {error}): {cure}") from None


def _measured_of(content: dict[str, Any]) -> Measured:
    seal = content.pop("sha256", None)
    edited = seal != _seal(content)
    names = {f.name for f in fields(Measured)} - {"arms", "edited", "cases", "contents", "bounds"}
    size = len(content["cases"]) * content["repeats"]
    if len(content["contents"]) != len(content["cases"]):
        raise ValueError("not one content for each case")
    low_high = content["bounds"]
    return Measured(
        **{name: content[name] for name in names},
        bounds=(float(low_high[0]), float(low_high[1])) if low_high else None,
        cases=tuple(content["cases"]),
        contents=tuple(content["contents"]),
        arms=tuple(_arm_of(arm, size) for arm in content["arms"]),
        edited=edited,
    )


def _arm_of(content: dict[str, Any], size: int) -> ArmRecord:
    content = {"judge_cost_usd": [0.0] * size, "error_type": [None] * size, **content}
    columns: dict[str, Any] = {name: tuple(content.pop(name)) for name in ("cost_usd", "judge_cost_usd", "error_type")}
    scores = {metric: tuple(values) for metric, values in content.pop("scores").items()}
    if any(len(column) != size for column in (*columns.values(), *scores.values())):
        raise ValueError(f"a column of {content['prompt']} has not {size} places")
    return ArmRecord(**content, scores=scores, **columns)


def remake(name: str) -> str:
    """The command that makes a baseline: of what this night measured, or of the newest run here."""
    return f"`workbench baseline {name}`" if os.environ.get(VARIABLE) else f"`workbench baseline {name} --from latest`"


def find(baseline: str | Path) -> Path:
    """Where a baseline's file is: its path from here, from the workspace, or from a folder above; a bare name means
    `notebooks/baselines/<name>.json`. Where none exists, where it would be made."""
    path = Path(baseline)
    if path.suffix != ".json":
        path = FOLDER / f"{path}.json"
    roots = [Path.cwd(), workspace(), *Path.cwd().parents]
    return next((found for root in roots if (found := root / path).is_file()), workspace() / path)


def _shown(path: Path) -> str:
    """Only the end of a path: where a workspace lies is nobody's business, and differs from machine to machine."""
    return "/".join(path.parts[-3:])
