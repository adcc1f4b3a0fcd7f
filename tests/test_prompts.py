"""Laws of the prompts: one-pass rendering, hashes that survive the file, versions that are never overwritten."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import PromptError, StorageError
from workbench.prompts import (
    Prompt,
    diff_words,
    load_prompt,
    load_prompts,
    prompt_names,
    to_yaml,
    unused,
    word_diff,
)
from workbench.records import Message

if TYPE_CHECKING:
    from pathlib import Path

SHIPPED = ["invoice-fields", "policy-answer", "ticket-triage"]
JUDGES = ["judge-grounded", "judge-pair", "judge-relevance", "judge-rubric"]
names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
literals = st.text().filter(lambda text: "{" not in text and "}" not in text)
# What YAML writers get wrong: other line breaks, outer and trailing white space, tabs, indicators, look-alikes.
breaks = st.sampled_from(["\n", "\r\n", "\r", "\x85", "\u2028", "\u2029", "\t", " ", "  \n", "\n\n ", "\ufeff",
    "\x00", "\x7f",
                          "- ", "# ", ": ", "'", '"', "\\", "null", "1e3", "🙃", "é", "|", ">", "%", "&a", "*a",
                          "---\n", "...\n",
                          "word ", "x" * 120])  # fmt: skip
hostile = st.lists(breaks | st.text(max_size=5), min_size=1, max_size=12).map("".join)
templates = hostile.filter(lambda text: text.strip() and "{{" not in text and "{%" not in text)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | hostile,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(hostile, inner, max_size=3),
    max_leaves=6,
)


def write(home: Path, text: str | bytes, name: str = "mine", version: str = "v1") -> None:
    path = home / "prompts" / name / f"{version}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())


def version_file(**changes: Any) -> str:
    return json.dumps({"name": "mine", "type": "text", "prompt": "Say {{word}}.", **changes})


# Rendering


@given(st.lists(names, min_size=1, max_size=5), st.data())
def test_render_fills_every_variable_once(variables: list[str], data: st.DataObject) -> None:
    """Every variable is replaced verbatim in one pass, and what a value brings along is never expanded again."""
    values = {name: data.draw(st.text() | st.sampled_from([f"{{{{{v}}}}}" for v in variables])) for name in variables}
    pieces = [data.draw(literals) for _ in range(len(variables) + 1)]
    template, expected = pieces[0], pieces[0]
    for name, piece in zip(variables, pieces[1:], strict=True):
        template += f"{{{{{data.draw(st.sampled_from(['', ' ']))}{name} }}}}{piece}"
        expected += values[name] + piece
    prompt = Prompt.from_text("p", template)
    assert prompt.variables == tuple(dict.fromkeys(variables))
    assert prompt.render(values) == (Message("user", expected),)


def test_render_chat_keeps_roles() -> None:
    """A chat prompt renders each of its messages under its own role."""
    prompt = Prompt("p", (Message("system", "Be {{how}}."), Message("user", "{{q}} {{how}}")))
    assert prompt.render({"how": "brief", "q": "Why?"}) == (
        Message("system", "Be brief."),
        Message("user", "Why? brief"),
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [(3, "3"), (None, "null"), (["ä", 1], '["ä", 1]'), ({"a": 0.5}, '{"a": 0.5}'), ("1", "1"), (True, "true")],
)
def test_other_values_go_in_as_json(value: object, text: str) -> None:
    """Strings go in as they are, anything else as JSON."""
    assert Prompt.from_text("p", "{{x}}").render({"x": value})[0].content == text


def test_values_that_are_no_data() -> None:
    """A value that JSON cannot say is refused under the prompt's name, never rendered as its repr."""
    with pytest.raises(PromptError, match=r"p@draft-.*object"):
        Prompt.from_text("p", "{{x}}").render({"x": object()})


def test_missing_variables_are_named_together() -> None:
    """Render names all missing variables at once, with what the case does give."""
    with pytest.raises(PromptError, match="no value for a, c; the case gives b, d"):
        Prompt.from_text("p", "{{a}} {{b}} {{c}}").render({"b": "", "d": ""})


