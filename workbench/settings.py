"""Settings: the environment over the workspace's `.env` over the shipped defaults.

Raw text is read with the standard library (and python-dotenv where a `.env` exists), so that a replay from the cache
needs no pydantic; `load()` is the validated form that everything else uses.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from workbench.errors import SettingsError

if TYPE_CHECKING:
    from pydantic_settings import BaseSettings

DEFAULTS: dict[str, str | None] = {
    "ANTHROPIC_API_KEY": None,
    "ANTHROPIC_BASE_URL": None,
    "OPENAI_API_KEY": None,
    "OPENAI_BASE_URL": None,
    "OPENAI_API": "responses",
    "OLLAMA_API_KEY": None,
    "OLLAMA_HOST": None,
    "OLLAMA_FAST": None,
    "OLLAMA_BALANCED": None,
    "OLLAMA_POWERFUL": None,
    "LANGFUSE_BASE_URL": None,
    "LANGFUSE_PUBLIC_KEY": None,
    "LANGFUSE_SECRET_KEY": None,
    "WORKBENCH_LIVE": "0",
    "WORKBENCH_RUN_BUDGET": "5",
    "WORKBENCH_PROCESS_BUDGET": None,
    "WORKBENCH_CONCURRENCY": "16",
    "WORKBENCH_TIMEOUT_S": "120",
    "WORKBENCH_PRICES": None,
    "WORKBENCH_TRACES": "1",
}
"""Every setting with its shipped value; `WORKBENCH_HOME` comes from the environment alone."""

SECRET = frozenset({"ANTHROPIC_API_KEY", "OPENAI_API_KEY", "OLLAMA_API_KEY", "LANGFUSE_SECRET_KEY"})
TRUE = frozenset({"1", "true", "yes", "on"})


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting in force: its text and where it came from. A key's text is never shown."""

    name: str
    text: str | None
    origin: Literal["environment", ".env", "default"]

    def shown(self) -> str:
        """The value as `workbench doctor` may print it."""
        if self.text is None:
            return "not set"
        if self.name in SECRET:
            return "set, hidden"
        return _without_credentials(self.text) if self.name.endswith(("_URL", "_HOST")) else self.text

    def __repr__(self) -> str:
        return f"Setting({self.name}={self.shown()} from {self.origin})"


def workspace() -> Path:
    """The folder that holds `prompts/`, `datasets/` and `.workbench/`: `WORKBENCH_HOME`, else the current one."""
    return Path(os.environ.get("WORKBENCH_HOME") or ".").absolute()


def state_dir(*parts: str) -> Path:
    """A folder below `.workbench/`; not created here."""
    return workspace().joinpath(".workbench", *parts)


def no_workspace() -> str:
    """The end of a message about something that was not found, where the workspace's folder itself is missing."""
    return "" if workspace().is_dir() else f"; the workspace {workspace()} is no folder (WORKBENCH_HOME names it)"


def places(kind: str) -> list[Path]:
    """Folders that hold `prompts` or `datasets`: the workspace's own before the shipped one."""
    installed, source_tree = Path(__file__).parent / "shipped" / kind, Path(__file__).parent.parent / kind
    return [workspace() / kind, installed if installed.is_dir() else source_tree]


def kept(kind: str, pattern: str) -> list[tuple[Path, Path]]:
    """(folder, file) of the prompts or datasets whose path in the folder matches, the shipped ones before the
    workspace's.

    Shipped are those that `shipped.txt` names: what somebody saves in the source tree is a workspace's, not everyone's.
    """
    own, shipped = places(kind)
    everyones = {shipped.parent / name for name in _shipped_names()}
    found = [(shipped, path) for path in sorted(shipped.glob(pattern)) if path in everyones]
    return found + [(own, path) for path in sorted(own.glob(pattern))]


@lru_cache(maxsize=1)
def _shipped_names() -> frozenset[str]:
    return frozenset(Path(__file__).with_name("shipped.txt").read_text("utf-8").split())


def setting(name: str) -> Setting:
    """One setting in force, as raw text."""
    if text := os.environ.get(name):
        return Setting(name, text, "environment")
    if text := _dotenv(workspace() / ".env").get(name):
        return Setting(name, text, ".env")
    return Setting(name, DEFAULTS[name], "default")


def settings_in_force() -> list[Setting]:
    """All settings with their origin, for `workbench doctor`."""
    return [setting(name) for name in DEFAULTS]


def is_live() -> bool:
    """Whether `WORKBENCH_LIVE` asks for real calls."""
    return (setting("WORKBENCH_LIVE").text or "").lower() in TRUE


