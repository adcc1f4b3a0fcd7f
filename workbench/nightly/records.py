"""What a night found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.regressions import Regression

Outcome = Literal["green", "yellow", "red", "budget"]
WORSE = frozenset({"replay", "score", "cost", "failures"})
"""The checks that only answers can fail."""
WORDS: dict[Outcome, str] = {
    "green": "passed",
    "yellow": "not sure",
    "red": "FAILED",
    "budget": "NOT DONE, budget reached",
}
CODES: dict[Outcome, int] = {"green": 0, "yellow": 0, "red": 1, "budget": 3}
"""Yellow alone ends with 0: it says how much the check could see, not that an answer got worse, and a night that failed
on it would fail every night and soon be looked at by nobody. It is said in every summary instead."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One executed cell, named as the notebook shows it, or the start of a notebook.

    `fault` is empty when it passed; `said` is its one sentence where that is not to be found in it.
    """

    name: str
    seconds: float = 0.0
    fault: str = ""
    said: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """One notebook of a night. `over_budget`: it was cut short, or not begun, because the money was spent.

    `spent_usd` includes what broken-off calls may have cost; where a kernel died nobody knows, so all of its allowance.
    """

    notebook: str
    cells: tuple[Cell, ...]
    regressions: tuple[Regression, ...]
    spent_usd: float = 0.0
    over_budget: bool = False
    seconds: float = 0.0

    @property
    def faults(self) -> tuple[Cell, ...]:
        """The cells that failed."""
        return tuple(cell for cell in self.cells if cell.fault)

    @property
    def outcome(self) -> Outcome:
        """red as soon as something got worse; what is missing because the money was gone is no regression."""
        red = {check.name for found in self.regressions for check in found.checks if check.state == "red"}
        if red & WORSE:
            return "red"
        if self.over_budget:
            return "budget"
        unsure = any(found.state == "yellow" for found in self.regressions)
        return "red" if red or self.faults else "yellow" if unsure else "green"


@dataclass(frozen=True, slots=True)
class NightReport:
    """All notebooks of a night. `folder` holds `summary.html`, `summary.md`, `junit.xml` and the findings."""

    date: str
    live: bool
    budget_usd: float | None
    parts: tuple[Part, ...]
    folder: Path

    @property
    def spent_usd(self) -> float:
        """US dollars of all notebooks together."""
        return sum(part.spent_usd for part in self.parts)

    @property
    def outcome(self) -> Outcome:
        """The worst of the notebooks: red, then budget, then yellow."""
        found = {part.outcome for part in self.parts}
        worst: tuple[Outcome, ...] = ("red", "budget", "yellow")
        return next((one for one in worst if one in found), "green")

    @property
    def exit_code(self) -> int:
        """0 passed or not sure, 1 failed, 3 budget reached."""
        return CODES[self.outcome]

    def headline(self) -> str:
        """The night in one sentence."""
        counts = {word: sum(part.outcome == one for part in self.parts) for one, word in WORDS.items()}
        told = ", ".join(f"{n} {word}" for word, n in counts.items() if n)
        cap = f" of ${self.budget_usd:g}" if self.budget_usd is not None else ""
        money = f" ${self.spent_usd:.4f}{cap} spent." if self.live else ""
        kind = "live" if self.live else "replayed"
        return f"Night of {self.date}, {kind}: {len(self.parts)} notebooks, {told}.{money}"

    def __repr__(self) -> str:
        return f"NightReport({self.date}: {self.outcome}, {len(self.parts)} notebooks)"

    def __str__(self) -> str:
        from workbench.nightly.summary import text

        return text(self)
