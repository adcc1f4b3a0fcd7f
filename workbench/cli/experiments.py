"""`workbench plan` and `run`."""

from __future__ import annotations

import asyncio
import shutil
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from workbench.cli import options as given
from workbench.cli.asked import Asked, takes_asked

if TYPE_CHECKING:
    from workbench.experiment import Experiment, Run
    from workbench.report import Report


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
    cache: given.CacheMode = "on",
    budget: given.Budget = None,
    concurrency: given.Concurrency = None,
    json: given.Json = None,
) -> int:
    """Run prompts × models × cases, score every answer, and show the leaderboard. The same line again resumes."""
    session, experiment = asked.open(cache)
    if str(json) != "-":
        print(session)
    chosen = {"sample": sample, "seed": asked.seed, "split": split, "cache": cache}
    return run_and_show(experiment, chosen | {"budget_usd": budget, "concurrency": concurrency}, json)


def run_and_show(experiment: Experiment, settings: dict[str, Any], json: Any) -> int:
    """Run with a progress line, show the leaderboard, write what was asked for, and say how it went."""
    from workbench.client import use
    from workbench.report import load_report

    try:
        run, report = asyncio.run(_watched(experiment, settings))
    finally:
        use(None)  # ends a stand-in server
    if report is None:
        print(f"Interrupted: {run.how_to_resume()}", file=sys.stderr)
        return 130
    report = load_report(report.folder) if report.state == "finished" else report
    if json is not None:
        given.write_json(json, result(report))
    if str(json) != "-":
        _show(report)
    if run.progress.state == "stopped":
        print(f"Stopped: {run.how_to_resume()}", file=sys.stderr)
        return 130
    if report.state == "budget reached":
        return 3
    return 1 if report.totals()["errors"] else 6 if report.unsent else 0


async def _watched(experiment: Experiment, settings: dict[str, Any]) -> tuple[Run, Report | None]:
    from workbench.cli.progress import watch

    run = experiment.start(**settings)
    for note in run.notes:
        print(f"note: {note}", file=sys.stderr)
    try:
        return run, await watch(run)
    except asyncio.CancelledError:
        return run, None


def _show(report: Report) -> None:
    from workbench.report.text import leaderboard_text, spent

    totals = report.totals()
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    print(f"\n{leaderboard_text(report.leaderboard(), width)}\n")
    for failed in list(report.errors(n=3)):
        print(
            f"failed: {failed['prompt']}@{failed['version']} × {failed['model']} on {failed['case_id']}: "
            f"{failed['error']}"
        )
    print(
        f"{totals['done']:,} of {totals['trials']:,} trials, {totals['hits']:,} from the cache, "
        f"{totals['errors']:,} failed, "
        f"{spent(totals['spent_usd'], totals['unknown_spent'])} spent{report.paid_to()}. {report.message}".rstrip()
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
