"""A run watched in a terminal: done, failed, dollars, time to go."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from typing import TYPE_CHECKING

from workbench.report.text import dollars

if TYPE_CHECKING:
    from collections.abc import Callable

    from workbench.experiment import Run
    from workbench.report import Report

PER_SECOND = 10
GRACE_S = 15.0
"""How long the calls under way may take to finish after Ctrl-C."""


async def watch(run: Run) -> Report:
    """Wait for a run with a progress line on standard error. The first Ctrl-C lets the calls under way finish, because
    they are paid for; a second one, or `GRACE_S`, drops them."""
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(_finish(run))
    loop.add_signal_handler(signal.SIGINT, _interrupted, run, task, loop)
    try:
        if sys.stderr.isatty():
            await _draw(run, task)
        return await task
    finally:
        loop.remove_signal_handler(signal.SIGINT)


def counter() -> Callable[[object], None] | None:
    """An `on_row` that counts finished trials on standard error; None where nobody watches."""
    if not sys.stderr.isatty():
        return None
    done, shown = 0, 0.0

    def count(_: object) -> None:
        nonlocal done, shown
        done += 1
        if time.monotonic() - shown >= 1 / PER_SECOND:
            shown = time.monotonic()
            print(f"\r{done:,} trials", end="", file=sys.stderr, flush=True)

    return count


async def _finish(run: Run) -> Report:
    return await run


def _interrupted(run: Run, task: asyncio.Future[Report], loop: asyncio.AbstractEventLoop) -> None:
    if run.progress.state == "stopping":
        task.cancel()
        return
    run.stop()
    run.progress.state = "stopping"
    print(f"\nStopping: {run.traffic.in_flight} calls under way may finish; Ctrl-C again drops them.", file=sys.stderr)
    loop.call_later(GRACE_S, task.cancel)


async def _draw(run: Run, task: asyncio.Future[Report]) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), auto_refresh=False, transient=True) as bar:
        line = bar.add_task("", total=run.progress.total)
        while not task.done():
            await asyncio.wait([task], timeout=1 / PER_SECOND)
            bar.update(line, completed=run.progress.kept + run.progress.done, description=_words(run), refresh=True)


def _words(run: Run) -> str:
    progress = run.progress
    eta = "" if progress.eta_s is None else f"{progress.eta_s:.0f} s to go"
    budget = "" if run.options.budget_usd is None else f" of {dollars(run.options.budget_usd)}"
    parts = [f"{progress.hits} hits", f"{progress.errors} failed", f"{dollars(run.spent_usd)}{budget}", eta]
    if run.traffic.rate_limited:
        parts.insert(2, f"{run.traffic.rate_limited} × 429")
    return " · ".join(filter(None, parts))
