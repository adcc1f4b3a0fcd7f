"""The grid of an experiment: arms, trials, and the order in which they go out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.catalog import PARAMETERS
from workbench.records import Request

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from workbench.catalog import Model
    from workbench.prompts import Prompt
    from workbench.records import Case

BLOCK = 128
"""Trials that are looked up together, at least; a block is always whole cases."""


@dataclass(frozen=True, slots=True)
class Arm:
    """Prompt version × model: what a leaderboard row is about. `origin` says who answers for the model."""

    prompt: Prompt
    model: Model
    origin: str

    def request(self, case: Case, repeat: int) -> Request:
        """What this arm asks about a case."""
        params = {name: value for name, value in self.prompt.params(self.model.provider).items() if name in PARAMETERS}
        return Request(
            provider=self.model.provider,
            endpoint=self.model.endpoint,
            model=self.model.id,
            messages=self.prompt.render(case.inputs),
            params=self.model.limited(params),
            repeat=repeat,
            origin=self.origin,
        )

    def __str__(self) -> str:
        named = self.model.label if self.model.stand_in else f"{self.model.provider}:{self.model.place}"
        return f"{self.prompt.ref} × {named}"


@dataclass(frozen=True, slots=True)
class Trial:
    """Arm × case × repeat."""

    arm: Arm
    case: Case
    repeat: int

    def key(self) -> int:
        """Hash of what the trial's row will say it is about (see `report.rows.trial_key`)."""
        prompt, model = self.arm.prompt, self.arm.model
        return hash((prompt.name, prompt.sha, model.provider, model.label, self.case.id, self.repeat))

    def __str__(self) -> str:
        return f"{self.arm} on case {self.case.id}" + (f", repeat {self.repeat}" if self.repeat else "")


def blocks(arms: Sequence[Arm], cases: Sequence[Case], repeats: int) -> Iterator[list[Trial]]:
    """All trials, lazily, in blocks of whole cases: every arm and repeat of a case before the next one, so that a run
    that stops early holds complete pairs."""
    per_block = max(BLOCK // (len(arms) * repeats), 1)
    for start in range(0, len(cases), per_block):
        yield [
            Trial(arm, case, repeat)
            for case in cases[start : start + per_block]
            for repeat in range(repeats)
            for arm in arms
        ]
