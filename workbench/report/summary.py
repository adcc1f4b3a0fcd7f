"""One line per arm: quality with its interval, cost, latency, errors; added up from a stream of rows."""

from __future__ import annotations

from array import array
from copy import copy
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from workbench.datasets import place
from workbench.records import WORST_STOPS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import pandas as pd

NAN = float("nan")


@dataclass(frozen=True, slots=True)
class ArmSummary:
    """One leaderboard row. `n` trials have a row, `n_scored` of them a score, `planned` were asked for.

    `mean`, `low`, `high`: mean of `metric` over cases with its 95 % interval (None without a score); `correct`: number
    of right answers of a metric that is right or wrong. `cost_per_1000_usd`: list price of 1,000 cases, `cost_usd` of
    all, None where any price is unknown; `spent_usd`: what was paid, hits excepted, None where nothing of it is known;
    `unknown_spent`: trials whose cost nobody knows, left out of `spent_usd`. Latencies in seconds. `tag`: set in a
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
        self.cost, self.latency = array("d"), array("d")
        self.flags = bytearray()
        self.spent_usd = 0.0
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
        self.flags[slot] = _flags(row)
        self.cost[slot] = NAN if row["cost_usd"] is None else row["cost_usd"]
        self.latency[slot] = NAN if row["latency_s"] is None else row["latency_s"]
        for metric, value in row["scores"].items():
            self._score(metric, slot, value)
        self.sources[row["source"]] = self.sources.get(row["source"], 0) + 1
        if row["spent_usd"] is None:
            self.unknown_spent += 1
        else:
            self.spent_usd += row["spent_usd"]

    def _score(self, metric: str, slot: int, value: float | bool | None) -> None:
        if metric not in self.scores:
            self.scores[metric] = array("d", [NAN]) * len(self.flags)
        if value is not None:
            self.scores[metric][slot] = value
            if not isinstance(value, bool):
                self.graded.add(metric)

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


ERROR, TRUNCATED, REFUSED, HIT = 1, 2, 4, 8


def tally(
    rows: Iterable[Mapping[str, Any]], tags: Mapping[str, Iterable[str]] | None = None
) -> dict[tuple[str, ...], Tally]:
    """Sums per arm, keyed by (prompt, hash, provider, model), or per arm and tag when `tags` gives each case's."""
    found: dict[tuple[str, ...], Tally] = {}
    for row in rows:
        arm = (row["prompt"], row["prompt_sha"], row["provider"], row["model"])
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
    )


@dataclass(frozen=True)
class Leaderboard:
    """Arms, the best first. Iterate for `ArmSummary`s; `.frame()` for pandas; `.best` for the leader."""

    rows: tuple[ArmSummary, ...]
    caption: str = ""

    @property
    def best(self) -> ArmSummary:
        """The arm with the highest mean; a lead, not a verdict."""
        return self.rows[0]

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
        return f"Leaderboard({len(self)} arms, best {self.best.arm})" if self.rows else "Leaderboard(no rows)"

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
    )
