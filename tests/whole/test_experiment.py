"""Plans and runs, over real HTTP: what is done, what is kept, what is refused."""

from __future__ import annotations

import asyncio
import json
from dataclasses import fields, replace
from typing import TYPE_CHECKING

import pytest

import workbench as wb
from workbench import connect
from workbench.client import current, use
from workbench.errors import CatalogError, PlanError, PromptError, ScorerError, SettingsError, UsageError
from workbench.experiment.grid import Arm
from workbench.experiment.plan import check
from workbench.prompts import Prompt
from workbench.records import Row
from workbench.report.rows import read_rows

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.experiment import Run
    from workbench.ledger import Ledger
    from workbench.sim import StandIn

FIELDS = wb.scorers.json_fields("category", "priority")


def experiment(
    name: str = "t", prompts="ticket-triage@v2,v4", dataset="tickets", models="fast", scorers=FIELDS, **more
):
    """A small experiment over the shipped tickets."""
    return wb.Experiment(name, prompts, dataset, models, scorers, **more)


def run(exp: wb.Experiment, **options) -> wb.Report:
    """Run to the end in an event loop of its own."""
    return asyncio.run(exp.run(**options))


def rows_of(report: wb.Report) -> list[dict]:
    """All rows, as written."""
    return list(read_rows(report.folder / "rows.jsonl"))


def test_rows_have_exactly_the_fixed_fields(server: StandIn) -> None:
    """Every row is one JSON object with the fields of Row, in order, and is marked as simulated."""
    report = run(experiment(models="fast,balanced,powerful"), sample=3)
    rows = rows_of(report)
    assert len(rows) == report.done == 2 * 9 * 3
    assert all(list(row) == [f.name for f in fields(Row)] for row in rows)
    assert {row["source"] for row in rows} == {"simulated"}
    assert {row["model"] for row in rows} >= {"sim-anthropic-fast", "sim-openai-balanced", "sim-ollama-powerful"}
    assert {row["served_by"] for row in rows} >= {"claude-haiku-5-5", "gpt-6.1-terra"}
    assert all(
        row["error"] is None and row["output"] and row["scores"].keys() == {"json_fields", "category", "priority"}
        for row in rows
    )
    assert report.state == "finished"


def test_sample_is_part_of_the_full_run(server: StandIn) -> None:
    """The cases of a sample are hits in the full run: nothing is paid twice, whatever the order."""
    exp = experiment(models="openai:gpt-6-luna")
    run(exp, sample=10)
    asked = server.control("stats")["requests"]
    report = run(exp)
    assert server.control("stats")["requests"] == report.done
    assert report.totals()["hits"] == asked == 20
    assert len({row["case_id"] for row in rows_of(report)}) == len(wb.load_dataset("tickets").dev)


def test_same_plan_resumes(server: StandIn) -> None:
    """A finished run, run again, sends nothing and adds no row; another repeat count is another run."""
    first = run(experiment(), sample=5)
    before = rows_of(first)
    again = run(experiment(), sample=5)
    assert again.run_id == first.run_id
    assert rows_of(again) == before
    assert run(experiment(repeats=2), sample=5).run_id != first.run_id
    assert run(experiment(scorers="valid_json"), sample=5).run_id != first.run_id


def test_repeats_are_separate_draws(server: StandIn) -> None:
    """Each repeat is a request of its own, and the interval counts cases, not repeats."""
    report = run(experiment(prompts="ticket-triage@v2", models="openai:gpt-6-luna", repeats=3), sample=20)
    rows = rows_of(report)
    assert {row["repeat"] for row in rows} == {0, 1, 2}
    assert server.control("stats")["requests"] == 60
    summary = report.leaderboard().best
    assert (summary.n, summary.n_scored) == (60, 60)


