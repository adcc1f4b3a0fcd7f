"""Datasets: cases with `id, inputs, expected, tags` and a split, from JSONL, CSV, Parquet or a DataFrame.

A file is read whole or not at all; every complaint names file and line. Rows without a `split` get one from the hash
of their id (60 % dev, 40 % test), so adding cases never moves one from dev to test.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
from dataclasses import dataclass, replace
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from workbench.errors import DatasetError, StorageError, choices
from workbench.records import Case, canonical
from workbench.settings import workspace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import pandas as pd

DEV_SHARE = 0.6
SPLITS = ("dev", "test")
_RESERVED = ("id", "inputs", "expected", "tags", "split")
_SUFFIXES = (".jsonl", ".csv", ".parquet")


@dataclass(frozen=True)
class Dataset:
    """Cases under a name. `from_workspace`: found by name in a `datasets/` folder, so that runs use its dev cases
    unless told otherwise; a dataset given by path or DataFrame is run whole."""

    name: str
    cases: tuple[Case, ...]
    from_workspace: bool = False

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
        if case_id not in self._by_id:
            raise DatasetError(f"dataset {self.name!r} has no case {case_id!r}: {choices(case_id, self._by_id)}")
        return self._by_id[case_id]

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
        more = f"<p>and {len(self) - 10} more cases</p>" if len(self) > 10 else ""
        table = self.frame().head(10).to_html(index=False, escape=True, border=0, justify="left")
        for cell in ("th", "td"):
            table = table.replace(f"<{cell}>", f'<{cell} style="text-align:left;vertical-align:top">')
        # the class keeps notebooks from typesetting what stands between two dollar signs of a case
        return f'<div class="mathjax_ignore tex2jax_ignore"><b>{escape(self._summary())}</b>{table}{more}</div>'

    def __repr__(self) -> str:
        return f"Dataset({self._summary()})"

    def _summary(self) -> str:
        dev = sum(case.split == "dev" for case in self.cases)
        return f"{self.name}: {len(self)} cases, {dev} dev and {len(self) - dev} test"


def load_dataset(source: str | Path | pd.DataFrame, *, columns: Mapping[str, str] | None = None,
                 name: str | None = None) -> Dataset:  # fmt: skip
    """A dataset by name (workspace first, shipped second), by path (.jsonl, .csv, .parquet) or from a DataFrame.

    `columns` renames columns of the source before reading, `{"text": "question", "category": "expected"}`. A row
    without `inputs` is flat: `id`, `expected`, `tags` and `split` keep their meaning, all other columns are inputs.
    CSV cells are text. Raises DatasetError naming file and line.
    """
    if isinstance(source, (str, Path)):
        path = _locate(source)
        rows, by_name = _read(path), _is_name(source)
        return _build(name or path.stem, rows, str(path), columns or {}, by_name)
    if not hasattr(source, "to_json"):
        raise DatasetError(f"a {type(source).__name__} is no dataset: give a name, a path or a DataFrame")
    records = [(f"row {i}", row) for i, row in enumerate(_frame_rows(source, "DataFrame"))]
    return _build(name or "dataframe", records, "DataFrame", columns or {}, False)


def dataset_of(name: str, rows: Iterable[Any], where: str) -> Dataset:
    """A dataset from records as a file's lines hold them; `where` names their source in errors. Raises DatasetError."""
    return _build(name, [(f"record {i}", row) for i, row in enumerate(rows, 1)], where, {}, False)


def dataset_names() -> dict[str, Path]:
    """Every dataset that a name can mean, with its file."""
    found: dict[str, Path] = {}
    for root in reversed(_roots()):
        found |= {path.stem: path for path in sorted(root.glob("*.*")) if path.suffix in _SUFFIXES}
    return dict(sorted(found.items()))


def place(case_id: str, seed: int) -> float:
    """Where a case stands in the shuffled order of a seed: a number in [0, 1)."""
    return _draw(f"{seed}/{case_id}")


