"""`datasets/labels/<dataset>.jsonl`: what people said of replies; appended to, committed, never rewritten.

A label belongs to a reply (case id and hash of the output), or to two of them that were compared, so it holds for every
arm and every run that gives that reply. The reply's text is kept with it, as runs are not in the repository.
"""

from __future__ import annotations

import getpass
import json
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from workbench.datasets import dataset_names, load_dataset
from workbench.errors import LabelError, choices
from workbench.files import append_line, lines
from workbench.records import sha256
from workbench.settings import workspace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from workbench.datasets import Dataset

Value = bool | int | float | str
"""A pass or fail, a grade, or of two answers first, second or tie."""

PAIR_VALUES = ("first", "second", "tie")
_NAME = re.compile(r"[A-Za-z0-9][\w. -]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Label:
    """What somebody said of a reply, or of two in the order of `outputs`.

    `metric`: the judge's question that it answers. `chosen`: `queue` when chance chose the case and the judgement was
    hidden, which alone calibrates; else `note`. `arms`: who gave the outputs when they were drawn. `at`: UTC, ISO 8601.
    """

    case_id: str
    outputs: tuple[str, ...]
    metric: str
    value: Value
    chosen: Literal["queue", "note"]
    by: str
    at: str
    arms: tuple[str, ...] = ()
    note: str = ""

    @property
    def reply(self) -> tuple[str, tuple[str, ...]]:
        """The replies it belongs to: case id and the hash of each output, whatever their order."""
        return self.case_id, tuple(sorted(self.shas))

    @property
    def shas(self) -> tuple[str, ...]:
        """The hash of each output, in their order."""
        return tuple(map(sha256, self.outputs))

    @property
    def is_pair(self) -> bool:
        """Whether two answers were compared."""
        return len(self.outputs) == 2

    def to_json(self) -> str:
        """One line of JSON, the outputs' hashes included for whoever reads the file."""
        return json.dumps(asdict(self) | {"output_sha": self.shas}, ensure_ascii=True)


class Labels:
    """The labels of one dataset. Iterate for `Label`s; of several on the same reply, metric and way of choosing the
    last one counts."""

    def __init__(self, dataset: str, labels: Sequence[Label] = ()) -> None:
        self.dataset = dataset
        self.all = tuple(labels)
        self._last = {(one.reply, one.metric, one.chosen): one for one in self.all}

    def __iter__(self) -> Iterator[Label]:
        return iter(self._last.values())

    def __len__(self) -> int:
        return len(self._last)

    def queue(self, metric: str, *, pairs: bool = False) -> list[Label]:
        """Those that calibrate a judge of this metric: drawn by chance, on single replies or on pairs."""
        return [one for one in self if (one.metric, one.chosen, one.is_pair) == (metric, "queue", pairs)]

    def of(self, case_id: str, output: str, metric: str) -> Label | None:
        """The label of a reply: from a queue if there is one, else a note."""
        reply = case_id, (sha256(output),)
        return self._last.get((reply, metric, "queue")) or self._last.get((reply, metric, "note"))

    def __repr__(self) -> str:
        drawn = sum(one.chosen == "queue" for one in self)
        return f"Labels({self.dataset}: {drawn} from queues, {len(self) - drawn} notes)"


def label_file(dataset: str) -> Path:
    """Where a dataset's labels are kept. Raises LabelError for a name that is no file name."""
    if not _NAME.fullmatch(dataset):
        raise LabelError(f"dataset {dataset!r} cannot hold labels: load it under a name of letters, digits, - and _, "
                         "load_dataset(..., name=...)")  # fmt: skip
    return workspace() / "datasets" / "labels" / f"{dataset}.jsonl"


def load_labels(dataset: str) -> Labels:
    """The labels of a dataset, none if there is no file. Raises LabelError naming file and line."""
    path = label_file(dataset)
    try:
        # a last line without its end counts: an editor leaves one, and this file is edited by hand
        held = [line for _, line in lines(path, torn=True)] if path.exists() else []
    except OSError as error:
        raise LabelError(f"{path}: cannot be read: {error.strerror or error}") from None
    return Labels(dataset, [_read(line, f"{path}, line {i}") for i, line in enumerate(held, 1) if line.strip()])


def label(
    dataset: str | Dataset, case_id: str, output: str, value: Value, *, metric: str = "judge", note: str = "",
    by: str | None = None,
) -> Label:  # fmt: skip
    """Say of one reply whether it is good: a note, kept with the dataset, which does not calibrate a judge.

    For labels that calibrate use `label_queue`. Raises LabelError for a case that the dataset does not have.
    """
    name = dataset if isinstance(dataset, str) else dataset.name
    cases = load_dataset(dataset) if isinstance(dataset, str) else dataset
    check_case(case_id, cases, "label")
    check_value(value, None, pair=False)
    return append(name, Label(case_id, (output,), metric, value, "note", by or who(), now(), (), note))


def append(dataset: str, one: Label) -> Label:
    """Write one label; it is in the file when this returns. Raises StorageError."""
    append_line(label_file(dataset), one.to_json(), "Free space or rights, then label it again.")
    return one


def check_case(case_id: str, dataset: Dataset, where: str) -> None:
    """Raises LabelError for a case that the dataset does not have."""
    known = {case.id for case in dataset.cases}
    if case_id not in known:
        raise LabelError(
            f"{where}: dataset {dataset.name!r} has no case {case_id!r}: {choices(case_id, known)}. Was it renamed or "
            "removed? Bring it back, or delete its labels"
        )


def check_value(value: Any, bounds: tuple[float, float] | None, *, pair: bool) -> None:
    """Raises LabelError for a value that is none of the metric's."""
    if pair:
        if value not in PAIR_VALUES:
            raise LabelError(f"value {value!r}: of two answers say {', '.join(PAIR_VALUES)}")
        return
    if not isinstance(value, (bool, int, float)) or value != value:
        raise LabelError(f"value {value!r}: say True or False, or a grade")
    low, high = bounds or (float("-inf"), float("inf"))
    if not low <= value <= high:
        raise LabelError(f"value {value!r} lies outside the metric's bounds, {low:g} to {high:g}")


def named_dataset(name: str) -> Dataset:
    """The dataset that labels are about. Raises LabelError when no dataset has that name."""
    if name not in dataset_names():
        raise LabelError(f"no dataset named {name!r}: {choices(name, dataset_names())}; give it, dataset=...")
    return load_dataset(name)


def who() -> str:
    """The user's login name."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # an account without a name, as in some containers
        return "unknown"


def now() -> str:
    """The time, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _read(line: bytes, where: str) -> Label:
    try:
        entry = json.loads(line)
        found = Label(**{name: _tuple(entry[name]) for name in Label.__slots__})
    except (ValueError, KeyError, TypeError) as error:
        raise LabelError(f"{where}: no label ({type(error).__name__}: {error}); repair or delete the line") from None
    texts = (found.case_id, found.metric, found.by, found.at, found.note, *found.outputs, *found.arms)
    if not all(isinstance(text, str) for text in texts) or found.chosen not in ("queue", "note") or not found.outputs:
        raise LabelError(f"{where}: no label; repair or delete the line")
    check_value(found.value, None, pair=found.is_pair)
    return found


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