def test_stop_keeps_complete_pairs_and_resume_goes_on(server: StandIn) -> None:
    """A stopped run holds both arms of every case but the last block, and goes on where it stopped."""
    server.control("settings", {"latency_s": 0.01})
    exp = experiment(models="openai:gpt-6-luna")

    async def stopped_and_resumed() -> tuple[wb.Report, wb.Report, Run]:
        going = exp.start(concurrency=4, on_row=lambda row: going.stop() if going.progress.done >= 40 else None)
        first = await going
        assert going.progress.state == "stopped"
        cut = [row["case_id"] for row in rows_of(first)]
        assert 40 <= len(cut) < 528
        incomplete = [case for case in set(cut) if cut.count(case) != 2]
        assert len(incomplete) <= 4
        going.options = replace(going.options, on_row=None)
        return first, await going.resume(), going

    first, second, going = asyncio.run(stopped_and_resumed())
    assert first.run_id == second.run_id
    assert second.done == second.plan["trials"] == 528
    assert going.progress.state == "finished"
    assert server.control("stats")["requests"] == 528


def test_interrupt_keeps_everything_and_says_how_to_go_on(server: StandIn) -> None:
    """The kernel's interrupt (CancelledError) keeps the rows, says how many, and the same plan pays only the rest."""
    server.control("settings", {"latency_s": 0.005})
    exp = experiment(models="openai:gpt-6-luna")

    async def interrupted() -> int:
        going = exp.start(concurrency=8, on_row=lambda row: task.cancel() if going.progress.done == 30 else None)

        async def wait() -> wb.Report:
            return await going

        task = asyncio.create_task(wait())
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        assert "the same line resumes it" in str(caught.value)
        assert going.progress.state == "interrupted"
        return going.progress.done

    kept = asyncio.run(interrupted())
    stored = server.control("stats")["requests"]
    report = run(exp)
    assert report.done == 528
    assert kept >= 30
    assert server.control("stats")["requests"] <= 528 + 8
    assert stored >= kept


def test_budget_stops_before_the_cap_and_says_so(server: StandIn) -> None:
    """A run whose money ends keeps its rows, names the cap, and never spent more than it."""
    exp = experiment(models="openai:gpt-6.1-terra")
    report = run(exp, budget_usd=0.05, concurrency=16)
    assert report.state == "budget reached"
    assert "$0.05" in report.message
    assert "resumes" in report.message
    assert 0 < report.done < 528
    assert report.totals()["spent_usd"] <= 0.05
    assert run(exp).done == 528


def test_failed_trials_are_rows_and_are_tried_again(server: StandIn) -> None:
    """A failure is a row with an error, counted as unscored and not as zero; running again tries it again."""
    server.control("faults", [{"kind": "bad_request", "times": 4}])
    exp = experiment(models="openai:gpt-6-luna")
    report = run(exp, sample=10, concurrency=1)
    failed = [row for row in rows_of(report) if row["error"]]
    assert [row["error_type"] for row in failed] == ["RequestRefused"] * 4
    assert all(row["scores"] == {} and row["cost_usd"] is None and row["output"] is None for row in failed)
    board = report.leaderboard()
    assert [(row.n, row.n_scored, row.errors) for row in board] == [(10, 8, 2)] * 2
    assert len(report.errors()) == 4
    again = run(exp, sample=10)
    assert [(row.n, row.n_scored, row.errors) for row in again.leaderboard()] == [(10, 10, 0)] * 2
    assert len(rows_of(again)) == 24
    assert len(list(again.rows())) == 20


def test_truncation_is_an_answer_and_scores_worst(server: StandIn) -> None:
    """An answer cut off by max_tokens counts as wrong and is shown as cut off, never as missing."""
    short = wb.Prompt("short", "Reply with a JSON object with category and priority.\n\n{{ticket}}", {"max_tokens": 3})
    summary = run(experiment(prompts=short, models="anthropic:claude-haiku-5-5"), sample=10).leaderboard().best
    assert (summary.n_scored, summary.mean, summary.truncated) == (10, 0.0, 10)


def test_scorer_that_raises_leaves_trials_unscored(server: StandIn) -> None:
    """A broken scorer gives unscored trials with the reason, and the run goes on."""

    def broken(case, reply):
        raise ValueError("no such thing")

    def fine(case, reply):
        return {"length": len(reply.text), "right": True}

    report = run(experiment(scorers=[broken, fine], models="openai:gpt-6-luna"), sample=4)
    assert [(row.mean, row.n, row.n_scored) for row in report.leaderboard()] == [(None, 4, 0)] * 2
    assert all("ValueError: no such thing" in row["reasons"]["broken"] for row in rows_of(report))
    assert report.metrics == ["broken", "length", "right"] or set(report.metrics) >= {"broken", "length", "right"}


