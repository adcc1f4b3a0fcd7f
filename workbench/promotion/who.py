"""Which Langfuse is meant, and who is at it."""

from __future__ import annotations

import getpass
from contextlib import suppress
from typing import TYPE_CHECKING

from workbench.client import current
from workbench.errors import SettingsError

if TYPE_CHECKING:
    from workbench.langfuse.server import Server


NOT_SET = (
    "no Langfuse is set: give LANGFUSE_BASE_URL, LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY in the environment or "
    ".env. There is no default address: nothing is sent to a server that nobody named."
)


def server_in_use() -> Server:
    """The Langfuse of the session in use. Raises SettingsError saying what is missing."""
    found = current().langfuse()
    if found is None:
        raise SettingsError(NOT_SET)
    return found


def me() -> str:
    """Who is at it, as far as this machine knows: git's user name, else the account. A claim, not a proof."""
    import subprocess

    with suppress(OSError, subprocess.SubprocessError):
        asked = subprocess.run(["git", "config", "user.name"], capture_output=True, text=True, timeout=5, check=False)  # noqa: S607
        if asked.stdout.strip():
            return asked.stdout.strip()[:100]
    with suppress(OSError, KeyError):
        return getpass.getuser()
    return "unknown"
