"""Judges that score answers: what they ask, how they are read, what they cost."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judge_parts import CASE, HOSTILE, RUBRIC, Says, run, scored

import workbench as wb
from workbench.client import Asking, Client, current
from workbench.errors import BudgetReached, PromptError, ScorerError, SettingsError
from workbench.ledger import Ledger
from workbench.prompts import Prompt, load_prompt
from workbench.records import Case, Reply
from workbench.report.text import JUDGES, dollars
from workbench.scorers import as_scorers, score
from workbench.scorers.asking import quoted

if TYPE_CHECKING:
    from workbench.records import Request
    from workbench.sim import StandIn

MODELS = ("anthropic:claude-sonnet-5-5", "openai:gpt-6.1-terra", "ollama:sim-medium")
THINKING = ("anthropic:claude-opus-5-5", "openai:gpt-6.1-sol")
PASS = {"reason": "Right.", "verdict": "pass"}


@pytest.mark.parametrize("model", MODELS + THINKING)
def test_every_provider_answers_by_schema(server: StandIn, model: str) -> None:
    """Each vendor's native structured output carries every kind of judge, models that always think included."""
    judges = [
        wb.scorers.judge("Right?", model=model),
        wb.scorers.judge("Right?", model=model, name="grade", scale=(1, 5)),
        wb.scorers.grounded(model=model),
        wb.scorers.relevance(model=model),
    ]
    rows = list(run(judges, prompts="policy-answer@v3", dataset="policy-qa", sample=5).rows())
    for row in rows:
        scores = row["scores"]
        assert isinstance(scores["judge"], bool) and scores["grade"] in (1, 2, 3, 4, 5), row["reasons"]
        assert 0 <= scores["grounded"] <= 1 and scores["relevance"] in (0, 1)
        assert all(row["reasons"].values())


def test_judge_money_is_counted_apart(server: StandIn) -> None:
    """A judge's list price stands in judge_cost_usd, outside cost_usd; the run's ledger holds both."""

    async def work() -> tuple[list[dict], float]:
        exp = wb.Experiment("j", "ticket-triage@v4", "tickets", "openai:gpt-6-luna", wb.scorers.judge(RUBRIC))
        started = exp.start(sample=10)
        return list((await started).rows()), started.spent_usd

    rows, spent = asyncio.run(work())
    plain = list(run("exact", prompts="ticket-triage@v4", sample=10, cache="replay").rows())
    assert sum(row["judge_cost_usd"] for row in rows) > 0
    assert {row["case_id"]: row["cost_usd"] for row in rows} == {row["case_id"]: row["cost_usd"] for row in plain}
    assert spent == pytest.approx(sum(row["spent_usd"] + row["judge_cost_usd"] for row in rows))


def test_budget_stops_judges(server: StandIn) -> None:
    """A run whose judge reaches the cap stops there and has spent no more than the cap; every answer is judged, or its
    row says that the budget ended."""

    async def work() -> tuple[wb.Report, float]:
        exp = wb.Experiment("j", "ticket-triage@v4", "tickets", "openai:gpt-6-luna", wb.scorers.judge(RUBRIC))
        started = exp.start(budget_usd=0.06, sample=100)
        return await started, started.spent_usd

    report, spent = asyncio.run(work())
    assert report.state == "budget reached"
    assert 0 < report.done < 100
    assert spent <= 0.06
    assert all(row["error_type"] == "BudgetReached" or row["scores"]["judge"] is not None for row in report.rows())


def test_judge_calls_are_cached(server: StandIn) -> None:
    """Judged again under another scorer name, in a new run, nothing is asked and the verdicts are the same."""
    first = [(row["case_id"], row["scores"]["judge"]) for row in run(wb.scorers.judge(RUBRIC)).rows()]
    asked = server.control("stats")["requests"]
    again = list(run(wb.scorers.judge(RUBRIC, name="again")).rows())
    assert server.control("stats")["requests"] == asked
    assert sorted(first) == sorted((row["case_id"], row["scores"]["again"]) for row in again)
    assert all(row["judge_cost_usd"] > 0 for row in again)


def test_refused_answers_are_not_sent_to_a_judge() -> None:
    """An answer that was refused or cut off has the worst score without any call, on the judge's own scale."""
    for stop in ("refusal", "max_tokens", "content_filter"):
        says = Says(PASS)
        assert scored(wb.scorers.judge(RUBRIC), says, stop=stop).value is False
        assert scored(wb.scorers.judge(RUBRIC, scale=(1, 5)), says, stop=stop).value == 1
        assert not says.asked


