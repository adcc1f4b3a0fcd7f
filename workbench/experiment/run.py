"""The doing: a bounded crew of workers, a row on disk for every trial that finished, resumable at any point."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from workbench.client import Asking, Client
from workbench.errors import BudgetReached, StorageError, UsageError
from workbench.experiment import rows
from workbench.experiment.grid import Trial, blocks
from workbench.experiment.plan import notes as plan_notes
from workbench.experiment.plan import settings_of
from workbench.experiment.tracing import Tracing
from workbench.files import write_whole
from workbench.ledger import Ledger
from workbench.report import Report
from workbench.report.rows import RowLog
from workbench.scorers import score
from workbench.settings import state_dir
from workbench.traffic import Traffic

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from pathlib import Path

    from workbench.client import Session
    from workbench.experiment.plan import Design
    from workbench.records import Reply, Request, Row


Pending = tuple["Trial", "Request", "Reply | None"]
"""A trial still to do, its request, and its stored reply."""


class Watcher(Protocol):
    """Somebody who watches a run, such as its view in a notebook. What these raise ends the run."""

    def row(self, row: Row) -> None:
        """A row is on disk."""

    def ended(self) -> None:
        """The run has ended; its `progress` says how."""


OPENERS: list[Callable[[Run], object]] = []
"""Called with every run that starts or goes on: doors put their own in, which add themselves to `run.watchers`."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a run is done, as opposed to what it does: none of this changes a row's content."""

    budget_usd: float | None = None
    concurrency: int = 16
    cache: str = "on"
    on_row: Callable[[Row], object] | None = None


@dataclass(slots=True)
class Progress:
    """Where a run stands. `state`: running, stopped, interrupted, budget reached, finished or failed. Money in US
    dollars, times in seconds; `kept` rows were there before this start."""

    total: int
    kept: int = 0
    done: int = 0
    errors: int = 0
    hits: int = 0
    state: str = "running"
    message: str = ""
    started: float = 0.0
    ended: float | None = None

    @property
    def elapsed_s(self) -> float:
        """Seconds since this start."""
        return (self.ended or time.monotonic()) - self.started

    @property
    def eta_s(self) -> float | None:
        """Seconds still to go at the pace so far; None before the first row."""
        left = self.total - self.kept - self.done
        return self.elapsed_s / self.done * left if self.done else None


