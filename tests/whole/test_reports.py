"""What a report says and how it shows itself."""

from __future__ import annotations

import asyncio
import json
from html import escape
from html.parser import HTMLParser
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from matplotlib.colors import to_hex

import workbench as wb
from workbench.cli import run_command
from workbench.errors import ReportError, VerdictError
from workbench.report import runs as wb_runs
from workbench.report.plots import INK
from workbench.report.rows import last_rows

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.sim import StandIn

HOSTILE = '<script>alert(1)</script><img src=x onerror="alert(2)"></textarea>\u202egnp.exe' + "A" * 50_000


def run(**options) -> wb.Report:
    """A small run of two versions."""
    exp = wb.Experiment(
        "r", "ticket-triage@v2,v4", "tickets", "openai:gpt-6-luna", wb.scorers.json_fields("category", "priority")
    )
    return asyncio.run(exp.run(**options))


@pytest.fixture
def report(server: StandIn) -> wb.Report:
    """Thirty cases, two arms."""
    return run(sample=30)


@pytest.fixture
def hostile(report: wb.Report) -> wb.Report:
    """The same report with outputs, errors and reasons as an enemy would write them."""
    path = report.folder / "rows.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows[:10]:
        row |= {
            "output": HOSTILE,
            "scores": {"json_fields": 0.0},
            "reasons": {"json_fields": HOSTILE},
            "model": HOSTILE[:60],
        }
    rows[11] |= {"error": HOSTILE, "error_type": "RequestRefused", "scores": {}, "output": None}
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return wb.load_report(report.folder)


class Tags(HTMLParser):
    """All tags and attributes of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs


def test_model_output_stays_text_everywhere(hostile: wb.Report) -> None:
    """Hostile output is escaped in every view: no tag, handler or address of it becomes part of the page."""
    views = [
        hostile._repr_html_(),
        hostile.leaderboard()._repr_html_(),
        hostile.wrong()._repr_html_(),
        hostile.errors()._repr_html_(),
        hostile.html().read_text(),
    ]
    for view in views:
        page = Tags(view)
        assert not page.tags & {"script", "iframe", "textarea", "object", "link", "svg"}
        assert not [name for name, _ in page.attributes if name.startswith("on")]
        sources = [value for name, value in page.attributes if name in ("src", "href")]
        assert all(str(value).startswith("data:image/png;base64,") for value in sources)
        assert len(view) < 1_000_000


def test_notebook_views_need_no_style_sheet(report: wb.Report) -> None:
    """What a notebook shows survives sanitising: no style sheet, no script, no CSS variable, no id."""
    for view in (report._repr_html_(), report.leaderboard()._repr_html_(), report.wrong()._repr_html_()):
        page = Tags(view)
        assert not page.tags & {"style", "script", "svg"}
        assert "var(--" not in view
        assert not [name for name, _ in page.attributes if name == "id"]
        assert {value for name, value in page.attributes if name == "class"} == {"mathjax_ignore tex2jax_ignore"}
        assert "Simulated" in view or "lowest" in view


def test_page_asks_nobody_for_anything(report: wb.Report) -> None:
    """The report's page holds no address to fetch, and forbids fetching."""
    page = report.html().read_text()
    addresses = [value for name, value in Tags(page).attributes if name in ("src", "href")]
    assert len(addresses) == 1
    assert addresses[0].startswith("data:")
    assert "default-src 'none'" in page
    assert "declared in behaviour.toml, not measured" in page


def test_views_are_the_same_every_time(report: wb.Report) -> None:
    """Representations hold no times, ids of memory or random order: a notebook can be compared with itself."""
    again = wb.load_report(report.run_id)
    assert str(again.leaderboard()) == str(report.leaderboard())
    assert again._repr_html_() == report._repr_html_()
    assert " at 0x" not in repr(report) + repr(report.leaderboard()) + repr(report.wrong())