def test_replay_needs_nobody(server: StandIn) -> None:
    """A replay makes the same rows without any server; a miss is a failed row that names its trial."""
    exp = experiment(models="openai:gpt-6-luna")
    told = {(row["case_id"], row["version"]): row["output"] for row in rows_of(run(exp, sample=5))}
    addresses = {"openai": running_url(server)}
    connect.at(addresses)
    use(None)
    connect.at(addresses, replay=True)
    report = run(experiment(name="again", models="openai:gpt-6-luna"), sample=6, cache="replay")
    rows = rows_of(report)
    assert {(row["case_id"], row["version"]): row["output"] for row in rows if row["error"] is None} == told
    missing = [row for row in rows if row["error"]]
    assert [row["error_type"] for row in missing] == ["NotRecorded"] * 2
    assert all(f"on case {row['case_id']}" in row["error"] for row in missing)


def running_url(server: StandIn) -> str:
    """Where the OpenAI format lives."""
    return server.url + "/v1"


def test_plan_counts_hits_and_dollars(server: StandIn) -> None:
    """A plan sends nothing, and after the run everything in it is a hit that costs nothing more."""
    exp = experiment(models="openai:gpt-6-luna")
    plan = exp.plan(sample=10)
    assert (plan.trials, plan.hits, plan.to_call) == (20, 0, 20)
    assert 0 < plan.estimate_usd < plan.at_most_usd
    assert "without retries" in str(plan)
    assert server.control("stats")["requests"] == 0
    report = run(exp, sample=10)
    spent = report.totals()["spent_usd"]
    assert spent < plan.at_most_usd
    after = exp.plan(sample=10)
    assert (after.hits, after.estimate_usd, after.at_most_usd) == (20, 0.0, 0.0)
    assert after.run_id == report.run_id


def test_interval_contains_what_the_frame_says(server: StandIn) -> None:
    """Leaderboard and frame are the same rows: the mean of a column is the mean of the board."""
    report = run(experiment(models="openai:gpt-6-luna"), sample=40)
    frame = report.frame()
    assert set(frame.columns) >= {f.name for f in fields(Row)} - {"scores"}
    for row in report.leaderboard():
        mine = frame[frame["version"] == row.prompt.partition("@")[2]]
        assert row.mean == pytest.approx(mine["score.json_fields"].mean())
        assert row.low <= row.mean <= row.high
        assert row.cost_per_1000_usd == pytest.approx(1000 * mine["cost_usd"].mean())


def test_torn_last_line_is_cut_and_done_again(server: StandIn) -> None:
    """Half a row, as a crash leaves it, is no row: readers skip it, a resume writes it whole."""
    exp = experiment(models="openai:gpt-6-luna")
    report = run(exp, sample=5)
    path = report.folder / "rows.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) - 40])
    assert wb.load_report(report.run_id).done == 9
    again = run(exp, sample=5)
    assert again.done == 10
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_two_writers_of_one_run_are_refused(server: StandIn) -> None:
    """The second process that would write the same run is told so; the first one's rows stay whole."""
    server.control("settings", {"latency_s": 0.02})
    exp = experiment(models="openai:gpt-6-luna")

    async def both() -> None:
        going = exp.start(sample=5, concurrency=1)
        await asyncio.sleep(0)
        with pytest.raises(UsageError, match="being written"):
            await exp.run(sample=5)
        assert (await going).done == 10

    asyncio.run(both())


def test_changed_version_file_is_marked(server: StandIn, home: Path) -> None:
    """A version whose file changed after its rows were made is shown with a star."""
    prompt = wb.Prompt.from_text("mine", "Give JSON.\n{{ticket}}", max_tokens=100).save()
    report = run(experiment(prompts="mine@v1", models="openai:gpt-6-luna"), sample=3)
    assert report.leaderboard().best.prompt == "mine@v1"
    path = home / "prompts" / "mine" / f"{prompt.version}.yaml"
    path.write_text(path.read_text().replace("Give JSON", "Give good JSON"))
    assert wb.load_report().leaderboard().best.prompt == "mine@v1*"


