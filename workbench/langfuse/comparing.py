"""Local versions of a prompt beside those in Langfuse, by content."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from workbench.tables import plain_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.langfuse.prompts import Remote
    from workbench.prompts import Prompt

State = Literal["same", "changed", "only here", "only there"]
HEADINGS = ("local", "Langfuse", "labels", "state")


@dataclass(frozen=True, slots=True)
class Line:
    """One version. `number` is Langfuse's, None where it has none; `local` is empty where there is no file."""

    local: str
    number: int | None
    labels: tuple[str, ...]
    state: State

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """The line as texts."""
        number = "" if self.number is None else str(self.number)
        return self.local or "—", number or "—", ", ".join(self.labels), self.state


@dataclass(frozen=True, slots=True)
class Compared:
    """All versions of one name, here and there: local ones first, in their order. Shows itself as a table."""

    name: str
    server: str
    lines: tuple[Line, ...]

    def __str__(self) -> str:
        rows = [HEADINGS, *(line.cells for line in self.lines)]
        widths = [max(len(row[i]) for row in rows) for i in range(len(HEADINGS))]
        table = ["  ".join(f"{c:<{w}}" for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([self._caption, *table])

    def __repr__(self) -> str:
        counted = {state: sum(line.state == state for line in self.lines) for state in get_args(State)}
        return f"Compared({self.name}: {', '.join(f'{n} {state}' for state, n in counted.items() if n) or 'nothing'})"

    def _repr_html_(self) -> str:
        return plain_table(HEADINGS, [line.cells for line in self.lines], self._caption)

    @property
    def _caption(self) -> str:
        return f"{self.name}, here and in {self.server}"


def compared(
    name: str, server: str, local: Sequence[Prompt], remote: Sequence[tuple[int, tuple[str, ...], Remote | None]]
) -> Compared:
    """`remote`: number, labels and version, None for what cannot be read here.

    Versions pair up by content; a file that was changed after its push pairs with what was pushed of it.
    """
    left = {number: (labels, version) for number, labels, version in remote}
    pairs: dict[str, int] = {}
    for prompt in local:
        same = (n for n, (_, version) in left.items() if version and version.sha == prompt.sha)
        if (number := next(same, None)) is not None:
            pairs[prompt.version] = number
    for prompt in local:
        named = (n for n, (_, v) in left.items() if v and v.local_version == prompt.version)
        if prompt.version not in pairs and (number := next(named, None)) is not None:
            pairs[prompt.version] = number
    lines = []
    for prompt in local:
        number = pairs.get(prompt.version)
        labels, version = left[number] if number is not None else ((), None)
        state: State = "only here" if version is None else "same" if version.sha == prompt.sha else "changed"
        lines.append(Line(prompt.version, number, labels, state))
    there = [Line("", n, labels, "only there") for n, (labels, _) in left.items() if n not in pairs.values()]
    return Compared(name, server, tuple(lines + there))
