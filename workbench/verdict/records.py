"""What a comparison says."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

from workbench.errors import VerdictError

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
    sensible would. Costs are US dollars per 1,000 cases, latencies seconds. `in_points`: the metric lies between 0
    and 1, so that differences are told in hundredths; other metrics are told in their own units.
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
    in_points: bool = True

    def sentence(self, metric: str) -> str:
        """The verdict in words."""
        on = f" on {self.held}" if self.held else ""
        if self.n < FEWEST:
            return f"{self.candidate} against {self.baseline}{on}: {WORDS[self.outcome]}, {self.reason}."
        told = _points if self.in_points else _units
        points = " points" if self.in_points else ""
        size = f"{told(self.difference)}{points} of {metric}, {told(self.low)} to {told(self.high)}"
        counts = f"{size}; {self.n} cases, {self.flips_better} better, {self.flips_worse} worse"
        if self.outcome == "unsure":
            text = f"{self.candidate} against {self.baseline}{on}: {WORDS['unsure']} ({counts})."
        else:
            text = f"{self.candidate} is {WORDS[self.outcome]} than {self.baseline}{on} ({counts})."
        return f"{text} {self.reason}".strip()


def signed(change: float, form: str) -> str:
    """A change with its sign; what is rounded to zero has none, and what nobody knows is a dash."""
    if math.isnan(change):
        return "–"
    text = f"{change:+{form}}"
    return text[1:] if float(text) == 0 else text


def _points(change: float) -> str:
    return signed(100 * change, ".1f")


def _units(change: float) -> str:
    return signed(change, ".4g")


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

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Verdict:
        """The inverse of `to_json`, also of `in_words(to_json())`. Raises VerdictError for anything else."""
        try:
            return cls(
                parts=tuple(PairVerdict(**_part(one)) for one in data["verdicts"]),
                run_id=data["run"],
                notes=tuple(data["notes"]),
                margin=_number(data["margin"]),
                **{name: data[name] for name in _PLAIN},
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise VerdictError(f"no verdict as it is written to files: {type(error).__name__}: {error}") from None

    def __str__(self) -> str:
        looks = "1 look" if self.looks == 1 else f"{self.looks} looks"
        variants = "1 variant" if self.variants == 1 else f"{self.variants} variants"
        counted = f"{self.kind}; at least {variants} tried and {looks} taken on {self.dataset}"
        simulated = ["Simulated: declared, not measured."] if self.source == "simulated" else []
        said = [part.sentence(self.metric) for part in self.parts]
        return "\n".join([*simulated, *said, *self.notes, f"({counted})"])

    def __repr__(self) -> str:
        return f"Verdict({self.candidate} against {self.baseline}: {WORDS[self.outcome]}, {self.kind})"

    def _repr_html_(self) -> str:
        from workbench.verdict.html import verdict_html

        return verdict_html(self)


def in_words(value: Any) -> Any:
    """The same data with infinities and NaN as the words "inf", "-inf" and "nan": JSON has no numbers for them."""
    if isinstance(value, dict):
        return {key: in_words(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [in_words(one) for one in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


_PLAIN = ("candidate", "baseline", "metric", "kind", "source", "dataset", "looks", "variants")
_NUMBERS = frozenset(one.name for one in fields(PairVerdict) if "float" in str(one.type))
_CHANGES = ("cost_per_1000", "latency")


def _part(data: Mapping[str, Any]) -> dict[str, Any]:
    """A part's fields from JSON, with the words that stand for infinities read as numbers."""
    found: dict[str, Any] = {key: _number(value) if key in _NUMBERS else value for key, value in data.items()}
    changes = {key: found[key] for key in _CHANGES if found.get(key) is not None}
    found |= {key: Change(**{name: _number(one) for name, one in change.items()}) for key, change in changes.items()}
    if found["outcome"] not in WORDS:
        raise ValueError(f"outcome {found['outcome']!r}")
    return found


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, float, str, type(None))):
        raise TypeError(f"{value!r} is no number")
    return float(value) if isinstance(value, str) else value