def append_case(path: Path, case: Case) -> None:
    """Add one case to a JSONL dataset file; loaded again it is the same.

    Raises DatasetError if its id is taken or if it could not be loaded again, StorageError when the disk is full or
    read-only.
    """
    if path.suffix != ".jsonl":
        raise DatasetError(f"{path}: cases are added to .jsonl files only")
    held = path.exists() and path.stat().st_size > 0
    if held and case.id in load_dataset(path)._by_id:
        raise DatasetError(f"{path}: a case {case.id!r} exists already")
    line = case_line(case)
    if held and not path.read_bytes().endswith(b"\n"):
        line = b"\n" + line  # an editor left the last line open
    try:
        with path.open("ab") as file:
            file.write(line)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written: {error}. Free space or rights, then add it again.") from None


def case_line(case: Case) -> bytes:
    """The case as a line of JSONL, with its split only where the id alone would give another."""
    row = {"id": case.id, "inputs": dict(case.inputs), "expected": case.expected, "tags": list(case.tags)}
    if case.split != _split(None, case.id):
        row["split"] = case.split
    try:
        text = json.dumps(row, ensure_ascii=False, allow_nan=False)
        _case(json.loads(text))
    except (TypeError, ValueError) as error:
        raise DatasetError(f"case {case.id!r} is not plain JSON data: {error}") from None
    return text.encode("utf-8", "backslashreplace") + b"\n"  # a lone surrogate as its JSON escape


def _roots() -> list[Path]:
    shipped = Path(__file__).parent / "shipped" / "datasets"
    source_tree = Path(__file__).parent.parent / "datasets"
    return [workspace() / "datasets", shipped if shipped.is_dir() else source_tree]


def _is_name(source: str | Path) -> bool:
    return isinstance(source, str) and "/" not in source and Path(source).suffix not in _SUFFIXES


def _locate(source: str | Path) -> Path:
    if _is_name(source):
        names = dataset_names()
        if source not in names:
            raise DatasetError(f"no dataset named {str(source)!r}: {choices(str(source), names)}; a path works too")
        return names[str(source)]
    path = Path(source)
    path = path if path.is_absolute() or path.exists() else workspace() / path
    if not path.is_file():
        raise DatasetError(f"{source}: no such file")
    if path.suffix not in _SUFFIXES:
        raise DatasetError(f"{source}: a dataset file ends in {', '.join(_SUFFIXES)}")
    return path


def _read(path: Path) -> list[tuple[str, Any]]:
    """(place, row) for each row; the place is what an error message names."""
    try:
        if path.suffix == ".parquet":
            return [(f"row {i}", row) for i, row in enumerate(_frame_rows(_parquet(path), str(path)))]
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: cannot be read: {error}") from None
    return _csv_rows(path, text) if path.suffix == ".csv" else _json_rows(path, text)


def _json_rows(path: Path, text: str) -> list[tuple[str, Any]]:
    rows = []
    # not splitlines(): JSON texts may hold the other line breaks that it knows
    for number, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1):
        if not line.strip():
            continue
        try:
            rows.append((f"line {number}", json.loads(line, parse_constant=_refuse_constant, parse_float=_finite)))
        except (ValueError, RecursionError) as error:
            raise DatasetError(f"{path}, line {number}: not valid JSON: {error}") from None
    return rows


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is too large for a number")
    return number


def _csv_rows(path: Path, text: str) -> list[tuple[str, Any]]:
    # strict: a quote that is never closed would otherwise swallow the rest of the file
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    rows = []
    try:
        names = list(reader.fieldnames or ())
        if twice := {name for name in names if names.count(name) > 1}:
            raise DatasetError(f"{path}, line 1: two columns are named {min(twice)!r}")
        for row in reader:
            place = f"line {reader.line_num}"
            if None in row or None in row.values():
                raise DatasetError(f"{path}, {place}: {len(names)} columns expected")
            rows.append((place, dict(row)))
    except csv.Error as error:
        raise DatasetError(f"{path}, line {reader.line_num + 1}: not valid CSV: {error}") from None
    return rows


