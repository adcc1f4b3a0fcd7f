"""The board without a front end: rows, points, axes, selection, the static form; and frames as tables."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import nbformat
import pandas as pd
import pytest
from compare_parts import arm, write_run
from hypothesis import given
from hypothesis import strategies as st
from nbclient import NotebookClient

import workbench as wb
from workbench.errors import ReportError, UsageError
from workbench.report import Report
from workbench.report.plots import front_of, pareto
from workbench.report.summary import Leaderboard
from workbench.report.text import HEADINGS, cells
from workbench.widgets import board_data, frame_view
from workbench.widgets.board_axes import cost_axis, quality_axis
from workbench.widgets.board_data import chart_state, sorted_rows
from workbench.widgets.board_view import BoardView

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = "<script>window.bad = 1</script><img src=x onerror='window.bad = 1'>\u202egnp.exe\ud83d"
ARMS = [arm(version, model) for version in ("v1", "v2") for model in ("small", "large")]
COSTS = {"small": 0.0001, "large": 0.01}


def answer(one: dict[str, Any], number: int, _: int) -> dict[str, Any]:
    """v2 is better than v1, large than small and a hundred times as dear."""
    level = 3 + 2 * (one["version"] == "v2") + (one["model"] == "large")
    return {"score": number % 10 < level, "cost_usd": COSTS.get(one["model"], 0.0), "output": "yes"}


@pytest.fixture
def report(home: Path) -> wb.Report:
    """Forty cases of four arms."""
    return write_run(home, 40, answer, arms=ARMS)


def test_rows_are_those_of_the_static_leaderboard(report: wb.Report) -> None:
    """The table has the texts of the leaderboard in its order, numbered from the best, and bars on a common scale."""
    state = BoardView(report)._state()
    board = report.leaderboard()
    assert state["table"]["headings"] == list(HEADINGS)
    assert [row["cells"] for row in state["table"]["rows"]] == [list(cells(row)) for row in board]
    assert [row["number"] for row in state["table"]["rows"]] == [1, 2, 3, 4]
    for drawn, row in zip(state["table"]["rows"], board, strict=True):
        assert drawn["bar"] == pytest.approx([row.low, row.mean, row.high])


def test_points_are_linked_to_rows(report: wb.Report) -> None:
    """Every arm is a point with the numbers of its row, from cheap to dear; shape says the prompt, hue the model."""
    view = BoardView(report)
    state = view._state()
    points = state["chart"]["points"]
    assert [point["x"] for point in points] == sorted(point["x"] for point in points)
    for point in points:
        row = next(row for row in state["table"]["rows"] if row["arm"] == point["arm"])
        assert point["number"] == row["number"] and f"quality {row['cells'][2]}" in point["said"]
        assert point["low"] < point["y"] < point["high"]
    looks = {tuple(look) for look in state["looks"]}
    assert looks == {(0, 0), (0, 1), (1, 0), (1, 1)}
    assert state["chart"]["cost_name"].endswith("log scale")
    assert len(state["chart"]["front"]) == 2


def test_selection_is_python_and_works_in_side_by_side(report: wb.Report) -> None:
    """What is clicked is in `selected` in the order chosen, may be set, and names arms that side_by_side takes."""
    view = BoardView(report)
    first, second = (row.arm for row in list(report.leaderboard())[:2])
    places = [row["arm"] for row in view._state()["table"]["rows"]]
    for place in (places[2], places[1], places[0], places[2]):
        view._heard({"type": "choose", "arm": place})
    assert view.selected == [second, first]
    assert view.hint == f'wb.side_by_side(report, "{second}", "{first}")'
    assert wb.side_by_side(report, *view.selected).names == [second, first]
    view.selected = [report.leaderboard().best]
    assert view.selected == [first] and "Choose one more" in view.hint
    view.selected = [first.replace(" × ", "* × "), first]
    assert view.selected == [first]
    view._heard({"type": "none"})
    assert view.selected == []
    view.selected = [row.arm for row in report.leaderboard()] * 2
    assert len(view.selected) == 4 and view.hint.startswith("wb.side_by_side")
    for wrong in (["p@v9 × small"], "p@v1 × small", [7]):
        with pytest.raises(UsageError, match=r"no arm of this board|list of arms"):
            view.selected = wrong  # type: ignore[assignment]


def test_models_of_one_name_are_told_apart(home: Path) -> None:
    """Where two providers have a model of one name the arm's name says which, and side_by_side takes it."""
    arms = [arm("v2") | {"provider": "anthropic"}, arm("v1"), arm("v1") | {"provider": "anthropic"}]

    def ranked(one: dict[str, Any], number: int, _: int) -> dict[str, Any]:
        return {"score": number < 10 - 3 * arms.index(one)}

    view = BoardView(write_run(home, 12, ranked, arms=arms))
    view.selected = list(view.report.leaderboard())
    assert view.selected == ["p@v2 × m", "p@v1 × openai:m", "p@v1 × anthropic:m"]
    for baseline, provider in zip(view.selected[1:], ("openai", "anthropic"), strict=True):
        sides = wb.side_by_side(view.report, view.selected[0], baseline).sides
        assert provider in sides[1].key


