"""Laws of the settings: where each comes from, what is refused, and that no key is ever shown."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.client import use
from workbench.connect import live, process_ledger
from workbench.errors import SettingsError
from workbench.settings import (
    DEFAULTS,
    SECRET,
    Setting,
    concurrency,
    is_live,
    load,
    setting,
    settings_in_force,
    state_dir,
    workspace,
)

if TYPE_CHECKING:
    from pathlib import Path

KEY = "sk-very-secret-0123456789"


def test_environment_over_dotenv_over_default(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment wins over the workspace's .env, and that over the shipped default; an empty variable is none."""
    assert (setting("WORKBENCH_CONCURRENCY").text, setting("WORKBENCH_CONCURRENCY").origin) == ("16", "default")
    (home / ".env").write_text("WORKBENCH_CONCURRENCY=8\n")
    assert (setting("WORKBENCH_CONCURRENCY").text, setting("WORKBENCH_CONCURRENCY").origin) == ("8", ".env")
    monkeypatch.setenv("WORKBENCH_CONCURRENCY", "4")
    assert (setting("WORKBENCH_CONCURRENCY").text, setting("WORKBENCH_CONCURRENCY").origin) == ("4", "environment")
    monkeypatch.setenv("WORKBENCH_CONCURRENCY", "")
    assert setting("WORKBENCH_CONCURRENCY").origin == ".env"


def test_dotenv_is_read_again_when_it_changes(home: Path) -> None:
    """An edited .env counts at once, and a removed one no longer."""
    env = home / ".env"
    env.write_text("OLLAMA_FAST=one\n")
    assert setting("OLLAMA_FAST").text == "one"
    env.write_text("OLLAMA_FAST=two\n")
    os.utime(env, ns=(1, 1))
    assert setting("OLLAMA_FAST").text == "two"
    env.unlink()
    assert setting("OLLAMA_FAST").text is None


def test_unreadable_dotenv(home: Path) -> None:
    """A .env that is no UTF-8 is named with the cure, instead of a traceback of the decoder."""
    (home / ".env").write_bytes(b"OLLAMA_FAST=\xff\xfe\n")
    with pytest.raises(SettingsError, match=r"\.env.*UTF-8"):
        setting("OLLAMA_FAST")


@pytest.mark.parametrize("line", [f"OPENAI_API_KEY {KEY}", "OPENAI_API_KEY", f"OPENAI_API_KEY: {KEY}", KEY, "MINE"])
def test_a_line_that_sets_nothing(line: str, home: Path) -> None:
    """A line of the .env without `=` is refused with its number and without what it holds, which may be a key."""
    (home / ".env").write_text(f"# mine\n\nOLLAMA_FAST=one\n{line}\n")
    with pytest.raises(SettingsError, match=r"\.env, line 4: a line is NAME=value") as caught:
        setting("OLLAMA_FAST")
    assert KEY not in str(caught.value)


def test_other_lines_of_a_dotenv_are_left_alone(home: Path) -> None:
    """Comments, empty lines, quotes, `export`, a byte order mark and other programs' names are no faults."""
    text = "\ufeffOLLAMA_FAST='one two'\n\n# x\nexport OLLAMA_BALANCED=b # c\nMINE=\n"
    (home / ".env").write_text(text, "utf-8")
    assert (setting("OLLAMA_FAST").text, setting("OLLAMA_BALANCED").text) == ("one two", "b")
    load()


def test_misspelt_settings_are_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that looks like one of our settings and is none is said, in the .env and in the environment; names that
    mean something to others are not."""
    for name in ("WORKBENCH_NIGHT", "WORKBENCH_HOME_PAGE", "OPENAI_API_KEY_2"):
        monkeypatch.setenv(name, "x")
    load()
    monkeypatch.setenv("WORKBENCH_TIMEOUT", "5")
    (home / ".env").write_text("WORKBENCH_CONCURENCY=3\n")
    with pytest.raises(SettingsError, match=r"CONCURENCY \(\.env\).*CONCURRENCY.*TIMEOUT \(environment\).*TIMEOUT_S"):
        load()


def test_dotenv_does_not_reach_the_environment(home: Path) -> None:
    """Keys of the .env stay out of the process environment, where every subprocess would inherit them."""
    (home / ".env").write_text(f"OPENAI_API_KEY={KEY}\n")
    assert load().openai_api_key.get_secret_value() == KEY
    assert "OPENAI_API_KEY" not in os.environ


def test_defaults_are_valid() -> None:
    """The shipped defaults pass their own validation."""
    values = load()
    assert {name.lower() for name in DEFAULTS} == set(type(values).model_fields)
    assert values.workbench_live is False
    assert values.workbench_run_budget == 5.0


@pytest.mark.parametrize("name", sorted(SECRET))
def test_keys_are_never_shown(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No repr, no table of settings and no validated settings object shows a key."""
    monkeypatch.setenv(name, KEY)
    shown = [repr(setting(name)), setting(name).shown(), repr(settings_in_force()), repr(load()), str(load())]
    assert KEY not in "".join(shown)
    assert "set, hidden" in repr(setting(name))


