"""`wb.review(verdict)`: what a promotion rests on, and the buttons that approve it, do it and take it back.

Everything is decided and checked in `promotion`; the view shows it, asks twice before anything moves, and never moves
on what somebody has not seen: evidence by its file, production as it was shown.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any

import workbench.connect  # noqa: F401  # so that a review without wb.offline() or wb.live() finds the default
from workbench.errors import PromotionRefused, UsageError, WorkbenchError
from workbench.promotion.approvals import approve
from workbench.promotion.promote import promote
from workbench.promotion.rollback import rollback
from workbench.promotion.sections import visible
from workbench.promotion.settling import SEEN_AFTER
from workbench.promotion.who import me, server_in_use
from workbench.widgets.base import Shown
from workbench.widgets.review_state import ACTIONS, first, read_standing, sections, static

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from workbench.langfuse.server import Server
    from workbench.promotion.approvals import Approval
    from workbench.promotion.record import Record
    from workbench.promotion.review import Review
    from workbench.promotion.status import Status
    from workbench.widgets.review_state import What

    Message = dict[str, Any]

NAME = 200
"""Characters of a typed name that are taken; far more than a name may have, and refused then."""


def review(what: What, evidence: str = "latest", *, by: str | None = None, server: Server | None = None) -> ReviewView:
    """The review of promoting a verdict's candidate or a prompt version, `review("ticket-triage@v3")`; in a notebook
    with buttons, elsewhere its text.

    `evidence`: `latest`, the newest confirmed verdict on that version, or the path of a sealed bundle. `by`: who is at
    it, a claim; git's user name if not given. `server`: another Langfuse than the one in use. Raises PromotionRefused
    where there is no evidence, LangfuseError when Langfuse cannot be asked.
    """
    return ReviewView(what, evidence, by or me(), server)


class ReviewView:
    """A review that can be acted on; made by `review`. `record`: the last move that was made here, None before.

    Its buttons and `approve`, `promote`, `rollback` are the same: they do what they say or raise, and move nothing
    when production is not where this view shows it. `refresh` reads all of it anew.
    """

    def __init__(self, what: What, evidence: str, by: str, server: Server | None) -> None:
        self.by = by
        self.record: Record | None = None
        self._what, self._wanted, self._given = what, evidence, server
        self._shown: list[Shown] = []
        self._alone = Lock()
        self._busy = self._said = ""
        self._asked: tuple[str, str] | None = None
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

    def approve(self, by: str | None = None) -> Approval:
        """Approve the evidence that is shown, in somebody's name: a claim. Raises UsageError, PromotionRefused."""
        with self._at("Approving …"):
            return self._approve(by or self.by)

    def promote(self, override: str | None = None) -> Record:
        """Move production on the evidence that is shown. `override`: the reason for doing so although the policy is not
        met. Raises PromotionRefused with every unmet point, PromotionFailed, LangfuseError."""
        with self._at("Promoting …"):
            return self._promote(override)

    def rollback(self) -> Record:
        """Give production back to who held it before. Raises PromotionRefused where that is not what the last move on
        record did, or where production has moved since it was shown."""
        with self._at("Rolling back …"):
            return self._rollback()

    def refresh(self) -> None:
        """Read evidence, approvals and production anew."""
        with self._at("Reading …"):
            self._read(self._wanted)

    def show(self) -> None:
        """Display in the cell that runs now; without a notebook, print."""
        shown = Shown("review_view", lambda: static(self._standing, self._told()), self._heard,
                      "The same without a kernel")  # fmt: skip
        shown.state = self._state()
        shown.show()
        self._shown.append(shown)

    def close(self) -> None:
        """Leave the static form alone in every cell that shows this view."""
        shown, self._shown = self._shown, []
        for one in shown:
            one.close()

    def _ipython_display_(self) -> None:
        self.show()

    def _repr_html_(self) -> str:
        return static(self._standing, self._told()).html

    def __str__(self) -> str:
        return static(self._standing, self._told()).text

    def __repr__(self) -> str:
        return f"ReviewView({self.review.ref}: {self._standing.headline})"

    def _approve(self, by: str) -> Approval:
        if reason := self._standing.reason("approve"):
            raise PromotionRefused(f"{self.review.ref} is not approved: {reason}")
        found = approve(self.review.evidence, by)
        self._said = f"Approved by {visible(found.by)}, a claim."
        self._read(self._path)
        return found

    def _promote(self, override: str | None = None) -> Record:
        try:
            done = promote(self._what, self._path, override=override, by=self.by, server=self._server())
        except WorkbenchError:
            self._look_again()
            raise
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

    def _moved(self, record: Record | None) -> Record:
        assert record is not None  # only a dry run has none
        self.record, self._said = record, ""
        self._look_again()
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

    @contextmanager
    def _at(self, word: str) -> Iterator[None]:
        """One thing at a time, said meanwhile, and drawn afterwards whatever came of it."""
        if not self._begun(word):
            raise UsageError(f"{self.review.ref}: this view is at something: {self._busy}")
        try:
            yield
        finally:
            self._ended()

    def _begun(self, word: str) -> bool:
        if not self._alone.acquire(blocking=False):
            return False
        self._busy, self._asked, self._said = word, None, ""
        self._push()
        return True

    def _ended(self) -> None:
        self._busy = ""
        self._alone.release()
        self._push()
        for shown in self._shown:
            shown.refresh()

    def _heard(self, message: Message) -> Any:
        """What a button tells: ask for an action, confirm or cancel what was asked, refresh. It is done in a thread:
        the kernel stays free. A second click while it is done finds nothing to do."""
        kind, action = message.get("type"), str(message.get("action"))
        if kind == "refresh":
            return self._clicked("Reading …", lambda: self._read(self._wanted))
        if kind == "ask" and action in ACTIONS:
            by = " ".join(str(message.get("by", "")).split())[:NAME] if action == "approve" else self.by
            return self._clicked("Checking …", lambda: self._check(action, by), then=(action, by))
        if kind == "confirm":
            return self._confirmed(action)
        if kind != "cancel":
            raise UsageError(f"the view said {kind!r}, which means nothing here: is it of another version?")
        self._asked = None
        return self._push()

    def _confirmed(self, action: str) -> Any:
        if self._asked is None or self._asked[0] != action:
            return None
        by = self._asked[1]
        work: dict[str, tuple[str, Callable[[], object]]] = {
            "approve": ("Approving …", lambda: self._approve(by)),
            "promote": ("Promoting …", self._promote),
            "rollback": ("Rolling back …", self._rollback),
        }
        return self._clicked(*work[action])

    def _clicked(self, word: str, work: Callable[[], object], then: tuple[str, str] | None = None) -> Any:
        """The coroutine that does it, and offers to confirm `then`; None while something else is done."""
        return self._threaded(work, then) if self._begun(word) else None

    async def _threaded(self, work: Callable[[], object], then: tuple[str, str] | None) -> None:
        try:
            await asyncio.to_thread(work)
            self._asked = then
        finally:
            self._ended()

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

    def _push(self) -> None:
        for shown in self._shown:
            shown.state = self._state()

    def _state(self) -> Message:
        """All that the front end draws. `key` changes when the sections do: they are drawn again only then."""
        now = self._standing
        asked = {"action": self._asked[0], "question": now.question(*self._asked)} if self._asked else None
        return {
            "ref": visible(self.review.ref),
            "headline": visible(now.headline),
            "moves": [visible(one) for one in now.moves],
            **first(now),
            "actions": [[name, word, visible(now.reason(name))] for name, word in ACTIONS.items()],
            "asked": asked,
            "by": visible(self.by),
            "hint": now.hint(),
            "busy": self._busy,
            "said": [visible(one) for one in filter(None, [self._said, *self._told()])],
            "key": self._key,
            "sections": self._sections,
        }