def tool_table(name: str) -> dict[str, Any]:
    """`[tool.workbench.<name>]` of the workspace's pyproject.toml, empty where there is none. Raises SettingsError."""
    import tomllib

    path = workspace() / "pyproject.toml"
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from None
    found = content.get("tool", {}).get("workbench", {}).get(name, {})
    if not isinstance(found, dict):
        raise SettingsError(f"{path}: [tool.workbench.{name}] must be a table")
    return found


def concurrency() -> int:
    """`WORKBENCH_CONCURRENCY` without loading pydantic: a replay needs this one number. Raises SettingsError."""
    found = setting("WORKBENCH_CONCURRENCY")
    text = (found.text or "").strip()
    if not text.isdecimal() or len(text) > 9 or int(text) < 1:
        raise SettingsError(f"WORKBENCH_CONCURRENCY is {text!r} ({found.origin}): it must be a whole number, 1 or more")
    return int(text)


def load() -> Any:
    """The validated settings: attributes named as `DEFAULTS` in lower case, keys as `SecretStr`.

    Raises SettingsError naming every wrong one.
    """
    from pydantic import ValidationError

    try:
        values: dict[str, Any] = {name.lower(): setting(name).text for name in DEFAULTS}
        found, faults = _model()(**values), []
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors()]
    if faults := faults + misspelt():
        raise SettingsError(f"wrong settings: {'; '.join(faults)}. `workbench doctor` shows where each comes from.")
    return found


@lru_cache
def _model() -> type[BaseSettings]:
    """Built on first use, because pydantic costs more to import than a whole replay takes."""
    from typing import Annotated

    from pydantic import Field, SecretStr, create_model
    from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

    class OneReader(BaseSettings):
        model_config = SettingsConfigDict(extra="forbid", hide_input_in_errors=True)

        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *_: Any, **__: Any
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            # `setting()` is the only reader: environment and .env are merged there, with their origin.
            return (init_settings,)

    types: dict[str, Any] = {
        "anthropic_api_key": (SecretStr | None, None),
        "openai_api_key": (SecretStr | None, None),
        "ollama_api_key": (SecretStr | None, None),
        "langfuse_secret_key": (SecretStr | None, None),
        "openai_api": (Literal["responses", "chat_completions"], ...),
        "workbench_live": (bool, ...),
        "workbench_traces": (bool, ...),
        "workbench_run_budget": (float, Field(gt=0, allow_inf_nan=False)),
        "workbench_process_budget": (Annotated[float, Field(gt=0, allow_inf_nan=False)] | None, None),
        "workbench_concurrency": (int, Field(ge=1)),  # the same rule as in `concurrency()`
        "workbench_timeout_s": (float, Field(gt=0, allow_inf_nan=False)),
    }
    fields = {name.lower(): types.get(name.lower(), (str | None, None)) for name in DEFAULTS}
    return create_model("Settings", __base__=OneReader, **fields)


def _dotenv(path: Path) -> dict[str, str | None]:
    """The `.env` file's values, read again only when it changed."""
    try:
        stamp = path.stat().st_mtime_ns
    except OSError:
        return {}
    return _parse_dotenv(path, stamp)


@lru_cache(maxsize=4)
def _parse_dotenv(path: Path, stamp: int) -> dict[str, str | None]:
    from dotenv import dotenv_values
    from dotenv.parser import parse_stream

    try:
        with path.open(encoding="utf-8-sig") as file:
            for line in parse_stream(file):
                # a key that is left out without a word is looked for elsewhere; the line may hold it, so is not shown
                if line.error or (line.key is not None and line.value is None):
                    raise SettingsError(f"{path}, line {line.original.line}: a line is NAME=value, or # and a comment")
        return dict(dotenv_values(path, encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read ({error}): a line is NAME=value, in UTF-8") from None


def misspelt() -> list[str]:
    """Names that look like a setting of ours and are none, a sentence each: what they say is in force nowhere."""
    named = dict.fromkeys(os.environ, "environment") | dict.fromkeys(_dotenv(workspace() / ".env"), ".env")
    return [
        f"{name} ({origin}): no such setting, probably {near[0]}"
        for name, origin in sorted(named.items())
        if name.startswith("WORKBENCH_") and name not in DEFAULTS
        and (near := get_close_matches(name, DEFAULTS, n=1, cutoff=0.8))
    ]  # fmt: skip


def _without_credentials(text: str) -> str:
    """`http://user:secret@host` without the secret: an address may carry one, with or without a scheme, and it may
    hold an @ or a / itself. What follows a ? may be a key too."""
    scheme, found, rest = text.partition("://")
    _, hidden, host = (rest if found else text).rpartition("@")
    host, asks, _ = host.partition("?")
    return f"{scheme + found if found else ''}{'***@' if hidden else ''}{host}{'?***' if asks else ''}"