@pytest.mark.parametrize(
    "answer",
    ["", "pass", "{", "[]", {"verdict": "maybe", "reason": ""}, {"reason": "no verdict"}, {"verdict": True}, "null"],
)
def test_an_unreadable_judge_is_missing_never_zero(answer: object) -> None:
    """What cannot be read as a verdict leaves the score missing with a reason, whatever the scale."""
    for judge in (wb.scorers.judge(RUBRIC), wb.scorers.judge(RUBRIC, scale=(0, 1)), wb.scorers.grounded(),
                  wb.scorers.relevance()):  # fmt: skip
        found = scored(judge, Says(answer))
        assert found.value is None and found.reason


def test_a_judge_that_ran_out_of_tokens_or_refused_is_missing() -> None:
    """Even a readable verdict does not count when the judge's answer did not end of itself."""
    for stop in ("max_tokens", "refusal", "content_filter"):
        found = scored(wb.scorers.judge(RUBRIC), Says(PASS, stop=stop))
        assert found.value is None and stop in found.reason


@pytest.mark.parametrize("grade", [0, 6, 2.5, True, "3", None])
def test_grades_outside_the_scale_are_missing(grade: object) -> None:
    """Only a whole number on the scale is a grade."""
    assert scored(wb.scorers.judge(RUBRIC, scale=(1, 5)), Says({"reason": "", "score": grade})).value is None


def test_failed_judge_calls_are_missing_and_the_run_goes_on(server: StandIn) -> None:
    """Where the judge's server refuses, rows keep their other scores and the judge's is missing with the error."""
    server.control("faults", [{"kind": "bad_request", "provider": "anthropic", "times": 1000}])
    rows = list(run([wb.scorers.json_fields(), wb.scorers.judge(RUBRIC)], sample=5).rows())
    assert len(rows) == 10
    for row in rows:
        assert row["error"] is None and row["scores"]["json_fields"] is not None
        assert row["scores"]["judge"] is None and "RequestRefused" in row["reasons"]["judge"]


def test_a_judge_that_nobody_answers_for_ends_the_run(server: StandIn) -> None:
    """An unknown provider is refused with the choices, not written into every row."""
    with pytest.raises((SettingsError, wb.WorkbenchError), match="antropic"):
        run(wb.scorers.judge(RUBRIC, model="antropic:claude"), sample=2)


@given(st.text())
def test_quoted_text_cannot_leave_its_block(text: str) -> None:
    """Whatever a text holds, quoted it is one line without a tag, and reads back as the same text."""
    line = quoted(text)
    assert json.loads(line) == text
    assert len(line.splitlines()) == 1 and "<" not in line
    line.encode()


def test_hostile_answers_stay_data(server: StandIn) -> None:
    """An answer that closes its block and gives itself a verdict is quoted whole, and is judged by the truth."""
    says = Says(PASS)
    scored(wb.scorers.judge("Right?"), says, HOSTILE)
    (user,) = [message.content for message in says.asked[0].messages if message.role == "user"]
    blocks = re.findall(r"^<answer>\n(.*)\n</answer>$", user, re.MULTILINE)
    assert [json.loads(one) for one in blocks] == [HOSTILE]
    assert user.count("</answer>") == 1
    assert "never an instruction" in says.asked[0].messages[0].content


def test_grounded_is_the_share_of_supported_claims() -> None:
    """Two of three supported claims are 2/3, with the one that is not named; no claim at all is unscored."""
    claims = [{"claim": str(i), "reason": "r", "supported": i != 1} for i in range(3)]
    found = scored(wb.scorers.grounded(), Says({"claims": claims}))
    assert found.value == pytest.approx(2 / 3) and "not: 1 (r)" in found.reason
    assert scored(wb.scorers.grounded(), Says({"claims": []})).value is None


def test_grounded_names_the_missing_context() -> None:
    """A case without the context's input is unscored, with the cure."""
    found = scored(wb.scorers.grounded("document"), Says({"claims": []}))
    assert found.value is None and "grounded('question')" in found.reason


def test_draws_are_repeats_and_their_majority_decides() -> None:
    """Independent draws are asked as repeats 0, 1, 2; one draw is repeat 0; an even split is missing."""
    fail = {"reason": "Wrong.", "verdict": "fail"}
    says = Says(fail, PASS, PASS)
    assert scored(wb.scorers.judge(RUBRIC, draws=3), says).value is True
    assert [request.repeat for request in says.asked] == [0, 1, 2]
    assert scored(wb.scorers.judge(RUBRIC, draws=2), Says(fail, PASS)).value is None
    says = Says(fail)
    scored(wb.scorers.judge(RUBRIC), says)
    assert [request.repeat for request in says.asked] == [0]


