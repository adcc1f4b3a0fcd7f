"""Comparisons, confirmations and races over real HTTP."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
import warnings
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import workbench as wb
from workbench.cli import run_command
from workbench.client import current
from workbench.errors import BudgetReached, PlanError, VerdictError
from workbench.experiment import run as running
from workbench.experiment.confirm import CasesUsedUp
from workbench.report.rows import read_rows
from workbench.verdict.records import signed

if TYPE_CHECKING:
    from workbench.experiment import Run
    from workbench.experiment.race import Racing
    from workbench.sim import StandIn

DATA = Path(__file__).parents[3] / "shared" / "data"
FIELDS = wb.scorers.json_fields("category", "priority")


def experiment(prompts: str = "ticket-triage@v3,v4", models: str = "openai:gpt-6-luna", **more) -> wb.Experiment:
    """A small experiment over the shipped tickets."""
    return wb.Experiment("v", prompts, "tickets", models, FIELDS, **more)


def edit_rows(report: wb.Report, change) -> wb.Report:
    """The same report with its rows changed by `change(row)`."""
    path = report.folder / "rows.jsonl"
    rows = [change(dict(row)) for row in read_rows(path)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows if row is not None))
    return wb.load_report(report.folder)


@pytest.fixture
def report(server: StandIn) -> wb.Report:
    """A finished run of two versions on two tiers."""
    return asyncio.run(experiment(models="fast,balanced", providers="openai").run())


def test_finished_run_is_judged_by_the_fixed_test(report: wb.Report) -> None:
    """On a finished run each model gets its own verdict by the paired test at 0.04, in a plain sentence."""
    verdict = report.compare("ticket-triage@v4", "ticket-triage@v3")
    assert [part.held for part in verdict.parts] == ["sim-openai-fast", "sim-openai-balanced"]
    assert all((part.outcome, part.n, part.alpha) == ("better", 264, 0.04) for part in verdict.parts)
    assert all("fixed-n" in part.basis and part.low > 0 for part in verdict.parts)
    assert (verdict.outcome, verdict.kind, verdict.source) == ("better", "exploratory", "simulated")
    assert "ticket-triage@v4 is better than ticket-triage@v3 on sim-openai-fast" in verdict.sentence
    frame = report.frame()
    for part in verdict.parts:
        table = frame[frame["model"] == part.held].pivot_table("score.json_fields", "case_id", "version")
        changes = table["v4"] - table["v3"]
        assert part.difference == pytest.approx(changes.mean())
        assert (part.flips_better, part.flips_worse) == ((changes > 0).sum(), (changes < 0).sum())
        cost = frame[frame["model"] == part.held].pivot_table("cost_usd", "case_id", "version")
        assert part.cost_per_1000.difference == pytest.approx(1000 * (cost["v4"] - cost["v3"]).mean())
        assert part.cost_per_1000.low <= part.cost_per_1000.difference <= part.cost_per_1000.high


def test_reversed_question_has_the_reversed_answer(report: wb.Report) -> None:
    """Baseline against candidate is the mirror image: worse, with the same limits turned round."""
    there = report.compare("ticket-triage@v4", "ticket-triage@v3").parts[0]
    back = report.compare("ticket-triage@v3", "ticket-triage@v4").parts[0]
    assert (there.outcome, back.outcome) == ("better", "worse")
    assert back.difference == pytest.approx(-there.difference)
    assert (back.low, back.high) == pytest.approx((-there.high, -there.low), abs=1e-6)
    assert (back.flips_better, back.flips_worse) == (there.flips_worse, there.flips_better)


def test_unfinished_run_is_judged_by_the_sequence(report: wb.Report) -> None:
    """A run that stopped early is judged by the anytime-valid sequence over the cases before the first open one, in the
    plan's order and not in order of completion."""
    order = list(report.cases)
    held = "sim-openai-fast"
    late = order[200]
    cut = edit_rows(report, lambda row: None if row["case_id"] == late and row["model"] == held else row)
    part = cut.compare("ticket-triage@v4", "ticket-triage@v3").parts[0]
    assert (part.n, part.alpha) == (200, 0.01)
    assert "anytime-valid" in part.basis
    assert part.p_value is None
    shuffled = edit_rows(cut, lambda row: row)
    path = shuffled.folder / "rows.jsonl"
    path.write_text("".join(sorted(path.read_text().splitlines(keepends=True))))
    again = wb.load_report(shuffled.folder).compare("ticket-triage@v4", "ticket-triage@v3").parts[0]
    assert (again.low, again.high, again.n) == (part.low, part.high, part.n)


