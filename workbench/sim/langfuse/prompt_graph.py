"""Prompts that quote other prompts: `@@@langfusePrompt:name=X|label=L@@@` or `|version=N`, resolved when read."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from workbench.sim.langfuse.calls import Refused
from workbench.sim.langfuse.prompt_rules import is_placeholder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Find = Callable[[str, int | None, str | None], Mapping[str, Any] | None]
    """(name, version, label) to the stored prompt as it is answered, unresolved."""

DEEPEST = 5
TAG = re.compile(r"@@@langfusePrompt:name=([^|@]+)\|(?:version=([0-9]{1,9})|label=([^@|]+))@@@")


@dataclass(slots=True)
class Graph:
    """What one prompt quotes, and what those quote, by prompt id."""

    find: Find
    edges: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def resolve(self, prompt: Mapping[str, Any]) -> Any:
        """The prompt's content with everything quoted in its place; raises Refused where that cannot be done."""
        return self._content(prompt, ())

    def _content(self, prompt: Mapping[str, Any], above: tuple[str, ...]) -> Any:
        if prompt["id"] in above:
            raise Refused.invalid(f"Circular dependency detected involving prompt '{prompt['name']}'")
        if len(above) > DEEPEST:
            raise Refused.invalid(f"Maximum nesting depth exceeded ({DEEPEST})")
        quotes = self.edges.setdefault(prompt["id"], [])

        def put_in(tag: re.Match[str]) -> str:
            child = self._child(tag)
            node = node_of(child)
            if node not in quotes:
                quotes.append(node)
            return str(self._content(child, (*above, prompt["id"])))

        return each_text(prompt["prompt"], lambda text: TAG.sub(put_in, text))

    def _child(self, tag: re.Match[str]) -> Mapping[str, Any]:
        name, version, label = tag[1], tag[2], tag[3]
        child = self.find(name, int(version) if version else None, label)
        if child is None:
            raise Refused.invalid(f"Prompt dependency not found: {name} {version or label}")
        if child["type"] != "text":
            raise Refused.invalid(f"Prompt dependency is not a text prompt: {name}")
        return child


def resolved(prompt: Mapping[str, Any], find: Find) -> dict[str, Any]:
    """The prompt with its content resolved and its `resolutionGraph`: null when it quotes nothing."""
    graph = Graph(find)
    content = graph.resolve(prompt)
    quoting = {parent: children for parent, children in graph.edges.items() if children}
    answer = {"root": node_of(prompt), "dependencies": quoting} if quoting else None
    return {**prompt, "prompt": content, "resolutionGraph": answer}


def node_of(prompt: Mapping[str, Any]) -> dict[str, Any]:
    """How a graph names a prompt."""
    return {name: prompt[name] for name in ("name", "version", "id")}


def quotes(prompt: Any) -> list[tuple[str, int | None, str | None]]:
    """What a content quotes: (name, version or None, label or None) each."""
    found = TAG.findall(prompt if isinstance(prompt, str) else json.dumps(prompt, ensure_ascii=False))
    return [(name, int(version) if version else None, label or None) for name, version, label in found]


def each_text(prompt: Any, change: Callable[[str], str]) -> Any:
    """The content of a text or chat prompt with every text changed."""
    if isinstance(prompt, str):
        return change(prompt)
    return [one if is_placeholder(one) else {**one, "content": change(one["content"])} for one in prompt]
