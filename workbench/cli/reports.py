"""`workbench runs`, `report`, `prompts` and `doctor`: looking, never changing."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import options as given

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.errors import WorkbenchError
    from workbench.prompts import Prompt

prompts = typer.Typer(help="List, show and compare prompt versions.", invoke_without_command=True)


def runs() -> int:
    """The runs of this workspace, the newest first."""
    from workbench.report import runs as all_runs

    print(all_runs())
    return 0


def report(
    which: Annotated[str, typer.Argument(help="A run's id or folder.", autocompletion=given._run_ids)] = "latest",
    by: Annotated[str | None, typer.Option(help="tag: a leaderboard per tag.")] = None,
    metric: Annotated[str | None, typer.Option(help="Another metric than the deciding one.")] = None,
    wrong: Annotated[int, typer.Option(help="Show that many of the lowest scores with their outputs.")] = 0,
    json: given.Json = None,
) -> int:
    """Show a run's leaderboard and write its report.html."""
    from workbench.cli.experiments import result
    from workbench.report import load_report
    from workbench.report.text import trials

    found = load_report(which)
    if json is not None:
        given.write_json(json, result(found))
    if str(json) == "-":
        return 0
    print(f"{found.run_id}: {trials(found.done, found.plan['trials'])}, {found.state}")
    print(found.leaderboard(by, metric))
    if wrong:
        print(f"\n{found.wrong(metric, wrong)}")
    print(f"\nfull report: {found.html()}")
    return 0


@prompts.callback()
def list_prompts(context: typer.Context) -> int:
    """List the prompts with their versions."""
    if context.invoked_subcommand is not None:
        return 0
    from workbench.errors import PromptError
    from workbench.prompts import load_prompt, prompt_names
    from workbench.report.text import table

    rows, faults = [("prompt", "variables", "what it tries")], []
    for name, versions in prompt_names().items():
        for version in versions:
            try:
                found = load_prompt(f"{name}@{version}")
            except PromptError as error:
                faults.append(error)
                continue
            rows.append((found.ref, ", ".join(found.variables), found.commit_message))
    print("\n".join(table(rows, left=3)))
    return _told(faults)


@prompts.command("show")
def show_prompt(ref: Annotated[str, typer.Argument(autocompletion=given._prompt_refs)]) -> None:
    """Print one version."""
    from workbench.prompts import to_yaml

    print(to_yaml(_one(ref)), end="")


@prompts.command("diff")
def diff_prompts(
    old: Annotated[str, typer.Argument(autocompletion=given._prompt_refs)],
    new: Annotated[str, typer.Argument(autocompletion=given._prompt_refs)],
) -> None:
    """Word-level difference of two versions: [-removed-] and {+added+}."""
    print(_one(old).diff(_one(new)))


def _one(ref: str) -> Prompt:
    """A version, or what `name@production` is in the Langfuse that is set, else in the stand-in."""
    if not ref.endswith("@production"):
        from workbench.prompts import load_prompt

        return load_prompt(ref)
    from workbench.cli.promotions import langfuse
    from workbench.langfuse.production import fetch_production

    with langfuse(stand_in=False) as server:
        return fetch_production(server, ref.partition("@")[0]).prompt


def doctor() -> int:
    """Which settings are in force and where each came from; keys are never shown. What is wrong comes last."""
    from workbench import settings
    from workbench.errors import WorkbenchError

    faults: list[WorkbenchError] = []
    for part in (_places, _cache, _models, _settings, _packages, settings.load):
        try:
            said = part()
        except WorkbenchError as error:
            faults += [error] if str(error) not in map(str, faults) else []
        else:
            print(said, end="") if isinstance(said, str) else None
    return _told(faults)


def _places() -> str:
    from workbench import settings

    return f"workspace  {settings.workspace()}{settings.no_workspace()}\n"


def _cache() -> str:
    from workbench import settings
    from workbench.cache import Cache

    entries, size = Cache(settings.state_dir("cache")).size()
    return f"cache      {entries:,} replies, {size / 1e6:.1f} MB\n"


def _models() -> str:
    from workbench import settings
    from workbench.catalog.facts import facts

    own = settings.workspace() / "catalog.toml"
    over = f", with those of {own} over the shipped ones" if own.exists() else ""
    return f"models     {len(facts()['model'])} known{over}\n"


def _settings() -> str:
    from workbench import settings
    from workbench.report.text import table

    rows = [("setting", "value", "from"), *((s.name, s.shown(), s.origin) for s in settings.settings_in_force())]
    return "\n".join(["", *table(rows, left=3), ""])


def _packages() -> str:
    from importlib.metadata import PackageNotFoundError, version

    from workbench.report.text import table

    packages = [("package", "version")]
    for name in ("anthropic", "openai", "ollama", "diskcache", "genai-prices", "ragas", "langfuse"):
        try:
            packages.append((name, version(name)))
        except PackageNotFoundError:
            packages.append((name, "not installed"))
    return "\n".join(["", *table(packages, left=2), ""])


def _told(faults: Sequence[WorkbenchError]) -> int:
    """Say what was wrong beside all that was right; the exit code."""
    for fault in faults:
        print(f"workbench: {fault}", file=sys.stderr)
    return max((fault.exit_code for fault in faults), default=0)
