"""The playground as a saved notebook keeps it: prompt, variables, last answers. No script."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from workbench.tables import PLAIN, plain_table
from workbench.widgets.base import Static, missing
from workbench.widgets.compare_data import plain
from workbench.widgets.playground_data import field_text

if TYPE_CHECKING:
    from workbench.widgets.playground import Playground


def static(view: Playground) -> Static:
    """The whole view without a script, and as plain text."""
    names = [*view.variables, *(name for name in view.inputs if name not in view.variables)]
    values = [[plain(name), plain(field_text(view.inputs.get(name)))] for name in names]
    turns = [[turn.role or "text", plain(turn.content)] for turn in view.turns]
    last = view.answers
    return Static(
        _html(view, turns, values), _text(view, turns, values) if not last else f"{_text(view, turns, values)}\n{last}"
    )


def _html(view: Playground, turns: list[list[str]], values: list[list[str]]) -> str:
    parts = [plain_table(["role", "text"], turns, plain(f"Playground: {view.title}"))]
    if values:
        parts.append(plain_table(["variable", "value"], values, plain(_source(view))))
    if view.answers:
        parts.append(view.answers._repr_html_())
    else:
        parts.append(PLAIN.format(f"<p>Nothing was asked yet: {escape(plain(', '.join(view.model_names)))}</p>"))
    said = [view.money, view.said, missing() and f"No live view: {missing()}"]
    parts += [PLAIN.format(f"<p>{escape(plain(one))}</p>") for one in said if one]
    return "".join([*parts, PLAIN.format(f"<p><code>{escape(plain(view.code()))}</code></p>")])


def _text(view: Playground, turns: list[list[str]], values: list[list[str]]) -> str:
    lines = [f"Playground: {view.title}, on {', '.join(view.model_names)}"]
    lines += [f"[{role}]\n{text}" for role, text in turns]
    lines += [f"{name} = {text[:2000]}" for name, text in values]
    return plain("\n".join([*lines, *filter(None, [view.money, view.said]), view.code()]))


def _source(view: Playground) -> str:
    return f"Variables, from case {view.case} of {view.dataset}" if view.case else "Variables"
