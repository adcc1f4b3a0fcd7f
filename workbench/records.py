"""The nouns that travel between the parts: frozen, flat, standard library only."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY_SCHEMA = 1
"""Version of the cache key's layout; part of every key."""

Source = Literal["live", "simulated", "recorded"]

WORST_STOPS = frozenset({"refusal", "content_filter", "max_tokens"})
"""Stop reasons of answers that count as answers and score the worst value."""


def canonical(value: Any) -> str:
    """`value` as JSON text that depends on content alone: keys sorted, no spaces, ASCII, no NaN.

    Raises TypeError for what JSON cannot say and ValueError for NaN: nothing is turned into its repr.
    """
    return _CANONICAL.encode(value)


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


def sha256(text: str) -> str:
    """SHA-256 of the UTF-8 text, 64 hex digits; lone surrogates in hostile text are kept, not fatal."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def content_of(inputs: Mapping[str, Any], expected: Any) -> str:
    """What a case is, hashed: the same under whatever id, in whatever dataset. Test cases are kept unseen by it, so
    another value would make seen ones look unseen."""
    return sha256(canonical([dict(inputs), expected]))


ArmKey = tuple[str, str, str, str]
"""What tells arms apart: prompt, content hash, provider, model."""


def arm_key(about: Mapping[str, Any]) -> ArmKey:
    """The arm that a row, or a plan's entry, is about."""
    return about["prompt"], about["prompt_sha"], about["provider"], about["model"]


def ref_of(about: Mapping[str, Any]) -> str:
    """How its prompt is written: `ticket-triage@v3`."""
    return f"{about['prompt']}@{about['version']}"


def arm_ref(about: Mapping[str, Any]) -> str:
    """How the arm is written: `ticket-triage@v3 × sim-anthropic-fast`."""
    return f"{ref_of(about)} × {about['model']}"


@dataclass(frozen=True, slots=True)
class Message:
    """One turn: `role` is system, user or assistant."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Request:
    """What goes to a model and may change its answer, and nothing else.

    `params` uses our names (max_tokens, effort, temperature, top_p, top_k, seed, stop); each provider file maps them.
    `repeat` numbers the independent draws of one question from 0. `origin` says who answers: `vendor`, a custom URL,
    or `sim:<hash>`; two origins never share a cached reply.
    """

    provider: str
    endpoint: str
    model: str
    messages: tuple[Message, ...]
    params: Mapping[str, Any] = field(default_factory=dict)
    output_schema: Mapping[str, Any] | None = None
    tools: tuple[Mapping[str, Any], ...] = ()
    repeat: int = 0
    origin: str = "vendor"

    def content(self) -> dict[str, Any]:
        """What is asked, without who answers and without the repeat; optional fields only when set, so that a field
        added later with its default leaves every old key as it was."""
        content: dict[str, Any] = {
            "endpoint": self.endpoint,
            "messages": [[message.role, message.content] for message in self.messages],
            "model": self.model,
            "provider": self.provider,
        }
        if self.params:
            content["params"] = dict(self.params)
        if self.output_schema is not None:
            content["output_schema"] = self.output_schema
        if self.tools:
            content["tools"] = list(self.tools)
        return content

    def identity(self) -> str:
        """Canonical JSON of all that may change the answer; its SHA-256 is the cache key."""
        content = self.content()
        content["origin"] = self.origin
        content["repeat"] = self.repeat
        content["schema"] = KEY_SCHEMA
        return canonical(content)

    def content_key(self) -> str:
        """SHA-256 of the question alone: what recordings are matched by, together with the repeat."""
        return sha256(canonical(self.content()))


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call. `None` means that the server did not say.

    `input_tokens` is the whole prompt, cached parts included; `output_tokens` includes reasoning. Short-lived cache
    writes (Anthropic 5 minutes, OpenAI 30 minutes) and long ones (1 hour, 12 hours) are counted apart: prices differ.
    """

    input_tokens: int | None = None
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    cache_read_tokens: int = 0
    output_tokens: int | None = None
    reasoning_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back, complete. Money in US dollars, times in seconds.

    `stop_reason`: end, max_tokens, stop_sequence, tool_use, refusal, content_filter, or the vendor's own word.
    `cost_usd` is the list price of this call, hit or not (`None`: unknown, which is not free); `spent_usd` is what this
    call cost now, 0 for a hit; `uncertain_usd` is the most that attempts which broke off before it may have cost.
    `latency_s` leaves out the time waited for a slot or between attempts (`waited_s`).
    `loose`: recorded for the same input, but not provably for the same request; or simulated without a known case.
    """

    text: str
    usage: Usage = Usage()
    stop_reason: str = "end"
    served_by: str = ""
    request_id: str | None = None
    source: Source = "live"
    loose: bool = False
    latency_s: float = 0.0
    ttft_s: float | None = None
    waited_s: float = 0.0
    attempts: int = 1
    cost_usd: float | None = None
    spent_usd: float | None = None
    cached: bool = False
    uncertain_usd: float = 0.0


@dataclass(frozen=True, slots=True)
class Case:
    """One row of a dataset."""

    id: str
    inputs: Mapping[str, Any]
    expected: Any = None
    tags: tuple[str, ...] = ()
    split: str = "dev"

    def __repr__(self) -> str:
        return f"Case({', '.join(f'{one.name}={_cut(getattr(self, one.name))}' for one in fields(self))})"

    def _repr_html_(self) -> str:
        from workbench.tables import cut, plain_table, told

        tags = f", tagged {', '.join(self.tags)}" if self.tags else ""
        shown = [*self.inputs.items(), ("expected", self.expected)]
        return plain_table(("", ""), [(name, told(value)) for name, value in shown],
                           cut(f"case {self.id}, {self.split}{tags}"))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Score:
    """One judgement: `value` a bool or a number; `None` = unscored, which is not zero."""

    value: float | bool | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One trial's flat, JSON-ready record; failures are rows too. Units as in `Reply` and `Usage`; `finished_at` is in
    seconds since 1970 and says when the trial was done here, also for a hit.

    `judge_cost_usd` and `judge_spent_usd`: what judges cost at list price, and what they cost now. `uncertain_usd`: the
    most that calls which broke off may have cost beside that, judges' included. `loose`: as in `Reply`."""

    run_id: str
    prompt: str
    version: str
    prompt_sha: str
    provider: str
    model: str
    tier: str | None
    origin: str
    source: Source
    served_by: str
    case_id: str
    repeat: int
    output: str | None = None
    scores: Mapping[str, float | bool | None] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    input_tokens: int | None = None
    cache_write_5m_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    cache_read_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_usd: float | None = None
    spent_usd: float | None = 0.0
    judge_cost_usd: float | None = 0.0
    judge_spent_usd: float | None = 0.0
    uncertain_usd: float = 0.0
    latency_s: float | None = None
    waited_s: float | None = None
    ttft_s: float | None = None
    cached: bool = False
    stop_reason: str | None = None
    request_id: str | None = None
    attempts: int = 0
    error: str | None = None
    error_type: str | None = None
    finished_at: float | None = None
    loose: bool = False

    def to_json(self) -> str:
        """The row as one line of JSON, fields in the order above."""
        return _PLAIN.encode({name: getattr(self, name) for name in ROW_FIELDS})


def _cut(value: Any) -> str:
    """A field in a repr: what a case holds may be a whole book."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} … and {len(text) - _SHOWN:,} more characters"


_SHOWN = 200
_PLAIN = json.JSONEncoder(ensure_ascii=True)
ROW_FIELDS = tuple(f.name for f in fields(Row))
