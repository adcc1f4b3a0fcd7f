"""One case as the compare view shows it: texts cut to what can be read, the word diff, scores, tokens, cost, latency.

Whatever is too long or too repetitive to be compared at once is said to be so: a reply must not be able to hold up the
kernel or the page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.prompts import diff_words, too_repetitive
from workbench.report.text import dollars, score_text, seconds
from workbench.widgets.compare_data import as_text, plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CUT = 4000
"""Characters of a text that are sent at first, and compared."""
MORE = 200_000
"""Characters that one more click sends."""
LIKENESS = 100_000
"""Pairs of equal words above which two texts are too repetitive to be compared by words in no time."""
LETTERS = "ABCD"

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Look:
    """How a case is looked at. `order`: the arms as shown; `against`: the one shown at this place is what the others
    are compared with, None for no diff; `hidden`: names, scores, costs stay away; `more`: clicks for more by part."""

    order: Sequence[int]
    names: Sequence[str]
    against: int | None
    hidden: bool
    more: Mapping[str, int]


def case_state(case: Mapping[str, Any], rows: Sequence[Row | None], look: Look) -> dict[str, Any]:
    """The case's state for the front end; `rows`: each arm's row, in the order of the arms."""
    shown = [rows[arm] for arm in look.order]
    reference = None if look.against is None else _output(shown[look.against])
    errors = {None if row is None else row["error"] for row in shown}
    cover = look.hidden and len(errors) > 1  # what all say alike names nobody
    return {
        "input": _part(as_text(case["inputs"]), look.more.get("input", 0)),
        "expected": _part("" if case["expected"] is None else as_text(case["expected"]), look.more.get("expected", 0)),
        "tags": [plain(tag) for tag in case["tags"]],
        "answers": [
            _answer(place, row, reference if place != look.against else None, look)
            | {"trouble": _trouble(row, cover)}
            for place, row in enumerate(shown)
        ],
    }  # fmt: skip


def _answer(place: int, row: Row | None, reference: str | None, look: Look) -> dict[str, Any]:
    letter = LETTERS[place]
    whole = _output(row)
    part = _part(whole or "", look.more.get(letter, 0))
    pieces, why = [["=", part["text"]]], ""
    if reference is not None and whole is not None and whole != reference:
        found, why = compare_words(reference, whole)
        pieces = found if found is not None and not look.more.get(letter) else pieces
    return {
        "letter": letter,
        "name": None if look.hidden else plain(look.names[look.order[place]]),
        "pieces": pieces,
        "blank": "" if row is None or row["error"] is not None else blank(whole or ""),
        "left": part["left"],
        "remark": why or ("the same text" if reference is not None and whole == reference else ""),
        "scores": [] if look.hidden or row is None else _scores(row),
        "facts": [] if look.hidden or row is None else facts(row),
    }


def compare_words(old: str, new: str) -> tuple[list[list[str]] | None, str]:
    """The word diff of the beginnings of two texts, or None and why there is none."""
    a, b = old[:CUT], new[:CUT]
    if too_repetitive(a, b, LIKENESS):
        return None, "too repetitive for a word diff"
    note = f"diff of the first {CUT:,} characters" if max(len(old), len(new)) > CUT else ""
    pieces = diff_words(a, b)
    if not any(sign == "=" and text.strip() for sign, text in pieces):
        return None, "no word in common"
    return [[sign, text] for sign, text in pieces], note


def facts(row: Row) -> list[list[str]]:
    """Tokens, cost and latency of an answer, as name and text."""
    found = [
        ("tokens", f"{_count(row['input_tokens'])} in, {_count(row['output_tokens'])} out"),
        ("cost", dollars(row["cost_usd"])),
        ("latency", seconds(row["latency_s"]) or "unknown"),
        ("from", f"{row['source']}{', cached' if row['cached'] else ''}"),
    ]
    if row["stop_reason"] not in ("end", None):
        found.append(("stopped by", row["stop_reason"]))
    return [[name, plain(str(text))] for name, text in found]


def _scores(row: Row) -> list[list[str]]:
    names = [*row["scores"], *(name for name in row["reasons"] if name not in row["scores"])]
    return [
        [plain(name), score_text(row["scores"].get(name)), plain(str(row["reasons"].get(name, "")))[:CUT]]
        for name in names
    ]  # fmt: skip


def _trouble(row: Row | None, cover: bool) -> str:
    """Why there is no answer; where `cover`, without the words of an error, which often name who failed."""
    if row is None:
        return "no row: this trial was not run"
    if row["error"] is None:
        return ""
    return plain(f"this trial failed: {row['error_type']}" + ("" if cover else f": {row['error']}"))[:CUT]


def blank(output: str) -> str:
    """What to say of an answer in which there is nothing to see."""
    return "" if output.strip() else "white space only" if output else "empty answer"


def _output(row: Row | None) -> str | None:
    return None if row is None or row["output"] is None else plain(row["output"])


def _part(text: str, clicks: int) -> dict[str, Any]:
    length = CUT + clicks * MORE
    return {"text": text[:length], "left": max(len(text) - length, 0)}


def _count(tokens: int | None) -> str:
    return "unknown" if tokens is None else f"{tokens:,}"
