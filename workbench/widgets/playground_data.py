"""What the playground holds: a prompt being edited, and what models said to it. No widget, no call."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from workbench.errors import UsageError, choices
from workbench.records import Message
from workbench.report.report import DECLARED, RECORDED
from workbench.report.text import dollars, seconds
from workbench.tables import plain_table
from workbench.widgets.compare_data import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workbench.catalog import Model
    from workbench.prompts import Prompt
    from workbench.records import Reply

SHOWN = 20_000
"""Characters of an answer that are shown at first; a click shows more."""
ENDED = ("done", "hit", "stopped", "failed")
HEADINGS = ("model", "answer", "state", "time to first token", "latency", "tokens", "cost", "from")


@dataclass(frozen=True, slots=True)
class Answer:
    """What one model said. `state`: waiting, streaming, done, hit (stored before, nothing spent), stopped or failed.

    `text` is all of it once done, and what came so far before. `ttft_s`: seconds to the first piece of text, None for
    an answer that was not streamed. `reply` is there once it is on disk; `error` says why there is none.
    """

    model: Model
    state: str = "waiting"
    text: str = ""
    ttft_s: float | None = None
    reply: Reply | None = None
    error: str = ""

    @property
    def name(self) -> str:
        """How tables name the model."""
        return self.model.label if self.model.stand_in else self.model.ref

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come."""
        return self.state in ENDED

    @property
    def cost_usd(self) -> float | None:
        """List price in US dollars, None without a reply or a price."""
        return self.reply.cost_usd if self.reply else None

    @property
    def said(self) -> str:
        """How it stands, in words."""
        if self.state == "failed":
            return f"failed: {self.error}" + (" What came before is shown." if self.text else "")
        if self.state == "stopped":
            return f"stopped{': what came so far' if self.text else ' before any text came'}; it may be charged"
        if self.state == "hit":
            return "from the cache, nothing spent"
        if self.reply and self.reply.stop_reason != "end":
            return f"done, ended by {self.reply.stop_reason}"
        return self.state

    def facts(self) -> list[tuple[str, str]]:
        """Times, tokens and cost as name and text, as far as they are known."""
        reply = self.reply
        ttft = [("time to first token", seconds(self.ttft_s))] if self.ttft_s is not None else []
        if reply is None:
            return ttft
        tokens = f"{_count(reply.usage.input_tokens)} in, {_count(reply.usage.output_tokens)} out"
        return [*ttft, ("latency", seconds(reply.latency_s)), ("tokens", tokens),
                ("cost", dollars(reply.cost_usd)), ("from", reply.source)]  # fmt: skip

    def cells(self) -> tuple[str, ...]:
        """One row of a table under `HEADINGS`."""
        facts = dict(self.facts())
        return tuple(map(plain, (self.name, self.text, self.said, *(facts.get(name, "") for name in HEADINGS[3:]))))

    def __repr__(self) -> str:
        return f"Answer({self.name}, {self.state}, {len(self.text):,} characters)"


