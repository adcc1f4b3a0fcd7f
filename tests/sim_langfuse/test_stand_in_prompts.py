"""Prompts: versions, labels and their rules, as a Langfuse server has them."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from langfuse.api import Error, NotFoundError
from langfuse_parts import OTHER, PROMPTS, ask, basic, labels, make, move

if TYPE_CHECKING:
    from langfuse import Langfuse
    from langfuse.api import LangfuseAPI

    from workbench.sim import StandInLangfuse


def test_versions_count_up_and_keep_their_content(sdk: Langfuse) -> None:
    """Each creation answers 201 with the next version, and a version reads back as it was written."""
    first = sdk.create_prompt(name="p", prompt="Hello {{who}}", config={"a": [1]}, commit_message="one")
    second = sdk.create_prompt(name="p", prompt="Bye {{who}}")
    assert (first.version, second.version) == (1, 2)
    read = sdk.get_prompt("p", version=1, cache_ttl_seconds=0)
    assert (read.prompt, read.config, read.commit_message) == ("Hello {{who}}", {"a": [1]}, "one")
    assert sdk.get_prompt("p", version=2, cache_ttl_seconds=0).config == {}


def test_chat_prompts_round_trip(sdk: Langfuse) -> None:
    """A chat prompt with a placeholder reads back message by message."""
    messages = [{"role": "system", "content": "Be {{tone}}"}, {"type": "placeholder", "name": "history"}]
    sdk.create_prompt(name="p", type="chat", prompt=messages, labels=["production"])
    read = sdk.get_prompt("p", type="chat", cache_ttl_seconds=0)
    history = [{"role": "user", "content": "Hi"}]
    assert read.compile(tone="kind", history=history) == [{"role": "system", "content": "Be kind"}, *history]


def test_without_version_or_label_it_is_production(sdk: Langfuse) -> None:
    """A prompt that is asked for by name alone is the one labelled production."""
    sdk.create_prompt(name="folder/p", prompt="one", labels=["production"])
    sdk.create_prompt(name="folder/p", prompt="two")
    assert sdk.get_prompt("folder/p", cache_ttl_seconds=0).prompt == "one"
    assert sdk.get_prompt("folder/p", label="latest", cache_ttl_seconds=0).prompt == "two"


def test_missing_prompts_are_named(api: LangfuseAPI) -> None:
    """A prompt that is not there is a 404 that says which one was wanted."""
    with pytest.raises(NotFoundError) as caught:
        api.prompts.get("nobody")
    message = "Prompt not found: 'nobody' with label 'production'"
    assert caught.value.body == {"message": message, "error": "LangfuseNotFoundError"}
    with pytest.raises(NotFoundError, match="'nobody' with version 3"):
        api.prompts.get("nobody", version=3)


def test_type_of_a_name_is_fixed(server: StandInLangfuse) -> None:
    """A name that has text versions takes no chat version."""
    make(server)
    heard = make(server, prompt=[{"role": "user", "content": "x"}], type="chat")
    assert (heard.status, heard.value["error"]) == (400, "InvalidRequestError")
    assert "different prompt type" in heard.value["message"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "a|b"},
        {"name": "/a"},
        {"name": "a/"},
        {"name": "a//b"},
        {"name": "new"},
        {"name": "a<b>c"},
        {"name": "x" * 256},
        {"name": 3},
        {"labels": ["Production"]},
        {"labels": ["x" * 37]},
        {"labels": [""]},
        {"labels": "production"},
        {"tags": [1]},
        {"commitMessage": "x" * 501},
        {"prompt": None},
        {"prompt": 7},
        {"type": "song"},
        {"type": "chat", "prompt": "text"},
        {"type": "chat", "prompt": [{"role": "user", "content": 1}]},
        {"type": "chat", "prompt": [{"role": "user"}]},
        {"type": "chat", "prompt": [{"type": "placeholder", "name": "1x"}]},
    ],
    ids=str,
)
def test_what_a_server_refuses_is_refused(server: StandInLangfuse, wrong: dict[str, object]) -> None:
    """A prompt that breaks a rule of names, labels, messages or chat is a 400 that says where, and is not created."""
    body = {"name": "p", "prompt": "text", **wrong}
    heard = ask(server, "POST", PROMPTS, body)
    assert (heard.status, heard.value["message"]) == (400, "Invalid request data")
    assert all(issue["path"][0] in wrong and issue["message"] for issue in heard.value["error"])
    assert ask(server, "GET", PROMPTS).value["data"] == []


def test_longest_names_labels_and_messages_are_taken(server: StandInLangfuse) -> None:
    """The limits themselves are inside."""
    assert make(server, "x" * 255, labels=["y" * 36, "a-b_c.9"], commitMessage="z" * 500).status == 201


def test_variables_and_placeholders_share_no_name(server: StandInLangfuse) -> None:
    """A chat prompt whose variable is named like a placeholder is refused."""
    chat = [{"role": "user", "content": "{{ history }}"}, {"type": "placeholder", "name": "history"}]
    heard = make(server, prompt=chat, type="chat")
    assert heard.status == 400
    assert heard.value["message"].endswith("the following are not: history")


def test_bodies_over_a_megabyte_are_refused(server: StandInLangfuse) -> None:
    """A prompt body over 1 MB is a 413, one below is taken."""
    assert make(server, prompt="x" * (1024 * 1024)).status == 413
    assert make(server, prompt="x" * (1024 * 1024 - 100)).status == 201


def test_tags_are_shared_by_all_versions(server: StandInLangfuse) -> None:
    """Tags given on creation are every version's; left out, they stay; an empty list clears them."""
    make(server, tags=["a"])
    make(server, tags=["b", "c", "b"])
    make(server)
    assert [ask(server, "GET", f"{PROMPTS}/p?version={v}").value["tags"] for v in (1, 2, 3)] == [["b", "c"]] * 3
    make(server, tags=[])
    assert ask(server, "GET", f"{PROMPTS}/p?version=1").value["tags"] == []


