"""`workbench cache`."""

from __future__ import annotations

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
    given.connect(live, recordings, base_url, "replay")
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
