"""A prompt: a template with its parameters, rendered with a case's inputs."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from workbench.errors import PromptError
from workbench.prompts.checks import CONSTRUCT, check_config, check_constructs, check_messages, is_name
from workbench.prompts.wording import word_diff
from workbench.records import Message, canonical, sha256

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_TURN = frozenset({"role", "content", "type"})


@dataclass(frozen=True)
class Prompt:
    """A template: text or chat messages, with the model parameters that belong to it.

    `template` is the text, or a tuple of messages. `config` holds model parameters (max_tokens, effort, temperature,
    top_p, top_k, seed, stop), with overrides per provider under `by_provider`. Made from a file by `load_prompt`, from
    a file's content by `Prompt(...)`, from text by `Prompt.from_text(...)`. `edited_from`: the version that a draft
    began as, where it was made by `edit`.

    Raises PromptError for wrong names, roles, or anything but a plain variable inside `{{ }}`.
    """

    name: str
    template: str | tuple[Message, ...]
    config: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    commit_message: str = ""
    version: str = ""
    edited_from: Prompt | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        where = f"prompt {self.name}@{self.version}" if self.version else f"prompt {self.name}"
        if not is_name(self.name):
            raise PromptError(f"prompt name {self.name!r}: use letters, digits, '-', '_', '.', and '/' for folders")
        check_messages(self.template, where)
        check_config(self.config, where)
        for text in self._texts():
            check_constructs(text, where)
        if not self.version:
            object.__setattr__(self, "version", f"draft-{self.sha[:8]}")

    @classmethod
    def from_text(cls, name: str, text: str, **config: Any) -> Prompt:
        """A draft from plain text: `Prompt.from_text("greeting", "Greet {{who}}.", max_tokens=64)`."""
        return cls(name, text, config)

    @classmethod
    def from_plain(cls, name: str, plain: Any, config: Mapping[str, Any], version: str, **about: Any) -> Prompt:
        """The inverse of `plain`: a prompt from JSON data, as Langfuse and a run's plan keep it. `about`: tags and
        commit_message. Raises PromptError."""
        if isinstance(plain, str):
            return cls(name, plain, config, version=version, **about)
        where = f"prompt {name}@{version}"
        if not isinstance(plain, list) or not all(isinstance(one, dict) and one.keys() <= _TURN for one in plain):
            raise PromptError(f"{where}: must be text or a list of messages with role and content")
        turns = tuple(Message(one.get("role", ""), one.get("content", "")) for one in plain)
        return cls(name, turns, config, version=version, **about)

    @property
    def plain(self) -> Any:
        """The template as JSON data: a text, or a list of messages with role and content."""
        if isinstance(self.template, str):
            return self.template
        return [{"role": message.role, "content": message.content} for message in self.template]

    @property
    def ref(self) -> str:
        """How it is written: `ticket-triage@v2`."""
        return f"{self.name}@{self.version}"

    @property
    def is_draft(self) -> bool:
        """Whether no file holds this version yet."""
        return self.version.startswith("draft-")

    @cached_property
    def sha(self) -> str:
        """Hash of what may change an answer: template and config; not tags, version or commit message."""
        return sha256(canonical({"config": dict(self.config), "prompt": self.plain}))

    @cached_property
    def variables(self) -> tuple[str, ...]:
        """Names of the variables, in order of first appearance."""
        found = (match.group(1).strip() for text in self._texts() for match in CONSTRUCT.finditer(text))
        return tuple(dict.fromkeys(found))

    def missing(self, inputs: Mapping[str, Any]) -> tuple[str, ...]:
        """Variables that `inputs` does not fill."""
        return tuple(name for name in self.variables if name not in inputs)

    def render(self, inputs: Mapping[str, Any]) -> tuple[Message, ...]:
        """The messages with every variable filled in one pass: a value that contains `{{x}}` stays as it is.

        Strings go in verbatim, anything else as JSON. Raises PromptError naming all missing variables at once.
        """
        if missing := self.missing(inputs):
            raise PromptError(f"{self.ref}: no value for {', '.join(missing)}; the case gives {', '.join(inputs)}")
        try:
            values = {name: _as_text(inputs[name]) for name in self.variables}
        except (TypeError, ValueError) as error:
            raise PromptError(f"{self.ref}: an input is neither text nor plain JSON data: {error}") from None
        if isinstance(self.template, str):
            return (Message("user", _fill(self._parts[0], values)),)
        return tuple(Message(m.role, _fill(p, values)) for m, p in zip(self.template, self._parts, strict=True))

    def params(self, provider: str) -> dict[str, Any]:
        """Model parameters for this provider: the config, overridden by `by_provider.<provider>`."""
        own = {key: value for key, value in self.config.items() if key != "by_provider"}
        return own | dict(self.config.get("by_provider", {}).get(provider, {}))

    def edit(self, old: str, new: str) -> Prompt:
        """A draft with every `old` replaced by `new`. Raises PromptError if `old` does not occur."""
        if not old or not any(old in text for text in self._texts()):
            raise PromptError(f"{self.ref} does not contain {old!r}, so nothing would change")
        template: str | tuple[Message, ...]
        if isinstance(self.template, str):
            template = self.template.replace(old, new)
        else:
            template = tuple(Message(m.role, m.content.replace(old, new)) for m in self.template)
        return replace(self, template=template, version="", commit_message=f"{old!r} -> {new!r} on {self.ref}",
                       edited_from=(self.edited_from if self.is_draft else None) or self)  # fmt: skip

    def save(self, commit_message: str | None = None) -> Prompt:
        """Write the next version file in the workspace and return that version; content already saved is not saved
        twice but returned as the version that holds it. Raises PromptError for text that YAML cannot hold, StorageError
        when the disk is full or read-only."""
        from workbench.prompts.files import save_prompt

        return save_prompt(replace(self, commit_message=commit_message or self.commit_message))

    def diff(self, other: Prompt) -> str:
        """Word-level difference from this prompt to `other`: `[-removed-]` and `{+added+}`."""
        return word_diff(self.text, other.text)

    @property
    def text(self) -> str:
        """The whole template as one text, roles as headings, for reading and diffing."""
        if isinstance(self.template, str):
            return self.template
        return "\n\n".join(f"[{message.role}]\n{message.content}" for message in self.template)

    @cached_property
    def _parts(self) -> list[list[str]]:
        """Each text split into literal, variable, literal, ...: rendering is then one join."""
        return [[p.strip() if i % 2 else p for i, p in enumerate(CONSTRUCT.split(t))] for t in self._texts()]

    def _texts(self) -> tuple[str, ...]:
        return (self.template,) if isinstance(self.template, str) else tuple(m.content for m in self.template)

    def _repr_html_(self) -> str:
        from workbench.prompts.shown import prompt_html

        return prompt_html(self)

    def __repr__(self) -> str:
        return f"Prompt({self.ref}, variables {', '.join(self.variables) or 'none'})"


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _fill(parts: list[str], values: Mapping[str, str]) -> str:
    return "".join([values[part] if i % 2 else part for i, part in enumerate(parts)])


def unused(prompts: Iterable[Prompt], given: Iterable[str]) -> list[str]:
    """Inputs that no prompt uses."""
    used = {name for prompt in prompts for name in prompt.variables}
    return [name for name in given if name not in used]
