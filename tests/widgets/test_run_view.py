"""The run view: its sums, what it may say, and what it leaves in a notebook."""

from __future__ import annotations

import asyncio
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from jupyter_client.manager import start_new_kernel

import workbench as wb
from workbench.errors import ReportError, UsageError
from workbench.experiment import run as running
from workbench.report.text import dollars, paid
from workbench.widgets import base, run_view
from workbench.widgets.run_data import Standing, cell_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from workbench.experiment import Run
    from workbench.records import Row
    from workbench.sim import StandIn

FIELDS = wb.scorers.json_fields("category", "priority")
WIDGET = "application/vnd.jupyter.widget-view+json"


def experiment(name: str = "t", scorers: Any = FIELDS, **more: Any) -> wb.Experiment:
    """Two prompts on two models."""
    return wb.Experiment(name, "ticket-triage@v2,v4", "tickets", "fast,balanced", scorers, providers="openai", **more)


def watched(exp: wb.Experiment, **options: Any) -> tuple[Run, list[Row], wb.Report]:
    """Run to the end: the run, its rows as they came, its report."""
    rows: list[Row] = []

    async def to_the_end() -> tuple[Run, wb.Report]:
        run = exp.start(on_row=rows.append, **options)
        return run, await run

    run, report = asyncio.run(to_the_end())
    return run, rows, report


def test_sums_are_those_of_the_leaderboard(server: StandIn) -> None:
    """Rows as they come and rows from disk, failed ones tried again included, add up to what the leaderboard says."""
    server.control("faults", [{"kind": "bad_request", "provider": "openai", "times": 5}])
    exp = experiment()
    failed, before, _ = watched(exp, sample=30)
    run, after, report = watched(exp, sample=30)
    assert failed.progress.errors > 0
    live, loaded = Standing(run.design, run.metric), Standing(run.design, run.metric)
    live.add([*before, *after])
    loaded.load(report.folder / "rows.jsonl")
    board = {(row.prompt, row.model): row for row in report.leaderboard()}
    for standing in (live, loaded):
        for key in standing.keys:
            arm = standing.arms[key]
            row = board[f"{key[0]}@{arm.tally.about['version']}", key[3]]
            assert (arm.done, arm.errors, arm.hits, arm.scored) == (row.n, row.errors, row.hits, row.n_scored)
            assert arm.mean == pytest.approx(row.mean)


def test_running_verdict_is_the_reports(server: StandIn) -> None:
    """The verdict on the leading pair is the one that `report.leading()` gives, and it counts as no look."""
    run, rows, report = watched(experiment(), sample=60)
    standing = Standing(run.design, run.metric)
    standing.add(rows)
    found = standing.leading()
    assert found is not None
    said = found()
    assert not (report.folder.parent.parent / "looks.jsonl").exists()
    assert said.startswith(report.leading().sentence.split(" Simulated")[0].split("; ")[0])
    assert "Chosen among 6 pairs" in said


def test_a_confirmation_is_not_looked_at(server: StandIn) -> None:
    """While a confirmation runs its view counts trials and shows neither means nor a verdict."""
    seen: list[run_view.RunView] = []
    running.OPENERS.append(lambda run: seen.append(run_view.RunView(run)))
    try:
        asyncio.run(experiment().confirm("ticket-triage@v4", "ticket-triage@v2"))
    finally:
        running.OPENERS.pop()
    view = seen[0]
    view._standing.load(view.run.folder / "rows.jsonl")
    cells = [cell for row in view._standing.grid()["cells"] for cell in row]
    assert {cell_text(cell) for cell in cells} == {"166 of 166"}
    assert view._standing.leading() is None
    assert "not looked at before" in view.static().text


