"""What every stand-in server has in common, seen from the process that starts it: a child, told by one line of JSON,
that answers with one line and ends with its stdin."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from types import TracebackType

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 5.0
"""How long a child may take to end once its stdin is closed."""


class StandInFailed(RuntimeError):
    """The child process did not start or has died; the message ends with what it wrote to stderr."""


class Child:
    """A server as a child process: `python -m MODULE`, configured by one line of JSON.

    Use it as a context manager, or call `start` and `close`; it is closed at exit in any case.
    """

    def __init__(self, module: str) -> None:
        self.url = ""
        self._module = module
        self._process: subprocess.Popen[bytes] | None = None
        self._stderr: IO[bytes] | None = None

    def _told(self) -> str:
        """The line of JSON that the child is started with."""
        raise NotImplementedError

    def start(self) -> str:
        """Start the server if it is not running, and return its URL; raises StandInFailed if it cannot start."""
        if self._process is not None:
            return self.url
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  (closed with the child)
        self._process = subprocess.Popen(  # noqa: S603  (our own modules)
            [sys.executable, "-m", self._module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env={**os.environ, "PYTHONPATH": _search_path()},
            # An interrupt in a terminal or notebook is for the caller alone.
            start_new_session=True,
        )
        atexit.register(self.close)
        self.url = self._shake_hands(self._process)
        return self.url

    def _shake_hands(self, process: subprocess.Popen[bytes]) -> str:
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):  # It died already; the missing answer tells.
            process.stdin.write(self._told().encode() + b"\n")
            process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            process.wait()
            message = self._complaint()
            self.close()
            raise StandInFailed(f"the stand-in server did not start: {message}")
        return str(json.loads(line)["url"])

    def _complaint(self) -> str:
        if self._stderr is None:
            return ""
        self._stderr.seek(0)
        return self._stderr.read().decode(errors="replace").strip()

    def control(self, path: str, value: Any = None, method: str | None = None) -> Any:
        """Steer the running server: `control("stats")`, `control("faults", [...])`, `control("reset", {})`.

        Sends a GET without `value` and a POST with it, to /sim/PATH; raises StandInFailed with its complaint.
        """
        connection = HTTPConnection(urlsplit(self.url).netloc, timeout=PATIENCE_S)
        try:
            body = None if value is None else json.dumps(value)
            connection.request(method or ("GET" if value is None else "POST"), f"/sim/{path}", body)
            response = connection.getresponse()
            answer = json.loads(response.read())
        except OSError as error:
            raise StandInFailed(f"the stand-in server does not answer: {error}. {self._complaint()}") from error
        finally:
            connection.close()
        if response.status != 200:
            raise StandInFailed(f"/sim/{path}: {answer['error']['message']}")
        return answer

    def close(self) -> None:
        """End the child process; harmless when it is not running."""
        process, self._process = self._process, None
        atexit.unregister(self.close)
        if process is not None:
            _end(process)
        if self._stderr is not None:
            self._stderr.close()
            self._stderr = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    """Close its stdin, which it takes as the end; insist if it does not."""
    if process.stdin is not None:
        with suppress(BrokenPipeError):  # It has died already.
            process.stdin.close()
    try:
        process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _search_path() -> str:
    """So that the child finds this package wherever the parent found it."""
    return os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
