"""`workbench cache` and `workbench sim`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from workbench.cli import options as given
from workbench.errors import UsageError

cache = typer.Typer(help="Look into the cache of replies.", invoke_without_command=True)


@cache.callback()
def cache_info(context: typer.Context) -> None:
    """How many replies are stored, and where."""
    if context.invoked_subcommand is not None:
        return
    from workbench.cache import Cache
    from workbench.settings import state_dir

    entries, size = Cache(state_dir("cache")).size()
    print(f"{entries:,} replies, {size / 1e6:.1f} MB in {state_dir('cache')}")


@cache.command("why")
def cache_why(
    prompt: Annotated[str, typer.Argument(autocompletion=given._prompt_refs)],
    dataset: given.DatasetOption,
    case: Annotated[str, typer.Option(help="Id of the case.")],
    model: Annotated[str, typer.Option(help="A tier with --providers, or provider:id.")],
    providers: given.Providers = None,
    repeat: Annotated[int, typer.Option(help="Number of the draw.")] = 0,
    live: given.Live = False,
    recordings: given.Recordings = None,
    base_url: given.BaseUrl = None,
) -> None:
    """Explain a miss: the nearest stored request, and the fields in which it differs."""
    from workbench.cache import Cache
    from workbench.datasets import load_dataset
    from workbench.experiment import Experiment
    from workbench.settings import state_dir

    cases = load_dataset(dataset)
    given.connect(live, recordings, base_url, "replay", cases)
    experiment = Experiment("why", prompt, cases, model, "exact", providers=providers)
    store = Cache(state_dir("cache"))
    for arm, request in experiment.requests(cases[case], repeat):
        nearest = store.nearest(request)
        if nearest is None:
            print(f"{arm}: a miss; the cache is empty")
        elif not nearest[1]:
            print(f"{arm}: a hit, stored as {nearest[0].key[:12]}")
        else:
            print(f"{arm}: a miss; the nearest stored request differs in")
            print("\n".join(f"  {difference}" for difference in nearest[1]))


@cache.command("export")
def cache_export(path: Annotated[Path, typer.Argument(help="A JSONL file to write.")]) -> None:
    """Write all stored replies as recordings, matched by request and repeat: `--recordings FILE` plays them back."""
    from workbench.cache import Cache
    from workbench.settings import state_dir

    try:
        count = Cache(state_dir("cache")).export(path)
    except OSError as error:
        raise UsageError(f"{path}: {error}") from None
    print(f"{count:,} recordings in {path}")


def sim(
    prompts: Annotated[
        list[str] | None, typer.Argument(help="With --truth: the prompts.", autocompletion=given._prompt_refs)
    ] = None,
    recordings: given.Recordings = None,
    behaviour: Annotated[Path | None, typer.Option(help="Another declaration of the simulated models.")] = None,
    port: Annotated[int, typer.Option(help="Port on the loopback; 0 is any free one.")] = 0,
    seed: Annotated[int, typer.Option(help="Another draw of the same models.")] = 0,
    latency: Annotated[float | None, typer.Option(help="Seconds per call instead of the declared ones.")] = None,
    langfuse: Annotated[
        bool, typer.Option("--langfuse", help="Serve the workspace's stand-in Langfuse instead, with a page.")
    ] = False,
    truth: Annotated[bool, typer.Option("--truth", help="Print each arm's exact expected score and end.")] = False,
    dataset: Annotated[str, typer.Option("--dataset", "-d")] = "tickets",
    scorer: Annotated[list[str] | None, typer.Option("--scorer", "-s")] = None,
    tiers: given.Tiers = None,
    providers: given.Providers = None,
    split: given.Split = None,
) -> int:
    """Serve the stand-in until Ctrl-C, or print what is true of its simulated models."""
    if truth:
        from workbench.truth import expected_scores

        wanted = (prompts or ["ticket-triage"], dataset, scorer or ["json_fields:category,priority"])
        print(
            expected_scores(
                *wanted, models=tiers or "fast,balanced,powerful", providers=providers, split=split, behaviour=behaviour
            )
        )
        return 0
    if langfuse:
        return _langfuse(port)
    from workbench.connect import stand_in_config
    from workbench.sim.server import PortTaken, serve

    config = stand_in_config(recordings, behaviour, seed, latency, port)
    try:
        asyncio.run(serve(config, _print_addresses))
    except PortTaken as error:
        raise UsageError(str(error)) from None
    except KeyboardInterrupt:
        print("\nstopped")
    return 0


def _langfuse(port: int) -> int:
    """Serve the stand-in Langfuse until Ctrl-C."""
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
    return 0


def _print_addresses(url: str) -> None:
    from workbench.connect import PATHS

    print("The stand-in server answers at", flush=True)
    for provider, path in PATHS.items():
        print(f"  --base-url {provider}={url}{path}", flush=True)
    print("Its replies are marked as simulated or recorded. Ctrl-C ends it.", flush=True)
