"""Adding a case to a dataset file, so that it is loaded again as it was."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from workbench.datasets.cases import case_of, split_of
from workbench.datasets.files import load_dataset
from workbench.errors import DatasetError, StorageError

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.records import Case


def append_case(path: Path, case: Case) -> None:
    """Add one case to a JSONL dataset file; loaded again it is the same.

    Raises DatasetError if its id is taken or if it could not be loaded again, StorageError when the disk is full or
    read-only.
    """
    if path.suffix != ".jsonl":
        raise DatasetError(f"{path}: cases are added to .jsonl files only")
    held = path.exists() and path.stat().st_size > 0
    if held:
        there = load_dataset(path)
        if there.made_ids:
            raise DatasetError(f"{path}: its lines have no `id`; give each one first, so that another case fits in")
        if case.id in {one.id for one in there}:
            raise DatasetError(f"{path}: a case {case.id!r} exists already")
    line = case_line(case)
    if held and not path.read_bytes().endswith(b"\n"):
        line = b"\n" + line  # an editor left the last line open
    try:
        with path.open("ab") as file:
            file.write(line)
    except OSError as error:
        why = error.strerror or error
        raise StorageError(f"{path}: cannot be written: {why}. Free space or rights, then add it again.") from None


def case_line(case: Case) -> bytes:
    """The case as a line of JSONL, with its split only where the id alone would give another."""
    row = {"id": case.id, "inputs": dict(case.inputs), "expected": case.expected, "tags": list(case.tags)}
    if case.split != split_of(None, case.id):
        row["split"] = case.split
    try:
        text = json.dumps(row, ensure_ascii=False, allow_nan=False)
        case_of(json.loads(text))
    except (TypeError, ValueError) as error:
        raise DatasetError(f"case {case.id!r} is not plain JSON data: {error}") from None
    return text.encode("utf-8", "backslashreplace") + b"\n"  # a lone surrogate as its JSON escape