def test_watchers_hear_every_row_and_every_end(server: StandIn) -> None:
    """A watcher hears of each row once and of each end, a stop and a resumed run included; openers of each start."""
    heard: list[str] = []

    class Watching:
        """Counts."""

        def __init__(self, run: Run) -> None:
            self.run = run

        def row(self, row: Row) -> None:
            heard.append("row")
            if len(heard) == 10:
                self.run.stop()

        def ended(self) -> None:
            heard.append(self.run.progress.state)

    starts: list[Run] = []
    running.OPENERS.append(starts.append)

    async def stopped_and_resumed() -> wb.Report:
        run = experiment().start(sample=20, concurrency=2)
        run.watchers.append(Watching(run))
        await run
        return await run.resume()

    try:
        report = asyncio.run(stopped_and_resumed())
    finally:
        running.OPENERS.pop()
    assert heard.count("row") == report.done == 80
    assert [one for one in heard if one != "row"] == ["stopped", "finished"]
    assert len(starts) == 2
    assert starts[0] is starts[1]


def test_static_form_is_the_same_for_the_same_run(server: StandIn) -> None:
    """The same run made anew leaves the same bytes: no time stands in its static form, and no script."""
    exp = experiment()
    forms = []
    for _ in range(2):
        server.control("reset", {})
        run, _, report = watched(exp, sample=10, cache="off")
        forms.append(run_view.RunView(run).static())
        (report.folder / "rows.jsonl").unlink()
    assert forms[0] == forms[1]
    assert "<script" not in forms[0].html
    assert "40 of 40 trials" in forms[0].text


def test_static_form_of_a_large_grid_stays_small(server: StandIn) -> None:
    """A run of 200 prompts leaves 40 kB at most and says how many prompts it left out."""
    prompts = [wb.Prompt.from_text(f"a-rather-long-name-{n}", f"Sort {{{{ticket}}}} {n}") for n in range(200)]
    exp = wb.Experiment("wide", prompts, "tickets", "fast,balanced,powerful", FIELDS)
    run, _, _ = watched(exp, sample=1)
    html = run_view.RunView(run).static().html
    assert len(html.encode()) < 40_000
    assert f"and {200 + 1 - html.count('<tr>')} more" in html


def test_what_has_no_score_is_counted(server: StandIn) -> None:
    """A mean of few says of how many, live, in the table that stays and as text, and says why; so does a scorer that
    always raises."""

    @wb.scorer(bounds=(0, 1))
    def rare(case: wb.Case, reply: wb.Reply) -> float | None:
        return 1.0 if case.id.endswith("1") else None

    @wb.scorer(bounds=(0, 1))
    def broken(case: wb.Case, reply: wb.Reply) -> float:
        raise ValueError("no such key")

    for scorer, said in ((rare, "1.000"), (broken, "")):
        run, rows, report = watched(experiment("scored", scorer), sample=40, cache="off")
        [*_, best] = sorted(report.leaderboard(), key=lambda row: row.n_scored)
        view = run_view.RunView(run)
        live = Standing(run.design, run.metric)
        live.add(rows)
        cells = {cell_text(cell) for row in live.grid()["cells"] for cell in row}
        assert cells == {" · ".join(filter(None, ["40 of 40", said, f"{best.n_scored} scored"]))}
        assert live.troubles == view._standing.troubles == [f"{report.unscored()}."]
        assert f"{best.n_scored} scored" in view.static().html and report.unscored() in view.static().text


