"""Promote: everything that is checked before the label moves, and the move."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.errors import PromotionFailed, PromotionRefused
from workbench.langfuse.prompts import check, push
from workbench.promotion.move import Wish, held
from workbench.promotion.record import one_at_a_time
from workbench.promotion.review import Review, prepare, ref_of
from workbench.promotion.sections import FIRST
from workbench.promotion.settling import SEEN_AFTER, end_what_was_open, settle, where_now
from workbench.promotion.who import me, server_in_use

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workbench.langfuse.prompts import Remote
    from workbench.langfuse.server import Server
    from workbench.promotion.record import Record
    from workbench.prompts import Prompt
    from workbench.verdict import Verdict

CANDIDATE = "candidate"


@dataclass(frozen=True)
class Promotion:
    """What promoting came to: the review it was decided on, and the record; no record for a dry run."""

    review: Review
    record: Record | None

    def __str__(self) -> str:
        if self.record is not None:
            return f"{self.record}\n{SEEN_AFTER}"
        if self.review.in_place:
            return f"{self.review.ref} is production already; nothing was moved."
        open_ = f" First it would end what is open: {self.review.now.under_way}." if self.review.now.under_way else ""
        return f"{self.review}\n\nDry run: nothing was moved.{open_}"

    def __repr__(self) -> str:
        evidence = self.review.evidence.content
        ref = f"{evidence['name']}@{evidence['candidate']['version']}"
        return f"Promotion({ref}, {'nothing was moved' if self.record is None else self.record.result})"

    def _repr_html_(self) -> str:
        from html import escape

        from workbench.tables import PLAIN

        told = PLAIN.format(f"<p>{escape(str(self.record))}. {SEEN_AFTER}</p>" if self.record else "")
        return told or self.review._repr_html_()


def promote(
    what: Verdict | Prompt | str,
    evidence: str = "latest",
    *,
    override: str | None = None,
    dry_run: bool = False,
    by: str | None = None,
    server: Server | None = None,
) -> Promotion:
    """Give a prompt version the `production` label: `promote(verdict)` or `promote("ticket-triage@v3")`.

    `evidence`: `latest`, the newest confirmed verdict on that version, or the path of a sealed bundle. `override`: the
    reason for moving it although the policy is not met, which is recorded. `by`: who does it; a claim. `server`:
    another Langfuse than the one in use. What is production already stays so, without a new record. A first promotion,
    which no rollback can take back, warns before it moves. Raises PromotionRefused (nothing moved) with every unmet
    point, PromotionFailed when the label is not where it was to go or the version is production outside of the record,
    LangfuseError when Langfuse cannot be asked.
    """
    server, who = server or server_in_use(), by or me()
    name = ref_of(what).partition("@")[0]
    with one_at_a_time():
        finished = None if dry_run else end_what_was_open(server, name, who)
        review = prepare(what, evidence, server, who)
        already = _finished_before(finished, review)
        if already is not None:
            return Promotion(review, already)
        _check(review, override)
        if dry_run or review.in_place:
            return Promotion(review, None)
        if review.production is None:
            warnings.warn(FIRST, stacklevel=2)
        remote = push(server, review.prompt, labels=[CANDIDATE])
        record = settle(server, _wish(review, remote, who, override if review.unmet else None))
    if not record.done:
        raise PromotionFailed(f"{record}. {where_now(server, name)}")
    return Promotion(review, record)


def _check(review: Review, override: str | None) -> None:
    """Everything that must hold before anything is sent. Raises PromotionRefused, LangfuseRefused, and PromotionFailed
    for a version that somebody put there outside of the record."""
    if review.in_place and review.now.outside:
        where = review.now.astray
        raise PromotionFailed(f"{review.ref} holds production, but not by the record; nothing was moved: {where}")
    if review.in_place:
        return
    if review.faults:
        head = f"{review.ref} is not promoted, its evidence does not hold"
        raise PromotionRefused(_listed(head, review.faults), review.faults)
    if review.unmet and not (override or "").strip():
        head = f"{review.ref} is not promoted, its policy is not met"
        raise PromotionRefused(_listed(head, review.unmet), review.unmet)
    check(review.prompt)


def _listed(head: str, points: Iterable[str]) -> str:
    return "\n".join([f"{head}:", *(f"  - {point}" for point in points)])


def _wish(review: Review, remote: Remote, who: str, override: str | None) -> Wish:
    evidence = review.evidence
    return Wish(
        name=remote.prompt.name,
        action="promote",
        before=held(review.production) if review.production else None,
        after=held(remote),
        by=who,
        holders=review.now.holders,
        evidence=evidence.sha,
        approvals=tuple(one.by for one in review.approvals),
        override=override,
        source=str(evidence.content["source"]),
    )


def _finished_before(finished: Record | None, review: Review) -> Record | None:
    """The record of this very promotion, if all that was left to do was to end it."""
    if finished is None or not finished.done or finished.evidence != review.evidence.sha:
        return None
    holder = review.production
    return finished if holder is not None and holder.sha == review.prompt.sha == finished.after.sha else None
