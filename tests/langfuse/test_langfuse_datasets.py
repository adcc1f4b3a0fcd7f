"""Laws of datasets in Langfuse: cases come back as they were, pushing again changes nothing, masked ones stay away."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from workbench.cli import run_command
from workbench.datasets import load_dataset
from workbench.errors import LangfuseAway, LangfuseError, LangfuseMissing, LangfuseRefused
from workbench.langfuse.datasets import dataset_id, item_id, pull_dataset, push_items
from workbench.langfuse.server import ONCE, Address, Server
from workbench.records import Case, canonical
from workbench.sim.langfuse import PUBLIC_KEY, SECRET_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from langfuse_between import Between

    from workbench.sim import StandInLangfuse

ITEMS = "POST /api/public/dataset-items"
CASES = [
    Case("a", {"text": "Hello", "n": 1.0, "deep": [{"x": None}]}, {"category": "x"}, ("one", "two"), "dev"),
    Case("b", {"text": "Bye"}, None, (), "test"),
    Case("c:1/2?", {"text": "Ünï 🙃"}, 0.0, ("one",), "test"),
]

words = st.text(max_size=8)
data = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=5,
)
cases = st.builds(
    Case,
    st.text(min_size=1, max_size=12).filter(str.strip),
    st.dictionaries(words, data, min_size=1, max_size=3),
    data,
    st.lists(words, max_size=3).map(tuple),
    st.sampled_from(["dev", "test"]),
)


@pytest.fixture(scope="module")
def shared(running_langfuse: StandInLangfuse) -> Iterator[Server]:
    """One server for all the examples of a property."""
    with Server(Address(running_langfuse.url, PUBLIC_KEY, SECRET_KEY, stand_in=True)) as server:
        yield server


def raw(server: Server, **item: Any) -> None:
    """An item as somebody else made it."""
    dataset_id(server, item["dataset_name"])
    server.call("raw", lambda api: api.dataset_items.create(**item, request_options=ONCE))


def exact(found: list[Case]) -> list[str]:
    """Cases by id, as texts that tell 1 from 1.0."""
    return sorted(canonical([c.id, dict(c.inputs), c.expected, list(c.tags), c.split]) for c in found)


@given(st.lists(cases, min_size=1, max_size=4, unique_by=lambda case: case.id))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_pushed_cases_come_back(shared: Server, given_cases: list[Case]) -> None:
    """Cases that were pushed are pulled equal, to the last digit, and in an order that their ids alone decide."""
    name = f"set {uuid4()}"
    try:
        pushed = push_items(shared, name, given_cases)
    except LangfuseRefused:
        assume(False)
    found = pull_dataset(shared, name)
    assert exact(list(found.cases)) == exact(given_cases)
    assert [case.id for case in found] == sorted(case.id for case in given_cases)
    assert pushed.count == len(pushed.hashes) == len(given_cases)


def test_a_javascript_server_changes_no_case(between: Between, changed: Server) -> None:
    """A server that says 1 for 1.0 does not change a dataset's hash."""

    def as_javascript(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: as_javascript(one) for key, one in value.items()}
        if isinstance(value, list):
            return [as_javascript(one) for one in value]
        return int(value) if isinstance(value, float) and value.is_integer() else value

    between.answer = lambda method, path, value: as_javascript(value)
    push_items(changed, "mine", CASES)
    assert exact(list(pull_dataset(changed, "mine"))) == exact(CASES)


def test_a_shipped_dataset_round_trips(remote: Server) -> None:
    """A whole dataset, over several pages, has the same hash after the round trip."""
    tickets = load_dataset("tickets")
    assert push_items(remote, "tickets", tickets.cases).count == len(tickets)
    found = pull_dataset(remote, "tickets")
    assert replace(tickets, cases=tuple(sorted(tickets, key=lambda case: case.id))).sha == found.sha


def test_pushing_again_changes_nothing(remote: Server, langfuse: StandInLangfuse) -> None:
    """Items are updated, never doubled; those that the server is known to hold are not even sent."""
    first = push_items(remote, "mine", CASES)
    assert push_items(remote, "mine", CASES) == first
    assert exact(list(pull_dataset(remote, "mine"))) == exact(CASES)
    sent = langfuse.control("stats")["requests"]
    nothing = push_items(remote, "mine", CASES, known=first.hashes)
    assert (nothing.count, nothing.hashes) == (0, first.hashes)
    assert langfuse.control("stats")["requests"] == sent
    more = push_items(remote, "mine", [*CASES, Case("d", {"text": "new"})], known=first.hashes)
    assert (more.count, len(more.hashes)) == (1, 4)
    assert len({*first.hashes, *push_items(remote, "other", CASES).hashes}) == 6


KEY = "sk-ant-api03-abcdEFGH12345678"


