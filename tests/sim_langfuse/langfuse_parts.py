"""What the tests of the stand-in Langfuse share: keys of their own, and plain HTTP without any SDK."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workbench.sim import StandInLangfuse

PAIR = ("pk-lf-sim-tests", "sk-lf-sim-tests")
OTHER = ("pk-lf-sim-others", "sk-lf-sim-others")
PROMPTS = "/api/public/v2/prompts"
SCORES = "/api/public/scores"
ITEMS = "/api/public/dataset-items"
TRACES = "/api/public/otel/v1/traces"


@dataclass(frozen=True, slots=True)
class Heard:
    """An answer: its status, its JSON value (or its text where it is no JSON), its headers in lower case."""

    status: int
    value: Any
    headers: Mapping[str, str]


def basic(pair: tuple[str, str]) -> str:
    """The Authorization header of a pair of keys."""
    return "Basic " + base64.b64encode(":".join(pair).encode()).decode()


def ask(
    server: StandInLangfuse,
    method: str,
    path: str,
    body: Any = None,
    *,
    headers: Mapping[str, str | None] | None = None,
) -> Heard:
    """One request; `body` is sent as JSON unless it is bytes; a header of None is left out."""
    given = {"Authorization": basic(PAIR), "Content-Type": "application/json", **(headers or {})}
    data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    connection = HTTPConnection(urlsplit(server.url).netloc, timeout=10)
    try:
        connection.request(method, path, data, {name: value for name, value in given.items() if value is not None})
        response = connection.getresponse()
        text = response.read().decode()
        heads = {name.lower(): value for name, value in response.getheaders()}
    finally:
        connection.close()
    value = json.loads(text) if heads.get("content-type", "").startswith("application/json") else text
    return Heard(response.status, value, heads)


def make(server: StandInLangfuse, name: str = "p", prompt: Any = "text", **more: Any) -> Heard:
    """A new prompt version, by plain HTTP."""
    return ask(server, "POST", PROMPTS, {"name": name, "prompt": prompt, **more})


def move(server: StandInLangfuse, version: int, *labels: str, name: str = "p") -> Heard:
    """A move of labels, by plain HTTP."""
    return ask(server, "PATCH", f"{PROMPTS}/{name}/versions/{version}", {"newLabels": list(labels)})


def labels(server: StandInLangfuse, name: str = "p") -> dict[int, set[str]]:
    """The labels of each version of a prompt, without `latest`, read version by version."""
    listed = ask(server, "GET", f"{PROMPTS}?name={name}").value["data"]
    versions = listed[0]["versions"] if listed else []
    read = {version: ask(server, "GET", f"{PROMPTS}/{name}?version={version}").value for version in versions}
    return {version: set(one["labels"]) - {"latest"} for version, one in read.items()}
