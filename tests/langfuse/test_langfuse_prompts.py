"""Laws of prompts in Langfuse: content round-trips, is pushed once, and nothing goes out that Langfuse would change."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from workbench.errors import LangfuseAway, LangfuseError, LangfuseMissing, LangfuseRefused, PromptError
from workbench.langfuse.prompts import (
    check,
    compare_local,
    holders,
    listing,
    move_label,
    numbers,
    pull,
    push,
)
from workbench.langfuse.server import ONCE, Address, Server
from workbench.langfuse.stamp import stamped
from workbench.prompts import Prompt
from workbench.records import Message
from workbench.sim.langfuse import PUBLIC_KEY, SECRET_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langfuse_between import Between

    from workbench.sim import StandInLangfuse

CREATE = "POST /api/public/v2/prompts"
PATCH = "PATCH /api/public/v2/prompts/{name}/versions/{version}"
TEXT = Prompt("greeting", "Greet {{who}}.", {"max_tokens": 64}, ("kind",), "first try", "v1")
CHAT = Prompt("chatty", (Message("system", "Be kind."), Message("user", "{{question}}")), {"top_p": (1.0, 0.5)})

hostile = st.lists(
    st.sampled_from(
        ["\r\n", "\r", "\x85", "\u2028", "\ufeff", "\t", " ", "🙃", "é", "\\u0000", '"', "<b>", "|", "\x7f"]
    )
    | st.text(max_size=5),
    min_size=1,
    max_size=8,
).map("".join)
templates = hostile.filter(lambda text: text.strip() and "{{" not in text and "{%" not in text)
data = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | hostile,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(hostile, inner, max_size=3),
    max_leaves=6,
)
configs = st.dictionaries(hostile.filter(lambda key: key != "by_provider"), data, max_size=4)
turns = st.builds(Message, st.sampled_from(["system", "user", "assistant"]), hostile).filter(
    lambda turn: "{{" not in turn.content and "{%" not in turn.content
)
chats = st.lists(turns, min_size=1, max_size=4).filter(lambda chat: any(turn.role != "system" for turn in chat))


@pytest.fixture(scope="module")
def shared(running_langfuse: StandInLangfuse) -> Iterator[Server]:
    """One server for all the examples of a property."""
    with Server(Address(running_langfuse.url, PUBLIC_KEY, SECRET_KEY, stand_in=True)) as server:
        yield server


def asked(langfuse: StandInLangfuse) -> dict[str, int]:
    """How often each route was asked."""
    return dict(langfuse.control("stats")["requests"])


def raw(server: Server, name: str, prompt: Any, message: str | None = None, config: Any = None) -> int:
    """A version as somebody else made it; its number."""
    body: Any = {"name": name, "prompt": prompt, "type": "text" if isinstance(prompt, str) else "chat"}
    body |= {"config": config or {}, "commitMessage": message}
    return int(server.call("raw", lambda api: api.prompts.create(request=body, request_options=ONCE)).version)


# Round trips


@given(templates | chats.map(tuple), configs, hostile | st.just(""))
@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_check_accepts_comes_back(shared: Server, template: Any, config: dict[str, Any], said: str) -> None:
    """Any prompt that check accepts comes back with the same hash, text, config, commit message and local version."""
    kind = "text" if isinstance(template, str) else "chat"
    prompt = Prompt(f"round-{kind}", template, config, commit_message=said, version="v7")
    try:
        check(prompt)
    except LangfuseRefused:
        assume(False)
    number = push(shared, prompt).number
    back = pull(shared, prompt.name, number=number)
    assert back.sha == prompt.sha
    assert back.prompt.plain == prompt.plain
    assert back.prompt.config == json.loads(json.dumps(config))
    assert back.prompt.commit_message == said or back.commit_message != stamped(
        prompt
    )  # pushed earlier, said otherwise
    assert back.local_version == back.prompt.version == "v7"


def test_whole_floats_survive_a_javascript_server(between: Between, changed: Server) -> None:
    """A server that says 1 for 1.0 does not change a prompt's hash: the stamp tells which numbers were floats."""

    def as_javascript(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: as_javascript(one) for key, one in value.items()}
        if isinstance(value, list):
            return [as_javascript(one) for one in value]
        return int(value) if isinstance(value, float) and value.is_integer() else value

    between.answer = lambda method, path, value: as_javascript(value)
    config = {"z": 2, "temperature": 1.0, "by_provider": {"openai": {"top_p": 0.0, "n": 1, "stop": [True, 1e21]}}}
    prompt = replace(TEXT, config=config)
    remote = push(changed, prompt)
    assert (remote.sha, remote.local_version) == (prompt.sha, "v1")
    assert json.dumps(remote.prompt.config, sort_keys=True) == json.dumps(config, sort_keys=True)
    assert push(changed, prompt).number == remote.number == 1


