"""One line per arm: quality with its interval, cost, latency, errors; added up from a stream of rows."""

from __future__ import annotations

import sys
from array import array
from collections import Counter
from copy import copy
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from workbench.datasets import place
from workbench.errors import ReportError
from workbench.records import WORST_STOPS, arm_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import pandas as pd

NAN = float("nan")


@dataclass(frozen=True, slots=True)
class ArmSummary:
    """One leaderboard row. `n` trials have a row, `n_scored` of them a score, `planned` were asked for.

    `mean`, `low`, `high`: mean of `metric` over cases with its 95 % interval (None without a score); `correct`: number
    of right answers of a metric that is right or wrong. `cost_per_1000_usd`: list price of 1,000 cases, `cost_usd` of
    all, None where any price is unknown; `spent_usd`: what was paid, hits excepted, None where nothing of it is known,
    `judge_spent_usd` of it for judges; `unknown_spent`: trials whose cost nobody knows, left out of `spent_usd`;
    `uncertain_usd`: the most that calls which broke off may have cost beside. Latencies in seconds. `tag`: set in a
    leaderboard by tag.
    """

    prompt: str
    model: str
    provider: str
    tier: str | None
    source: str
    metric: str
    mean: float | None
    low: float | None
    high: float | None
    n: int
    n_scored: int
    planned: int
    correct: int | None
    cost_per_1000_usd: float | None
    cost_usd: float | None
    spent_usd: float | None
    unknown_spent: int
    p50_s: float | None
    p95_s: float | None
    truncated: int
    refused: int
    errors: int
    hits: int
    method: str
    tag: str | None = None
    judge_spent_usd: float = 0.0
    uncertain_usd: float = 0.0

    @property
    def arm(self) -> str:
        """How the arm is written: `ticket-triage@v3 × sim-anthropic-fast`."""
        return f"{self.prompt} × {self.model}"