@dataclass(frozen=True, slots=True)
class Answers:
    """What the models said to one question, in their order; index it by number, or by a model's name or id.

    `prompt`: the version's ref; `case`: the id of the case that filled the variables, empty without one; `repeat`: the
    number of the draw.
    """

    prompt: str
    case: str
    repeat: int
    answers: tuple[Answer, ...] = ()

    def __iter__(self) -> Iterator[Answer]:
        return iter(self.answers)

    def __len__(self) -> int:
        return len(self.answers)

    def __getitem__(self, which: int | str) -> Answer:
        """Raises UsageError with the names."""
        if isinstance(which, int):
            return self.answers[which]
        for one in self.answers:
            if which in (one.name, one.model.ref, one.model.id):
                return one
        names = [one.name for one in self.answers]
        raise UsageError(f"no answer of {which!r}: {choices(which, names)}")

    @property
    def title(self) -> str:
        """What was asked."""
        of = f" on case {self.case}" if self.case else ""
        draw = f", draw {self.repeat}" if self.repeat else ""
        return f"{self.prompt}{of}{draw}"

    @property
    def caption(self) -> str:
        """Who answered, if not real models."""
        sources = {one.reply.source for one in self.answers if one.reply}
        return DECLARED if "simulated" in sources else RECORDED if "recorded" in sources else ""

    def _repr_html_(self) -> str:
        caption = plain(". ".join(filter(None, [self.title, self.caption])))
        return plain_table(HEADINGS, [one.cells() for one in self.answers], caption)

    def __str__(self) -> str:
        lines = [self.title, *filter(None, [self.caption])]
        for one in self.answers:
            facts = ", ".join(f"{name} {text}" for name, text in one.facts())
            shown = one.text[:SHOWN] + (f" … and {len(one.text) - SHOWN:,} more characters" * (len(one.text) > SHOWN))
            lines += [
                f"{one.name}: {one.said}" + (f" ({facts})" if facts else ""),
                *(f"  {x}" for x in shown.split("\n")),
            ]
        return plain("\n".join(lines))

    def __repr__(self) -> str:
        count = {state: sum(one.state == state for one in self.answers) for state in ENDED}
        told = ", ".join(f"{n} {state}" for state, n in count.items() if n)
        return f"Answers({self.title}: {told or 'none'})"


class Draft:
    """A prompt being edited: the version it came from, and the texts as they are on screen, valid or not."""

    def __init__(self, base: Prompt) -> None:
        self.base = base
        given = base.template
        self.turns = [Message("", given)] if isinstance(given, str) else list(given)
        self._variables = base.variables

    def edit(self, number: int, text: str) -> None:
        """Change the text of a message; a text prompt has just number 0."""
        if not 0 <= number < len(self.turns):
            raise UsageError(f"no message {number}: the prompt has {len(self.turns)}")
        self.turns[number] = Message(self.turns[number].role, text)

    @property
    def prompt(self) -> Prompt:
        """The version itself as long as nothing differs from it, else a draft. Raises PromptError for what is no
        prompt, such as `{{` that is never closed."""
        kept = self.base.template
        template = self.turns[0].content if isinstance(kept, str) else tuple(self.turns)
        if template == kept:
            return self.base
        message = f"edited from {self.base.ref}" if not self.base.is_draft else self.base.commit_message
        return replace(self.base, template=template, version="", commit_message=message)

    def variables(self) -> tuple[str, ...]:
        """Names of the variables; while the text is no prompt, those it had before."""
        with suppress(UsageError):
            self._variables = self.prompt.variables
        return self._variables

    def fault(self) -> str:
        """Why the text is no prompt, empty when it is one."""
        try:
            self.prompt  # noqa: B018  # it is made to see whether it can be
        except UsageError as error:
            return str(error)
        return ""

    def code(self) -> str:
        """An expression for the prompt."""
        try:
            prompt = self.prompt
        except UsageError:
            prompt = self.base
        if not prompt.is_draft:
            return quoted(prompt.ref)
        return f"wb.Prompt.from_plain({prompt.name!r}, {prompt.plain!r}, {dict(prompt.config)!r}, '')"


def quoted(text: str) -> str:
    """A text as code, in the house's quotes."""
    return json.dumps(text, ensure_ascii=False)


def field_text(value: Any) -> str:
    """A variable's value, or an expected one, as a field shows it: text as it is, anything else as JSON."""
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def field_value(text: str, before: Any) -> Any:
    """The inverse: what was text stays text, else JSON where it is JSON; an empty field is nothing."""
    if isinstance(before, str):
        return text
    if not text.strip():
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def json_fault(text: str, before: Any) -> str:
    """Why a text that begins like JSON is none; empty for JSON, and for what is plainly text."""
    if isinstance(before, str) or text.strip()[:1] not in ("{", "[", '"'):
        return ""
    try:
        json.loads(text)
    except (ValueError, RecursionError) as error:
        return f"begins like JSON and is none ({error}): mend it, or write it as text in double quotes"
    return ""


def _count(tokens: int | None) -> str:
    return "unknown" if tokens is None else f"{tokens:,}"
