"""Stand-in servers: one that speaks the wire formats of three model vendors, and a Langfuse; loopback only.

Importing this costs nothing: the server's library is loaded only in the child process that serves.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from workbench.sim.origin import origin_of

if TYPE_CHECKING:
    from workbench.sim.behaviour import Behaviour
    from workbench.sim.langfuse.process import StandInLangfuse
    from workbench.sim.process import StandIn
    from workbench.sim.recordings import Recordings

__all__ = ["Behaviour", "Recordings", "StandIn", "StandInLangfuse", "origin_of"]

_HOMES = {
    "Behaviour": "workbench.sim.behaviour",
    "Recordings": "workbench.sim.recordings",
    "StandIn": "workbench.sim.process",
    "StandInLangfuse": "workbench.sim.langfuse.process",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
