"""Parts that several tests of the stand-in server share."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import anthropic
import jsonschema
import ollama
import openai
import pytest
import yaml

from workbench.sim.cases import KnownCase

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

T = TypeVar("T")

QUICK: dict[str, Any] = {"verify": False}
"""Loading certificates takes longer than all calls of a test together, and the loopback needs none."""

ROOT = Path(__file__).resolve().parents[2]
SPECS = ROOT.parent / "shared" / "specs"
SYSTEM = "category is one of: billing, hardware, app.\nAnswer with one JSON object."
CASES = tuple(
    KnownCase("tickets", name, {"ticket": ticket}, {"category": category, "priority": priority})
    for name, ticket, category, priority in (
        ("c1", "The clamp on my second phase has shown zero since Monday morning.", "hardware", "normal"),
        ("c2", "You took the yearly fee from my card twice, please give one back.", "billing", "high"),
        ("c3", "The graph in the phone app is drawn upside down after the update.", "app", "low"),
        ("c4", "hub dead", "hardware", "high"),
    )
)
TICKET = CASES[0].inputs["ticket"]


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run one coroutine to its end."""
    return asyncio.run(work)


@asynccontextmanager
async def claude(url: str, **options: Any) -> AsyncIterator[anthropic.AsyncAnthropic]:
    """Anthropic's own client."""
    options = {"api_key": "x", "http_client": anthropic.DefaultAsyncHttpxClient(**QUICK), **options}
    async with anthropic.AsyncAnthropic(base_url=url, max_retries=0, open_telemetry=False, **options) as client:
        yield client


@asynccontextmanager
async def gpt(url: str, **options: Any) -> AsyncIterator[openai.AsyncOpenAI]:
    """OpenAI's own client."""
    options = {"api_key": "x", "http_client": openai.DefaultAsyncHttpxClient(**QUICK), **options}
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", max_retries=0, **options) as client:
        yield client


@asynccontextmanager
async def llama(url: str, timeout: float = 5.0) -> AsyncIterator[ollama.AsyncClient]:
    """Ollama's own client."""
    client = ollama.AsyncClient(host=url, timeout=timeout, **QUICK)
    try:
        yield client
    finally:
        await client._client.aclose()


def turns(text: str = TICKET, system: str | None = SYSTEM) -> list[Any]:
    """A question as a list of messages."""
    first = [{"role": "system", "content": system}] if system else []
    return [*first, {"role": "user", "content": text}]


def ask_claude(text: str = TICKET, **more: Any) -> dict[str, Any]:
    """Arguments of one Messages call."""
    plain = {"model": "claude-haiku-5-5", "max_tokens": 500, "system": SYSTEM, "messages": turns(text, None)}
    return {**plain, **more}


async def ask_gpt(client: openai.AsyncOpenAI, endpoint: str, **more: Any) -> Any:
    """The usual question to one of OpenAI's endpoints."""
    if endpoint == "chat":
        return await client.chat.completions.create(**{"model": "gpt-6-luna", "messages": turns(), **more})
    return await client.responses.create(**{"model": "gpt-6-luna", "input": TICKET, **more})


async def drain(reply: Any) -> None:
    """Read a stream to its end; whole replies have none."""
    if hasattr(reply, "__aiter__"):
        async for _ in reply:
            pass


@cache
def spec(name: str) -> dict[str, Any]:
    """An interface specification; skips the test where the folder is not there."""
    path = SPECS / name
    if not path.exists():
        pytest.skip(f"the specifications are not beside this repository ({name})")
    text = path.read_text()
    loaded: dict[str, Any] = json.loads(text) if path.suffix == ".json" else yaml.load(text, yaml.CSafeLoader)
    _spell_out_null(loaded)
    return loaded


def _spell_out_null(part: Any) -> None:
    """Where a specification says `nullable`, which JSON Schema does not know, allow null in its own words."""
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        _spell_out_null(inner)
    if isinstance(part, dict) and part.get("nullable") is True and isinstance(part.get("type"), str):
        part["type"] = [part["type"], "null"]
        if "enum" in part:
            part["enum"] = [*part["enum"], None]


def conforms(name: str, schema: str, value: Any) -> None:
    """Fail unless `value` is what the specification calls `schema`."""
    whole = {"$ref": f"#/components/schemas/{schema}", "components": spec(name)["components"]}
    jsonschema.Draft202012Validator(whole).validate(value)