def test_the_stamp_is_the_last_line(remote: Server) -> None:
    """Local version and hash travel below the user's own commit message, never in the config."""
    push(remote, TEXT)
    row = remote.call("row", lambda api: api.prompts.get("greeting", version=1, request_options=ONCE))
    assert row.commit_message == f"first try\nworkbench greeting@v1 sha256:{TEXT.sha}"
    assert row.config == {"max_tokens": 64} and row.tags == ["kind"]


@pytest.mark.parametrize(
    "message",
    [None, "by hand", f"workbench greeting@v9 sha256:{'0' * 64}", f"workbench other@v9 sha256:{TEXT.sha}"],
)
def test_a_stamp_is_believed_only_with_its_hash(remote: Server, message: str | None) -> None:
    """Content whose commit message names no version, or names another content, has no local version."""
    raw(remote, "greeting", TEXT.plain, message, dict(TEXT.config))
    found = pull(remote, "greeting", number=1)
    assert (found.local_version, found.prompt.version, found.sha) == ("", "langfuse-1", TEXT.sha)
    assert found.commit_message == (message or "")


def test_versions_of_another_langfuse_are_no_local_ones(remote: Server) -> None:
    """A version that came from some Langfuse, pushed to another, has no local version there."""
    found = push(remote, replace(TEXT, version="langfuse-7"))
    assert (found.local_version, found.prompt.version, found.prompt.commit_message) == ("", "langfuse-1", "first try")


def test_large_prompts_come_back(remote: Server) -> None:
    """A prompt just below the limit is taken and comes back whole, also when its characters are long ones."""
    for text in ("x" * 998_000, "🙃" * 249_000):
        number = push(remote, replace(TEXT, template=text)).number
        assert pull(remote, "greeting", number=number).prompt.template == text


# Pushing


def test_same_content_is_pushed_once(remote: Server, langfuse: StandInLangfuse) -> None:
    """Content that some version has is not pushed again, whatever its local version says, and gets the labels."""
    first = push(remote, TEXT)
    push(remote, TEXT.edit("Greet", "Welcome"))
    again = push(remote, replace(TEXT, version="v9", commit_message="other words"), labels=["candidate"])
    assert (first.number, again.number, again.labels) == (1, 1, ("candidate",))
    assert numbers(remote, "greeting") == (1, 2)
    assert asked(langfuse)[CREATE] == 2


def test_labels_on_creation(remote: Server) -> None:
    """A new version carries the labels asked for and the server's `latest`."""
    assert set(push(remote, TEXT, labels=["candidate", "try-1"]).labels) == {"candidate", "try-1", "latest"}


@pytest.mark.parametrize("label", ["latest", "production", "", "Big", "a b", "x" * 37, "nl\n", "a|b"])
def test_labels_that_no_push_may_set(remote: Server, langfuse: StandInLangfuse, label: str) -> None:
    """A push never sets production or latest, nor anything that is no label; nothing is sent."""
    with pytest.raises(LangfuseRefused, match=r"label"):
        push(remote, TEXT, labels=["fine", label])
    assert not asked(langfuse)


