"""What must be in Langfuse before a run's first trace: its prompts, its dataset, and the cases as items."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from workbench.errors import LangfuseAway, LangfuseError, PromptError
from workbench.files import write_whole
from workbench.langfuse.datasets import dataset_id, holds_key, item_id, push_items
from workbench.langfuse.prompts import push
from workbench.prompts import Prompt, load_prompt
from workbench.records import Case, canonical, sha256
from workbench.settings import state_dir

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from workbench.langfuse.entries import Entry
    from workbench.langfuse.masking import Mask
    from workbench.langfuse.patience import Patience
    from workbench.langfuse.server import Server

KEYS_REFUSED = (401, 403)
AT_ONCE = 200
"""Cases that are pushed together; in between somebody may say stop."""


def prepare(
    server: Server,
    entry: Entry,
    plan: Mapping[str, Any],
    cases: Sequence[Mapping[str, Any]],
    mask: Mask | None,
    patience: Patience,
) -> Entry:
    """The entry with project, links and dataset known. What Langfuse refuses is noted and only loses its link; drafts
    are not pushed. `mask`: applied to all items; an item with a key in it is masked in any case.

    Raises LangfuseAway, and LangfuseRefused for wrong keys.
    """
    project = server.project
    links, unlinked = _links(server, plan["prompts"], patience)
    dataset, missing = _dataset(server, str(plan["dataset"]["name"]), cases, mask, patience)
    return replace(entry, project=project, links=links, dataset_id=dataset, notes=(*unlinked, *missing))


def _links(
    server: Server, kept: Iterable[Mapping[str, Any]], patience: Patience
) -> tuple[dict[str, tuple[str, int]], list[str]]:
    links, notes = {}, []
    for one in kept:
        try:
            prompt = _prompt(one)
            if not prompt.is_draft:
                links[prompt.sha] = (prompt.name, patience.ask(partial(push, server, prompt)).number)
        except KeyError:
            notes.append(f"prompt {one['ref']} is not linked: this run was made before plans kept templates")
        except (LangfuseError, PromptError) as error:
            _stop_for(error)
            notes.append(f"prompt {one['ref']} is not linked: {error}")
    return links, notes


def _prompt(kept: Mapping[str, Any]) -> Prompt:
    """The prompt as it was run; with tags and commit message while its file still says the same."""
    name, _, version = str(kept["ref"]).rpartition("@")
    prompt = Prompt.from_plain(name, kept["template"], kept["config"], version)
    try:
        now = load_prompt(prompt.ref)
    except PromptError:
        return prompt
    return now if now.sha == prompt.sha else prompt


def _dataset(
    server: Server, name: str, cases: Sequence[Mapping[str, Any]], mask: Mask | None, patience: Patience
) -> tuple[str, list[str]]:
    """Langfuse's id of the dataset, its items pushed, and what was refused."""
    notes = []
    try:
        items = _Items(server, name, mask)
        for start in range(0, len(cases), AT_ONCE):
            patience.ask(partial(items.push, cases[start : start + AT_ONCE]))
        if items.hidden:
            notes.append(f"{items.hidden} items of dataset {name} hold a key: they went out masked")
    except LangfuseError as error:
        _stop_for(error)
        notes.append(f"not all items of dataset {name} are in Langfuse: {error}")
    try:
        return patience.ask(partial(dataset_id, server, name)), notes
    except LangfuseError as error:
        _stop_for(error)
        return "", [*notes, f"the run is shown without its dataset: {error}"]


class _Items:
    """Pushes the cases that a server does not hold as they are now, as far as it was pushed to from here. Nothing is
    remembered of a stand-in, which may come back empty. `hidden`: how many were masked."""

    def __init__(self, server: Server, name: str, mask: Mask | None) -> None:
        self.hidden = 0
        self._server, self._name = server, name
        self._mask = mask
        self._path: Path | None = None
        if not server.stand_in:
            self._path = state_dir("outbox") / f"items-{sha256(server.identity)[:16]}.json"
        self._held = self._read()

    def push(self, cases: Sequence[Mapping[str, Any]]) -> None:
        """Create or update their items, and remember that they are there."""
        new: dict[str, str] = {}
        chosen: list[Case] = []
        for one in cases:
            case = Case(one["id"], one["inputs"], one["expected"], tuple(one["tags"]), one["split"])
            held = sha256(canonical([dict(one), self._mask is not None or holds_key(case)]))
            if self._held.get(item_id(self._name, case.id)) != held:
                new[item_id(self._name, case.id)] = held
                chosen.append(case)
        masked = None if self._mask is None else self._mask.mask_data
        self.hidden += push_items(self._server, self._name, chosen, masked=masked).hidden
        if self._path is not None and new:
            self._held = self._read() | new
            write_whole(self._path, json.dumps(self._held, indent=1))

    def _read(self) -> dict[str, str]:
        """Nothing when it cannot be read: then items are pushed once more, which does no harm."""
        try:
            return dict(json.loads(self._path.read_text("utf-8"))) if self._path is not None else {}
        except (OSError, ValueError):
            return {}


def hopeless(error: Exception) -> bool:
    """Whether nothing else will succeed either: nobody answers, or the keys are wrong."""
    return isinstance(error, LangfuseAway) or getattr(error, "status", None) in KEYS_REFUSED


def _stop_for(error: Exception) -> None:
    if hopeless(error):
        raise error
