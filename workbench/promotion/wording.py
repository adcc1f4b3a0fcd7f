"""How a prompt's wording changed, for texts of any size: nobody must wait for the page of a long or hostile prompt."""

from __future__ import annotations

import os.path
import re
from collections import Counter

from workbench.prompts import diff_words

MOST_MATCHES = 3_000_000
"""Pairs of equal words beyond which a change is shown whole: comparing takes time in proportion to them."""

Pieces = list[tuple[str, str]]


def wording(old: str, new: str) -> Pieces:
    """Pieces of the change by words, as `diff_words` gives them; where words repeat so often that this would take for
    ever, all between the common beginning and the common end counts as replaced."""
    a, b = (Counter(re.findall(r"\S+\s*|\s+", text)) for text in (old, new))
    if sum(count * b[word] for word, count in a.items()) <= MOST_MATCHES:
        return diff_words(old, new)
    start = len(os.path.commonprefix([old, new]))  # noqa: RUF071  # character by character is meant
    end = min(len(os.path.commonprefix([old[::-1], new[::-1]])), min(len(old), len(new)) - start)  # noqa: RUF071
    pieces = [
        ("=", old[:start]),
        ("-", old[start : len(old) - end]),
        ("+", new[start : len(new) - end]),
        ("=", old[len(old) - end :]),
    ]
    return [(sign, text) for sign, text in pieces if text]


def marked(pieces: Pieces) -> str:
    """The change as one text: `[-removed-]` and `{+added+}`."""
    return "".join({"=": text, "-": f"[-{text}-]", "+": f"{{+{text}+}}"}[sign] for sign, text in pieces)
