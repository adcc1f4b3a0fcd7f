"""A claim's figures as a table."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Table:
    """A claim's figures; `failed`: the rows that miss their target."""

    title: str
    head: list[str]
    rows: list[list[str]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def add(self, ok: bool, *cells: object) -> None:
        """One row; the last column says whether the target is met."""
        self.rows.append([*(str(cell) for cell in cells), "yes" if ok else "NO"])
        if not ok:
            self.failed.append(" | ".join(self.rows[-1]))

    def markdown(self) -> str:
        """The table as Markdown."""
        lines = [[*self.head, "met"], ["---"] * (len(self.head) + 1), *self.rows]
        return f"### {self.title}\n\n" + "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def percent(share: float, digits: int = 1) -> str:
    """0.941 as 94.1 %."""
    return f"{100 * share:.{digits}f} %"


def draws_of(full: int, scale: float) -> int:
    """How many draws at this scale."""
    return max(40, int(full * scale))
