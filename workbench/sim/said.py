"""What the stand-in says: an answer with its counters, or a problem, before any vendor's format."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

ProblemKind = Literal[
    "rate_limit", "quota", "overloaded", "server_error", "auth", "bad_request", "not_found", "too_large"
]

Source = Literal["simulated", "simulated-loose", "recorded", "recorded-loose"]

_FEW_WORDS = re.compile(r"\S+\s*(?:\S+\s*){0,2}|\s+")


@dataclass(frozen=True, slots=True)
class Draft:
    """An answer before it is counted: `stop` is end, max_tokens, stop_sequence, refusal or content_filter."""

    text: str
    source: Source
    stop: str = "end"
    stop_sequence: str | None = None
    reasoning_tokens: int = 0
    output_tokens: int | None = None
    input_tokens: int | None = None
    latency_s: float = 0.0
    matched: bool = True


@dataclass(frozen=True, slots=True)
class Counts:
    """Tokens of one reply; `input` is the whole prompt, cached parts included, `output` includes reasoning."""

    input: int
    output: int
    reasoning: int = 0
    cache_read: int = 0
    cache_write_short: int = 0
    cache_write_long: int = 0

    @property
    def cache_write(self) -> int:
        """Tokens written to the cache, whatever their time to live."""
        return self.cache_write_short + self.cache_write_long


@dataclass(frozen=True, slots=True)
class Said:
    """A finished answer, ready to be written in a vendor's format. `number` makes its ids; `created` is Unix time."""

    text: str
    model: str
    stop: str
    counts: Counts
    number: int
    created: float
    stop_sequence: str | None = None
    always_reasons: bool = False


class Problem(Exception):
    """An error that the server answers with; each wire format has its own words for `kind`."""

    def __init__(
        self,
        kind: ProblemKind,
        message: str,
        *,
        retry_after_s: float | None = None,
        code: str | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(message)
        self.kind: ProblemKind = kind
        self.message = message
        self.retry_after_s = retry_after_s
        self.code = code
        self.param = param


def few_words(text: str) -> list[str]:
    """`text` cut into deltas of up to three words; joined they are the text again."""
    return _FEW_WORDS.findall(text)
