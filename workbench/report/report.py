"""A run's rows with their summaries, read from its folder; finished, stopped or broken alike."""

from __future__ import annotations

import heapq
from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING, Any

from workbench.errors import PromptError, ReportError, choices
from workbench.files import write_page
from workbench.prompts import Prompt, load_prompt
from workbench.records import ref_of
from workbench.report.cases import Cases
from workbench.report.data import RunData
from workbench.report.looks import count_look
from workbench.report.rows import ENDED, read_rows, trial_key
from workbench.report.summary import ERROR, NO_CASE, Leaderboard, summarise, tally
from workbench.report.text import trials, unscored, why_unscored
from workbench.report.unsent import unsent_note, unsent_rows
from workbench.scorers.owner import unknown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from matplotlib.figure import Figure

    from workbench.verdict import Comparison, Verdict
    from workbench.verdict.judge import Question

DECLARED = (
    "Simulated: stand-in servers answered. The numbers are declared in behaviour.toml, not measured; "
    "they say nothing about real models."
)
NOT_KNOWN = (
    "{:,} of {:,} simulated replies found no case that the server knows in their request, so their scores say nothing: "
    "does the prompt show the inputs, and does the server know this dataset?"
)
RECORDED = "Recorded: replies were replayed from a recordings file."


class Report(RunData):
    """The rows of one run with their summaries. Rows are read as a stream, never all in memory unless asked for; what a
    run that goes on adds after the first look is in the next report of it.

    `state`: how the run ended, as far as this reader knows; `message` says why when it was cut short, and what is not
    in Langfuse yet.
    """

    def __init__(self, folder: Path, state: str = "", message: str = "") -> None:
        super().__init__(folder)
        self._message = message
        self._state = state

    @property
    def state(self) -> str:
        """finished, stopped, interrupted, budget reached; `unfinished` when only the rows tell."""
        ended = self.done >= self.plan["trials"] or (self.folder / ENDED).exists()
        return self._state or ("finished" if ended else "unfinished")

    @property
    def message(self) -> str:
        """Why the run was cut short, and what Langfuse has not got or did not take; else empty."""
        return " ".join(filter(None, (self._message, unsent_note(self.folder))))

    @property
    def unsent(self) -> int:
        """Results that are to go to Langfuse and that it has not confirmed."""
        return unsent_rows(self.folder)

    def leaderboard(self, by: str | None = None, metric: str | None = None) -> Leaderboard:
        """One row per arm, the best first; `by="tag"`: one per tag and arm. `metric`: another than the deciding one.

        The caption says so where it is not known which way is better. Raises ReportError for an unknown metric or
        grouping.
        """
        if by not in (None, "tag"):
            raise ReportError(f"no leaderboard by {by!r}: {choices(by, ('tag',))}")
        metric = self._metric(metric)
        scorer = self.scorer_of(metric)
        bounds, seed = scorer.bounds if scorer else None, self.plan["identity"]["seed"]
        if by is None:
            planned = self.plan["trials"] // max(len(self.plan["arms"]), 1)
            found = [
                summarise(one, metric, self._ref(one.about), planned, bounds, seed) for one in self._tallies.values()
            ]
        else:
            tags = {id_: case["tags"] for id_, case in self.cases.items()}
            by_tag = tally(read_rows(self._rows, self._end), tags)
            found = [
                summarise(one, metric, self._ref(one.about), len(one.slots), bounds, seed, key[-1])
                for key, one in by_tag.items()
            ]
        best_last = 1 if scorer and not scorer.higher_is_better else -1
        found.sort(
            key=lambda r: (r.tag or "", r.mean is None, best_last * (r.mean or 0.0), r.cost_per_1000_usd or 0.0, r.arm)
        )
        unranked = "" if scorer else f"By falling mean: {unknown(metric)}."
        return Leaderboard(tuple(found), " ".join(filter(None, (self.caption(), unranked))), self.unscored(metric))

    def unscored(self, metric: str | None = None) -> str:
        """How many answers have no score of `metric` (the deciding one), and why; empty when all have one."""
        reasons: Counter[str] = Counter()
        for one in self._tallies.values():
            reasons.update(one.unscored(self._metric(metric)))
        return unscored(reasons, self.done - sum(one.counted(ERROR) for one in self._tallies.values()))

    def caption(self) -> str:
        """The first line of every table: what answered, and what is missing."""
        sources = {source for one in self._tallies.values() for source in one.sources}
        said = [DECLARED] if "simulated" in sources else [RECORDED] if "recorded" in sources else []
        if self.done < self.plan["trials"]:
            said.append(f"{self.done} of {self.plan['trials']} planned trials were run.")
        if lost := sum(one.counted(NO_CASE) for one in self._tallies.values()):
            said.append(NOT_KNOWN.format(lost, self.done))
        return " ".join(said)

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

    def compare_all(self, baseline: Prompt | str, metric: str | None = None, margin: float = 0.0) -> Comparison:
        """Every other prompt version of this run against `baseline`, corrected over them (Holm) on each model.

        Options and errors as in `compare`; counted as one look.
        """
        from workbench.verdict.compare import compare_all

        return compare_all(self, baseline, metric, margin)

    def question(self, metric: str | None, margin: float) -> Question:
        """How pairs of this report are judged. Raises VerdictError for a metric whose scorer is not known."""
        from workbench.report.judged import judged
        from workbench.verdict.judge import Question

        name = self._metric(metric)
        identity = self.plan["identity"]
        scorer = self._judging(name)
        sign = 1 if scorer.higher_is_better else -1
        finished = self.done >= self.plan["trials"]
        planned = () if finished else tuple(self.cases)
        repeats, seed = identity["repeats"], identity["seed"]
        dataset = self.plan["dataset"]["name"]
        scored_by = judged(self._rows, dataset, scorer, name) if scorer.asks_models else None
        return Question(
            name, margin, scorer.bounds, sign, repeats, seed, finished, planned, scored_by, unscored=self.unscored(name)
        )

    def look(self, metric: str, candidate: str, baseline: str) -> tuple[int, int]:
        """Count a comparison; how often this dataset was looked at, and how many versions were tried on it."""
        return count_look(self.folder.parent, self.plan["dataset"]["name"], [self.run_id, metric, candidate, baseline])

    def paid_to(self) -> str:
        """A reminder that list prices of simulated calls were paid to nobody."""
        return " at list price, paid to nobody" if DECLARED in self.caption() else ""

    def wrong(
        self, metric: str | None = None, n: int = 20, *, prompt: Prompt | str | None = None, model: str | None = None
    ) -> Cases:
        """The `n` rows with the lowest scores (the highest where lower is better), with inputs, expected and output.

        Raises VerdictError where it is not known which way is better.
        """
        metric = self._metric(metric)
        sign = 1 if self._judging(metric).higher_is_better else -1
        best = self._best(metric, sign)
        counts: Counter[str] = Counter()
        reasons: Counter[str] = Counter()

        def not_right() -> Iterator[dict[str, Any]]:
            for row in self._chosen(prompt, model):
                value = row["scores"].get(metric)
                counts["answered"] += row["error"] is None
                if value is None and row["error"] is None:
                    reasons[why_unscored(row, metric)] += 1
                elif value is not None and sign * value < best:
                    counts["below"] += 1
                    yield row

        rows = heapq.nsmallest(n, not_right(), key=lambda row: (sign * row["scores"][metric], *trial_key(row)))
        told = f"lowest {metric}: {len(rows)} of {counts['below']} that are not right"
        if not counts["below"]:
            scored = counts["answered"] > reasons.total()
            told = f"no answer is wrong by {metric}" if scored else f"no answer has a score of {metric}"
        return Cases(tuple(rows), self.cases, metric, told, unscored(reasons, counts["answered"]))

    def errors(self, n: int | None = None) -> Cases:
        """The trials that failed, with their errors."""
        rows = tuple(row for row in self.rows() if row["error"] is not None)
        return Cases(rows[:n], self.cases, "", f"{len(rows)} of {self.done} trial{'s' * (self.done != 1)} failed")

    def pareto(self, metric: str | None = None) -> Figure:
        """Quality against cost per 1,000 cases, an arm a point with its interval, as a matplotlib Figure.

        Raises VerdictError where it is not known which way is better.
        """
        from workbench.report.plots import pareto

        name = self._metric(metric)
        return pareto(self.leaderboard(metric=name), 1 if self._judging(name).higher_is_better else -1)

    def totals(self) -> dict[str, Any]:
        """Sums over the run: trials, done, errors, hits, US dollars of the answers at list price (None: some unknown),
        and spent in all, for judges of it, and perhaps beside for calls that broke off."""
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
            "judge_spent_usd": sum(row.judge_spent_usd for row in board),
            "uncertain_usd": sum(row.uncertain_usd for row in board),
        }

    def html(self) -> Path:
        """Write `report.html` into the run's folder: one file that asks nobody for anything. Returns its path. Raises
        StorageError."""
        from workbench.report.html import report_html

        path = self.folder / "report.html"
        write_page(path, report_html(self))
        return path

    def _chosen(self, prompt: Prompt | str | None, model: str | None) -> Iterator[dict[str, Any]]:
        ref = None if prompt is None else self.name_of(prompt)
        refs = {ref_of(arm) for arm in self.plan["arms"]}
        if ref is not None and ref not in refs:
            raise ReportError(f"no prompt {ref!r} in this run: {choices(ref, refs)}")
        models = {arm["model"] for arm in self.plan["arms"]}
        if model is not None and model not in models:
            raise ReportError(f"no model {model!r} in this run: {choices(model, models)}")
        for row in self.rows():
            if ref in (None, ref_of(row)) and model in (None, row["model"]):
                yield row

    def _best(self, metric: str, sign: int) -> float:
        """The best value a score can have, or the best one seen where no bounds are declared; times `sign`."""
        if bounds := self._judging(metric).bounds:
            return max(sign * bounds[0], sign * bounds[1])
        values = [sign * x for one in self._tallies.values() for x in one.scores.get(metric, ()) if x == x]
        return max(values, default=0.0)

    def _ref(self, about: dict[str, Any]) -> str:
        """`name@version`, with a star when that version's file has changed since these rows were made."""
        ref = ref_of(about)
        return ref + ("*" if self._changed.get((ref, about["prompt_sha"])) else "")

    @cached_property
    def _changed(self) -> dict[tuple[str, str], bool]:
        changed = {}
        for arm in self.plan["arms"]:
            ref = ref_of(arm)
            try:
                changed[ref, arm["prompt_sha"]] = load_prompt(ref).sha != arm["prompt_sha"]
            except PromptError:
                changed[ref, arm["prompt_sha"]] = False  # a draft, or a file that is gone: nothing to compare with
        return changed

    def __repr__(self) -> str:
        return f"Report({self.run_id}, {trials(self.done, self.plan['trials'])}, {self.state})"

    def __str__(self) -> str:
        note = unsent_note(self.folder)
        head = f"{self.run_id}: {trials(self.done, self.plan['trials'])}, {self.state}"
        return f"{head}\n{self.leaderboard()}" + (f"\n\n{note}" if note else "")

    def _repr_html_(self) -> str:
        from workbench.report.html import report_fragment

        return report_fragment(self)


def _known_sum(values: list[float | None]) -> float | None:
    """The sum of what is known; None when nothing is."""
    known = [value for value in values if value is not None]
    return sum(known) if known or not values else None
