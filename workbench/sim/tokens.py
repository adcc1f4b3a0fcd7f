"""Token counts of the stand-in models: an estimate, steady and cheap, not any vendor's tokenizer."""

from __future__ import annotations

import re
from functools import lru_cache

_PIECE = re.compile(r"\w{1,5}|[^\w\s]+")
"""Words in pieces of at most five letters, and runs of punctuation: near four characters a token in English."""


@lru_cache(maxsize=4096)
def count_tokens(text: str) -> int:
    """Estimated tokens of `text`; 0 for the empty text."""
    return len(_PIECE.findall(text))


def first_tokens(text: str, limit: int) -> str:
    """The longest beginning of `text` that has at most `limit` estimated tokens."""
    if limit <= 0:
        return ""
    for number, piece in enumerate(_PIECE.finditer(text), start=1):
        if number > limit:
            return text[: piece.start()]
    return text


def token_ends(text: str, step: int) -> list[int]:
    """Where in `text` every `step`-th estimated token ends."""
    return [piece.end() for number, piece in enumerate(_PIECE.finditer(text), start=1) if number % step == 0]
