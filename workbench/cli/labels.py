"""`workbench label` and `workbench calibrate`: people's judgement, and judges held against it."""

from __future__ import annotations

import asyncio
import json as jsonlib
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli import options as given

if TYPE_CHECKING:
    from workbench.labels import LabelQueue

WORDS = {"y": True, "n": False}


def label(
    report: Annotated[str, typer.Argument(help="A run's id or folder.", autocompletion=given._run_ids)] = "latest",
    n: Annotated[int, typer.Option(help="How many replies to draw.")] = 50,
    seed: Annotated[int, typer.Option(help="Seed of the draw; the same one goes on where it was left.")] = 0,
    metric: Annotated[str | None, typer.Option(help="Whose question the labels answer.")] = None,
    by: Annotated[str | None, typer.Option(help="Your name, kept with the labels.")] = None,
    json: given.Json = None,
) -> int:
    """Label random replies of a run, arm and judge's score hidden: y right, n wrong, a grade, s skip, q quit."""
    from workbench.labels import label_queue
    from workbench.report import load_report

    queue = label_queue(load_report(report), n, seed, metric=metric)
    for index in queue.left:
        if not _ask(queue, index, by):
            break
    if json is not None:
        given.write_json(json, {"items": len(queue), "left": len(queue.left), "metric": queue.metric})
    if str(json) != "-":
        print(queue)
    return 0


def _ask(queue: LabelQueue, index: int, by: str | None) -> bool:
    """Show one item and keep what is said of it; False to stop."""
    from workbench.errors import LabelError

    inputs, expected, *outputs = queue[index]
    print(f"\n[{index + 1} of {len(queue)}] inputs: {jsonlib.dumps(inputs, ensure_ascii=False)}")
    print(f"expected: {jsonlib.dumps(expected, ensure_ascii=False)}")
    for output in outputs:
        print(f"answer: {output}")
    while True:
        try:
            said = input(f"{queue.metric}? y/n, a grade, s skip, q quit: ").strip().lower()
        except EOFError:
            return False
        if said in ("s", "q"):
            return said == "s"
        try:
            queue.label(index, WORDS[said] if said in WORDS else float(said), by=by)  # never a pair: 1 is a grade
            return True
        except (ValueError, LabelError) as error:
            print(error)


def calibrate(
    judge: Annotated[str, typer.Argument(help="The judge as it scored: judge:<rubric>, grounded, ragas:<metric>.")],
    dataset: given.DatasetOption,
    metric: Annotated[str | None, typer.Option(help="Whose labels; the judge's name by default.")] = None,
    live: given.Live = False,
    recordings: given.Recordings = None,
    base_url: given.BaseUrl = None,
    budget: given.Budget = None,
    json: given.Json = None,
) -> int:
    """Hold a judge against the queue labels of a dataset: agreement, kappa, sensitivity, specificity, bias by arm."""
    from dataclasses import asdict

    from workbench.client import use
    from workbench.labels import calibrate as hold
    from workbench.scorers import as_scorers

    given.connect(live, recordings, base_url, "on")
    try:
        found: Any = asyncio.run(hold(as_scorers(judge)[0], dataset, metric=metric, budget_usd=budget))
    finally:
        use(None)
    if json is not None:
        given.write_json(json, given.finite(asdict(found)))
    if str(json) != "-":
        print(found)
    return 0
