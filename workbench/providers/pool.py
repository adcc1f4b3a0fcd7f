"""How every adapter keeps its HTTP connections."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

    from workbench.providers import Connection

KEPT_OPEN_S = 30.0
"""An idle connection is closed after this, before the other side may have dropped it."""


def pool_settings(connection: Connection, library: ModuleType) -> dict[str, Any]:
    """Arguments for a client of `library`, httpx or httpx2; as they come, they keep few connections and reopen the rest."""
    settings: dict[str, Any] = {
        "limits": library.Limits(
            max_connections=connection.concurrency,
            max_keepalive_connections=connection.concurrency,
            keepalive_expiry=KEPT_OPEN_S,
        ),
        "timeout": connection.timeout_s,
        "follow_redirects": False,  # prompts go where we were told to send them, and nowhere else
        "trust_env": not connection.stand_in,  # no proxy stands between us and a server on this machine
    }
    if connection.base_url is not None and connection.base_url.startswith("http://"):
        # Loading the authorities costs as much CPU as 50 calls, and nobody shows a certificate there.
        settings["verify"] = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return settings
