"""`wb.show`: a run, a report or a frame in the cell that runs now."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, overload

from workbench.errors import UsageError
from workbench.experiment.run import Run
from workbench.report import Report
from workbench.widgets import base

if TYPE_CHECKING:
    from typing import Self

    import pandas as pd

    from workbench.widgets.board_view import BoardView
    from workbench.widgets.frame_view import FrameView


class Opened:
    """A view that a call shows and returns. As the last value of that same cell it is there already, and the notebook's
    own wish to show it is passed over; in later cells it shows itself again."""

    _shown_in: int | None = None

    def show(self) -> None:
        """Display in the cell that runs now; without a notebook, print."""
        raise NotImplementedError

    def opened(self) -> Self:
        """Show it now."""
        self.show()
        self._shown_in = _cell()
        return self

    def _ipython_display_(self) -> None:
        if self._shown_in is None or self._shown_in != _cell():
            self.show()


@overload
def show(what: Report, **looks: Any) -> BoardView: ...
@overload
def show(what: pd.DataFrame) -> FrameView: ...
@overload
def show(what: Run | str = ...) -> None: ...
def show(what: Any = "latest", **looks: Any) -> BoardView | FrameView | None:
    """Show in this cell a Run, live while it runs, by its id or as `"latest"`; a Report, as leaderboard and chart with
    linked selection; or a DataFrame, such as `report.frame()`, to sort and search.

    `looks`: how a Report's view begins: `metric`, `by`, `sort`, `selected`, as the `BoardView` that is returned has
    them. A run of an earlier kernel is shown from its rows on disk. Raises ReportError for a run that does not exist.
    """
    if isinstance(what, Report):
        from workbench.widgets.board_view import BoardView

        return BoardView(what, **looks).opened()
    if looks:
        raise UsageError(f"show(…, {'=…, '.join(looks)}=…): only a Report takes these")
    if _is_frame(what):
        from workbench.widgets.frame_view import FrameView

        return FrameView(what).opened()
    if not isinstance(what, (Run, str)):
        raise UsageError(f'show({what!r:.200}): give it a Run, a run\'s id, "latest", a Report or a DataFrame')
    from workbench.widgets import run_view

    run_view.show(what)
    return None


def _is_frame(value: object) -> bool:
    """Whether it is a DataFrame; there is none where pandas was never imported."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, pandas.DataFrame)


def _cell() -> int | None:
    """The number of the cell that runs now; None outside notebooks."""
    if not base.in_notebook():
        return None
    from IPython import get_ipython

    return int(get_ipython().execution_count)
