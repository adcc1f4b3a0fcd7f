"""One view in as many cells as show it: all are told the same, at most ten times a second."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.widgets.base import Shown
from workbench.widgets.coalesced import Coalesced

if TYPE_CHECKING:
    from collections.abc import Callable

    from workbench.widgets.base import Message, Static

FOLDED = "The same without a kernel"


class Shows:
    """The cells that show a view. `state()` is all that its front end draws; `heard` as in `Shown`."""

    def __init__(
        self, name: str, static: Callable[[], Static], state: Callable[[], dict[str, Any]],
        heard: Callable[[Message], Any],
    ) -> None:  # fmt: skip
        self._name, self._static, self._heard = name, static, heard
        self._state = state
        self._cells: list[Shown] = []
        self._before: Callable[[], object] = lambda: None
        self._draw = Coalesced(self._push)

    @property
    def is_live(self) -> bool:
        """Whether there is a widget that somebody may look at."""
        return any(one.is_live for one in self._cells)

    def show(self) -> None:
        """Display in the cell that runs now; without a notebook, print."""
        shown = Shown(self._name, self._static, self._heard, FOLDED)
        shown.state = self._state()
        shown.show()
        self._cells.append(shown)

    def before(self, tell: Callable[[], object]) -> None:
        """What is called before each drawing: messages that belong to the state that follows."""
        self._before = tell

    def changed(self) -> None:
        """Draw soon; at once where no event loop runs."""
        if not self.is_live:
            return
        try:
            self._draw.soon()
        except RuntimeError:  # no event loop here: there is nothing to be gathered
            self._draw.now()

    def now(self) -> None:
        """Draw at once."""
        if self.is_live:
            self._draw.now()

    def send(self, message: Message) -> None:
        """Send a message to every cell."""
        for one in self._cells:
            one.send(message)

    def keep(self) -> None:
        """Draw the static forms again: something came in that must not be lost."""
        for one in self._cells:
            one.refresh()

    def close(self) -> None:
        """Leave the static form alone in every cell."""
        self._draw.cancel()
        cells, self._cells = self._cells, []
        for one in cells:
            one.close()

    def _push(self) -> None:
        for one in self._cells:
            one.guarded(self._told, one)

    def _told(self, one: Shown) -> None:
        if one is self._cells[0]:
            self._before()
        one.state = self._state()
