"""The options that several commands share, written once."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.errors import SettingsError, UsageError

if TYPE_CHECKING:
    from workbench.connect import Answering
    from workbench.datasets import Dataset


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

    return [name for name in ["latest", *(report.run_id for report in runs())] if name.startswith(incomplete)]


def _scorer_names(incomplete: str) -> list[str]:
    from workbench.scorers import BUILT_IN

    return [name for name in BUILT_IN if name.startswith(incomplete)]


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
Models = Annotated[str | None, typer.Option(help="Models by id: provider:id,provider:id.")]
Repeats = Annotated[int, typer.Option(help="Independent draws per case.")]
Sample = Annotated[int | None, typer.Option(help="A seeded random subset of that many cases.")]
Seed = Annotated[int, typer.Option(help="Seed of the sample and of the order.")]
Split = Annotated[str | None, typer.Option(help="dev, test or all; dev for named datasets, all for paths.")]
Live = Annotated[bool, typer.Option("--live", help="Call real models and pay for them.")]
Recordings = Annotated[Path | None, typer.Option(help="Answer from a JSONL of what real models said.")]
BaseUrl = Annotated[list[str] | None, typer.Option("--base-url", help="Who answers: provider=URL. Repeatable.")]
CacheMode = Annotated[str, typer.Option("--cache", help="on, off, refresh (ask again) or replay (never ask).")]
Columns = Annotated[list[str] | None, typer.Option("--column", help="Rename a dataset's column: text=question.")]
Budget = Annotated[float | None, typer.Option(help="Cap in US dollars.")]
Concurrency = Annotated[int | None, typer.Option(help="Calls in flight.")]
Json = Annotated[Path | None, typer.Option("--json", help="Write the result as one JSON object; - is standard output.")]


def pairs(entries: list[str], option: str) -> dict[str, str]:
    """`a=b` entries of a repeatable option. Raises UsageError."""
    for entry in entries:
        if not all(entry.partition("=")):
            raise UsageError(f"{option} {entry!r}: write name=value")
    return {key: value for key, _, value in (entry.partition("=") for entry in entries)}


def connect(
    live: bool, recordings: Path | None, base_urls: list[str] | None, cache: str, given: Dataset | None = None
) -> Answering:
    """Who answers, by the options. Raises SettingsError when they contradict each other."""
    from workbench import connect as door
    from workbench.settings import is_live

    if sum(map(bool, (live, recordings, base_urls))) > 1:
        raise SettingsError("--live, --recordings and --base-url each say who answers: give one of them")
    if base_urls:
        return door.at(pairs(base_urls, "--base-url"), replay=cache == "replay")
    if live or (is_live() and not recordings):
        return door.live()
    return door.offline(recordings, datasets=[given] if given and not given.from_workspace else [])


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
        raise UsageError(f"--json {path}: {error}") from None
