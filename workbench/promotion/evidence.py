"""Evidence: what a promotion rests on, sealed under its own hash, a file made to be committed.

The SHA-256 shows accidents and later edits. It is no signature: whoever may write the file may write all of it anew;
the chained record of the promotion holds the hash that counted.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import DatasetError, PromotionRefused, UsageError, WorkbenchError
from workbench.files import write_new
from workbench.promotion.layout import has_layout
from workbench.prompts import Prompt
from workbench.records import canonical, sha256
from workbench.settings import workspace
from workbench.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from workbench.langfuse.prompts import Remote

LARGEST = 30_000_000
"""Bytes of a bundle or an approval: two prompts of 1 MB in each of their forms, their change, and room to spare."""

RESTORE = "Restore the file, or delete it: what is confirmed in this workspace is sealed again."
_SUBSTANCE = ("candidate", "baseline", "production", "server", "dataset", "run", "guards", "other_metrics", "source")
"""What must be equal for a sealed bundle to be used again; who made it, when and on which machine may differ."""


@dataclass(frozen=True)
class Evidence:
    """Everything behind one decision as JSON data, with the SHA-256 of its canonical form. `path`: the
    sealed file, None before it is sealed."""

    content: Mapping[str, Any]
    sha: str
    path: Path | None = None

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Evidence:
        """Evidence that is not sealed yet."""
        return cls(content, sha256(canonical(dict(content))))

    @property
    def name(self) -> str:
        """The prompt's name."""
        return str(self.content["name"])

    @property
    def version(self) -> str:
        """The candidate's local version."""
        return str(self.content["candidate"]["version"])

    @property
    def ref(self) -> str:
        """How the candidate is written: `ticket-triage@v4`."""
        return f"{self.name}@{self.version}"

    @property
    def by(self) -> str:
        """Who made it; a claim."""
        return str(self.content["by"])

    @property
    def source(self) -> str:
        """live, simulated or recorded."""
        return str(self.content["source"])

    @property
    def is_first(self) -> bool:
        """Whether nothing is production yet, so that there is nothing to go back to."""
        return self.content["production"] is None

    @property
    def stem(self) -> str:
        """The beginning of its file names: version and 12 digits of the hash."""
        return f"{self.version}-{self.sha[:12]}"

    @cached_property
    def verdict(self) -> Verdict:
        """The confirmed verdict."""
        return Verdict.from_json(self.content["verdict"])

    @cached_property
    def prompt(self) -> Prompt:
        """The candidate as it was when the evidence was made."""
        found = self.content["candidate"]
        return Prompt.from_plain(self.name, found["template"], found["config"], found["version"])

    def says_the_same(self, other: Evidence) -> bool:
        """Whether both rest on the same things: content, run, verdict, guards, production and server."""
        return canonical(self._substance()) == canonical(other._substance())

    def _substance(self) -> dict[str, Any]:
        judged = {name: self.content["verdict"][name] for name in ("metric", "margin", "verdicts")}
        return {name: self.content[name] for name in _SUBSTANCE} | judged

    def __repr__(self) -> str:
        return f"Evidence({self.ref}, {self.sha[:12]}, {self.source})"


def promotions_folder(name: str) -> Path:
    """Where the bundles and approvals of a prompt are, in the workspace."""
    return workspace() / "prompts" / name / "promotions"


def seal(evidence: Evidence) -> Evidence:
    """Write the bundle to `prompts/<name>/promotions/<version>-<12 digits of the hash>.json`; another content is never
    overwritten. Raises StorageError, or PromotionRefused where that file holds something else."""
    path = promotions_folder(evidence.name) / f"{evidence.stem}.json"
    sealed = {"evidence": dict(evidence.content), "sha256": evidence.sha}
    if not write_new(path, json.dumps(sealed, indent=1, sort_keys=True, allow_nan=False) + "\n"):
        return load_evidence(path)
    return replace(evidence, path=path)


def load_evidence(path: str | Path) -> Evidence:
    """A sealed bundle. Raises UsageError for a file that cannot be read as one, PromotionRefused when it was changed
    after it was sealed."""
    path = Path(path)
    try:
        sealed = read_json(path, "evidence")
    except UsageError as error:
        raise UsageError(f"{error}. {RESTORE}" if path.exists() else str(error)) from None
    content, sha = sealed.get("evidence"), sealed.get("sha256")
    if not isinstance(content, dict) or not isinstance(sha, str):
        raise UsageError(f"{path}: no sealed evidence, it must hold evidence and sha256. {RESTORE}")
    if sha256(canonical(content)) != sha:
        raise PromotionRefused(
            f"{path}: the content does not have the hash it was sealed with: it was edited by hand or cut short. "
            + RESTORE
        )
    evidence = Evidence(content, sha, path)
    if not has_layout(content):
        raise UsageError(f"{path}: evidence of another layout. {RESTORE}")
    try:
        same = _is_shown(content["candidate"], evidence.prompt) and evidence.verdict is not None
    except (WorkbenchError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path}: evidence that cannot be read: {error}. {RESTORE}") from None
    if not same:
        raise PromotionRefused(f"{path}: the prompt in it does not have the hash or the text it claims. {RESTORE}")
    return evidence