def test_code_shows_the_same_again(report: wb.Report, capsys: pytest.CaptureFixture[str]) -> None:
    """`code()` is a line that opens the view in the same state."""
    view = BoardView(report)
    assert view.code() == "wb.show(report)"
    view.by, view.sort, view.selected = "tag", "-$ / 1,000", ["p@v1 × small", "p@v2 × large"]
    assert view.code().startswith('wb.show(report, by="tag", sort="-$ / 1,000", selected=["p@v1 × small", ')
    again = eval(view.code(), {"wb": wb, "report": report})
    assert again._state() == view._state()
    assert "p@v1 [tag 0]" in capsys.readouterr().out


def test_by_tag_lists_tags_and_keeps_arms(report: wb.Report) -> None:
    """By tag the table has a row per arm and tag, of which all rows of an arm are the same arm; the chart stays."""
    view = BoardView(report)
    chart = view._state()["chart"]
    view._heard({"type": "set", "name": "by", "value": "tag"})
    state = view._state()
    assert view.by == "tag" and state["tagged"] and state["chart"] == chart
    assert len(state["table"]["rows"]) == 12 and {row["arm"] for row in state["table"]["rows"]} == {0, 1, 2, 3}
    view._heard({"type": "set", "name": "by", "value": ""})
    assert view.by is None


@pytest.mark.parametrize("heading", HEADINGS)
def test_sorting_puts_what_has_no_value_last(report: wb.Report, heading: str) -> None:
    """Up and down are each other's reverse, and a row without a value is last in both."""
    rows = list(report.leaderboard())
    empty = replace(rows[1], mean=None, low=None, cost_per_1000_usd=None, spent_usd=None, p50_s=None, p95_s=None)
    values = {"quality", "95 % interval", "$ / 1,000", "spent", "p50", "p95"}
    up, down = (sorted_rows([empty, *rows], sign + heading) for sign in ("", "-"))
    assert len(up) == len(down) == 5
    if heading in values:
        assert up[-1] is empty and down[-1] is empty
    assert sorted_rows(rows, "") == rows


def test_unknown_names_are_refused_and_change_nothing(report: wb.Report) -> None:
    """A wrong metric, grouping, heading or message says what there is, and the view stays as it was."""
    view = BoardView(report)
    before = view._state()
    for name, value, error in [
        ("metric", "exac", ReportError),
        ("by", "model", ReportError),
        ("sort", "cost", UsageError),
    ]:
        with pytest.raises(error, match=r"there are|must be"):
            setattr(view, name, value)
    for message in (
        {"type": "choose", "arm": 9},
        {"type": "choose", "arm": True},
        {"type": "set", "name": "report", "value": ""},
        {},
    ):
        with pytest.raises(UsageError, match="means nothing here"):
            view._heard(message)
    assert view._state() == before
    with pytest.raises(UsageError, match="only a Report takes"):
        wb.show("latest", metric="exact")  # type: ignore[call-overload]


def test_lower_is_better_turns_the_front(home: Path) -> None:
    """Where lower is better the front runs through the lowest means."""

    def longer_is_worse(one: dict[str, Any], number: int, _: int) -> dict[str, Any]:
        return answer(one, number, 0) | {"score": float(number) + (one["model"] == "large")}

    report = write_run(home, 12, longer_is_worse, arms=ARMS, higher=False, bounds=None)
    view = BoardView(report)
    rows = list(report.leaderboard())
    assert [row.model for row in front_of(rows, -1)] == ["small"] and len(front_of(rows, 1)) == 2
    assert len(view._state()["chart"]["front"]) == 1


def test_missing_numbers_are_named_and_not_drawn(home: Path) -> None:
    """An arm without a score or a price is no point at zero: it is named below the chart, and its row stays."""

    def some(one: dict[str, Any], number: int, _: int) -> dict[str, Any]:
        found = answer(one, number, 0)
        if one == ARMS[0]:
            return found | {"cost_usd": None}
        return found | {"score": None} if one == ARMS[1] else found

    view = BoardView(write_run(home, 12, some, arms=ARMS))
    state = view._state()
    assert len(state["chart"]["points"]) == 2 and len(state["table"]["rows"]) == 4
    assert "p@v1 × small" in state["chart"]["left_out"] and "p@v1 × large" in state["chart"]["left_out"]
    assert {place for place, _ in state["chart"]["undrawn"]} == {
        row["arm"] for row in state["table"]["rows"] if row["cells"][0] == "p@v1"
    }
    assert "no score" in json.dumps(state, allow_nan=False)


