"""From rows to cases: which column is what, ids, splits, and the seeded order."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from workbench.errors import DatasetError, choices
from workbench.records import Case, canonical, sha256

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workbench.datasets.sources import Rows

DEV_SHARE = 0.6
SPLITS = ("dev", "test")
_RESERVED = ("id", "inputs", "expected", "tags", "split")


def cases_of(rows: Rows, where: str, columns: Mapping[str, str]) -> tuple[tuple[Case, ...], bool]:
    """The cases of all rows, and whether their ids were made here, because no row has one.

    Raises DatasetError with the place of the first wrong row.
    """
    if not rows:
        raise DatasetError(f"{where}: no cases in it")
    named = {old for old, new in columns.items() if new == "id"} or {"id"} - columns.keys()
    made = not any(isinstance(row, dict) and named & row.keys() for _, row in rows)
    cases: list[Case] = []
    seen: dict[str, str] = {}
    for place, row in rows:
        try:
            case = case_of(_renamed(row, columns) if columns else row, made)
        except DatasetError as error:
            raise DatasetError(f"{where}, {place}: {error}") from None
        if not made and case.id in seen:
            raise DatasetError(f"{where}, {place}: id {case.id!r} is already used on {seen[case.id]}")
        seen[case.id] = place
        cases.append(case)
    return tuple(cases if len(seen) == len(cases) else _numbered(cases)), made


def _numbered(cases: list[Case]) -> list[Case]:
    """Cases whose made ids are the same get numbers, by what else they hold: in any order of the rows, an id means the
    same case."""
    alike: dict[str, list[int]] = {}
    for i, case in enumerate(cases):
        alike.setdefault(case.id, []).append(i)
    numbered = list(cases)
    for places in alike.values():
        for number, i in enumerate(sorted(places, key=lambda i: _content(cases[i])), 1):
            # with the split of the first: a question that was tuned on is not an unseen one elsewhere
            numbered[i] = replace(cases[i], id=f"{cases[i].id}-{number}") if number > 1 else cases[i]
    return numbered


def _content(case: Case) -> str:
    return canonical([case.expected, dict(case.inputs), case.tags, case.split])


def case_of(row: Any, made: bool = False) -> Case:
    """One row as a case; `made`: its id is a hash of its inputs. Raises DatasetError."""
    if not isinstance(row, dict):
        raise DatasetError("a row must be an object")
    case_id = "" if made else _id(row)
    about = "the case" if made else f"case {case_id!r}"
    if "inputs" in row:
        if unknown := [key for key in row if key not in _RESERVED]:
            raise DatasetError(f"unknown column {unknown[0]!r} beside `inputs`: {choices(unknown[0], _RESERVED)}")
        inputs = row["inputs"]
    else:
        _check_names(row)
        inputs = {key: value for key, value in row.items() if key not in _RESERVED}
    if not isinstance(inputs, dict) or not inputs:
        raise DatasetError(f"{about} has no inputs: they are a non-empty object, or columns of their own; "
                           f"the columns are: {_names(row)}")  # fmt: skip
    case_id = case_id or f"c-{sha256(canonical(inputs))[:8]}"
    try:
        return Case(case_id, inputs, row.get("expected"), _tags(row.get("tags")), split_of(row.get("split"), case_id))
    except ValueError as error:
        raise DatasetError(f"{about}: {error}") from None


def split_of(value: Any, case_id: str) -> Literal["dev", "test"]:
    """The split that a row says, else what the hash of its id says. Raises ValueError."""
    if value is None or value == "":
        return "dev" if _draw(case_id) < DEV_SHARE else "test"
    if value not in SPLITS:
        raise ValueError(f"split {value!r} must be dev or test")
    return "dev" if value == "dev" else "test"


def place(case_id: str, seed: int) -> float:
    """Where a case stands in the shuffled order of a seed: a number in [0, 1)."""
    return _draw(f"{seed}/{case_id}")


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


def _check_names(row: Mapping[str, Any]) -> None:
    """Refuse `Expected` where `expected` is meant: taken as an input, it would be paid for and nothing scored."""
    for name, value in row.items():
        meant = name.strip().lower()
        if name == meant or meant not in _RESERVED or meant in row:
            continue
        if meant != "inputs" or isinstance(value, dict):
            raise DatasetError(f'column {name!r}: did you mean `{meant}`? columns={{"{name}": "{meant}"}}, or --column '
                               f"{name}={meant}; with another name it is an input")  # fmt: skip


def _id(row: Mapping[str, Any]) -> str:
    found = row.get("id")
    if isinstance(found, int) and not isinstance(found, bool):
        return str(found)
    if isinstance(found, str) and found.strip():
        return found
    other = next((name for name in row if name not in _RESERVED), "key")
    raise DatasetError(
        f"needs an `id`, a non-empty text or a whole number; the columns are: {_names(row)}. Where another one is "
        f'the id: columns={{"{other}": "id"}}, or --column {other}=id. Without an `id` in any row, ids are made.'
    )


def _names(row: Mapping[str, Any]) -> str:
    names = list(row)
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def _tags(value: Any) -> tuple[str, ...]:
    """A list of words, or (CSV) words separated by commas or semicolons. Raises ValueError."""
    if value is None or value == "":
        return ()
    if isinstance(value, str):
        return tuple(tag.strip() for tag in value.replace(";", ",").split(",") if tag.strip())
    if isinstance(value, list) and all(isinstance(tag, str) for tag in value):
        return tuple(value)
    raise ValueError("tags must be a list of words")


def _draw(text: str) -> float:
    """A number in [0, 1) that depends on the text alone."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:7], "big") / 2**56
