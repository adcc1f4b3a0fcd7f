"""Which of many known texts a long text contains, without trying them one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

T = TypeVar("T")

WIDTHS = (16, 6)
"""Window widths. A known text of at least 2w-1 characters covers one whole window of width w wherever it lies, so the
long text is read in steps of w instead of at every character; shorter texts are tried one by one."""


class KnownTexts(Generic[T]):
    """An index from known texts to values; one text may have several values."""

    def __init__(self, known: Iterable[tuple[str, T]]) -> None:
        self._values: dict[str, list[T]] = {}
        self._short: list[str] = []
        self._windows: dict[int, dict[str, list[tuple[int, str]]]] = {width: {} for width in WIDTHS}
        for text, value in known:
            if text not in self._values:
                self._place(text)
            self._values.setdefault(text, []).append(value)

    def _place(self, text: str) -> None:
        width = next((width for width in WIDTHS if len(text) >= 2 * width - 1), None)
        if width is None:
            self._short.append(text)
            return
        windows = self._windows[width]
        for shift in range(width):
            windows.setdefault(text[shift : shift + width], []).append((shift, text))

    def find(self, text: str) -> list[tuple[str, list[T]]]:
        """The known texts inside `text`, longest first (then by content, so that the order is always the same)."""
        found = {known for known in self._short if known in text}
        for width, windows in self._windows.items():
            for at in range(0, len(text) - width + 1 if windows else 0, width):
                for shift, known in windows.get(text[at : at + width], ()):
                    if shift <= at and text.startswith(known, at - shift):
                        found.add(known)
        return [(known, self._values[known]) for known in sorted(found, key=lambda known: (-len(known), known))]
