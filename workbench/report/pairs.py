"""Two arms of a report judged answer against answer: `await judge_pairs(report, "p@v3", "p@v2", rubric="...")`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from workbench.errors import CallError, NotRecorded, ReportError
from workbench.labels.agreement import Rate, rate
from workbench.labels.asking import asking, in_order
from workbench.labels.queue import Item, LabelQueue
from workbench.prompts import Prompt
from workbench.records import Case, arm_ref, sha256
from workbench.report.text import perhaps
from workbench.scorers.asking import MODEL
from workbench.scorers.pair import TURNED, Choice, both_orders, pair_judge
from workbench.verdict.arms import pair_arms

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from workbench.client import Asking
    from workbench.report.report import Report
    from workbench.scorers.pair import PairJudge, Winner

SAME = "both gave the same answer, so nobody was asked"
NAMES = {"first": "a", "second": "b", "tie": "tie", None: None}
SHOWN = 50


@dataclass(frozen=True, slots=True)
class PairRow:
    """Two arms' answers to one case. `winner`: a, b, tie, or None when the judge failed; a choice that turns with the
    order is a tie. `a_first` and `b_first`: what was chosen, a, b or tie, with that answer shown first; None: not
    asked, or failed."""

    case_id: str
    repeat: int
    winner: str | None
    reason: str
    a_first: str | None
    b_first: str | None
    output_a: str
    output_b: str

    @property
    def longer(self) -> str | None:
        """Which answer is longer, in characters; None when neither is."""
        a, b = len(self.output_a), len(self.output_b)
        return None if a == b else "a" if a > b else "b"


@dataclass(frozen=True)
class JudgedPairs:
    """Arm `a` against arm `b` by a pairwise judge. Iterate for `PairRow`s.

    `left_out`: trials that only one of the arms has, or that failed. `source`: live, simulated or recorded. Money is in
    US dollars: `cost_usd` at list price and `spent_usd` now (None: some unknown), `uncertain_usd` the most that calls
    which broke off may have cost beside.
    """

    a: str
    b: str
    judge: PairJudge
    dataset: str
    rows: tuple[PairRow, ...]
    cases: dict[str, dict[str, Any]]
    left_out: int
    source: str
    cost_usd: float | None
    spent_usd: float | None
    uncertain_usd: float = 0.0

    @property
    def counts(self) -> dict[str, int]:
        """Cases that a won, that b won, ties, of these those where the orders disagree, and missing ones."""
        found = [row.winner for row in self.rows]
        split = sum(row.winner == "tie" and row.a_first != row.b_first for row in self.rows)
        return {"a": found.count("a"), "b": found.count("b"), "tie": found.count("tie"), "split": split,
                "missing": found.count(None)}  # fmt: skip

    @property
    def position(self) -> Rate:
        """How often the answer shown first was chosen, over both orders, ties left out: 0.5 without position bias."""
        chosen = [(row.a_first, "a") for row in self.rows] + [(row.b_first, "b") for row in self.rows]
        return rate(winner == first for winner, first in chosen if winner in ("a", "b"))

    @property
    def length(self) -> Rate:
        """How often the longer answer won, over the cases that have a winner. Longer answers may be better ones: this
        stands beside the preference and does not correct it."""
        won = [row for row in self.rows if row.winner in ("a", "b") and row.longer]
        return rate(row.winner == row.longer for row in won)

    @property
    def preference(self) -> Rate:
        """How often a won, over the cases that have a winner; the limits take cases as independent."""
        return rate(row.winner == "a" for row in self.rows if row.winner in ("a", "b"))

    def queue(self, n: int = 50, seed: int = 0) -> LabelQueue:
        """Random pairs to be voted on by people, in a random order, arms and the judge's choice hidden: what a pairwise
        judge is calibrated with."""
        asked = [row for row in self.rows if row.output_a != row.output_b]
        drawn = sorted(asked, key=lambda row: sha256(f"{seed}/{row.case_id}/{row.repeat}"))[:n]
        items = {item.reply: item for item in (self._item(row, seed) for row in reversed(drawn))}
        if not items:
            raise ReportError("no pair of different answers to vote on")
        return LabelQueue(self.dataset, self.judge.name, list(items.values())[::-1], None)

    def frame(self) -> pd.DataFrame:
        """One pandas row per pair."""
        import pandas as pd

        return pd.DataFrame([asdict(row) for row in self.rows])

    def facts(self) -> dict[str, str]:
        """The result as name and text."""
        counts = self.counts
        unknown = self.cost_usd is None or self.spent_usd is None
        cost = "unknown" if unknown else f"${self.cost_usd:.4f} at list price, ${self.spent_usd:.4f} now"
        return {
            "a": self.a,
            "b": self.b,
            "judge": f"{self.judge.question.model} ({self.source})",
            "a wins": f"{counts['a']} of {len(self.rows)}",
            "b wins": f"{counts['b']} of {len(self.rows)}",
            "ties": f"{counts['tie']}, {counts['split']} of them because the orders disagree",
            "missing": f"{counts['missing']} not judged, {self.left_out} trials without a partner",
            "share that a wins": str(self.preference),
            "first one chosen": str(self.position),
            "longer one wins": str(self.length),
            "cost": cost + perhaps(self.uncertain_usd),
        }

    def __iter__(self) -> Iterator[PairRow]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        counts = self.counts
        return f"JudgedPairs({self.a} {counts['a']} : {counts['b']} {self.b}, {counts['tie']} ties)"

    def __str__(self) -> str:
        return "\n".join(f"{name}: {text}" for name, text in self.facts().items())

    def _repr_html_(self) -> str:
        from workbench.tables import plain_table

        rows = [(row.case_id, row.winner or "missing", row.output_a[:500], row.output_b[:500], row.reason)
                for row in self.rows[:SHOWN]]  # fmt: skip
        more = f"<p>and {len(self) - SHOWN} more pairs</p>" if len(self) > SHOWN else ""
        cases = plain_table(("case", "winner", "a", "b", "reason"), rows, "")
        return (
            plain_table(("pairs", ""), list(self.facts().items()), "")
            + f"<details><summary>{escape(str(len(self)))} pairs</summary>{cases}{more}</details>"
        )

    def _item(self, row: PairRow, seed: int) -> Item:
        """The pair in an order that its content decides, so that nobody learns which arm comes first."""
        case = self.cases[row.case_id]
        outputs, arms = (row.output_a, row.output_b), (self.a, self.b)
        if int(sha256(f"{seed}/{row.case_id}/{row.repeat}/order")[0], 16) % 2:
            outputs, arms = outputs[::-1], arms[::-1]
        hidden = {"winner": row.winner, "reason": row.reason}
        return Item(case["id"], case["inputs"], case["expected"], outputs, arms, hidden)


async def judge_pairs(
    report: Report, a: Prompt | str, b: Prompt | str, *, rubric: str = "", model: str = MODEL,
    judge: PairJudge | None = None, sample: int | None = None, budget_usd: float | None = None, cache: str = "on",
) -> JudgedPairs:  # fmt: skip
    """Have a model say, case by case, which of two arms' answers is better; both orders are asked.

    `a` and `b`: `prompt@version`, or `prompt@version × model` where the run has several models. `rubric`: by what an
    answer is better, or `judge` one made by `scorers.pair_judge`. `sample`: only the first so many trials of the run's
    shuffled order. `budget_usd`, `cache`: as for runs; a second call asks nothing. Equal answers are ties that nobody
    is asked about. Raises VerdictError for arms that are not there, ReportError, ScorerError, BudgetReached.
    """
    judge = judge or pair_judge(rubric, model=model)
    names = [one.ref if isinstance(one, Prompt) else one for one in (a, b)]
    found = pair_arms(report.plan["arms"], names[0], names[1])
    if len(found) > 1:
        raise ReportError(f"{names[0]!r} ran on {', '.join(held for held, _, _ in found)}: pairs are judged within one "
                          f"of these, such as '{arm_ref(found[0][1])}'")  # fmt: skip
    _, one, other = found[0]
    pairs, left_out = _pairs(report, one, other)
    async with asking(budget_usd, cache) as ask:
        rows = await in_order([_row(judge, report.cases[key[0]], key[1], *both, ask) for key, both in pairs[:sample]])
    source = next((kind for kind in ("simulated", "recorded") if kind in ask.sources), "live")
    return JudgedPairs(
        arm_ref(one), arm_ref(other), judge, report.plan["dataset"]["name"], tuple(rows), report.cases, left_out,
        source, ask.cost_usd, ask.spent_usd, ask.uncertain_usd,
    )  # fmt: skip


def _pairs(
    report: Report, one: dict[str, Any], other: dict[str, Any]
) -> tuple[list[tuple[tuple[str, int], tuple[str, str]]], int]:
    """Both arms' outputs by case and repeat, in the order in which cases went out, and how many have no partner."""
    outputs: dict[str, dict[tuple[str, int], str]] = {arm_ref(one): {}, arm_ref(other): {}}
    seen: set[tuple[str, int]] = set()
    for row in report.rows():
        key = (row["case_id"], row["repeat"])
        if arm_ref(row) in outputs:
            seen.add(key)
            if row["error"] is None and row["output"] is not None:
                outputs[arm_ref(row)][key] = row["output"]
    a, b = outputs[arm_ref(one)], outputs[arm_ref(other)]
    places = {case_id: i for i, case_id in enumerate(report.cases)}
    both = sorted(a.keys() & b.keys(), key=lambda key: (places[key[0]], key[1]))
    return [(key, (a[key], b[key])) for key in both], len(seen) - len(both)


async def _row(judge: PairJudge, case: dict[str, Any], repeat: int, a: str, b: str, ask: Asking) -> PairRow:
    if a == b:
        return PairRow(case["id"], repeat, "tie", SAME, None, None, a, b)
    about = Case(case["id"], case["inputs"], case["expected"])
    forward, backward = await _choice(judge, about, a, b, ask), await _choice(judge, about, b, a, ask)
    winner, reason = both_orders(forward, backward)
    turned: Winner | None = TURNED[backward.winner] if backward.winner else None
    return PairRow(case["id"], repeat, NAMES[winner], reason, NAMES[forward.winner], NAMES[turned], a, b)


async def _choice(judge: PairJudge, case: Case, first: str, second: str, ask: Asking) -> Choice:
    """The judge's choice; a call that failed is a missing one, with the reason."""
    try:
        return await judge.choose(case, first, second, ask)
    except (CallError, NotRecorded) as error:
        return Choice(None, f"{type(error).__name__}: {error}")
