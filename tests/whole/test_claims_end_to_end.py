"""What the verdicts promise, once more from end to end: stand-in server, SDK, Experiment, verdict, against the declared
truth. The many repetitions are in `make verify-statistics`; here are a few of each, through the real parts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import workbench as wb
from workbench import connect
from workbench.truth import expected_scores

if TYPE_CHECKING:
    from workbench.sim import StandIn

FIELDS = wb.scorers.json_fields("category", "priority")
ENDINGS = ("Thank you.", "Take your time.", "This is for support.", "Be careful.", "Go on.", "Ready?", "Please.")


def equal_variants(n: int) -> list[wb.Prompt]:
    """Prompts that differ in words and not in what the simulated models see in them: equally good by declaration."""
    base = wb.load_prompt("ticket-triage@v3")
    return [base.edit("Answer with", f"{ending} Answer with") for ending in ENDINGS[:n]]


def run(prompts, **options) -> wb.Report:
    """A run of these prompts on one model."""
    return asyncio.run(experiment(prompts).run(concurrency=32, **options))


def experiment(prompts) -> wb.Experiment:
    """These prompts on one model over the tickets."""
    return wb.Experiment("claims", prompts, "tickets", "openai:gpt-6-luna", FIELDS)


def test_intervals_contain_the_declared_truth(server: StandIn) -> None:
    """Of 36 arms' 95 % intervals at most 6 miss their arm's exact expected score (36 independent ones would miss more
    with probability 0.7 %)."""
    exp = wb.Experiment("cover", "ticket-triage", "tickets", "fast,balanced,powerful", FIELDS)
    board = asyncio.run(exp.run(concurrency=64)).leaderboard()
    truth = {row.arm: row.expected["json_fields"] for row in expected_scores(["ticket-triage"], "tickets", [FIELDS])}
    assert len(board) == len(truth) == 36
    assert sum(not row.low <= truth[row.arm] <= row.high for row in board) <= 6


def test_equal_variants_are_not_called_better(server: StandIn) -> None:
    """Six equal variants against a seventh, corrected, and every pair by itself on part of the cases: nobody wins."""
    report = run(equal_variants(7))
    assert all(one.outcome == "unsure" for one in report.compare_all(equal_variants(1)[0]))
    early = run(equal_variants(7), sample=60)
    assert all(one.outcome == "unsure" for one in early.compare_all(equal_variants(1)[0]))


def test_best_of_equal_variants_is_not_confirmed(server: StandIn) -> None:
    """The luckiest of seven equal variants on dev cases is no winner on unseen ones."""
    prompts = equal_variants(7)
    board = run(prompts).leaderboard()
    lucky = next(prompt for prompt in prompts if prompt.ref == board.best.prompt)
    other = next(prompt for prompt in prompts if prompt.ref == board.rows[-1].prompt)
    assert board.best.mean > board.rows[-1].mean
    verdict = asyncio.run(experiment(prompts).confirm(lucky, other))
    assert verdict.kind == "confirmed"
    assert verdict.outcome != "better"


def test_true_differences_are_found(server: StandIn) -> None:
    """Where the declared gap is 20 points and more, a finished run finds it, the live sequence too before the end, and
    the interval contains the declared difference."""
    report = run("ticket-triage@v3,v4")
    part = report.compare("ticket-triage@v4", "ticket-triage@v3").parts[0]
    truth = expected_scores(["ticket-triage@v3,v4"], "tickets", [FIELDS], models="fast", providers="openai")
    worse, better = sorted(row.expected["json_fields"] for row in truth)
    assert part.outcome == "better"
    assert part.low <= better - worse <= part.high

    connect.at({"openai": server.url + "/v1"})  # the truth was asked offline

    async def until_sure() -> int:
        def look(row: object) -> None:
            if going.progress.done % 60 == 0 and going.progress.done:
                sofar = wb.load_report(going.folder)
                if sofar.compare("ticket-triage@v4", "ticket-triage@v3").outcome == "better":
                    going.stop()

        exp = wb.Experiment("live", "ticket-triage@v3,v4", "tickets", "openai:gpt-6-luna", FIELDS)
        going = exp.start(concurrency=4, on_row=look)
        return (await going).done

    assert asyncio.run(until_sure()) < 528


def test_race_finds_the_declared_best(server: StandIn) -> None:
    """Among eleven arms with one clear best by declaration a race keeps it, for less than half of the calls."""
    raced = asyncio.run(experiment([*equal_variants(7), "ticket-triage"]).race(concurrency=32))
    assert raced.winner == "ticket-triage@v4 × sim-openai-fast"
    assert raced.trials < raced.planned / 2


def test_slow_hard_cases_do_not_move_the_live_verdict(server: StandIn) -> None:
    """While hard cases of one arm are out, the verdict counts only cases that are final in both, in plan order."""
    prompts = equal_variants(2)
    report = run(prompts)
    rows = (report.folder / "rows.jsonl").read_text().splitlines(keepends=True)
    slow = [row for row in report.rows() if row["version"] == prompts[0].version and row["scores"]["json_fields"] < 1]
    late = {row["case_id"] for row in slow}
    kept = [line for line in rows if not (prompts[0].version in line and any(f'"{case}"' in line for case in late))]
    (report.folder / "rows.jsonl").write_text("".join(kept))
    cut = wb.load_report(report.folder)
    naive = cut.leaderboard()
    means = {row.prompt: row.mean for row in naive}
    assert means[prompts[0].ref] - means[prompts[1].ref] > 0.2  # what completion order would make of equal arms
    verdict = cut.compare(prompts[0], prompts[1])
    assert verdict.outcome == "unsure"
    assert verdict.parts[0].n < 20
