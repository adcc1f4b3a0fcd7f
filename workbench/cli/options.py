"""The options that several commands share, written once."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.errors import SettingsError, UsageError

if TYPE_CHECKING:
    from workbench.connect import Answering
    from workbench.experiment import Experiment


def _prompt_refs(incomplete: str) -> list[str]:
    from workbench.prompts import prompt_names

    refs = [f"{name}@{version}" for name, versions in prompt_names().items() for version in versions]
    return [ref for ref in [*prompt_names(), *refs] if ref.startswith(incomplete)]


def _prompt_names(incomplete: str) -> list[str]:
    from workbench.prompts import prompt_names

    return [name for name in prompt_names() if name.startswith(incomplete)]


def _dataset_names(incomplete: str) -> list[str]:
    from workbench.datasets import dataset_names

    return [name for name in dataset_names() if name.startswith(incomplete)]


def _run_ids(incomplete: str) -> list[str]:
    from workbench.report import runs

    return [name for name in ["latest", *runs().names] if name.startswith(incomplete)]


def _scorer_names(incomplete: str) -> list[str]:
    from workbench.scorers import BUILT_IN

    return [name for name in BUILT_IN if name.startswith(incomplete)]


def _can_hold(path: Path | None) -> Path | None:
    """Before anything is paid for: a file may be written there. Raises UsageError."""
    if path is not None and not path.absolute().parent.is_dir():
        raise UsageError(f"--json {path}: there is no folder {path.parent}; make it first")
    if path is not None and path.is_dir():
        raise UsageError(f"--json {path}: is a folder; name a file in it")
    return path


Prompts = Annotated[
    list[str],
    typer.Argument(
        help="Prompts: name@v1,v2, or a name for its newest four versions.",
        autocompletion=_prompt_refs,
        metavar="PROMPT...",
    ),
]
DatasetOption = Annotated[
    str, typer.Option("--dataset", "-d", help="Name of a dataset, or a path to one.", autocompletion=_dataset_names)
]
ScorerOption = Annotated[
    list[str],
    typer.Option(
        "--scorer",
        "-s",
        help="exact, contains, numeric, json_fields:a,b ... The first one's first metric decides.",
        autocompletion=_scorer_names,
    ),
]
Tiers = Annotated[str | None, typer.Option(help="Tiers: fast, balanced, powerful. All three unless models are named.")]
Providers = Annotated[str | None, typer.Option(help="Providers for the tiers: anthropic, openai, ollama.")]
Models = Annotated[str | None, typer.Option(help="Models by id or tier: provider:id,provider:fast.")]
Repeats = Annotated[int, typer.Option(help="Independent draws per case.")]
Sample = Annotated[int | None, typer.Option(help="A seeded random subset of that many cases.")]
Seed = Annotated[int, typer.Option(help="Seed of the sample and of the order.")]
Split = Annotated[str | None, typer.Option(help="dev, test or all; dev for named datasets, all for paths.")]
UseTestCases = Annotated[bool, typer.Option("--use-test-cases", help="Show unseen test cases, which ends their use.")]
Live = Annotated[bool, typer.Option("--live", help="Call real models and pay for them.")]
Recordings = Annotated[Path | None, typer.Option(help="Answer from a JSONL of what real models said.")]
BaseUrl = Annotated[list[str] | None, typer.Option("--base-url", help="Who answers: provider=URL. Repeatable.")]
CacheMode = Annotated[str, typer.Option("--cache", help="on, off, refresh (ask again) or replay (never ask).")]
Columns = Annotated[list[str] | None, typer.Option("--column", help="Rename a dataset's column: text=question.")]
Budget = Annotated[float | None, typer.Option(help="Cap in US dollars.")]
Concurrency = Annotated[int | None, typer.Option(help="Calls in flight.")]
Json = Annotated[
    Path | None,
    typer.Option("--json", help="Write the result as one JSON object; - is standard output.", callback=_can_hold),
]


def pairs(entries: list[str], option: str) -> dict[str, str]:
    """`a=b` entries of a repeatable option. Raises UsageError."""
    for entry in entries:
        if not all(entry.partition("=")):
            raise UsageError(f"{option} {entry!r}: write name=value")
    return {key: value for key, _, value in (entry.partition("=") for entry in entries)}


def connect(
    live: bool, recordings: Path | None, base_urls: list[str] | None, cache: str, budget: float | None = None
) -> Answering:
    """Who answers, by the options; real models within `budget`. Raises SettingsError when they contradict each
    other."""
    from workbench import connect as door
    from workbench.settings import is_live

    if sum(map(bool, (live, recordings, base_urls))) > 1:
        raise SettingsError("--live, --recordings and --base-url each say who answers: give one of them")
    if base_urls:
        return door.at(pairs(base_urls, "--base-url"), replay=cache == "replay")
    if live or (is_live() and not recordings):
        return door.live(budget)
    return door.offline(recordings)


def refuse_empty(options: dict[str, Any]) -> None:
    """Raises UsageError for an option with an empty text, which is what an unset variable of a shell gives: it must not
    mean the default, such as all models."""
    for name, value in options.items():
        if any(isinstance(one, str) and not one.strip() for one in (value if isinstance(value, list) else [value])):
            raise UsageError(f"--{name.replace('_', '-')} is empty: give it a value, or leave it out")


def keep_test_cases(experiment: Experiment, allowed: bool, **chosen: Any) -> None:
    """Raises UsageError where a run would show unseen test cases and nobody said that it may."""
    from workbench.experiment.confirm import uses_up

    if not allowed and (told := uses_up(experiment.dataset, experiment.cases(**chosen))):
        raise UsageError(f"{told[0]}. Say --use-test-cases if that is meant, or leave out --split")


def finite(value: Any) -> Any:
    """The same data with infinities and NaN as null: JSON has no other word for them."""
    if isinstance(value, dict):
        return {key: finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_json(path: Path, content: Any) -> None:
    """One JSON object to a file or, for `-`, to standard output. Raises UsageError where it cannot be written."""
    import json

    text = json.dumps(content, indent=1, allow_nan=False)
    if str(path) == "-":
        print(text)
        return
    try:
        path.write_text(text + "\n", "utf-8")
    except OSError as error:
        raise UsageError(f"--json {path}: cannot be written: {error.strerror}") from None
