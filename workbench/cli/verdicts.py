"""`workbench compare`, `confirm` and `race`: decide. Exit codes: 0 better or not worse, 1 worse, 4 not sure yet."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli import options as given

if TYPE_CHECKING:
    from workbench.verdict import Verdict

Candidate = Annotated[
    str, typer.Option(help="A prompt version, model, tier, or arm 'prompt@v2 × provider:tier'.", metavar="VALUE")
]
Baseline = Annotated[str, typer.Option(help="What it is compared with: a value of the same axis.", metavar="VALUE")]
Metric = Annotated[str | None, typer.Option(help="Another metric than the deciding one.")]
Margin = Annotated[float, typer.Option(help="How much worse still counts as not worse.")]
Budget = Annotated[float | None, typer.Option(help="Cap in US dollars.")]
Concurrency = Annotated[int | None, typer.Option(help="Calls in flight.")]
CODES = {"better": 0, "not_worse": 0, "worse": 1, "unsure": 4}


def compare(
    candidate: Candidate,
    baseline: Baseline,
    report: Annotated[str, typer.Argument(help="A run's id or folder.", autocompletion=given._run_ids)] = "latest",
    metric: Metric = None,
    margin: Margin = 0.0,
    json: given.Json = None,
) -> int:
    """Say whether one value is better than another in a run: paired, and safe to look at as often as you like."""
    from workbench.report import load_report

    return _say(load_report(report).compare(candidate, baseline, metric, margin), json)


def confirm(
    prompts: given.Prompts,
    dataset: given.DatasetOption,
    scorer: given.ScorerOption,
    candidate: Candidate,
    baseline: Baseline,
    metric: Metric = None,
    margin: Margin = 0.0,
    tiers: given.Tiers = None,
    providers: given.Providers = None,
    models: given.Models = None,
    repeats: given.Repeats = 1,
    seed: given.Seed = 0,
    live: given.Live = False,
    recordings: given.Recordings = None,
    base_url: given.BaseUrl = None,
    budget: Budget = None,
    concurrency: Concurrency = None,
    json: given.Json = None,
) -> int:
    """Confirm on the dataset's unseen test cases. Each confirmation spends from the dataset's account of 0.05."""
    cases = given.dataset(dataset, None)
    given.connect(live, recordings, base_url, "on", cases)
    experiment = given.experiment(None, prompts, cases, given.models(tiers, models), scorer, repeats, providers)
    asking = experiment.confirm(
        candidate, baseline, metric, margin, budget_usd=budget, concurrency=concurrency, seed=seed
    )
    return _say(_finished(asking), json)


def race(
    prompts: given.Prompts,
    dataset: given.DatasetOption,
    scorer: given.ScorerOption,
    metric: Metric = None,
    margin: Annotated[float | None, typer.Option(help="Stop when all that are left differ by less.")] = None,
    tiers: given.Tiers = None,
    providers: given.Providers = None,
    models: given.Models = None,
    repeats: given.Repeats = 1,
    seed: given.Seed = 0,
    split: given.Split = None,
    live: given.Live = False,
    recordings: given.Recordings = None,
    base_url: given.BaseUrl = None,
    budget: Budget = None,
    concurrency: Concurrency = None,
    json: given.Json = None,
) -> int:
    """Run all arms and stop paying for those that are clearly beaten."""
    cases = given.dataset(dataset, None)
    given.connect(live, recordings, base_url, "on", cases)
    experiment = given.experiment(None, prompts, cases, given.models(tiers, models), scorer, repeats, providers)
    result = _finished(
        experiment.race(metric, budget_usd=budget, margin=margin, concurrency=concurrency, seed=seed, split=split)
    )
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
        use(None)


def _say(verdict: Verdict, json: Any) -> int:
    if json is not None:
        given.write_json(json, given.finite(verdict.to_json()))
    if str(json) != "-":
        print(verdict)
    return CODES[verdict.outcome]