def test_drafts_run_without_files(server: StandIn) -> None:
    """An edited prompt is compared under its draft name; saving it keeps the content, so its answers are hits."""
    draft = wb.load_prompt("ticket-triage@v3").edit("Answer with", "Think first, then answer with")
    report = run(experiment(prompts=["ticket-triage@v3", draft], models="openai:gpt-6-luna"), sample=5)
    assert {row.prompt for row in report.leaderboard()} == {"ticket-triage@v3", draft.ref}
    saved = draft.save()
    assert saved.ref == "ticket-triage@v5"
    assert experiment(prompts=saved, models="openai:gpt-6-luna").plan(sample=5).hits == 5


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"prompts": "ticket-triag"}, PromptError, "ticket-triage"),
        ({"prompts": "ticket-triage@v9"}, PromptError, "v4"),
        ({"dataset": "ticket"}, UsageError, "tickets"),
        ({"models": "fats"}, CatalogError, "fast"),
        ({"models": "anthropi:x"}, CatalogError, "anthropic"),
        ({"models": ""}, PlanError, "fast"),
        ({"models": []}, PlanError, "fast"),
        ({"scorers": "exakt"}, ScorerError, "exact"),
        ({"scorers": []}, ScorerError, "exact"),
        ({"repeats": 0}, PlanError, "1 or more"),
        ({"repeats": True}, PlanError, "1 or more"),
        ({"prompts": []}, PlanError, "at least one prompt"),
        ({"prompts": "policy-answer@v2"}, PlanError, "context, question"),
        ({"providers": "mistral"}, CatalogError, "anthropic"),
    ],
)
def test_wrong_input_is_refused_with_the_choices(server: StandIn, change, error, says) -> None:
    """What does not exist is refused before anything is sent, and the message names what does."""
    with pytest.raises(error, match=says):
        experiment(**change).plan()
    assert server.control("stats")["requests"] == 0


@pytest.mark.parametrize(
    "options",
    [
        {"budget_usd": 0},
        {"budget_usd": -1},
        {"budget_usd": float("nan")},
        {"concurrency": 0},
        {"sample": 0},
        {"split": "train"},
        {"cache": "yes"},
    ],
)
def test_wrong_options_are_refused(server: StandIn, options) -> None:
    """Zero dollars, zero calls in flight, zero cases, unknown splits and modes are refused."""
    with pytest.raises(UsageError):
        run(experiment(), **options)
    assert server.control("stats")["requests"] == 0


def test_sampling_on_claude_is_refused_at_plan_time(server: StandIn) -> None:
    """A parameter that a model refuses is found in the catalog, before anything is sent; `by_provider` is the cure."""
    text = "Give JSON.\n{{ticket}}"
    with pytest.raises(PlanError, match="takes no temperature"):
        experiment(prompts=wb.Prompt("p", text, {"temperature": 0.2}), models="anthropic:claude-haiku-5-5").plan()
    cured = wb.Prompt("p", text, {"by_provider": {"ollama": {"temperature": 0.2}}})
    assert experiment(prompts=cured, models="fast").plan(sample=1).trials == 3
    with pytest.raises(PlanError, match="max_tokens"):
        experiment(prompts=wb.Prompt("p", text, {"max_token": 9}), models="anthropic:claude-haiku-5-5").plan()


