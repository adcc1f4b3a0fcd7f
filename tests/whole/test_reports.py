"""What a report says and how it shows itself."""

from __future__ import annotations

import asyncio
import json
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

import workbench as wb
from workbench.errors import ReportError

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


def test_other_metrics_and_totals(report: wb.Report) -> None:
    """Binary metrics count right answers; graded ones do not pretend to."""
    assert report.metrics == ["json_fields", "category", "priority"]
    assert all(row.correct is None for row in report.leaderboard())
    board = report.leaderboard(metric="category")
    assert all(row.correct == round(row.mean * row.n_scored) for row in board)
    totals = report.totals()
    assert (totals["trials"], totals["done"], totals["errors"]) == (60, 60, 0)
    assert totals["cost_usd"] == pytest.approx(totals["spent_usd"])
