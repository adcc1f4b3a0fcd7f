"""What of a run is not in Langfuse as it should be, for its report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.errors import StorageError
from workbench.settings import state_dir

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.langfuse.entries import Entry


def unsent_rows(folder: Path) -> int:
    """How many results of the run in `folder` wait in the outbox; all of them when it cannot be read."""
    try:
        entry = _entry(folder)
    except StorageError:
        from workbench.langfuse.entries import Entry

        entry = Entry(folder.name, "", "")
    return entry.waiting() if entry is not None else 0


def unsent_note(folder: Path) -> str:
    """What waits, with the cure, and what Langfuse did not take; empty when there is nothing to say."""
    try:
        entry = _entry(folder)
    except StorageError as error:
        return f"{error}."
    if entry is None:
        return ""
    said = [f"In Langfuse: {note}." for note in entry.notes]
    if entry.first_for:
        said.append(f"It goes to {entry.where}, instead of {entry.first_for}.")
    if entry.rejected:
        said.append(f"Langfuse rejected {entry.rejected:,} parts of this run: {'; '.join(entry.reasons[:3])}.")
    if rows := entry.waiting():
        are = "result is" if rows == 1 else "results are"
        why = entry.error or "not sent yet"
        there = "the stand-in" if entry.stand_in else entry.url
        cure = f"`workbench langfuse sync` sends them to {there}, with --redirect to the one that is set now"
        said.insert(0, f"{rows:,} {are} not yet in Langfuse ({why}); {cure}.")
    return " ".join(said)


def _entry(folder: Path) -> Entry | None:
    """The run's entry in the outbox; loads nothing for one that goes nowhere."""
    here = folder.absolute() == state_dir("runs", folder.name)
    if not here or not (state_dir("outbox") / f"{folder.name}.json").exists():
        return None
    from workbench.langfuse.entries import load

    return load(folder.name)