def test_a_run_without_rows_is_an_empty_board(home: Path) -> None:
    """Before the first row there is a table without rows and a chart without points, in every form."""
    view = BoardView(write_run(home, 3, lambda *_: None, arms=ARMS))
    state = view._state()
    assert state["table"]["rows"] == state["chart"]["points"] == []
    assert "0 of 12 planned trials were run" in state["caption"] and "<img" in view._repr_html_()


def test_at_most_two_hundred_are_drawn(report: wb.Report) -> None:
    """Of more arms the first two hundred are drawn and listed, and it is said how many are not."""
    first = report.leaderboard().best
    rows = [replace(first, model=f"m{n:03}") for n in range(250)]
    arms = board_data.Arms.of(rows)
    numbers = {arms.place(row): number for number, row in enumerate(rows, 1)}
    chart = chart_state(rows, arms, numbers, 1)
    assert len(chart["points"]) == 200 and "50 more" in chart["left_out"]
    table = board_data.table_state(rows, arms, numbers, "")
    assert (len(table["rows"]), table["more"]) == (200, 50)


def test_infinite_limits_and_means_stay_json(report: wb.Report) -> None:
    """Whatever is infinite is drawn to the edge or not at all: the state is JSON that every reader takes."""
    rows = list(report.leaderboard())
    inf = float("inf")
    rows = [replace(rows[0], low=-inf, high=inf), replace(rows[1], mean=inf, high=inf), *rows[2:]]
    arms = board_data.Arms.of(rows)
    numbers = {arms.place(row): number for number, row in enumerate(rows, 1)}
    states = chart_state(rows, arms, numbers, 1), board_data.table_state(rows, arms, numbers, "")
    json.dumps(states, allow_nan=False)
    assert len(states[0]["points"]) == 3
    assert pareto(Leaderboard(tuple(rows)))._repr_png_()


POSITIVE = st.floats(min_value=1e-12, max_value=1e9)


@given(st.lists(st.one_of(st.just(0.0), POSITIVE), min_size=1, max_size=20))
def test_costs_keep_their_order_on_the_axis(costs: list[float]) -> None:
    """On every scale a dearer arm stands no further left, all stand within the axis, and free arms stand leftmost."""
    axis = cost_axis(costs)
    places = [axis.place(cost) for cost in sorted(costs)]
    assert places == sorted(places) and all(0 <= place <= 1 for place in places)
    paid = [cost for cost in costs if cost]
    assert axis.log == bool(paid and max(paid) > 20 * min(paid))
    assert all(0 <= axis.place(value) <= 1 for value in axis.ticks())
    assert len(axis.ticks()) <= 16
    if axis.log and 0.0 in costs:
        assert axis.place(0.0) < 0.1 < axis.place(min(paid)) and axis.ticks()[0] == 0


@given(st.lists(st.floats(min_value=-1e6, max_value=1e6), min_size=1, max_size=20))
def test_qualities_fit_on_their_axis(values: list[float]) -> None:
    """All values stand inside the axis, the higher ones higher, with round values written beside it."""
    axis = quality_axis([*values, float("inf"), float("nan")])
    places = [axis.place(value) for value in sorted(values)]
    assert places == sorted(places) and all(0 < place < 1 for place in places)
    assert len(axis.ticks()) <= 12


def test_simulated_results_are_marked(home: Path) -> None:
    """The caption of live and static form says that results are simulated."""
    rows = write_run(home, 10, answer, arms=ARMS).folder / "rows.jsonl"
    rows.write_text(
        rows.read_text()
        .replace('"source":"live"', '"source":"simulated"')
        .replace('"source": "live"', '"source": "simulated"')
    )
    view = BoardView(Report(rows.parent))
    assert "Simulated: stand-in servers answered" in view._state()["caption"]
    assert "Simulated: stand-in servers answered" in view._repr_html_() and "Simulated" in str(view)


def test_hostile_names_stay_text(home: Path) -> None:
    """Names of models are escaped in the static form, and the state can be sent whatever they hold."""
    view = BoardView(write_run(home, 10, answer, arms=[arm("v1", HOSTILE), arm("v1", r"$\frac{1}{0}$")]))
    html = view._repr_html_()
    assert "<script" not in html and "<img src=x" not in html and "&lt;script&gt;" in html
    html.encode()
    json.dumps(view._state(), ensure_ascii=False).encode()
    view.selected = [row.arm for row in view.report.leaderboard()]
    assert eval(f"lambda wb, report: {view.hint}")(Recorder(), None) == ("side_by_side", *view.selected)
    view.hint.encode()


class Recorder:
    """Says what was called."""

    def __getattr__(self, name: str) -> Any:
        return lambda report, *given: (name, *given)


