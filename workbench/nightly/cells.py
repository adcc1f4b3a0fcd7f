"""A cell as a reader of the notebook knows it: its number and first line, what its output was and is, how it ended."""

from __future__ import annotations

import html
import re
import signal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable

LINE = 60
"""Characters of a cell's first line that are shown."""
BEFORE, AROUND = 30, 90
"""Characters of an output that are shown before the first that differs, and from there on."""
MARKUP = re.compile(r"<(style|script)\b.*?</\1>|<[^>]*>", re.DOTALL | re.IGNORECASE)


def shown_name(cell: Any, position: int) -> str:
    """`[3] report.leaderboard()`: the number that the saved notebook shows, of a cell that never ran its place among
    the code cells, and its first line of code. `cell`: a notebook's, `position` counts from 0."""
    lines = (line.strip() for line in str(cell.source).splitlines())
    first = next((line for line in lines if line and not line.startswith("#")), "")
    return f"[{cell.execution_count or position + 1}] {_cut(first, LINE)}".strip()


def changed(was: Iterable[Any], now: Iterable[Any], skip: Container[str], sanitize: Callable[[Any], Any]) -> str:
    """The first kind of output that is not what it was, from where it differs; empty where none does.

    `was`, `now`: a cell's outputs; `skip`: kinds that are not compared; `sanitize`: what replaces times in them.
    """
    old, new = (_by_kind(outputs, skip, sanitize) for outputs in (was, now))
    for kind in sorted({*old, *new}, key=lambda kind: (kind != "text/html", kind)):
        if old.get(kind) != new.get(kind):
            before, after = _around(kind, "\n".join(old.get(kind, [])), "\n".join(new.get(kind, [])))
            return f"The output changed, {kind}: was {before}, is {after}"
    return ""


def how_it_died(manager: Any) -> str:
    """How the process of a kernel ended; empty while it lives. `manager`: Jupyter's."""
    process = getattr(getattr(manager, "provisioner", None), "process", None)
    code = process.poll() if process is not None else None
    if code is None:
        return ""
    if code >= 0:
        return f"The kernel died: its process ended with exit status {code}."
    return f"The kernel died: its process was ended by {_signal(-code)}."


def _signal(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    return f"{name}, as when memory runs out" if name == "SIGKILL" else name


def _by_kind(outputs: Iterable[Any], skip: Container[str], sanitize: Callable[[Any], Any]) -> dict[str, list[str]]:
    """Kind (stdout, text/html, error …) -> its texts, in their order."""
    found: dict[str, list[str]] = {}
    for output in outputs:
        kinds = dict(output.get("data", {}))
        if output["output_type"] == "stream":
            kinds[output["name"]] = output["text"]
        elif output["output_type"] == "error":
            kinds["error"] = f"{output['ename']}: {output['evalue']}"
        for kind, text in kinds.items():
            if kind not in skip:
                found.setdefault(kind, []).append(str(sanitize(text)))
    return found


def _around(kind: str, was: str, now: str) -> tuple[str, str]:
    """Both texts from a little before the first place where they differ; as read, unless only what is not read
    differs, such as markup."""
    if _read(kind, was) != _read(kind, now):
        was, now = _read(kind, was), _read(kind, now)
    places = enumerate(zip(was, now, strict=False))
    start = max(next((place for place, (a, b) in places if a != b), min(len(was), len(now))) - BEFORE, 0)
    return _quoted(was, start), _quoted(now, start)


def _read(kind: str, text: str) -> str:
    """What is read of a text: in one line, of HTML without the markup."""
    text = html.unescape(MARKUP.sub(" ", text)) if kind == "text/html" else text
    return " ".join(text.split())


def _quoted(text: str, start: int) -> str:
    return f"“{'…' if start else ''}{_cut(text[start:], BEFORE + AROUND)}”" if text else "nothing"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
