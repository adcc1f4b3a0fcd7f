"""Prompts: named templates with versions, `prompts/<name>/<version>.yaml`, keys exactly Langfuse's.

Variables are `{{name}}` and nothing else. A released version is not meant to change; half a thought is tried with
`prompt.edit(...)`, which gives a draft, and kept with `.save()`.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import PromptError, choices
from workbench.files import write_new
from workbench.records import Message, canonical, sha256
from workbench.settings import workspace

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

KEYS = ("name", "type", "prompt", "config", "tags", "commit_message")
NEWEST = 4
"""How many versions a bare prompt name stands for."""

_CONSTRUCT = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_VARIABLE = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*")
_NAME = re.compile(r"[A-Za-z0-9_.\-]+(/[A-Za-z0-9_.\-]+)*")
_VERSION = re.compile(r"v[1-9][0-9]*")
_UNSAFE_IN_YAML = re.compile(
    r"\A\s|[^\S\n](?:\n|\Z)|[^\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_ROLES = frozenset({"system", "user", "assistant"})
_TURN = frozenset({"role", "content", "type"})
_LANGFUSE_INCLUDE = "@@@langfusePrompt"


@dataclass(frozen=True)
class Prompt:
    """A template: text or chat messages, with the model parameters that belong to it.

    `template` is the text, or a tuple of messages. `config` holds model parameters (max_tokens, effort, temperature,
    top_p, top_k, seed, stop), with overrides per provider under `by_provider`. Made from a file by `load_prompt`, from
    a file's content by `Prompt(...)`, from text by `Prompt.from_text(...)`.

    Raises PromptError for wrong names, roles, or anything but a plain variable inside `{{ }}`.
    """

    name: str
    template: str | tuple[Message, ...]
    config: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    commit_message: str = ""
    version: str = ""

    def __post_init__(self) -> None:
        where = f"prompt {self.name}@{self.version}" if self.version else f"prompt {self.name}"
        if not _is_name(self.name):
            raise PromptError(f"prompt name {self.name!r}: use letters, digits, '-', '_', '.', and '/' for folders")
        _check_messages(self.template, where)
        _check_config(self.config, where)
        for text in self._texts():
            _check_constructs(text, where)
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
        return _plain(self.template)

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
        return sha256(canonical({"config": dict(self.config), "prompt": _plain(self.template)}))

    @cached_property
    def variables(self) -> tuple[str, ...]:
        """Names of the variables, in order of first appearance."""
        found = (match.group(1).strip() for text in self._texts() for match in _CONSTRUCT.finditer(text))
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
        return replace(self, template=template, version="", commit_message=f"{old!r} -> {new!r} on {self.ref}")

    def save(self, commit_message: str | None = None) -> Prompt:
        """Write the next version file in the workspace and return that version; content already saved is not saved
        twice but returned as the version that holds it. Raises PromptError for text that YAML cannot hold, StorageError
        when the disk is full or read-only."""
        text = to_yaml(replace(self, commit_message=commit_message or self.commit_message))
        _check_survives(text, self)
        while True:
            files = _version_files(self.name)
            for version, path in files.items():
                if (saved := _read(path, self.name, version)).sha == self.sha:
                    return saved
            number = max((int(version[1:]) for version in files), default=0) + 1
            path = workspace() / "prompts" / self.name / f"v{number}.yaml"
            if write_new(path, text):
                return _read(path, self.name, f"v{number}")

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
        return [[p.strip() if i % 2 else p for i, p in enumerate(_CONSTRUCT.split(t))] for t in self._texts()]

    def _texts(self) -> tuple[str, ...]:
        return (self.template,) if isinstance(self.template, str) else tuple(m.content for m in self.template)

    def __repr__(self) -> str:
        return f"Prompt({self.ref}, variables {', '.join(self.variables) or 'none'})"


def load_prompt(ref: str) -> Prompt:
    """One version: `"ticket-triage@v2"`; a bare name is its newest version. Raises PromptError with the choices."""
    name, version = _split(ref)
    versions = _known_versions(name)
    if version is None:
        version = next(reversed(versions))
    if version not in versions:
        raise PromptError(f"prompt {name!r} has no version {version!r}: {choices(version, versions)}")
    return _read(versions[version], name, version)


def load_prompts(ref: str) -> list[Prompt]:
    """Several versions: `"ticket-triage@v2,v5"`; a bare name means its newest four."""
    name, version = _split(ref)
    asked = [one.strip() for one in (version or "").split(",") if one.strip()]
    return [load_prompt(f"{name}@{one}") for one in asked or list(_known_versions(name))[-NEWEST:]]


def prompt_names() -> dict[str, list[str]]:
    """All prompt names with their versions, the workspace's before the shipped ones."""
    names: dict[str, list[str]] = {}
    for root in _roots():
        for path in sorted(root.rglob("v*.yaml")):
            if _VERSION.fullmatch(path.stem):
                names.setdefault(path.parent.relative_to(root).as_posix(), [])
    return {name: list(_version_files(name)) for name in sorted(names)}


