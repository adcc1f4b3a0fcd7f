"""A run as it goes: prompts × models filling up, money, pace, the running verdict, Stop and Resume.

Every run that starts in a notebook shows itself; `show` shows it again in any cell. When the run ends a static table
stays. Stopped by its button a run can be resumed from the view, so the live part stays beside the table until then.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from workbench.errors import UsageError
from workbench.experiment.run import OPENERS, Run
from workbench.report.listing import load_report
from workbench.report.report import DECLARED, RECORDED
from workbench.report.text import dollars, seconds
from workbench.widgets import base
from workbench.widgets.run_data import Standing, to_go
from workbench.widgets.run_static import static

if TYPE_CHECKING:
    from collections.abc import Callable

    from workbench.records import Row
    from workbench.report import Report

BEAT_S, QUIET_S = 0.5, 1.0
"""A view looks this often whether rows have come; without any it is drawn this often: pace and waiting change too."""
KEPT_S = 10.0
"""How often the static form follows a run that goes on; a kernel that dies leaves it no older than that."""
SHARE, VERDICT_S = 100, 2.0
"""The running verdict takes at most one part in this many of the time, and comes this often at most."""
OPEN = ("running", "stopping", "stopped")
"""States in which there is something to watch, or to go on with."""

_views: dict[str, list[RunView]] = {}
_runs: WeakValueDictionary[str, Run] = WeakValueDictionary()


def show(run: Run | str = "latest") -> None:
    """Show a run in this cell, live while it runs: a Run, a run's id, or `"latest"`.

    A run of an earlier kernel is shown from its rows on disk. Raises ReportError for a run that does not exist.
    """
    if not isinstance(run, (Run, str)):
        raise UsageError(f'show({run!r}): give it a Run, a run\'s id, or "latest"')
    found = run if isinstance(run, Run) else _run_or_report(run)
    if isinstance(found, Run):
        view = RunView(found)
        if found.progress.state in OPEN:
            view.open()
        if not view.is_live:
            view.show_static()
        return
    report = found
    base.Shown("run_view", lambda: base.Static(report._repr_html_(), str(report))).show(live=False)


def opened(run: Run) -> None:
    """Show a run that starts, where somebody looks; where nobody does its static table comes when it ends."""
    if not base.in_notebook():
        return
    _runs[run.id] = run
    for view in list(_views.get(run.id, ())):
        if view.run is run:
            view.begin()
        elif view.run.progress.ended is not None:
            view.close()  # an earlier try of the same plan, stopped: this one goes on where it stood
    if not any(view.run is run for view in _views.get(run.id, ())):
        try:
            RunView(run).open()
        except Exception as error:  # noqa: BLE001  # whatever a front end does, the run is what counts
            print(f"Run {run.id} goes on without its view: {type(error).__name__}: {error}")  # noqa: T201


OPENERS.append(opened)


class RunView:
    """One view of a run; several may watch it. `close` leaves the static table."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.verdict = ""
        self._standing = Standing(run.design, run.metric)
        anew = run.options.cache == "refresh" and not run.progress.done
        self._standing.load(run.folder / "rows.jsonl", anew=anew)
        self._fresh: list[Row] = []
        self._note = ""
        told = f"Run {run.id} as this file keeps it"
        self._shown = base.Shown("run_view", self.static, self._heard, told, kept=True)
        self._beat: asyncio.TimerHandle | None = None
        self._next_quiet = self._next_verdict = self._next_kept = 0.0
        self._judging = False

    @property
    def is_live(self) -> bool:
        """Whether there is a widget to look at."""
        return self._shown.is_live

    def open(self) -> None:
        """Begin to watch; display the live part where somebody looks."""
        self.run.watchers.append(self)
        _views.setdefault(self.run.id, []).append(self)
        if base.has_front_end():
            self._next_kept = time.monotonic() + KEPT_S
            self._shown.state = self._state()
            self._shown.show()
        elif base.somebody_looks():
            self._note = f"No live view: {base.missing()}."
        self.begin()

    def begin(self) -> None:
        """Follow the run from now on; called again when it goes on after a stop."""
        if self._beat is not None:
            self._beat.cancel()
        self._beating()

    def show_static(self) -> None:
        """Display the table as it is now."""
        self.close()
        self._shown.show(live=False)

    def row(self, row: Row) -> None:
        """A row is on disk. Called for every one, so the work is left to the next beat."""
        self._fresh.append(row)

    def ended(self) -> None:
        """The run has ended, for now or for good."""
        self._take_in()
        self._shown.guarded(self._last_verdict)
        self._shown.guarded(self._end)

    def close(self) -> None:
        """Stop watching, leave the table."""
        if self._beat is not None:
            self._beat.cancel()
        if self in self.run.watchers:
            self.run.watchers.remove(self)
        if self in _views.get(self.run.id, ()):
            _views[self.run.id].remove(self)
        self._take_in()
        self._shown.end()

    def _last_verdict(self) -> None:
        found = self._standing.leading()
        self.verdict = found() if found is not None else ""

    def _end(self) -> None:
        if self.run.progress.state == "stopped" and self.is_live:
            self._draw()
            self._shown.refresh()
        elif self.is_live:
            self.close()
        else:
            self.show_static()

    def _heard(self, message: dict[str, Any]) -> Any:
        if message.get("type") == "stop" and self.run.progress.state == "running":
            self.run.stop()
            self.run.progress.state = "stopping"
            self._draw()
        elif message.get("type") == "resume" and self.run.progress.state == "stopped":
            return self._resumed()
        return None

    async def _resumed(self) -> None:
        """Go on; nobody awaits it, so its end says where the report is and its failure is shown here."""
        self._note = f'Its report: wb.load_report("{self.run.id}").'
        self.run.resume()
        await self.run

    def _beating(self) -> None:
        if not self.is_live:
            self._take_in()
        elif self._fresh or time.monotonic() >= self._next_quiet:
            self._draw()
        if self.run.progress.ended is None:
            self._beat = asyncio.get_running_loop().call_later(BEAT_S, self._beating)

    def _take_in(self) -> None:
        fresh, self._fresh = self._fresh, []
        self._standing.add(fresh)

    def _draw(self) -> None:
        self._shown.guarded(self._drawn)

    def _drawn(self) -> None:
        self._take_in()
        self._shown.state = self._state()
        if self.run.progress.ended is not None:
            return
        now = time.monotonic()
        self._next_quiet = now + QUIET_S
        if now >= self._next_verdict and not self._judging:
            found = self._standing.leading()
            if found is not None:
                self._judging = True
                self._shown.guarded(self._judged, found)
        if now >= self._next_kept:
            self._next_kept = now + KEPT_S
            self._shown.refresh()

    async def _judged(self, verdict: Callable[[], str]) -> None:
        """The verdict is worked out beside the event loop, which has calls to make."""
        began = time.thread_time()
        try:
            said, took = await asyncio.to_thread(_timed, verdict)
            if self.run.progress.ended is None:
                self.verdict = said
        finally:
            self._judging = False
        took += time.thread_time() - began
        self._next_verdict = time.monotonic() + max(VERDICT_S, SHARE * took)

    def _state(self) -> dict[str, Any]:
        run, progress = self.run, self.run.progress
        done, total = progress.kept + progress.done, progress.total
        return {
            "run": run.id,
            "state": progress.state,
            "done": done,
            "total": total,
            "counts": f"{done:,} of {total:,} trials, {self._standing.counts}",
            "money": self._money(),
            "spent": min(run.spent_usd / run.options.budget_usd, 1.0) if run.options.budget_usd else None,
            "pace": self._pace(),
            "verdict": f"Leading pair: {self.verdict}" if self.verdict else self._no_verdict(),
            "caption": self._caption(),
            "message": " ".join(filter(None, [progress.message, self._hint()])),
            "troubles": self._standing.troubles,
            **self._standing.grid(run.dropped),
        }

    def _money(self) -> str:
        """All that this run ever cost; the budget is of this start alone."""
        budget = self.run.options.budget_usd
        here = "" if budget is None else f"; this start {dollars(self.run.spent_usd)} of {dollars(budget)}"
        return f"{self._standing.money}{here}"

    def _pace(self) -> str:
        run, progress = self.run, self.run.progress
        p50 = self._standing.p50_s
        limited = f"{run.traffic.rate_limited:,} × status 429" if run.traffic.rate_limited else "no status 429"
        parts = [f"{run.traffic.in_flight} of {run.options.concurrency} calls under way", limited]
        parts += [f"p50 latency {seconds(p50)}"] if p50 is not None else []
        if progress.state == "running" and progress.eta_s is not None:
            parts.append(to_go(progress.eta_s))
        return " · ".join(parts)

    def _no_verdict(self) -> str:
        if self._standing.secret:
            return "A confirmation is judged when it is finished, and not looked at before."
        if self._standing.scorer is not None and self._standing.scorer.asks_models:
            return "A judge gives these scores; the report's verdict says how far they can be trusted."
        return ""

    def _caption(self) -> str:
        sources = self._standing.sources
        return DECLARED if "simulated" in sources else RECORDED if "recorded" in sources else ""

    def _hint(self) -> str:
        state = self.run.progress.state
        if state == "stopping":
            return "Stopping: calls under way may finish, they are paid for."
        if state == "running" and base.clicks_wait():
            return "This ipykernel handles clicks only after the cell: stop with the kernel's interrupt (■)."
        return self._note

    def static(self) -> base.Static:
        """The table that stays: no times in it, nor an id when all is done, so that the same run leaves the same."""
        state = self._state()
        progress = self.run.progress
        # an id is needed where something is left to do; it would make every change of code a change of notebooks
        name = self.run.design.name if progress.state == "finished" else self.run.id
        head = f"Run {name}, {progress.state}: {state['counts']}; {state['money']}"
        return static(head, [one for one in (progress.message, self._note) if one], state)


def _timed(verdict: Callable[[], str]) -> tuple[str, float]:
    """The verdict, and the CPU seconds it took."""
    began = time.thread_time()
    return verdict(), time.thread_time() - began


def _run_or_report(which: str) -> Run | Report:
    """A run that goes on, or may go on, in this kernel, else its report: of a run that has ended the same is shown
    whether this kernel still remembers it or not. Raises ReportError."""
    run = _runs.get(which)
    report = None if run is not None else load_report(which)
    run = run if report is None else _runs.get(report.run_id)
    if run is not None and run.progress.state in OPEN:
        return run
    return report or load_report(which)