@pytest.mark.parametrize(
    "text",
    ["{{}}", "{{ }}", "{{a b}}", "{{a.b}}", "{{#each x}}", "{{{a}}}", "{{a", "{{a}", "{% if a %}", "{{1a}}",
     "{{a-b}}", "{{ä}}",
     "{{'{{'}}", '{"a": {{"b": 1}}}', "@@@langfusePrompt:name=x@@@", "{{a\n|upper}}"],
)  # fmt: skip
def test_other_constructs_are_refused(text: str) -> None:
    """What Langfuse would expand, or what is no plain variable, is refused when the prompt is made."""
    with pytest.raises(PromptError):
        Prompt.from_text("p", f"before {text} after")


@pytest.mark.parametrize(
    "text", ['{"a": 1}', "{a}", "}} alone", '{"a": {"b": {{x}} }}', "100 %", "{ {x} }", "a {{x}}}"]
)
def test_single_braces_are_text(text: str) -> None:
    """Single braces, such as those of JSON in a prompt, stay what they are."""
    rendered = Prompt.from_text("p", text).render({"x": "1"})[0].content
    assert rendered == text.replace("{{x}}", "1")


# Identity


@given(
    st.one_of(templates, st.lists(templates, min_size=1, max_size=3)),
    st.dictionaries(hostile, plain, max_size=3),
    hostile,
)
def test_yaml_keeps_the_hash(texts: str | list[str], config: dict[str, Any], message: str) -> None:
    """Any template and config written as YAML and read back has the same content hash, tags and message."""
    config.pop("by_provider", None)
    template = texts if isinstance(texts, str) else tuple(Message("user", text) for text in texts)
    prompt = Prompt("mine", template, config, tags=(message,), commit_message=message)
    content = yaml.load(to_yaml(prompt), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    entries = content["prompt"]
    read = Prompt("mine", entries if isinstance(entries, str) else tuple(Message(**entry) for entry in entries),
                  content["config"], tuple(content["tags"]), content["commit_message"])  # fmt: skip
    assert (read.sha, read.template, read.tags, read.commit_message) == (prompt.sha, template, (message,), message)


def test_block_style_stays_readable() -> None:
    """An ordinary text of several lines is written as a block that a person can edit, not as one quoted line."""
    text = to_yaml(Prompt.from_text("mine", "First line.\n\n  - indented äöü 🙃\nLast {{x}}."))
    assert "prompt: |-\n  First line.\n\n    - indented äöü 🙃\n  Last {{x}}.\n" in text


def test_hash_covers_what_changes_answers() -> None:
    """Template and config change the hash; tags, version and commit message do not."""
    prompt = Prompt.from_text("p", "Say {{x}}.", max_tokens=5)
    assert replace(prompt, tags=("t",), version="v9", commit_message="m").sha == prompt.sha
    others = [replace(prompt, template="Say {{x}}!"), replace(prompt, config={"max_tokens": 6}),
              replace(prompt, template=(Message("user", "Say {{x}}."),))]  # fmt: skip
    assert len({prompt.sha, *(other.sha for other in others)}) == 4


def test_params_per_provider() -> None:
    """`by_provider` overrides the config for its provider alone and is never sent itself."""
    prompt = Prompt.from_text(
        "p", "x", max_tokens=5, effort="low", by_provider={"openai": {"effort": "none", "top_p": 0.5}}
    )
    assert prompt.params("anthropic") == {"max_tokens": 5, "effort": "low"}
    assert prompt.params("openai") == {"max_tokens": 5, "effort": "none", "top_p": 0.5}


def test_edit_makes_a_draft() -> None:
    """An edit gives a draft named by its hash, leaves the original alone, and refuses to change nothing."""
    prompt = load_prompt("ticket-triage@v2")
    draft = prompt.edit("nothing else", "no prose")
    assert draft.ref == f"ticket-triage@draft-{draft.sha[:8]}"
    assert draft.is_draft
    assert "no prose" in draft.text
    assert "no prose" not in prompt.text
    for old in ("not in there", ""):
        with pytest.raises(PromptError, match="nothing would change"):
            prompt.edit(old, "x")


# Shown in a cell


def test_a_prompt_shows_its_text() -> None:
    """A prompt shows its version, variables, parameters and text, as text and never as markup."""
    prompt = Prompt.from_text("mine", "<script>alert(1)</script> $x$ {{who}} & {{ what }}", max_tokens=64)
    html = prompt._repr_html_()
    assert "<script" not in html and "&lt;script&gt;" in html
    assert f"mine@{prompt.version}</b>, not saved" in html
    assert "variables: who, what" in html and "&quot;max_tokens&quot;: 64" in html
    assert html.count("<span") == 2 and ">{{who}}</span>" in html and ">{{ what }}</span>" in html
    assert "mathjax_ignore" in html
    assert repr(prompt) == f"Prompt(mine@{prompt.version}, variables who, what)"


def test_a_draft_shows_what_was_edited() -> None:
    """A draft shows its words against the version that it began as, however often it was edited since; once it is
    saved it is a version like any other."""
    draft = load_prompt("ticket-triage@v3").edit("Answer with", "Think first, then answer with").edit("first", "twice")
    html = draft._repr_html_()
    assert draft.edited_from == load_prompt("ticket-triage@v3")
    assert "edited from ticket-triage@v3" in html
    assert re.findall(r"<(del|ins)[^>]*>([^<]*)</", html) == [("del", "Answer"), ("ins", "Think twice, then answer")]
    saved = draft.save()
    assert "<ins" not in saved._repr_html_() and "edited from" not in saved._repr_html_()
    assert saved.edited_from is None and saved.edit("twice", "thrice").edited_from == saved
    assert draft == replace(draft, edited_from=None) and draft.sha == saved.sha


def test_a_long_prompt_is_shown_short() -> None:
    """Of a prompt of any length little HTML is made, and an edit in the middle of it is in there."""
    prompt = Prompt.from_text("mine", "\n".join(f"line {i} {{{{v{i}}}}}" for i in range(100_000)))
    assert len(prompt._repr_html_()) < 200_000
    html = prompt.edit("line 50000 ", "LINE 50000 ")._repr_html_()
    assert len(html) < 200_000 and ">LINE</ins>" in html and " characters …" in html


# Files


def test_a_missing_workspace_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the workspace's folder does not exist, an unknown prompt's message says so."""
    monkeypatch.setenv("WORKBENCH_HOME", str(home / "nowhere"))
    with pytest.raises(PromptError, match=f"no prompt named 'greet'.*the workspace {home}/nowhere is no folder"):
        load_prompt("greet")


def test_windows_files_read_the_same(home: Path) -> None:
    """A version file with a byte order mark and Windows line ends holds the same prompt."""
    text = "name: mine\ntype: text\nprompt: |\n  one\n\n  two {{x}}\n"
    write(home, text)
    write(home, b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode(), version="v2")
    assert load_prompt("mine@v1").text == load_prompt("mine@v2").text == "one\n\ntwo {{x}}\n"


def test_shipped_prompts() -> None:
    """The shipped prompts load under their own names, and those that are meant to be compared have four versions."""
    found = prompt_names()
    assert sorted(found) == sorted(SHIPPED + JUDGES)
    for name, versions in found.items():
        assert len(versions) >= 4 or name in JUDGES
        assert [load_prompt(f"{name}@{version}").ref for version in versions] == [f"{name}@{v}" for v in versions]


def test_load_prompts_by_list_and_by_name() -> None:
    """A list of versions means those, a bare name its newest four, and spaces or a trailing comma mean nothing."""
    assert [p.version for p in load_prompts("ticket-triage@v2, v1,")] == ["v2", "v1"]
    assert [p.version for p in load_prompts("ticket-triage")] == ["v1", "v2", "v3", "v4"]
    for number in range(5, 13):
        Prompt.from_text("ticket-triage", f"number {number}").save()
    assert [p.version for p in load_prompts("ticket-triage")] == ["v9", "v10", "v11", "v12"]
    assert load_prompt("ticket-triage").version == "v12"


@pytest.mark.parametrize(
    ("ref", "hint"),
    [
        ("ticket-triag", "did you mean 'ticket-triage'"),
        ("ticket-triage@v99", "there are: v1, v2"),
        ("../etc@v1", "write name@version"),
        ("./ticket-triage@v1", "write name@version"),
        ("", "write name@version"),
        ("a b", "write name@version"),
    ],
)
def test_unknown_prompts_name_the_choices(ref: str, hint: str) -> None:
    """A prompt that does not exist, or is none, is refused with the choices or the way to write one."""
    with pytest.raises(PromptError, match=hint):
        load_prompt(ref)


def test_workspace_hides_shipped(home: Path) -> None:
    """A version file of the workspace hides the shipped one of the same version, and only that one."""
    write(home, version_file(name="ticket-triage", prompt="Mine."), "ticket-triage", "v2")
    assert load_prompt("ticket-triage@v2").text == "Mine."
    assert load_prompt("ticket-triage@v3").text != "Mine."


BAD_FILES = [
    ("a: [", "YAML"),
    (b"name: mine\ntype: text\nprompt: M\xfcnchen", "line 3 is not UTF-8; save the file with the encoding UTF-8"),
    ("[]", "must be a mapping"),
    ("", "must be a mapping"),
    (version_file(extra=1), "unknown key 'extra'"),
    ('{"name": "mine", "type": "text"}', "missing prompt"),
    (version_file(name="other"), "folder is 'mine'"),
    (version_file(type="poem"), "text or chat"),
    (version_file(type=[]), "text or chat"),
    (version_file(type="chat"), "prompt is text"),
    (version_file(prompt=5), "no text"),
    (version_file(prompt="  \n"), "empty"),
    (version_file(type="chat", prompt=[]), "messages"),
    (version_file(type="chat", prompt=[{"role": "user"}]), "role and content"),
    (version_file(type="chat", prompt=[{"role": "tool", "content": "x"}]), "role 'tool'"),
    (version_file(type="chat", prompt=[{"role": ["user"], "content": "x"}]), "role"),
    (version_file(type="chat", prompt=[{"role": "user", "content": 5}]), "must be text"),
    (version_file(type="chat", prompt=[{"role": "system", "content": "x"}]), "user message"),
    (version_file(prompt="{{a b}}"), "variable name"),
    (version_file(config=["x"]), "config must be a mapping"),
    (version_file(config={"by_provider": {"openai": 3}}), "by_provider"),
    ("name: mine\ntype: text\nprompt: x\nconfig: {day: 2026-01-01}", "plain JSON"),
    ("name: mine\ntype: text\nprompt: x\nconfig: {day: 2026-99-99}", "YAML"),
    ("name: mine\ntype: text\nprompt: x\nconfig: {x: .nan}", "plain JSON"),
    ("name: mine\ntype: text\nprompt: x\nconfig: &a {x: *a}", "plain JSON"),
    ("name: mine\ntype: text\nprompt: !!python/object/apply:os.getcwd []", "YAML"),
    (version_file(tags="support"), "list of words"),
    (version_file(tags=[1]), "list of words"),
    (version_file(commit_message=["x"]), "must be text"),
]


@pytest.mark.parametrize(("text", "fault"), BAD_FILES, ids=[fault for _, fault in BAD_FILES])
def test_bad_files_are_named(text: str | bytes, fault: str, home: Path) -> None:
    """A version file that is wrong is refused with its path and with what is wrong in it."""
    write(home, text)
    with pytest.raises(PromptError, match=fault) as caught:
        load_prompt("mine@v1")
    assert str(home / "prompts" / "mine" / "v1.yaml") in str(caught.value)


def test_save_writes_the_next_version_once(home: Path) -> None:
    """Saving gives the next version, saving the same content again gives that version, and no other file appears."""
    draft = load_prompt("ticket-triage@v2").edit("nothing else", "no prose")
    saved = draft.save("Shorter.")
    assert (saved.ref, saved.sha, saved.commit_message) == ("ticket-triage@v5", draft.sha, "Shorter.")
    assert draft.save().ref == saved.save("Other words.").ref == "ticket-triage@v5"
    assert [path.name for path in (home / "prompts" / "ticket-triage").iterdir()] == ["v5.yaml"]
    assert load_prompt("ticket-triage@v1").save().ref == "ticket-triage@v1"


@given(templates)
def test_saved_text_is_loaded_unchanged(text: str) -> None:
    """Whatever text is saved is loaded with the same hash."""
    saved = Prompt.from_text("mine", text, stop=["\r\n", "\x85"]).save()
    assert load_prompt(saved.ref).template == text


def test_numpy_parameters_can_be_saved() -> None:
    """A parameter out of numpy's linspace is saved as the plain number that it is."""
    draft = Prompt.from_text("mine", "x", temperature=np.linspace(0, 1, 3)[1], stop=("a",))
    assert load_prompt(draft.save().ref).config == {"temperature": 0.5, "stop": ["a"]}


def test_text_that_yaml_cannot_hold(home: Path) -> None:
    """A text that could not be loaded again is refused before any file is written."""
    with pytest.raises(PromptError, match="cannot be saved"):
        Prompt.from_text("mine", "lone \ud800 surrogate").save()
    assert not (home / "prompts").exists()


def test_save_where_nothing_can_be_written(home: Path) -> None:
    """A disk that refuses the file is a StorageError with the cure, and nothing is left behind."""
    (home / "prompts").write_text("a file where the folder should be")
    with pytest.raises(StorageError, match="Free space or rights"):
        Prompt.from_text("mine", "x").save()


SAVER = """
import sys
from workbench.prompts import Prompt
print("ready", flush=True)
sys.stdin.readline()
for i in range(12):
    print(Prompt.from_text("mine", f"text {i} of {sys.argv[1]}").save().ref)
    print(Prompt.from_text("mine", f"shared {i}").save().ref)
"""


def test_two_processes_never_overwrite(home: Path) -> None:
    """Two processes that save at once get a version of their own for each text: none is lost, none is overwritten."""
    pipe = subprocess.PIPE
    savers = [
        subprocess.Popen([sys.executable, "-c", SAVER, who], stdin=pipe, stdout=pipe, text=True)
        for who in ("one", "two")
    ]
    for saver in savers:
        assert saver.stdout
        assert saver.stdout.readline() == "ready\n"
    for saver in savers:
        assert saver.stdin
        saver.stdin.write("\n")
        saver.stdin.flush()
    printed = [saver.communicate(timeout=30)[0].split() for saver in savers]
    assert all(saver.returncode == 0 for saver in savers)
    kept = {version: load_prompt(f"mine@{version}").text for version in prompt_names()["mine"]}
    for who, refs in zip(("one", "two"), printed, strict=True):
        for i in range(12):
            assert kept[refs[2 * i].partition("@")[2]] == f"text {i} of {who}"
            assert kept[refs[2 * i + 1].partition("@")[2]] == f"shared {i}"
    assert sorted(kept.values()) == sorted({*kept.values()}), "the same text was saved twice"
    assert not [path for path in (home / "prompts" / "mine").iterdir() if not path.name.startswith("v")]


# Differences


@given(st.text("ab \n", max_size=30), st.text("ab \n", max_size=30))
def test_diff_holds_both_texts(old: str, new: str) -> None:
    """The pieces of a difference add up to the old text and to the new one."""
    pieces = diff_words(old, new)
    assert "".join(text for sign, text in pieces if sign in "=-") == old
    assert "".join(text for sign, text in pieces if sign in "=+") == new


def test_diff_by_words() -> None:
    """A changed word is shown as removed and added, with all around it kept."""
    assert word_diff("Answer with one word.", "Answer in one word.") == "Answer [-with-]{+in+} one word."
    a, b = Prompt.from_text("p", "Say {{x}}."), Prompt.from_text("p", "Say {{x}}!")
    assert a.diff(b) == "Say [-{{x}}.-]{+{{x}}!+}"


def test_unused_inputs() -> None:
    """An input counts as unused only if none of the prompts uses it."""
    prompts = [Prompt.from_text("p", "{{a}}"), Prompt.from_text("p", "{{b}}")]
    assert unused(prompts, ["a", "b", "c"]) == ["c"]
