"""A prompt as a cell shows it: the text itself with its variables marked, a draft with what was edited."""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING

from workbench.prompts.checks import CONSTRUCT
from workbench.prompts.wording import diff_words
from workbench.tables import PLAIN, cut

if TYPE_CHECKING:
    from workbench.prompts.prompt import Prompt
    from workbench.prompts.wording import Pieces

LONGEST = 20_000
"""Characters of a text that are shown."""
AROUND = 1000
"""Characters that are shown before and after a change in a text longer than that."""

_BOX = ("border:1px solid rgba(128,128,128,.4);padding:.5em;margin:.4em 0;max-height:420px;overflow:auto;"
        "white-space:pre-wrap;overflow-wrap:anywhere;background:none;color:inherit")  # fmt: skip
_VARIABLE = "background:rgba(90,130,220,.25);font-weight:600"
_CHANGED = {
    "-": ("del", "background:rgba(208,70,60,.22)"),
    "+": ("ins", "background:rgba(50,150,80,.22);text-decoration:underline;margin-left:.2em"),
}


def prompt_html(prompt: Prompt) -> str:
    """Name, version, variables, parameters and text, as HTML that needs no script. Removed words are struck through
    and added ones underlined, so that an edit can be read without colours."""
    origin = prompt.edited_from if prompt.is_draft else None
    pieces = diff_words(origin.text, prompt.text) if origin else [("=", prompt.text)]
    facts = [f"variables: {', '.join(prompt.variables) or 'none'}"]
    facts += [f"config: {json.dumps(dict(prompt.config), ensure_ascii=False, default=str)}"] if prompt.config else []
    facts += [f"tags: {', '.join(prompt.tags)}"] if prompt.tags else []
    facts += [prompt.commit_message] if prompt.commit_message else []
    state = f", edited from {origin.ref}" if origin else ", not saved" if prompt.is_draft else ""
    return PLAIN.format(
        f"<b>{escape(prompt.ref)}</b>{escape(state)}"
        + "".join(f'<div style="font-size:12px">{escape(cut(fact))}</div>' for fact in facts)
        + f'<pre style="{_BOX}">{"".join(_drawn(sign, text) for sign, text in _shortened(pieces))}</pre>'
    )


def piece_html(sign: str, text: str) -> str:
    """One piece of a change: kept, removed or added."""
    if sign == "=":
        return escape(text)
    tag, style = _CHANGED[sign]
    return f'<{tag} style="{style}">{escape(text)}</{tag}>'


def _drawn(sign: str, text: str) -> str:
    if sign != "=":
        return piece_html(sign, text)
    parts = CONSTRUCT.split(text)  # literal, variable, literal, ...
    return "".join(
        f'<span style="{_VARIABLE}">{{{{{escape(part)}}}}}</span>' if i % 2 else escape(part)
        for i, part in enumerate(parts)
    )


def _shortened(pieces: Pieces) -> Pieces:
    """All of a short text; of a long one what changed and what stands around it."""
    if sum(len(text) for _, text in pieces) <= LONGEST:
        return pieces
    found: Pieces = []
    left = LONGEST
    for sign, text in pieces:
        hidden = len(text) - 2 * AROUND
        if sign == "=" and len(pieces) > 1 and hidden > 0:
            text = f"{text[:AROUND]}\n… {hidden:,} characters …\n{text[-AROUND:]}"
        found.append((sign, text[:left]))
        left -= len(text)
        if left <= 0:
            return [*found, ("=", "\n… the rest is left out here")]
    return found
