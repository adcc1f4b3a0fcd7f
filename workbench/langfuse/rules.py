"""What Langfuse would refuse, change or expand, refused here, before anything is sent."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from workbench.errors import LangfuseRefused
from workbench.langfuse.masking import key_in
from workbench.langfuse.stamp import is_stampable, stamped
from workbench.langfuse.wire import length, plain, size, spoiled, texts

if TYPE_CHECKING:
    from workbench.prompts import Prompt

LONGEST_NAME = 255
LONGEST_COMMIT_MESSAGE = 500
LARGEST_PROMPT = 1_000_000
LARGEST_ITEM = 4_500_000
PRODUCTION = "production"
LATEST = "latest"

_INCLUDE = "@@@langfusePrompt"
_HTML = re.compile(r"<[^>]*>")
_TAKEN = frozenset({"new", "metrics", "prompt-detail"})
_LABEL = re.compile(r"[a-z0-9_\-.]{1,36}")


def checked_body(prompt: Prompt) -> dict[str, Any]:
    """A prompt as Langfuse takes it, without labels. Raises LangfuseRefused."""
    where = f"prompt {prompt.ref}"
    check_name(where, prompt.name)
    if prompt.name in _TAKEN:
        raise LangfuseRefused(f"{where}: Langfuse keeps the name {prompt.name!r} for itself; choose another")
    if not is_stampable(prompt.version):
        raise LangfuseRefused(f"{where}: a version is written with letters, digits, '-', '_' and '.', at most 64")
    body = {
        "name": prompt.name,
        "type": "text" if isinstance(prompt.template, str) else "chat",
        "prompt": prompt.plain,
        "config": plain(dict(prompt.config)),
        "tags": list(prompt.tags) or None,  # they are shared by all versions: none given leaves those that are there
        "commitMessage": stamped(prompt),
    }
    check_texts(where, body)
    for text in texts(body):
        if _INCLUDE in text:
            raise LangfuseRefused(f"{where}: {_INCLUDE} would be expanded by the server; write the text out")
        if kind := key_in(text):
            raise LangfuseRefused(f"{where}: it holds what looks like a key ({kind}); prompts go out as they are")
    if (long := length(body["commitMessage"])) > LONGEST_COMMIT_MESSAGE:
        spare = LONGEST_COMMIT_MESSAGE - (long - length(prompt.commit_message))
        raise LangfuseRefused(f"{where}: the commit message is too long: Langfuse leaves room for {spare} characters")
    if (bytes_ := size(body)) > LARGEST_PROMPT:
        raise LangfuseRefused(f"{where}: {bytes_:,} bytes, and Langfuse takes {LARGEST_PROMPT:,} at most")
    return body


def check_name(where: str, name: str) -> None:
    """Names of prompts and datasets. Raises LangfuseRefused."""
    segments = name.split("/")
    if not all(segments) or {".", ".."} & set(segments):
        raise LangfuseRefused(f"{where}: a name is not empty and has no slash at an end and no two in a row")
    if "|" in name or _HTML.search(name):
        raise LangfuseRefused(f"{where}: Langfuse takes no '|' and no HTML tag in a name")
    if length(name) > LONGEST_NAME:
        raise LangfuseRefused(f"{where}: a name has {LONGEST_NAME} characters at most")


def check_texts(where: str, data: Any) -> None:
    """Raises LangfuseRefused for what would not come back from Langfuse as it was."""
    if what := spoiled(data):
        raise LangfuseRefused(f"{where}: it holds {what} which Langfuse does not keep")


def check_label(label: str) -> None:
    """Raises LangfuseRefused for what is no label, and for the one that Langfuse sets itself."""
    if not _LABEL.fullmatch(label):
        raise LangfuseRefused(f"label {label!r}: use 1 to 36 of a-z, 0-9, '_', '-' and '.'")
    if label == LATEST:
        raise LangfuseRefused(f"label {LATEST!r}: Langfuse sets it itself, to the newest version")