def test_misspelt_words_of_a_config_are_refused(server: StandIn) -> None:
    """A provider that does not exist, or a misspelt parameter at any depth, is refused with the prompt's name before
    anything is sent; words that look like nothing of ours are the prompt's own."""
    for config, fault in [
        ({"by_provider": {"antropic": {"max_tokens": 5}}}, "p@.*by_provider.*'antropic'.*did you mean 'anthropic'"),
        ({"by_provider": {"openai": {"max_token": 5}}}, "p@.*config.by_provider.openai key 'max_token'.*'max_tokens'"),
        ({"max_token": 5}, "p@.*config key 'max_token'.*did you mean 'max_tokens'"),
    ]:
        with pytest.raises(PlanError, match=fault):
            experiment(prompts=wb.Prompt("p", "Give JSON.\n{{ticket}}", config)).plan()
    own = {"team": "support", "by_provider": {"ollama": {"keep": True}}}
    assert experiment(prompts=wb.Prompt("p", "Give JSON.\n{{ticket}}", own)).plan(sample=1).trials


def test_unpriced_models_run_only_without_a_budget(server: StandIn) -> None:
    """An unknown price is unknown, not free: no budget can hold it, and the board says so."""
    exp = experiment(models="openai:no-such-model")
    assert exp.plan(sample=2).unpriced == ("openai:no-such-model",)
    with pytest.raises(PlanError, match="no price is known"):
        run(exp, sample=2, budget_usd=1)
    summary = run(exp, sample=2).leaderboard().best
    assert (summary.cost_usd, summary.spent_usd, summary.unknown_spent) == (None, None, 2)


def test_loose_recordings_answer_one_version_only(home: Path) -> None:
    """Recordings matched by input alone would answer all versions alike, so more than one is refused."""
    case = wb.load_dataset("tickets").dev.cases[0]
    line = {"model": "m", "input": case.inputs["ticket"], "output": '{"category": "app", "priority": "low"}'}
    (home / "r.jsonl").write_text(json.dumps(line) + "\n")
    wb.offline(recordings=home / "r.jsonl")
    small = wb.Dataset("small", (case,))
    with pytest.raises(PlanError, match="matched by input alone"):
        run(experiment(dataset=small, models="openai:m"))
    report = run(experiment(prompts="ticket-triage@v2", dataset=small, models="openai:m"))
    assert [(row["source"], row["model"], row["output"]) for row in rows_of(report)] == [
        ("recorded", "m", line["output"])
    ]
    use(None)


def test_export_plays_back_exactly(server: StandIn, home: Path) -> None:
    """Exported replies, served as recordings, give the same answers to the same requests, two versions included."""
    from workbench.cache import Cache

    first = {
        (r["version"], r["case_id"], r["repeat"]): r["output"]
        for r in rows_of(run(experiment(models="openai:gpt-6-luna", repeats=2), sample=5))
    }
    assert Cache(home / ".workbench" / "cache").export(home / "r.jsonl") == 20
    wb.offline(recordings=home / "r.jsonl")
    report = run(experiment(models="openai:gpt-6-luna", repeats=2), sample=5)
    assert {(r["version"], r["case_id"], r["repeat"]): r["output"] for r in rows_of(report)} == first
    assert {row["source"] for row in rows_of(report)} == {"recorded"}
    use(None)


def test_offline_uses_no_key_and_says_that_it_saw_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys in the environment change nothing: stand-ins answer, and the plan tells that a key was seen."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-secret-value")
    session = wb.offline()
    assert "ANTHROPIC_API_KEY was seen" in repr(session)
    assert "sk-secret" not in repr(session)
    assert all(origin.stand_in for origin in session.origins.values())
    use(None)


def test_offline_says_which_setting_is_misspelt(home: Path) -> None:
    """A setting whose name is misspelt is told offline too, with every plan, and stops nothing."""
    (home / ".env").write_text("WORKBENCH_CONCURENCY=3\n")
    told = "WORKBENCH_CONCURENCY (.env): no such setting, probably WORKBENCH_CONCURRENCY"
    assert told in repr(wb.offline())
    assert told in experiment(models="openai:gpt-6-luna").plan(sample=2).notes
    use(None)


def test_one_version_is_not_its_newest_four(home: Path) -> None:
    """A bare name that has one version says so, and one with more that only the newest are meant."""
    wb.offline()
    Prompt.from_text("greet", "Hello. {{ticket}}").save()
    for name, told in [("greet", "greet means its only version: v1"), ("ticket-triage", "newest 4 versions at most")]:
        assert any(told in note for note in experiment(prompts=[name], models="openai:gpt-6-luna").plan(sample=2).notes)
    use(None)


