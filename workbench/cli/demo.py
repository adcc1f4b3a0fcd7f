"""`workbench demo`: the whole loop in half a minute, answered by stand-in servers."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import typer

from workbench.cli import options as given  # noqa: TC001  # typer reads annotations at run time
from workbench.cli.experiments import run_and_show

NAME, WINNER = "ticket-triage", "ticket-triage@v4"
NEXT = """
Next: `workbench report latest --wrong 3` shows what went wrong, `workbench review ticket-triage@v4` what the promotion
rests on, `workbench rollback ticket-triage` takes it back, `workbench sim langfuse` shows the stand-in Langfuse, and
`make lab` opens the notebooks. With real models, for two dollars at most, it is
  workbench run ticket-triage@v1,v2,v3,v4 --dataset tickets --scorer json_fields:category,priority --sample 100 \\
      --live --budget 2"""


def demo(sample: Annotated[int, typer.Option(help="Cases of the dataset.")] = 100, json: given.Json = None) -> int:
    """Four versions of a prompt on three tiers of three providers; the winner is confirmed on unseen cases and
    promoted, all of it on stand-in servers. No key is needed."""
    from workbench.connect import offline

    print(offline())
    versions, tiers = f"{NAME}@v1,v2,v3,v4", "fast,balanced,powerful"
    code = run_and_show(_experiment("demo", versions, tiers), {"sample": sample, "concurrency": 64}, json)
    if code == 0 and str(json) != "-":
        print(_decide())
        print(NEXT)
    return code


def _experiment(name: str, prompts: Any, models: str) -> Any:
    from workbench.experiment import Experiment
    from workbench.scorers import json_fields

    return Experiment(name, prompts, "tickets", models, json_fields("category", "priority"))


def _decide() -> str:
    """Confirm the winner against production, and promote it; told in full."""
    from workbench.client import use
    from workbench.connect import offline
    from workbench.promotion.promote import promote
    from workbench.promotion.status import status

    session = offline(traces=True)
    try:
        now = status(NAME, server=session.langfuse())
        if now.now is not None and now.now.version == WINNER.partition("@")[2]:
            return f"\nThe stand-in Langfuse has {WINNER} in production already:\n{now}"
        experiment = _experiment("demo-winner", WINNER, "balanced")
        verdict = asyncio.run(experiment.confirm(WINNER, f"{NAME}@production", concurrency=64))
        promotion = promote(verdict, by="the demo")
        return (
            f"\nConfirmed on test cases that nobody has looked at:\n{verdict}\n\n"
            f"Promoted on the stand-in Langfuse:\n{promotion}"
        )
    finally:
        use(None)
