"""Some rows of a report with the cases they are about, for reading."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd


class Cases:
    """Some rows with the cases they are about, for reading. Iterate for dicts; `.frame()` for pandas."""

    def __init__(
        self, rows: tuple[dict[str, Any], ...], cases: dict[str, dict[str, Any]], metric: str, title: str
    ) -> None:
        self.title = title
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
        return f"Cases({self.title})"

    def __str__(self) -> str:
        shown = []
        for row in self:
            about = f"{row['prompt']}@{row['version']} × {row['model']} on {row['case_id']}"
            what = (
                row["error"] or f"{self.metric} {row['scores'].get(self.metric)}: {row['reasons'].get(self.metric, '')}"
            )
            shown.append(f"{about}\n  {what}\n  {' '.join((row['output'] or '').split())[:300]}")
        return "\n".join([self.title, *shown])

    def _repr_html_(self) -> str:
        from workbench.report.html import cases_html

        return cases_html(self)
