"""Replies to be labelled: chance chooses them, and who gave them and what the judge said stay hidden until then."""

from __future__ import annotations

import json
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, Protocol

from workbench.errors import LabelError, choices
from workbench.labels.store import Label, Value, append, check_value, load_labels, now, who
from workbench.records import arm_ref, ref_of, sha256

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from workbench.scorers import Scorer

SHOWN = 50
"""Items that a table shows at most."""

_TD = "padding:3px 6px;border-bottom:1px solid rgba(128,128,128,.25);text-align:left;vertical-align:top"
_TEXT = f"{_TD};white-space:pre-wrap;max-width:420px"


class Rows(Protocol):
    """What a queue needs of a report."""

    @property
    def plan(self) -> dict[str, Any]: ...

    @property
    def metrics(self) -> list[str]: ...

    @property
    def cases(self) -> dict[str, dict[str, Any]]: ...

    def rows(self) -> Iterator[dict[str, Any]]: ...

    def scorer_of(self, metric: str) -> Scorer | None: ...


@dataclass(frozen=True)
class Item:
    """One reply to be labelled, or two in the order in which they are shown. `hidden` is seen after that."""

    case_id: str
    inputs: Mapping[str, Any]
    expected: Any
    outputs: tuple[str, ...]
    arms: tuple[str, ...]
    hidden: Mapping[str, Any]

    @property
    def reply(self) -> tuple[str, tuple[str, ...]]:
        """Case id and the outputs' hashes."""
        return self.case_id, tuple(sorted(map(sha256, self.outputs)))


class LabelQueue:
    """Items for labelling; iterate for (inputs, expected, output), or (inputs, expected, first, second) of a pair.

    `queue.label(0, True, "names the category")` keeps a label. Arm, score and reason of an item show once it has one.
    """

    def __init__(self, dataset: str, metric: str, items: Iterable[Item], bounds: tuple[float, float] | None) -> None:
        self.dataset = dataset
        self.metric = metric
        self._items = list(items)
        self._bounds = bounds
        pairs = bool(self._items) and len(self._items[0].outputs) == 2
        self._labels = {one.reply: one for one in load_labels(dataset).queue(metric, pairs=pairs)}

    def label(self, index: int, value: Value, note: str = "", *, by: str | None = None) -> Label:
        """Keep what somebody says of item `index` (from 0): True or False, a grade within the metric's bounds, or of a
        pair first, second or tie. Labelled again, the last one counts. Raises LabelError."""
        item = self._item(index)
        check_value(value, self._bounds, pair=len(item.outputs) == 2)
        one = Label(item.case_id, item.outputs, self.metric, value, "queue", by or who(), now(), item.arms, note)
        self._labels[item.reply] = append(self.dataset, one)
        return one

    def hidden(self, index: int) -> dict[str, Any]:
        """Arm, score and reason of a labelled item. Raises LabelError before it has a label: who knows them first
        labels the judge's opinion."""
        item = self._item(index)
        if item.reply not in self._labels:
            raise LabelError(f"item {index} has no label yet: give it one with queue.label({index}, True or False)")
        return {"arms": item.arms, **item.hidden}

    @property
    def left(self) -> list[int]:
        """Indices of the items without a label."""
        return [i for i, item in enumerate(self._items) if item.reply not in self._labels]

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        for item in self._items:
            yield (item.inputs, item.expected, *item.outputs)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        item = self._item(index)
        return (item.inputs, item.expected, *item.outputs)

    def __len__(self) -> int:
        return len(self._items)

    def _item(self, index: int) -> Item:
        if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < len(self):
            raise LabelError(f"no item {index!r}: there are {len(self)}, counted from 0")
        return self._items[index]

    def __repr__(self) -> str:
        return f"LabelQueue({self.metric} on {self.dataset}: {len(self)} items, {len(self.left)} to label)"

    def _repr_html_(self) -> str:
        pairs = bool(self._items) and len(self._items[0].outputs) == 2
        heads = ["", "inputs", "expected", *(("first", "second") if pairs else ("output",)), "label", "arm", "judge"]
        body = "".join(self._row(i, item) for i, item in enumerate(self._items[:SHOWN]))
        head = "".join(f'<th scope="col" style="{_TD}">{name}</th>' for name in heads)
        # the class keeps notebooks from typesetting what stands between two dollar signs of an output
        return (
            f'<div class="mathjax_ignore tex2jax_ignore"><b>{escape(repr(self))}</b>'
            f'<table style="font-size:12px"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
        )

    def _row(self, index: int, item: Item) -> str:
        one = self._labels.get(item.reply)
        told = (str(one.value), ", ".join(item.arms), _said(item.hidden)) if one else ("", "hidden", "hidden")
        texts = [str(index), _text(item.inputs), _text(item.expected), *item.outputs, *told]
        return "<tr>" + "".join(f'<td style="{_TEXT}">{escape(text[:2000])}</td>' for text in texts) + "</tr>"


def label_queue(
    report: Rows, n: int = 50, seed: int = 0, *, metric: str | None = None, arms: Iterable[str] | None = None
) -> LabelQueue:
    """Random replies of a report for labelling, each reply once, over all its arms or those named `arms`
    (`prompt@version` or `prompt@version × model`).

    `metric`: whose question the labels answer; by default `judge`, else the deciding one. The same seed draws the same
    replies, so that labelling can go on later. Raises LabelError.
    """
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise LabelError(f"a queue of {n!r} items: ask for 1 or more; 50 are needed to calibrate")
    chosen = metric or ("judge" if "judge" in report.metrics else report.metrics[0])
    if chosen not in report.metrics:
        raise LabelError(f"no metric {chosen!r} in this run: {choices(chosen, report.metrics)}")
    rows = sorted(
        (row for row in _wanted(report, arms) if row["output"] is not None),
        key=lambda row: sha256(f"{seed}/{row['case_id']}/{arm_ref(row)}/{row['repeat']}"),
    )
    items: dict[tuple[str, tuple[str, ...]], Item] = {}
    for row in rows:
        case = report.cases[row["case_id"]]
        hidden = {"score": row["scores"].get(chosen), "reason": row["reasons"].get(chosen, "")}
        item = Item(case["id"], case["inputs"], case["expected"], (row["output"],), (arm_ref(row),), hidden)
        items.setdefault(item.reply, item)
        if len(items) == n:
            break
    if not items:
        raise LabelError("this report has no replies to label")
    scorer = report.scorer_of(chosen)
    return LabelQueue(report.plan["dataset"]["name"], chosen, items.values(), scorer.bounds if scorer else None)


def _wanted(report: Rows, arms: Iterable[str] | None) -> Iterator[dict[str, Any]]:
    rows = (row for row in report.rows() if row["error"] is None)
    if arms is None:
        yield from rows
        return
    names = {arm_ref(arm) for arm in report.plan["arms"]}
    wanted = {" × ".join(part.strip() for part in one.split("×")) for one in arms}
    known = names | {name.partition(" × ")[0] for name in names}
    if unknown := wanted - known:
        raise LabelError(f"no arm {min(unknown)!r} in this run: {choices(min(unknown), known)}")
    for row in rows:
        if {arm_ref(row), ref_of(row)} & wanted:
            yield row


def _said(hidden: Mapping[str, Any]) -> str:
    return ": ".join(str(value) for value in hidden.values() if value not in (None, ""))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1)