def test_missing_scores_must_not_decide(report: wb.Report) -> None:
    """A verdict holds only if it would with the candidate's missing scores worst and the baseline's best."""
    few, many = set(list(report.cases)[:3]), set(list(report.cases)[:120])

    def lose(cases: set[str]):
        def change(row: dict) -> dict:
            gone = row["case_id"] in cases and row["version"] == "v4"
            return row | {"scores": {"json_fields": None}} if gone else row

        return change

    part = edit_rows(report, lose(few)).compare("ticket-triage@v4", "ticket-triage@v3").parts[0]
    assert (part.outcome, part.n, part.missing) == ("better", 261, 3)
    part = edit_rows(report, lose(many)).compare("ticket-triage@v4", "ticket-triage@v3").parts[0]
    assert (part.outcome, part.missing) == ("unsure", 120)
    assert "could overturn it" in part.reason


def test_few_pairs_say_nothing(server: StandIn) -> None:
    """Below 20 pairs the answer is "not sure yet", whatever the scores."""
    small = asyncio.run(experiment().run(sample=15))
    part = small.compare("ticket-triage@v4", "ticket-triage@v3").parts[0]
    assert (part.outcome, part.n) == ("unsure", 15)
    assert "fewer than 20" in part.reason


def test_not_sure_says_what_would_settle_it(server: StandIn) -> None:
    """An open question names the cases and dollars that would probably settle it."""
    small = asyncio.run(experiment("ticket-triage@v2,v3").run(sample=25))
    verdict = small.compare("ticket-triage@v3", "ticket-triage@v2")
    part = verdict.parts[0]
    assert verdict.outcome == "unsure"
    assert part.low < 0 < part.high
    assert part.more_cases > 0
    assert part.more_usd > 0
    assert "more cases" in verdict.sentence


def test_margin_makes_not_worse(report: wb.Report) -> None:
    """With a margin, being clearly no worse than it is an outcome of its own."""
    part = report.compare("balanced", "fast", margin=0.05).parts
    assert {one.outcome for one in part} <= {"not_worse", "better"}
    assert all(one.low > -0.05 for one in part)
    with pytest.raises(VerdictError):
        report.compare("balanced", "fast", margin=-0.1)


def test_other_axes(report: wb.Report) -> None:
    """Models, tiers and arms are compared like versions, everything else held equal."""
    assert len(report.compare("openai:balanced", "openai:fast").parts) == 2
    assert len(report.compare("sim-openai-balanced", "sim-openai-fast").parts) == 2
    across = report.compare("ticket-triage@v4 × openai:fast", "ticket-triage@v3 × openai:balanced")
    assert len(across.parts) == 1
    for pair in [("ticket-triage@v4", "fast"), ("ticket-triage@v4", "ticket-triage@v4"), ("ticket-triage@v9", "fast")]:
        with pytest.raises(VerdictError):
            report.compare(*pair)


def test_looks_and_variants_are_counted(report: wb.Report, server: StandIn) -> None:
    """Each new comparison is a look, the same one again is not; every version run on the dataset is a variant."""
    first = report.compare("ticket-triage@v4", "ticket-triage@v3")
    again = report.compare("ticket-triage@v4", "ticket-triage@v3")
    assert (first.looks, again.looks, first.variants) == (1, 1, 2)
    asyncio.run(experiment("ticket-triage@v1").run(sample=3))
    other = report.compare("ticket-triage@v4", "ticket-triage@v3", metric="category")
    assert (other.looks, other.variants) == (2, 3)
    assert "at least 3 variants tried" in str(other)


