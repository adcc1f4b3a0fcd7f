"""`workbench compare`, `confirm` and `race`: decide. Exit codes: 0 better or not worse, 1 worse, 4 not sure yet."""

from __future__ import annotations

import asyncio
import sys
import warnings
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli import options as given
from workbench.cli.asked import Asked, takes_asked
from workbench.cli.progress import counter

if TYPE_CHECKING:
    from workbench.verdict import Verdict

Candidate = Annotated[
    str, typer.Option(help="A prompt version, model, tier, or arm 'prompt@v2 × provider:tier'.", metavar="VALUE")
]
Baseline = Annotated[str, typer.Option(help="What it is compared with: a value of the same axis.", metavar="VALUE")]
Metric = Annotated[str | None, typer.Option(help="Another metric than the deciding one.")]
Margin = Annotated[float, typer.Option(help="How much worse still counts as not worse.")]
CODES = {"better": 0, "not_worse": 0, "worse": 1, "unsure": 4}


def compare(
    candidate: Candidate,
    baseline: Baseline,
    report: Annotated[str, typer.Argument(help="A run's id or folder.", autocompletion=given._run_ids)] = "latest",
    metric: Metric = None,
    margin: Margin = 0.0,
    against: Annotated[str | None, typer.Option(help="Take the baseline from this run instead.")] = None,
    json: given.Json = None,
) -> int:
    """Say whether one value is better than another in a run: paired, and safe to look at as often as you like."""
    from workbench.report import load_report

    earlier = load_report(against) if against else None
    return _say(load_report(report).compare(candidate, baseline, metric, margin, earlier), json)


@takes_asked
def confirm(
    asked: Asked,
    candidate: Candidate,
    baseline: Baseline,
    metric: Metric = None,
    margin: Margin = 0.0,
    cache: given.CacheMode = "on",
    budget: given.Budget = None,
    concurrency: given.Concurrency = None,
    json: given.Json = None,
) -> int:
    """Confirm on the dataset's unseen test cases. Each confirmation spends from the dataset's account of 0.05."""
    _, experiment = asked.open(cache, budget)
    limits: dict[str, Any] = {"budget_usd": budget, "concurrency": concurrency, "seed": asked.seed, "cache": cache}
    limits["on_row"] = counter()
    return _say(_finished(experiment.confirm(candidate, baseline, metric, margin, **limits)), json)


@takes_asked
def race(
    asked: Asked,
    metric: Metric = None,
    margin: Annotated[float | None, typer.Option(help="Stop when all that are left differ by less.")] = None,
    split: given.Split = None,
    use_test_cases: given.UseTestCases = False,
    budget: given.Budget = None,
    concurrency: given.Concurrency = None,
    json: given.Json = None,
) -> int:
    """Run all arms and stop paying for those that are clearly beaten."""
    from workbench.experiment.confirm import CasesUsedUp

    _, experiment = asked.open(budget=budget)
    given.keep_test_cases(experiment, use_test_cases, split=split, seed=asked.seed)
    limits: dict[str, Any] = {"budget_usd": budget, "concurrency": concurrency, "seed": asked.seed, "split": split}
    limits["on_row"] = counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CasesUsedUp)  # --use-test-cases was said
        result = _finished(experiment.race(metric, margin=margin, **limits))
    if json is not None:
        given.write_json(json, result.to_json())
    if str(json) != "-":
        print(f"{result}\n\n{result.report.leaderboard(metric=metric)}")
    return 0 if result.winner or result.equivalent else 4


def _finished(asking: Any) -> Any:
    """Wait for a coroutine and end a stand-in server."""
    from workbench.client import use

    try:
        return asyncio.run(asking)
    finally:
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr)
        use(None)


def _say(verdict: Verdict, json: Any) -> int:
    if json is not None:
        given.write_json(json, given.finite(verdict.to_json()))
    if str(json) != "-":
        print(verdict)
    return CODES[verdict.outcome]
