"""What a comparison says."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FEWEST = 20
"""Pairs below which nothing is said."""

Outcome = Literal["better", "not_worse", "worse", "unsure"]
WORDS = {"better": "better", "not_worse": "not worse", "worse": "worse", "unsure": "not sure yet"}


@dataclass(frozen=True, slots=True)
class Change:
    """A paired difference, candidate minus baseline, with its 95 % interval."""

    difference: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Judged:
    """What a judge's verdict rests on: `labels`, (prompt, hash, provider, model) -> case id -> what people said of the
    reply; `stale`: why the judge may inform but not decide, empty when it may decide."""

    labels: Mapping[tuple[str, ...], Mapping[str, float]]
    stale: str


@dataclass(frozen=True, slots=True)
class PairVerdict:
    """Candidate against baseline with everything else equal (`held`: the value of the other axis).

    `difference`, `low`, `high`: mean paired difference of the metric, turned so that more is better, with its interval
    at 1 − `alpha`; `n` pairs. `flips_better` cases rose and `flips_worse` fell. `missing`: pairs with a score missing,
    `left_out`: cases that only one arm has. `more_cases` and `more_usd` would settle an unsure one, None if nothing
    sensible would. Costs are US dollars per 1,000 cases, latencies seconds.
    """

    candidate: str
    baseline: str
    held: str
    outcome: Outcome
    basis: str
    alpha: float
    difference: float
    low: float
    high: float
    n: int
    p_value: float | None = None
    flips_better: int = 0
    flips_worse: int = 0
    missing: int = 0
    left_out: int = 0
    cost_per_1000: Change | None = None
    latency: Change | None = None
    more_cases: int | None = None
    more_usd: float | None = None
    reason: str = ""

    def sentence(self, metric: str) -> str:
        """The verdict in words."""
        on = f" on {self.held}" if self.held else ""
        if self.n < FEWEST:
            return f"{self.candidate} against {self.baseline}{on}: {WORDS[self.outcome]}, {self.reason}."
        size = f"{100 * self.difference:+.1f} points of {metric}, {100 * self.low:+.1f} to {100 * self.high:+.1f}"
        counts = f"{size}; {self.n} cases, {self.flips_better} better, {self.flips_worse} worse"
        if self.outcome == "unsure":
            text = f"{self.candidate} against {self.baseline}{on}: {WORDS['unsure']} ({counts})."
        else:
            text = f"{self.candidate} is {WORDS[self.outcome]} than {self.baseline}{on} ({counts})."
        return f"{text} {self.reason}".strip()


@dataclass(frozen=True)
class Comparison:
    """Several candidates against one baseline, corrected over them. Iterate for Verdicts, the clearest first."""

    verdicts: tuple[Verdict, ...]

    def __iter__(self) -> Iterator[Verdict]:
        return iter(self.verdicts)

    def __len__(self) -> int:
        return len(self.verdicts)

    def __str__(self) -> str:
        return "\n".join(str(verdict) for verdict in self)

    def __repr__(self) -> str:
        return f"Comparison({', '.join(f'{v.candidate} {WORDS[v.outcome]}' for v in self)})"

    def _repr_html_(self) -> str:
        return "".join(verdict._repr_html_() for verdict in self)


@dataclass(frozen=True)
class Verdict:
    """What `compare` says: a verdict for each value of the other axis, never a pool over them.

    `outcome` holds for all of `parts` at once (intersection–union, hence uncorrected). `kind`: exploratory on dev
    cases, confirmed on unseen test cases. `looks` and `variants`: how often this dataset was looked at and how many
    prompt versions were tried on it here, at least.
    """

    candidate: str
    baseline: str
    metric: str
    margin: float
    parts: tuple[PairVerdict, ...]
    kind: Literal["exploratory", "confirmed"] = "exploratory"
    source: str = "live"
    run_id: str = ""
    dataset: str = ""
    looks: int = 0
    variants: int = 0
    notes: tuple[str, ...] = field(default=())

    @property
    def outcome(self) -> Outcome:
        """The outcome that all parts share; `worse` as soon as one is."""
        found = [part.outcome for part in self.parts]
        if "worse" in found:
            return "worse"
        if "unsure" in found:
            return "unsure"
        return "better" if set(found) == {"better"} else "not_worse"

    @property
    def sentence(self) -> str:
        """The verdict in plain words, a sentence for each part."""
        return " ".join(part.sentence(self.metric) for part in self.parts)

    def to_json(self) -> dict[str, Any]:
        """What `--json` writes: one object per held value under `verdicts`."""
        return {
            "candidate": self.candidate,
            "baseline": self.baseline,
            "metric": self.metric,
            "margin": self.margin,
            "outcome": self.outcome,
            "kind": self.kind,
            "source": self.source,
            "run": self.run_id,
            "dataset": self.dataset,
            "looks": self.looks,
            "variants": self.variants,
            "notes": list(self.notes),
            "sentence": self.sentence,
            "verdicts": [asdict(part) for part in self.parts],
        }

    def __str__(self) -> str:
        looks = "1 look" if self.looks == 1 else f"{self.looks} looks"
        counted = f"{self.kind}; at least {self.variants} variants tried and {looks} taken on {self.dataset}"
        simulated = ["Simulated: declared, not measured."] if self.source == "simulated" else []
        said = [part.sentence(self.metric) for part in self.parts]
        return "\n".join([*simulated, *said, *self.notes, f"({counted})"])

    def __repr__(self) -> str:
        return f"Verdict({self.candidate} against {self.baseline}: {WORDS[self.outcome]}, {self.kind})"

    def _repr_html_(self) -> str:
        from workbench.verdict.html import verdict_html

        return verdict_html(self)