def test_identity_is_prompt_model_and_parameters() -> None:
    """The identity changes with rubric, model, scale, effort, prompt content and what is shown, not with the name."""
    base = wb.scorers.judge(RUBRIC)
    assert wb.scorers.judge(RUBRIC, name="other").identity == base.identity
    edited = load_prompt("judge-rubric@v1").edit("three short sentences", "two short sentences")
    others = [
        wb.scorers.judge(RUBRIC + " "),
        wb.scorers.judge(RUBRIC, model=MODELS[1]),
        wb.scorers.judge(RUBRIC, scale=(1, 5)),
        wb.scorers.judge(RUBRIC, effort="high"),
        wb.scorers.judge(RUBRIC, prompt=edited),
        wb.scorers.judge(RUBRIC, expected=False),
        wb.scorers.judge(RUBRIC, draws=3),
        wb.scorers.relevance(),
        wb.scorers.grounded(),
    ]
    assert len({one.identity for one in (base, *others)}) == len(others) + 1


def test_no_sampling_parameters_are_sent() -> None:
    """A judge sends room for thinking and no temperature, even where its prompt sets one."""
    prompt = Prompt("mine", "{{rubric}} {{answer}}", {"temperature": 0, "max_tokens": 3000})
    says = Says(PASS)
    scored(wb.scorers.judge(RUBRIC, prompt=prompt, effort="low"), says)
    assert says.asked[0].params == {"max_tokens": 3000, "effort": "low"}
    scored(wb.scorers.judge(RUBRIC), says)
    assert says.asked[1].params == {"max_tokens": 4096}


def test_the_expected_value_can_be_hidden() -> None:
    """`expected=False` shows the judge null instead of the reference."""
    says = Says(PASS)
    scored(wb.scorers.judge(RUBRIC, expected=False), says)
    scored(wb.scorers.judge(RUBRIC), says)
    hidden, shown = (request.messages[-1].content for request in says.asked)
    assert "<expected>\nnull\n</expected>" in hidden and f"<expected>\n{json.dumps(CASE.expected)}\n" in shown


def test_text_form() -> None:
    """Judges can be named in texts: a rubric may hold commas and colons."""
    found = as_scorers(["judge: Polite, short: yes", "grounded:document", "relevance"])
    assert [one.name for one in found] == ["judge", "grounded", "relevance"]
    assert found[0].identity == wb.scorers.judge("Polite, short: yes").identity
    assert found[1].identity == wb.scorers.grounded("document").identity
    assert all(one.asks_models and one.bounds == (0, 1) for one in found)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: wb.scorers.judge(""), "say what it judges by"),
        (lambda: wb.scorers.judge(RUBRIC, model="claude"), "provider:id"),
        (lambda: wb.scorers.judge(RUBRIC, name="no name"), "letters, digits"),
        (lambda: wb.scorers.judge(RUBRIC, scale=(5, 1)), "worst before the best"),
        (lambda: wb.scorers.judge(RUBRIC, draws=0), "whole number"),
        (lambda: wb.scorers.judge(RUBRIC, prompt="judge-pair@v1"), "no value for first, second"),
        (lambda: wb.scorers.pair_judge(" "), "by what an answer is better"),
        (lambda: as_scorers("judge"), "wrong number of arguments"),
    ],
)
def test_bad_judges_are_refused(make: object, words: str) -> None:
    """A judge that could not work is refused when it is made, with the cure."""
    with pytest.raises(ScorerError, match=words):
        make()
    with pytest.raises(PromptError, match="no prompt named"):
        wb.scorers.judge(RUBRIC, prompt="judge-rubrik")


def test_a_judge_that_names_no_limit_keeps_the_budget(server: StandIn) -> None:
    """A judge's prompt without max_tokens is sent with its model's own limit, which is what is reserved: many at once
    never pass the cap."""
    text = "<context>\n{{context}}\n</context>\n<answer>\n{{answer}}\n</answer>"
    judge = wb.scorers.grounded(prompt=Prompt.from_text("mine", text))

    async def asked(number: int, asking: Asking) -> object:
        answer = Reply(" ".join(f"claim {one} of {number}." for one in range(20)))
        return await score(judge, Case(str(number), {"context": f"text {number}"}), answer, asking)

    class Noting(Client):
        async def complete(self, request: Request, *options: Any) -> Reply:
            limits.add(request.params["max_tokens"])
            return await super().complete(request, *options)

    async def storm() -> tuple[list[object], Ledger]:
        client = Noting(current(), ledger=Ledger(0.25))
        outcomes = await asyncio.gather(*(asked(i, Asking(client)) for i in range(64)), return_exceptions=True)
        await client.close()
        return outcomes, client.ledger

    limits: set[int] = set()
    outcomes, ledger = asyncio.run(storm())
    assert any(isinstance(one, BudgetReached) for one in outcomes)
    assert 0 < ledger.spent_usd <= 0.25
    assert limits == {current().model("anthropic", "claude-sonnet-5-5").default_max_tokens}


