"""Where prompts lie: `prompts/<name>/<version>.yaml` in the workspace, over the shipped ones."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from workbench.errors import PromptError, choices
from workbench.files import LONGEST_NAME, utf8, write_new
from workbench.prompts.checks import is_name
from workbench.prompts.version_file import check_survives, from_yaml, to_yaml
from workbench.settings import kept, no_workspace, places, workspace

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.prompts.prompt import Prompt

NEWEST = 4
"""How many versions a bare prompt name stands for."""

_VERSION = re.compile(r"v[1-9][0-9]*")


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
    found = (
        path.parent.relative_to(root).as_posix()
        for root, path in kept("prompts", "**/v*.yaml")
        if _VERSION.fullmatch(path.stem)
    )
    return {name: list(_version_files(name)) for name in sorted(set(found))}


def prompt_folders(name: str) -> list[Path]:
    """Where files of a prompt may be, the workspace's folder before the shipped one. Raises PromptError for no name."""
    if not is_name(name):
        raise PromptError(f"{name!r} is no prompt name: use letters, digits, '-', '_', '.', and '/' for folders")
    _check_length(name)
    return [root / name for root in places("prompts")]


def save_prompt(prompt: Prompt) -> Prompt:
    """Write the next version file; `Prompt.save` has the details."""
    text = to_yaml(prompt)
    check_survives(text, prompt)
    while True:
        files = _version_files(prompt.name)
        for version, path in files.items():
            if (saved := _read(path, prompt.name, version)).sha == prompt.sha:
                return saved
        number = max((int(version[1:]) for version in files), default=0) + 1
        path = workspace() / "prompts" / prompt.name / f"v{number}.yaml"
        if write_new(path, text):
            return _read(path, prompt.name, f"v{number}")


def _split(ref: str) -> tuple[str, str | None]:
    name, found, version = ref.partition("@")
    if not is_name(name):
        raise PromptError(f"{ref!r} is no prompt: write name@version, such as ticket-triage@v2")
    _check_length(name)
    return name, version.strip() if found and version.strip() else None


def _check_length(name: str) -> None:
    """Before a path is made of it. Raises PromptError."""
    if len(name) > LONGEST_NAME:
        raise PromptError(f"the prompt name {name[:40]!r}… has {len(name):,} characters: {LONGEST_NAME} is the most")


def _version_files(name: str) -> dict[str, Path]:
    """version -> file, oldest first; a workspace file hides the shipped one of the same version."""
    files = {p.stem: p for _, p in kept("prompts", f"{name}/v*.yaml") if _VERSION.fullmatch(p.stem)}
    return dict(sorted(files.items(), key=lambda item: int(item[0][1:])))


def _known_versions(name: str) -> dict[str, Path]:
    if versions := _version_files(name):
        return versions
    raise PromptError(f"no prompt named {name!r}: {choices(name, prompt_names())}{no_workspace()}")


def _read(path: Path, name: str, version: str) -> Prompt:
    try:
        return from_yaml(utf8(path.read_bytes()), name, version)
    except (OSError, ValueError) as error:
        raise PromptError(f"{path}: cannot be read: {error}") from None
    except PromptError as error:
        raise PromptError(f"{path}: {error}") from None
