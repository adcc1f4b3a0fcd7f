"""`workbench review`, `promote`, `rollback`, `status` and `promotions`: from the winner to production, and back."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import options as given
from workbench.errors import LangfuseAway, SettingsError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workbench.langfuse.server import Server

Version = Annotated[str, typer.Argument(help="A prompt version: name@v3.", autocompletion=given._prompt_refs)]
Name = Annotated[str, typer.Argument(help="A prompt's name.", autocompletion=given._prompt_names)]
Evidence = Annotated[str, typer.Option(help="latest, the newest confirmed verdict; or a sealed bundle's file.")]
By = Annotated[str | None, typer.Option(help="Who does it, a claim; git's user name if not given.")]
Approver = Annotated[
    str | None,
    typer.Option(help="Who reads it, a claim: needed to approve; else git's user name if not given."),
]
StandIn = Annotated[bool, typer.Option("--stand-in", help="Use the stand-in Langfuse although a real one is set.")]


NONE_SET = "; no other is set (LANGFUSE_BASE_URL, LANGFUSE_PUBLIC_KEY, LANGFUSE_SECRET_KEY)"


@contextmanager
def langfuse(stand_in: bool) -> Iterator[Server]:
    """The Langfuse that the settings name, else the stand-in of this workspace; said on standard error."""
    import sys
    import warnings

    from workbench.langfuse.configured import ConfiguredProject
    from workbench.projects import project
    from workbench.promotion.who import NOT_SET

    found = project(stand_in)
    try:
        server = found.server()
        if server is None:
            raise SettingsError(NOT_SET)
        chosen = stand_in or not server.stand_in or isinstance(found, ConfiguredProject)
        print(f"Langfuse: {server.name}{'' if chosen else NONE_SET}", file=sys.stderr)
        with warnings.catch_warnings():
            warnings.showwarning = lambda said, *_, **__: print(f"! {said}", file=sys.stderr)
            yield server
    finally:
        found.close()


def review(
    version: Version,
    evidence: Evidence = "latest",
    approve: Annotated[bool, typer.Option("--approve", help="Approve what is shown, by --by NAME.")] = False,
    by: Approver = None,
    stand_in: StandIn = False,
) -> int:
    """Show what a promotion rests on and whether its policy is met; write it as a page and as a pull-request
    comment."""
    from workbench.promotion.approvals import approve as add_approval
    from workbench.promotion.review import prepare
    from workbench.promotion.who import me

    if approve and not by:
        raise UsageError("--approve needs --by NAME: an approval is somebody's word")
    with langfuse(stand_in) as server:
        found = prepare(version, evidence, server, by or me())
        if approve:
            add_approval(found.evidence, str(by))
            found = prepare(version, evidence, server, str(by))
    print(found)
    page, comment = found.write()
    print(f"\npage: {page}\nas a comment: {comment}")
    return 0


def promote(
    version: Version,
    evidence: Evidence = "latest",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, move nothing.")] = False,
    override: Annotated[str | None, typer.Option(help="Move it although the policy is not met; the reason.")] = None,
    by: By = None,
    stand_in: StandIn = False,
) -> int:
    """Give a version the production label, on evidence, and record it. Exit code 5: refused, with every unmet point; 1:
    it did not come through, or somebody put that version there outside of the record."""
    from workbench.promotion.promote import promote as move

    with langfuse(stand_in) as server:
        print(move(version, evidence, override=override, dry_run=dry_run, by=by, server=server))
    return 0


def rollback(
    name: Name,
    to: Annotated[str | None, typer.Option(help="A version in Langfuse (7) or a local one (v2).")] = None,
    override: Annotated[
        str | None, typer.Option(help="Give it to a version that was never production by the record; the reason.")
    ] = None,
    by: By = None,
    stand_in: StandIn = False,
) -> int:
    """Give production back to the previous holder; once more, and it returns. Needs nothing but the keys."""
    from workbench.promotion.rollback import rollback as back
    from workbench.promotion.settling import SEEN_AFTER

    with langfuse(stand_in) as server:
        print(f"{back(name, to, override=override, by=by, server=server)}\n{SEEN_AFTER}")
    return 0


def status(name: Name, stand_in: StandIn = False) -> int:
    """Who holds production, since when, on what evidence. Exit code 1: the label moved outside the record."""
    from workbench.promotion.status import status as of

    with langfuse(stand_in) as server:
        found = of(name, server=server)
    print(found)
    return 1 if found.outside else 0


def promotions(
    name: Annotated[str | None, typer.Argument(help="A prompt's name.", autocompletion=given._prompt_names)] = None,
    stand_in: StandIn = False,
) -> int:
    """Show the record of moved labels and verify its chain; with a name, also against Langfuse. Exit code 1: broken; 6:
    Langfuse did not answer."""
    from workbench.promotion.status import promotions as history

    if name is None:
        found = history()
    else:
        with langfuse(stand_in) as server:
            found = history(name, server=server)
    print(found)
    return 1 if found.broken else LangfuseAway.exit_code if found.faults else 0
