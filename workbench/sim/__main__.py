"""`python -m workbench.sim`: one line of JSON in, one line of JSON out, then serve until stdin ends or SIGTERM.

Serving ends with stdin so that a parent that is killed leaves no process behind.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading

from workbench.sim.config import Config
from workbench.sim.server import serve

STDIN = 0


def main() -> int:
    """Run one server for the parent process; 0 when told to stop, 1 when it could not start."""
    try:
        config = Config.from_json(_first_line())
        asyncio.run(_serve(config))
    except (OSError, ValueError, TypeError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


async def _serve(config: Config) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    # A thread, because stdin may be a file or a terminal, which an event loop cannot watch everywhere.
    threading.Thread(target=_wait_for_end, args=(loop, stop), daemon=True).start()

    def ready(url: str) -> None:
        print(json.dumps({"url": url, "origin": config.origin, "source": config.source}), flush=True)

    await serve(config, ready, stop)


def _first_line() -> str:
    """Read up to the first newline, unbuffered: a buffered stdin would be locked by the waiting thread at exit."""
    parts: list[bytes] = []
    while part := os.read(STDIN, 1 << 20):
        parts.append(part)
        if b"\n" in part:
            break
    return b"".join(parts).decode().partition("\n")[0]


def _wait_for_end(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    while os.read(STDIN, 1 << 16):
        pass
    if not loop.is_closed():
        loop.call_soon_threadsafe(stop.set)


if __name__ == "__main__":
    sys.exit(main())