def _parquet(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        return pd.read_parquet(path)
    except ImportError:
        raise DatasetError(f"{path}: reading Parquet needs pyarrow: pip install 'prompt-workbench[parquet]'") from None
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: cannot be read as Parquet: {error}") from None


def _frame_rows(frame: pd.DataFrame, where: str) -> list[dict[str, Any]]:
    """Rows of a frame as plain JSON values; missing cells become None."""
    try:
        return list(json.loads(frame.to_json(orient="records", date_format="iso", double_precision=15)))
    except (ValueError, TypeError, OverflowError) as error:
        raise DatasetError(f"{where}: not a table of plain values: {error}") from None


def _build(name: str, rows: list[tuple[str, Any]], where: str, columns: Mapping[str, str], by_name: bool) -> Dataset:
    if not rows:
        raise DatasetError(f"{where}: no cases in it")
    cases: list[Case] = []
    seen: dict[str, str] = {}
    for place, row in rows:
        try:
            case = _case(_renamed(row, columns) if columns else row)
        except DatasetError as error:
            raise DatasetError(f"{where}, {place}: {error}") from None
        if case.id in seen:
            raise DatasetError(f"{where}, {place}: id {case.id!r} is already used on {seen[case.id]}")
        seen[case.id] = place
        cases.append(case)
    return Dataset(name, tuple(cases), by_name)


def _renamed(row: Any, columns: Mapping[str, str]) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise DatasetError("a row must be an object")
    if missing := [name for name in columns if name not in row]:
        raise DatasetError(f"no column {missing[0]!r}: {choices(missing[0], row)}")
    renamed = {columns.get(name, name): value for name, value in row.items()}
    if len(renamed) < len(row):
        names = [columns.get(name, name) for name in row]
        raise DatasetError(f"two columns would be named {next(n for n in names if names.count(n) > 1)!r}")
    return renamed


def _case(row: Any) -> Case:
    if not isinstance(row, dict):
        raise DatasetError("a row must be an object")
    case_id = row.get("id")
    if isinstance(case_id, int) and not isinstance(case_id, bool):
        case_id = str(case_id)
    if not isinstance(case_id, str) or not case_id.strip():
        raise DatasetError("needs an `id`, a non-empty text")
    if "inputs" in row:
        if unknown := [key for key in row if key not in _RESERVED]:
            raise DatasetError(f"unknown column {unknown[0]!r} beside `inputs`: {choices(unknown[0], _RESERVED)}")
        inputs = row["inputs"]
    else:
        inputs = {key: value for key, value in row.items() if key not in _RESERVED}
    if not isinstance(inputs, dict) or not inputs:
        raise DatasetError(f"case {case_id!r} has no inputs: they are a non-empty object, or columns of their own")
    tags, split = _tags(row.get("tags"), case_id), _split(row.get("split"), case_id)
    return Case(case_id, inputs, row.get("expected"), tags, split)


def _tags(value: Any, case_id: str) -> tuple[str, ...]:
    """A list of words, or (CSV) words separated by commas or semicolons."""
    if value is None or value == "":
        return ()
    if isinstance(value, str):
        return tuple(tag.strip() for tag in value.replace(";", ",").split(",") if tag.strip())
    if isinstance(value, list) and all(isinstance(tag, str) for tag in value):
        return tuple(value)
    raise DatasetError(f"case {case_id!r}: tags must be a list of words")


def _split(value: Any, case_id: str) -> Literal["dev", "test"]:
    if value is None or value == "":
        return "dev" if _draw(case_id) < DEV_SHARE else "test"
    if value not in SPLITS:
        raise DatasetError(f"case {case_id!r}: split {value!r} must be dev or test")
    return "dev" if value == "dev" else "test"


def _draw(text: str) -> float:
    """A number in [0, 1) that depends on the text alone."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:7], "big") / 2**56