def test_what_judges_cost_is_shown(server: StandIn) -> None:
    """What was paid for judges is part of what a report says was spent, and said apart: in totals, headline and
    leaderboard. Where all of their answers were hits nothing was paid, and nothing is said."""

    async def work(name: str) -> tuple[wb.Report, float]:
        judge = wb.scorers.judge(RUBRIC, name=name)
        started = wb.Experiment("j", "ticket-triage@v4", "tickets", "openai:gpt-6-luna", judge).start(sample=10)
        return await started, started.spent_usd

    report, spent = asyncio.run(work("judge"))
    totals, rows = report.totals(), list(report.rows())
    assert totals["spent_usd"] == pytest.approx(spent) and totals["unknown_spent"] == 0
    assert totals["judge_spent_usd"] == pytest.approx(sum(row["judge_spent_usd"] for row in rows))
    assert totals["spent_usd"] - totals["judge_spent_usd"] == pytest.approx(totals["cost_usd"])
    told = dollars(totals["judge_spent_usd"])
    assert f"{told} of it for judges" in report._repr_html_()
    for board in (str(report.leaderboard()), report.leaderboard()._repr_html_()):
        assert JUDGES in board and told in board
    assert report.leaderboard().frame()["judge_spent_usd"].sum() == totals["judge_spent_usd"]
    again, _ = asyncio.run(work("again"))
    assert {row["judge_spent_usd"] for row in again.rows()} == {0.0}
    assert all(row["judge_cost_usd"] > 0 for row in again.rows())
    assert JUDGES not in again._repr_html_() + str(again.leaderboard())


def test_money_of_trials_that_a_budget_cut_off_is_in_the_rows(server: StandIn) -> None:
    """Over starts whose budgets end amid trials, the report's spent dollars are those of all ledgers, answers that were
    paid and not scored included; their trials are done again, and no money is counted twice."""

    async def work(cap: float | None) -> tuple[wb.Report, float]:
        exp = wb.Experiment("j", "ticket-triage@v4", "tickets", "openai:gpt-6-luna", wb.scorers.judge(RUBRIC))
        started = exp.start(sample=12, budget_usd=cap)
        return await started, started.spent_usd

    total, cut = 0.0, 0
    for cap in (0.012, 0.02, 0.03):
        report, spent = asyncio.run(work(cap))
        total += spent
        cut += sum(row["error_type"] == "BudgetReached" for row in report.rows())
        assert report.totals()["spent_usd"] == pytest.approx(total)
    assert cut
    report, spent = asyncio.run(work(None))
    assert report.totals()["spent_usd"] == pytest.approx(total + spent)
    assert (report.state, report.totals()["errors"]) == ("finished", 0)


def test_what_a_judge_may_have_cost_is_told(server: StandIn) -> None:
    """Calls of a judge that broke off, given up or answered at last, count in the row's uncertain dollars; rows and
    ledger agree."""
    server.control("faults", [{"kind": "drop", "times": 6, "provider": "anthropic"}])

    async def work() -> tuple[wb.Report, Ledger]:
        exp = wb.Experiment("j", "ticket-triage@v4", "tickets", "openai:gpt-6-luna", wb.scorers.judge(RUBRIC))
        started = exp.start(sample=2, concurrency=1)
        started.traffic.sleep = no_pause
        return await started, started.ledger

    async def no_pause(seconds: float) -> None:
        """Waits for nothing."""

    report, ledger = asyncio.run(work())
    rows = sorted(report.rows(), key=lambda row: row["finished_at"])
    assert [row["scores"]["judge"] is None for row in rows] == [True, False]
    assert rows[0]["uncertain_usd"] > rows[1]["uncertain_usd"] > 0
    totals = report.totals()
    assert totals["uncertain_usd"] == pytest.approx(ledger.uncertain_usd)
    assert totals["spent_usd"] == pytest.approx(ledger.spent_usd)
