"""The review of a promotion: evidence, policy, approvals and the cases that flipped, before anything moves."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import LangfuseMissing, PromotionRefused, PromptError, StorageError, UsageError
from workbench.promotion.approvals import Approval, approvals, counted
from workbench.promotion.checking import Checked, check
from workbench.promotion.evidence import Evidence, faults, find_evidence, load_evidence
from workbench.promotion.flips import Flips, find_flips
from workbench.promotion.gathering import find_verdict, latest_evidence
from workbench.promotion.log import Log
from workbench.promotion.move import last_record
from workbench.promotion.policy import Policy, load_policy
from workbench.prompts import Prompt, load_prompt
from workbench.settings import state_dir
from workbench.verdict import Verdict

if TYPE_CHECKING:
    from workbench.langfuse.prompts import Remote
    from workbench.langfuse.server import Server


SECONDS = len("2026-11-22T18:20:26")


@dataclass(frozen=True)
class Review:
    """What somebody reads before a prompt becomes production. Shows itself; `write()` makes the two pages.

    `prompt`: what is to be promoted, as its file is now. `approvals` count towards the policy, `uncounted` do not.
    `production` is what holds the label now, `number` the prompt's version in Langfuse, None before it is there.
    `faults`: why the evidence does not hold now; `taken_back`: that
    it was rolled back since.
    """

    prompt: Prompt
    evidence: Evidence
    policy: Policy
    checked: Checked
    approvals: tuple[Approval, ...]
    uncounted: tuple[Approval, ...]
    flips: Flips
    production: Remote | None
    number: int | None
    faults: tuple[str, ...]
    server: str
    taken_back: str = ""

    @property
    def ref(self) -> str:
        """What is to be promoted: `ticket-triage@v4`."""
        return self.prompt.ref

    @property
    def in_place(self) -> bool:
        """Whether production holds this very content already."""
        return self.production is not None and self.production.sha == self.prompt.sha

    @property
    def unmet(self) -> tuple[str, ...]:
        """What the policy asks for and does not find, and whether the version was taken back; each with its cure."""
        return self.checked.unmet + ((self.taken_back,) if self.taken_back else ())

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
        try:
            target.mkdir(parents=True, exist_ok=True)
            for path, text in zip(paths, (self.html(), self.markdown()), strict=True):
                path.write_text(text, "utf-8", "replace")
        except OSError as error:
            raise StorageError(f"{target}: cannot be written: {error}") from None
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
    production = _holder(server, ref.partition("@")[0])
    latest = str(evidence) == "latest"
    found = _latest(what, ref, production, server, by) if latest else load_evidence(evidence)
    return review_of(found, production, server, _prompt(ref, found))


def review_of(evidence: Evidence, production: Remote | None, server: Server, prompt: Prompt) -> Review:
    """The review of moving `prompt` to production on this evidence."""
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
        production=production,
        number=_number(server, prompt),
        faults=tuple(faults(evidence, prompt, production, server.identity, server.stand_in)),
        server=server.name,
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
    """Whoever took a version back had a reason, which evidence from before that cannot know."""
    last = last_record(Log(server, prompt.name).state())
    if last is None or last.action != "rollback" or last.before is None or last.before.sha != prompt.sha:
        return ""
    if str(evidence.content["at"])[:SECONDS] > last.at[:SECONDS]:
        return ""
    return (
        f"it was taken back on {last.at} by {last.by}, after this evidence was made: confirm it again, or say why it "
        "may return: override, with the reason"
    )


def _prompt(ref: str, evidence: Evidence) -> Prompt:
    """The local version that would be moved; `faults` says where it is not what the evidence is about."""
    return load_prompt(ref if "@v" in ref else evidence.ref)


def _holder(server: Server, name: str) -> Remote | None:
    from workbench.langfuse.prompts import pull

    try:
        return pull(server, name, label="production")
    except LangfuseMissing:
        return None


def _number(server: Server, prompt: Prompt) -> int | None:
    from workbench.langfuse.prompts import compare_local

    try:
        lines = compare_local(server, prompt.name).lines
    except PromptError:
        return None  # a broken file of another version is no reason to withhold the review
    return next((line.number for line in lines if line.local == prompt.version and line.state == "same"), None)
