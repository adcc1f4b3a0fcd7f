"""Some rows of a report with the cases they are about, for reading."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.records import arm_ref
from workbench.report.text import score_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd


class Cases:
    """Some rows with the cases they are about, for reading. Iterate for dicts; `.frame()` for pandas; `note`: how many
    answers have no score, and why."""

    def __init__(
        self,
        rows: tuple[dict[str, Any], ...],
        cases: dict[str, dict[str, Any]],
        metric: str,
        title: str,
        note: str = "",
    ) -> None:
        self.title = title
        self.note = note
        self.metric = metric
        self.rows = rows
        self._rows = [
            row | {"inputs": cases[row["case_id"]]["inputs"], "expected": cases[row["case_id"]]["expected"]}
            for row in rows
        ]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def frame(self) -> pd.DataFrame:
        """One pandas row per row, inputs and expected value included."""
        import pandas as pd

        return pd.DataFrame(self._rows)

    def __repr__(self) -> str:
        return f"Cases({self.headline})"

    @property
    def headline(self) -> str:
        """Title and note."""
        return "; ".join(filter(None, (self.title, self.note)))

    def __str__(self) -> str:
        shown = []
        for row in self:
            about = f"{arm_ref(row)} on {row['case_id']}"
            what = (
                row["error"]
                or f"{self.metric} {score_text(row['scores'].get(self.metric))}: {row['reasons'].get(self.metric, '')}"
            )
            shown.append(f"{about}\n  {what}\n  {' '.join((row['output'] or '').split())[:300]}")
        return "\n".join([self.headline, *shown])

    def _repr_html_(self) -> str:
        from workbench.report.html import cases_html

        return cases_html(self)