def test_money_is_that_of_all_starts(server: StandIn) -> None:
    """What a run cost is the sum of its rows, whichever kernel paid for them, as its report says; the budget is of this
    start; what nobody knows is not free."""
    exp = experiment("money")

    class Stopping:
        """Ends the first start early."""

        def row(self, _: Row) -> None:
            first.stop()

        def ended(self) -> None:
            pass

    async def begun() -> Run:
        nonlocal first
        first = exp.start(sample=20, concurrency=2, cache="off")
        first.watchers.append(Stopping())
        await first
        return first

    first: Run = asyncio.run(begun())
    run, rows, report = watched(exp, sample=20, cache="off", budget_usd=1.0)
    assert first.spent_usd > 0 and run.spent_usd > 0
    money = run_view.RunView(run)._state()["money"]
    assert money == f"{paid(report.totals())}; this start {dollars(run.spent_usd)} of $1.00"
    assert report.totals()["spent_usd"] == pytest.approx(first.spent_usd + run.spent_usd)
    again, _, report = watched(exp, sample=20, cache="refresh")
    assert run_view.RunView(again)._standing.money == paid(report.totals())
    unknown = Standing(run.design, run.metric)
    unknown.add(replace(row, spent_usd=None) for row in rows)
    assert unknown.money == "unknown spent"


def test_money_of_rows_done_anew(server: StandIn) -> None:
    """Of rows that are done anew the view that opens with the run counts the money, and nothing else."""
    run, _, report = watched(experiment("anew"), sample=5, cache="off")
    standing = Standing(run.design, run.metric)
    standing.load(report.folder / "rows.jsonl", anew=True)
    assert standing.money == paid(report.totals()) and standing.arms == {} and standing.troubles == []


def test_why_trials_failed(server: StandIn) -> None:
    """A run of failures says the most frequent one, until a later try mends it."""
    server.control("faults", [{"kind": "bad_request", "provider": "openai", "times": 40}])
    run, _, _ = watched(experiment("failing"), sample=10)
    view = run_view.RunView(run)
    [told] = view._state()["troubles"]
    assert told.startswith("Trials failed, most often with RequestRefused: ") and told in view.static().text
    run, _, _ = watched(experiment("failing"), sample=10)
    assert run_view.RunView(run)._state()["troubles"] == []


