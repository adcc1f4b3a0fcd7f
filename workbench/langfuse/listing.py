"""What waits in the outbox, shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

REDIRECT = "with --redirect those for another Langfuse go to the one that is set now"
HEADINGS = ("run", "results", "for", "why")


@dataclass(frozen=True, slots=True)
class Waiting:
    """One run with `rows` results that Langfuse has not confirmed; `where` they go, and `why` they have not gone."""

    run_id: str
    rows: int
    where: str
    why: str

    def cells(self) -> tuple[str, ...]:
        """Its texts under `HEADINGS`."""
        return (self.run_id, f"{self.rows:,}", self.where, self.why)


@dataclass(frozen=True, slots=True)
class Unsent:
    """The runs with something unsent. Iterate for Waiting. `rejected`: run id -> parts that Langfuse rejected, which
    are not sent again; `broken`: entries that cannot be read, each with the cure."""

    runs: tuple[Waiting, ...]
    rejected: Mapping[str, int] = field(default_factory=dict)
    broken: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """Results that are unsent, over all runs."""
        return sum(one.rows for one in self.runs)

    @property
    def complete(self) -> bool:
        """Whether nothing is left to send, as far as all can be read."""
        return not self.runs and not self.broken

    def __iter__(self) -> Iterator[Waiting]:
        return iter(self.runs)

    def __len__(self) -> int:
        return len(self.runs)

    def __str__(self) -> str:
        lines = [f"{one.run_id}: {one.rows:,} results for {one.where}: {one.why}" for one in self.runs]
        if self.runs:
            lines.append(f"`workbench langfuse sync` sends them; {REDIRECT}")
        return in_all([*lines, *self.broken], self.rejected)

    def __repr__(self) -> str:
        return f"Unsent({len(self.runs)} runs, {self.rows:,} results)"

    def _repr_html_(self) -> str:
        from workbench.tables import plain_table

        told = in_all([*(["Not yet in Langfuse"] if self.runs else []), *self.broken], self.rejected)
        return plain_table(HEADINGS, [one.cells() for one in self.runs], told.replace("\n", "; "))


def in_all(left: Iterable[str], rejected: Mapping[str, int]) -> str:
    """What is `left`, a line each, or that nothing is; and what Langfuse rejected of which runs."""
    runs = ", ".join(f"{run_id} ({count:,})" for run_id, count in rejected.items())
    parts = f"{sum(rejected.values()):,} parts that Langfuse rejected: {runs}"
    lines = list(left)
    if not lines:
        return f"everything is in Langfuse{f', except {parts}' if rejected else ''}"
    return "\n".join([*lines, *([f"not in Langfuse: {parts}"] if rejected else [])])
