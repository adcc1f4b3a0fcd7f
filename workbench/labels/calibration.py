"""A judge held against people's labels: how far it can be trusted, and for how long."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from html import escape
from typing import TYPE_CHECKING, Any

from workbench.client import current
from workbench.errors import LabelError
from workbench.files import write_whole
from workbench.labels.agreement import Rate
from workbench.labels.asking import asking, in_order
from workbench.labels.store import label_file, load_labels, named_dataset, now
from workbench.labels.verdicts import verdict_on
from workbench.scorers.pair import PairJudge
from workbench.settings import state_dir

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.datasets import Dataset
    from workbench.labels.verdicts import Judge
    from workbench.ledger import Ledger

FEWEST = 50
"""Queue labels that a calibration needs before a verdict may rest on it."""
FRESH_DAYS = 90
ANCHORS, ANCHORS_AGREE = 20, 18
"""Replies that are judged again past the cache, and how many of them must get the same judgement: the model behind a
name may change, while an unchanged judge still wavers a little."""


@dataclass(frozen=True, slots=True)
class ArmBias:
    """How the judge treats one arm: its mean verdict less the people's, over `n` labels; above 0 it favours the arm."""

    arm: str
    bias: float
    agreement: float
    n: int


@dataclass(frozen=True, slots=True)
class Anchor:
    """A labelled reply with the judge's verdict when it was calibrated. `output_sha`: of each output, as shown."""

    case_id: str
    output_sha: tuple[str, ...]
    verdict: Any


@dataclass(frozen=True)
class Calibration:
    """A judge against `n` queue labels of one dataset.

    `agreement`, `sensitivity` (what people pass and it passes) and `specificity` (what people fail and it fails) are
    `Rate`s; the latter two are empty for a pairwise judge. `missing`: labels that the judge gave no verdict on, left
    out of all of these. `passing`: the grade from which on a graded verdict counts as a pass. `source` and `origin`:
    who answered as the judge. Times are UTC, ISO 8601.
    """

    judge: str
    identity: str
    model: str
    dataset: str
    metric: str
    date: str
    source: str
    origin: str
    n: int
    missing: int
    agreement: Rate
    kappa: Rate
    sensitivity: Rate
    specificity: Rate
    by_arm: tuple[ArmBias, ...]
    passing: float | None = None
    anchors: tuple[Anchor, ...] = ()
    anchors_checked: str = ""
    anchors_agree: int = 0
    cost_usd: float | None = 0.0

    def stale(self, judge: Judge, dataset: str, *, at: datetime | None = None) -> str:
        """Why it does not hold for this judge on this dataset, with the cure; empty while it is fresh."""
        age = (at or datetime.now(UTC)) - datetime.fromisoformat(self.date)
        if self.identity != judge.identity:
            return f"judge {judge.name!r} is another one than was calibrated: calibrate it"
        if self.dataset != dataset:
            return f"calibrated on {self.dataset}, not on {dataset}: label replies of {dataset} and calibrate there"
        if not self.is_answered_here:
            return f"somebody else answers as {self.model} here than then ({self.source}): calibrate again"
        if self.n - self.missing < FEWEST:
            return (
                f"{self.n - self.missing} judged queue labels of the {FEWEST} needed: label more with label_queue(...)"
            )
        if age >= timedelta(days=FRESH_DAYS):
            return f"calibrated {age.days} days ago, more than {FRESH_DAYS}: calibrate again"
        if not self.anchors_checked:
            return "its anchors were never judged again: await calibration.check_anchors(judge)"
        needed = min(ANCHORS_AGREE, len(self.anchors))
        if self.anchors_agree < needed:
            return (f"only {self.anchors_agree} of {len(self.anchors)} anchors get the same verdict as when it was "
                    "calibrated: the model behind it may have changed; calibrate again")  # fmt: skip
        return ""

    @property
    def is_answered_here(self) -> bool:
        """Whether this session's judge is answered by whom it was calibrated with: a stand-in's calibration says
        nothing about a vendor's model."""
        return not self.model or self.origin == current().origin(self.model.partition(":")[0]).name

    async def check_anchors(
        self, judge: Judge, *, dataset: Dataset | None = None, budget_usd: float | None = None,
        within: Ledger | None = None,
    ) -> Calibration:  # fmt: skip
        """Judge the anchors again past the cache; the calibration with what came out, saved. `within`: a ledger that
        somebody else spends from too. Raises LabelError for another judge, or when their labels are gone."""
        if judge.identity != self.identity:
            raise LabelError(f"judge {judge.name!r} is another one than was calibrated: calibrate it")
        pairs = isinstance(judge, PairJudge)
        labels = {(one.case_id, one.shas): one for one in load_labels(self.dataset).queue(self.metric, pairs=pairs)}
        found = [labels.get((one.case_id, one.output_sha)) for one in self.anchors]
        if None in found:
            raise LabelError(f"{label_file(self.dataset)} no longer holds the anchors' labels: calibrate again")
        asked = [one for one in found if one is not None]
        cases = dataset or named_dataset(self.dataset)
        async with asking(budget_usd, "refresh", within) as ask:
            verdicts = await in_order([verdict_on(judge, one, cases, self.passing, ask) for one in asked])
        agree = sum(new == old.verdict for new, old in zip(verdicts, self.anchors, strict=True))
        return save(replace(self, anchors_checked=now(), anchors_agree=agree))

    def __repr__(self) -> str:
        return f"Calibration({self.judge} on {self.dataset}, n {self.n}, kappa {self.kappa})"

    def facts(self) -> dict[str, str]:
        """The calibration as name and text."""
        told = {"judge": f"{self.judge} ({self.model}, {self.source})", "dataset": self.dataset, "date": self.date,
                "labels": f"{self.n}, of which {self.missing} unjudged", "agreement": str(self.agreement),
                "kappa": str(self.kappa)}  # fmt: skip
        if self.sensitivity.n or self.specificity.n:
            told |= {"sensitivity": str(self.sensitivity), "specificity": str(self.specificity)}
        for one in self.by_arm:
            told[f"bias on {one.arm}"] = f"{one.bias:+.3f}, agreement {one.agreement:.3f}, n {one.n}"
        checked = f"{self.anchors_agree} of {len(self.anchors)} agree" if self.anchors_checked else "not checked"
        return told | {"anchors": checked}

    def __str__(self) -> str:
        return "\n".join(f"{name}: {text}" for name, text in self.facts().items())

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr><th scope="row" style="text-align:left">{escape(name)}</th>'
            f'<td style="text-align:left">{escape(text)}</td></tr>'
            for name, text in self.facts().items()
        )
        return f'<div class="mathjax_ignore tex2jax_ignore"><table style="font-size:12px">{rows}</table></div>'


