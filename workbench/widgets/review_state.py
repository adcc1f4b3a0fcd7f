"""What a review view knows and shows: the review beside where production is now, what may be done, the static form."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from workbench.promotion.approvals import CLAIM
from workbench.promotion.pages import fragment
from workbench.promotion.review import Review, prepare
from workbench.promotion.sections import Table, changes, facts, headline, plain, sentences, tables, visible, warnings
from workbench.widgets.base import Static, missing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from workbench.langfuse.server import Server
    from workbench.promotion.flips import Flip
    from workbench.promotion.record import Held
    from workbench.promotion.status import Status
    from workbench.prompts import Prompt
    from workbench.verdict import Verdict

    What = Verdict | Prompt | str
    Section = dict[str, Any]

DIFF = 50_000
"""Characters of a prompt's change that the live part shows; the static form shows more."""
BYTES = 150_000
"""Bytes of the static form at most, as far as leaving flipped cases out can do it: a saved notebook stays small."""
ACTIONS = {"approve": "Approve", "promote": "Promote", "rollback": "Roll back"}
"""action -> the word on its button."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A review, and where production is `now`."""

    review: Review

    @property
    def now(self) -> Status:
        """Where production was when the review was made."""
        return self.review.now

    @property
    def back(self) -> Held | None:
        """Where a rollback goes: to who held production before this was promoted; None where it was not, or where the
        label has moved since."""
        last = self.now.record
        promoted = self.review.in_place and last is not None and last.action == "promote" and not self.now.outside
        return last.before if promoted and last is not None else None

    @property
    def headline(self) -> str:
        """May it be promoted, or was it."""
        return headline(self.review)

    @property
    def moves(self) -> list[str]:
        """What has happened to the label, a sentence each."""
        told = self.now.facts()
        said = [f"Production: {told['production'].partition(': ')[2]}"]
        if "since" in told:
            said[0] += f", since {told['since']}"
        return said + [f"{name.capitalize()}: {told[name]}" for name in NOTABLE if name in told]

    def reason(self, action: str) -> str:
        """Why this cannot be done now; empty when it can."""
        if action == "rollback":
            return "" if self.back is not None else self._no_way_back()
        if self.review.in_place:
            return f"{self.review.ref} is production already{self._not_by_record()}"
        if self.review.faults:
            return "\n".join(["the evidence does not hold", *self.review.faults])
        return "" if action == "approve" or self.review.met else "\n".join([*self.review.unmet, self._all_the_same()])

    def question(self, action: str, by: str) -> str:
        """What is asked before it is done."""
        name, holder = self.review.prompt.name, self.now.now or "nobody"
        return {
            "approve": f"Approve evidence {self.review.evidence.sha[:12]} for {self.review.ref} as {visible(by)}?",
            "promote": f"Move production of {name} from {holder} to {self.review.prompt.version}, by {visible(by)}?",
            "rollback": f"Give production of {name} back, from {holder} to {self.back}, by {visible(by)}?",
        }[action]

    def hint(self) -> str:
        """Whose approval is asked for."""
        policy, author = self.review.policy, self.review.evidence.by
        if policy.approvals and not policy.author_may_approve:
            return f"{visible(author)} made the evidence, so that approval would not count. {CLAIM}"
        return CLAIM

    def _all_the_same(self) -> str:
        return f'or say why all the same: `wb.promote("{self.review.ref}", override="the reason")`'

    def _not_by_record(self) -> str:
        return f", but not by the record: {self.now.astray}" if self.now.outside else ""

    def _no_way_back(self) -> str:
        name, ref = self.review.prompt.name, self.review.ref
        if not self.review.in_place:
            return f"{ref} is not production: nothing of it can be taken back"
        return f"no promotion of {ref} is the last move on record: `workbench rollback {name} --to VERSION`"


NOTABLE = ("two holders", "moved outside", "last attempt", "under way")
"""Facts of a status that need somebody."""


def read_standing(what: What, evidence: str, server: Server, by: str) -> Standing:
    """Ask how things are now. Raises PromotionRefused without evidence, LangfuseError when nobody answers."""
    return Standing(prepare(what, evidence, server, by))


def sections(review: Review) -> list[Section]:
    """What the live part shows below the buttons, in reading order."""
    policy, *others = tables(review)
    flips = review.flips
    note = "personal data and keys are masked" if not flips.note else flips.note
    return [
        _table(policy),
        {"kind": "diff", "title": "Change of the prompt, by words", "open": True, "lines": _diff(review)},
        *map(_table, others),
        {"kind": "flips", "title": f"Flipped to worse: {flips.n_worse}", "open": True, "note": note,
         "flips": _flips(flips.worse)},
        {"kind": "flips", "title": f"Flipped to better: {flips.n_better}", "open": False, "note": note,
         "flips": _flips(flips.better)},
        _table(facts(review), opened=False),
    ]  # fmt: skip


def first(standing: Standing) -> dict[str, Any]:
    """What must be read first: warnings, but for those that stand beside the buttons, and the verdict in sentences."""
    review = standing.review
    beside = tuple(filter(None, review.unmet))
    said = [visible(one) for one in warnings(review) if review.in_place or not one.endswith(beside)]
    return {"warnings": said, "sentences": [visible(one) for one in sentences(review)]}


def static(standing: Standing, told: Iterable[str]) -> Static:
    """The whole review without a script, what came of it first."""
    lines = [*told, *standing.moves]
    lines += [f"No live view: {why}"] if (why := missing()) else []
    said = [visible(one) for one in lines]
    return Static(_small(standing.review, said), plain(standing.review, said))


def _small(review: Review, lines: Sequence[str]) -> str:
    """The review as HTML, with fewer flipped cases where that keeps it small."""
    html, flips = fragment(review, lines=lines), review.flips
    while len(html.encode()) > BYTES and (flips.worse or flips.better):
        flips = replace(flips, worse=_half(flips.worse), better=_half(flips.better))
        html = fragment(replace(review, flips=flips), lines=lines)
    return html


def _half(flips: Sequence[Flip]) -> tuple[Flip, ...]:
    return tuple(flips[: len(flips) // 2])


def _table(table: Table, *, opened: bool = True) -> Section:
    rows = [[visible(text) for text in row] for row in table.rows]
    headings = list(table.headings) if any(table.headings) else []
    return {"kind": "table", "title": visible(table.title), "open": opened, "headings": headings, "rows": rows,
            "note": visible(table.note)}  # fmt: skip


def _diff(review: Review) -> list[list[tuple[str, str]]]:
    """The changed prompt line by line, cut where it is very long."""
    shown: list[list[tuple[str, str]]] = []
    left = DIFF
    for line in changes(review):
        left -= sum(len(text) for _, text in line) + 1
        if left < 0:
            return [*shown, [("=", "… the rest is left out here; review.write() has all of it")]]
        shown.append(line)
    return shown


def _flips(flips: Iterable[Flip]) -> list[list[str]]:
    """Case, model, scores, input, expected, both outputs."""
    return [[visible(text) for text in _flip(one)] for one in flips]


def _flip(one: Flip) -> Iterator[str]:
    before, after = one.scores
    yield from (one.case_id, one.held, f"{before:g} → {after:g}", one.inputs, one.expected, one.baseline, one.candidate)
