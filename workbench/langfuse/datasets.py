"""Datasets in Langfuse: cases pushed as items, and pulled back as the same cases.

Item ids are unique in a project, so a case's is `<dataset>:<case id>`; pushing it again updates it.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.datasets import Dataset, dataset_of
from workbench.errors import DatasetError, LangfuseError, LangfuseMissing, LangfuseRefused
from workbench.langfuse.masking import Mask, key_in
from workbench.langfuse.rules import LARGEST_ITEM, LONGEST_NAME, check_name, check_texts
from workbench.langfuse.server import ONCE, Server, at_once, in_path
from workbench.langfuse.wire import length, plain, size, texts, whole_floats, with_floats
from workbench.records import Case, canonical, sha256

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from collections.abc import Set as AbstractSet

PAGE = 50


@dataclass(frozen=True, slots=True)
class Pushed:
    """What `push_items` did: how many items were created or updated, how many of these were `hidden` because they hold
    a key, and the hashes of all that were given."""

    count: int
    hashes: frozenset[str]
    hidden: int = 0


def item_id(dataset: str, case_id: str) -> str:
    """The id of a case's item."""
    return f"{dataset}:{case_id}"


def push_items(
    server: Server,
    name: str,
    cases: Iterable[Case],
    *,
    masked: Callable[[Any], Any] | None = None,
    known: AbstractSet[str] = frozenset(),
) -> Pushed:
    """Create or update an item for each case. `masked` is applied to inputs, expected value and tags, and the items are
    marked: they are never pulled back. Without it the workspace's mask is, to those that hold a key. `known`: hashes
    from an earlier `Pushed` that the server still holds; those items are not sent again.

    Raises LangfuseRefused before anything is sent, naming the case: data that is no JSON, over 4.5 MB, an id too long
    or with a key in it; SettingsError for a wrong mask.
    """
    check_name(f"dataset {name!r}", name)
    mask = masked or Mask.of_workspace().mask_data
    bodies = [_body(name, case, mask if masked or holds_key(case) else None) for case in cases]
    hashes = [sha256(canonical(body)) for body in bodies]
    new = [body for body, sha in zip(bodies, hashes, strict=True) if sha not in known]
    if new:
        dataset_id(server, name)
        at_once(lambda body: _send(server, body), new)
    hidden = 0 if masked else sum("masked" in body["metadata"] for body in new)
    return Pushed(len(new), frozenset(hashes), hidden)


def holds_key(case: Case) -> bool:
    """Whether a case must not go out as it is."""
    with suppress(RecursionError):  # that is no plain data, and is refused as such
        return key_in("\n".join(texts([dict(case.inputs), case.expected, list(case.tags)]))) is not None
    return False


def pull_dataset(server: Server, name: str) -> Dataset:
    """The dataset as Langfuse holds it, cases by id; archived items are left out.

    Raises LangfuseMissing when there is none, LangfuseRefused for one that holds masked items, LangfuseError for items
    that are no cases.
    """
    about = f"dataset {name}"
    server.call(about, lambda api: api.datasets.get(in_path(name), request_options=ONCE))
    listed = server.pages(
        about,
        lambda api, page: api.dataset_items.list(dataset_name=name, page=page, limit=PAGE, request_options=ONCE),
    )
    items = {item.id: item for item in listed if item.status.value == "ACTIVE"}
    if hidden := sum(_about(item).get("masked") is not None for item in items.values()):
        raise LangfuseRefused(
            f"{server.name}: {about} holds {hidden} masked items, and masked data is never pulled back as a dataset: "
            "use the files that it was pushed from"
        )
    try:
        rows = sorted((_record(name, item) for item in items.values()), key=lambda row: str(row["id"]))
        return dataset_of(name, rows, f"{server.name}, {about}")
    except (DatasetError, RecursionError) as error:
        raise LangfuseError(f"{server.name}: {about} cannot be used here: {error}") from None


def dataset_id(server: Server, name: str) -> str:
    """Langfuse's id of a dataset, made if it is missing."""
    check_name(f"dataset {name!r}", name)
    about = f"dataset {name}"
    try:
        return str(server.call(about, lambda api: api.datasets.get(in_path(name), request_options=ONCE)).id)
    except LangfuseMissing:
        # The server answers with the old one if somebody was faster.
        return str(server.call(about, lambda api: api.datasets.create(name=name, request_options=ONCE)).id)


def _body(name: str, case: Case, masked: Callable[[Any], Any] | None) -> dict[str, Any]:
    """A case as the arguments of the SDK's call. Raises LangfuseRefused."""
    if kind := key_in(case.id):
        raise LangfuseRefused(f"dataset {name}: the id of a case holds what looks like a key ({kind}): rename the case")
    where = f"dataset {name}, case {case.id!r}"
    try:
        inputs, expected = plain(dict(case.inputs)), plain(case.expected)
    except (TypeError, ValueError, RecursionError) as error:
        raise LangfuseRefused(f"{where}: it is no plain JSON data: {error}") from None
    about: dict[str, Any] = {"tags": list(case.tags), "split": case.split}
    if masked is not None:
        inputs, expected, about["tags"] = masked(inputs), masked(expected), masked(about["tags"])
        about["masked"] = True
    if places := whole_floats([inputs, expected]):
        about["floats"] = list(places)
    about["workbench_sha"] = sha256(canonical([case.id, inputs, expected, about]))
    body = {
        "dataset_name": name,
        "id": item_id(name, case.id),
        "input": inputs,
        "expected_output": expected,
        "metadata": about,
    }
    check_texts(where, body)
    if length(body["id"]) > LONGEST_NAME:
        raise LangfuseRefused(f"{where}: its item would be {body['id'][:40]!r}…, and ids have 255 characters at most")
    if (bytes_ := size(body)) > LARGEST_ITEM:
        raise LangfuseRefused(f"{where}: {bytes_:,} bytes, and Langfuse takes {LARGEST_ITEM:,} at most")
    return body


def _send(server: Server, body: Mapping[str, Any]) -> None:
    """Create or update one item. The server keeps an old expected value where the new one is null; then the item says
    that this value holds no longer."""
    about = f"dataset item {body['id']}"
    made = server.call(about, lambda api: api.dataset_items.create(**body, request_options=ONCE))
    if body["expected_output"] is None and made.expected_output is not None:
        gone = {**body["metadata"], "not_expected": sha256(canonical(made.expected_output))}
        again = {**body, "metadata": gone}
        server.call(about, lambda api: api.dataset_items.create(**again, request_options=ONCE))


def _about(item: Any) -> dict[str, Any]:
    """An item's metadata, which anybody may have written."""
    return item.metadata if isinstance(item.metadata, dict) else {}


def _record(name: str, item: Any) -> dict[str, Any]:
    """An item as a dataset file's line would say it."""
    about, expected = _about(item), item.expected_output
    if "not_expected" in about and about["not_expected"] == sha256(canonical(expected)):
        expected = None
    places = about.get("floats")
    if isinstance(places, list) and all(isinstance(place, int) for place in places):
        inputs, expected = with_floats([item.input, expected], frozenset(places))
    else:
        inputs = item.input
    known: dict[str, Any] = {key: about[key] for key in ("tags", "split") if key in about}
    return {"id": item.id.removeprefix(item_id(name, "")), "inputs": inputs, "expected": expected, **known}
