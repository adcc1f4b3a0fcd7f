"""`wb.show(report.frame())`: a DataFrame to sort, search and page through; what stands in its cells stays text."""

from __future__ import annotations

import json
from html import escape
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from workbench.tables import PLAIN, SHOWN, fitting, table
from workbench.widgets import base
from workbench.widgets.compare_data import plain
from workbench.widgets.showing import Opened
from workbench.widgets.shows import FOLDED

if TYPE_CHECKING:
    import pandas as pd

SENT = "4MB"
"""What the browser gets at most; of a larger frame itables sends the first and the last rows, and says so."""
CELL, LIVE_CELL = 200, 2000
"""Characters of a cell that the static and the live table show."""
CURE = "To sort, search and page through it: pip install 'prompt-workbench[tables]'"


class FrameView(Opened):
    """A DataFrame in a cell; made by `wb.show(frame)`. Live with the extra `tables` (itables), else its first rows."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame = frame
        self._cells: list[tuple[Any, Any, Any]] = []

    def show(self) -> None:
        """Display in the cell that runs now; without a notebook, print."""
        if not base.in_notebook():
            print(repr(self.frame))  # noqa: T201  # without a notebook this is the view
            return
        from IPython.display import display

        live = live_table(self.frame) if base.has_front_end() and not missing() else None
        above = display(self._static(folded=live is not None).bundle(), raw=True, display_id=True)  # type: ignore[no-untyped-call]
        if live is not None:
            below = display(live, display_id=True)  # type: ignore[no-untyped-call]
            self._cells.append((above, below, live))

    def close(self) -> None:
        """Leave the static table alone in every cell that shows this view."""
        cells, self._cells = self._cells, []
        for above, below, live in cells:
            above.update(self._static(folded=False).bundle(), raw=True)
            below.update({}, raw=True)
            live.close()

    def _repr_html_(self) -> str:
        return static_table(self.frame)

    def __repr__(self) -> str:
        return f"FrameView({len(self.frame):,} rows, {len(self.frame.columns)} columns)"

    def _static(self, *, folded: bool) -> base.Static:
        html = static_table(self.frame)
        if folded:
            html = f"<details><summary>{FOLDED}</summary>{html}</details>"
        return base.Static(html, plain(repr(self.frame)))


def missing() -> str:
    """What to install for live tables, empty when it is there."""
    return "" if find_spec("itables") is not None else CURE


def live_table(frame: pd.DataFrame) -> Any:
    """The widget: everything in it is text before it goes out, and itables escapes it."""
    from itables.widget import ITable

    return ITable(
        texts(frame), allow_html=False, maxBytes=SENT, showIndex=False, scrollX=True, classes="display compact",
    )  # fmt: skip


def texts(frame: pd.DataFrame) -> pd.DataFrame:
    """The same rows without an index; numbers and truth values as they are, everything else as text of bounded length,
    for formatters of others cut, quote and evaluate what they do not know."""
    import pandas as pd

    flat = frame if _is_counted(frame) else frame.reset_index()
    columns = [
        column if column.dtype.kind in "biuf" else column.map(lambda value: _text(value, LIVE_CELL)).astype(object)
        for column in (flat.iloc[:, place].reset_index(drop=True) for place in range(flat.shape[1]))
    ]
    made = pd.concat(columns, axis=1) if columns else pd.DataFrame()
    made.columns = pd.Index([_text(name, CELL) for name in flat.columns], dtype=object)
    return made


def static_table(frame: pd.DataFrame) -> str:
    """The first rows without a script; fewer than 200 where they are long."""
    flat = frame if _is_counted(frame) else frame.head(SHOWN).reset_index()
    head = "".join(f'<th scope="col">{escape(_text(name, CELL))}</th>' for name in flat.columns)
    rows = fitting(
        f"<tr>{''.join(f'<td>{escape(_text(value, CELL))}</td>' for value in values)}</tr>"
        for values in flat.head(SHOWN).itertuples(index=False, name=None)
    )
    scrolled = f'<div style="max-height:420px;overflow:auto">{table(head, "".join(rows), "")}</div>'
    return scrolled + PLAIN.format(f"<p>{_counted(frame, len(rows))}</p>")


def _counted(frame: pd.DataFrame, shown: int) -> str:
    """How many rows there are, how many of them stand here, and how to get the rest."""
    total = len(frame)
    rows = f"{total:,} rows" if shown == total else f"The first {shown:,} of {total:,} rows"
    cure = base.missing() or missing()
    return escape(f"{rows}, {len(frame.columns)} columns." + (f" {cure}." if cure else ""))


def _text(value: Any, most: int) -> str:
    """A cell or a heading as text."""
    if value is None or value != value:
        return ""
    text = json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, (dict, list)) else str(value)
    return plain(text if len(text) <= most else f"{text[:most]} … and {len(text) - most:,} more characters")


def _is_counted(frame: pd.DataFrame) -> bool:
    """Whether the index says no more than which row it is."""
    import pandas as pd

    return isinstance(frame.index, pd.RangeIndex) and frame.index.name is None
