"""Who a stand-in server is, computed from what may change its answers and from nothing else."""

from __future__ import annotations

import hashlib
from pathlib import Path

from workbench.records import canonical, sha256

SHIPPED = Path(__file__).with_name("behaviour.toml")
"""The behaviour used when no other file is named."""


def origin_of(behaviour_text: str, seed: int, recordings_sha: str | None) -> str:
    """`sim:` and 16 hex digits: the identity of a stand-in server in cache keys and rows.

    It holds no address, so a restarted server on another port is the same origin. Cheap: starts and parses nothing.
    """
    parts = {"behaviour": behaviour_text, "recordings": recordings_sha, "seed": seed}
    return f"sim:{sha256(canonical(parts))[:16]}"


def behaviour_text(path: Path | str | None = None) -> str:
    """The text of a behaviour file, or of the shipped one."""
    return Path(path or SHIPPED).read_text(encoding="utf-8")


def file_sha(path: Path | str) -> str:
    """SHA-256 of a file's bytes, 64 hex digits."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def origin_of_files(behaviour: Path | str | None, seed: int, recordings: Path | str | None) -> str:
    """`origin_of` for files on disk; `None` is the shipped behaviour and no recordings."""
    return origin_of(behaviour_text(behaviour), seed, file_sha(recordings) if recordings else None)
