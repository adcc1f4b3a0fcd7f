"""How every adapter keeps its HTTP connections."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

    from workbench.providers import Connection

KEPT_OPEN_S = 30.0
"""An idle connection is closed after this, before the other side may have dropped it."""


def pool_settings(connection: Connection, library: ModuleType, size: int) -> dict[str, Any]:
    """Arguments for a client of `library`, httpx or httpx2, that keeps `size` connections; left alone it keeps few."""
    plain = connection.base_url is not None and connection.base_url.startswith("http://")
    return {
        "limits": library.Limits(max_connections=size, max_keepalive_connections=size, keepalive_expiry=KEPT_OPEN_S),
        # Loading the authorities costs as much CPU as 50 calls, and nobody shows a certificate over plain HTTP.
        "verify": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if plain else library.create_ssl_context(),
        "timeout": connection.timeout_s,
        "follow_redirects": False,  # prompts go where we were told to send them, and nowhere else
        "trust_env": not connection.stand_in,  # no proxy stands between us and a server on this machine
    }