def test_comparing_all_is_corrected(server: StandIn) -> None:
    """Against one baseline all candidates share the error by Holm: no interval is narrower than its own."""
    found = asyncio.run(experiment("ticket-triage").run(sample=80))
    together = found.compare_all("ticket-triage@v1")
    assert {verdict.candidate for verdict in together} == {f"ticket-triage@v{i}" for i in (2, 3, 4)}
    assert sorted(verdict.parts[0].alpha for verdict in together) == pytest.approx([0.04 / 3, 0.04 / 2, 0.04])
    for verdict in together:
        alone = found.compare(verdict.candidate, "ticket-triage@v1").parts[0]
        assert verdict.parts[0].low <= alone.low + 1e-9


def test_confirmation_spends_from_the_account(server: StandIn, home: Path) -> None:
    """A confirmation runs unseen test cases only and spends 0.05 / (k (k + 1)); asked again it spends nothing."""
    exp = experiment()
    asyncio.run(exp.run(sample=5))
    verdict = asyncio.run(exp.confirm("ticket-triage@v4", "ticket-triage@v3"))
    assert (verdict.kind, verdict.outcome, verdict.parts[0].alpha) == ("confirmed", "better", 0.025)
    ran = wb.load_report(verdict.run_id)
    assert {case["split"] for case in ran.cases.values()} == {"test"}
    assert len(ran.cases) == len(wb.load_dataset("tickets").test)
    assert asyncio.run(exp.confirm("ticket-triage@v4", "ticket-triage@v3")).parts[0].alpha == 0.025
    draft = wb.load_prompt("ticket-triage@v3").edit("Answer with", "Think first, then answer with")
    second = asyncio.run(exp.confirm(draft, "ticket-triage@v3"))
    assert second.parts[0].alpha == pytest.approx(0.05 / 6)
    ledger = list(read_rows(home / ".workbench" / "confirmations.jsonl"))
    assert [entry["k"] for entry in ledger] == [1, 2]


def test_confirmation_needs_unseen_cases(server: StandIn) -> None:
    """Test cases that a run has shown are seen: without enough others there is nothing to confirm on."""
    exp = experiment()
    asyncio.run(exp.run(split="all"))
    with pytest.raises(VerdictError, match="unseen test cases"):
        asyncio.run(exp.confirm("ticket-triage@v4", "ticket-triage@v3"))
    given = wb.Experiment(
        "g", "ticket-triage@v3,v4", wb.Dataset("mine", wb.load_dataset("tickets").cases), "fast", FIELDS
    )
    with pytest.raises(VerdictError, match="by path or as a DataFrame"):
        asyncio.run(given.confirm("ticket-triage@v4", "ticket-triage@v3"))


def test_broken_off_confirmation_spends_nothing(server: StandIn, home: Path) -> None:
    """When the money ends first nothing is judged and nothing taken from the account; the same call goes on."""
    exp = experiment(models="openai:gpt-6.1-terra")
    with pytest.raises(BudgetReached, match="not confirmed"):
        asyncio.run(exp.confirm("ticket-triage@v4", "ticket-triage@v3", budget_usd=0.04))
    assert not (home / ".workbench" / "confirmations.jsonl").exists()
    assert asyncio.run(exp.confirm("ticket-triage@v4", "ticket-triage@v3")).outcome == "better"


def test_race_pays_less_and_keeps_the_best(server: StandIn) -> None:
    """A race stops paying for arms that are clearly beaten, never drops the best version, and resumes for nothing."""
    exp = experiment("ticket-triage")
    raced = asyncio.run(exp.race())
    assert raced.winner == "ticket-triage@v4 × sim-openai-fast"
    assert raced.trials < raced.planned / 2
    assert set(raced.beaten) == {f"ticket-triage@v{i} × sim-openai-fast" for i in (1, 2, 3)}
    asked = server.control("stats")["requests"]
    assert asyncio.run(exp.race()).beaten == raced.beaten
    assert server.control("stats")["requests"] == asked
    with pytest.raises(PlanError, match="json_fields"):
        asyncio.run(exp.race("colour"))