def test_type_never_changes(remote: Server, langfuse: StandInLangfuse) -> None:
    """Pushing chat onto a text name is refused by name, before anything moved."""
    push(remote, TEXT)
    with pytest.raises(LangfuseRefused, match="greeting@v2 is chat, but Langfuse holds 'greeting' as text"):
        push(remote, replace(CHAT, name="greeting", version="v2"), labels=["candidate"])
    assert asked(langfuse)[CREATE] == 1 and holders(remote, "greeting", "candidate") == ()


def test_concurrent_pushes_of_different_contents(remote: Server) -> None:
    """Four threads that push different contents all arrive."""
    prompts = [Prompt("busy", f"Content {i}.", version=f"v{i + 1}") for i in range(4)]
    with ThreadPoolExecutor(4) as pool:
        pushed = list(pool.map(lambda prompt: push(remote, prompt), prompts))
    assert sorted(one.number for one in pushed) == [1, 2, 3, 4]
    assert [pull(remote, "busy", number=one.number).sha for one in pushed] == [prompt.sha for prompt in prompts]


def test_concurrent_pushes_of_the_same_content(langfuse: StandInLangfuse, remote: Server) -> None:
    """Four threads that push the same content, even over connections of their own, make one version."""
    servers = [Server(remote.address) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        pushed = list(pool.map(lambda server: push(server, TEXT, labels=["candidate"]).number, servers))
    for server in servers:
        server.close()
    assert pushed == [1, 1, 1, 1] and numbers(remote, "greeting") == (1,)


def test_collisions_are_tried_again(between: Between, changed: Server) -> None:
    """A creation that collides with another on the server is tried again, and nothing else is."""
    said = b'{"message": "unique constraint failure, add a delay", "error": "InvalidRequestError"}'
    refusals = [(400, said)] * 3
    between.ask = lambda method, path: refusals.pop() if method == "POST" and refusals else path
    assert push(changed, TEXT).number == 1
    refusals += [(400, b'{"message": "something else", "error": "InvalidRequestError"}')]
    with pytest.raises(LangfuseRefused, match="something else"):
        push(changed, TEXT.edit("Greet", "Meet"))
    assert numbers(changed, "greeting") == (1,)


def test_collisions_end(between: Between, changed: Server) -> None:
    """A creation that collides again and again is given up with the server's words."""
    posts = []

    def ask(method: str, path: str) -> Any:
        if method == "POST":
            posts.append(path)
            return 400, b'{"message": "Unique constraint failure", "error": "InvalidRequestError"}'
        return path

    between.ask = ask
    with pytest.raises(LangfuseRefused, match="Unique constraint failure"):
        push(changed, TEXT)
    assert len(posts) == 8


def test_a_lost_answer_is_looked_for(remote: Server, langfuse: StandInLangfuse) -> None:
    """A version whose answer was lost is found, not made twice."""
    langfuse.control("faults", [{"route": CREATE, "close": True, "done": True}])
    assert push(remote, TEXT).number == 1
    langfuse.control("faults", [{"route": CREATE, "status": 503}])
    assert push(remote, TEXT.edit("Greet", "Meet")).number == 2
    assert numbers(remote, "greeting") == (1, 2)
    assert asked(langfuse)[CREATE] == 3


def test_lost_answers_end(remote: Server, langfuse: StandInLangfuse) -> None:
    """Answers that are lost again and again end the push with the server's silence."""
    langfuse.control("faults", [{"route": CREATE, "status": 503, "times": None}])
    with pytest.raises(LangfuseAway, match="503"):
        push(remote, TEXT)
    assert asked(langfuse)[CREATE] == 2


def test_deleted_and_made_anew(remote: Server) -> None:
    """What was read of a version that somebody has deleted since is not taken for what stands there now."""
    push(remote, TEXT)
    remote.call("delete", lambda api: api.prompts.delete("greeting", request_options=ONCE))
    raw(remote, "greeting", "Somebody else's.")
    assert push(remote, TEXT).number == 2
    assert pull(remote, "greeting", number=2).sha == TEXT.sha


# What is never sent


@pytest.mark.parametrize(
    ("prompt", "complaint"),
    [
        (replace(TEXT, name="new"), "keeps the name 'new'"),
        (replace(TEXT, name="metrics"), "keeps the name"),
        (replace(TEXT, name="prompt-detail"), "keeps the name"),
        (replace(TEXT, name="n" * 256), "255 characters"),
        (replace(TEXT, commit_message="x" * 420), "room for 4"),
        (replace(TEXT, commit_message="🙃" * 210), "room for 4"),
        (replace(TEXT, template="x" * 1_000_001), "bytes, and Langfuse takes 1,000,000"),
        (replace(TEXT, template="a\x00b"), "a NUL character"),
        (replace(TEXT, template="a\ud800b"), "half of a surrogate pair"),
        (replace(TEXT, config={"a": [{"b": 2**53 + 1}]}), "9007199254740993"),
        (replace(TEXT, config={"a": -0.0}), r"-0\.0"),
        (replace(TEXT, config={"note": "@@@langfusePrompt:name=x|label=y@@@"}), "expanded"),
        (replace(TEXT, commit_message="@@@langfusePrompt:name=x|label=y@@@"), "expanded"),
        (replace(TEXT, version="not a version"), "a version is written"),
        (replace(TEXT, template="Use sk-ant-api03-" + "Ab3" * 20), "looks like a key"),
        (replace(TEXT, config={"token": "ghp_" + "Ab3xYz" * 6}), "looks like a key"),
    ],
)
def test_refused_before_anything_is_sent(
    remote: Server, langfuse: StandInLangfuse, prompt: Prompt, complaint: str
) -> None:
    """What Langfuse would refuse, change or expand is refused by name, nothing is sent, and no key is repeated."""
    with pytest.raises(LangfuseRefused, match=complaint) as refused:
        push(remote, prompt)
    assert "Ab3" not in str(refused.value) and not asked(langfuse)


def test_text_that_would_be_expanded() -> None:
    """An include of the server is refused by the prompt itself already."""
    with pytest.raises(PromptError, match="expanded"):
        Prompt.from_text("p", "@@@langfusePrompt:name=x|label=y@@@")


# Pulling


def test_pull_by_number_label_or_production(remote: Server) -> None:
    """A version is found by number or label, without either by production; both together are refused."""
    push(remote, TEXT, labels=["candidate"])
    second = push(remote, TEXT.edit("Greet", "Meet"))
    move_label(remote, "greeting", 1)
    assert pull(remote, "greeting").number == pull(remote, "greeting", label="candidate").number == 1
    assert pull(remote, "greeting", number=2) == pull(remote, "greeting", label="latest") == second
    with pytest.raises(LangfuseRefused, match="not for both"):
        pull(remote, "greeting", number=1, label="candidate")


@pytest.mark.parametrize("which", [{}, {"number": 9}, {"label": "nobody"}])
def test_what_is_not_there(remote: Server, which: dict[str, Any]) -> None:
    """An unknown name, version or label is missing, and a name without versions has no numbers and no holders."""
    with pytest.raises(LangfuseMissing, match="Prompt not found: 'nothing'"):
        pull(remote, "nothing", **which)
    assert numbers(remote, "nothing") == holders(remote, "nothing") == ()


def test_nothing_is_expanded(remote: Server) -> None:
    """What the server would expand is read as it stands there, and is then no prompt of ours."""
    raw(remote, "part", "Be kind.")
    remote.call("label", lambda api: api.prompt_version.update("part", 1, new_labels=["l"], request_options=ONCE))
    raw(remote, "whole", "@@@langfusePrompt:name=part|label=l@@@ Greet.")
    with pytest.raises(LangfuseError, match=r"'whole', version 1: .*expanded"):
        pull(remote, "whole", number=1)


def test_names_with_slashes_are_one_segment(remote: Server) -> None:
    """A prompt in a folder is pushed, labelled, listed and pulled like any other."""
    prompt = replace(TEXT, name="team/greeting")
    push(remote, prompt)
    move_label(remote, "team/greeting", 1)
    assert pull(remote, "team/greeting").sha == prompt.sha
    assert holders(remote, "team/greeting") == numbers(remote, "team/greeting") == (1,)


@pytest.mark.parametrize("name", ["", ".", "..", "a//b", "/a", "a|b", "a<b>c"])
def test_names_that_are_none(remote: Server, langfuse: StandInLangfuse, name: str) -> None:
    """A name that Langfuse takes for something else is refused, whatever is asked about it."""
    with pytest.raises(LangfuseRefused, match="name"):
        numbers(remote, name)
    assert not asked(langfuse)


FOREIGN: list[Any] = [
    [{"type": "placeholder", "name": "history"}, {"role": "user", "content": "{{q}}"}],
    [{"role": "user", "content": "{% if x %}{{q}}{% endif %}"}],
    [{"role": "developer", "content": "x"}],
    [{"role": "user", "content": "{{ a.b }}"}],
    [],
]


@pytest.mark.parametrize("foreign", FOREIGN)
def test_foreign_content_is_named_and_stepped_over(remote: Server, foreign: Any) -> None:
    """A version that no Prompt can hold is an error with name and version, and disturbs nothing else of its name."""
    raw(remote, "chatty", foreign)
    with pytest.raises(LangfuseError, match=r"'chatty', version 1: this workbench cannot use it") as error:
        pull(remote, "chatty", number=1)
    assert type(error.value) is LangfuseError
    assert push(remote, CHAT).number == 2 and push(remote, CHAT).number == 2
    move_label(remote, "chatty", 1)
    assert holders(remote, "chatty") == (1,)
    assert [line.state for line in compare_local(remote, "chatty").lines] == ["only there", "only there"]


@pytest.mark.parametrize(
    "answer",
    [
        {"name": "other"},
        {"version": 7},
        {"config": [1]},
        {"prompt": 5},
        {"prompt": None},
        {"labels": None},
        {"config": {"a": float("nan")}},
    ],
)
def test_answers_are_not_trusted(between: Between, changed: Server, answer: dict[str, Any]) -> None:
    """An answer about something else, or of another shape, is an error of ours and never a prompt."""
    push(changed, TEXT)
    between.answer = lambda method, path, value: value | answer
    with pytest.raises(LangfuseError):
        pull(changed, "greeting", number=1)


def test_another_content_than_was_pushed(between: Between, changed: Server) -> None:
    """A server that stores another content than it was given is found out by the push."""
    between.answer = lambda method, path, value: value | ({"prompt": "Pwned."} if method == "POST" else {})
    with pytest.raises(LangfuseError, match="with another content"):
        push(changed, TEXT)


# Labels


def test_moving_a_label(remote: Server) -> None:
    """A moved label leaves its last holder, and leaves the new one's other labels where they were."""
    push(remote, TEXT, labels=["candidate"])
    push(remote, TEXT.edit("Greet", "Meet"))
    for number in (2, 1):
        move_label(remote, "greeting", number)
        assert holders(remote, "greeting") == (number,)
    assert set(pull(remote, "greeting", number=1).labels) == {"candidate", "production"}


@pytest.mark.parametrize("label", ["latest", "", "UPPER", "x" * 37])
def test_labels_that_no_move_may_set(remote: Server, langfuse: StandInLangfuse, label: str) -> None:
    """A label that Langfuse sets itself, or would only refuse on creation, is refused when moved, too."""
    with pytest.raises(LangfuseRefused, match="label"):
        move_label(remote, "greeting", 1, label)
    assert not asked(langfuse)


@pytest.mark.parametrize("filters", [True, False], ids=["filtered", "all versions listed"])
def test_two_holders_are_both_seen(between: Between, changed: Server, langfuse: StandInLangfuse, filters: bool) -> None:
    """Every holder is found, whether the server's listing leaves out the versions without the label or not."""
    if not filters:
        between.ask = lambda method, path: path.replace("label=production", "")
    for word in ("Greet", "Meet", "Face"):
        push(changed, TEXT if word == "Greet" else TEXT.edit("Greet", word))
    assert holders(changed, "greeting") == ()
    move_label(changed, "greeting", 3)
    assert holders(changed, "greeting") == (3,)
    langfuse.control("settings", {"race": 1})
    move_label(changed, "greeting", 1)
    assert holders(changed, "greeting") == (1, 3)
    langfuse.control("settings", {"race": True})
    move_label(changed, "greeting", 2)
    assert holders(changed, "greeting") == (1, 2, 3)


# Listing and comparing


def test_listing_has_all_pages(remote: Server) -> None:
    """Every name is listed with its versions, labels and tags, however many pages that takes."""
    for i in range(103):
        raw(remote, f"p{i:03}", "Text.")
    push(remote, replace(TEXT, name="p050"), labels=["candidate"])
    listed = listing(remote)
    assert [one.name for one in listed] == [f"p{i:03}" for i in range(103)]
    assert (listed[50].kind, listed[50].versions, listed[50].tags) == ("text", (1, 2), ("kind",))
    assert set(listed[50].labels) == {"candidate", "latest"}


def test_comparing_with_local_files(remote: Server) -> None:
    """Each version is told to be the same, changed since its push, or on one side only."""
    drafts = [Prompt.from_text("greeting", f"Greet {{{{who}}}} {i} times.") for i in range(3)]
    saved = [draft.save() for draft in drafts]
    push(remote, saved[0], labels=["candidate"])
    push(remote, replace(saved[1], template="Greet {{who}} once."))  # v2 as it was when it was pushed
    raw(remote, "greeting", "<script>alert(1)</script>")
    found = compare_local(remote, "greeting")
    assert [(line.local, line.number, line.state) for line in found.lines] == [
        ("v1", 1, "same"), ("v2", 2, "changed"), ("v3", None, "only here"), ("", 3, "only there"),
    ]  # fmt: skip
    assert found.lines[0].labels == ("candidate",)
    assert str(found).splitlines()[1].split() == ["local", "Langfuse", "labels", "state"]
    assert repr(found) == "Compared(greeting: 1 same, 1 changed, 1 only here, 1 only there)"
    assert "<table" in found._repr_html_() and "stand-in" in found._repr_html_()


# Faults


def test_server_away(remote: Server) -> None:
    """Nobody there is LangfuseAway for whatever is asked, and surely nothing was done."""
    with Server(Address("http://127.0.0.1:9", PUBLIC_KEY, SECRET_KEY)) as away:
        for ask in (lambda: push(away, TEXT), lambda: pull(away, "p"), lambda: holders(away, "p"),
                    lambda: move_label(away, "p", 1), lambda: listing(away)):  # fmt: skip
            with pytest.raises(LangfuseAway, match="nobody answers") as error:
                ask()
            assert not error.value.maybe_done


def test_wrong_keys(langfuse: StandInLangfuse) -> None:
    """Wrong keys are refused with what to check, and the secret is in no message."""
    with Server(Address(langfuse.url, PUBLIC_KEY, "sk-lf-wrong-one")) as server:
        for ask in (lambda: push(server, TEXT), lambda: pull(server, "p"), lambda: move_label(server, "p", 1)):
            with pytest.raises(LangfuseRefused, match="check LANGFUSE_PUBLIC_KEY") as error:
                ask()
            assert error.value.status == 401 and "wrong-one" not in str(error.value) + repr(server.address)