class Tally:
    """The running sums of one arm (or arm and tag): a slot per trial, so that a later row replaces an earlier one.

    Numbers lie in flat arrays: 100,000 trials take some 25 MB, their rows as dicts 500.
    """

    def __init__(self, first: Mapping[str, Any]) -> None:
        self.about = {name: first[name] for name in ("prompt", "version", "prompt_sha", "provider", "model", "tier")}
        self.sources: dict[str, int] = {}
        self.slots: dict[tuple[str, int], int] = {}
        self.scores: dict[str, array[float]] = {}
        self.graded: set[str] = set()
        self.reasons: dict[str, dict[int, str]] = {}
        self.cost, self.latency = array("d"), array("d")
        self.flags = bytearray()
        self.spent_usd = self.judge_spent_usd = self.uncertain_usd = 0.0
        self.unknown_spent = 0

    def add(self, row: Mapping[str, Any]) -> None:
        """Take in one row; money is summed over all rows ever written, everything else counts the last one."""
        slot = self.slots.setdefault((row["case_id"], row["repeat"]), len(self.slots))
        if slot == len(self.flags):
            self.flags.append(0)
            self.cost.append(NAN)
            self.latency.append(NAN)
            for column in self.scores.values():
                column.append(NAN)
        else:
            for column in self.scores.values():
                column[slot] = NAN
            for known in self.reasons.values():
                known.pop(slot, None)
        self.flags[slot] = _flags(row)
        self.cost[slot] = NAN if row["cost_usd"] is None else row["cost_usd"]
        self.latency[slot] = NAN if row["latency_s"] is None else row["latency_s"]
        for metric, value in row["scores"].items():
            self._score(metric, slot, value)
            if value is None:
                self.reasons.setdefault(metric, {})[slot] = sys.intern(str(row["reasons"].get(metric, "")))
        self.sources[row["source"]] = self.sources.get(row["source"], 0) + 1
        self._pay(row)

    def _pay(self, row: Mapping[str, Any]) -> None:
        """Add what a row cost. Rows of earlier versions do not say what their judges cost then, hits or not."""
        judges = row.get("judge_spent_usd", None if row.get("judge_cost_usd") else 0.0)
        uncertain = row.get("uncertain_usd", 0.0)
        self.spent_usd += (row["spent_usd"] or 0.0) + (judges or 0.0)
        self.judge_spent_usd += judges or 0.0
        self.uncertain_usd += uncertain
        bounded = row["error"] is not None and uncertain > 0  # nobody knows the cost, but it has a most
        self.unknown_spent += judges is None or (row["spent_usd"] is None and not bounded)

    def _score(self, metric: str, slot: int, value: float | bool | None) -> None:
        if metric not in self.scores:
            self.scores[metric] = array("d", [NAN]) * len(self.flags)
        if value is not None:
            self.scores[metric][slot] = value
            if not isinstance(value, bool):
                self.graded.add(metric)

    def unscored(self, metric: str) -> Counter[str]:
        """Why answers have no score of `metric`, each reason with its number; empty where nobody said."""
        column = self.scores.get(metric, array("d"))
        found: Counter[str] = Counter()
        for slot, flags in enumerate(self.flags):
            if flags & ERROR or (slot < len(column) and column[slot] == column[slot]):
                continue
            # a scorer that raised before it named its metrics gave its reason under its own name
            said = [one[slot] for one in (self.reasons.get(metric, {}), *self.reasons.values()) if slot in one]
            found[said[0] if said else ""] += 1
        return found

    def case_scores(self, metric: str, seed: int) -> list[tuple[float, int]]:
        """Of each case its mean score over the scored repeats, and how many those are. In the run's shuffled order, not
        in order of completion: an interval that depends on the order must not depend on who answered first."""
        column = self.scores.get(metric, array("d"))
        sums: dict[str, tuple[float, int]] = {}
        for (case_id, _), slot in self.slots.items():
            if slot < len(column) and column[slot] == column[slot]:
                total, count = sums.get(case_id, (0.0, 0))
                sums[case_id] = (total + column[slot], count + 1)
        return [
            (sums[case_id][0] / sums[case_id][1], sums[case_id][1])
            for case_id in sorted(sums, key=lambda case_id: place(case_id, seed))
        ]

    def by_case(self, metric: str) -> dict[str, list[float]]:
        """Of each case its scores, a repeat each; NaN where a score is missing."""
        return self._grouped(self.scores.get(metric, array("d")))

    def column_by_case(self, column: str) -> dict[str, float]:
        """Of each case the mean `cost` (US dollars) or `latency` (seconds) of its repeats; NaN where one is unknown."""
        grouped = self._grouped(self.cost if column == "cost" else self.latency)
        return {case_id: sum(values) / len(values) for case_id, values in grouped.items()}

    def renamed(self, names: Mapping[str, str]) -> Tally:
        """The same sums under other case ids; cases without a new id are left out."""
        other = copy(self)
        other.slots = {(names[case], repeat): slot for (case, repeat), slot in self.slots.items() if case in names}
        return other

    def _grouped(self, column: array[float]) -> dict[str, list[float]]:
        found: dict[str, list[float]] = {}
        for (case_id, _), slot in self.slots.items():
            found.setdefault(case_id, []).append(column[slot] if slot < len(column) else NAN)
        return found

    def counted(self, flag: int) -> int:
        """Trials with this flag."""
        return sum(1 for value in self.flags if value & flag)


ERROR, TRUNCATED, REFUSED, HIT, NO_CASE = 1, 2, 4, 8, 16


def tally(
    rows: Iterable[Mapping[str, Any]], tags: Mapping[str, Iterable[str]] | None = None
) -> dict[tuple[str, ...], Tally]:
    """Sums per arm, keyed by (prompt, hash, provider, model), or per arm and tag when `tags` gives each case's."""
    found: dict[tuple[str, ...], Tally] = {}
    for row in rows:
        arm = arm_key(row)
        for key in [arm] if tags is None else [(*arm, tag) for tag in tags.get(row["case_id"], ())]:
            if key not in found:
                found[key] = Tally(row)
            found[key].add(row)
    return found