@wb.scorer(bounds=(0, 1))
def hard_to_read(case: wb.Case, reply: wb.Reply) -> bool | None:
    """Right or wrong, and nothing where the id ends with 7."""
    return None if case.id.endswith("7") else f'"{case.expected["category"]}"' in reply.text


@pytest.mark.parametrize("every", [17, 60, 250])
@pytest.mark.parametrize("prompts", ["ticket-triage@v1,v2,v4", "ticket-triage@v2,v3"])
def test_a_race_that_was_stopped_decides_the_same(server: StandIn, prompts: str, every: int) -> None:
    """However often a race is stopped and resumed, it counts each case and each skipped one once, and decides as it
    does in one go."""
    racers: list[Racing] = []

    def keep(run: Run) -> None:
        if run not in racers:
            racers.append(run)

    async def with_stops() -> Racing:
        rows = count(1)
        await exp.race(on_row=lambda _: next(rows) % every or racers[-1].stop())
        while racers[-1].progress.state == "stopped":
            await racers[-1].resume()
        return racers[-1]

    exp = wb.Experiment("r", prompts, "tickets", "openai:gpt-6-luna", hard_to_read)
    running.OPENERS.append(keep)
    try:
        whole = asyncio.run(exp.race())
        (whole.report.folder / "rows.jsonl").unlink()
        stopped = asyncio.run(with_stops())
    finally:
        running.OPENERS.remove(keep)
    once = racers[0]
    assert stopped is not once and stopped.skipped > 0
    assert stopped.race.n == once.race.n == once.cases - once.skipped <= len(once.design.cases)
    again = stopped.result(wb.load_report(whole.report.folder))
    assert (again.winner, again.alive, again.beaten) == (whole.winner, whole.alive, whole.beaten)
    assert (again.cases, again.skipped, again.trials) == (whole.cases, whole.skipped, whole.trials)


def test_plan_says_what_it_can_see(server: StandIn) -> None:
    """Before any money is spent the plan names the smallest difference that its cases and the test cases can see."""
    small, large = experiment().plan(sample=30), experiment().plan()
    assert small.sees["30 cases"] > large.sees["264 cases"] > 0.03
    assert "166 test cases" in large.sees
    assert "points on 264 cases" in str(large)


