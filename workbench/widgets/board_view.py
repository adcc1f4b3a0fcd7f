"""`wb.show(report)`: the leaderboard beside quality against cost; what is chosen in one is chosen in the other."""

from __future__ import annotations

import base64
import warnings
from functools import cached_property
from html import escape
from io import BytesIO
from typing import TYPE_CHECKING, Any

from workbench.errors import UsageError
from workbench.report.html import leaderboard_html
from workbench.tables import PLAIN
from workbench.widgets.base import Static, missing
from workbench.widgets.board_data import Arms, chart_state, sorted_rows, table_state
from workbench.widgets.compare_data import plain
from workbench.widgets.compare_reading import quoted
from workbench.widgets.showing import Opened
from workbench.widgets.shows import Shows

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workbench.report import Report
    from workbench.report.summary import Leaderboard

    Message = dict[str, Any]

FEW, MANY = 2, 4
"""Arms that `side_by_side` takes."""
ALT = "Quality against cost per 1,000 cases; the numbers are in the table above."


class BoardView(Opened):
    """Leaderboard and chart of a report; made by `wb.show(report)`.

    What is clicked is readable, and settable: `metric`, `by` (None or "tag"), `sort` (a heading of the table, with a
    minus for downwards; empty: the best first), and `selected`, the names of the chosen arms in the order chosen, good
    for `wb.side_by_side(report, *view.selected)`. `code()` is the line that shows the same again. Setting raises
    ReportError for an unknown metric or grouping, UsageError for an unknown arm or heading.
    """

    def __init__(
        self,
        report: Report,
        metric: str | None = None,
        by: str | None = None,
        sort: str = "",
        selected: Iterable[object] = (),
    ) -> None:
        self.report = report
        self._boards: dict[tuple[str, str | None], Leaderboard] = {}
        self._pictures: dict[str, str] = {}
        self._shows = Shows("board_view", self._static, self._state, self._heard)
        self._by, self._sort = by, ""
        self._selected: list[str] = []
        self._metric = report.metrics[0] if metric is None else metric
        self._arms = Arms.of(self._board(self._metric, None))
        self._board(self._metric, by)
        self.sort, self.selected = sort, list(selected)

    @property
    def metric(self) -> str:
        """The metric whose means are shown."""
        return self._metric

    @metric.setter
    def metric(self, metric: str) -> None:
        self._board(metric, self._by)
        self._metric = metric
        self._shows.changed()

    @property
    def by(self) -> str | None:
        """`"tag"`: the table has a row per arm and tag; the chart is about all cases whatever is listed."""
        return self._by

    @by.setter
    def by(self, by: str | None) -> None:
        self._board(self._metric, by)
        self._by = by
        self._shows.changed()

    @property
    def sort(self) -> str:
        """The heading by which rows are sorted."""
        return self._sort

    @sort.setter
    def sort(self, sort: str) -> None:
        sorted_rows((), sort)
        self._sort = sort
        self._shows.changed()

    @property
    def selected(self) -> list[str]:
        """The chosen arms."""
        return list(self._selected)

    @selected.setter
    def selected(self, arms: Iterable[object]) -> None:
        if isinstance(arms, str):
            raise UsageError(f"selected = {arms!r}: give it a list of arms")
        self._selected = list(dict.fromkeys(map(self._arms.name, arms)))
        self._shows.changed()

    def code(self) -> str:
        """The line that shows the same again."""
        given = {"metric": self._metric, "by": self._by, "sort": self._sort, "selected": self._selected}
        usual: dict[str, object] = {"metric": self.report.metrics[0], "by": None, "sort": "", "selected": []}
        looks = [f"{name}={_written(value)}" for name, value in given.items() if value != usual[name]]
        return f"wb.show({', '.join(['report', *looks])})"

    @property
    def hint(self) -> str:
        """What can be done with the chosen arms: the line that shows their answers side by side."""
        names = self._selected
        if len(names) < FEW:
            what = "Choose two arms" if not names else "Choose one more"
            return f"{what}, in the table or in the chart, to get the line that shows their answers side by side."
        if len(names) > MANY:
            return f"{len(names)} arms are chosen; answers of up to {MANY} fit side by side."
        return f"wb.side_by_side(report, {', '.join(map(quoted, names))})"

    def show(self) -> None:
        """Display in the cell that runs now; without a notebook, print."""
        self._shows.show()

    def close(self) -> None:
        """Leave the static form alone in every cell that shows this view."""
        self._shows.close()

    def _repr_html_(self) -> str:
        return self._static().html

    def __str__(self) -> str:
        return self._static().text

    def __repr__(self) -> str:
        return f"BoardView({len(self._arms.names)} arms, {len(self._selected)} selected)"

    def _board(self, metric: str, by: str | None) -> Leaderboard:
        if (metric, by) not in self._boards:
            self._boards[metric, by] = self.report.leaderboard(by, metric)
        return self._boards[metric, by]

    def _heard(self, message: Message) -> None:
        """What is clicked: `{"type": "set", "name": "metric", "value": "exact"}`, `{"type": "choose", "arm": 3}`."""
        kind, name, value = message.get("type"), message.get("name"), message.get("value")
        if kind == "set" and name in ("metric", "by", "sort") and isinstance(value, str):
            setattr(self, name, self._named(value) if name == "metric" else value or None if name == "by" else value)
        elif kind == "choose" and type(place := message.get("arm")) is int and 0 <= place < len(self._arms.names):
            arm = self._arms.names[place]
            others = [one for one in self._selected if one != arm]
            self.selected = [*self._selected, arm] if len(others) == len(self._selected) else others
        elif kind == "none":
            self.selected = []
        else:
            raise UsageError(f"the view said {kind!r}, which means nothing here: is it of another version?")

    def _named(self, shown: str) -> str:
        """The metric that is shown under this name."""
        return next((one for one in self.report.metrics if plain(one) == shown), shown)

    def _state(self) -> dict[str, Any]:
        """All that the front end draws: two hundred rows and points at most, however large the run."""
        board = self._board(self._metric, None)
        numbers = {self._arms.place(row): number for number, row in enumerate(board, 1)}
        places = {name: place for place, name in enumerate(self._arms.names)}
        return {
            "caption": plain(self._caption()),
            "metric": plain(self._metric),
            "metrics": [plain(one) for one in self.report.metrics],
            "by": self._by or "",
            "tagged": self._tagged,
            "table": table_state(list(self._board(self._metric, self._by)), self._arms, numbers, self._sort),
            "chart": chart_state(list(board), self._arms, numbers, self._sign()),
            "looks": [list(look) for look in self._arms.looks],
            "selected": [places[name] for name in self._selected],
            "hint": plain(self.hint),
            "is_code": FEW <= len(self._selected) <= MANY,
            "code": plain(self.code()),
        }

    def _sign(self) -> int:
        """1 or -1 where lower is better; 0 where that is not known, and no arm is on the front."""
        scorer = self.report.scorer_of(self._metric)
        return 0 if scorer is None else 1 if scorer.higher_is_better else -1

    @cached_property
    def _tagged(self) -> bool:
        return any(case["tags"] for case in self.report.cases.values())

    def _caption(self) -> str:
        return " ".join(filter(None, (self._board(self._metric, None).caption, self.report.message)))

    def _static(self) -> Static:
        board = self._board(self._metric, self._by)
        message = [self.report.message] if self.report.message else []
        why = [f"No live view: {missing()}"] if missing() else []
        said = "".join(f"<p>{escape(plain(one))}</p>" for one in (*message, *why))
        code = f"<p><code>{escape(plain(self.code()))}</code></p>"
        source = self._picture() if self._sign() else ""
        picture = f'<img style="max-width:100%" alt="{ALT}" src="{source}">' if source else ""
        html = f"{plain(leaderboard_html(board))}{picture}{PLAIN.format(said + code)}"
        return Static(html, plain("\n".join((str(board), "", *message, self.code()))))

    def _picture(self) -> str:
        """The chart as the static form has it, drawn once per metric."""
        if self._metric not in self._pictures:
            image = BytesIO()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of a letter that the font has not: it is drawn as a box
                self.report.pareto(self._metric).savefig(image, format="png", dpi=80)
            self._pictures[self._metric] = f"data:image/png;base64,{base64.b64encode(image.getvalue()).decode()}"
        return self._pictures[self._metric]


def _written(value: object) -> str:
    """A name, or a list of names, as Python writes it."""
    return f"[{', '.join(map(quoted, value))}]" if isinstance(value, list) else quoted(value)
