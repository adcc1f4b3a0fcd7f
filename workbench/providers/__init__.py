"""Adapters over the vendors' own SDKs: a `Request` goes in, a `Reply` comes out, or a `CallError`.

One file per SDK, and nothing above this package knows how a vendor spells a parameter, counts tokens or fails. An
adapter sends once: retries, budget, cache and prices belong to the caller. It holds one SDK client, so it lives in one
event loop.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from workbench.errors import SettingsError, choices

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from workbench.records import Reply, Request

__all__ = ["PROVIDERS", "Connection", "Provider", "open_provider"]

PROVIDERS: dict[str, str] = {
    "anthropic": "workbench.providers.anthropic:Anthropic",
    "ollama": "workbench.providers.ollama:Ollama",
    "openai": "workbench.providers.openai:OpenAI",
}

TRANSPORTS = ("aiohttp", "httpx")

KEYLESS = frozenset({"ollama"})


@dataclass(frozen=True, slots=True)
class Connection:
    """Who answers for a provider: everything an adapter needs, so that no environment variable decides anything.

    `base_url` None is the vendor's own address. `stand_in` says that a stand-in server answers: only those are sent the
    `x-workbench-*` headers. `timeout_s` bounds the silence of the server, in seconds. `concurrency` sizes the pool of
    connections. `transport` is aiohttp or httpx; ollama always speaks httpx.
    """

    provider: str
    api_key: str = field(repr=False)
    base_url: str | None = None
    stand_in: bool = False
    timeout_s: float = 120.0
    concurrency: int = 64
    transport: str = "aiohttp"


class Provider(Protocol):
    """What every adapter can do. All failures are `CallError`; nothing is tried twice."""

    async def complete(self, request: Request) -> Reply:
        """The whole answer."""
        ...

    def stream(self, request: Request) -> AsyncIterator[str | Reply]:
        """Pieces of text as they come, then exactly one `Reply`, last; its text is the pieces joined."""
        ...

    async def close(self) -> None:
        """Closes the connections; the adapter cannot be used after."""
        ...


def open_provider(connection: Connection) -> Provider:
    """The adapter for this connection; its SDK is imported now, and only this one.

    Raises SettingsError for an unknown provider or transport, a key that cannot be sent, or an address without http.
    """
    if connection.provider not in PROVIDERS:
        raise SettingsError(f"no provider {connection.provider!r}: {choices(connection.provider, PROVIDERS)}")
    if connection.transport not in TRANSPORTS:
        raise SettingsError(f"no transport {connection.transport!r}: {choices(connection.transport, TRANSPORTS)}")
    if connection.base_url is not None and not connection.base_url.startswith(("http://", "https://")):
        raise SettingsError(f"the address of {connection.provider} must begin with http:// or https://")
    _check_key(connection)
    module, _, name = PROVIDERS[connection.provider].partition(":")
    return cast("Provider", getattr(import_module(module), name)(connection))


def _check_key(connection: Connection) -> None:
    """A key copied with a line break would fail deep inside HTTP, in a message that quotes it."""
    key = connection.api_key
    if not key and connection.provider not in KEYLESS:
        raise SettingsError(
            f"{connection.provider} needs a key; for a server of your own that wants none, any word will do"
        )
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise SettingsError(f"the key for {connection.provider} has spaces, line breaks or accents; copy it again")
