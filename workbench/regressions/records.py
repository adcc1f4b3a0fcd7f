"""What a regression check says."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from workbench.errors import RegressionFound

if TYPE_CHECKING:
    from collections.abc import Mapping

State = Literal["green", "yellow", "red"]
WORDS: dict[State, str] = {"green": "passed", "yellow": "not sure", "red": "FAILED"}
SHOWN = 20
"""Changes that a text shows; the page of a night shows as many as are kept."""
KEPT = 200
"""Changes that one check keeps; how many there were is always said."""


@dataclass(frozen=True, slots=True)
class Change:
    """One field of one trial that is not what it was; `then` and `now` as text."""

    arm: str
    case_id: str
    repeat: int
    field: str
    then: str
    now: str

    def __str__(self) -> str:
        repeat = f", repeat {self.repeat}" if self.repeat else ""
        return f"{self.arm}, case {self.case_id}{repeat}: {self.field} was {self.then}, is {self.now}"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: `name` (baseline, trials, replay, score, cost, failures, night) of one `arm`, or
    of all.

    `sentence` says what was found; `changes` holds the first changed fields of an exact check. `again`: what became of
    an alarm when its flipped cases were asked once more, empty where nothing was asked.
    """

    name: str
    arm: str
    state: State
    sentence: str
    changes: tuple[Change, ...] = ()
    again: str = ""

    def headline(self) -> str:
        """The check in one line, without its changes."""
        about = f"{self.name}, {self.arm}" if self.arm else self.name
        return f"[{WORDS[self.state]}] {about}: {' '.join(filter(None, [self.sentence, self.again]))}"

    def __str__(self) -> str:
        lines = [*map(str, self.changes[:SHOWN]), *and_more(self.changes, SHOWN)]
        return "\n".join([self.headline(), *(f"    {line}" for line in lines)])


def and_more(changes: tuple[Change, ...], shown: int) -> list[str]:
    """The line below the first so many changes that says how many more there are; none where that is all."""
    more = len(changes) - shown
    return [f"… and {'at least ' * (len(changes) == KEPT)}{more} more"] if more > 0 else []


@dataclass(frozen=True, slots=True)
class Regression:
    """What `regression` says. `how`: exact or statistical; `trials`: how many were held against the baseline.

    `state` is the worst of its checks: green; yellow, a check that cannot rule out what it looks for; red. A cell
    that ends with `.require()` is a gate.
    """

    baseline: str
    run_id: str
    dataset: str
    source: str
    how: Literal["exact", "statistical"]
    trials: int
    checks: tuple[Check, ...]

    @property
    def state(self) -> State:
        """green, yellow or red."""
        found = {check.state for check in self.checks}
        return "red" if "red" in found else "yellow" if "yellow" in found else "green"

    @property
    def ok(self) -> bool:
        """Whether nothing got worse as far as could be seen; yellow is ok, and says what it could not see."""
        return self.state != "red"

    @property
    def changes(self) -> tuple[Change, ...]:
        """The changed fields of all checks."""
        return tuple(change for check in self.checks for change in check.changes)

    def require(self) -> Regression:
        """This record, so that a cell can end with it. Raises RegressionFound when it is red."""
        if not self.ok:
            raise RegressionFound(str(self))
        return self

    def to_json(self) -> dict[str, Any]:
        """All of it, with the state, as JSON-ready data."""
        return asdict(self) | {"state": self.state}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Regression:
        """What `to_json` gave."""
        checks = tuple(
            Check(**(one | {"changes": tuple(Change(**change) for change in one["changes"])}))
            for one in content["checks"]
        )
        return cls(**({k: v for k, v in content.items() if k != "state"} | {"checks": checks}))

    def headline(self) -> str:
        """The result in one sentence."""
        counts = {state: sum(check.state == state for check in self.checks) for state in WORDS}
        told = ", ".join(f"{n} {WORDS[state]}" for state, n in counts.items() if n)
        return (
            f"{self.baseline}: {self.state}. {len(self.checks)} {self.how} checks over {self.trials:,} trials: {told}."
        )

    def __str__(self) -> str:
        simulated = ["Simulated: declared, not measured."] if self.source == "simulated" else []
        shown = [str(check) for check in self.checks if check.state != "green"]
        return "\n".join([*simulated, self.headline(), *shown])

    def __repr__(self) -> str:
        return f"Regression({self.baseline}: {self.state}, {len(self.checks)} {self.how} checks)"

    def _repr_html_(self) -> str:
        from workbench.regressions.html import regression_html

        return regression_html(self)