def test_leaderboard_counts_what_is_missing(report: wb.Report) -> None:
    """Failed and unscored trials are counted beside the mean, never inside it."""
    path = report.folder / "rows.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    version = rows[0]["version"]
    mine = [row for row in rows if row["version"] == version]
    mine[0] |= {"error": "x", "error_type": "TimedOut", "scores": {}, "cost_usd": None, "spent_usd": None}
    mine[1]["scores"] = {"json_fields": None}
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    row = next(r for r in wb.load_report(report.folder).leaderboard() if r.prompt.endswith(version))
    scores = [r["scores"]["json_fields"] for r in mine[2:]]
    assert (row.n, row.n_scored, row.errors, row.unknown_spent) == (30, 28, 1, 1)
    assert row.mean == pytest.approx(sum(scores) / 28)
    assert "28 of 30" in str(wb.load_report(report.folder).leaderboard())


def test_leaderboard_by_tag(report: wb.Report) -> None:
    """By tag there is one row per tag and arm, over the cases with that tag."""
    board = report.leaderboard(by="tag")
    tags = [tag for case in report.cases.values() for tag in case["tags"]]
    assert {row.tag for row in board} == set(tags)
    assert all(row.n == tags.count(row.tag) for row in board)
    with pytest.raises(ReportError):
        report.leaderboard(by="colour")


def test_wrong_shows_the_lowest_first(report: wb.Report) -> None:
    """`wrong` gives rows that are not right, the worst first, with their inputs, of one prompt if asked."""
    wrong = report.wrong("json_fields", n=5, prompt="ticket-triage@v2")
    values = [row["scores"]["json_fields"] for row in wrong]
    assert values == sorted(values)
    assert all(value < 1 for value in values)
    assert {row["version"] for row in wrong} == {"v2"}
    assert all(row["inputs"]["ticket"] for row in wrong)
    for bad in ({"metric": "colour"}, {"prompt": "ticket-triage@v1"}, {"model": "gpt"}):
        with pytest.raises(ReportError, match="there are"):
            report.wrong(**bad)


def test_save_and_load(report: wb.Report, home: Path) -> None:
    """Rows go to JSONL and Parquet whole; reports are found by latest, id, folder and rows file."""
    import pandas as pd

    lines = report.save(home / "rows.jsonl").read_text().splitlines()
    assert len(lines) == len(pd.read_parquet(report.save(home / "rows.parquet"))) == 60
    for which in ("latest", report.run_id, report.folder, report.folder / "rows.jsonl"):
        assert wb.load_report(which).run_id == report.run_id
    assert [one.run_id for one in wb.runs()] == [report.run_id]
    with pytest.raises(ReportError, match=report.run_id):
        wb.load_report("r-0000000000")
    with pytest.raises(ReportError):
        report.save(home / "rows.txt")


def test_pareto_is_a_figure(report: wb.Report, home: Path) -> None:
    """The picture is drawn without pyplot, says that it is simulated, and can be saved."""
    figure = report.pareto()
    figure.savefig(home / "p.png")
    assert (home / "p.png").stat().st_size < 150_000
    assert "simulated" in figure.axes[0].get_title(loc="left")


