"""What a stand-in Langfuse is started with; the same record on both sides of the process boundary."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from workbench.records import sha256

PUBLIC_KEY = "pk-lf-stand-in"
SECRET_KEY = "sk-lf-stand-in"  # noqa: S105  (opens nothing but the stand-in)


def project_of(public_key: str) -> str:
    """The id of the project that a public key belongs to: the same on every server, for every start."""
    return "project-" + sha256(public_key)[:16]


@dataclass(frozen=True, slots=True)
class Config:
    """`store` is the SQLite file, `port` 0 any free one; each pair of (public, secret) keys is a project."""

    store: str
    port: int = 0
    keys: tuple[tuple[str, str], ...] = field(default=((PUBLIC_KEY, SECRET_KEY),), repr=False)

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> Config:
        """The record of one line of JSON; raises ValueError or TypeError for anything else."""
        value = json.loads(line)
        return cls(value["store"], value["port"], tuple((public, secret) for public, secret in value["keys"]))