@pytest.mark.parametrize("where", ["inputs", "names", "expected", "tags"])
def test_no_key_goes_out_in_an_item(remote: Server, langfuse: StandInLangfuse, where: str) -> None:
    """A case with a key anywhere in it is masked and counted, whoever pushes it; others go out as they are."""
    keyed = {
        "inputs": Case("k", {"text": f"use {KEY}"}),
        "names": Case("k", {KEY: 1}),
        "expected": Case("k", {"text": "x"}, {"deep": [f"use {KEY}"]}),
        "tags": Case("k", {"text": "x"}, None, (KEY,)),
    }[where]
    pushed = push_items(remote, "mine", [keyed, Case("plain", {"text": "from joe@example.com"})])
    held = "\n".join(langfuse.control("store"))
    assert (pushed.count, pushed.hidden) == (2, 1) and KEY not in held and "[key]" in held and "joe@example" in held
    with pytest.raises(LangfuseRefused, match="1 masked items"):
        pull_dataset(remote, "mine")


def test_an_id_that_is_a_key_is_refused(remote: Server, langfuse: StandInLangfuse) -> None:
    """An id cannot be masked: a case whose id holds a key is refused before anything is sent, without repeating it."""
    with pytest.raises(LangfuseRefused, match="the id of a case holds what looks like a key") as error:
        push_items(remote, "mine", [Case("a", {"x": 1}), Case(KEY, {"x": 1})])
    assert KEY not in str(error.value) and ITEMS not in langfuse.control("stats")["requests"]


