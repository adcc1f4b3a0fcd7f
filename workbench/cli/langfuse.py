"""`workbench langfuse`: what is in Langfuse, what is not there yet, and prompts and datasets back and forth."""

from __future__ import annotations

from typing import Annotated

import typer

from workbench.cli import options as given
from workbench.cli.promotions import Name, StandIn, Version
from workbench.cli.promotions import langfuse as opened
from workbench.errors import UsageError
from workbench.files import write_whole

UNSENT = 6

langfuse = typer.Typer(
    help="Prompts, datasets and results in Langfuse. Alone it lists the results that are not there yet: exit code 6.",
    invoke_without_command=True,
)


@langfuse.callback()
def unsent(context: typer.Context) -> int:
    """What Langfuse has not confirmed yet."""
    if context.invoked_subcommand is not None:
        return 0
    from workbench.langfuse.outbox import unsent as left

    found = left()
    print(found)
    return 0 if found.complete else UNSENT


@langfuse.command()
def sync(
    masked: Annotated[bool, typer.Option("--masked", help="Mask dataset items too.")] = False,
    redirect: Annotated[bool, typer.Option("--redirect", help="Also what was meant for another Langfuse.")] = False,
    stand_in: StandIn = False,
) -> int:
    """Send what Langfuse has not confirmed, with the same ids and times: nothing arrives twice. Exit code 6: some is
    left. What was meant for a Langfuse that never answered goes to the one that is set now."""
    from workbench.langfuse.outbox import sync as send_all

    with opened(stand_in) as server:
        found = send_all(server, mask_items=masked, redirect=redirect)
    print(found)
    return 0 if found.complete else UNSENT


@langfuse.command()
def push(version: Version, stand_in: StandIn = False) -> int:
    """Make a prompt version known to Langfuse, without any label. The same content is never pushed twice."""
    from workbench.langfuse.prompts import push as send
    from workbench.prompts import load_prompt

    with opened(stand_in) as server:
        remote = send(server, load_prompt(version))
    print(f"{version} is version {remote.number} in Langfuse")
    return 0


@langfuse.command()
def pull(
    name: Name,
    version: Annotated[int | None, typer.Option(help="Langfuse's version number.")] = None,
    label: Annotated[str | None, typer.Option(help="A label; production if neither is given.")] = None,
    stand_in: StandIn = False,
) -> int:
    """Save a version from Langfuse as the next local version; content that is here already is not saved twice."""
    from workbench.langfuse.prompts import pull as get

    with opened(stand_in) as server:
        remote = get(server, name, number=version, label=label)
    print(f"version {remote.number} in Langfuse is {remote.prompt.save().ref} here")
    return 0


@langfuse.command()
def diff(name: Name, stand_in: StandIn = False) -> int:
    """The local versions of a prompt beside Langfuse's."""
    from workbench.langfuse.prompts import compare_local

    with opened(stand_in) as server:
        print(compare_local(server, name))
    return 0


@langfuse.command("push-dataset")
def push_dataset(
    name: Annotated[str, typer.Argument(help="A dataset's name.", autocompletion=given._dataset_names)],
    masked: Annotated[bool, typer.Option("--masked", help="Mask e-mail addresses, phones, cards and keys.")] = False,
    stand_in: StandIn = False,
) -> int:
    """Send a dataset's cases as items; known ones are updated. A case with a key in it is masked in any case. Masked
    ones are marked and never pulled back."""
    from workbench.datasets import load_dataset
    from workbench.langfuse.datasets import push_items
    from workbench.langfuse.masking import Mask

    cases = load_dataset(name).cases
    with opened(stand_in) as server:
        pushed = push_items(server, name, cases, masked=Mask.of_workspace().mask_data if masked else None)
    hidden = f"; {pushed.hidden:,} of them hold a key: they went out masked" if pushed.hidden else ""
    print(f"{pushed.count:,} of {len(cases):,} cases sent to dataset {name}{hidden}")
    return 0


@langfuse.command("pull-dataset")
def pull_dataset(
    name: Annotated[str, typer.Argument(help="A dataset's name in Langfuse.")], stand_in: StandIn = False
) -> int:
    """Save a dataset from Langfuse as `datasets/<name>.jsonl`, where there is none yet."""
    from workbench.datasets import case_line
    from workbench.langfuse.datasets import pull_dataset as get
    from workbench.langfuse.rules import check_name
    from workbench.settings import workspace

    check_name(f"dataset {name!r}", name)
    path = workspace() / "datasets" / f"{name}.jsonl"
    try:
        taken = path.exists()
    except OSError as error:
        raise UsageError(f"dataset {name[:40]!r}… cannot be kept as a file: {error.strerror}") from None
    if taken:
        raise UsageError(f"{path} is there already: move it away first")
    with opened(stand_in) as server:
        found = get(server, name)
    write_whole(path, (case_line(case).decode() for case in found.cases))
    print(f"{len(found):,} cases in {path}")
    return 0