def _is_shown(claimed: Mapping[str, Any], prompt: Prompt) -> bool:
    """Whether what a reviewer reads is what would be promoted."""
    return bool(claimed["sha"] == prompt.sha and claimed["text"] == prompt.text)


def find_evidence(name: str, version: str, which: str | Path = "latest") -> Evidence | None:
    """A sealed bundle by path, errors as in `load_evidence`; or, for `latest`, the newest whole one of that version,
    None when there is none."""
    if str(which) != "latest":
        return load_evidence(which)
    return max(sealed_evidence(name, version), key=lambda one: str(one.content["at"]), default=None)


def sealed_evidence(name: str, version: str) -> Iterator[Evidence]:
    """Every sealed bundle of a version; one that does not hold is left out, with a warning."""
    for path in sorted(promotions_folder(name).glob(f"{version}-*.json")):
        if ".approved-by-" in path.name:
            continue
        try:
            yield load_evidence(path)
        except (UsageError, PromotionRefused) as error:
            warnings.warn(f"left out: {error}", stacklevel=2)


def faults(evidence: Evidence, prompt: Prompt, production_now: Remote | None, server: str, stand_in: bool) -> list[str]:
    """Why this evidence does not hold for moving `prompt` to production on `server` now, a sentence each with its cure.

    `server`: identity of the Langfuse project. None of these can be overridden.
    """
    found = [_wrong_content(evidence, prompt), _wrong_dataset(evidence), _wrong_server(evidence, server)]
    found += [] if stand_in else [_not_live(evidence)]
    found += [_moved(evidence, production_now), _wrong_baseline(evidence)]
    return [one for one in found if one]


def _not_live(evidence: Evidence) -> str:
    """Recordings count as simulated here: stand-in servers played them back, and nobody knows who said it."""
    sources = {evidence.source, evidence.verdict.source} - {"live"}
    if not sources:
        return ""
    return (
        f"the evidence is {' and '.join(sorted(sources))}, stand-in servers answered, and this Langfuse is a real one: "
        "confirm with wb.live(); this is never allowed, with or without an override"
    )


def _wrong_content(evidence: Evidence, prompt: Prompt) -> str:
    if prompt.name != evidence.name:
        return f"the evidence is for {evidence.ref}, not for {prompt.ref}: give the evidence of {prompt.ref}"
    claimed = str(evidence.content["candidate"]["sha"])
    if prompt.sha == claimed:
        return ""
    changed = "its file has changed since: restore it, or save the change as a new version and confirm that"
    other = f"confirm {prompt.ref}, or promote {evidence.ref}"
    return (
        f"the evidence is for {evidence.ref} with content {claimed[:12]}, and {prompt.ref} has content "
        f"{prompt.sha[:12]}: {changed if prompt.version == evidence.version else other}"
    )


def _wrong_dataset(evidence: Evidence) -> str:
    from workbench.datasets import load_dataset

    about = evidence.content["dataset"]
    try:
        sha = load_dataset(str(about["name"])).sha
    except DatasetError as error:
        return f"dataset {about['name']}, which the evidence was made on, cannot be read here: {error}"
    if sha == about["sha"]:
        return ""
    return (
        f"dataset {about['name']} has changed since the evidence was made ({about['sha'][:12]} then, {sha[:12]} now): "
        "confirm again on what it is now, or restore it"
    )


def _wrong_server(evidence: Evidence, server: str) -> str:
    made_for = str(evidence.content["server"])
    if made_for == server:
        return ""
    return f"the evidence was made against {made_for}, and this is {server}: make it again here: --evidence latest"


def _moved(evidence: Evidence, now: Remote | None) -> str:
    then = evidence.content["production"]
    if (then and (then["number"], then["sha"])) == (now and (now.number, now.prompt.sha)):
        return ""
    was = called(then["number"], then["local_version"]) if then else "nothing"
    held = called(now.number, now.local_version) if now else "nothing"
    return (
        f"production has moved since the evidence was made: it was {was} and is {held}: see what changed with "
        f"`workbench status {evidence.name}`, confirm against what production is now, and make the evidence again"
    )


def _wrong_baseline(evidence: Evidence) -> str:
    baseline, production = evidence.content["baseline"], evidence.content["production"]
    if production is None or baseline["sha"] == production["sha"]:
        return ""
    return (
        f"the verdict compares with {baseline['ref']}, and production is "
        f"{called(production['number'], production['local_version'])} with another content: confirm against "
        f"{evidence.name}@production"
    )


def called(number: int | None, local_version: str) -> str:
    """A version by both its numbers: "v3, version 7 in Langfuse"."""
    there = "not in Langfuse yet" if number is None else f"version {number} in Langfuse"
    return f"{local_version}, {there}" if local_version else f"{there}, unknown here"


def read_json(path: Path, what: str) -> dict[str, Any]:
    """One JSON object from a file. Raises UsageError."""
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST + 1)
        if len(text) > LARGEST:
            raise ValueError(f"more than {LARGEST:,} bytes")
        found = json.loads(text.decode("utf-8"), parse_constant=_refuse, object_pairs_hook=_unambiguous)
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path}: cannot be read as {what}: {error}") from None
    if not isinstance(found, dict):
        raise UsageError(f"{path}: cannot be read as {what}: it must be one JSON object")
    return found


def _unambiguous(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A field that is there twice would be read one way by people and another way here."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a field is there twice")
    return found


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is no JSON")
