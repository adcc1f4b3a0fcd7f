"""What every stand-in server has in common, seen from inside its own process: one line of JSON in, one line out, then
serve on the loopback until stdin ends or SIGTERM.

Serving ends with stdin so that a parent that is killed leaves no process behind.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import sys
import threading
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

HOST = "127.0.0.1"
STDIN = 0


class PortTaken(OSError):
    """Somebody else listens on the wanted port."""


def host(serve: Callable[[str, Callable[[dict[str, Any]], None], asyncio.Event], Awaitable[None]]) -> int:
    """Run one server for the parent process; 0 when told to stop, 1 when it could not start.

    `serve(line, ready, stop)` gets the parent's line, says hello through `ready`, and returns soon after `stop` is set.
    """
    try:
        asyncio.run(_serve(serve, _first_line()))
    except (OSError, ValueError, TypeError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


@asynccontextmanager
async def listening(server: web.Server | web.Application, port: int) -> AsyncIterator[str]:
    """The URL of a running server, on the loopback only; raises PortTaken if somebody else has the port."""
    if isinstance(server, web.Application):
        # The application unpacks bodies itself: aiohttp takes a cut one for a shorter one.
        runner: web.BaseRunner = web.AppRunner(server, access_log=None, shutdown_timeout=0.1, auto_decompress=False)
    else:
        runner = web.ServerRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, HOST, port, backlog=1024)
        try:
            await site.start()
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise PortTaken(f"port {port} on {HOST} is taken; choose another, or 0 for any free one") from None
        yield f"http://{HOST}:{runner.addresses[0][1]}"
    finally:
        with suppress(TimeoutError):
            await runner.cleanup()


async def _serve(
    serve: Callable[[str, Callable[[dict[str, Any]], None], asyncio.Event], Awaitable[None]], line: str
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    # A thread, because stdin may be a file or a terminal, which an event loop cannot watch everywhere.
    threading.Thread(target=_wait_for_end, args=(loop, stop), daemon=True).start()
    await serve(line, _say_hello, stop)


def _say_hello(hello: dict[str, Any]) -> None:
    print(json.dumps(hello), flush=True)


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