def test_live_needs_keys_and_has_a_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Live is asked for; a provider without a key is named with its cure; a cap exists even when none is given."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-value")
    session = wb.live()
    assert session.run_budget_usd == 5
    assert wb.live(budget_usd=2).ledger.cap_usd == 2
    with pytest.raises(SettingsError, match="ANTHROPIC_API_KEY"):
        experiment(models="anthropic:claude-haiku-5-5").plan()
    assert current().origin("openai").name == "vendor"
    assert "sk-secret" not in repr(session)
    with pytest.raises(UsageError):
        wb.live(budget_usd=0)
    use(None)


def test_default_is_offline_unless_the_setting_says_live(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody chose: stand-ins answer. WORKBENCH_LIVE=1 is a choice."""
    use(None)
    assert not current().live
    use(None)
    monkeypatch.setenv("WORKBENCH_LIVE", "1")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    assert current().live
    use(None)


def test_compatible_server_is_asked_by_chat_completions(monkeypatch: pytest.MonkeyPatch) -> None:
    """OPENAI_API=chat_completions makes requests for a server that is not the vendor's use that endpoint."""
    monkeypatch.setenv("OPENAI_API", "chat_completions")
    connect.at({"openai": "http://127.0.0.1:9/v1"})
    (_, request), *_ = experiment(models="openai:local-model").requests(wb.load_dataset("tickets").cases[0])
    assert request.endpoint == "chat_completions"
    assert request.origin == "http://127.0.0.1:9/v1"
    use(None)


def test_rows_say_what_broken_calls_may_have_cost(server: StandIn) -> None:
    """Attempts that broke off are in the row, whatever came of the trial in the end: the report says what they may have
    cost, over all starts of the run, as the ledgers do."""

    async def no_pause(seconds: float) -> None:
        """Waits for nothing."""

    async def start() -> tuple[wb.Report, Ledger]:
        going = experiment(prompts="ticket-triage@v4", models="openai:gpt-6-luna").start(sample=1, concurrency=1)
        going.traffic.sleep = no_pause
        return await going, going.ledger

    server.control("faults", [{"kind": "drop", "times": 3}, {"kind": "rate_limit", "times": 1, "retry_after_s": 999}])
    failed, first = asyncio.run(start())
    (row,) = failed.rows()
    assert (row["error_type"], row["spent_usd"], row["attempts"]) == ("RateLimited", None, 4)
    assert row["uncertain_usd"] == first.uncertain_usd > 0
    totals = failed.totals()
    assert (totals["spent_usd"], totals["unknown_spent"], totals["uncertain_usd"]) == (0.0, 0, first.uncertain_usd)
    assert "$0 spent" in failed._repr_html_() and "more for calls that broke off" in failed._repr_html_()
    assert "perhaps $" in str(failed.leaderboard())

    server.control("faults", [{"kind": "drop", "times": 2}])
    report, second = asyncio.run(start())
    (row,) = report.rows()
    assert row["error"] is None and row["spent_usd"] == second.spent_usd > 0
    assert row["uncertain_usd"] == second.uncertain_usd > 0
    assert report.totals()["uncertain_usd"] == pytest.approx(first.uncertain_usd + second.uncertain_usd)


def test_wrong_prices_lose_no_call_under_way(server: StandIn, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A price file that is spoilt during a run ends it, but what was sent by then is answered, stored and kept."""
    prices = home / "prices.toml"
    prices.write_text('["openai:gpt-6-luna"]\ninput = 1.0\noutput = 2.0\n')
    monkeypatch.setenv("WORKBENCH_PRICES", "prices.toml")

    def spoil(row: Row) -> None:
        prices.write_text("[half an edit")

    exp = experiment(prompts="ticket-triage@v4", models="openai:gpt-6-luna")
    with pytest.raises(CatalogError, match="not a price file"):
        run(exp, concurrency=16, on_row=spoil)
    sent = server.control("stats")["requests"]
    monkeypatch.delenv("WORKBENCH_PRICES")
    kept = wb.load_report(exp.plan().run_id)
    assert 0 < sent == kept.done < 264
    run(exp)
    assert server.control("stats")["requests"] == 264


def test_models_of_one_tier_are_told_apart(server: StandIn) -> None:
    """Two models of one provider and tier both run, named by their ids; a model that is alone keeps its tier's name."""
    other = replace(current().model("openai", "gpt-6.1-terra"), tier="fast")
    report = run(experiment(prompts="ticket-triage@v2", models=["openai:fast", other, "anthropic:fast"]), sample=4)
    assert report.done == report.plan["trials"] == 12
    assert {row["model"] for row in rows_of(report)} == {
        "sim-openai-gpt-6-luna", "sim-openai-gpt-6.1-terra", "sim-anthropic-fast"
    }  # fmt: skip
    alone = run(experiment(prompts="ticket-triage@v2", models=[replace(other, by_id=True)]), sample=1)
    assert rows_of(alone)[0]["model"] == "sim-openai-fast"


def test_one_model_by_two_names_is_refused(server: StandIn) -> None:
    """A model that is named twice is refused with both names: it would share its rows, and half of them never run."""
    with pytest.raises(PlanError, match=r"gpt-6-luna is named twice, by fast and openai:gpt-6-luna: leave one out"):
        experiment(models="fast,openai:gpt-6-luna").plan()
    session = current()
    one, other = (replace(session.model("openai", name), tier="fast") for name in ("gpt-6-luna", "gpt-6.1-terra"))
    exp = experiment(prompts="ticket-triage@v2", models="openai:fast")
    arms = tuple(Arm(exp.prompts[0], model, "sim:x") for model in (one, other))
    with pytest.raises(PlanError, match="have one name"):
        check(replace(exp._design(session, 3, None, 0), arms=arms), session, None)


def test_a_providers_tier_is_a_model(server: StandIn) -> None:
    """`openai:fast` is the fast model of openai, for an experiment, for `load_models` and for a judge."""
    assert experiment(models="openai:fast").plan(sample=3).run_id == experiment(
        models="openai:gpt-6-luna"
    ).plan(sample=3).run_id  # fmt: skip
    assert [model.ref for model in wb.load_models("openai:fast")] == ["openai:gpt-6-luna"]
    assert current().model("ollama", "fast").known
    with pytest.raises(CatalogError, match="no provider named 'openia'"):
        experiment(models="openia:fast").plan()


def test_the_plan_says_which_test_cases_are_used_up(server: StandIn) -> None:
    """Before unseen test cases are shown, plan and run say how many count as seen then; after it nobody says so."""
    exp = experiment(prompts="ticket-triage@v2", models="openai:fast")
    told = "5 test cases of tickets count as seen once this has run, and confirm nothing any more: 161 of 166 stay"
    assert any(told in note for note in exp.plan(sample=5, split="test").notes)
    assert not any("count as seen" in note for note in exp.plan(sample=5).notes)

    async def go() -> tuple[str, ...]:
        going = exp.start(sample=5, split="test")
        await going
        return going.notes

    assert any(told in note for note in asyncio.run(go()))
    assert not any("count as seen" in note for note in exp.plan(sample=5, split="test").notes)


def test_a_broken_plan_hides_no_shown_case(server: StandIn) -> None:
    """The test cases of a run whose plan cannot be read any more still count as seen."""
    exp = experiment(prompts="ticket-triage@v2", models="openai:fast")
    (run(exp, sample=5, split="test").folder / "plan.json").write_text("[]")
    assert any("160 of 166 stay unseen" in note for note in exp.plan(sample=6, split="test").notes)


@pytest.mark.parametrize("rows", [6, 7])
def test_simulated_models_know_the_experiments_own_cases(home: Path, rows: int) -> None:
    """Offline, a dataset given by path is known to the simulated models, also to those that run already."""
    prompt = wb.Prompt("mine", "Which category has it? Answer as JSON with the field category: {{ticket}}")
    with_stand_in = wb.offline(latency_s=0)
    try:
        origin = with_stand_in.origin("openai").name
        for animal in ("rabbit", "horse"):
            lines = [{"id": f"{animal}-{i}", "ticket": f"My {animal} number {i} ran away with my invoice",
                      "expected": {"category": "billing"}} for i in range(rows)]  # fmt: skip
            (home / f"{animal}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
            report = run(experiment(animal, prompt, str(home / f"{animal}.jsonl"), "openai:fast",
                                    wb.scorers.json_fields("category")))  # fmt: skip
            assert {row["loose"] for row in rows_of(report)} == {False}
            assert {row["origin"] for row in rows_of(report)} == {origin}
            assert "found no case" not in report.caption()
    finally:
        use(None)


def test_replies_without_a_known_case_are_told(server: StandIn) -> None:
    """Scores of simulated replies to requests that hold no known case say nothing, and every table says so."""
    blind = wb.Prompt("blind", "Answer with the category, whatever the ticket says.")
    report = run(experiment(prompts=blind, models="openai:fast"), sample=4)
    told = "4 of 4 simulated replies found no case that the server knows"
    assert told in str(report.leaderboard()) and told in report._repr_html_()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"scorers": 42}, "scorers is 42: give scorers, functions"),
        ({"scorers": None}, "scorers is None"),
        ({"models": None}, 'models is None: give tiers, .* such as models="fast"'),
        ({"models": [5]}, "models is 5"),
        ({"prompts": 5}, "prompts is 5: give refs or Prompts"),
        ({"providers": 5}, "providers is 5"),
        ({"providers": ""}, "no provider named ''"),
        ({"budget_usd": "2"}, "budget_usd is '2': give a number of US dollars, such as budget_usd=2"),
        ({"sample": "3"}, "sample is '3': give a whole number, 1 or more, such as sample=30"),
        ({"seed": "x"}, "seed is 'x': give a whole number"),
        ({"split": 5}, "split is 5: give a text"),
        ({"concurrency": "4"}, "concurrency is '4'"),
        ({"on_row": 5}, "on_row is 5: give a function"),
    ],
)
def test_wrong_kinds_are_refused_in_words(server: StandIn, wrong: dict, says: str) -> None:
    """An argument of the wrong kind is a UsageError that says what was given and what to give, before anything is
    sent."""
    about = {name: wrong[name] for name in ("scorers", "models", "prompts", "providers") if name in wrong}
    with pytest.raises(UsageError, match=says):
        run(experiment(**about), **({} if about else wrong))
    assert server.control("stats")["requests"] == 0