class Run:
    """A run under way; `await run` gives its Report. Made by `Experiment.start`. `notes`: what somebody should know.

    `stop()` lets the calls under way finish and keeps everything; `resume()` goes on. The kernel's interrupt and Ctrl-C
    do the same as stop but drop the calls under way. Running the same plan again always resumes.
    """

    def __init__(self, design: Design, session: Session, options: Options, ledger: Ledger | None = None) -> None:
        self.id = design.run_id
        self.notes = tuple(dict.fromkeys(plan_notes(design, session)))
        self.folder: Path = state_dir("runs", design.run_id)
        self.options = options
        self.ledger = ledger or Ledger(options.budget_usd, session.ledger)
        self.traffic = Traffic(options.concurrency)
        self.progress = Progress(design.trials)
        self.watchers: list[Watcher] = []
        self._design = design
        self._session = session
        self._about = {id(arm): rows.about(arm, design.run_id, session) for arm in design.arms}
        self._stopping = False
        self._unpriced: set[int] = set()
        self._ended_by: BudgetReached | UsageError | None = None
        self._task: asyncio.Task[Report] | None = None

    def resume(self) -> Run:
        """Start, or go on after a stop; does nothing while running. Needs a running event loop."""
        if self._task is None or self._task.done():
            self._stopping, self._ended_by = False, None
            self.progress = Progress(self._design.trials, started=time.monotonic())
            for opened in OPENERS:
                opened(self)
            self._task = asyncio.create_task(self._do(), name=f"run {self.id}")
            self._task.add_done_callback(self._left)
        return self

    def stop(self) -> None:
        """Hand out no more trials; calls under way finish and their rows are kept."""
        self._stopping = True

    @property
    def design(self) -> Design:
        """What is run."""
        return self._design

    @property
    def metric(self) -> str:
        """Name of the metric that decides."""
        scorer = self._design.scorers[0]
        return next(iter(scorer.metrics), scorer.name)

    @property
    def dropped(self) -> tuple[int, ...]:
        """Arms of the design, by number, that are not paid for any more; a race has some."""
        return ()

    @property
    def spent_usd(self) -> float:
        """US dollars spent by this run object, uncertain ones included."""
        return self.ledger.spent_usd + self.ledger.uncertain_usd

    def __await__(self) -> Generator[Any, None, Report]:
        if self._task is None:
            self.resume()
        assert self._task is not None
        return self._task.__await__()

    def __repr__(self) -> str:
        done = self.progress.kept + self.progress.done
        return f"Run({self.id}, {done} of {self.progress.total} done, {self.progress.state})"

    async def _do(self) -> Report:
        client = Client(self._session, mode=self.options.cache, ledger=self.ledger, traffic=self.traffic)
        tracing = Tracing(self._session, self.id)
        log: RowLog | None = None
        try:
            log = self._open_log()
            tracing.open()
            await self._work(client, log)
        except asyncio.CancelledError:
            self._end("interrupted", self.how_to_resume())
            with suppress(asyncio.CancelledError):  # somebody who interrupts twice does not want to wait
                await tracing.finish()
            # A new one: the old traceback leads deep into an HTTP library, and this is what a notebook shows.
            raise asyncio.CancelledError(self.progress.message) from None
        except BaseException as error:  # it goes on to the caller; the run's state must say so too
            self._end("failed", str(error))
            raise
        finally:
            if log is not None:
                log.close()
            await client.close()
        if self._ended_by is not None:
            self._end("budget reached", f"{self._ended_by}. {self.how_to_resume()}")
        else:
            self._end("stopped" if self._stopping else "finished", self.how_to_resume() if self._stopping else "")
        await tracing.finish()
        return Report(
            self.folder, self.progress.state, " ".join(filter(None, (self.progress.message, tracing.problem)))
        )

    def how_to_resume(self) -> str:
        """One sentence for somebody whose run was cut short."""
        done = self.progress.kept + self.progress.done
        return f"{done} of {self.progress.total} trials are kept in run {self.id}; the same line resumes it."

    def _end(self, state: str, message: str = "") -> None:
        self.progress.state = state
        self.progress.message = message
        self.progress.ended = time.monotonic()
        for watcher in list(self.watchers):
            watcher.ended()

    def _left(self, _: asyncio.Task[Report]) -> None:
        """A task that is cancelled before it began comes to none of its own ends."""
        if self.progress.ended is None:
            self._end("interrupted", self.how_to_resume())

    def _open_log(self) -> RowLog:
        """The run's folder with its plan and cases, and the log of rows, ours alone."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            log = RowLog(self.folder)
            self._write_plan()
        except OSError as error:
            raise StorageError(f"{self.folder} cannot be written: {error.strerror or error}") from None
        return log

    def _write_plan(self) -> None:
        """The plan and its cases, once; a run that is asked for by another name learns that name."""
        path, plan = self.folder / "plan.json", dict(settings_of(self._design))
        known = Report(self.folder).plan.get("aliases", {}) if path.exists() else None
        if known is not None and plan["aliases"].items() <= known.items():
            return
        plan["aliases"] = (known or {}) | plan["aliases"]
        if known is None:
            write_whole(self.folder / "cases.jsonl", _case_lines(self._design))
        write_whole(path, json.dumps(plan, indent=1))

    async def _work(self, client: Client, log: RowLog) -> None:
        """All trials of the design that have no row yet."""
        finished = self._done_before(log)
        trials = blocks(self._design.arms, self._design.cases, self._design.repeats)
        await self._crew(self._pending(trials, finished, client), client, log)

    def _done_before(self, log: RowLog) -> set[int]:
        """The trials that need not be done again: a row without an error, with the score of every judge and a price. Of
        those that lack only the price a hit may know it by now."""
        self._unpriced = set()
        if self.options.cache == "refresh":
            return set()
        judges = [scorer for scorer in self._design.scorers if scorer.asks_models]
        finished = log.finished({metric for judge in judges for metric in judge.metrics})
        self._unpriced = log.unpriced
        return finished - log.unpriced

    async def _crew(self, source: Iterator[Pending], client: Client, log: RowLog) -> None:
        """Workers, each pulling the next trial when it is free; the first fault ends them all. Settings or prices that
        are wrong now only keep new calls from going out: those under way are paid for, so they are waited for."""
        size = min(self.options.concurrency, max(self._design.trials, 1))
        crew = [asyncio.create_task(self._worker(source, client, log)) for _ in range(size)]
        try:
            await asyncio.gather(*crew)
        finally:
            for worker in crew:
                worker.cancel()
            await asyncio.gather(*crew, return_exceptions=True)
        if isinstance(self._ended_by, UsageError):
            raise self._ended_by

    async def _worker(self, source: Iterator[Pending], client: Client, log: RowLog) -> None:
        for number, (trial, request, hit) in enumerate(source):
            try:
                row = await self._run_trial(client, trial, request, hit)
            except (BudgetReached, UsageError) as error:
                self._stopping, self._ended_by = True, self._ended_by or error
                return
            log.append(row)
            self._finished(trial, row)
            self.progress.done += 1
            self.progress.errors += row.error is not None
            self.progress.hits += row.cached
            if self.options.on_row is not None:
                self.options.on_row(row)
            for watcher in self.watchers:
                watcher.row(row)
            if hit is not None and number % 32 == 0:
                await asyncio.sleep(0)  # a run of hits never waits, yet must let others stop or watch it

    def _finished(self, trial: Trial, row: Row) -> None:
        """Called with every row once it is on disk; a race listens here."""

    def _pending(self, trials: Iterable[list[Trial]], finished: set[int], client: Client) -> Iterator[Pending]:
        """The trials still to do, each with its request and its stored reply; one lookup per block."""
        for block in trials:
            todo = [trial for trial in block if trial.key() not in finished] if finished else block
            self.progress.kept += len(block) - len(todo)
            requests = [trial.arm.request(trial.case, trial.repeat) for trial in todo]
            for trial, request, hit in zip(todo, requests, client.lookup(requests), strict=True):
                if self._stopping:
                    return
                if trial.key() in self._unpriced and (hit is None or hit.cost_usd is None):
                    self.progress.kept += 1  # its price is still unknown, and nothing is asked again for that
                    continue
                yield trial, request, hit

    async def _run_trial(self, client: Client, trial: Trial, request: Request, hit: Reply | None) -> Row:
        """One of the two places that catch: a failed call becomes a row with an error. A budget that is reached, a
        disk that refuses and wrong settings end the run instead."""
        about = self._about[id(trial.arm)] | {"case_id": trial.case.id, "repeat": trial.repeat}
        try:
            reply = hit if hit is not None else await client.fetch(request, trial.arm.model)
        except BudgetReached as reached:
            if not reached.uncertain_usd:
                raise
            return self._cut_off(reached, rows.failed(about, reached))
        except (StorageError, UsageError):
            raise
        except Exception as error:  # noqa: BLE001  # a fault of ours or of an SDK must not end a long run
            return rows.failed(about, error, str(trial))
        judge = Asking(client)
        try:
            scores, reasons = await self._score(trial, reply, judge)
        except BudgetReached as reached:
            if not (reply.spent_usd or judge.spent_usd or judge.uncertain_usd):
                raise
            return self._cut_off(reached, rows.unscored(about, reply, judge, reached))
        return rows.answered(about, reply, judge, scores=scores, reasons=reasons)

    def _cut_off(self, reached: BudgetReached, row: Row) -> Row:
        """A trial that the budget ended halfway: nothing more begins, and its row says what it cost; it is tried again
        on resume."""
        self._stopping, self._ended_by = True, self._ended_by or reached
        return row

    async def _score(self, trial: Trial, reply: Reply, judge: Asking) -> tuple[dict[str, Any], dict[str, str]]:
        scores: dict[str, Any] = {}
        reasons: dict[str, str] = {}
        for scorer in self._design.scorers:
            for metric, one in (await score(scorer, trial.case, reply, judge)).items():
                name = metric if metric not in scores else f"{scorer.name}.{metric}"
                scores[name] = one.value
                if one.reason:
                    reasons[name] = one.reason
        return scores, reasons


def _case_lines(design: Design) -> Iterator[str]:
    """The cases in the order in which they go out, whole: a report must read without its dataset's file."""
    for c in design.cases:
        case = {"id": c.id, "inputs": dict(c.inputs), "expected": c.expected, "tags": list(c.tags), "split": c.split}
        yield json.dumps(case) + "\n"
