"""Recorded answers: real replies, played back to the requests they were given to."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.sim.matching import KnownTexts
from workbench.sim.said import Draft, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from workbench.sim.asked import Asked

TEXTS = ("model", "input", "output")
KINDS: dict[str, tuple[type, ...]] = {
    "key": (str,),
    "repeat": (int,),
    "system": (str,),
    "usage": (dict,),
    "latency_ms": (int, float),
}


class RecordingsError(ValueError):
    """A file of recordings is wrong; the message begins with file:line."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One recorded reply. `key` is the SHA-256 of the question; without it the reply is known by model and input."""

    model: str
    input: str
    output: str
    key: str | None = None
    repeat: int | None = None
    system: str | None = None
    usage: Mapping[str, int] = field(default_factory=dict)
    latency_s: float = 0.0


Draws = dict[int, Recorded]
"""The recorded repeats of one question, by their number."""


class Recordings:
    """A file of recorded replies. `sha` identifies its content; `loose`: some replies are known by their input only."""

    def __init__(self, entries: Iterable[tuple[str, Recorded]], sha: str) -> None:
        self.sha = sha
        self.loose = False
        self._keyed: dict[str, Draws] = {}
        loose: dict[tuple[str, str, str | None], Draws] = {}
        for where, entry in entries:
            if entry.key is None:
                self.loose = True
                draws = loose.setdefault((entry.model, entry.input, entry.system), {})
            else:
                draws = self._keyed.setdefault(entry.key, {})
            _add(draws, entry, where)
        models = {model for model, _, _ in loose}
        self._by_input = {
            model: KnownTexts((text, (system, draws)) for (m, text, system), draws in loose.items() if m == model)
            for model in models
        }

    @classmethod
    def load(cls, path: Path | str) -> Recordings:
        """Read JSON lines {model, input, output, key?, repeat?, system?, usage?, latency_ms?}; others are ignored.

        Replies to one question without `repeat` are its repeats in the order of the file.
        Raises RecordingsError, with file and line, for what cannot be read or is there twice.
        """
        path = Path(path)
        data = path.read_bytes()
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            number = data.count(b"\n", 0, error.start) + 1
            raise RecordingsError(f"{path}:{number}: not UTF-8: {error}") from None
        lines = ((number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip())
        entries = [(f"{path}:{number}", _entry(line, f"{path}:{number}")) for number, line in lines]
        return cls(entries, hashlib.sha256(data).hexdigest())

    def find(self, asked: Asked) -> Recorded | None:
        """The recorded reply to this question and repeat: by key, else by model and the longest input it contains."""
        draws = self._keyed.get(asked.key)
        if draws is not None and asked.repeat in draws:
            return draws[asked.repeat]
        index = self._by_input.get(asked.model)
        if index is None:
            return None
        for _, candidates in index.find(asked.user):
            for system, draws in candidates:
                if (not system or system in asked.system) and asked.repeat in draws:
                    return draws[asked.repeat]
        return None

    def reply(self, asked: Asked) -> Draft:
        """The recorded reply as an answer; raises Problem if nothing is recorded for the request."""
        entry = self.find(asked)
        if entry is None:
            message = f"model {asked.model!r}: no recording matches this request (repeat {asked.repeat})"
            raise Problem("not_found", message)
        return Draft(
            text=entry.output,
            source="recorded-loose" if entry.key is None else "recorded",
            reasoning_tokens=entry.usage.get("reasoning_tokens", 0),
            output_tokens=entry.usage.get("output_tokens"),
            input_tokens=entry.usage.get("input_tokens"),
            latency_s=entry.latency_s,
        )


def _add(draws: Draws, entry: Recorded, where: str) -> None:
    number = entry.repeat if entry.repeat is not None else len(draws)
    if number in draws:
        raise RecordingsError(f"{where}: repeat {number} of this question is recorded twice")
    draws[number] = entry


def _entry(line: str, where: str) -> Recorded:
    try:
        value = json.loads(line)
    except ValueError as error:
        raise RecordingsError(f"{where}: not a JSON object: {error}") from None
    if not isinstance(value, dict):
        raise RecordingsError(f"{where}: not a JSON object")
    _check(value, where)
    return Recorded(
        model=value["model"],
        input=value["input"].strip(),
        output=value["output"],
        key=value.get("key"),
        repeat=value.get("repeat"),
        system=value.get("system"),
        usage=value.get("usage") or {},
        latency_s=(value.get("latency_ms") or 0) / 1000,
    )


def _check(value: Mapping[str, Any], where: str) -> None:
    for name in TEXTS:
        if not isinstance(value.get(name), str):
            raise RecordingsError(f"{where}: {name!r} must be a text")
    if not value["input"].strip() and value.get("key") is None:
        raise RecordingsError(f"{where}: an empty input needs a key, else it would match everything")
    for name, kinds in KINDS.items():
        given = value.get(name)
        if given is not None and (not isinstance(given, kinds) or isinstance(given, bool)):
            raise RecordingsError(f"{where}: {name!r} must be {' or '.join(kind.__name__ for kind in kinds)}")
    for name, tokens in (value.get("usage") or {}).items():
        if not isinstance(tokens, int) or isinstance(tokens, bool) or tokens < 0:
            raise RecordingsError(f"{where}: usage {name!r} must be a whole number of tokens")
