"""A dataset: cases under a name, their splits, samples and hash."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from workbench.datasets.cases import SPLITS, place
from workbench.errors import DatasetError, choices
from workbench.records import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pandas as pd

    from workbench.records import Case


@dataclass(frozen=True, repr=False)
class Dataset:
    """Cases under a name. `from_workspace`: found by name in a `datasets/` folder, so that runs use its dev cases
    unless told otherwise; a dataset given by path or DataFrame is run whole. `made_ids`: its source has no ids, so they
    were made from the inputs."""

    name: str
    cases: tuple[Case, ...]
    from_workspace: bool = False
    made_ids: bool = False

    def __post_init__(self) -> None:
        if not self.cases:
            raise DatasetError(f"dataset {self.name!r} has no cases")
        if len(self._by_id) < len(self.cases):
            twice = next(case.id for case in self.cases if self._by_id[case.id] is not case)
            raise DatasetError(f"dataset {self.name!r} has two cases with id {twice!r}: give one another id")

    def __len__(self) -> int:
        return len(self.cases)

    def __iter__(self) -> Iterator[Case]:
        return iter(self.cases)

    def __getitem__(self, case_id: str) -> Case:
        """The case with this id. Raises DatasetError with near ids."""
        if not isinstance(case_id, str):
            raise DatasetError(f"a case is found by its id, such as [{self.cases[0].id!r}], not by "
                               f"{type(case_id).__name__}; `.cases` is a tuple of all of them")  # fmt: skip
        if case_id not in self._by_id:
            raise DatasetError(f"dataset {self.name!r} has no case {case_id!r}: {choices(case_id, self._by_id)}")
        return self._by_id[case_id]

    def _ipython_key_completions_(self) -> list[str]:
        return list(self._by_id)

    @cached_property
    def _by_id(self) -> dict[str, Case]:
        return {case.id: case for case in self.cases}

    @cached_property
    def sha(self) -> str:
        """Hash of all cases: ids, inputs, expected values, tags and splits."""
        # piece by piece: one text of 100,000 cases would take 100 MB
        digest, before = hashlib.sha256(), "["
        for c in self.cases:
            case = [c.id, dict(c.inputs), c.expected, list(c.tags), c.split]
            digest.update(f"{before}{canonical(case)}".encode("ascii"))
            before = ","
        digest.update(b"]")
        return digest.hexdigest()

    @property
    def dev(self) -> Dataset:
        """The cases to develop on."""
        return self.split("dev")

    @property
    def test(self) -> Dataset:
        """The cases kept unseen for confirmation."""
        return self.split("test")

    def split(self, name: str) -> Dataset:
        """`dev`, `test` or `all`. Raises DatasetError if that split is empty."""
        if name == "all":
            return self
        if name not in SPLITS:
            raise DatasetError(f"split {name!r}: {choices(name, (*SPLITS, 'all'))}")
        cases = tuple(case for case in self.cases if case.split == name)
        if not cases:
            raise DatasetError(f"dataset {self.name!r} has no {name} cases among its {len(self)}")
        return replace(self, cases=cases)

    def sample(self, n: int, seed: int = 0) -> Dataset:
        """A seeded random subset of `n` cases: the first n of the same shuffle that a run uses, so that they are hits
        in the full run. Raises DatasetError unless 1 <= n; n beyond the size is the whole dataset."""
        if n < 1:
            raise DatasetError(f"sample of {n} cases: ask for at least 1")
        return replace(self, cases=tuple(self.shuffled(seed)[:n]))

    def shuffled(self, seed: int = 0) -> list[Case]:
        """The cases in a seeded order that depends on each id alone: cases added later do not reorder the others."""
        return sorted(self.cases, key=lambda case: place(case.id, seed))

    def filter(self, tags: str | Iterable[str]) -> Dataset:
        """The cases that carry every one of `tags`. Raises DatasetError if none does."""
        wanted = {tags} if isinstance(tags, str) else set(tags)
        cases = tuple(case for case in self.cases if wanted <= set(case.tags))
        if not cases:
            known = {tag for case in self.cases for tag in case.tags}
            raise DatasetError(f"no case of {self.name!r} is tagged {sorted(wanted)}: {choices(min(wanted), known)}")
        return replace(self, cases=cases)

    def frame(self) -> pd.DataFrame:
        """One row per case: id, split, tags, expected, and each input as a column."""
        import pandas as pd

        rows = [{"id": c.id, "split": c.split, "tags": ", ".join(c.tags), "expected": c.expected} | dict(c.inputs)
                for c in self.cases]  # fmt: skip
        return pd.DataFrame(rows)

    def _repr_html_(self) -> str:
        from workbench.datasets.shown import dataset_html

        return dataset_html(self)

    def __repr__(self) -> str:
        return f"Dataset({self.summary})"

    @property
    def summary(self) -> str:
        """Its name and size in one line."""
        dev = sum(case.split == "dev" for case in self.cases)
        ids = "; no `id` column, so ids were made from the inputs" if self.made_ids else ""
        return f"{self.name}: {len(self)} cases, {dev} dev and {len(self) - dev} test{ids}"
