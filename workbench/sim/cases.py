"""The cases a simulated model knows: found by their inputs inside a request's text."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.records import canonical
from workbench.sim.matching import KnownTexts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from workbench.records import Case


@dataclass(frozen=True, slots=True)
class KnownCase:
    """One dataset case, with the name of its dataset."""

    dataset: str
    id: str
    inputs: Mapping[str, Any]
    expected: Any = None

    def texts(self) -> list[str]:
        """The inputs as they appear in a rendered prompt, longest first, without surrounding blanks."""
        texts = [value if isinstance(value, str) else json.dumps(value) for value in self.inputs.values()]
        return sorted(filter(None, (text.strip() for text in texts)), key=len, reverse=True)


def known_cases(dataset: str, cases: Iterable[Case]) -> list[KnownCase]:
    """A dataset's cases as a stand-in server knows them."""
    return [KnownCase(dataset, case.id, case.inputs, case.expected) for case in cases]


class KnownCases:
    """All known cases, indexed by what a request contains, and the answers that occur in each dataset."""

    def __init__(self, cases: Iterable[KnownCase]) -> None:
        self.cases = tuple(cases)
        # A case is filed under its longest input; the shorter ones are compared once that one was found.
        texts = [(case.texts(), case) for case in self.cases]
        self._index = KnownTexts((found[0], (found, case)) for found, case in texts if found)
        self._values = _values(self.cases)

    def find(self, text: str) -> tuple[KnownCase, str] | None:
        """The case whose inputs are all in `text`, the longest together, and `text` without them."""
        found = [
            (sum(map(len, texts)), texts, case)
            for _, entries in self._index.find(text)
            for texts, case in entries
            if all(other in text for other in texts[1:])
        ]
        if not found:
            return None
        _, texts, case = max(found, key=lambda entry: entry[0])
        for known in texts:
            text = text.replace(known, "")
        return case, text

    def others(self, case: KnownCase, field: str | None, start: int) -> Iterator[Any]:
        """The other values that the dataset has for a field of `expected`, or for `expected` itself (`None`).

        `start` says with which one to begin; it may be any number.
        """
        own = canonical(case.expected[field] if field is not None else case.expected)
        values = self._values.get((case.dataset, field), [])
        for step in range(len(values)):
            text, value = values[(start + step) % len(values)]
            if text != own:
                yield value


def _values(cases: Iterable[KnownCase]) -> dict[tuple[str, str | None], list[tuple[str, Any]]]:
    """(dataset, field) -> the different values with their canonical texts, in the order of those."""
    found: dict[tuple[str, str | None], dict[str, Any]] = {}
    for case in cases:
        parts = case.expected.items() if isinstance(case.expected, dict) else [(None, case.expected)]
        for field, value in parts:
            found.setdefault((case.dataset, field), {})[canonical(value)] = value
    return {place: sorted(values.items()) for place, values in found.items()}
