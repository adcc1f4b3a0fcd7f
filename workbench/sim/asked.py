"""What a request asks, whatever wire format it came in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from workbench.records import canonical, sha256

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workbench.records import Request

ROUTING = frozenset(
    {
        "stream",
        "stream_options",
        "prompt_cache_key",
        "prompt_cache_options",
        "metadata",
        "service_tier",
        "store",
        "keep_alive",
    }
)
"""Body fields that never change an answer, so they are no part of what was asked."""


@dataclass(frozen=True, slots=True)
class Prefix:
    """The request's text from its start to one possible end of a cached prefix.

    `ttl` in seconds; `marked`: the caller wants it cached, otherwise it can only be read.
    """

    digest: str
    tokens: int
    ttl: int = 300
    marked: bool = True


@dataclass(frozen=True, slots=True)
class Asked:
    """One question in neutral words. `provider` is anthropic, openai or ollama; `endpoint` messages, responses or chat.

    `key` is the SHA-256 of the question without the repeat. `structured`: the answer must be JSON, and follow `schema`
    where one is given.
    `extra_tokens`: input tokens that are not text, such as tool definitions. `texts`: what is to be turned into
    vectors, at the endpoint embeddings.
    """

    provider: str
    endpoint: str
    model: str
    system: str
    user: str
    key: str
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    stream: bool = False
    usage_wanted: bool = True
    structured: bool = False
    repeat: int = 0
    extra_tokens: int = 0
    prefixes: tuple[Prefix, ...] = ()
    schema: Mapping[str, Any] | None = field(default=None, hash=False)
    texts: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """Everything the model reads."""
        return f"{self.system}\n\n{self.user}" if self.system else self.user

    @classmethod
    def of(cls, request: Request) -> Asked:
        """The same question as a `Request`, so that expected scores can be computed without any server."""
        system = [message.content for message in request.messages if message.role == "system"]
        others = [message.content for message in request.messages if message.role != "system"]
        return cls(
            provider=request.provider,
            endpoint=request.endpoint,
            model=request.model,
            system="\n\n".join(system),
            user="\n\n".join(others),
            key=request.content_key(),
            max_tokens=request.params.get("max_tokens"),
            stop=stops(request.params.get("stop")),
            structured=request.output_schema is not None,
            repeat=request.repeat,
            schema=request.output_schema,
            texts=tuple(others) if request.endpoint == "embeddings" else (),
        )


def stops(value: str | list[str] | tuple[str, ...] | None) -> tuple[str, ...]:
    """Stop sequences as every vendor spells them: one text, several, or none."""
    return (value,) if isinstance(value, str) else tuple(value or ())


def key_of(body: Mapping[str, Any], headers: Mapping[str, str]) -> str:
    """The question's hash: the caller's own when it sends one, else the hash of what the body asks."""
    given = headers.get("x-workbench-key")
    return given or sha256(canonical(_uncontrolled({name: body[name] for name in body.keys() - ROUTING})))


def repeat_of(headers: Mapping[str, str]) -> int:
    """The number of this draw of the question, from 0."""
    given = headers.get("x-workbench-repeat", "")
    return int(given) if given.isdecimal() else 0


def schema_in(answer_format: Any) -> Mapping[str, Any] | None:
    """The JSON schema of a vendor's answer format; None where it has none."""
    schema = answer_format.get("schema") if isinstance(answer_format, dict) else None
    return schema if isinstance(schema, dict) else None


def text_of(content: Any) -> str:
    """All text inside a message's content, whichever way its blocks are nested."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n\n".join(text for text in map(text_of, content) if text)
    if isinstance(content, dict):
        return text_of(content.get("text", content.get("content", "")))
    return ""


def _uncontrolled(value: Any) -> Any:
    """Without cache breakpoints, which may be anywhere inside and never change an answer either."""
    if isinstance(value, dict):
        return {name: _uncontrolled(inner) for name, inner in value.items() if name != "cache_control"}
    if isinstance(value, list):
        return [_uncontrolled(inner) for inner in value]
    return value