def prompt_folders(name: str) -> list[Path]:
    """Where files of a prompt may be, the workspace's folder before the shipped one. Raises PromptError for no name."""
    if not _is_name(name):
        raise PromptError(f"{name!r} is no prompt name: use letters, digits, '-', '_', '.', and '/' for folders")
    return [root / name for root in _roots()]


def to_yaml(prompt: Prompt) -> str:
    """The prompt as a version file's text; loading it again gives the same content hash."""
    import yaml

    class Blocks(yaml.SafeDumper):
        pass

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        # YAML reads other line breaks as "\n", and PyYAML's own choice of style does not see that; quotes with escapes
        # keep them. A block that begins with white space would need a hint that PyYAML gets wrong in lists.
        style = '"' if _UNSAFE_IN_YAML.search(value) else "|" if "\n" in value else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    Blocks.add_representer(str, text)
    content = {
        "name": prompt.name,
        "type": "text" if isinstance(prompt.template, str) else "chat",
        "prompt": _plain(prompt.template),
        "config": json.loads(canonical(dict(prompt.config))),  # numpy's numbers and tuples become plain ones
        "tags": list(prompt.tags),
        "commit_message": prompt.commit_message,
    }
    return yaml.dump(content, Dumper=Blocks, sort_keys=False, allow_unicode=True, width=100)


def word_diff(old: str, new: str) -> str:
    """`old` turned into `new`, by words: `[-removed-]` and `{+added+}`, white space kept."""
    return "".join({"=": text, "-": f"[-{text}-]", "+": f"{{+{text}+}}"}[sign] for sign, text in diff_words(old, new))


def diff_words(old: str, new: str) -> list[tuple[str, str]]:
    """Pieces of the change by words: ("=", kept), ("-", removed), ("+", added)."""
    # a word with the white space behind it: blanks of their own would match each other everywhere, which takes for ever
    a, b = re.findall(r"\S+\s*|\s+", old), re.findall(r"\S+\s*|\s+", new)
    pieces: list[tuple[str, str]] = []
    for op, a0, a1, b0, b1 in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        removed, added = "".join(a[a0:a1]), "".join(b[b0:b1])
        kept = removed if op == "equal" else _common_end(removed, added)
        cut = len(kept)
        changes = [("-", removed[: len(removed) - cut]), ("+", added[: len(added) - cut]), ("=", kept)]
        pieces += [(sign, text) for sign, text in changes if text]
    return pieces


def _common_end(old: str, new: str) -> str:
    """The white space that both end with."""
    ends = [text[len(text.rstrip()) :] for text in (old, new)]
    return os.path.commonprefix([end[::-1] for end in ends])[::-1]  # noqa: RUF071  # character by character is meant


def _split(ref: str) -> tuple[str, str | None]:
    name, found, version = ref.partition("@")
    if not _is_name(name):
        raise PromptError(f"{ref!r} is no prompt: write name@version, such as ticket-triage@v2")
    return name, version.strip() if found and version.strip() else None


def _is_name(name: object) -> bool:
    return isinstance(name, str) and bool(_NAME.fullmatch(name)) and not {".", ".."} & set(name.split("/"))


def _roots() -> list[Path]:
    shipped = Path(__file__).parent / "shipped" / "prompts"
    source_tree = Path(__file__).parent.parent / "prompts"
    return [workspace() / "prompts", shipped if shipped.is_dir() else source_tree]


def _version_files(name: str) -> dict[str, Path]:
    """version -> file, oldest first; a workspace file hides the shipped one of the same version."""
    files: dict[str, Path] = {}
    for root in reversed(_roots()):
        files |= {p.stem: p for p in (root / name).glob("v*.yaml") if _VERSION.fullmatch(p.stem)}
    return dict(sorted(files.items(), key=lambda item: int(item[0][1:])))


def _known_versions(name: str) -> dict[str, Path]:
    if versions := _version_files(name):
        return versions
    raise PromptError(f"no prompt named {name!r}: {choices(name, prompt_names())}")


def _read(path: Path, name: str, version: str) -> Prompt:
    try:
        return _from_yaml(path.read_text("utf-8"), name, version)
    except (OSError, UnicodeDecodeError) as error:
        raise PromptError(f"{path}: cannot be read: {error}") from None
    except PromptError as error:
        raise PromptError(f"{path}: {error}") from None


def _from_yaml(text: str, name: str, version: str) -> Prompt:
    import yaml

    try:
        content = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  # both are safe
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date such as 2026-99-99
        raise PromptError(f"cannot be read as YAML: {error}") from None
    return _from_content(content, name, version)


