"""Which cases of two runs are the same, whatever they are called."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def same_cases(theirs: Mapping[str, str], mine: Mapping[str, str]) -> dict[str, str]:
    """Their case id -> mine, where the contents are the same; both are given as case id -> content.

    Each case is matched once: of a content that is there more than once, as many as both have, those of one id first.
    """
    found = {case: case for case, content in theirs.items() if mine.get(case) == content}
    left: defaultdict[str, list[str]] = defaultdict(list)
    for case in sorted(mine.keys() - found.keys(), reverse=True):
        left[mine[case]].append(case)
    for case in sorted(theirs.keys() - found.keys()):
        if left[theirs[case]]:
            found[case] = left[theirs[case]].pop()
    return found
