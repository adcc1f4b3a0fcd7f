"""A view in a page with the real Python side behind it, and no Jupyter between them."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from esm import open_view

if TYPE_CHECKING:
    import pytest
    from playwright.sync_api import Page


class Wired:
    """A view whose wishes reach the Python view when `settle` is called. `name`: of the module."""

    name = ""

    def __init__(self, page: Page, view: Any, **options: Any) -> None:
        self.page, self.python = page, view
        self.drawn = open_view(page, self.name, view._state(), **options)
        self.heard = 0

    def settle(self) -> list[dict[str, Any]]:
        """Hand over what was told since, and draw what follows from it."""
        told = self.drawn.told()[self.heard :]
        self.heard += len(told)
        for message in told:
            self.python._heard(message)
        self.drawn.answer()
        self.drawn.state(self.python._state())
        return told


def compare_parts(monkeypatch: pytest.MonkeyPatch) -> Any:
    """How runs are made without a model: the parts of the compare view's tests."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "widgets"))
    return import_module("compare_parts")
