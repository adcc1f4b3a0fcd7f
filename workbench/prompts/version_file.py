"""A version file's text: YAML with exactly Langfuse's keys, read and written without a loss."""

from __future__ import annotations

import json
import re
from typing import Any

from workbench.errors import PromptError, choices
from workbench.prompts.prompt import Prompt
from workbench.records import Message, canonical

KEYS = ("name", "type", "prompt", "config", "tags", "commit_message")
_UNSAFE_IN_YAML = re.compile(
    r"\A\s|[^\S\n](?:\n|\Z)|[^\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)


def to_yaml(prompt: Prompt) -> str:
    """The prompt as a version file's text; loading it again gives the same content hash."""
    import yaml

    class Blocks(yaml.SafeDumper):
        pass

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        # YAML reads other line breaks as "\n", and PyYAML's own choice of style does not see that; quotes with escapes
        # keep them. A block that begins with white space would need a hint that PyYAML gets wrong in lists.
        style = '"' if _UNSAFE_IN_YAML.search(value) else "|" if "\n" in value else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    Blocks.add_representer(str, text)
    content = {
        "name": prompt.name,
        "type": "text" if isinstance(prompt.template, str) else "chat",
        "prompt": prompt.plain,
        "config": json.loads(canonical(dict(prompt.config))),  # numpy's numbers and tuples become plain ones
        "tags": list(prompt.tags),
        "commit_message": prompt.commit_message,
    }
    return yaml.dump(content, Dumper=Blocks, sort_keys=False, allow_unicode=True, width=100)


def from_yaml(text: str, name: str, version: str) -> Prompt:
    """The prompt that a version file holds. Raises PromptError saying what is wrong with it."""
    import yaml

    try:
        content = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  # both are safe
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date such as 2026-99-99
        raise PromptError(f"cannot be read as YAML: {error}") from None
    return _from_content(content, name, version)


def check_survives(text: str, prompt: Prompt) -> None:
    """A version that could not be loaded again, or as something else, must never be written. Raises PromptError."""
    try:
        same = from_yaml(text, prompt.name, prompt.version).sha == prompt.sha
    except PromptError as error:
        raise PromptError(f"{prompt.ref} cannot be saved: {error}") from None
    if not same:
        raise PromptError(f"{prompt.ref} cannot be saved: it holds characters that YAML does not keep")


def _from_content(content: Any, name: str, version: str) -> Prompt:
    if not isinstance(content, dict):
        raise PromptError(f"must be a mapping with the keys {', '.join(KEYS)}")
    if unknown := [str(key) for key in content if key not in KEYS]:
        raise PromptError(f"unknown key {unknown[0]!r}: {choices(unknown[0], KEYS)}")
    if missing := [key for key in ("name", "type", "prompt") if key not in content]:
        raise PromptError(f"missing {', '.join(missing)}")
    if content["name"] != name:
        raise PromptError(f"says name {content['name']!r}, but its folder is {name!r}")
    if content["type"] not in ("text", "chat"):
        raise PromptError(f"type {content['type']!r}: must be text or chat")
    tags = content.get("tags") or []
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise PromptError("tags must be a list of words: [support, german]")
    if not isinstance(content.get("commit_message") or "", str):
        raise PromptError("commit_message must be text")
    template = content["prompt"]
    if (content["type"] == "text") != isinstance(template, str):
        found = "text" if isinstance(template, str) else "no text"
        raise PromptError(f"type is {content['type']}, but prompt is {found}")
    return Prompt(
        name=name,
        template=template if isinstance(template, str) else _messages(template),
        config=content.get("config") or {},
        tags=tuple(tags),
        commit_message=content.get("commit_message") or "",
        version=version,
    )


def _messages(entries: Any) -> tuple[Message, ...]:
    if not isinstance(entries, list) or not all(isinstance(e, dict) and set(e) == {"role", "content"} for e in entries):
        raise PromptError("a chat prompt is a list of entries with exactly role and content")
    return tuple(Message(entry["role"], entry["content"]) for entry in entries)
