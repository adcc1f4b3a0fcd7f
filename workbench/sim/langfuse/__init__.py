"""A stand-in for a Langfuse server (4.59 and later, as SDK 5 talks to it): real HTTP, state in one SQLite file."""

from __future__ import annotations

from workbench.sim.langfuse.config import PUBLIC_KEY, SECRET_KEY, project_of
from workbench.sim.langfuse.process import StandInLangfuse

__all__ = ["PUBLIC_KEY", "SECRET_KEY", "StandInLangfuse", "project_of"]
