"""`python -m workbench.sim`: the stand-in for the model vendors, for the parent process."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from workbench.sim.config import Config
from workbench.sim.hosting import host
from workbench.sim.server import serve

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable


async def _serve(line: str, ready: Callable[[dict[str, Any]], None], stop: asyncio.Event) -> None:
    config = Config.from_json(line)
    hello = {"origin": config.origin, "source": config.source}
    await serve(config, lambda url: ready({"url": url, **hello}), stop)


if __name__ == "__main__":
    sys.exit(host(_serve))
