"""Rows as they stand in a file or a frame, each with its place, which is what a complaint names."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import TYPE_CHECKING, Any

from workbench.errors import DatasetError
from workbench.files import utf8

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

Rows = list[tuple[str, Any]]
"""(place, row)."""
SUFFIXES = (".jsonl", ".csv", ".parquet")
_SEPARATORS = ",;\t|"
_HEADER = 1 << 16
"""Characters within which the first line of a CSV file ends."""


def read_rows(path: Path) -> Rows:
    """The rows of a dataset file, none of them checked. Raises DatasetError with file and line."""
    try:
        if path.suffix == ".parquet":
            return frame_rows(_parquet(path), str(path))
        text = utf8(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: cannot be read: {error}") from None
    return _csv_rows(path, text) if path.suffix == ".csv" else _json_rows(path, text)


def frame_rows(frame: pd.DataFrame, where: str) -> Rows:
    """Rows of a frame as plain JSON values; missing cells become None. Raises DatasetError."""
    try:
        rows = json.loads(frame.to_json(orient="records", date_format="iso", double_precision=15))
    except (ValueError, TypeError, OverflowError) as error:
        raise DatasetError(f"{where}: not a table of plain values: {error}") from None
    return [(f"row {i}", row) for i, row in enumerate(rows)]


def _json_rows(path: Path, text: str) -> Rows:
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


def _csv_rows(path: Path, text: str) -> Rows:
    # strict: a quote that is never closed would otherwise swallow the rest of the file
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True, delimiter=_separator(text))
    rows = []
    try:
        names = reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
        if twice := {name for name in names if names.count(name) > 1}:
            raise DatasetError(f"{path}, line 1: two columns are named {min(twice)!r}")
        for row in reader:
            place = f"line {reader.line_num}"
            if None in row or None in row.values():
                raise DatasetError(f"{path}, {place}: {len(names)} columns expected: {', '.join(names)}")
            rows.append((place, dict(row)))
    except csv.Error as error:
        raise DatasetError(f"{path}, line {reader.line_num + 1}: not valid CSV: {error}") from None
    return rows


def _separator(text: str) -> str:
    """Comma, semicolon (what spreadsheets write in half of the world), tab or bar: whatever makes most of the first
    line, and the comma when in doubt."""

    def columns(separator: str) -> int:
        try:
            return len(next(csv.reader(io.StringIO(text[:_HEADER], newline=""), delimiter=separator), ()))
        except csv.Error:
            return 0

    return max(_SEPARATORS, key=columns)


def _parquet(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        return pd.read_parquet(path)
    except ImportError:
        raise DatasetError(f"{path}: reading Parquet needs pyarrow: pip install 'prompt-workbench[parquet]'") from None
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: cannot be read as Parquet: {error}") from None