def test_static_form_is_complete_and_small(report: wb.Report) -> None:
    """Leaderboard, picture and the line that shows it again; no script, at most 300 kB; a text outside notebooks."""
    view = BoardView(report, selected=["p@v1 × small"])
    html = view._repr_html_()
    assert html.count("<tr>") == 5 and "data:image/png;base64," in html and "p@v1 × small" in html
    assert "<script" not in html and "<svg" not in html and len(html) < 300_000
    assert str(view).startswith(str(report.leaderboard())) and view.code() in str(view)
    assert repr(view) == "BoardView(4 arms, 1 selected)"


CODE = """
import workbench as wb
from workbench.report import Report
from pathlib import Path
report = Report(Path({folder!r}))
"""
WIDGET = "application/vnd.jupyter.widget-view+json"


def executed(folder: Path, *code: str) -> list[list[dict[str, Any]]]:
    """The outputs of cells that ran without a front end, after one that loads the report."""
    made = [nbformat.v4.new_code_cell(one) for one in (CODE.format(folder=str(folder)), *code)]
    notebook = nbformat.v4.new_notebook(cells=made)
    NotebookClient(notebook, kernel_name="python3", timeout=120).execute()
    return [cell["outputs"] for cell in notebook.cells[1:]]


def test_in_a_notebook_it_is_shown_once(report: wb.Report) -> None:
    """`wb.show` shows at once, and not again as the last value of its cell; a view shows itself in a later cell; with
    nobody there the static form is all."""
    lone, named, later, frame = executed(
        report.folder, "wb.show(report)", "view = wb.show(report)\nview", "view", "wb.show(report.frame())"
    )
    for outputs in (lone, named, later, frame):
        assert len(outputs) == 1 and set(outputs[0]["data"]) == {"text/html", "text/plain"}
    for outputs in (lone, named, later):
        assert (
            "data:image/png" in outputs[0]["data"]["text/html"] and "<details>" not in outputs[0]["data"]["text/html"]
        )
    assert "160 rows" in frame[0]["data"]["text/html"]


def frame_of(rows: int, text: str = "yes") -> pd.DataFrame:
    """A frame with text of a model, numbers, nothing, and things in cells."""
    whole = text.encode("utf-8", "ignore").decode()  # pandas' own text type refuses half a character
    columns = {
        "output": [whole] * rows,
        "n": range(rows),
        "cost": [0.5, None] * (rows // 2),
        "right": [True] * rows,
        "inputs": [{"text": text}] * rows,
        whole[:40]: pd.Series([text] * rows, dtype=object),
    }
    return pd.DataFrame(columns)


def test_a_frame_as_static_table_is_small_and_escaped() -> None:
    """At most two hundred rows and about 30 kB of text, how many there are, and nothing of a cell as HTML."""
    assert "The first 200 of 1,000 rows" in frame_view.static_table(frame_of(1000))
    html = frame_view.static_table(frame_of(1000, HOSTILE))
    assert 50 < html.count("<tr") <= 201 and "of 1,000 rows" in html
    assert "<script" not in html and "<img" not in html and "&lt;script&gt;" in html
    html.encode()
    long = frame_view.static_table(frame_of(1000, "x" * 1_000_000))
    assert len(long) < 100_000 and "999,800 more characters" in long
    assert "2 rows, 6 columns." in frame_view.static_table(frame_of(2)) and "nan" not in frame_view.static_table(
        frame_of(2)
    )


def test_an_index_that_says_something_is_a_column() -> None:
    """A counted index is left out, any other one is shown."""
    plain = pd.DataFrame({"a": [1]})
    named = plain.set_index(pd.Index(["case 7"], name="case"))
    assert list(frame_view.texts(plain).columns) == ["a"] and list(frame_view.texts(named).columns) == ["case", "a"]
    assert "case 7" in frame_view.static_table(named)


def test_without_itables_the_cure_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Where itables is not installed the table says how to get it; outside a notebook a frame is printed."""
    monkeypatch.setattr(frame_view, "find_spec", lambda name: None)
    assert "prompt-workbench[tables]" in frame_view.static_table(frame_of(2))
    view = wb.show(frame_of(2))
    assert repr(view) == "FrameView(2 rows, 6 columns)" and "output" in capsys.readouterr().out


def test_a_live_table_gets_text_that_itables_escapes() -> None:
    """The widget's data hold no tag of a cell or heading, whatever the columns are made of, and no lone half of a
    character."""
    pytest.importorskip("itables")
    live = frame_view.live_table(frame_of(50, HOSTILE).astype({"output": "string"}))
    sent = json.dumps(live._dt_args, ensure_ascii=False)
    sent.encode()
    assert "<script" not in sent and "<img" not in sent and "&lt;script&gt;" in sent
    live.close()
