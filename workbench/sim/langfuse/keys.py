"""Who may ask what: Basic with both keys of a project for everything, Bearer with the public key for sending scores."""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import TYPE_CHECKING

from workbench.sim.langfuse.calls import Refused
from workbench.sim.langfuse.config import project_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workbench.sim.langfuse.routes import Route

FOR_BEARER = "POST /api/public/scores"
WRONG = "Invalid credentials. Confirm that you've configured the correct host."


class Keys:
    """The pairs of (public, secret) keys that this server knows."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._secrets = dict(pairs)

    def project(self, header: str | None, route: Route) -> str:
        """The project that an Authorization header opens for a route; raises Refused with 401 or 403."""
        if header is None:
            raise _refused(route, 401, "No authorization header", "UnauthorizedError")
        scheme, _, rest = header.partition(" ")
        if scheme.lower() == "bearer" and rest in self._secrets:
            if route.name != FOR_BEARER:
                raise _refused(route, 403, "Access denied: a public key alone may send scores only", "ForbiddenError")
            return project_of(rest)
        public, secret = _pair(rest) if scheme.lower() == "basic" else ("", "")
        if not hmac.compare_digest(self._secrets.get(public, "").encode(), secret.encode()) or not secret:
            raise _refused(route, 401, WRONG, "UnauthorizedError")
        return project_of(public)


def _pair(text: str) -> tuple[str, str]:
    try:
        public, _, secret = base64.b64decode(text, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return "", ""
    return public, secret


def _refused(route: Route, status: int, message: str, error: str) -> Refused:
    return Refused(status, message, None if route.terse else error)
