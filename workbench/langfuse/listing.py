"""What waits in the outbox, shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    """The runs with something unsent. Iterate for Waiting."""

    runs: tuple[Waiting, ...]

    @property
    def rows(self) -> int:
        """Results that are unsent, over all runs."""
        return sum(one.rows for one in self.runs)

    def __iter__(self) -> Iterator[Waiting]:
        return iter(self.runs)

    def __len__(self) -> int:
        return len(self.runs)

    def __str__(self) -> str:
        if not self.runs:
            return "everything is in Langfuse"
        lines = [f"{one.run_id}: {one.rows:,} results for {one.where}: {one.why}" for one in self.runs]
        return "\n".join([*lines, "`workbench langfuse sync` sends them"])

    def __repr__(self) -> str:
        return f"Unsent({len(self.runs)} runs, {self.rows:,} results)"

    def _repr_html_(self) -> str:
        from workbench.tables import plain_table

        return plain_table(HEADINGS, [one.cells() for one in self.runs], "Not yet in Langfuse")