def test_show_outside_a_notebook(server: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    """`wb.show` prints a run's table, by id, as the latest or as a Run, and refuses what is none."""
    run, _, report = watched(experiment(), sample=5)
    for which in (run, report.run_id, "latest"):
        wb.show(which)
        assert "20 of 20 trials" in capsys.readouterr().out
    with pytest.raises(ReportError, match="no run 'nothing'"):
        wb.show("nothing")
    with pytest.raises(UsageError, match="give it a Run"):
        wb.show(7)  # type: ignore[arg-type]


def test_an_ended_run_shows_the_same_remembered_or_not(
    server: StandIn, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Shown by its id or as the latest, a run that has ended looks the same in its own kernel and in any later one."""
    run, _, report = watched(experiment(), sample=5)
    said = []
    for remembered in ({run.id: run}, {}):
        monkeypatch.setattr(run_view, "_runs", remembered)
        for which in (report.run_id, "latest"):
            wb.show(which)
            said.append(capsys.readouterr().out)
    assert len(set(said)) == 1


CODE = """
import workbench as wb
wb.offline(latency_s=0.02)
exp = wb.Experiment("t", "ticket-triage@v2,v4", "tickets", "fast", wb.scorers.json_fields("category"))
report = await exp.run(sample=60, concurrency=8)
"""


def told(code: str, *, somebody: bool) -> list[tuple[str, dict[str, Any]]]:
    """What a kernel says while it runs a cell, for a front end where `somebody` may type, or for a program."""
    heard: list[tuple[str, dict[str, Any]]] = []
    manager, client = start_new_kernel(stderr=subprocess.DEVNULL)
    try:
        reply = client.execute_interactive(
            code,
            allow_stdin=somebody,
            stdin_hook=lambda _: None,
            timeout=120,
            output_hook=lambda message: heard.append((message["msg_type"], message["content"])),
        )
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.context.destroy()
    assert reply["content"]["status"] == "ok", reply
    return heard


def kinds(heard: list[tuple[str, dict[str, Any]]], kind: str) -> list[dict[str, Any]]:
    """The contents of the messages of one type."""
    return [content for msg_type, content in heard if msg_type == kind]


def test_a_front_end_gets_a_widget_that_gives_way_to_a_table(home: Path) -> None:
    """Where somebody looks a widget is shown and fed, and when the run has ended only its table is left."""
    heard = told(CODE, somebody=True)
    shown = kinds(heard, "display_data")
    assert [WIDGET in content["data"] for content in shown] == [False, True]
    last = {one["transient"]["display_id"]: one["data"] for one in kinds(heard, "update_display_data")}
    table, widget = (last[content["transient"]["display_id"]] for content in shown)
    assert "360 of 360 trials" in table["text/plain"]
    assert "<details>" not in table["text/html"]
    assert widget == {}
    assert kinds(heard, "comm_msg")
    assert kinds(heard, "comm_close")
    assert kinds(heard, "stream") == kinds(heard, "error") == []


def test_two_views_of_one_run_both_follow_it(home: Path) -> None:
    """A run shown again while it goes on has two widgets, and both give way to its table."""
    again = CODE.replace("report = await exp.run(", "run = exp.start(") + "wb.show(run)\nwb.show(run.id)\nawait run"
    heard = told(again, somebody=True)
    shown = kinds(heard, "display_data")
    assert [WIDGET in content["data"] for content in shown] == [False, True] * 3
    last = {one["transient"]["display_id"]: one["data"] for one in kinds(heard, "update_display_data")}
    ends = [last[content["transient"]["display_id"]] for content in shown]
    assert ends[1::2] == [{}, {}, {}]
    assert all("finished: 360 of 360 trials" in one["text/plain"] for one in ends[::2])


def test_an_old_kernel_is_told_of_the_interrupt(server: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where clicks wait for the cell the view says so and names the kernel's interrupt."""
    run, _, _ = watched(experiment(), sample=2)
    run.progress.state = "running"
    assert "interrupt" not in run_view.RunView(run)._state()["message"]
    monkeypatch.setattr(base, "LIVE_STOP", (999, 0))
    assert "stop with the kernel's interrupt" in run_view.RunView(run)._state()["message"]


def test_a_run_cancelled_before_it_began_has_ended(server: StandIn) -> None:
    """An interrupt that comes before the first trial ends the run for its watchers too."""
    ends: list[str] = []

    class Watching:
        """Hears of ends."""

        def __init__(self, run: Run) -> None:
            self.run = run

        def row(self, row: Row) -> None:
            raise AssertionError(row)

        def ended(self) -> None:
            ends.append(self.run.progress.state)

    async def cancelled() -> None:
        run = experiment().start(sample=2)
        run.watchers.append(Watching(run))
        assert run._task is not None
        run._task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run

    asyncio.run(cancelled())
    assert ends == ["interrupted"]


def test_without_anywidget_the_table_says_what_to_install(home: Path) -> None:
    """Where the packages for widgets are missing the table comes all the same, with the line that installs them."""
    hidden = """
import importlib.util, workbench.widgets.base as base
base.find_spec = lambda name: None if name == "anywidget" else importlib.util.find_spec(name)
"""
    [shown] = kinds(told(hidden + CODE, somebody=True), "display_data")
    assert "No live view: anywidget not installed: pip install" in shown["data"]["text/plain"]
    assert "finished: 360 of 360 trials" in shown["data"]["text/html"]


def test_without_a_front_end_only_the_table_is_left(home: Path) -> None:
    """Where a program runs the notebook there is no widget, and one table when the run has ended."""
    heard = told(CODE, somebody=False)
    [shown] = kinds(heard, "display_data")
    assert shown["data"].keys() == {"text/html", "text/plain"}
    assert "finished: 360 of 360 trials" in shown["data"]["text/plain"]
    assert kinds(heard, "comm_open") == kinds(heard, "update_display_data") == kinds(heard, "stream") == []


@pytest.fixture(autouse=True)
def no_views_left() -> Iterator[None]:
    """A test that leaves a view watching would leak its run."""
    yield
    assert not any(run_view._views.values())