def _check_survives(text: str, prompt: Prompt) -> None:
    """A version that could not be loaded again, or as something else, must never be written."""
    try:
        same = _from_yaml(text, prompt.name, prompt.version).sha == prompt.sha
    except PromptError as error:
        raise PromptError(f"{prompt.ref} cannot be saved: {error}") from None
    if not same:
        raise PromptError(f"{prompt.ref} cannot be saved: it holds characters that YAML does not keep")


def _from_content(content: Any, name: str, version: str) -> Prompt:
    if not isinstance(content, dict):
        raise PromptError(f"must be a mapping with the keys {', '.join(KEYS)}")
    if unknown := [str(key) for key in content if key not in KEYS]:
        raise PromptError(f"unknown key {unknown[0]!r}: {choices(unknown[0], KEYS)}")
    if missing := [key for key in ("name", "type", "prompt") if key not in content]:
        raise PromptError(f"missing {', '.join(missing)}")
    if content["name"] != name:
        raise PromptError(f"says name {content['name']!r}, but its folder is {name!r}")
    if content["type"] not in ("text", "chat"):
        raise PromptError(f"type {content['type']!r}: must be text or chat")
    tags = content.get("tags") or []
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise PromptError("tags must be a list of words: [support, german]")
    if not isinstance(content.get("commit_message") or "", str):
        raise PromptError("commit_message must be text")
    template = content["prompt"]
    if (content["type"] == "text") != isinstance(template, str):
        found = "text" if isinstance(template, str) else "no text"
        raise PromptError(f"type is {content['type']}, but prompt is {found}")
    return Prompt(
        name=name,
        template=template if isinstance(template, str) else _messages(template),
        config=content.get("config") or {},
        tags=tuple(tags),
        commit_message=content.get("commit_message") or "",
        version=version,
    )


def _messages(entries: Any) -> tuple[Message, ...]:
    if not isinstance(entries, list) or not all(isinstance(e, dict) and set(e) == {"role", "content"} for e in entries):
        raise PromptError("a chat prompt is a list of entries with exactly role and content")
    return tuple(Message(entry["role"], entry["content"]) for entry in entries)


def _check_messages(template: object, where: str) -> None:
    if isinstance(template, str):
        if not template.strip():
            raise PromptError(f"{where}: the prompt is empty")
        return
    if not isinstance(template, tuple) or not template or not all(isinstance(m, Message) for m in template):
        raise PromptError(f"{where}: the prompt must be a text or a tuple of messages")
    for message in template:
        if not isinstance(message.role, str) or message.role not in _ROLES:
            raise PromptError(f"{where}: role {message.role!r}: {choices(str(message.role), _ROLES)}")
        if not isinstance(message.content, str):
            raise PromptError(f"{where}: the content of a {message.role} message must be text")
    if all(message.role == "system" for message in template):
        raise PromptError(f"{where}: a chat prompt needs at least one user message")


def _check_config(config: object, where: str) -> None:
    if not isinstance(config, dict):
        raise PromptError(f"{where}: config must be a mapping")
    try:
        canonical(config)
    except (TypeError, ValueError) as error:
        raise PromptError(f"{where}: config must be plain JSON data: {error}") from None
    by_provider = config.get("by_provider", {})
    if not isinstance(by_provider, dict) or not all(isinstance(value, dict) for value in by_provider.values()):
        raise PromptError(f"{where}: config.by_provider must map provider names to mappings")


def _check_constructs(text: str, where: str) -> None:
    """Refuse all that Langfuse's compiler or server would read differently from us."""
    if _LANGFUSE_INCLUDE in text:
        raise PromptError(f"{where}: {_LANGFUSE_INCLUDE} would be expanded by the Langfuse server; write the text out")
    for match in _CONSTRUCT.finditer(text):
        if not _VARIABLE.fullmatch(match.group(1)):
            raise PromptError(f"{where}: {match.group(0)[:60]!r}: only a variable name may stand inside {{{{ }}}}; "
                              "a literal '{{' must come in through a variable")  # fmt: skip
    rest = _CONSTRUCT.sub("", text)
    if "{{" in rest or "{%" in rest:
        raise PromptError(f"{where}: unclosed or unknown construct near {_near(rest)!r}; variables are {{{{name}}}}")


def _near(text: str) -> str:
    at = min(i for i in (text.find("{{"), text.find("{%")) if i >= 0)
    return text[at : at + 30]


def _plain(template: str | tuple[Message, ...]) -> Any:
    return template if isinstance(template, str) else [{"role": m.role, "content": m.content} for m in template]


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _fill(parts: list[str], values: Mapping[str, str]) -> str:
    return "".join([values[part] if i % 2 else part for i, part in enumerate(parts)])


def unused(prompts: Iterable[Prompt], given: Iterable[str]) -> list[str]:
    """Inputs that no prompt uses."""
    used = {name for prompt in prompts for name in prompt.variables}
    return [name for name in given if name not in used]
