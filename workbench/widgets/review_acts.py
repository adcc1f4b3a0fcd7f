"""What a review view does once it is allowed to: approve, promote, roll back, and look how it stands. No widget."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.errors import PromotionRefused, UsageError, WorkbenchError
from workbench.promotion.approvals import approve
from workbench.promotion.promote import promote
from workbench.promotion.rollback import rollback
from workbench.promotion.sections import visible
from workbench.promotion.settling import SEEN_AFTER
from workbench.promotion.who import server_in_use
from workbench.widgets.review_state import read_standing, sections

if TYPE_CHECKING:
    from workbench.langfuse.server import Server
    from workbench.promotion.approvals import Approval
    from workbench.promotion.record import Record
    from workbench.promotion.review import Review
    from workbench.promotion.status import Status
    from workbench.widgets.review_state import What


class Reviewed:
    """A review as it was read last, and what can be done on it. Moves nothing that is not where it was shown.

    `record`: the last move that was made here, None before. `_said`: what came of what was done, in words; `_key`
    changes when `_sections` do.
    """

    def __init__(self, what: What, evidence: str, by: str, server: Server | None) -> None:
        self.by = by
        self.record: Record | None = None
        self._what, self._wanted, self._given = what, evidence, server
        self._said = ""
        in_use = server or server_in_use()
        self._identity = in_use.identity
        self._standing = read_standing(what, evidence, in_use, by)
        self._sections = sections(self.review)
        self._key = 0

    @property
    def review(self) -> Review:
        """The review as it was read last."""
        return self._standing.review

    @property
    def status(self) -> Status:
        """Where production was when it was read last."""
        return self._standing.now

    def _approve(self, by: str) -> Approval:
        if reason := self._standing.reason("approve"):
            raise PromotionRefused(f"{self.review.ref} is not approved: {reason}")
        found = approve(self.review.evidence, by)
        self._said = f"Approved by {visible(found.by)}, a claim."
        self._read(self._path)
        self._tell_others()
        return found

    def _promote(self, override: str | None = None) -> Record:
        try:
            done = promote(self._what, self._path, override=override, by=self.by, server=self._server())
        except WorkbenchError:
            self._look_again()
            raise
        if done.record is None:
            self._look_again()
            raise PromotionRefused(f"{self._standing.reason('promote')}; nothing was moved")
        return self._moved(done.record)

    def _rollback(self) -> Record:
        self._check_holder()
        back = self._standing.back
        if back is None:
            raise PromotionRefused(self._standing.reason("rollback"))
        try:
            found = rollback(self.review.prompt.name, str(back.number), by=self.by, server=self._server())
        except WorkbenchError:
            self._look_again()
            raise
        return self._moved(found)

    def _moved(self, record: Record) -> Record:
        self.record, self._said = record, ""
        self._look_again()
        self._tell_others()
        return record

    def _look_again(self) -> None:
        """Read how it stands after a move; what could not be read then is not what the move is judged by."""
        try:
            self._read(self._path)
        except WorkbenchError as error:
            self._said = f"How it stands now could not be read: {error}"

    def _read(self, evidence: str) -> None:
        standing = read_standing(self._what, evidence, self._server(), self.by)
        if standing.review != self.review:
            self._sections, self._key = sections(standing.review), self._key + 1
        self._standing = standing

    def _check_holder(self) -> None:
        """Nobody takes back what they have not seen."""
        seen = self.status
        self._read(self._path)
        if self.status.holders != seen.holders:
            raise PromotionRefused(
                f"production has moved since it was shown: it was {seen.now or 'nobody'} and is "
                f"{self.status.now or 'nobody'}; nothing was moved"
            )

    @property
    def _path(self) -> str:
        return str(self.review.evidence.path)

    def _server(self) -> Server:
        """The Langfuse of this review. Raises PromotionRefused when the session uses another by now."""
        server = self._given or server_in_use()
        if server.identity != self._identity:
            raise PromotionRefused(
                f"this review is about {self._identity}, and {server.identity} is in use now: review it there anew"
            )
        return server

    def _check(self, action: str, by: str) -> None:
        """Whether it can be done, asked of Langfuse now, before anybody confirms it. Raises PromotionRefused."""
        if action == "approve" and not by:
            raise UsageError("an approval needs a name")
        if action == "rollback":
            self._check_holder()
        else:
            self._read(self._path)
        if reason := self._standing.reason(action):
            raise PromotionRefused(reason)
        if action == "promote":
            promote(self._what, self._path, dry_run=True, by=self.by, server=self._server())

    def _told(self) -> list[str]:
        """What came of what was done here."""
        if self.record is None:
            return []
        return [str(self.record)] + [SEEN_AFTER] * (self.record == self.status.record)

    def _tell_others(self) -> None:
        """Called when something was done that others may show."""