def summarise(
    one: Tally,
    metric: str,
    prompt: str,
    planned: int,
    bounds: tuple[float, float] | None,
    seed: int,
    tag: str | None = None,
) -> ArmSummary:
    """A leaderboard row from the sums of an arm."""
    import numpy as np

    from workbench.stats import mean_interval

    cases = one.case_scores(metric, seed)
    binary = metric not in one.graded
    interval = None
    if cases:
        means = np.array([mean for mean, _ in cases])
        repeats = np.array([count for _, count in cases], dtype=float)
        interval = mean_interval(means, repeats, binary=binary, bounds=bounds)
    column = np.frombuffer(one.scores[metric], dtype=float) if metric in one.scores else np.array([])
    cost = np.frombuffer(one.cost, dtype=float)
    answered = np.frombuffer(one.flags, dtype=np.uint8) & ERROR == 0
    latency = np.frombuffer(one.latency, dtype=float)
    latency = latency[~np.isnan(latency)]
    priced = bool(answered.any()) and not np.isnan(cost[answered]).any()
    total = float(cost[answered].sum()) if priced else None
    return ArmSummary(
        prompt=prompt,
        model=one.about["model"],
        provider=one.about["provider"],
        tier=one.about["tier"],
        source=max(one.sources, key=one.sources.__getitem__),
        metric=metric,
        mean=interval.mean if interval else None,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        n=len(one.slots),
        n_scored=int((~np.isnan(column)).sum()),
        planned=planned,
        correct=int(np.nansum(column)) if binary and interval else None,
        cost_per_1000_usd=None if total is None else total / int(answered.sum()) * 1000,
        cost_usd=total,
        spent_usd=None if one.unknown_spent and not one.spent_usd else one.spent_usd,
        unknown_spent=one.unknown_spent,
        p50_s=float(np.quantile(latency, 0.5)) if len(latency) else None,
        p95_s=float(np.quantile(latency, 0.95)) if len(latency) else None,
        truncated=one.counted(TRUNCATED),
        refused=one.counted(REFUSED),
        errors=one.counted(ERROR),
        hits=one.counted(HIT),
        method=interval.method if interval else "",
        tag=tag,
        judge_spent_usd=one.judge_spent_usd,
        uncertain_usd=one.uncertain_usd,
    )


@dataclass(frozen=True)
class Leaderboard:
    """Arms, the best first. Iterate for `ArmSummary`s; `.frame()` for pandas; `.best` for the leader; `.note`: how many
    answers have no score, and why."""

    rows: tuple[ArmSummary, ...]
    caption: str = ""
    note: str = ""

    @property
    def best(self) -> ArmSummary:
        """The arm with the highest mean; a lead, not a verdict. Raises ReportError where no arm has a score."""
        leader = next((row for row in self.rows if row.mean is not None), None)
        if leader is None:
            raise ReportError(f"no arm has a score, so none is the best. {self.note}".strip())
        return leader

    def __iter__(self) -> Iterator[ArmSummary]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def frame(self) -> pd.DataFrame:
        """The same as a pandas DataFrame, a column per field of `ArmSummary`."""
        import pandas as pd

        return pd.DataFrame([asdict(row) for row in self.rows], columns=[f.name for f in fields(ArmSummary)])

    def __str__(self) -> str:
        from workbench.report.text import leaderboard_text

        return leaderboard_text(self)

    def __repr__(self) -> str:
        from workbench.report.text import number_of

        scored = any(row.mean is not None for row in self.rows)
        tagged = any(row.tag for row in self.rows)
        arms = number_of(len({(row.prompt, row.provider, row.model) for row in self.rows}), "arm")
        count = f"{number_of(len(self), 'row')} of {arms} by tag" if tagged else arms
        return f"Leaderboard({count}, {f'best {self.best.arm}' if scored else 'none has a score'})"

    def _repr_html_(self) -> str:
        from workbench.report.html import leaderboard_html

        return leaderboard_html(self)


def _flags(row: Mapping[str, Any]) -> int:
    stop = row["stop_reason"]
    return (
        (ERROR if row["error"] is not None else 0)
        | (TRUNCATED if stop == "max_tokens" else 0)
        | (REFUSED if stop in WORST_STOPS and stop != "max_tokens" else 0)
        | (HIT if row["cached"] else 0)
        | (NO_CASE if row.get("loose") and row["source"] == "simulated" else 0)
    )
