"""Approvals: one small file each beside the evidence, so that two people's approvals never conflict in git.

A name is a claim. Whoever may write the file may write any name; the review of the pull request that brings the file in
is what authenticates it, and every page says so.
"""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from workbench.errors import PromotionRefused, UsageError
from workbench.files import write_new
from workbench.promotion.evidence import promotions_folder, read_json, seal
from workbench.records import sha256

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from workbench.promotion.evidence import Evidence

CLAIM = "Names are claims: the review of the pull request that brings these files in is what authenticates them."
LONGEST = 100
"""Characters of a name."""

_JOINERS = "\u200c\u200d"
"""Invisible, and needed to write some names."""


@dataclass(frozen=True, slots=True)
class Approval:
    """Somebody's word for one sealed bundle. `evidence`: its SHA-256; `at`: ISO 8601 in UTC."""

    by: str
    evidence: str
    at: str

    @property
    def key(self) -> str:
        """The name without case, spaces and invisible marks: who approves twice counts once."""
        return key_of(self.by)


def key_of(name: str) -> str:
    """What two spellings of one name have in common."""
    plain = unicodedata.normalize("NFKC", name).casefold()
    return "".join(one for one in plain if not one.isspace() and unicodedata.category(one)[0] != "C")


def approve(evidence: Evidence, by: str) -> Approval:
    """Approve a bundle in somebody's name; it is sealed first if it is not. Approving twice changes nothing. Raises
    UsageError for a name that cannot be shown as one line of text."""
    name = _checked(by)
    seal(evidence)
    approval = Approval(name, evidence.sha, datetime.now(UTC).isoformat(timespec="seconds"))
    path = promotions_folder(evidence.name) / f"{evidence.stem}.approved-by-{_slug(name)}.json"
    content = {"by": approval.by, "evidence_sha256": approval.evidence, "at": approval.at}
    if not write_new(path, json.dumps(content, indent=1) + "\n"):
        return _read(path)
    return approval


def approvals(evidence: Evidence) -> tuple[Approval, ...]:
    """Who approved exactly this bundle, each person once, the first word first; also the author, who may not count.
    Raises PromotionRefused for a file that cannot be read as an approval."""
    found = [_read(path) for path in promotions_folder(evidence.name).glob(f"{evidence.stem}.approved-by-*.json")]
    mine = sorted((one for one in found if one.evidence == evidence.sha), key=lambda one: (one.at, one.key))
    return tuple({one.key: one for one in reversed(mine)}.values())[::-1]


def counted(evidence: Evidence, given: Iterable[Approval], *, author_counts: bool) -> tuple[Approval, ...]:
    """The approvals that count towards a policy: of this bundle, each name once, the author's only if it may."""
    mine = [one for one in given if one.evidence == evidence.sha and (author_counts or one.key != key_of(evidence.by))]
    return tuple({one.key: one for one in reversed(mine)}.values())[::-1]


def _checked(by: str) -> str:
    name = " ".join(by.split())
    if not key_of(name):
        raise UsageError("an approval needs a name: --by NAME")
    if len(name) > LONGEST:
        raise UsageError(f"a name of {len(name):,} characters: at most {LONGEST}")
    if any(unicodedata.category(one)[0] == "C" and one not in _JOINERS for one in name):
        raise UsageError(f"the name {name!a} holds invisible or control characters: write it without")
    return name


def _slug(name: str) -> str:
    """A file name for any name: letters and digits that every disk takes, told apart by a hash."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.casefold()).strip("-")[:40]
    return "-".join(filter(None, [plain, sha256(key_of(name))[:6]]))


def _read(path: Path) -> Approval:
    try:
        content = read_json(path, "an approval")
        by, sha, at = content["by"], content["evidence_sha256"], content["at"]
        if not all(isinstance(one, str) for one in (by, sha, at)):
            raise UsageError("by, evidence_sha256 and at must be text")
        return Approval(_checked(by), sha, at)
    except (KeyError, UsageError) as error:
        raise PromotionRefused(f"{path}: no approval ({error}): restore the file or delete it") from None
