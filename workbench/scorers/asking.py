"""What all judges share: a versioned prompt, the quoting of what is judged, an answer by schema, and its reading."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from workbench.errors import ScorerError
from workbench.prompts import Prompt, load_prompt
from workbench.records import Request, canonical, sha256
from workbench.scorers.text import last_json_object

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workbench.records import Reply
    from workbench.scorers.base import Complete

VERSION = 1
"""Part of every judge's identity: raised when a change of code here may change a judgement."""

MODEL = "anthropic:claude-sonnet-5-5"
"""Who judges unless another model is named: Anthropic's balanced one in `catalog.toml` (checked 2026-11-22). It is part
of a judge's identity, so it does not follow the catalog: every calibration would end with an edit there."""
SENT = ("max_tokens", "effort")
"""Parameters that a judge's prompt may set. Never a temperature: current models refuse one."""

_ESCAPED = {ord(mark): f"\\u{ord(mark):04x}" for mark in "<\x85\u2028\u2029"}
"""What JSON leaves as it is, though it may begin a tag or a line."""

LONGEST = 600
"""Characters of a judge's reason that are kept."""


class NotJudged(ValueError):
    """The judge answered, but not so that it can be used; the score is missing, never 0."""


@dataclass(frozen=True)
class Question:
    """One kind of question to a judge: its prompt, who answers, and the schema of the answer.

    `about` is everything else that may change a judgement, plain data. Raises ScorerError for a model that is not
    written `provider:id`, and for a prompt with other variables than `variables`.
    """

    prompt: Prompt
    model: str
    schema: Mapping[str, Any]
    variables: tuple[str, ...]
    about: Mapping[str, Any] = field(default_factory=dict)
    effort: str | None = None

    def __post_init__(self) -> None:
        provider, _, model_id = self.model.partition(":")
        if not provider or not model_id:
            raise ScorerError(f"judge model {self.model!r}: write provider:id, such as {MODEL}")
        if self.prompt.is_draft and not self.prompt.variables:
            raise ScorerError(f"{self.prompt.ref} quotes nothing to judge; it may use {', '.join(self.variables)}")
        if unknown := self.prompt.missing(dict.fromkeys(self.variables)):
            raise ScorerError(f"{self.prompt.ref}: a judge has no value for {', '.join(unknown)}; it may use "
                              f"{', '.join(self.variables)}")  # fmt: skip

    @property
    def params(self) -> dict[str, Any]:
        """Model parameters of every call."""
        given = self.prompt.params(self.model.partition(":")[0])
        params = {name: given[name] for name in SENT if name in given}
        return params | ({"effort": self.effort} if self.effort else {})

    @property
    def identity(self) -> str:
        """SHA-256 of prompt content, model, parameters, schema and `about`: what may change a judgement."""
        parts = [VERSION, self.prompt.sha, self.model, self.params, self.schema, dict(self.about)]
        return sha256(canonical(parts))

    def request(self, values: Mapping[str, Any], repeat: int = 0) -> Request:
        """What is asked. `values` by variable; origin and endpoint are filled in by whoever sends it."""
        provider, _, model_id = self.model.partition(":")
        messages = self.prompt.render(values)
        return Request(provider, "", model_id, messages, self.params, self.schema, repeat=repeat)

    async def ask(self, values: Mapping[str, Any], complete: Complete, repeat: int = 0) -> dict[str, Any]:
        """The judge's answer as an object. Raises NotJudged when there is none, and what `complete` raises."""
        return read(await complete(self.request(values, repeat)))


def judge_prompt(given: str | Prompt, own: str) -> Prompt:
    """The prompt that a judge was given, or its own one."""
    return given if isinstance(given, Prompt) else load_prompt(given or own)


def quoted(value: Any) -> str:
    """Material for a judge as one line of JSON in which no tag can begin: however it reads, it cannot leave its block
    or start a line of its own."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # lone surrogates, which no request can carry
        text = json.dumps(value)
    return text.translate(_ESCAPED)


def read(reply: Reply) -> dict[str, Any]:
    """The object in a judge's reply. Raises NotJudged."""
    if reply.stop_reason not in ("end", "stop_sequence"):
        raise NotJudged(f"the judge's answer ended with {reply.stop_reason}")
    found = last_json_object(reply.text)
    if found is None:
        raise NotJudged(f"the judge's answer cannot be read: {cut(reply.text, 120)!r}")
    return found


def reason_of(answer: Mapping[str, Any]) -> str:
    """The judge's reason, as text of bearable length."""
    return cut(str(answer.get("reason") or ""))


def cut(text: str, most: int = LONGEST) -> str:
    """`text` with an ellipsis instead of what is too long."""
    text = text.strip()
    return text if len(text) <= most else text[:most] + "…"


def objects(**properties: Mapping[str, Any]) -> dict[str, Any]:
    """The strict schema of an object, as all vendors take it: every property required, no others."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }
