"""`python -m workbench.sim.langfuse`: the stand-in Langfuse, for the parent process."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from workbench.sim.hosting import host
from workbench.sim.langfuse.config import Config
from workbench.sim.langfuse.server import serve

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable


async def _serve(line: str, ready: Callable[[dict[str, Any]], None], stop: asyncio.Event) -> None:
    await serve(Config.from_json(line), ready, stop)


if __name__ == "__main__":
    sys.exit(host(_serve))
