"""Two arms judged answer against answer."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

import pytest
from judge_parts import RUBRIC, label_all, run

from workbench.errors import BudgetReached, LabelError, ReportError, VerdictError
from workbench.labels import calibrate
from workbench.report.pairs import SAME, judge_pairs
from workbench.scorers.pair import Choice, both_orders

if TYPE_CHECKING:
    import workbench as wb
    from workbench.report.pairs import JudgedPairs
    from workbench.sim import StandIn

A, B = "ticket-triage@v4", "ticket-triage@v2"


def judged(report: wb.Report, a: str = A, b: str = B, **options: object) -> JudgedPairs:
    """The pairs of a report."""
    return asyncio.run(judge_pairs(report, a, b, **{"rubric": RUBRIC, **options}))


def test_pairs_are_asked_in_both_orders_and_once(server: StandIn) -> None:
    """Every pair of different answers is asked twice, equal ones never, and a second call asks nothing."""
    report = run("json_fields", prompts="ticket-triage@v2,v3", sample=60)
    before = server.control("stats")["requests"]
    pairs = judged(report, "ticket-triage@v3")
    different = [row for row in pairs if row.output_a != row.output_b]
    assert server.control("stats")["requests"] - before == 2 * len(different)
    assert len(pairs) == 60 and pairs.left_out == 0 and 0 < len(different) < 60
    assert all(row.winner == "tie" and row.reason == SAME for row in pairs if row not in different)
    again = judged(report, "ticket-triage@v3")
    assert again.rows == pairs.rows
    assert server.control("stats")["requests"] - before == 2 * len(different)
    assert again.spent_usd == 0 and again.cost_usd == pytest.approx(pairs.spent_usd) and pairs.cost_usd > 0


def test_the_better_arm_is_preferred_and_the_figures_add_up(server: StandIn) -> None:
    """The arm that is right more often wins more cases; every case is counted once; biases stand beside it."""
    pairs = judged(run("json_fields", sample=100))
    counts = pairs.counts
    assert counts["a"] > 2 * counts["b"] and pairs.preference.low > 0.5
    assert counts["a"] + counts["b"] + counts["tie"] + counts["missing"] == len(pairs) == 100
    assert pairs.position.n == sum((row.a_first in ("a", "b")) + (row.b_first in ("a", "b")) for row in pairs)
    assert pairs.source == "simulated"
    assert len(pairs.frame()) == 100 and "<script" not in pairs._repr_html_() and A in str(pairs)


def test_turned_around_the_winner_is_the_same(server: StandIn) -> None:
    """Judging b against a asks the same questions and turns every winner."""
    report = run("json_fields", sample=40)
    pairs = judged(report)
    before = server.control("stats")["requests"]
    turned = judged(report, B, A)
    assert server.control("stats")["requests"] == before
    opposite = {"a": "b", "b": "a", "tie": "tie"}
    assert [row.winner for row in turned] == [opposite[row.winner] for row in pairs]


@pytest.mark.parametrize(("forward", "backward"), list(itertools.product(("first", "second", "tie", None), repeat=2)))
def test_a_choice_that_turns_with_the_order_is_a_tie(forward: str | None, backward: str | None) -> None:
    """Only a winner in both orders wins; a failure in either order is missing, with its reason."""
    winner, reason = both_orders(Choice(forward, "f"), Choice(backward, "b"))
    if None in (forward, backward):
        assert winner is None and reason == ("f" if forward is None else "b")
    elif (forward, backward) in (("first", "second"), ("second", "first")):
        assert winner == forward
    else:
        assert winner == "tie"


def test_failed_calls_are_missing(server: StandIn) -> None:
    """A judge that cannot be reached leaves pairs missing: no winner, no tie."""
    report = run("json_fields", sample=20)
    server.control("faults", [{"kind": "bad_request", "provider": "anthropic", "times": 1000}])
    pairs = judged(report)
    different = [row for row in pairs if row.output_a != row.output_b]
    assert {row.winner for row in different} == {None} and pairs.counts["missing"] == len(different)
    assert "RequestRefused" in different[0].reason


def test_bad_pairs_are_refused(server: StandIn) -> None:
    """Unknown arms, arms of several models at once and a cap that is too small are named errors."""
    report = run("json_fields", sample=5, models="openai:gpt-6-luna,openai:gpt-6.1-terra")
    with pytest.raises(VerdictError, match="no arm"):
        judged(report, "ticket-triage@v9")
    with pytest.raises(ReportError, match="within one of these"):
        judged(report)
    pairs = judged(report, f"{A} × openai:fast", f"{B} × openai:fast")
    assert len(pairs) == 5 and "sim-openai-fast" in pairs.a
    with pytest.raises(BudgetReached):
        judged(report, f"{A} × openai:balanced", f"{B} × openai:balanced", budget_usd=0.001)


def test_votes_calibrate_the_pairwise_judge_only(server: StandIn) -> None:
    """Votes on pairs are drawn with the arms hidden and in a random order; they calibrate no other judge."""
    import workbench as wb

    pairs = judged(run("json_fields", sample=100))
    queue = pairs.queue(60, seed=3)
    assert {len(item) for item in queue} == {4}
    label_all(queue)
    first = [queue.hidden(i)["arms"][0] for i in range(len(queue))]
    assert 10 < first.count(pairs.a) < len(queue) - 10
    made = asyncio.run(calibrate(pairs.judge, "tickets"))
    assert made.n == len(queue) and made.sensitivity.n == 0 and made.kappa.value > 0.3
    with pytest.raises(LabelError, match="no queue labels"):
        asyncio.run(calibrate(wb.scorers.judge(RUBRIC, name="judge_pair"), "tickets"))