def test_a_price_that_is_given_later_counts(server: StandIn, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same run again learns the price of rows that had none from their hits; it asks and pays nothing for that, not
    even where the reply is gone."""
    exp = experiment(models="openai:my-own", prompts="ticket-triage@v2")
    first = asyncio.run(exp.run(sample=5))
    assert first.totals()["cost_usd"] is None
    asked = server.control("stats")["requests"]
    assert asyncio.run(exp.run(sample=5)).frame()["cost_usd"].isna().all()
    (home / "prices.toml").write_text('["openai:my-own"]\ninput = 1.0\noutput = 2.0\n')
    monkeypatch.setenv("WORKBENCH_PRICES", "prices.toml")
    lines = (first.folder / "rows.jsonl").read_bytes()
    assert asyncio.run(exp.run(sample=5, cache="off")).totals()["cost_usd"] is None
    assert (first.folder / "rows.jsonl").read_bytes() == lines
    report = asyncio.run(exp.run(sample=5))
    assert report.totals()["cost_usd"] > 0 and report.totals()["errors"] == 0
    assert report.leaderboard().best.mean == first.leaderboard().best.mean
    again = (report.folder / "rows.jsonl").read_bytes()
    asyncio.run(exp.run(sample=5))
    assert (report.folder / "rows.jsonl").read_bytes() == again
    assert server.control("stats")["requests"] == asked


def test_a_misspelt_tier_is_asked_about(server: StandIn) -> None:
    """An unlisted id that looks like a tier runs, and the plan asks whether the tier was meant."""
    told = "; ".join(experiment(models="openai:balancd").plan(sample=3).notes)
    assert "openai:balancd is not in the catalog (did you mean openai:balanced?)" in told
