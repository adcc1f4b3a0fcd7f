"""The review of a promotion: evidence, policy, approvals and the cases that flipped, before anything moves."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import LangfuseError, PromotionRefused, PromptError, UsageError
from workbench.files import write_page
from workbench.promotion.approvals import Approval, approvals, counted
from workbench.promotion.checking import Checked, check
from workbench.promotion.evidence import Evidence, faults, find_evidence, load_evidence
from workbench.promotion.flips import Flips, find_flips
from workbench.promotion.gathering import find_verdict, latest_evidence
from workbench.promotion.log import Log
from workbench.promotion.move import record_of
from workbench.promotion.policy import Policy, load_policy
from workbench.promotion.status import Status, read_status
from workbench.prompts import Prompt, load_prompt
from workbench.settings import state_dir
from workbench.verdict import Verdict

if TYPE_CHECKING:
    from workbench.langfuse.prompts import Remote
    from workbench.langfuse.server import Server


@dataclass(frozen=True)
class Review:
    """What somebody reads before a prompt becomes production. Shows itself; `write()` makes the two pages.

    `prompt`: what is to be promoted, as its file is now. `approvals` count towards the policy, `uncounted` do not.
    `now` is where production is, `number` the prompt's version in Langfuse, None before it is there. `faults`: why the
    evidence does not hold now; `taken_back`: that it was rolled back since it was confirmed.
    """

    prompt: Prompt
    evidence: Evidence
    policy: Policy
    checked: Checked
    approvals: tuple[Approval, ...]
    uncounted: tuple[Approval, ...]
    flips: Flips
    now: Status
    number: int | None
    faults: tuple[str, ...]
    server: str
    taken_back: str = ""

    @property
    def ref(self) -> str:
        """What is to be promoted: `ticket-triage@v4`."""
        return self.prompt.ref

    @property
    def production(self) -> Remote | None:
        """What holds the label now."""
        return self.now.remote

    @property
    def in_place(self) -> bool:
        """Whether production holds this very content already."""
        return self.production is not None and self.production.sha == self.prompt.sha

    @property
    def unmet(self) -> tuple[str, ...]:
        """What the policy asks for and does not find, whether the version was taken back, and whether production is
        where the record left it; each with its cure."""
        return self.checked.unmet + tuple(filter(None, (self.taken_back, self.now.astray)))

    @property
    def met(self) -> bool:
        """Whether the evidence holds and the policy is met."""
        return not self.unmet and not self.faults

    def markdown(self) -> str:
        """The review as Markdown that reads well as a comment on a pull request."""
        from workbench.promotion.comment import markdown

        return markdown(self)

    def html(self) -> str:
        """The review as one self-contained page: no script, and no address that a browser would fetch."""
        from workbench.promotion.pages import page

        return page(self)

    def write(self, folder: str | Path | None = None) -> tuple[Path, Path]:
        """Write the HTML and the Markdown page, by default to `.workbench/reviews/`. Raises StorageError."""
        target = Path(folder) if folder is not None else state_dir("reviews")
        stem = re.sub(r"[^A-Za-z0-9_.-]+", "-", f"{self.evidence.name}-{self.evidence.stem}")
        paths = target / f"{stem}.html", target / f"{stem}.md"
        for path, text in zip(paths, (self.html(), self.markdown()), strict=True):
            write_page(path, text)
        return paths

    def __str__(self) -> str:
        from workbench.promotion.sections import plain

        return plain(self)

    def __repr__(self) -> str:
        return f"Review({self.ref}, {self.checked!r}, {len(self.faults)} faults)"

    def _repr_html_(self) -> str:
        from workbench.promotion.pages import fragment

        return fragment(self)


def prepare(what: Verdict | Prompt | str, evidence: str | Path, server: Server, by: str) -> Review:
    """The review of `what`, a verdict or a prompt version, on `evidence`: `latest` or the path of a sealed bundle.

    Latest is the newest confirmed verdict of this workspace, sealed if it is not; without one, the newest sealed
    bundle. Raises PromotionRefused when there is neither, LangfuseError when Langfuse cannot be asked.
    """
    ref = ref_of(what)
    prompt = load_prompt(ref) if "@v" in ref or not isinstance(what, Verdict) else None
    now = _standing(server, ref.partition("@")[0])
    latest = str(evidence) == "latest"
    found = _latest(what, ref, now.remote, server, by) if latest else load_evidence(evidence)
    return review_of(found, now, server, prompt or load_prompt(found.ref))


def review_of(evidence: Evidence, now: Status, server: Server, prompt: Prompt) -> Review:
    """The review of moving `prompt`, the local version as it is now, to production on this evidence."""
    policy = load_policy(evidence.name)
    given = approvals(evidence)
    counts = counted(evidence, given, author_counts=policy.author_may_approve)
    return Review(
        prompt=prompt,
        evidence=evidence,
        policy=policy,
        checked=check(policy, evidence, given),
        approvals=counts,
        uncounted=tuple(one for one in given if one not in counts),
        flips=find_flips(evidence),
        now=now,
        number=_number(server, prompt),
        faults=tuple(faults(evidence, prompt, now.remote, server.identity, server.stand_in)),
        server=server.place,
        taken_back=_taken_back(server, evidence, prompt),
    )


def _latest(what: Verdict | Prompt | str, ref: str, production: Remote | None, server: Server, by: str) -> Evidence:
    name, _, version = ref.partition("@")
    sealed = find_evidence(name, version)
    if sealed is not None and production is not None and production.sha == sealed.content["candidate"]["sha"]:
        return sealed  # it is production already: what led there is told, nothing new is made
    try:
        verdict = what if isinstance(what, Verdict) else find_verdict(name, version)[0]
    except PromotionRefused:
        if sealed is None:
            raise
        return sealed  # made on another machine, and brought here by git
    return latest_evidence(verdict, production, server.identity, by, load_policy(name))


def ref_of(what: Verdict | Prompt | str) -> str:
    """The prompt version that is meant. Raises UsageError for anything else."""
    ref = what.candidate if isinstance(what, Verdict) else what.ref if isinstance(what, Prompt) else what
    if not isinstance(ref, str) or "@" not in ref or "×" in ref:
        raise UsageError(f"{ref!r} is no prompt version: give a verdict between two versions, or name@v3")
    return ref


def _taken_back(server: Server, evidence: Evidence, prompt: Prompt) -> str:
    """Whoever took a version back had a reason, which a verdict from before that cannot know. It is no longer held
    against the version once it has come back since."""
    confirmed = _confirmed(evidence)
    for entry in Log(server, prompt.name).back():
        if 0 < entry.at < confirmed:
            break
        record = record_of(entry)
        if record is None or not record.done:
            continue
        if record.after.sha == prompt.sha:
            break
        if record.action == "rollback" and record.before is not None and record.before.sha == prompt.sha:
            return (
                f"it was taken back on {record.at} by {record.by}, after its verdict was confirmed: ask anew, "
                f"`workbench confirm {prompt.ref} --candidate {prompt.ref} --baseline {prompt.name}@production ... "
                '--cache refresh`, or say why it may return, --override "reason"'
            )
    return ""


def _confirmed(evidence: Evidence) -> float:
    """When the verdict was confirmed, in seconds since 1970: making its bundle again changes nothing about that. 0, and
    so before any move, where the bundle does not say."""
    try:
        return datetime.fromisoformat(str(evidence.content["verdict"]["share"].get("at"))).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def _standing(server: Server, name: str) -> Status:
    """Where production is. Raises LangfuseError for content that nothing can be compared with: nobody can read it."""
    now = read_status(server, name)
    if now.now is not None and now.remote is None:
        raise LangfuseError(
            f"{server.name}: prompt {name}: {now.now} holds production, and this workbench cannot use its content: "
            f"`workbench rollback {name}` gives production back to who held it before, --to names another version"
        )
    return now


def _number(server: Server, prompt: Prompt) -> int | None:
    from workbench.langfuse.prompts import compare_local

    try:
        lines = compare_local(server, prompt.name).lines
    except PromptError:
        return None  # a broken file of another version is no reason to withhold the review
    return next((line.number for line in lines if line.local == prompt.version and line.state == "same"), None)
