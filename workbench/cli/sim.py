"""`workbench sim`: the stand-ins by themselves."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from workbench.cli import options as given
from workbench.errors import UsageError

sim = typer.Typer(help="Serve the stand-in models until Ctrl-C, or the stand-in Langfuse.", invoke_without_command=True)
Port = Annotated[int, typer.Option(help="Port on the loopback; 0 is any free one.")]
Behaviour = Annotated[Path | None, typer.Option(help="Another declaration of the simulated models.")]

TICKET_FIELDS = ["json_fields:category,priority"]


@sim.callback()
def sim_models(
    context: typer.Context,
    recordings: given.Recordings = None,
    behaviour: Behaviour = None,
    port: Port = 0,
    seed: Annotated[int, typer.Option(help="Another draw of the same models.")] = 0,
    latency: Annotated[float | None, typer.Option(help="Seconds per call instead of the declared ones.")] = None,
) -> None:
    """Serve the stand-in models until Ctrl-C; `langfuse` and `truth` are commands of their own."""
    if context.invoked_subcommand is not None:
        return
    from workbench.connect import stand_in_config
    from workbench.sim.server import PortTaken, serve

    config = stand_in_config(recordings, behaviour, seed, latency, port)
    try:
        asyncio.run(serve(config, _print_addresses))
    except PortTaken as error:
        raise UsageError(str(error)) from None
    except KeyboardInterrupt:
        print("\nstopped")


@sim.command("truth")
def sim_truth(
    prompts: Annotated[list[str] | None, typer.Argument(autocompletion=given._prompt_refs)] = None,
    dataset: given.DatasetOption = "tickets",
    scorer: given.ScorerOption = TICKET_FIELDS,
    tiers: given.Tiers = None,
    providers: given.Providers = None,
    split: given.Split = None,
    behaviour: Behaviour = None,
) -> None:
    """Print each arm's exact expected score, as the behaviour file declares it."""
    from workbench.truth import expected_scores

    wanted = (prompts or ["ticket-triage"], dataset, scorer)
    models = tiers or "fast,balanced,powerful"
    print(expected_scores(*wanted, models=models, providers=providers, split=split, behaviour=behaviour))


@sim.command("langfuse")
def sim_langfuse(port: Port = 0) -> None:
    """Serve the workspace's stand-in Langfuse until Ctrl-C, with a page to look at."""
    import signal

    from workbench.projects import StandInProject
    from workbench.sim.langfuse import PUBLIC_KEY, SECRET_KEY

    found = StandInProject(port)
    try:
        url = found.server().address.url
        print(f"The stand-in Langfuse of this workspace: {url}\nTo use it from elsewhere:")
        print(f"  LANGFUSE_BASE_URL={url} LANGFUSE_PUBLIC_KEY={PUBLIC_KEY} LANGFUSE_SECRET_KEY={SECRET_KEY}")
        print("Ctrl-C ends it.", flush=True)
        signal.pause()
    except KeyboardInterrupt:
        print("\nstopped")
    finally:
        found.close()


def _print_addresses(url: str) -> None:
    from workbench.connect import PATHS

    print("The stand-in server answers at", flush=True)
    for provider, path in PATHS.items():
        print(f"  --base-url {provider}={url}{path}", flush=True)
    print("Its replies are marked as simulated or recorded. Ctrl-C ends it.", flush=True)
