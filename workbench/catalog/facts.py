"""What is known about models, as data: the shipped `catalog.toml` under the workspace's own, both checked."""

from __future__ import annotations

import datetime
import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Any

from workbench.errors import CatalogError, choices
from workbench.settings import workspace

TIERS = ("fast", "balanced", "powerful")
SAMPLING = frozenset({"temperature", "top_p", "top_k"})
PARAMETERS = frozenset({"max_tokens", "effort", "stop", "seed"}) | SAMPLING
"""Every model parameter a prompt's config may hold."""
SHIPPED = Path(__file__).with_name("catalog.toml")

_WORDS = {
    "tier": TIERS,
    "endpoint": ("messages", "responses", "chat_completions", "chat"),
    "sampling": ("always", "effort none", "never"),
    "lifecycle": ("active", "deprecated", "retired"),
}
_KINDS: dict[str, tuple[type, str]] = {
    "params": (list, "a list of parameters"),
    "efforts": (list, "a list of words"),
    "default_max_tokens": (int, "a whole number"),
    "free": (bool, "true or false"),
    "ends": (datetime.date, "a date, such as 2027-01-14"),
    "source": (str, "a text"),
    "checked": (datetime.date, "a date, such as 2027-01-14"),
}
_KEYS = ("provider", "id", *_WORDS, *_KINDS)
"""What an entry may say; other keys would be ignored without a word."""


def facts() -> dict[str, Any]:
    """`provider`: name -> facts; `model`: a list of facts with provider and id; `stand_in`: its own models.

    Read again when the workspace's file changes. Raises CatalogError with file, entry and the choices.
    """
    own = workspace() / "catalog.toml"
    try:
        return _facts(own, own.stat().st_mtime_ns)
    except FileNotFoundError:
        return _shipped()
    except OSError as error:
        raise CatalogError(f"{own}: cannot be read: {error}") from None


@lru_cache(maxsize=4)
def _facts(own: Path, stamp: int) -> dict[str, Any]:
    """The shipped facts with the workspace's models over them: an entry of the same provider:id adds to what is known,
    and a tier that the workspace fills for a provider is filled by it alone."""
    found = _shipped()
    content = _read(own)
    if other := sorted(content.keys() - {"model"}):
        raise CatalogError(f"{own}: [{other[0]}]: a workspace's catalog holds [[model]] entries and nothing else")
    models = _models(own, content, found["provider"])
    taken = {(provider, one.get("tier")) for (provider, _), one in models.items()}
    merged = {
        ref: {key: value for key, value in one.items() if key != "tier" or (ref[0], value) not in taken}
        for ref, one in ((_ref(one), one) for one in found["model"])
    }
    for ref, one in models.items():
        merged[ref] = merged.get(ref, {}) | one
    return found | {"model": list(merged.values())}


@lru_cache(maxsize=1)
def _shipped() -> dict[str, Any]:
    content = _read(SHIPPED)
    providers = content.get("provider", {})
    for name, entry in providers.items():
        special = {key: value for key, value in entry.items() if isinstance(value, dict)}
        for one in (entry, *special.values()):
            _check(f"{SHIPPED}, provider {name}", {key: value for key, value in one.items() if key not in special})
    return content | {"model": list(_models(SHIPPED, content, providers).values())}


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except UnicodeDecodeError:
        raise CatalogError(f"{path}: not UTF-8: save the file with the encoding UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise CatalogError(f"{path}: not valid TOML: {error}") from None


def _models(path: Path, content: dict[str, Any], providers: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    entries = content.get("model", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise CatalogError(f'{path}: a model is written [[model]], then provider = "openai" and id = "..."')
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for number, entry in enumerate(entries, 1):
        for key in ("provider", "id"):
            if not isinstance(entry.get(key), str) or not entry[key].strip():
                raise CatalogError(f"{path}, model {number}: needs {key}, a text")
        where = f"{path}, model {entry['provider']}:{entry['id']}"
        if entry["provider"] not in providers:
            raise CatalogError(f"{where}: no provider named {entry['provider']!r}: "
                               f"{choices(entry['provider'], providers)}")  # fmt: skip
        _check(where, entry)
        if _ref(entry) in found:
            raise CatalogError(f"{where}: is there twice")
        found[_ref(entry)] = entry
    return found


def _ref(entry: dict[str, Any]) -> tuple[str, str]:
    return entry["provider"], entry["id"]


def _check(where: str, entry: dict[str, Any]) -> None:
    """Refuse keys and values that nobody would look at. Raises CatalogError."""
    for key, value in entry.items():
        if key not in _KEYS:
            raise CatalogError(f"{where}: unknown key {key!r}: {choices(key, _KEYS)}")
        if key in _WORDS and value not in _WORDS[key]:
            raise CatalogError(f"{where}: {key} {value!r}: {choices(str(value), _WORDS[key])}")
        if key in _KINDS and not _fits(value, _KINDS[key][0]):
            raise CatalogError(f"{where}: {key} {value!r} must be {_KINDS[key][1]}")
        if key == "params" and (unknown := sorted(set(value) - PARAMETERS)):
            raise CatalogError(f"{where}: params {unknown[0]!r}: {choices(unknown[0], PARAMETERS)}")


def _fits(value: Any, kind: type) -> bool:
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool) and value > 0
    if kind is list:
        return isinstance(value, list) and all(isinstance(one, str) for one in value)
    return isinstance(value, kind)
