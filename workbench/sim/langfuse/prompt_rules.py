"""What a Langfuse server accepts as a prompt."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.sim.langfuse.calls import Refused
from workbench.sim.langfuse.fields import Fields, kind

if TYPE_CHECKING:
    from collections.abc import Mapping

LATEST = "latest"
_LABEL = re.compile(r"[a-z0-9_\-.]{1,36}")
_PLACEHOLDER = re.compile(r"[a-zA-Z][a-zA-Z0-9_]*", re.ASCII)
_VARIABLE = re.compile(r"\{\{\s*([a-zA-Z][a-zA-Z0-9_]*)\s*\}\}", re.ASCII)
_TAG = re.compile(r"<[^>]*>")
_TAKEN = ("new", "metrics", "prompt-detail")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A prompt as a caller wants to have it created."""

    name: str
    type: str
    prompt: Any
    config: Any
    labels: tuple[str, ...]
    tags: tuple[str, ...] | None
    commit_message: str | None


def wanted(body: Any) -> Wanted:
    """The prompt of a body; raises Refused with what is wrong with it."""
    fields = Fields(body)
    name = fields.text("name", required=True, shortest=1, longest=255) or ""
    if complaint := wrong_name(name):
        fields.wrong("name", complaint)
    declared = fields.choice("type", ("chat", "text"))
    labels, tags = fields.texts("labels") or (), fields.texts("tags")
    for label in labels:
        if not _LABEL.fullmatch(label):
            fields.wrong("labels", "Label must be 1 to 36 characters of a-z, 0-9, _, - and .")
    message = fields.text("commitMessage", longest=500)
    prompt = fields.value.get("prompt")
    if declared == "chat":
        _check_chat(fields, prompt)
    else:
        fields.text("prompt", required=True)
    fields.done()
    _check_names(prompt)
    config = fields.value.get("config")
    return Wanted(
        name=name,
        type=declared or "text",
        prompt=prompt,
        config={} if config is None else config,
        labels=tuple(labels),
        tags=None if tags is None else tuple(tags),
        commit_message=message,
    )


def wrong_name(name: str) -> str:
    """What is wrong with a prompt's name; empty if nothing is."""
    if _TAG.search(name):
        return "Text cannot contain HTML tags"
    if "|" in name:
        return "Prompt name cannot contain '|' character"
    if name.startswith("/") or name.endswith("/") or "//" in name:
        return "Prompt name cannot start or end with a slash, or have two in a row"
    if name in _TAKEN:
        return f"Prompt name cannot be '{name}'"
    return ""


def new_labels(body: Any) -> list[str]:
    """The labels of a PATCH, which are checked for being texts and for nothing else but `latest`."""
    fields = Fields(body)
    labels = fields.texts("newLabels")
    if labels is None and not fields.issues:
        fields.wrong("newLabels", "Invalid input: expected array, received undefined")
    if LATEST in (labels or ()):
        fields.wrong("newLabels", "Label 'latest' is always assigned to the latest prompt version")
    fields.done()
    return labels or []


def is_placeholder(message: Mapping[str, Any]) -> bool:
    """Whether a part of a chat prompt stands for messages to come."""
    untyped = message.get("type") is None and "name" in message and not {"role", "content"} <= message.keys()
    return message.get("type") == "placeholder" or untyped


def _check_chat(fields: Fields, prompt: Any) -> None:
    if not isinstance(prompt, list):
        fields.wrong("prompt", f"Invalid input: expected array, received {kind(prompt)}")
        return
    for index, message in enumerate(prompt):
        inner = Fields(message, ("prompt", index))
        if is_placeholder(inner.value):
            inner.choice("type", ("placeholder",))
            name = inner.text("name", required=True)
            if name is not None and not _PLACEHOLDER.fullmatch(name):
                inner.wrong("name", "Placeholder name must start with a letter and have letters, digits and _ only")
        else:
            inner.choice("type", ("chatmessage",))
            inner.text("role", required=True)
            inner.text("content", required=True)
        fields.issues += inner.issues


def _check_names(prompt: Any) -> None:
    """A variable and a placeholder must not share a name."""
    if not isinstance(prompt, list):
        return
    placeholders = {message["name"] for message in prompt if is_placeholder(message)}
    contents = [message["content"] for message in prompt if not is_placeholder(message)]
    variables = {name for content in contents for name in _VARIABLE.findall(content)}
    if shared := sorted(placeholders & variables):
        raise Refused.invalid(
            "Cannot create prompt, variables and placeholders must be unique, the following are not: "
            + ", ".join(shared)
        )
