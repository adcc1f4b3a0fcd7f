"""`wb.review(verdict)`: what a promotion rests on, and the buttons that approve it, do it and take it back.

Everything is decided and checked in `promotion`; the view shows it, asks twice before anything moves, and never moves
on what somebody has not seen: evidence by its file, production as it was shown.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import workbench.connect  # noqa: F401  # so that a review without wb.offline() or wb.live() finds the default
from workbench.errors import UsageError
from workbench.promotion.sections import visible
from workbench.promotion.who import me
from workbench.widgets.base import Shown
from workbench.widgets.review_acts import Reviewed
from workbench.widgets.review_state import ACTIONS, first, static
from workbench.widgets.shows import FOLDED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from workbench.langfuse.server import Server
    from workbench.promotion.approvals import Approval
    from workbench.promotion.record import Record
    from workbench.widgets.review_state import What

    Message = dict[str, Any]

NAME = 200
"""Characters of a typed name that are taken; far more than a name may have, and refused then."""
_views: WeakSet[ReviewView] = WeakSet()
"""All of this session: what is done in one is seen in the others."""


def review(what: What, evidence: str = "latest", *, by: str | None = None, server: Server | None = None) -> ReviewView:
    """The review of promoting a verdict's candidate or a prompt version, `review("ticket-triage@v3")`; in a notebook
    with buttons, elsewhere its text.

    `evidence`: `latest`, the newest confirmed verdict on that version, or the path of a sealed bundle. `by`: who is at
    it, a claim; git's user name if not given. `server`: another Langfuse than the one in use. Raises PromotionRefused
    where there is no evidence, LangfuseError when Langfuse cannot be asked.
    """
    return ReviewView(what, evidence, by or me(), server)


class ReviewView(Reviewed):
    """A review that can be acted on; made by `review`. `record`: the last move that was made here, None before.

    Its buttons and `approve`, `promote`, `rollback` are the same: they do what they say or raise, and move nothing
    when production is not where this view shows it. `refresh` reads all of it anew.
    """

    def __init__(self, what: What, evidence: str, by: str, server: Server | None) -> None:
        super().__init__(what, evidence, by, server)
        self._shown: list[Shown] = []
        self._alone = Lock()
        self._busy = ""
        self._asked: tuple[str, str] | None = None
        self._following: list[ReviewView] = []
        _views.add(self)

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
        shown = Shown("review_view", lambda: static(self._standing, self._told()), self._heard, FOLDED)
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

    def _tell_others(self) -> None:
        """Views of the same prompt that somebody looks at look again too, but for those that are at something; they are
        drawn with this one."""
        for other in _views:
            same = (other.review.prompt.name, other._identity) == (self.review.prompt.name, self._identity)
            looked_at = any(shown.is_live for shown in other._shown)
            if other is not self and same and looked_at and other._alone.acquire(blocking=False):
                self._following.append(other)
                other._asked = None
                other._look_again()

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
        following, self._following = self._following, []
        for view in (self, *following):
            view._busy = ""
            view._alone.release()
            view._push()
            for shown in view._shown:
                if shown.is_live:  # in a notebook that nobody looks at, a cell keeps what it showed when it ran
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
