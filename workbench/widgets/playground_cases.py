"""Where variables are filled from, and where new cases go.

Dev cases alone are offered: who has read what models say to a test case can confirm nothing on it any more. A case that
is added here has been seen, so it is a dev case too.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from workbench.datasets import Dataset, append_case, dataset_names, load_dataset
from workbench.errors import DatasetError, StorageError, UsageError
from workbench.records import Case, canonical, sha256
from workbench.settings import workspace

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

OFFERED = 200
"""Ids that the chooser lists at most; any other can be typed."""

_NAME = re.compile(r"[A-Za-z0-9_\-][A-Za-z0-9_.\-]*")


class Cases:
    """The cases of a dataset that variables may be filled from. `source`: a Dataset, a name or a path, as
    `load_dataset` takes them. Raises DatasetError."""

    def __init__(self, source: Dataset | str | Path) -> None:
        self.dataset = source if isinstance(source, Dataset) else load_dataset(source)
        self.path = None if isinstance(source, Dataset) or self.dataset.from_workspace else _file(Path(source))
        """Where a dataset that was given by path is."""
        self._usable = self.dataset.dev.cases if self.dataset.from_workspace else self.dataset.cases
        self._places = {case.id: number for number, case in enumerate(self._usable)}
        self.name = self.dataset.name

    @property
    def source(self) -> str:
        """The name or path that finds it again; empty for a Dataset that has neither."""
        return str(self.path or (self.name if self.dataset.from_workspace else ""))

    @property
    def ids(self) -> list[str]:
        """The ids that are offered."""
        return [case.id for case in self._usable[:OFFERED]]

    @property
    def first(self) -> str:
        """The id to begin with."""
        return self._usable[0].id

    def find(self, case_id: str) -> Case:
        """A case. Raises DatasetError for an unknown one, UsageError for a test case."""
        if case_id not in self._places:
            self.dataset[case_id]
            raise UsageError(
                f"{case_id} is a test case of {self.name}: those stay unseen until a decision is confirmed"
            )
        return self._usable[self._places[case_id]]

    def step(self, case_id: str, by: int) -> str:
        """The id so many places further, round the end."""
        return self._usable[(self._places.get(case_id, -1) + by) % len(self._usable)].id

    def where(self, case_id: str) -> str:
        """Which one it is, in words."""
        kind = "dev cases" if self.dataset.from_workspace else "cases"
        return f"{self._places[case_id] + 1:,} of {len(self._places):,} {kind}" if case_id in self._places else ""


def _file(path: Path) -> Path:
    """As `load_dataset` finds it: here, else in the workspace."""
    return path if path.exists() else workspace() / path


def fitting(variables: Iterable[str]) -> Cases | None:
    """The first dataset with a name whose first case fills these variables, None if none does."""
    for name in dataset_names():
        try:
            cases = Cases(name)
            given = cases.find(cases.first).inputs
        except DatasetError:
            continue
        if all(variable in given for variable in variables):
            return cases
    return None


class Added(NamedTuple):
    """A case that was added: its id, the file, and the shipped file that was copied there for it."""

    case_id: str
    path: Path
    copied: Path | None = None

    def __str__(self) -> str:
        home = workspace()
        shown = self.path.relative_to(home) if self.path.is_relative_to(home) else self.path
        copy = ", a copy of the shipped dataset which goes before it from now on" if self.copied else ""
        return f"case {self.case_id} is in {shown.as_posix()}{copy}"


def add_case(name: str, case_id: str, inputs: Mapping[str, Any], expected: Any, path: Path | None = None) -> Added:
    """Append a dev case to the dataset of this name in the workspace, or to the file at `path`.

    Without an id it gets one from its content. A dataset that came with the package is copied into the workspace first.
    Raises DatasetError for an id or inputs that are there already, StorageError when it cannot be written.
    """
    if not _NAME.fullmatch(name):
        raise DatasetError(f"{name!r} is no dataset name: use letters, digits, '-', '_' and '.'")
    if not inputs:
        raise DatasetError("a case needs inputs, and the prompt has no variables")
    case = Case(case_id.strip() or f"play-{sha256(canonical(dict(inputs)))[:8]}", dict(inputs), expected, (), "dev")
    target, shipped = _place(name) if path is None else (path, None)
    _check_new(case, shipped or target)
    if shipped is None or not _add_to_copy(case, shipped, target):
        target.parent.mkdir(parents=True, exist_ok=True)
        append_case(target, case)
        shipped = None
    return Added(case.id, target, shipped)


def _place(name: str) -> tuple[Path, Path | None]:
    """The workspace's file of a dataset, and the shipped one while there is no other."""
    folder = workspace() / "datasets"
    found = dataset_names().get(name)
    if found is None or found.parent == folder:
        return found or folder / f"{name}.jsonl", None
    return folder / found.name, found


def _check_new(case: Case, file: Path) -> None:
    if not file.exists() or file.stat().st_size == 0:
        return
    cases = load_dataset(file).cases
    if same := next((one.id for one in cases if dict(one.inputs) == case.inputs), None):
        raise DatasetError(f"case {same!r} of {file.name} has the same inputs: change them, or that case")
    if any(one.id == case.id for one in cases):
        raise DatasetError(f"{file.name} has a case {case.id!r} already: give another id")


def _add_to_copy(case: Case, shipped: Path, target: Path) -> bool:
    """Put a copy with the case in place, whole or not at all; False when somebody else was faster."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".adding-", dir=target.parent) as aside:
            copy = Path(shutil.copyfile(shipped, Path(aside) / target.name))
            append_case(copy, case)
            os.link(copy, target)
    except FileExistsError:
        return False
    except OSError as error:
        raise StorageError(f"{target}: cannot be written: {error}. Free space or rights, then add it again.") from None
    return True
