"""A dataset as a cell shows it: some cases to get to know it by, and none that a confirmation needs unseen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.tables import CELL, PLAIN, plain_table, told

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.datasets.dataset import Dataset
    from workbench.records import Case

CASES = 10
INPUTS = 8
MOST_BYTES = 100_000
_LENGTHS = (CELL, 500, 120, 30)
"""Characters of a cell, tried in turn until the whole is small enough."""


def dataset_html(dataset: Dataset) -> str:
    """Its first dev cases as a table, at most MOST_BYTES long; test cases only where it has no others."""
    dev = [case for case in dataset.cases if case.split == "dev"]
    cases = dev or dataset.cases
    tables = (_table(dataset, cases[:CASES], length) for length in _LENGTHS)
    table = next(one for one in tables if len(one.encode("utf-8", "replace")) < MOST_BYTES)
    more, held = len(cases) - CASES, len(dataset) - len(cases)
    said = [f"and {more:,} more {cases[0].split} cases"] if more > 0 else []
    said += [f"{held:,} test cases held back: seen here they would not be unseen in a confirmation"] if held else []
    return table + (PLAIN.format(f"<p>{'; '.join(said)}</p>") if said else "")


def _table(dataset: Dataset, cases: Sequence[Case], length: int) -> str:
    names = list(dict.fromkeys(name for case in cases for name in case.inputs))
    tagged = any(case.tags for case in cases)
    headings = ["id", *names[:INPUTS], "expected", *(["tags"] if tagged else [])]
    rows = [
        [
            case.id,
            *(told(case.inputs[name]) if name in case.inputs else "" for name in names[:INPUTS]),
            told(case.expected),
            *([", ".join(case.tags)] if tagged else []),
        ]
        for case in cases
    ]
    hidden = len(names) - INPUTS
    caption = dataset.summary + (f"; {hidden:,} more inputs are not shown" if hidden > 0 else "")
    return plain_table(
        [_cut(name, length) for name in headings], [[_cut(text, length) for text in row] for row in rows],
        _cut(caption, length + 200),
    )  # fmt: skip


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[:length]} … and {len(text) - length:,} more characters"