def test_labels_on_creation_leave_the_other_versions(server: StandInLangfuse) -> None:
    """A label given on creation is taken from the version that had it."""
    make(server, labels=["production", "a"])
    make(server, labels=["production"])
    assert labels(server) == {1: {"a"}, 2: {"production"}}


def test_moves_add_and_never_remove(sdk: Langfuse, server: StandInLangfuse) -> None:
    """A PATCH adds its labels to the version's own and takes them from the others; sending none changes nothing."""
    sdk.create_prompt(name="p", prompt="one", labels=["production", "a"])
    sdk.create_prompt(name="p", prompt="two", labels=["b"])
    moved = sdk.update_prompt(name="p", version=2, new_labels=["production"])
    assert labels(server) == {1: {"a"}, 2: {"production", "b"}}
    assert set(moved.labels) == {"production", "b", "latest"}
    sdk.update_prompt(name="p", version=2, new_labels=[])
    assert labels(server) == {1: {"a"}, 2: {"production", "b"}}


def test_latest_is_the_server_s(server: StandInLangfuse) -> None:
    """`latest` is on the newest version alone, and no PATCH may name it; any other text it takes, unchecked."""
    for _ in range(3):
        make(server)
    held = ["latest" in ask(server, "GET", f"{PROMPTS}/p?version={v}").value["labels"] for v in (1, 2, 3)]
    assert held == [False, False, True]
    assert move(server, 1, "latest").status == 400
    assert move(server, 1, "No Rule For Me").status == 200


def test_moves_of_what_is_not_there_are_refused(server: StandInLangfuse) -> None:
    """A PATCH of an unknown name, version or body changes nothing and says why."""
    make(server)
    assert move(server, 9, "a").value == {"message": "Prompt not found: p", "error": "LangfuseNotFoundError"}
    assert move(server, 1, "a", name="q").status == 404
    assert ask(server, "PATCH", f"{PROMPTS}/p/versions/x", {"newLabels": []}).status == 400
    assert ask(server, "PATCH", f"{PROMPTS}/p/versions/1", {"newLabels": [1]}).status == 400
    assert ask(server, "PATCH", f"{PROMPTS}/p/versions/1", {}).status == 400
    assert labels(server) == {1: set()}


@pytest.mark.parametrize("reads", ["oldest", "newest"])
def test_two_holders_on_request(server: StandInLangfuse, reads: str) -> None:
    """While a race is asked for, a move leaves two holders; reading by label gives the one that was set, and the next
    move leaves one."""
    make(server, labels=["production"])
    make(server)
    server.control("settings", {"race": 1, "reads": reads})
    assert move(server, 2, "production").status == 200
    assert labels(server) == {1: {"production"}, 2: {"production"}}
    assert ask(server, "GET", f"{PROMPTS}/p").value["version"] == {"oldest": 1, "newest": 2}[reads]
    move(server, 1, "production")
    assert labels(server) == {1: {"production"}, 2: set()}


