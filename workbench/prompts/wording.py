"""How a text changed, by words; for texts of any size: nobody must wait for the page of a long or hostile prompt."""

from __future__ import annotations

import difflib
import os.path
import re
from collections import Counter

MOST_MATCHES = 3_000_000
"""Pairs of equal words beyond which a change is shown whole: comparing takes time in proportion to them."""

Pieces = list[tuple[str, str]]
"""("=", kept), ("-", removed), ("+", added)."""


def word_diff(old: str, new: str) -> str:
    """`old` turned into `new`, by words: `[-removed-]` and `{+added+}`, white space kept."""
    return "".join({"=": text, "-": f"[-{text}-]", "+": f"{{+{text}+}}"}[sign] for sign, text in diff_words(old, new))


def diff_words(old: str, new: str) -> Pieces:
    """Pieces of the change by words; where words repeat so often that this would take for ever, all between the common
    beginning and the common end counts as replaced."""
    a, b = _words(old), _words(new)
    return _by_words(a, b) if _matches(a, b) <= MOST_MATCHES else _by_ends(old, new)


def too_repetitive(old: str, new: str, most: int = MOST_MATCHES) -> bool:
    """Whether the two texts have more than `most` pairs of equal words."""
    return _matches(_words(old), _words(new)) > most


def _words(text: str) -> list[str]:
    # a word with the white space behind it: blanks of their own would match each other everywhere, which takes for ever
    return re.findall(r"\S+\s*|\s+", text)


def _matches(a: list[str], b: list[str]) -> int:
    counts = Counter(b)
    return sum(count * counts[word] for word, count in Counter(a).items())


def _by_words(a: list[str], b: list[str]) -> Pieces:
    pieces: Pieces = []
    for op, a0, a1, b0, b1 in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        removed, added = "".join(a[a0:a1]), "".join(b[b0:b1])
        kept = removed if op == "equal" else _common_end(removed, added)
        cut = len(kept)
        changes = [("-", removed[: len(removed) - cut]), ("+", added[: len(added) - cut]), ("=", kept)]
        pieces += [(sign, text) for sign, text in changes if text]
    return pieces


def _by_ends(old: str, new: str) -> Pieces:
    start = len(os.path.commonprefix([old, new]))  # noqa: RUF071  # character by character is meant
    end = min(len(os.path.commonprefix([old[::-1], new[::-1]])), min(len(old), len(new)) - start)  # noqa: RUF071
    pieces = [
        ("=", old[:start]),
        ("-", old[start : len(old) - end]),
        ("+", new[start : len(new) - end]),
        ("=", old[len(old) - end :]),
    ]
    return [(sign, text) for sign, text in pieces if text]


def _common_end(old: str, new: str) -> str:
    """The white space that both end with."""
    ends = [text[len(text.rstrip()) :] for text in (old, new)]
    return os.path.commonprefix([end[::-1] for end in ends])[::-1]  # noqa: RUF071  # character by character is meant
