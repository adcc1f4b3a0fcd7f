"""A run's rows with their summaries, read from its folder; finished, stopped or broken alike."""

from __future__ import annotations

import heapq
import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import PromptError, ReportError, choices
from workbench.prompts import Prompt, load_prompt
from workbench.records import canonical, sha256
from workbench.report.cases import Cases
from workbench.report.looks import count_look
from workbench.report.rows import last_rows, read_rows, trial_key
from workbench.report.summary import Leaderboard, Tally, summarise, tally
from workbench.report.unsent import unsent_note, unsent_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from matplotlib.figure import Figure

    from workbench.verdict import Comparison, Verdict
    from workbench.verdict.judge import Question

DECLARED = (
    "Simulated: stand-in servers answered. The numbers are declared in behaviour.toml, not measured; "
    "they say nothing about real models."
)
RECORDED = "Recorded: replies were replayed from a recordings file."


class Report:
    """The rows of one run. Reads `rows.jsonl` as a stream: rows are never all in memory unless asked for.

    `state`: how the run ended, as far as this reader knows; `message` says why when it was cut short, and what is not
    in Langfuse yet.
    """

    def __init__(self, folder: Path, state: str = "", message: str = "") -> None:
        self.folder = folder
        self._message = message
        self._state = state

    @cached_property
    def plan(self) -> dict[str, Any]:
        """What the run was made of, as `plan.json` keeps it."""
        try:
            content = json.loads((self.folder / "plan.json").read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise ReportError(f"{self.folder}: no readable plan.json: {error}") from None
        return dict(content)

    @property
    def run_id(self) -> str:
        """The run's id."""
        return str(self.plan["run_id"])

    @property
    def state(self) -> str:
        """finished, stopped, interrupted, budget reached; `unfinished` when only the rows tell."""
        return self._state or ("finished" if self.done >= self.plan["trials"] else "unfinished")

    @property
    def message(self) -> str:
        """Why the run was cut short, and what Langfuse has not got or did not take; else empty."""
        return " ".join(filter(None, (self._message, unsent_note(self.folder))))

    @property
    def unsent(self) -> int:
        """Results that are to go to Langfuse and that it has not confirmed."""
        return unsent_rows(self.folder)

    @property
    def done(self) -> int:
        """Trials that have a row."""
        return sum(len(one.slots) for one in self._tallies.values())

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics, the deciding one first."""
        declared = [metric for scorer in self.plan["scorers"] for metric in scorer["metrics"] or [scorer["name"]]]
        seen = {metric for one in self._tallies.values() for metric in one.scores}
        return [*(m for m in dict.fromkeys(declared) if m in seen or not seen), *sorted(seen - set(declared))]

    def rows(self) -> Iterator[dict[str, Any]]:
        """Every trial's row as a dict, one at a time; of several tries of a trial the last."""
        return last_rows(self.folder / "rows.jsonl")

    def frame(self) -> pd.DataFrame:
        """One pandas row per trial, the Row's fields as columns, scores as `score.<metric>`."""
        import pandas as pd

        records = [
            {k: _whole(v) for k, v in row.items() if k != "scores"}
            | {f"score.{k}": v for k, v in row["scores"].items()}
            for row in self.rows()
        ]
        return pd.DataFrame(records)

    def leaderboard(self, by: str | None = None, metric: str | None = None) -> Leaderboard:
        """One row per arm, the best first; `by="tag"`: one per tag and arm. `metric`: another than the deciding one.

        Raises ReportError for an unknown metric or grouping.
        """
        if by not in (None, "tag"):
            raise ReportError(f"leaderboard by {by!r}: by must be None or 'tag'")
        metric = self._metric(metric)
        bounds, seed = self._bounds(metric), self.plan["identity"]["seed"]
        if by is None:
            planned = self.plan["trials"] // max(len(self.plan["arms"]), 1)
            found = [
                summarise(one, metric, self._ref(one.about), planned, bounds, seed) for one in self._tallies.values()
            ]
        else:
            by_tag = tally(
                read_rows(self.folder / "rows.jsonl"), {id_: case["tags"] for id_, case in self.cases.items()}
            )
            found = [
                summarise(one, metric, self._ref(one.about), len(one.slots), bounds, seed, key[-1])
                for key, one in by_tag.items()
            ]
        best_last = -1 if self._higher_is_better(metric) else 1
        found.sort(
            key=lambda r: (r.tag or "", r.mean is None, best_last * (r.mean or 0.0), r.cost_per_1000_usd or 0.0, r.arm)
        )
        return Leaderboard(tuple(found), self.caption())

    def caption(self) -> str:
        """The first line of every table: what answered, and what is missing."""
        sources = {source for one in self._tallies.values() for source in one.sources}
        said = [DECLARED] if "simulated" in sources else [RECORDED] if "recorded" in sources else []
        if self.done < self.plan["trials"]:
            said.append(f"{self.done} of {self.plan['trials']} planned trials were run.")
        return " ".join(said)

    def name_of(self, value: object) -> str:
        """A prompt, model or name as this run writes it: `ticket-triage@production` is the version that it was then."""
        name = str(getattr(value, "ref", value))
        return str(self.plan.get("aliases", {}).get(name, name))

    def compare(
        self,
        candidate: Prompt | str,
        baseline: Prompt | str,
        metric: str | None = None,
        margin: float = 0.0,
        against: Report | None = None,
    ) -> Verdict:
        """Whether `candidate` is better than `baseline` here: `report.compare("ticket-triage@v3", "ticket-triage@v2")`.

        Options and errors as in `workbench.verdict.compare`. Each call is counted as a look at this dataset.
        """
        from workbench.verdict.compare import compare

        return compare(self, candidate, baseline, metric, margin, against)

    def leading(self, metric: str | None = None) -> Verdict:
        """Whether the best arm is better than the second, as far as this run has come; the pair counts as chosen among
        all pairs. Raises VerdictError for fewer than two arms."""
        from workbench.verdict.compare import leading

        return leading(self, metric)

    def contents(self) -> dict[str, str]:
        """case id -> hash of the case's inputs and expected value."""
        return {case_id: sha256(canonical([case["inputs"], case["expected"]])) for case_id, case in self.cases.items()}

    def compare_all(self, baseline: Prompt | str, metric: str | None = None, margin: float = 0.0) -> Comparison:
        """Every other prompt version of this run against `baseline`, corrected over them (Holm) on each model.

        Options and errors as in `compare`; counted as one look.
        """
        from workbench.verdict.compare import compare_all

        return compare_all(self, baseline, metric, margin)

    def question(self, metric: str | None, margin: float) -> Question:
        """How pairs of this report are judged."""
        from workbench.report.judged import judged
        from workbench.verdict.judge import Question

        name = self._metric(metric)
        identity = self.plan["identity"]
        sign = 1 if self._higher_is_better(name) else -1
        finished = self.done >= self.plan["trials"]
        planned = () if finished else tuple(self.cases)
        repeats, seed = identity["repeats"], identity["seed"]
        scorer = self._scorer_of(name)
        scored_by = judged(self.folder, self.plan, scorer, name) if scorer.get("asks_models") else None
        return Question(name, margin, self._bounds(name), sign, repeats, seed, finished, planned, scored_by)

    def tally_of(self, arm: dict[str, Any]) -> Tally:
        """The sums of one of the plan's arms."""
        key = (arm["prompt"], arm["prompt_sha"], arm["provider"], arm["model"])
        if key not in self._tallies:
            raise ReportError(f"{arm['prompt']}@{arm['version']} × {arm['model']} has no rows yet")
        return self._tallies[key]

    def look(self, metric: str, candidate: str, baseline: str) -> tuple[int, int]:
        """Count a comparison; how often this dataset was looked at, and how many versions were tried on it."""
        return count_look(self.folder.parent, self.plan["dataset"]["name"], [self.run_id, metric, candidate, baseline])

    @property
    def source(self) -> str:
        """simulated as soon as one reply was, else recorded, else live."""
        sources = {source for one in self._tallies.values() for source in one.sources}
        return next((one for one in ("simulated", "recorded") if one in sources), "live")

    def paid_to(self) -> str:
        """A reminder that list prices of simulated calls were paid to nobody."""
        return " at list price, paid to nobody" if DECLARED in self.caption() else ""

    def wrong(
        self, metric: str | None = None, n: int = 20, *, prompt: Prompt | str | None = None, model: str | None = None
    ) -> Cases:
        """The `n` rows with the lowest scores (the highest where lower is better), with inputs, expected and output."""
        metric = self._metric(metric)
        sign = 1 if self._higher_is_better(metric) else -1
        best = self._best(metric, sign)
        below = [0]

        def not_right() -> Iterator[dict[str, Any]]:
            for row in self._chosen(prompt, model):
                value = row["scores"].get(metric)
                if value is not None and sign * value < best:
                    below[0] += 1
                    yield row

        rows = heapq.nsmallest(n, not_right(), key=lambda row: (sign * row["scores"][metric], *trial_key(row)))
        return Cases(tuple(rows), self.cases, metric, f"lowest {metric}: {len(rows)} of {below[0]} that are not right")

    def errors(self, n: int | None = None) -> Cases:
        """The trials that failed, with their errors."""
        rows = tuple(row for row in self.rows() if row["error"] is not None)
        return Cases(rows[:n], self.cases, "", f"{len(rows)} of {self.done} trials failed")

    def pareto(self, metric: str | None = None) -> Figure:
        """Quality against cost per 1,000 cases, an arm a point with its interval, as a matplotlib Figure."""
        from workbench.report.plots import pareto

        name = self._metric(metric)
        return pareto(self.leaderboard(metric=name), 1 if self._higher_is_better(name) else -1)

    def totals(self) -> dict[str, Any]:
        """Sums over the run: trials, done, errors, hits, US dollars at list price (None: some unknown) and spent."""
        board = self.leaderboard()
        costs = [row.cost_usd for row in board]
        return {
            "trials": self.plan["trials"],
            "done": self.done,
            "errors": sum(row.errors for row in board),
            "hits": sum(row.hits for row in board),
            "cost_usd": None if None in costs else _known_sum(costs),
            "spent_usd": _known_sum([row.spent_usd for row in board]),
            "unknown_spent": sum(row.unknown_spent for row in board),
        }

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

    def html(self) -> Path:
        """Write `report.html` into the run's folder: one file that asks nobody for anything. Returns its path."""
        from workbench.report.html import report_html

        path = self.folder / "report.html"
        path.write_text(report_html(self), "utf-8", "replace")
        return path

    @cached_property
    def cases(self) -> dict[str, dict[str, Any]]:
        """case id -> the case as it was run, in the order in which cases went out."""
        return {case["id"]: case for case in read_rows(self.folder / "cases.jsonl")}

    @cached_property
    def _tallies(self) -> dict[tuple[str, ...], Tally]:
        return tally(read_rows(self.folder / "rows.jsonl"))

    def _chosen(self, prompt: Prompt | str | None, model: str | None) -> Iterator[dict[str, Any]]:
        ref = None if prompt is None else self.name_of(prompt)
        refs = {f"{arm['prompt']}@{arm['version']}" for arm in self.plan["arms"]}
        if ref is not None and ref not in refs:
            raise ReportError(f"no prompt {ref!r} in this run: {choices(ref, refs)}")
        models = {arm["model"] for arm in self.plan["arms"]}
        if model is not None and model not in models:
            raise ReportError(f"no model {model!r} in this run: {choices(model, models)}")
        for row in self.rows():
            if ref in (None, f"{row['prompt']}@{row['version']}") and model in (None, row["model"]):
                yield row

    def _best(self, metric: str, sign: int) -> float:
        """The best value a score can have, or the best one seen where no bounds are declared; times `sign`."""
        if bounds := self._bounds(metric):
            return max(sign * bounds[0], sign * bounds[1])
        values = [sign * x for one in self._tallies.values() for x in one.scores.get(metric, ()) if x == x]
        return max(values, default=0.0)

    def _metric(self, metric: str | None) -> str:
        if metric is None:
            return self.metrics[0]
        if metric not in self.metrics:
            raise ReportError(f"no metric {metric!r} in this run: {choices(metric, self.metrics)}")
        return metric

    def _scorer_of(self, metric: str) -> dict[str, Any]:
        scorers = self.plan["scorers"]
        return next((s for s in scorers if metric in (s["metrics"] or [s["name"]])), scorers[0])

    def _bounds(self, metric: str) -> tuple[float, float] | None:
        bounds = self._scorer_of(metric)["bounds"]
        return (bounds[0], bounds[1]) if bounds else None

    def _higher_is_better(self, metric: str) -> bool:
        return bool(self._scorer_of(metric)["higher_is_better"])

    def _ref(self, about: dict[str, Any]) -> str:
        """`name@version`, with a star when that version's file has changed since these rows were made."""
        ref = f"{about['prompt']}@{about['version']}"
        return ref + ("*" if self._changed.get((ref, about["prompt_sha"])) else "")

    @cached_property
    def _changed(self) -> dict[tuple[str, str], bool]:
        changed = {}
        for arm in self.plan["arms"]:
            ref = f"{arm['prompt']}@{arm['version']}"
            try:
                changed[ref, arm["prompt_sha"]] = load_prompt(ref).sha != arm["prompt_sha"]
            except PromptError:
                changed[ref, arm["prompt_sha"]] = False  # a draft, or a file that is gone: nothing to compare with
        return changed

    def __repr__(self) -> str:
        return f"Report({self.run_id}, {self.done} of {self.plan['trials']} trials, {self.state})"

    def __str__(self) -> str:
        note = unsent_note(self.folder)
        head = f"{self.run_id}: {self.done} of {self.plan['trials']} trials, {self.state}"
        return f"{head}\n{self.leaderboard()}" + (f"\n\n{note}" if note else "")

    def _repr_html_(self) -> str:
        from workbench.report.html import report_fragment

        return report_fragment(self)


def _whole(value: Any) -> Any:
    """A text without half characters, which a model may write and which no data frame can hold."""
    if isinstance(value, str) and not value.isascii():
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value


def _known_sum(values: list[float | None]) -> float | None:
    """The sum of what is known; None when nothing is."""
    known = [value for value in values if value is not None]
    return sum(known) if known or not values else None