def test_races_go_on_until_stopped(server: StandInLangfuse) -> None:
    """`race: true` holds for every move until `race: false`."""
    for _ in range(3):
        make(server)
    server.control("settings", {"race": True})
    for version in (1, 2, 3):
        move(server, version, "production")
    assert set(map(frozenset, labels(server).values())) == {frozenset({"production"})}
    server.control("settings", {"race": False})
    move(server, 2, "production")
    assert labels(server) == {1: set(), 2: {"production"}, 3: set()}


def test_lists_are_filtered_and_paged(api: LangfuseAPI, server: StandInLangfuse) -> None:
    """A list names each prompt once with those of its versions that match, page by page, with the totals."""
    for index in range(5):
        make(server, f"p{index}", labels=["production"], tags=["even"] if index % 2 == 0 else [], config={"i": index})
    make(server, "p0", labels=["candidate"])
    pages = [api.prompts.list(limit=2, page=page) for page in (1, 2, 3, 4)]
    assert [one.name for page in pages for one in page.data] == [f"p{index}" for index in range(5)]
    assert (pages[0].meta.total_items, pages[0].meta.total_pages) == (5, 3)
    both = api.prompts.list(name="p0").data[0]
    assert (both.versions, both.labels, both.tags) == ([1, 2], ["candidate", "latest", "production"], ["even"])
    assert [one.versions for one in api.prompts.list(label="candidate").data] == [[2]]
    assert [one.name for one in api.prompts.list(tag="even").data] == ["p0", "p2", "p4"]
    assert api.prompts.list(name="p3").data[0].last_config == {"i": 3}
    with pytest.raises(Error):
        api.prompts.list(limit=101)


@pytest.mark.parametrize(
    ("query", "left"), [("?version=3", {1, 2}), ("?label=a", {2, 3}), ("", set()), ("?version=2", {1, 3})]
)
def test_deleting_takes_what_was_named_and_latest_moves(server: StandInLangfuse, query: str, left: set[int]) -> None:
    """DELETE removes a version, a label's holder or the whole name, and the highest version left is the latest."""
    make(server, labels=["a"])
    make(server)
    make(server)
    assert ask(server, "DELETE", f"{PROMPTS}/p{query}").status == 204
    assert set(labels(server)) == left
    if left:
        assert ask(server, "GET", f"{PROMPTS}/p?label=latest").value["version"] == max(left)
    assert ask(server, "DELETE", f"{PROMPTS}/p?version=9").status == 404


def test_quotes_are_resolved_unless_told_not_to(api: LangfuseAPI, server: StandInLangfuse) -> None:
    """A quoted prompt stands in its place when read, and as a quote with `resolve=false`."""
    make(server, "inner", "INNER {{x}}", labels=["production"])
    quote = "a @@@langfusePrompt:name=inner|label=production@@@ b"
    make(server, "outer", quote, labels=["production"])
    read = api.prompts.get("outer")
    assert read.prompt == "a INNER {{x}} b"
    assert read.resolution_graph is not None
    assert read.resolution_graph["root"]["name"] == "outer"
    raw = api.prompts.get("outer", resolve=False)
    assert (raw.prompt, raw.resolution_graph) == (quote, None)
    assert ask(server, "DELETE", f"{PROMPTS}/inner").status == 400
    assert api.prompts.get("inner").resolution_graph is None


def test_quotes_of_nothing_and_too_deep_ones_are_refused(server: StandInLangfuse) -> None:
    """A quote of a prompt that is not there, and a chain of more than five, are refused on creation."""
    heard = make(server, "p", "@@@langfusePrompt:name=nobody|version=1@@@")
    assert (heard.status, heard.value["error"]) == (400, "InvalidRequestError")
    names = [f"p{depth}" for depth in range(8)]
    make(server, names[0])
    answers = [make(server, b, f"@@@langfusePrompt:name={a}|version=1@@@").status for a, b in pairwise(names)]
    assert answers == [201] * 5 + [400] * 2


def test_projects_do_not_see_each_other(server: StandInLangfuse) -> None:
    """Each pair of keys has prompts of its own."""
    make(server, labels=["production"])
    assert ask(server, "GET", f"{PROMPTS}/p", headers={"Authorization": basic(OTHER)}).status == 404
    ids = {ask(server, "GET", "/api/public/projects", headers={"Authorization": basic(OTHER)}).value["data"][0]["id"]}
    assert ids != {ask(server, "GET", "/api/public/projects").value["data"][0]["id"]}
