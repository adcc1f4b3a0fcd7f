"""One request that has been let in, and what it can be answered with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping


@dataclass(slots=True)
class Settings:
    """What a test has set: how many label moves still race (-1 = all), and which of two holders is read by label."""

    race: int = 0
    reads: str = "oldest"

    def change(self, value: Mapping[str, Any]) -> None:
        """Take over `{"race": true | false | n}` and `{"reads": "oldest" | "newest"}`; raises ValueError for others."""
        unknown = set(value) - {"race", "reads"}
        if unknown:
            raise ValueError(f"unknown settings: {', '.join(sorted(unknown))}; there are: race, reads")
        if value.get("reads", "oldest") not in {"oldest", "newest"}:
            raise ValueError("reads is oldest or newest")
        race = value.get("race", self.race)
        self.race = -1 if race is True else int(race)
        self.reads = value.get("reads", self.reads)

    def races(self) -> bool:
        """Whether the label move at hand misses the other holder; counts it."""
        racing = self.race != 0
        if self.race > 0:
            self.race -= 1
        return racing


@dataclass(frozen=True, slots=True)
class Call:
    """Whose project, what about, and the open transaction. `body` is the parsed JSON, or bytes where no JSON is wanted;
    `reject` are the indexes of the scores that a test wants rejected."""

    rows: sqlite3.Connection
    project: str
    path: Mapping[str, str]
    query: Mapping[str, Any]
    body: Any
    settings: Settings
    content_type: str = "application/json"
    reject: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Answer:
    """A status with a JSON value (None: no body at all, a str: plain text) and headers."""

    status: int
    value: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Refused(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, message: str, error: Any = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"message": message} | ({} if error is None else {"error": error})

    @classmethod
    def invalid(cls, message: str) -> Refused:
        """400 for a request that reads well and breaks a rule."""
        return cls(400, message, "InvalidRequestError")

    @classmethod
    def data(cls, issues: list[dict[str, Any]]) -> Refused:
        """400 for a request that does not read well, with everything that is wrong."""
        return cls(400, "Invalid request data", issues)

    @classmethod
    def missing(cls, message: str) -> Refused:
        """404 for a thing that is not there."""
        return cls(404, message, "LangfuseNotFoundError")
