"""The Langfuse project that the settings name, and who is a stand-in."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from workbench import settings
from workbench.errors import SettingsError
from workbench.langfuse.server import Address, Server

NAMES = ("LANGFUSE_BASE_URL", "LANGFUSE_PUBLIC_KEY", "LANGFUSE_SECRET_KEY")
PROBE_S = 2.0


class ConfiguredProject:
    """The project that LANGFUSE_BASE_URL, LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY name; opened on first use."""

    def __init__(self) -> None:
        self._server: Server | None = None

    @property
    def is_set(self) -> bool:
        """Whether all three settings are there. There is no default address."""
        return all(settings.setting(name).text for name in NAMES)

    def server(self) -> Server | None:
        """The project; None when nothing is set. Raises SettingsError when it is set by halves."""
        if self._server is None:
            texts = [settings.setting(name).text for name in NAMES]
            if not any(texts):
                return None
            if missing := [name for name, text in zip(NAMES, texts, strict=True) if not text]:
                raise SettingsError(f"Langfuse is set by halves: {', '.join(missing)} is missing")
            url, public, secret = map(str, texts)
            self._server = Server(Address(url, public, secret, is_stand_in(url)))
        return self._server

    def close(self) -> None:
        """Close the connection."""
        if self._server is not None:
            self._server.close()
            self._server = None


def who_is_at(url: str) -> Any:
    """What a stand-in server says of itself; None from anybody else. Stand-ins listen on the loopback only, so nobody
    else is asked."""
    import json
    from http.client import HTTPConnection, HTTPException

    try:
        parts = urlsplit(url)
        port = parts.port or 80
    except ValueError:  # no address at all
        return None
    if parts.hostname not in ("127.0.0.1", "localhost", "::1"):
        return None
    probe = HTTPConnection(str(parts.hostname), port, timeout=PROBE_S)
    try:
        probe.request("GET", "/sim/identity")
        return json.loads(probe.getresponse().read(4096))
    except (OSError, HTTPException, ValueError):
        return None
    finally:
        probe.close()


def is_stand_in(url: str) -> bool:
    """Whether a stand-in Langfuse listens there."""
    identity = who_is_at(url)
    return isinstance(identity, dict) and identity.get("origin") == "sim:langfuse"