@pytest.mark.parametrize("price", [0.0, 0.002])
def test_arms_of_one_price_are_drawn(report: wb.Report, price: float) -> None:
    """Arms that all cost the same, or nothing, are drawn without a warning on an axis that has an extent."""
    path = report.folder / "rows.jsonl"
    rows = [json.loads(line) | {"cost_usd": price} for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    figure = wb.load_report(report.folder).pareto()
    figure.savefig(BytesIO())
    low, high = figure.axes[0].get_xlim()
    assert low < high and low <= 1000 * price <= high


def test_other_metrics_and_totals(report: wb.Report) -> None:
    """Binary metrics count right answers; graded ones do not pretend to."""
    assert report.metrics == ["json_fields", "category", "priority"]
    assert all(row.correct is None for row in report.leaderboard())
    board = report.leaderboard(metric="category")
    assert all(row.correct == round(row.mean * row.n_scored) for row in board)
    totals = report.totals()
    assert (totals["trials"], totals["done"], totals["errors"]) == (60, 60, 0)
    assert totals["cost_usd"] == pytest.approx(totals["spent_usd"])


def test_rows_of_earlier_versions_are_read(report: wb.Report) -> None:
    """Rows that do not say what judges cost now count as unknown where a judge was asked, never as nothing; without a
    judge they say as much as ever."""
    path = report.folder / "rows.jsonl"
    before = report.totals()
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        del row["judge_spent_usd"], row["uncertain_usd"]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert wb.load_report(report.folder).totals() == before
    for row in rows[:7]:
        row["judge_cost_usd"] = 0.001
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert wb.load_report(report.folder).totals() == before | {"unknown_spent": 7}


def test_rows_of_a_run_that_goes_on_wait_for_the_next_report(report: wb.Report) -> None:
    """Rows that are added while a report is read break none of its passes and move none of its numbers; the next report
    has them."""
    path = report.folder / "rows.jsonl"
    whole = path.read_text().splitlines(keepends=True)
    path.write_text("".join(whole[:40]))
    going = wb.load_report(report.folder)
    reading = [last_rows(path), going.rows()]
    first = [next(rows) for rows in reading]
    with path.open("a") as file:
        file.writelines(whole[40:])
    assert [len([one, *rows]) for one, rows in zip(first, reading, strict=True)] == [40, 40]
    assert (going.done, len(list(going.rows())), len(going.frame())) == (40, 40, 40)
    assert going.errors().title == "0 of 40 trials failed"
    assert wb.load_report(report.folder).done == 60


@wb.scorer(higher_is_better=False)
def length(case: wb.Case, reply: wb.Reply) -> dict[str, float]:
    """A mapping without declared names or bounds: less is better."""
    return {"characters": float(len(reply.text))}


@wb.scorer(bounds=(0, 10))
def words(case: wb.Case, reply: wb.Reply) -> dict[str, float]:
    """Another one, declared otherwise."""
    return {"count": min(len(reply.text.split()), 10)}


def scored_by(*scorers: Any) -> wb.Report:
    """Thirty cases of two versions, scored by these."""
    exp = wb.Experiment("s", "ticket-triage@v2,v4", "tickets", "openai:gpt-6-luna", scorers)
    return asyncio.run(exp.run(sample=30))


def test_a_metric_has_the_bounds_and_direction_of_its_scorer(server: StandIn) -> None:
    """What a mapping without declared names gives is judged as its scorer declares, whatever stands before it."""
    report = scored_by("json_fields:category,priority", length)
    board = report.leaderboard(metric="characters")
    assert [row.mean for row in board] == sorted(row.mean for row in board)
    assert all(row.low < row.mean < row.high for row in board)
    best, other = (row.prompt for row in board)
    assert report.compare(best, other, "characters").outcome != "worse"
    assert report.question("characters", 0.0).sign == -1 and report.question("characters", 0.0).bounds is None
    assert report.question("category", 0.0).bounds == (0.0, 1.0)
    longest = max(row["scores"]["characters"] for row in report.rows())
    assert next(iter(report.wrong("characters", n=1)))["scores"]["characters"] == longest
    assert report.pareto("characters").axes


def test_nothing_is_judged_by_a_metric_whose_scorer_is_not_known(server: StandIn) -> None:
    """Where two scorers that were declared otherwise may have given a metric, it has no bounds and no direction: what
    would judge by it refuses and says what to do, and what only shows it shows it."""
    report = scored_by(length, words)
    assert report.metrics == ["characters", "count"] and report.scorer_of("count") is report.scorer_of("x") is None
    for judge in (
        lambda: report.compare("ticket-triage@v4", "ticket-triage@v2", "count"),
        lambda: report.leading("count"),
        lambda: report.pareto("count"),
        lambda: report.wrong("count"),
        lambda: wb.side_by_side(report, "ticket-triage@v4", "ticket-triage@v2", metric="count"),
    ):
        with pytest.raises(VerdictError, match=r"which scorer gives count.*@wb\.scorer\(metrics=\['count', \.\.\.\]"):
            judge()
    assert "which way is better" in report.leaderboard(metric="count").caption
    assert all(row.mean is not None for row in report.leaderboard(metric="count"))
    for shown in (report._repr_html_(), report.html().read_text(), wb.show(report, metric="count")._repr_html_()):
        assert "which scorer gives" in shown
    assert wb.show(report, metric="count")._state()["chart"]["front"] == []


def test_declared_names_settle_it(server: StandIn) -> None:
    """The cure that the refusal names works: once the scorers name their metrics, each is judged by its own."""
    named = [
        wb.scorer(higher_is_better=False, name="length", metrics=["characters"])(length.function),
        wb.scorer(bounds=(0, 10), name="words")(words.function),
    ]
    report = scored_by(*named)
    assert report.question("characters", 0.0).sign == -1
    assert report.question("count", 0.0).bounds == (0, 10)
    assert report.compare("ticket-triage@v4", "ticket-triage@v2", "count").parts


def test_plans_of_earlier_versions_tell_their_scorers(report: wb.Report) -> None:
    """A plan that does not say which scorers ask models reads as before."""
    path = report.folder / "plan.json"
    plan = json.loads(path.read_text())
    for scorer in plan["scorers"]:
        del scorer["asks_models"]
    path.write_text(json.dumps(plan))
    old = wb.load_report(report.folder).compare("ticket-triage@v4", "ticket-triage@v2")
    assert old.parts == report.compare("ticket-triage@v4", "ticket-triage@v2").parts


def boom(case: wb.Case, reply: wb.Reply) -> bool:
    """Looks for a field that no case has."""
    return case.expected["categry"] in reply.text


def test_a_scorer_that_fails_is_seen(server: StandIn) -> None:
    """Answers without a score are counted with the reason under every table, and none of them passes for right."""
    exp = wb.Experiment("boom", "ticket-triage@v2,v4", "tickets", "openai:gpt-6-luna", boom)
    report = asyncio.run(exp.run(sample=5))
    told = "10 of 10 answers unscored: boom raised KeyError: 'categry' (10×)"
    board = report.leaderboard()
    assert board.note == report.unscored() == told
    assert told in str(board) and told in str(report.wrong())
    for shown in (board._repr_html_(), report._repr_html_(), report.html().read_text()):
        assert shown.count(escape(told)) == 1 and "no wrong answer" not in shown
    assert report.wrong().title == "no answer has a score of boom"
    assert repr(board) == "Leaderboard(2 arms, none has a score)"
    with pytest.raises(ReportError, match=r"no arm has a score, so none is the best\. 10 of 10 answers"):
        board.best  # noqa: B018
    verdict = report.compare("ticket-triage@v4", "ticket-triage@v2")
    assert "0 pairs so far (5 lack a score)" in verdict.sentence and "nan" not in verdict._repr_html_()


def test_a_later_score_takes_the_reason_away(report: wb.Report) -> None:
    """Only the last row of a trial counts: a reason for a missing score goes when the score comes."""
    path = report.folder / "rows.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    silent = rows[0] | {"scores": {"json_fields": None}, "reasons": {"json_fields": "no idea"}}
    path.write_text("".join(json.dumps(row) + "\n" for row in [*rows, silent]))
    assert wb.load_report(report.folder).unscored() == "1 of 60 answers unscored: no idea (1×)"
    path.write_text("".join(json.dumps(row) + "\n" for row in [silent, *rows]))
    assert wb.load_report(report.folder).unscored() == ""


def test_nothing_is_no_table(report: wb.Report) -> None:
    """Rows that there are none of show as a sentence, not as the head of a table."""
    assert "<th" not in report.errors()._repr_html_() and "0 of 60 trials failed" in report.errors()._repr_html_()


def test_the_picture_has_no_ground_of_its_own(report: wb.Report) -> None:
    """The chart is transparent, with lines and words that read on white and on black alike."""
    figure = report.pareto()
    (axes,) = figure.axes
    assert figure.patch.get_alpha() == axes.patch.get_alpha() == 0
    words = [axes.xaxis.label, axes.yaxis.label, *axes.get_yticklabels(), *figure.legends[0].get_texts()]
    assert {to_hex(text.get_color()) for text in words} == {INK}


def test_tables_stay_small_in_a_notebook(server: StandIn) -> None:
    """However many arms, tags and cases, a table takes 32 kB of a notebook at most, a leaderboard row less than a
    kilobyte, and each says how much it leaves out."""
    exp = wb.Experiment("wide", "ticket-triage@v1,v2,v3,v4", "tickets", "fast,balanced,powerful",
                        wb.scorers.json_fields("category"))  # fmt: skip
    report = asyncio.run(exp.run(sample=30))
    board, tagged, wrong = report.leaderboard(), report.leaderboard(by="tag"), report.wrong("category", n=100)
    assert len(board) == 36 and len(tagged) > 200
    whole = board._repr_html_()
    assert whole.count("<tr>") == 1 + 36 and len(whole.encode()) < 36 * 900
    for table, total in ((tagged, len(tagged)), (wrong, 100)):
        html = table._repr_html_()
        assert len(html.encode()) < 32_000 and f"and {total + 1 - html.count('<tr>')} more" in html
    assert "wrong" in wrong._repr_html_() and ">False<" not in wrong._repr_html_() and "False" not in str(wrong)


def test_a_run_that_cannot_be_read_hides_no_other(report: wb.Report, capsys: pytest.CaptureFixture[str]) -> None:
    """A broken plan or broken rows take one line of the list of runs, with the reason, and nothing else."""
    for name, plan in [("a", "{"), ("b", "[]"), ("c", '{"run_id": "c"}')]:
        (report.folder.parent / name).mkdir()
        (report.folder.parent / name / "plan.json").write_text(plan)
    assert [one.run_id for one in wb_runs()] == [report.run_id]
    with (report.folder / "rows.jsonl").open("a") as rows:
        rows.write("no row\n")
    assert run_command(["runs"]) == 0
    out = capsys.readouterr().out
    assert report.run_id in out and out.count("no readable plan.json") == 3 and "not a row" in out
    assert "no readable plan.json" in wb_runs()._repr_html_()
    with pytest.raises(ReportError, match=r"no readable plan\.json: it lacks arms"):
        wb.load_report("c").plan  # noqa: B018


def test_one_of_a_thing_is_told_as_one(server: StandIn) -> None:
    """Plan, report and leaderboard count in words that fit one too, and a leaderboard by tag counts its arms once."""
    exp = wb.Experiment("one", "ticket-triage@v4", "tickets", "openai:fast", wb.scorers.json_fields("category"))
    assert "1 = 1 arm × 1 case\n" in str(exp.plan(sample=1))
    report = asyncio.run(exp.run(sample=1))
    assert "1 of 1 trial," in repr(report) and "1 of 1 trial," in report._repr_html_()
    assert repr(report.leaderboard()).startswith("Leaderboard(1 arm,")
    tags = len(next(iter(report.cases.values()))["tags"])
    assert f"{tags} row{'s' * (tags != 1)} of 1 arm by tag" in repr(report.leaderboard(by="tag"))


def test_all_right_is_said(server: StandIn) -> None:
    """Where every answer is right nothing is counted as not right."""
    exp = wb.Experiment("fine", "ticket-triage@v4", "tickets", "openai:fast", fine)
    wrong = asyncio.run(exp.run(sample=2)).wrong()
    assert (wrong.title, wrong.note, len(wrong)) == ("no answer is wrong by fine", "", 0)


@wb.scorer(bounds=(0, 1))
def fine(case: wb.Case, reply: wb.Reply) -> bool:
    """Always right."""
    return True
