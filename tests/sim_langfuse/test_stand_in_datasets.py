"""Datasets and their items."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from langfuse.api import NotFoundError
from langfuse_parts import ITEMS, OTHER, ask, basic

if TYPE_CHECKING:
    from langfuse import Langfuse
    from langfuse.api import LangfuseAPI

    from workbench.sim import StandInLangfuse


def test_items_read_back_over_all_pages(sdk: Langfuse) -> None:
    """A dataset of more than a page reads back whole, each item with its input, expected output and metadata."""
    sdk.create_dataset(name="d", description="about", metadata={"m": 1})
    for index in range(60):
        sdk.create_dataset_item(
            dataset_name="d", id=f"d:{index}", input={"i": index}, expected_output=str(index), metadata={"tags": ["a"]}
        )
    dataset = sdk.get_dataset("d")
    assert (dataset.description, dataset.metadata) == ("about", {"m": 1})
    assert {(item.id, item.input["i"], item.expected_output) for item in dataset.items} == {
        (f"d:{index}", index, str(index)) for index in range(60)
    }
    assert all(item.metadata == {"tags": ["a"]} and item.dataset_name == "d" for item in dataset.items)


def test_items_are_upserted_by_id(sdk: Langfuse) -> None:
    """The same id is the same item: a second push changes it and adds none."""
    sdk.create_dataset(name="d")
    first = sdk.create_dataset_item(dataset_name="d", id="d:1", input="old", expected_output="kept")
    second = sdk.create_dataset_item(dataset_name="d", id="d:1", input="new", status="ARCHIVED")
    (item,) = sdk.get_dataset("d").items
    assert (item.input, item.expected_output, item.status) == ("new", "kept", "ARCHIVED")
    assert first.created_at == second.created_at


def test_an_id_belongs_to_one_dataset(sdk: Langfuse) -> None:
    """An id that another dataset of the project has is refused and changes nothing."""
    sdk.create_dataset(name="a")
    sdk.create_dataset(name="b")
    sdk.create_dataset_item(dataset_name="a", id="1", input="a")
    with pytest.raises(NotFoundError, match="already exists in a dataset other than b"):
        sdk.create_dataset_item(dataset_name="b", id="1", input="b")
    assert [item.input for item in sdk.get_dataset("a").items] == ["a"]
    assert sdk.get_dataset("b").items == []


def test_datasets_are_created_once_by_name(api: LangfuseAPI) -> None:
    """Creating a dataset again changes what is said about it and keeps its id."""
    first = api.datasets.create(name="d", description="one")
    second = api.datasets.create(name="d", description="two")
    assert (first.id, second.description) == (second.id, "two")
    assert [one.name for one in api.datasets.list().data] == ["d"]
    assert api.datasets.get("d").description == "two"


def test_a_dataset_reads_as_it_was(sdk: Langfuse) -> None:
    """With a version, the items are those of that moment."""
    sdk.create_dataset(name="d")
    old = sdk.create_dataset_item(dataset_name="d", id="1", input="old")
    new = sdk.create_dataset_item(dataset_name="d", id="1", input="new")
    while new.updated_at == old.updated_at:  # The server's clock has milliseconds: at one moment the last one counts.
        old = sdk.create_dataset_item(dataset_name="d", id="1", input="old")
        new = sdk.create_dataset_item(dataset_name="d", id="1", input="new")
    assert old.version is not None
    assert [item.input for item in sdk.get_dataset("d", version=old.version).items] == ["old"]
    assert [item.input for item in sdk.get_dataset("d").items] == ["new"]


def test_deleted_items_are_gone(api: LangfuseAPI) -> None:
    """A deleted item is a 404 and in no list."""
    api.datasets.create(name="d")
    api.dataset_items.create(dataset_name="d", id="1", input=1)
    assert api.dataset_items.get("1").input == 1
    api.dataset_items.delete("1")
    with pytest.raises(NotFoundError):
        api.dataset_items.get("1")
    assert api.dataset_items.list(dataset_name="d").data == []


def test_missing_datasets_and_wrong_items_are_refused(server: StandInLangfuse) -> None:
    """An unknown dataset is a 404; an item without one, with a strange status or a long id is a 400."""
    assert ask(server, "GET", "/api/public/v2/datasets/no").value["message"] == "Dataset not found"
    assert ask(server, "POST", ITEMS, {"datasetName": "no", "input": 1}).status == 404
    assert ask(server, "GET", f"{ITEMS}?datasetName=no").status == 404
    for wrong in ({}, {"datasetName": "d", "status": "GONE"}, {"datasetName": "d", "id": "x" * 256}, [], None):
        assert ask(server, "POST", ITEMS, wrong).status == 400


def test_items_may_be_large(server: StandInLangfuse) -> None:
    """An item body may have 4.5 MB and no more."""
    ask(server, "POST", "/api/public/v2/datasets", {"name": "d"})
    room = 4 * 1024 * 1024 + 512 * 1024
    assert ask(server, "POST", ITEMS, {"datasetName": "d", "input": "x" * (room - 100)}).status == 200
    assert ask(server, "POST", ITEMS, {"datasetName": "d", "input": "x" * room}).status == 413


def test_other_projects_have_other_datasets(server: StandInLangfuse) -> None:
    """The same item id in two projects is two items."""
    for pair in (OTHER, None):
        headers = {"Authorization": basic(pair)} if pair else None
        ask(server, "POST", "/api/public/v2/datasets", {"name": "d"}, headers=headers)
        assert ask(server, "POST", ITEMS, {"datasetName": "d", "id": "1"}, headers=headers).status == 200
