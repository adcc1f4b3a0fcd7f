"""What a prompt may hold: plain variables, known roles, JSON parameters; the rest is refused before it is paid for."""

from __future__ import annotations

import re

from workbench.errors import PromptError, choices
from workbench.records import Message, canonical

CONSTRUCT = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
"""Anything in double braces."""
_VARIABLE = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*")
_NAME = re.compile(r"[A-Za-z0-9_.\-]+(/[A-Za-z0-9_.\-]+)*")
_ROLES = frozenset({"system", "user", "assistant"})
_LANGFUSE_INCLUDE = "@@@langfusePrompt"


def is_name(name: object) -> bool:
    """Whether this is a prompt's name: a path of plain words."""
    return isinstance(name, str) and bool(_NAME.fullmatch(name)) and not {".", ".."} & set(name.split("/"))


def check_messages(template: object, where: str) -> None:
    """Refuse a template that is neither text nor messages with a user among them. Raises PromptError."""
    if isinstance(template, str):
        if not template.strip():
            raise PromptError(f"{where}: the prompt is empty")
        return
    if not isinstance(template, tuple) or not template or not all(isinstance(m, Message) for m in template):
        raise PromptError(f"{where}: the prompt must be a text or a tuple of messages")
    for message in template:
        if not isinstance(message.role, str) or message.role not in _ROLES:
            raise PromptError(f"{where}: role {message.role!r}: {choices(str(message.role), _ROLES)}")
        if not isinstance(message.content, str):
            raise PromptError(f"{where}: the content of a {message.role} message must be text")
    if all(message.role == "system" for message in template):
        raise PromptError(f"{where}: a chat prompt needs at least one user message")


def check_config(config: object, where: str) -> None:
    """Refuse parameters that are no plain JSON data. Raises PromptError."""
    if not isinstance(config, dict):
        raise PromptError(f"{where}: config must be a mapping")
    try:
        canonical(config)
    except (TypeError, ValueError) as error:
        raise PromptError(f"{where}: config must be plain JSON data: {error}") from None
    by_provider = config.get("by_provider", {})
    if not isinstance(by_provider, dict) or not all(isinstance(value, dict) for value in by_provider.values()):
        raise PromptError(f"{where}: config.by_provider must map provider names to mappings")


def check_constructs(text: str, where: str) -> None:
    """Refuse all that Langfuse's compiler or server would read differently from us. Raises PromptError."""
    if _LANGFUSE_INCLUDE in text:
        raise PromptError(f"{where}: {_LANGFUSE_INCLUDE} would be expanded by the Langfuse server; write the text out")
    for match in CONSTRUCT.finditer(text):
        if not _VARIABLE.fullmatch(match.group(1)):
            raise PromptError(f"{where}: {match.group(0)[:60]!r}: only a variable name may stand inside {{{{ }}}}; "
                              "a literal '{{' must come in through a variable")  # fmt: skip
    rest = CONSTRUCT.sub("", text)
    if "{{" in rest or "{%" in rest:
        raise PromptError(f"{where}: unclosed or unknown construct near {_near(rest)!r}; variables are {{{{name}}}}")


def _near(text: str) -> str:
    at = min(i for i in (text.find("{{"), text.find("{%")) if i >= 0)
    return text[at : at + 30]
