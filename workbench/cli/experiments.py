"""`workbench plan` and `run`."""

from __future__ import annotations

import asyncio
import shutil
import sys
import warnings
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from workbench.cli import options as given
from workbench.cli.asked import Asked, takes_asked
from workbench.records import arm_ref

if TYPE_CHECKING:
    from workbench.experiment import Experiment, Run
    from workbench.report import Report


SMALLEST_USD = 1e-9
"""Below this two sums of money differ by rounding alone."""


@takes_asked
def plan(
    asked: Asked,
    sample: given.Sample = None,
    split: given.Split = None,
    cache: given.CacheMode = "on",
    json: given.Json = None,
) -> int:
    """Show what a run would do and cost. Takes what `run` takes; nothing is sent."""
    session, experiment = asked.open(cache)
    found = experiment.plan(sample=sample, split=split, seed=asked.seed, cache=cache)
    if json is not None:
        given.write_json(json, asdict(found))
    if str(json) != "-":
        print(session.title)
        print(found)
    return 0


@takes_asked
def run(
    asked: Asked,
    sample: given.Sample = None,
    split: given.Split = None,
    use_test_cases: given.UseTestCases = False,
    cache: given.CacheMode = "on",
    budget: given.Budget = None,
    concurrency: given.Concurrency = None,
    json: given.Json = None,
) -> int:
    """Run prompts × models × cases, score every answer, and show the leaderboard. The same line again resumes."""
    session, experiment = asked.open(cache, budget)
    chosen: dict[str, Any] = {"sample": sample, "seed": asked.seed, "split": split}
    given.keep_test_cases(experiment, use_test_cases, **chosen)
    limits = {"cache": cache, "budget_usd": budget, "concurrency": concurrency}
    return run_and_show(experiment, chosen | limits, json, session.title)


def run_and_show(experiment: Experiment, settings: dict[str, Any], json: Any, title: str = "") -> int:
    """Run with a progress line, show the leaderboard, write what was asked for, and say how it went. `title`: who
    answers, told once nothing is refused any more."""
    from workbench.client import use
    from workbench.report import load_report

    try:
        run, report = asyncio.run(_watched(experiment, settings, title if str(json) != "-" else ""))
    finally:
        use(None)  # ends a stand-in server
    if report is None:
        print(f"Interrupted: {run.how_to_resume()}", file=sys.stderr)
        return 130
    report = load_report(report.folder) if report.state == "finished" else report
    if json is not None:
        given.write_json(json, result(report))
    if str(json) != "-":
        _show(report, run)
    elif report.message:
        print(report.message, file=sys.stderr)
    return _code(report, run)


def _code(report: Report, run: Run) -> int:
    """How it went: answers that no scorer could score are as good as none."""
    if run.progress.state == "stopped":
        return 130
    if report.state == "budget reached":
        return 3
    totals = report.totals()
    failed = totals["errors"] or totals["done"] < totals["trials"]
    return 1 if failed or all(row.mean is None for row in report.leaderboard()) else 6 if report.unsent else 0


async def _watched(experiment: Experiment, settings: dict[str, Any], title: str) -> tuple[Run, Report | None]:
    from workbench.cli.progress import watch
    from workbench.experiment.confirm import CasesUsedUp

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CasesUsedUp)  # it is one of the notes below
        run = experiment.start(**settings)
    if title:
        print(title)
    for note in run.notes:
        print(f"note: {note}", file=sys.stderr)
    try:
        return run, await watch(run)
    except asyncio.CancelledError:
        return run, None


def _show(report: Report, run: Run) -> None:
    from workbench.report.text import dollars, leaderboard_text, paid, trials

    totals = report.totals()
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    print(f"\n{leaderboard_text(report.leaderboard(), width)}\n")
    for failed in list(report.errors(n=3)):
        print(
            f"failed: {arm_ref(failed)} on {failed['case_id']}: "
            f"{failed['error']}"
        )
    before = f" ({run.progress.kept:,} from before)" if run.progress.kept else ""
    earlier = run.progress.kept or (totals["spent_usd"] or 0.0) - run.ledger.spent_usd > SMALLEST_USD
    now = f"{dollars(run.ledger.spent_usd)} spent now; in all " if earlier else ""
    print(
        f"{trials(totals['done'], totals['trials'])}{before}, {totals['hits']:,} from the cache, "
        f"{totals['errors']:,} failed, {now}{paid(totals, report.paid_to())}. {report.message}".rstrip()
    )
    print(f"run {report.run_id}; full report: {report.html()}")


def result(report: Report) -> dict[str, Any]:
    """What `--json` writes: the leaderboard, totals and the run."""
    boards = {
        metric: {(row.prompt, row.model): asdict(row) for row in report.leaderboard(metric=metric)}
        for metric in report.metrics
    }
    rows = [
        asdict(row)
        | {
            "metrics": {
                metric: {k: board[row.prompt, row.model][k] for k in ("mean", "low", "high", "n_scored", "correct")}
                for metric, board in boards.items()
            }
        }
        for row in report.leaderboard()
    ]
    return {
        "leaderboard": rows,
        "totals": report.totals(),
        "run": {
            "id": report.run_id,
            "folder": str(report.folder),
            "state": report.state,
            "message": report.message,
            "dataset": report.plan["dataset"],
            "caption": report.caption(),
        },
    }
