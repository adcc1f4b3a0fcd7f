"""A relay in front of the stand-in: it plays what only a real server, or somebody on the way to it, does."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

Ask = Callable[[str, str], "str | tuple[int, bytes]"]
Answer = Callable[[str, str, Any], Any]


class Between:
    """`ask(method, path)` gives the path to ask for instead, or an answer (status, body) at once; `answer(method, path,
    value)` gives the JSON value to answer with instead."""

    def __init__(self, url: str) -> None:
        self.ask: Ask = lambda method, path: path
        self.answer: Answer = lambda method, path, value: value
        self.target = urlsplit(url).netloc
        relay = self

        class Hop(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def relay(self) -> None:
                relay.serve(self)

            do_GET = do_POST = do_PATCH = relay  # noqa: N815  # the library's names

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Hop)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def serve(self, hop: BaseHTTPRequestHandler) -> None:
        """One request."""
        sent = hop.rfile.read(int(hop.headers.get("content-length") or 0))
        asked = self.ask(hop.command, hop.path)
        status, body = asked if isinstance(asked, tuple) else self._forwarded(hop, asked, sent)
        hop.send_response(status)
        hop.send_header("content-type", "application/json")
        hop.send_header("content-length", str(len(body)))
        hop.send_header("connection", "close")
        hop.end_headers()
        hop.wfile.write(body)
        hop.close_connection = True

    def _forwarded(self, hop: BaseHTTPRequestHandler, path: str, sent: bytes) -> tuple[int, bytes]:
        there = HTTPConnection(self.target, timeout=10)
        try:
            headers = {name: value for name, value in hop.headers.items() if name.lower() != "host"}
            there.request(hop.command, path, sent or None, headers)
            response = there.getresponse()
            body = response.read()
            if response.status < 300:
                body = json.dumps(self.answer(hop.command, path, json.loads(body))).encode()
            return response.status, body
        finally:
            there.close()

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