def test_a_key_is_not_in_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong setting is complained about without quoting any key."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("WORKBENCH_RUN_BUDGET", KEY)
    with pytest.raises(SettingsError) as caught:
        load()
    assert KEY not in str(caught.value)


words = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=12)


@given(user=words, password=words, scheme=st.sampled_from(["http://", "https://", ""]))
def test_addresses_hide_credentials(user: str, password: str, scheme: str) -> None:
    """An address is shown without the credentials that it carries, whatever characters they hold."""
    secret = f"{password}~secret~{password}"
    shown = Setting("OPENAI_BASE_URL", f"{scheme}{user}:{secret}@host.example:8080/v1", "environment").shown()
    assert "~secret~" not in shown
    assert shown.endswith("host.example:8080/v1")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://localhost:11434/v1", "http://localhost:11434/v1"),
        ("localhost:11434", "localhost:11434"),
        ("https://host.example/v1?api_key=abc", "https://host.example/v1?***"),
    ],
)
def test_addresses_stay_readable(text: str, shown: str) -> None:
    """An address without credentials is shown as it is, but for what follows a question mark."""
    assert Setting("OLLAMA_HOST", text, ".env").shown() == shown


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "many", "²", "9" * 5000])
def test_wrong_concurrency(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both readers of the concurrency refuse what is no whole number from 1, naming the setting."""
    monkeypatch.setenv("WORKBENCH_CONCURRENCY", text)
    for reader in (concurrency, load):
        with pytest.raises(SettingsError, match="WORKBENCH_CONCURRENCY"):
            reader()


@pytest.mark.parametrize("text", ["1", "64", " 8 "])
def test_right_concurrency(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both readers of the concurrency agree on what they accept."""
    monkeypatch.setenv("WORKBENCH_CONCURRENCY", text)
    assert concurrency() == load().workbench_concurrency == int(text)


def test_all_wrong_settings_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every wrong setting is named in one error, which says where to look."""
    for name, text in {"WORKBENCH_RUN_BUDGET": "-1", "WORKBENCH_TIMEOUT_S": "nan", "OPENAI_API": "soap"}.items():
        monkeypatch.setenv(name, text)
    with pytest.raises(SettingsError, match=r"OPENAI_API.*WORKBENCH_RUN_BUDGET.*WORKBENCH_TIMEOUT_S.*doctor"):
        load()


@pytest.mark.parametrize(
    ("text", "live"), [("1", True), ("TRUE", True), ("yes", True), ("0", False), ("perhaps", False)]
)
def test_live_must_be_said_clearly(text: str, live: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a clear yes asks for real calls."""
    monkeypatch.setenv("WORKBENCH_LIVE", text)
    assert is_live() is live


def test_workspace(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The workspace is WORKBENCH_HOME, else the current folder, always absolute; asking creates nothing."""
    assert workspace() == home
    assert state_dir("runs", "x") == home / ".workbench" / "runs" / "x"
    assert not (home / ".workbench").exists()
    monkeypatch.delenv("WORKBENCH_HOME")
    monkeypatch.chdir(home)
    assert workspace() == home


@pytest.mark.parametrize("text", ["five", "nan", "inf", "-1", "0"])
def test_wrong_process_budget(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cap of the process that is no amount of money is a SettingsError with the cure, whoever reads it first."""
    process_ledger.cache_clear()
    monkeypatch.setenv("WORKBENCH_PROCESS_BUDGET", text)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    for reader in (load, process_ledger, live):
        with pytest.raises(SettingsError, match=r"WORKBENCH_PROCESS_BUDGET.*doctor"):
            reader()


def test_process_budget_caps_every_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """One ledger stands above all live sessions of a process, with the cap that is set, and `doctor` names it."""
    process_ledger.cache_clear()
    monkeypatch.setenv("WORKBENCH_PROCESS_BUDGET", "2.5")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    try:
        first, second = live(budget_usd=1).ledger, live().ledger
        assert first.parent is second.parent is process_ledger()
        assert process_ledger().cap_usd == 2.5
        assert "WORKBENCH_PROCESS_BUDGET=2.5" in repr(settings_in_force())
    finally:
        use(None)
        process_ledger.cache_clear()
