"""What a run's folder holds: its plan, its cases, its rows and their sums."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import ReportError, VerdictError, choices
from workbench.records import arm_key, arm_ref, content_of
from workbench.report.rows import last_rows, read_rows, rows_end
from workbench.report.scored import plan_scorers
from workbench.report.summary import Tally, tally
from workbench.scorers.owner import declared, owner, unknown

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from workbench.scorers import Scorer

PLANNED = frozenset({"run_id", "trials", "arms", "scorers", "dataset", "identity"})
"""What a plan.json holds at least."""


class RunData:
    """The rows of one run with its plan and cases. Reads `rows.jsonl` as a stream: rows are never all in memory unless
    asked for. What a run that goes on adds after the first look is in the next reading of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def plan(self) -> dict[str, Any]:
        """What the run was made of, as `plan.json` keeps it."""
        try:
            content = json.loads((self.folder / "plan.json").read_text("utf-8"))
            if not isinstance(content, dict) or (lacking := sorted(PLANNED - content.keys())):
                raise ValueError(f"it lacks {lacking[0]}" if isinstance(content, dict) else "it is no object")
        except (OSError, ValueError) as error:
            raise ReportError(f"{self.folder}: no readable plan.json: {error}") from None
        return content

    @property
    def run_id(self) -> str:
        """The run's id."""
        return str(self.plan["run_id"])

    @property
    def done(self) -> int:
        """Trials that have a row."""
        return sum(len(one.slots) for one in self._tallies.values())

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics, the deciding one first."""
        known = declared(plan_scorers(self.plan))
        seen = {metric for one in self._tallies.values() for metric in one.scores}
        return [*(m for m in known if m in seen or not seen), *sorted(seen - known.keys())]

    def rows(self) -> Iterator[dict[str, Any]]:
        """Every trial's row as a dict, one at a time; of several tries of a trial the last."""
        return last_rows(self._rows, self._end)

    def frame(self) -> pd.DataFrame:
        """One pandas row per trial, the Row's fields as columns, scores as `score.<metric>`."""
        import pandas as pd

        records = [
            {k: _whole(v) for k, v in row.items() if k != "scores"}
            | {f"score.{k}": v for k, v in row["scores"].items()}
            for row in self.rows()
        ]
        return pd.DataFrame(records)

    def save(self, path: str | Path) -> Path:
        """Write the rows to `path`: `.jsonl`, or `.parquet` where pyarrow is installed. Raises ReportError."""
        path = Path(path)
        if path.suffix == ".jsonl":
            with path.open("w", encoding="utf-8") as file:
                file.writelines(json.dumps(row) + "\n" for row in self.rows())
        elif path.suffix == ".parquet":
            try:
                self.frame().to_parquet(path)
            except ImportError:
                raise ReportError("writing Parquet needs pyarrow: pip install 'prompt-workbench[parquet]'") from None
        else:
            raise ReportError(f"{path}: write to a .jsonl or .parquet file")
        return path

    def name_of(self, value: object) -> str:
        """A prompt, model or name as this run writes it: `ticket-triage@production` is the version that it was then."""
        name = str(getattr(value, "ref", value))
        return str(self.plan.get("aliases", {}).get(name, name))

    def contents(self) -> dict[str, str]:
        """case id -> hash of the case's inputs and expected value."""
        return {case_id: content_of(case["inputs"], case["expected"]) for case_id, case in self.cases.items()}

    def scorer_of(self, metric: str) -> Scorer | None:
        """The scorer that gives a metric, without its function; None where the plan and the rows do not tell."""
        seen = {name for one in self._tallies.values() for name in one.scores}
        return owner(metric, plan_scorers(self.plan), seen)

    def tally_of(self, arm: dict[str, Any]) -> Tally:
        """The sums of one of the plan's arms."""
        key = arm_key(arm)
        if key not in self._tallies:
            raise ReportError(f"{arm_ref(arm)} has no rows yet")
        return self._tallies[key]

    @property
    def source(self) -> str:
        """simulated as soon as one reply was, else recorded, else live."""
        sources = {source for one in self._tallies.values() for source in one.sources}
        return next((one for one in ("simulated", "recorded") if one in sources), "live")

    @cached_property
    def cases(self) -> dict[str, dict[str, Any]]:
        """case id -> the case as it was run, in the order in which cases went out."""
        return {case["id"]: case for case in read_rows(self.folder / "cases.jsonl")}

    @cached_property
    def _tallies(self) -> dict[tuple[str, ...], Tally]:
        return tally(read_rows(self._rows, self._end))

    @property
    def _rows(self) -> Path:
        return self.folder / "rows.jsonl"

    @cached_property
    def _end(self) -> int:
        """How far the rows were written at the first look: a run that goes on moves none of this report's numbers."""
        return rows_end(self._rows)

    def _metric(self, metric: str | None) -> str:
        if metric is None:
            return self.metrics[0]
        if metric not in self.metrics:
            raise ReportError(f"no metric {metric!r} in this run: {choices(metric, self.metrics)}")
        return metric

    def _judging(self, metric: str) -> Scorer:
        """The scorer of a metric that something is judged by."""
        found = self.scorer_of(metric)
        if found is None:
            raise VerdictError(unknown(metric))
        return found


def _whole(value: Any) -> Any:
    """A text without half characters, which a model may write and which no data frame can hold."""
    if isinstance(value, str) and not value.isascii():
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value
