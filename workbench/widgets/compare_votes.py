"""What people say of answers side by side: labels where chance drew the case and the arms were hidden, notes elsewhere.

Every vote is a line in `runs/<id>/votes.jsonl`; one that may calibrate a judge is a label of its dataset as well.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from workbench.errors import LabelError, StorageError, UsageError
from workbench.files import append_line, lines
from workbench.labels import LabelQueue
from workbench.labels.queue import Item
from workbench.labels.store import PAIR_VALUES, now, who
from workbench.records import sha256

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

TIE = "tie"
PREFERENCE = "judge_pair"
"""The question that labels of pairs answer; pairwise judges have this name."""
Key = tuple[str, int, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Vote:
    """What somebody said of one case's answers. `arms` in the order in which they were shown; `winner`: one of them,
    tie, or None for a note alone; `blind`: the arms were hidden; `label`: it became a label; `at`: UTC, ISO 8601."""

    case_id: str
    repeat: int
    arms: tuple[str, ...]
    winner: str | None
    note: str
    blind: bool
    label: bool
    by: str
    at: str

    @property
    def key(self) -> Key:
        """What it is about: the case, the repeat, and the arms in whatever order."""
        return self.case_id, self.repeat, frozenset(self.arms)


class VoteLog:
    """The votes beside a run; appended to, never rewritten; of several on the same answers the last one counts."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "votes.jsonl"
        self.last: dict[Key, Vote] = {}
        for vote in _read(self.path):
            self.last[vote.key] = vote

    def append(self, case: tuple[str, int], arms: Sequence[str], winner: str | None, note: str, *, blind: bool,
               label: bool) -> Vote:  # fmt: skip
        """Keep a vote; it is in the file when this returns. Raises StorageError."""
        vote = Vote(*case, tuple(arms), winner, note, blind, label, who(), now())
        cure = "The vote is not kept: free space or rights, then vote again."
        append_line(self.path, json.dumps(asdict(vote)), cure, mode=0o600)
        self.last[vote.key] = vote
        return vote


def _read(path: Path) -> list[Vote]:
    """The votes in a file; a torn line is skipped, any other that is no vote raises LabelError."""
    try:
        held = [line for _, line in lines(path, torn=True)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror or error}") from None
    found = []
    for number, line in enumerate(held, 1):
        if not line.rstrip(b"\r\n").endswith(b"}"):
            continue
        try:
            entry = json.loads(line)
            found.append(Vote(**entry | {"arms": tuple(entry["arms"])}))
        except (ValueError, KeyError, TypeError) as error:
            raise LabelError(f"{path}, line {number}: no vote ({error}); repair or delete the line") from None
    return found


class Drawn:
    """A queue of pairs, found again among the cases of a view by what is in them: who answered stays hidden.

    `spots`: (case, repeat) -> index in the queue, in the queue's order, which is random and must stay so.
    """

    def __init__(
        self, queue: LabelQueue, cases: Mapping[str, dict[str, Any]],
        outputs: Callable[[str], Iterable[tuple[int, tuple[str | None, ...]]]],
    ) -> None:  # fmt: skip
        self.queue = queue
        self._left: set[int] | None = None
        wanted: dict[tuple[str, str], dict[frozenset[str], int]] = {}
        for index, item in enumerate(queue):
            if len(item) != 4:
                raise UsageError("this queue holds single replies, and here two are compared: "
                                 "take judge_pairs(...).queue(), or queue=50 to draw pairs of this view")  # fmt: skip
            wanted.setdefault((_text(item[0]), _text(item[1])), {})[frozenset(item[2:])] = index
        found = {}
        for case_id, case in cases.items():
            items = wanted.get((_text(case["inputs"]), _text(case["expected"])))
            for repeat, texts in outputs(case_id) if items else ():
                pair = frozenset(text for text in texts if text is not None)
                if items and pair in items:
                    found[case_id, repeat] = items[pair]
        self.spots = dict(sorted(found.items(), key=lambda entry: entry[1]))

    def waits(self, case: tuple[str, int]) -> bool:
        """Whether this case is in the queue and has no label yet."""
        if self._left is None:
            self._left = set(self.queue.left)
        return self.spots.get(case) in self._left

    def forget(self) -> None:
        """Ask the queue again what is left: somebody may have labelled it elsewhere."""
        self._left = None

    def label(self, case: tuple[str, int], output: str | None, note: str) -> None:
        """Keep the label: the better of the two outputs, or None for a tie."""
        index = self.spots[case]
        pair = self.queue[index][2:]
        self._left = None
        self.queue.label(index, TIE if output is None else PAIR_VALUES[pair.index(output)], note)

    def told(self, case: tuple[str, int]) -> str:
        """What the judge said of a labelled pair; empty without a judge, or without a label."""
        if case not in self.spots or self.waits(case):
            return ""
        hidden = self.queue.hidden(self.spots[case])
        said = [str(hidden[name]) for name in ("winner", "reason") if hidden.get(name)]
        return ": ".join(said)


def draw(
    dataset: str, n: int, cases: Mapping[str, dict[str, Any]], arms: tuple[str, ...],
    outputs: Callable[[str], Iterable[tuple[int, tuple[str | None, ...]]]],
) -> LabelQueue:  # fmt: skip
    """`n` random pairs of different answers in a random order; the same ones each time. Raises LabelError."""
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise LabelError(f"a queue of {n!r} pairs: ask for 1 or more; 50 are needed to calibrate")
    items: dict[tuple[str, tuple[str, ...]], Item] = {}
    for case_id in sorted(cases, key=lambda one: sha256(f"0/{one}")):
        for repeat, texts in outputs(case_id):
            if None in texts or len(set(texts)) < 2:
                continue
            turned = int(sha256(f"0/{case_id}/{repeat}/order")[0], 16) % 2
            pair, names = [tuple(one[::-1] if turned else one) for one in (texts, arms)]
            case = cases[case_id]
            item = Item(case_id, case["inputs"], case["expected"], tuple(map(str, pair)), tuple(map(str, names)), {})
            items.setdefault(item.reply, item)
        if len(items) >= n:
            break
    if not items:
        raise LabelError("no pair of different answers to vote on")
    return LabelQueue(dataset, PREFERENCE, list(items.values())[:n], None)


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