def test_the_command_masks_keys(
    langfuse: StandInLangfuse, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`push-dataset` says how many cases it masked because they hold a key."""
    for name, text in (("BASE_URL", langfuse.url), ("PUBLIC_KEY", PUBLIC_KEY), ("SECRET_KEY", SECRET_KEY)):
        monkeypatch.setenv(f"LANGFUSE_{name}", text)
    (home / "datasets").mkdir()
    lines = [{"id": "a", "inputs": {"text": KEY}}, {"id": "b", "inputs": {"text": "hello"}}]
    (home / "datasets" / "mine.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    assert run_command(["langfuse", "push-dataset", "mine"]) == 0
    assert "1 of them hold a key: they went out masked" in capsys.readouterr().out
    assert KEY not in "\n".join(langfuse.control("store"))


@pytest.mark.parametrize("line", ["push {}@v1", "push-dataset {}", "pull-dataset {}"])
def test_names_that_no_file_can_have(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A name that is too long for a file is refused by its length."""
    for length in (252, 300):
        assert run_command(["langfuse", *line.format("x" * length).split()]) == 2
    assert "255" in capsys.readouterr().err


def test_an_expected_value_can_be_taken_back(remote: Server) -> None:
    """A case that expects nothing any longer comes back so, though the server keeps the old value; what somebody has
    written there since counts again."""
    push_items(remote, "mine", [Case("a", {"x": 1}, "old")])
    push_items(remote, "mine", [Case("a", {"x": 1})])
    push_items(remote, "mine", [Case("a", {"x": 1})])
    assert pull_dataset(remote, "mine")["a"].expected is None
    raw(remote, dataset_name="mine", id=item_id("mine", "a"), expected_output="by hand")
    assert pull_dataset(remote, "mine")["a"].expected == "by hand"


def test_masked_items_never_come_back(remote: Server, langfuse: StandInLangfuse) -> None:
    """Masked items hold the masked data, and a dataset with one of them is refused as a whole."""

    def masked(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: masked(one) for key, one in value.items()}
        if isinstance(value, list):
            return [masked(one) for one in value]
        return value.replace("secret", "[hidden]") if isinstance(value, str) else value

    push_items(remote, "mine", [Case("a", {"x": "open"})])
    push_items(remote, "mine", [Case("b", {"x": "a secret"}, {"y": ["secret"]}, ("secret",))], masked=masked)
    assert not [text for text in langfuse.control("store") if "secret" in text]
    with pytest.raises(LangfuseRefused, match=r"holds 1 masked items.*never pulled back"):
        pull_dataset(remote, "mine")


def test_ids_belong_to_one_dataset(remote: Server) -> None:
    """The same case may be in two datasets, and an id that another dataset has is refused by the server, by name."""
    push_items(remote, "one", CASES)
    push_items(remote, "two", CASES)
    assert exact(list(pull_dataset(remote, "one"))) == exact(list(pull_dataset(remote, "two")))
    push_items(remote, "one", [Case("two:x", {"q": 1})])
    with pytest.raises(LangfuseMissing, match=r"one:two:x.*other than one:two"):
        push_items(remote, "one:two", [Case("x", {"q": 1})])


def test_dataset_id(remote: Server, langfuse: StandInLangfuse) -> None:
    """A dataset's id is the same whenever it is asked for, and the dataset is made by the first who asks."""
    first = dataset_id(remote, "folder/mine")
    push_items(remote, "folder/mine", CASES)
    assert dataset_id(remote, "folder/mine") == first
    assert langfuse.control("stats")["requests"]["POST /api/public/v2/datasets"] == 1


@pytest.mark.parametrize(
    ("case", "complaint"),
    [
        (Case("big", {"x": "y" * 4_500_000}), "case 'big': 4,500,.* bytes, and Langfuse takes 4,500,000"),
        (Case("i" * 251, {"x": 1}), "255 characters"),
        (Case("nan", {"x": float("nan")}), "no plain JSON data"),
        (Case("object", {"x": object()}), "no plain JSON data"),
        (Case("nul", {"x": ["\x00"]}), "a NUL character"),
        (Case("half", {"x": {"\ud800": 1}}), "surrogate"),
        (Case("large", {"x": 2**60}), "2\\*\\*53"),
    ],
)
def test_refused_before_anything_is_sent(remote: Server, langfuse: StandInLangfuse, case: Case, complaint: str) -> None:
    """One case that cannot go refuses the whole push by its name, before anything is sent."""
    with pytest.raises(LangfuseRefused, match=complaint):
        push_items(remote, "mine", [*CASES, case])
    assert not langfuse.control("stats")["requests"]


@pytest.mark.parametrize("name", ["", "..", "/a", "a//b", "a|b", "<i>x", "n" * 256])
def test_names_that_are_none(remote: Server, langfuse: StandInLangfuse, name: str) -> None:
    """A name that Langfuse takes for something else is refused before anything is sent."""
    for ask in (lambda: push_items(remote, name, CASES), lambda: dataset_id(remote, name)):
        with pytest.raises(LangfuseRefused, match="name"):
            ask()
    assert not langfuse.control("stats")["requests"]


def test_unknown_dataset(remote: Server) -> None:
    """A dataset that is not there is missing, and pulling does not make it."""
    with pytest.raises(LangfuseMissing, match="dataset nothing"):
        pull_dataset(remote, "nothing")
    with pytest.raises(LangfuseMissing):
        pull_dataset(remote, "nothing")


def test_items_made_by_hand(remote: Server) -> None:
    """Items that people made in Langfuse are cases if they can be: their own id, no tags, the split of their id."""
    raw(remote, dataset_name="hand", id="mine", input={"q": "x"}, expected_output="y", metadata="just words")
    raw(remote, dataset_name="hand", id="gone", input={"q": "x"}, status="ARCHIVED")
    found = pull_dataset(remote, "hand")
    assert [(case.id, case.inputs, case.expected, case.tags) for case in found] == [("mine", {"q": "x"}, "y", ())]


@pytest.mark.parametrize(
    "item",
    [
        {"input": "a text"},
        {"input": None},
        {"input": {"q": 1}, "metadata": {"tags": [1]}},
        {"input": {"q": 1}, "metadata": {"tags": {"a": 1}}},
        {"input": {"q": 1}, "metadata": {"split": "train"}},
        {"input": {"q": 1}, "id": "hand:"},
    ],
)
def test_items_that_are_no_cases(remote: Server, item: dict[str, Any]) -> None:
    """An item that is no case is an error that names server and dataset, never half a dataset."""
    raw(remote, dataset_name="hand", id="fine", input={"q": "x"})
    raw(remote, dataset_name="hand", **{"id": "odd", **item})
    with pytest.raises(LangfuseError, match=r"stand-in\): dataset hand cannot be used here"):
        pull_dataset(remote, "hand")


@pytest.mark.parametrize("floats", ["x", [True], [-1, 10**9], ["0"], {"a": 1}, None, [[0]]])
def test_hostile_metadata(remote: Server, floats: Any) -> None:
    """Whatever somebody writes into an item's metadata, at most a whole number becomes a float."""
    raw(remote, dataset_name="hand", id="odd", input={"q": [1, 2]}, metadata={"floats": floats})
    assert pull_dataset(remote, "hand")["odd"].inputs == {"q": [1, 2]}


def test_faults_end_the_push(remote: Server, langfuse: StandInLangfuse) -> None:
    """The first item that fails ends the push with its name, nothing is tried twice, and the next push completes it."""
    langfuse.control("faults", [{"route": ITEMS, "status": 503, "times": None, "after": 20}])
    many = [Case(f"c{i}", {"x": i}) for i in range(200)]
    with pytest.raises(LangfuseAway, match="dataset item mine:c"):
        push_items(remote, "mine", many)
    assert langfuse.control("stats")["requests"][ITEMS] < 60
    langfuse.control("faults", [])
    assert push_items(remote, "mine", many).count == 200
    assert len(pull_dataset(remote, "mine")) == 200
