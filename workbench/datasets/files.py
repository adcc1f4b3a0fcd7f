"""Where datasets lie: `datasets/<name>.jsonl` in the workspace, over the shipped ones; or anywhere, by path."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.datasets.cases import cases_of
from workbench.datasets.dataset import Dataset
from workbench.datasets.sources import SUFFIXES, Rows, frame_rows, read_rows
from workbench.errors import DatasetError, choices
from workbench.files import LONGEST_NAME
from workbench.settings import kept, no_workspace, workspace

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd


def load_dataset(source: str | Path | pd.DataFrame, *, columns: Mapping[str, str] | None = None,
                 name: str | None = None) -> Dataset:  # fmt: skip
    """A dataset by name (workspace first, shipped second), by path (.jsonl, .csv, .parquet) or from a DataFrame.

    `columns` renames columns of the source before reading, `{"text": "question", "category": "expected"}`. A row
    without `inputs` is flat: `id`, `expected`, `tags` and `split` keep their meaning, all other columns are inputs.
    Where no row has an `id`, ids are made from the inputs, `c-1f0c29ab`: they stay whatever order the rows have. CSV
    cells are text, between commas, semicolons, tabs or bars. Raises DatasetError naming file and line.
    """
    if isinstance(source, (str, Path)):
        path = _locate(source)
        rows, by_name = read_rows(path), _is_name(source)
        return _build(name or path.stem, rows, str(path), columns or {}, by_name)
    if not hasattr(source, "to_json"):
        raise DatasetError(f"a {type(source).__name__} is no dataset: give a name, a path or a DataFrame")
    return _build(name or "dataframe", frame_rows(source, "DataFrame"), "DataFrame", columns or {}, False)


def dataset_of(name: str, rows: Iterable[Any], where: str) -> Dataset:
    """A dataset from records as a file's lines hold them; `where` names their source in errors. Raises DatasetError."""
    return _build(name, [(f"record {i}", row) for i, row in enumerate(rows, 1)], where, {}, False)


def dataset_names() -> dict[str, Path]:
    """Every dataset that a name can mean, with its file."""
    return dict(sorted({path.stem: path for path in _files()}.items()))


def _files() -> list[Path]:
    return [path for _, path in kept("datasets", "*.*") if path.suffix in SUFFIXES]


def _only_one(name: str, path: Path) -> Path:
    """The file that a name means. Raises DatasetError where another one beside it has that name too."""
    same = sorted({one.name for one in _files() if (one.parent, one.stem) == (path.parent, name)})
    if len(same) > 1:
        raise DatasetError(f"{path.parent}: {' and '.join(same)} are both the dataset {name!r}: rename one, or give a "
                           f"path, such as {path.parent / same[0]}")  # fmt: skip
    return path


def _build(name: str, rows: Rows, where: str, columns: Mapping[str, str], by_name: bool) -> Dataset:
    cases, made_ids = cases_of(rows, where, columns)
    return Dataset(name, cases, by_name, made_ids)


def _is_name(source: str | Path) -> bool:
    return isinstance(source, str) and "/" not in source and Path(source).suffix not in SUFFIXES


def _locate(source: str | Path) -> Path:
    if any(len(part) > LONGEST_NAME for part in Path(source).parts):
        raise DatasetError(f"no file is named {str(source)[:40]!r}…: {LONGEST_NAME} characters are the most")
    if _is_name(source):
        names = dataset_names()
        if source in names:
            return _only_one(str(source), names[str(source)])
    path = Path(source)
    path = path if path.is_absolute() or path.exists() else workspace() / path
    if str(source) and path.is_dir():
        inside = sorted(one.name for one in path.iterdir() if one.suffix in SUFFIXES)
        cure = f"; name one of its files: {', '.join(inside)}" if inside else " that holds no dataset"
        raise DatasetError(f"{source}: is a folder{cure}")
    if _is_name(source):
        raise DatasetError(f"no dataset named {str(source)!r}: {choices(str(source), names)}; a path works too"
                           f"{no_workspace()}")  # fmt: skip
    if not path.is_file():
        raise DatasetError(f"{source}: no such file{no_workspace()}")
    if path.suffix not in SUFFIXES:
        raise DatasetError(f"{source}: a dataset file ends in {', '.join(SUFFIXES)}")
    return path
