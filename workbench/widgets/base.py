"""What all views share: a live part that is told a state and tells messages, and a static form that outlives it.

A view is a plain object that owns one `Shown`:

    shown = Shown("compare_view", static, heard=self._heard)   # static() -> Static(html, text)
    shown.state = {"cases": [...]}                  # the whole state, JSON; compared, sent when it changed
    shown.send({"type": "details", ...})            # one message, part of no state (pages, details, deltas)
    shown.alert = "Langfuse is away."               # a sentence with role=alert in the view
    shown.show()                                    # in the cell that runs now: static form, live part below
    shown.refresh()                                 # draw the static form again (a vote came in)
    shown.end()                                     # the static form alone stays; also `close`

`heard(message)` gets what the view's buttons tell, `{"type": "stop"}`; it may be a coroutine function. Its errors
become the alert. Its ES module is `<name>.js` beside this file, written on top of `base.js` (`h` makes an element,
`frame` the view with its alert and `tell`), and styles are `base.css` and `<name>.css` where that exists; a page keeps
all of them, so rules of one view begin with a class of its own. Tests of the module: `tests/browser/esm.py`.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from functools import cache
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    Message = dict[str, Any]

FOLDER = Path(__file__).parent
LIVE_STOP = (7, 4)
"""The ipykernel from which on a click is handled at once while a cell awaits."""

_log = logging.getLogger("workbench.widgets")
_log.addHandler(logging.NullHandler())  # an error stands in its view; the traceback is for those who listen


class Static(NamedTuple):
    """What a view leaves behind: `html` complete without a script, `text` where no HTML is shown."""

    html: str
    text: str

    def bundle(self) -> dict[str, str]:
        """As a notebook stores it."""
        return {"text/html": self.html, "text/plain": self.text}


def source(name: str) -> str:
    """The ES module of a view as a browser gets it: `base.js`, then `<name>.js`."""
    return "\n".join((FOLDER / f"{one}.js").read_text("utf-8") for one in ("base", name))


def styles(name: str) -> str:
    """The style sheet of a view."""
    files = (FOLDER / f"{one}.css" for one in ("base", name))
    return "\n".join(file.read_text("utf-8") for file in files if file.exists())


def in_notebook() -> bool:
    """Whether this code runs in a Jupyter kernel; imports nothing."""
    import sys

    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module is not None else None
    return getattr(shell, "kernel", None) is not None


def has_front_end() -> bool:
    """Whether somebody looks at the cell that runs now, with a browser that can draw widgets.

    Programs that run notebooks (nbclient, nbval, papermill) say with each cell that nobody is there to type an answer;
    JupyterLab and its kin say that somebody is.
    """
    return somebody_looks() and not missing()


def somebody_looks() -> bool:
    """As `has_front_end`, whether or not the packages for widgets are installed."""
    if not in_notebook():
        return False
    from IPython import get_ipython

    return bool(getattr(get_ipython().kernel, "_allow_stdin", False))


def missing() -> str:
    """What to install for live views, empty when it is there."""
    absent = [name for name in ("anywidget", "ipywidgets") if find_spec(name) is None]
    return f"{' and '.join(absent)} not installed: pip install 'prompt-workbench[notebooks]'" if absent else ""


def clicks_wait() -> bool:
    """Whether clicks are handled only after the running cell, so that a Stop button is of no use."""
    try:
        from ipykernel._version import version_info
    except ImportError:
        return True
    return tuple(version_info[:2]) < LIVE_STOP


@cache
def _live_class(name: str) -> Any:
    """The widget class of a view: a state down, messages up. Made when the view is first shown."""
    import anywidget
    import traitlets

    class Live(anywidget.AnyWidget):  # type: ignore[misc, unused-ignore]
        _esm = source(name)
        _css = styles(name)
        state = traitlets.Dict().tag(sync=True)
        alert = traitlets.Unicode("").tag(sync=True)

    Live.__name__ = name  # a page keeps one style sheet per class name
    return Live


class Shown:
    """A view in a cell: its static form, and the live part below it while it lives. See the module's text for use.

    `static` draws the static form; `folded`: the summary under which it is folded while the live part is there. `kept`:
    unfolded, and hidden by the page as long as the live part is there: all that a kernel which dies leaves behind.
    Everything may be called without a notebook, and does nothing visible then.
    """

    def __init__(
        self,
        name: str,
        static: Callable[[], Static],
        heard: Callable[[Message], Any] | None = None,
        folded: str = "",
        *,
        kept: bool = False,
    ) -> None:
        self._name = name
        self._static = static
        self._heard = heard
        self._folded = folded
        self._opened = ' open class="wb-kept"' if kept else ""
        self._state: dict[str, Any] = {}
        self._alert = ""
        self._last: Static | None = None
        self._live: Any = None
        self._above: Any = None
        self._below: Any = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def is_live(self) -> bool:
        """Whether there is a widget that somebody may look at."""
        return self._live is not None

    @property
    def state(self) -> dict[str, Any]:
        """What the view draws from, JSON. Assign a new dict to change it."""
        return self._state

    @state.setter
    def state(self, state: dict[str, Any]) -> None:
        self._state = state
        if self._live is not None:
            self._live.state = state

    @property
    def alert(self) -> str:
        """The sentence that the view shows as an alert; empty for none."""
        return self._alert

    @alert.setter
    def alert(self, text: str) -> None:
        self._alert = text
        if self._live is not None:
            self._live.alert = text

    def send(self, message: Message) -> None:
        """Send one message to the view; it is part of no state."""
        if self._live is not None:
            self._live.send(message)

    def show(self, live: bool | None = None) -> None:
        """Display in the cell that runs now. `live`: False leaves the widget out; by default where somebody looks."""
        if not in_notebook():
            print(self._static().text)  # noqa: T201  # without a notebook this is the view
            return
        from IPython.display import display

        self._loop = _running_loop()
        if has_front_end() if live is None else live:
            self._live = _live_class(self._name)()
            self._live.state, self._live.alert = self._state, self._alert
            self._live.on_msg(self._on_message)
        self._above = display(self._bundle(), raw=True, display_id=True)  # type: ignore[no-untyped-call]
        if self._live is not None:
            self._below = display(self._live, display_id=True)  # type: ignore[no-untyped-call]

    def refresh(self) -> None:
        """Draw the static form again where it stands."""
        if self._above is not None:
            self._above.update(self._bundle(), raw=True)

    def end(self) -> None:
        """Leave the static form alone, unfolded; where it cannot be drawn again, as it was, with the reason. Safe to
        call twice."""
        live, self._live = self._live, None
        try:
            self.refresh()
        except Exception as error:  # noqa: BLE001  # the view ends all the same, and so do those in other cells
            if self._above is not None and self._last is not None:
                why = f"As it was drawn last: {_told(error)}"
                last = Static(f"{self._last.html}<p>{escape(why)}</p>", f"{self._last.text}\n{why}")
                self._above.update(last.bundle(), raw=True)
        if live is not None:
            live.on_msg(self._on_message, remove=True)
            self._below.update({}, raw=True)
            live.close()

    close = end

    def guarded(self, callback: Callable[..., Any], *arguments: Any) -> None:
        """Call it; an error becomes the alert, never a traceback in whatever cell runs now. A coroutine becomes a task,
        on the kernel's main loop whichever thread this is."""
        try:
            found = callback(*arguments)
            if inspect.iscoroutine(found):
                self._start(self._awaited(found))
        except Exception as error:  # noqa: BLE001  # shown where the person looks
            self._failed(error)

    def _on_message(self, _: Any, message: Message, __: Any) -> None:
        live = self._live
        self.alert = ""
        if self._heard is not None:
            self.guarded(self._heard, message)
        if live is not None:
            live.send({"type": "heard", "id": message.get("id")})

    async def _awaited(self, coroutine: Any) -> None:
        try:
            await coroutine
        except Exception as error:  # noqa: BLE001  # as in `guarded`
            self._failed(error)

    def _start(self, coroutine: Any) -> None:
        loop = self._loop or asyncio.get_running_loop()
        if _running_loop() is not loop:  # ipykernel 7.0 to 7.3 hand clicks to another thread
            loop.call_soon_threadsafe(self._start, coroutine)
            return
        task = loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _failed(self, error: Exception) -> None:
        _log.debug("%s", self._name, exc_info=error)
        self.alert = _told(error)

    def _bundle(self) -> dict[str, str]:
        html, text = self._last = self._static()
        if self._live is not None and self._folded:
            html = f"<details{self._opened}><summary>{escape(self._folded)}</summary>{html}</details>"
        return Static(html, text).bundle()


def _told(error: Exception) -> str:
    return str(error) if type(error).__module__.startswith("workbench") else f"{type(error).__name__}: {error}"


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
