"""Faults on request: what a test wants to go wrong, and with which requests."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, get_args

from workbench.sim.said import Draft, Problem, ProblemKind
from workbench.sim.tokens import count_tokens, first_tokens

if TYPE_CHECKING:
    from workbench.sim.asked import Asked

ERRORS = ("rate_limit", "quota", "overloaded", "server_error", "auth", "bad_request")
CHANGES = ("refusal", "content_filter", "truncation")
BREAKS = ("hang", "drop", "cut", "stream_error", "malformed")
KINDS = (*ERRORS, *CHANGES, *BREAKS)

MESSAGES = {
    "rate_limit": "Rate limit reached, as asked for by a test.",
    "quota": "You exceeded your current quota, as asked for by a test.",
    "overloaded": "Overloaded, as asked for by a test.",
    "server_error": "Internal server error, as asked for by a test.",
    "auth": "Invalid API key, as asked for by a test.",
    "bad_request": "Invalid request, as asked for by a test.",
}
REFUSAL = "I can't help with that request."


@dataclass(slots=True)
class Fault:
    """`kind` happens to `times` matching requests, once `after` others that match have passed unharmed."""

    kind: str
    times: int = 1
    after: int = 0
    retry_after_s: float | None = None
    contains: str = ""
    provider: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown fault {self.kind!r}; there are: {', '.join(KINDS)}")

    def matches(self, asked: Asked) -> bool:
        """Whether this request is one of those the fault is for."""
        return self.provider in {None, asked.provider} and self.contains in asked.text

    def problem(self) -> Problem | None:
        """The error to answer with, for faults that are errors."""
        for kind in get_args(ProblemKind):
            if kind == self.kind:
                return Problem(kind, MESSAGES[kind], retry_after_s=self._wait())
        return None

    def _wait(self) -> float | None:
        return 0.0 if self.retry_after_s is None and self.kind == "rate_limit" else self.retry_after_s

    def change(self, draft: Draft) -> Draft:
        """The answer as this fault leaves it."""
        if self.kind == "refusal":
            return replace(draft, text=REFUSAL, stop="refusal", output_tokens=None)
        if self.kind == "content_filter":
            return replace(draft, text=first_tokens(draft.text, 3), stop="content_filter", output_tokens=None)
        if self.kind == "truncation":
            half = first_tokens(draft.text, count_tokens(draft.text) // 2)
            return replace(draft, text=half, stop="max_tokens", output_tokens=None)
        return draft


@dataclass(slots=True)
class Faults:
    """The faults still to happen, in order."""

    _waiting: list[Fault] = field(default_factory=list)

    def declare(self, faults: list[dict[str, Any]]) -> None:
        """Replace what is waiting; raises ValueError or TypeError for a fault that does not exist."""
        self._waiting = [Fault(**fault) for fault in faults]

    def take(self, asked: Asked) -> Fault | None:
        """The fault that happens to this request: the first that matches and has let enough others pass."""
        for fault in self._waiting:
            if not fault.matches(asked):
                continue
            if fault.after > 0:
                fault.after -= 1
                continue
            fault.times -= 1
            if fault.times <= 0:
                self._waiting.remove(fault)
            return fault
        return None
