"""The outbox: results are kept here first, and are sent until Langfuse has confirmed them.

Ids and times come from the rows, so sending twice makes no doubles. A batch counts as sent when the server has taken
its spans and its scores; until then it is sent again, whatever happened in between.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from workbench.errors import LangfuseError, WorkbenchError
from workbench.files import json_lines
from workbench.langfuse import entries
from workbench.langfuse.delivery import Delivery
from workbench.langfuse.entries import BeingSent, Entry
from workbench.langfuse.listing import REDIRECT, Unsent, Waiting, in_all
from workbench.langfuse.masking import Mask
from workbench.langfuse.otlp import size
from workbench.langfuse.patience import Patience
from workbench.langfuse.preparing import hopeless, prepare
from workbench.langfuse.sent_rows import Rows
from workbench.langfuse.traces import Place, Traces

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from threading import Event

    from workbench.langfuse.server import Address, Server
    from workbench.langfuse.traces import Trial

    Told = Callable[[int, int], object]

TRIALS = 100
BYTES = 3_000_000
KEPT_REASONS = 20
PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class Sent:
    """What one sending did for one run: trials and scores confirmed now, how many of them Langfuse rejected, rows still
    `unsent` and the `reason`; `notes`: what went without its link."""

    run_id: str
    trials: int = 0
    scores: int = 0
    rejected: int = 0
    unsent: int = 0
    reason: str = ""
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        rejected = f", {self.rejected:,} rejected" if self.rejected else ""
        left = f"; {self.unsent:,} results are not yet in Langfuse: {self.reason}" if self.unsent else ""
        notes = "".join(f"; {note}" for note in self.notes)
        return f"{self.run_id}: {self.trials:,} trials and {self.scores:,} scores sent{rejected}{left}{notes}"


@dataclass(frozen=True, slots=True)
class Synced:
    """What `sync` did: a Sent for each run of this server that had something to send, and the runs that wait for
    another one. `rejected` and `broken` as in Unsent."""

    sent: tuple[Sent, ...]
    elsewhere: tuple[Waiting, ...]
    rejected: Mapping[str, int] = field(default_factory=dict)
    broken: tuple[str, ...] = ()

    @property
    def unsent(self) -> int:
        """Rows that are still waiting, for whichever server."""
        return sum(one.unsent for one in self.sent) + sum(one.rows for one in self.elsewhere)

    @property
    def complete(self) -> bool:
        """Whether nothing is left to send, as far as all can be read."""
        return not self.unsent and not self.broken

    def __str__(self) -> str:
        waiting = [f"{one.run_id}: {one.rows:,} results wait for {one.where}; {REDIRECT}" for one in self.elsewhere]
        return in_all([*map(str, self.sent), *waiting, *self.broken], self.rejected)


def open_entry(run_id: str, address: Address) -> Entry:
    """Note, before a run makes its first row, where its results go. A run that is resumed keeps its entry, and while
    something waits for another server, that server too, unless it was never reached. Raises StorageError."""
    there = entries.load(run_id)
    if there is not None and there.is_for(address):
        return there
    if there is None or not there.waiting():
        entry = Entry(run_id, address.url, address.public_key, address.stand_in)
    elif there.may_go_to(address):
        entry = there.sent_to(address)
    else:
        return there
    entries.save(entry)
    return entry


def send(
    server: Server,
    run_id: str,
    on_progress: Told | None = None,
    *,
    mask_items: bool = False,
    stop: Event | None = None,
) -> Sent:
    """Send what Langfuse has not confirmed of one run. Whatever Langfuse does is told in the result, not raised.

    `mask_items`: mask the cases too, which go verbatim otherwise. `stop`: when set, what is left stays here. Waits up
    to 30 seconds in all where the server asks for it. Raises StorageError, and SettingsError for a wrong mask.
    """
    return _send(server, run_id, on_progress, mask_items, Patience(PATIENCE_S, stop))


def sync(
    server: Server,
    on_progress: Told | None = None,
    *,
    mask_items: bool = False,
    redirect: bool = False,
    stop: Event | None = None,
) -> Synced:
    """Send everything that waits for this server, or for one that was never reached; with `redirect` whatever it waits
    for, each run from its first row. Options and errors as in `send`; nobody answers: tried once."""
    patience = Patience(PATIENCE_S, stop)
    sent: list[Sent] = []
    elsewhere = []
    found, broken = entries.load_all()
    for entry in found:
        if not (rows := entry.waiting()):
            continue
        if not (redirect or entry.may_go_to(server.address)):
            elsewhere.append(_waiting(entry, rows))
        elif sent and patience.over:
            sent.append(Sent(entry.run_id, unsent=rows, reason=sent[-1].reason))
        else:
            sent.append(_send(server, entry.run_id, on_progress, mask_items, patience, redirect=redirect))
    return Synced(tuple(sent), tuple(elsewhere), _rejected(entries.load_all()[0]), broken)


def unsent() -> Unsent:
    """The runs with results that Langfuse has not confirmed."""
    found, broken = entries.load_all()
    waiting = [_waiting(entry, rows) for entry in found if (rows := entry.waiting())]
    return Unsent(tuple(waiting), _rejected(found), broken)


def _rejected(found: Iterable[Entry]) -> dict[str, int]:
    return {entry.run_id: entry.rejected for entry in found if entry.rejected}


def _waiting(entry: Entry, rows: int) -> Waiting:
    return Waiting(entry.run_id, rows, entry.where, entry.error or "not sent yet")


def _send(
    server: Server, run_id: str, told: Told | None, mask_items: bool, patience: Patience, *, redirect: bool = False
) -> Sent:
    mask = Mask.of_workspace()
    try:
        with entries.held(run_id):
            entry = entries.load(run_id)
            if entry is None or not (rows := entry.waiting()):
                return Sent(run_id)
            if not entry.is_for(server.address):
                if not (redirect or entry.may_go_to(server.address)):
                    return Sent(run_id, unsent=rows, reason=f"they wait for {entry.where}")
                entry = entry.sent_to(server.address)
            return _Sending(server, entry, mask, patience).go(told, mask_items)
    except BeingSent as busy:
        entry = entries.load(run_id)
        return Sent(run_id, unsent=entry.waiting() if entry else 0, reason=str(busy))


@dataclass(slots=True)
class _Sending:
    """One run, being sent by this process alone."""

    server: Server
    entry: Entry
    mask: Mask
    patience: Patience
    trials: int = 0
    scores: int = 0
    rejected: int = 0
    unreadable: int = 0
    delivery: Delivery = field(init=False)

    def __post_init__(self) -> None:
        self.delivery = Delivery(self.server, self.patience)

    def go(self, told: Told | None, mask_items: bool) -> Sent:
        """All batches, until one is not taken."""
        reason = ""
        try:
            self._batches(told, mask_items)
        except (LangfuseError, OSError, ValueError, TypeError, AttributeError, LookupError) as error:
            self.patience.over = hopeless(error)
            reason = self.mask.mask(str(error) if isinstance(error, WorkbenchError) else _broken(self.entry, error))
        if reason != self.entry.error:
            self._save(replace(self.entry, error=reason))
        left = self.entry.waiting()
        moved = f"to {self.entry.where}, instead of {self.entry.first_for}"
        lost = f"{self.unreadable} lines of {self.entry.rows.name} are no rows and were left out"
        notes = (*[moved] * bool(self.entry.first_for), *[lost] * bool(self.unreadable), *self.entry.notes)
        return Sent(self.entry.run_id, self.trials, self.scores, self.rejected, left, reason if left else "", notes)

    def _batches(self, told: Told | None, mask_items: bool) -> None:
        folder = self.entry.rows.parent
        plan = json.loads((folder / "plan.json").read_text("utf-8"))
        cases = {one["id"]: one for _, one in json_lines(folder / "cases.jsonl", "a case")}
        rows = Rows(self.entry.rows)
        self.unreadable = rows.unreadable
        hidden = self.mask if mask_items else None
        self._save(prepare(self.server, self.entry, plan, list(cases.values()), hidden, self.patience))
        place = Place(self.entry.project, self.entry.dataset_id or "", self.entry.links or {})
        traces = Traces(plan, cases, place, self.mask, self.entry.rows.stat().st_mtime)
        confirmed = rows.count - self.entry.waiting()
        for trials, lines, end in _batched(rows, self.entry.confirmed(), traces):
            self._batch(trials, end)
            confirmed += lines
            if told is not None:
                told(confirmed, rows.count)

    def _batch(self, trials: list[Trial], end: int) -> None:
        """Confirmed and noted, or not at all."""
        if trials:
            self.delivery.send(trials)
            self.trials += len(trials)
            self.scores += self.delivery.scores
        rejected, reasons = self.delivery.taken()
        self.rejected += rejected
        kept = tuple(dict.fromkeys([*self.entry.reasons, *map(self.mask.mask, reasons)]))[:KEPT_REASONS]
        self._save(replace(self.entry.advanced(end), rejected=self.entry.rejected + rejected, reasons=kept))

    def _save(self, entry: Entry) -> None:
        entries.save(entry)
        self.entry = entry


def _batched(rows: Rows, offset: int, traces: Traces) -> Iterator[tuple[list[Trial], int, int]]:
    """Batches of trials, each with the number of lines it stands for and the offset where they end."""
    trials: list[Trial] = []
    lines = held = 0
    end = offset
    for line in rows.after(offset):
        if line.row is not None:
            trial = traces.trial(line.row, line.first)
            length = sum(map(size, trial.spans))
            if trials and (len(trials) >= TRIALS or held + length > BYTES):
                yield trials, lines, end
                trials, lines, held = [], 0, 0
            trials.append(trial)
            held += length
        lines += 1
        end = line.end
    if lines:
        yield trials, lines, end


def _broken(entry: Entry, error: Exception) -> str:
    return f"{entry.rows.parent} cannot be read: {type(error).__name__}: {error}"