def load_calibration(judge: Judge, dataset: str) -> Calibration | None:
    """The kept calibration of a judge on a dataset, with whoever answers in this session; None if there is none."""
    found = [one for one in _kept(_file(judge.identity)) if one.dataset == dataset and one.is_answered_here]
    return found[0] if found else None


def save(made: Calibration) -> Calibration:
    """Keep it in place of an earlier one of the same judge, dataset and origin. Raises StorageError."""
    path = _file(made.identity)
    others = [one for one in _kept(path) if (one.dataset, one.origin) != (made.dataset, made.origin)]
    write_whole(path, json.dumps([asdict(one) for one in (made, *others)], indent=1))
    return made


def _file(identity: str) -> Path:
    return state_dir("calibrations", f"{identity}.json")


def _kept(path: Path) -> list[Calibration]:
    """The calibrations in a judge's file. Raises LabelError for a file that holds something else."""
    try:
        return [_read(entry) for entry in json.loads(path.read_text("utf-8"))] if path.exists() else []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LabelError(f"{path}: no calibrations ({error}); delete it and calibrate again") from None


def _read(entry: dict[str, Any]) -> Calibration:
    rates = {name: Rate(**entry[name]) for name in ("agreement", "kappa", "sensitivity", "specificity")}
    arms = tuple(ArmBias(**one) for one in entry["by_arm"])
    anchors = tuple(Anchor(one["case_id"], tuple(one["output_sha"]), one["verdict"]) for one in entry["anchors"])
    return Calibration(**(entry | rates | {"by_arm": arms, "anchors": anchors}))