def test_command_line_decides(
    report: wb.Report, server: StandIn, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`compare`, `confirm` and `race` say their outcome, write it as JSON, and end with its exit code."""
    pair = ("--candidate", "ticket-triage@v4", "--baseline", "ticket-triage@v3")
    assert run_command(["compare", *pair, "--json", str(home / "v.json")]) == 0
    out = json.loads((home / "v.json").read_text())
    assert out["outcome"] == "better"
    assert {"outcome", "difference", "low", "high", "n", "basis", "flips_better", "flips_worse"} <= set(
        out["verdicts"][0]
    )
    assert run_command(["compare", *reversed(pair[2:]), *pair[:2][::-1]]) == 2
    assert run_command(["compare", "--candidate", "ticket-triage@v3", "--baseline", "ticket-triage@v4"]) == 1
    capsys.readouterr()
    where = ("--dataset", "tickets", "--scorer", "json_fields:category,priority", "--tiers", "fast", "--providers",
             "openai", "--base-url", f"openai={server.url}/v1")  # fmt: skip
    assert run_command(["confirm", "ticket-triage@v3,v4", *where, *pair]) == 0
    assert "(confirmed;" in capsys.readouterr().out
    assert run_command(["race", "ticket-triage", *where, "--json", str(home / "r.json")]) == 0
    assert json.loads((home / "r.json").read_text())["winner"] == "ticket-triage@v4 × sim-openai-fast"


def test_small_run_ends_with_4(server: StandIn, home: Path) -> None:
    """Not sure yet is exit code 4."""
    asyncio.run(experiment("ticket-triage@v2,v3").run(sample=25))
    line = [
        "compare",
        "--candidate",
        "ticket-triage@v3",
        "--baseline",
        "ticket-triage@v2",
        "--json",
        str(home / "v.json"),
    ]
    assert run_command(line) == 4


@pytest.mark.skipif(not DATA.is_dir(), reason="the recorded GSM8K answers lie outside the repository and are not here")
def test_gsm8k_verdicts(home: Path) -> None:
    """On real recorded answers the published differences are found, with the flips as counted and intervals that an
    independent formula confirms."""
    folder = home / "prompts" / "maths"
    folder.mkdir(parents=True)
    (folder / "v1.yaml").write_text('name: maths\ntype: text\nprompt: "{{question}}"\n')
    names = ["6b_verification", "175b_finetuning", "175b_verification"]
    wb.offline(recordings=DATA / "gsm8k-recorded.jsonl")
    exp = wb.Experiment("g", "maths@v1", DATA / "gsm8k-test.jsonl", [f"openai:{name}" for name in names], "numeric")
    report = asyncio.run(exp.run(concurrency=64))
    for candidate, points, flips in [("175b_verification", 0.215, (360, 76)), ("6b_verification", 0.043, (209, 152))]:
        part = report.compare(candidate, "175b_finetuning").parts[0]
        assert (part.outcome, part.n, part.alpha) == ("better", 1319, 0.04)
        assert (part.flips_better, part.flips_worse) == flips
        assert part.difference == pytest.approx(points, abs=5e-4)
        wald = 2.0537 * np.sqrt(sum(flips) - (flips[0] - flips[1]) ** 2 / 1319) / 1319
        assert (part.low, part.high) == pytest.approx((part.difference - wald, part.difference + wald), abs=0.004)


def test_old_and_new_replies_are_not_paired(server: StandIn, home: Path) -> None:
    """Replies of a pair given over a week apart cannot confirm; asking them anew can."""
    exp = experiment()
    asyncio.run(exp.confirm("ticket-triage@v3", "ticket-triage@v2"))
    with sqlite3.connect(home / ".workbench" / "cache" / "cache.db") as database:
        database.execute("UPDATE Cache SET store_time = store_time - 8 * 86400")
    with pytest.raises(VerdictError, match="7 days apart"):
        asyncio.run(exp.confirm("ticket-triage@v4", "ticket-triage@v3"))
    assert len(list(read_rows(home / ".workbench" / "confirmations.jsonl"))) == 1
    verdict = asyncio.run(exp.confirm("ticket-triage@v4", "ticket-triage@v3", cache="refresh"))
    assert verdict.parts[0].alpha == pytest.approx(0.05 / 6)


def test_new_draws_are_another_try(server: StandIn) -> None:
    """Asking a confirmed question anew spends again, and what is shown afterwards keeps the later, smaller share."""
    exp = experiment()
    pair = ("ticket-triage@v4", "ticket-triage@v3")
    shares = [asyncio.run(exp.confirm(*pair, cache=mode)).parts[0].alpha for mode in ("on", "refresh", "on", "refresh")]
    assert shares == pytest.approx([0.05 / 2, 0.05 / 6, 0.05 / 6, 0.05 / 12])


def test_two_processes_never_take_the_same_share(server: StandIn, home: Path) -> None:
    """Confirmations from several threads of control each get a share of their own."""
    exp = experiment()
    first = asyncio.run(exp.confirm("ticket-triage@v4", "ticket-triage@v3"))
    script = (
        "import sys; from types import SimpleNamespace as N; from workbench.experiment.confirm import spend; "
        "print(spend(N(run_id=sys.argv[1], case_hashes=list), 'tickets', 1, ['q'], anew=False).k)"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", script, str(i)], stdout=subprocess.PIPE, text=True) for i in range(6)
    ]
    taken = sorted(int(process.communicate()[0]) for process in started)
    assert first.parts[0].alpha == 0.025
    assert taken == [2, 3, 4, 5, 6, 7]


def test_raced_test_cases_are_seen(server: StandIn) -> None:
    """A race over all cases has shown the test cases, under whatever name: they confirm nothing any more."""
    everything = wb.Dataset("renamed", wb.load_dataset("tickets").cases)
    raced = wb.Experiment("r", "ticket-triage@v1,v2,v4", everything, "openai:gpt-6-luna", FIELDS)
    asyncio.run(raced.race())
    with pytest.raises(VerdictError, match="unseen test cases"):
        asyncio.run(experiment().confirm("ticket-triage@v4", "ticket-triage@v3"))


def test_enough_fresh_cases_open_a_new_account(server: StandIn, home: Path) -> None:
    """A hundred unseen test cases more start a new account of 0.05, judged on those cases alone."""
    path = home / "datasets" / "mine.jsonl"
    path.parent.mkdir()

    def write(numbers: range) -> None:
        with path.open("a") as file:
            for i in numbers:
                case = {
                    "id": f"m{i}",
                    "inputs": {"ticket": f"Ticket {i}: my plug number {i} is dark."},
                    "split": "test",
                }
                file.write(json.dumps(case | {"expected": {"category": "hardware", "priority": "normal"}}) + "\n")

    def confirm(candidate: str, baseline: str) -> tuple[float, int]:
        exp = wb.Experiment("mine", "ticket-triage@v3,v4", "mine", "openai:gpt-6-luna", FIELDS)
        part = asyncio.run(exp.confirm(candidate, baseline)).parts[0]
        return part.alpha, part.n

    write(range(60))
    assert confirm("ticket-triage@v4", "ticket-triage@v3") == (0.025, 60)
    write(range(60, 120))
    assert confirm("ticket-triage@v3", "ticket-triage@v2") == (pytest.approx(0.05 / 6), 60)
    write(range(120, 200))
    assert confirm("ticket-triage@v4", "ticket-triage@v3") == (0.025, 140)
    assert [entry["account"] for entry in read_rows(home / ".workbench" / "confirmations.jsonl")] == [1, 1, 2]


def test_runs_of_two_days_are_compared_by_content(report: wb.Report, server: StandIn, home: Path) -> None:
    """A baseline may come from another run: cases match by content whatever their ids, what only one run has is left
    out and counted, and runs that share too little are refused."""
    tickets = wb.load_dataset("tickets").dev.cases
    other = tuple(replace(case, id=f"x{i}") for i, case in enumerate(tickets[10:]))
    then = wb.Experiment("then", "ticket-triage@v3", wb.Dataset("old", other), "openai:gpt-6-luna", FIELDS)
    before = asyncio.run(then.run())
    verdict = report.compare("ticket-triage@v4", "ticket-triage@v3", against=before)
    part = next(one for one in verdict.parts if one.held == "sim-openai-fast" or len(verdict.parts) == 1)
    here = report.compare("ticket-triage@v4", "ticket-triage@v3").parts[0]
    assert (part.outcome, part.n, part.left_out) == ("better", 254, 10)
    assert part.difference == pytest.approx(here.difference, abs=0.03)
    assert before.run_id in str(verdict)
    same = report.compare("ticket-triage@v3", "ticket-triage@v3", against=before).parts[0]
    assert (same.outcome, same.difference) == ("unsure", 0.0)
    few = wb.Experiment("few", "ticket-triage@v3", wb.Dataset("old", other[:100]), "openai:gpt-6-luna", FIELDS)
    with pytest.raises(VerdictError, match="share 100 cases"):
        report.compare("ticket-triage@v4", "ticket-triage@v3", against=asyncio.run(few.run()))


def test_leading_pair_counts_as_chosen(report: wb.Report) -> None:
    """The pair that leads is judged live, at the level of one among all pairs."""
    verdict = report.leading()
    assert verdict.parts[0].alpha == pytest.approx(0.01 / 6)
    assert "anytime-valid" in verdict.parts[0].basis
    assert verdict.notes == ("chosen among 6 pairs",)


def test_a_crash_in_the_middle_of_a_write_costs_that_line_alone(server: StandIn, home: Path) -> None:
    """Half a look and half a share, as a kill leaves them, keep nobody from the next: the half share was never judged
    by, and each share after it is taken once."""
    exp = experiment()
    confirmed = asyncio.run(exp.confirm("ticket-triage@v4", "ticket-triage@v3"))
    report = asyncio.run(exp.run(sample=30))
    looks, shares = home / ".workbench" / "looks.jsonl", home / ".workbench" / "confirmations.jsonl"
    for path in (looks, shares):
        path.write_bytes(path.read_bytes() + path.read_bytes()[:40])
    for margin in (0.01, 0.02):
        assert report.compare("ticket-triage@v4", "ticket-triage@v3", margin=margin).looks >= confirmed.looks
        asyncio.run(exp.confirm("ticket-triage@v4", "ticket-triage@v3", margin=margin))
    assert [json.loads(line)["k"] for line in shares.read_text().splitlines()] == [1, 2, 3]
    assert report.compare("ticket-triage@v3", "ticket-triage@v4").looks > confirmed.looks


def test_cases_that_are_there_twice_are_paired_once(server: StandIn) -> None:
    """Of a content that both runs have more than once, as many cases are paired as both have: nothing is counted twice,
    and what is paired and what is left out make all that there is."""
    tickets = wb.load_dataset("tickets").dev.cases[:60]
    again = tuple(replace(case, id=f"again-{case.id}") for case in tickets[:6])

    def run(name: str, cases: tuple[wb.Case, ...]) -> wb.Report:
        exp = wb.Experiment(name, "ticket-triage@v3,v4", wb.Dataset("d", cases), "openai:gpt-6-luna", FIELDS)
        return asyncio.run(exp.run())

    whole, fewer = run("whole", (*tickets, *again)), run("fewer", (*tickets[1:], *again[3:]))
    for now, then, n, left_out in ((whole, whole, 66, 0), (whole, fewer, 62, 4), (fewer, whole, 62, 4)):
        part = now.compare("ticket-triage@v4", "ticket-triage@v3", against=then).parts[0]
        assert (part.n + part.missing, part.left_out) == (n, left_out)


def test_a_metric_that_nobody_names_is_not_confirmed(server: StandIn) -> None:
    """Nothing is sent for a metric that no scorer names; the refusal says how to name it."""
    silent = wb.Experiment("v", "ticket-triage@v3,v4", "tickets", "openai:gpt-6-luna", [FIELDS, hard_to_read])
    with pytest.raises(PlanError, match=r"no metric 'harm' is declared.*@wb\.scorer\(metrics=\['harm'"):
        asyncio.run(silent.confirm("ticket-triage@v4", "ticket-triage@v3", "harm"))


def test_names_of_models_are_never_ambiguous(server: StandIn) -> None:
    """`provider:tier` that means two models of a run is refused with both, and a model without a tier offers none."""
    other = replace(current().model("openai", "gpt-6.1-terra"), tier="fast")
    odd = wb.load_models("openai:my-own")
    report = asyncio.run(experiment("ticket-triage@v2", ["openai:fast", other, *odd]).run(sample=2))
    with pytest.raises(VerdictError, match="'openai:fast' is openai:sim-openai-gpt-6-luna and openai:sim"):
        report.compare("openai:fast", "sim-openai-my-own")
    with pytest.raises(VerdictError, match="no arm of this run is 'openai:slow'") as caught:
        report.compare("openai:slow", "openai:fast")
    assert "None" not in str(caught.value)
    assert len(report.compare("sim-openai-gpt-6-luna", "sim-openai-my-own").parts) == 1


def test_a_change_of_nothing_has_no_sign(report: wb.Report) -> None:
    """Numbers of a verdict carry one kind of minus, and zero carries none."""
    html = report.compare("ticket-triage@v3", "ticket-triage@v4")._repr_html_()
    assert "-$" in html and "−" not in html
    assert [signed(x, ".3f") for x in (0.0, -0.0001, 0.25, -0.25)] == ["0.000", "0.000", "+0.250", "-0.250"]
    assert signed(float("nan"), ".3f") == "–"


def test_a_confirmation_that_scores_nothing_takes_no_share(server: StandIn, home: Path) -> None:
    """Where a misspelt field leaves every pair without a score nothing is taken from the account, and confirmation,
    comparison and race all say why."""
    exp = wb.Experiment("v", "ticket-triage@v3,v4", "tickets", "openai:fast", wb.scorers.json_fields("ctegory"))
    why = "answers unscored: json_fields raised KeyError: \"the case expects no field 'ctegory'\""
    with pytest.raises(VerdictError, match="no pair has a score of json_fields") as refused:
        asyncio.run(exp.confirm("ticket-triage@v4", "ticket-triage@v3"))
    assert why in str(refused.value)
    assert not (home / ".workbench" / "confirmations.jsonl").exists()
    raced = asyncio.run(exp.race())
    assert why in raced.sentence and "Nothing is known of json_fields" in raced.sentence
    assert why in raced.report.compare("ticket-triage@v4", "ticket-triage@v3").sentence
    right = asyncio.run(experiment().confirm("ticket-triage@v4", "ticket-triage@v3"))
    assert right.parts[0].alpha == 0.025


def test_a_failed_confirmation_takes_no_share(server: StandIn, home: Path) -> None:
    """Where every trial failed nothing is taken from the account either, and the failure is told."""
    with pytest.raises(VerdictError, match=r"trials failed, such as: .*not in the cache"):
        asyncio.run(experiment().confirm("ticket-triage@v4", "ticket-triage@v3", cache="replay"))
    assert not (home / ".workbench" / "confirmations.jsonl").exists()


def test_python_is_warned_of_test_cases_that_get_used_up(server: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    """A run in Python that shows unseen test cases warns once, before anything is sent; the command line says it in its
    notes alone."""
    with pytest.warns(CasesUsedUp, match="166 test cases of tickets count as seen") as warned:
        asyncio.run(experiment("ticket-triage@v4").run(split="test"))
    assert len(warned) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asyncio.run(experiment("ticket-triage@v4").run(split="test"))  # they are seen by now
        asyncio.run(experiment("ticket-triage@v4").run())
        other = "-d invoices -s json_fields --models openai:fast --split test --use-test-cases"
        assert run_command(f"run invoice-fields {other}".split()) == 0
    assert capsys.readouterr().err.count("count as seen") == 1


def test_unknown_prices_are_no_fault(server: StandIn) -> None:
    """What would settle a question is told without dollars where no price is known, over the known ones where some
    are, and without a warning of somebody else's."""
    report = asyncio.run(experiment("ticket-triage@v2,v3").run(sample=25))
    case = next(iter(report.cases))
    one = edit_rows(report, lambda row: row | {"cost_usd": 0.001 if row["case_id"] == case else None})
    part = one.compare("ticket-triage@v3", "ticket-triage@v2").parts[0]
    assert part.more_usd == pytest.approx(part.more_cases * 0.002)
    none = edit_rows(report, lambda row: row | {"cost_usd": None})
    part = none.compare("ticket-triage@v3", "ticket-triage@v2").parts[0]
    assert (part.outcome, part.more_usd) == ("unsure", None) and part.more_cases


def test_a_stand_ins_arm_is_named_by_its_id(server: StandIn) -> None:
    """What was asked for as `openai:foo` is compared as `openai:foo`, whoever answered, and offered by that name."""
    report = asyncio.run(experiment("ticket-triage@v4", models="openai:foo,openai:my").run(sample=30))
    part = report.compare("openai:foo", "openai:my").parts[0]
    assert (part.candidate, part.baseline) == ("sim-openai-foo", "sim-openai-my")
    with pytest.raises(VerdictError, match="did you mean 'openai:foo'") as refused:
        report.compare("openai:fo", "openai:my")
    assert "openai:sim-" not in str(refused.value)
    assert report.compare("openai:sim-openai-foo", "sim-openai-my").parts[0].difference == part.difference


def test_an_ended_race_is_finished(server: StandIn) -> None:
    """A race that came to its end is listed as finished, though it ran fewer trials than planned; one that the budget
    cut short is not."""
    short = asyncio.run(experiment("ticket-triage").race(budget_usd=0.005))
    assert short.trials > 0 and wb.load_report(short.report.run_id).state == "unfinished"
    raced = asyncio.run(experiment("ticket-triage").race())
    assert raced.trials < raced.planned and wb.load_report(raced.report.run_id).state == "finished"
