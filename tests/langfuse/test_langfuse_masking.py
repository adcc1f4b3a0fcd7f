"""Masking: what must not leave is gone, and everything else is as it was."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from workbench.errors import SettingsError
from workbench.langfuse.masking import Mask, key_in

if TYPE_CHECKING:
    from pathlib import Path

WORD = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
ALNUM = WORD + "0123456789"
MASK = Mask()

STAY = [
    "2026-11-22",
    "22.11.2026",
    "11/22/2026",
    "01/02/2026 10:30",
    "02.01.2026 10:30 - 12:45",
    "1,234.56",
    "12.345.678,90 EUR",
    "+1,234.56",
    "#100482",
    "order 4930123456",
    "#0171-1234567",
    "2026-11-22T17:57:48.123456+00:00",
    "2026-11-22T17:57:48Z",
    "1763834268",
    "1763834268123",
    "192.168.100.200",
    "550e8400-e29b-41d4-a716-446655440000",
    "4111 1111 1111 1112",
    "0.1234567890123",
    "USD 1 234 567 890",
    "3.14159265358979",
    "task-2026-11-22-something",
    "npm install left-pad@1.2.3",
    "@everyone",
    "bearer of responsibilities",
    "a sk-ipping rope",
    "f67b37aac997fde51b17b6753274e99cf836c76241f63bd54a91df7239dae94a",
]
GO = [
    ("joe@example.com", "[e-mail]"),
    ("jörg.müller+x@mail.bücher-höfe.de", "[e-mail]"),
    ("+49 (0)30 123456-78", "[phone]"),
    ("+4930123456", "[phone]"),
    ("0049 30 1234567", "[phone]"),
    ("(555) 223-4567", "[phone]"),
    ("555-223-4567", "[phone]"),
    ("1-555-223-4567", "[phone]"),
    ("555.223.4567", "[phone]"),
    ("020 7946 0958", "[phone]"),
    ("0171/1234567", "[phone]"),
    ("01 23 45 67 89", "[phone]"),
    ("01.23.45.67.89", "[phone]"),
    ("phone: 5552234567", "phone: [phone]"),
    ("4111 1111 1111 1111", "[card]"),
    ("4111-1111-1111-1111", "[card]"),
    ("378282246310005", "[card]"),
    ("sk-ant-api03-abcDEF_123456", "[key]"),
    ("sk-proj-abcdefghij0123456789", "[key]"),
    ("sk-lf-stand-in", "[key]"),
    ("pk-lf-1234-5678", "[key]"),
    ("AKIAIOSFODNN7EXAMPLE", "[key]"),
    ("ghp_" + "a1" * 18, "[key]"),
    ("github_pat_" + "a1" * 18, "[key]"),
    ("xoxb-123456789012-abcdef", "[key]"),
    ("AIza" + "a1" * 17 + "b", "[key]"),
    ("Bearer abcdef1234567890", "[key]"),
    ("Authorization: Basic cGstbGY6c2stbGY=", "[key]"),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "[key]"),
    ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", "[key]"),
    ("-----BEGIN OPENSSH PRIVATE KEY-----\ncut off", "[key]"),
]
QUIET = st.text(st.characters(blacklist_characters="0123456789@+#[]-_.", blacklist_categories=("Cs", "Nd", "Pc")))
"""Text that holds nothing of what is looked for, and no character that could belong to it."""


def luhn_digit(digits: str) -> str:
    """The digit that makes `digits` pass."""
    doubled = [int(d) * (2 if i % 2 == 0 else 1) for i, d in enumerate(reversed(digits))]
    return str(-sum(d - 9 if d > 9 else d for d in doubled) % 10)


@st.composite
def cards(draw: st.DrawFn) -> str:
    """A number that passes the Luhn check, bare or in groups."""
    first = draw(st.sampled_from("2345689"))
    digits = first + draw(st.text("0123456789", min_size=11, max_size=17))
    digits += luhn_digit(digits)
    gap, size = draw(st.sampled_from(["", " ", "-", "\u00a0"])), draw(st.integers(3, 6))
    return gap.join(digits[i : i + size] for i in range(0, len(digits), size))


@st.composite
def emails(draw: st.DrawFn) -> str:
    """An address of words, digits, and the marks that people use."""
    part = st.text(ALNUM, min_size=1, max_size=8)
    local = draw(st.lists(part, min_size=1, max_size=3))
    labels = draw(st.lists(part, min_size=1, max_size=3))
    return (
        f"{draw(st.sampled_from('.+_-')).join(local)}@{'.'.join(labels)}.{draw(st.text(WORD, min_size=2, max_size=6))}"
    )


@st.composite
def phones(draw: st.DrawFn) -> str:
    """An international number as people group it, or a North American one."""
    digits = st.text("0123456789", min_size=1, max_size=4)
    if draw(st.booleans()):
        gap = draw(st.sampled_from([" ", "-", ".", "/", ""]))
        groups = draw(st.lists(digits, min_size=3, max_size=6).filter(lambda g: 6 <= sum(map(len, g)) <= 12))
        return "+" + gap.join([str(draw(st.integers(10, 99))), *groups])
    area, exchange, line = (draw(st.integers(low, high)) for low, high in ((200, 999), (200, 999), (1000, 9999)))
    return draw(st.sampled_from(["({}) {}-{}", "{}-{}-{}", "{}.{}.{}", "+1 {} {} {}"])).format(area, exchange, line)


@st.composite
def keys(draw: st.DrawFn) -> str:
    """A key of any vendor."""
    body = draw(st.text(ALNUM, min_size=35, max_size=35))
    body = "7" + body[1:]
    shapes = [
        "sk-{}",
        "sk-ant-api03-{}",
        "sk-lf-{}",
        "pk-lf-{}",
        "ghp_{}",
        "github_pat_{}",
        "xoxb-{}",
        "AIza{}",
        "Bearer {}",
    ]
    return draw(st.sampled_from(shapes)).format(body)


@pytest.mark.parametrize("text", STAY)
def test_ordinary_text_stays(text: str) -> None:
    """Dates, times, amounts, order numbers, versions and hashes are not touched."""
    assert MASK.mask(f"see {text}, thanks") == f"see {text}, thanks" and MASK.mask(text) == text


@pytest.mark.parametrize(("text", "shown"), GO)
def test_each_kind_is_replaced(text: str, shown: str) -> None:
    """Each kind is replaced by its name, alone and in a sentence."""
    assert MASK.mask(text) == shown
    assert MASK.mask(f"so: {text}\nend") in (f"so: {shown}\nend", f"so: {shown}")


@given(QUIET, st.one_of(cards(), emails(), phones(), keys()), QUIET)
@example("", "4222222222222", "")
def test_what_is_generated_vanishes(before: str, secret: str, after: str) -> None:
    """An address, card, phone number or key is gone wherever it stands."""
    masked = MASK.mask(f"{before} {secret} {after}")
    assert secret not in masked
    digits = re.sub(r"\D", "", secret)
    assert len(digits) < 8 or digits not in re.sub(r"\D", "", masked)


@given(st.emails(), QUIET)
def test_even_strange_addresses_lose_their_domain(address: str, around: str) -> None:
    """An address by the letter of the standard loses its domain and its @."""
    assert address.rpartition("@")[2] not in MASK.mask(f"{around} <{address}> {around}").replace(around, "")


@given(QUIET)
def test_quiet_text_is_unchanged(text: str) -> None:
    """Text without any of it is the same text."""
    assert MASK.mask(text) == text


@given(st.lists(st.one_of(st.text(max_size=12), cards(), emails(), phones(), keys())))
def test_masking_twice_is_masking_once(parts: list[str]) -> None:
    """What was masked comes to rest, with patterns of the user's too."""
    for mask in (MASK, Mask(["hunter2!"], {"mail": "mail", "number": r"\d{3}", "bracket": r"\w\]"})):
        once = mask.mask("".join(parts))
        assert mask.mask(once) == once


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | QUIET,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(QUIET, inner, max_size=4),
    max_leaves=12,
)


@given(JSON, emails())
def test_data_keeps_its_shape(value, address: str) -> None:
    """In JSON data an address vanishes from texts and from names of fields, and no field is lost."""
    masked = MASK.mask_data({"here": [address, value], address: value, address + "x": 1})
    assert address not in json.dumps(masked, ensure_ascii=False)
    assert len(masked) == 3 and list(masked)[1:] == ["[e-mail]", "[e-mail] 2"]


def test_numbers_are_masked_too() -> None:
    """A card that was given as a number is masked as well; other numbers stay numbers."""
    assert MASK.mask_data([4111111111111111, 17, 1.5, True, None]) == ["[card]", 17, 1.5, True, None]


def test_the_values_of_secret_settings_are_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a key in force looks like, it is masked and found in prompts."""
    monkeypatch.setenv("OLLAMA_API_KEY", "just a phrase")
    assert Mask.of_workspace().mask("say just a phrase!") == "say [key]!"
    assert key_in("say just a phrase!") == "the value of OLLAMA_API_KEY"
    assert "phrase" not in repr(Mask.of_workspace())


@pytest.mark.parametrize(("text", "kind"), [("use sk-ant-api03-abc123456", "an Anthropic key"), ("nothing", None)])
def test_the_kind_of_a_key_is_named(text: str, kind: str | None) -> None:
    """A prompt is told the kind of key it holds, never the key."""
    assert key_in(text) == kind


def test_own_patterns(home: Path) -> None:
    """Patterns in the workspace's pyproject.toml are masked under their names."""
    (home / "pyproject.toml").write_text("[tool.workbench.mask]\n'badge number' = 'B-\\d{4}'\n")
    assert Mask.of_workspace().mask("B-1234 and joe@example.com") == "[badge number] and [e-mail]"


@pytest.mark.parametrize("pattern", ["'('", "'x*'", "7"])
def test_wrong_patterns_are_named(home: Path, pattern: str) -> None:
    """A pattern that is none, matches everywhere or is no text is refused with its name."""
    (home / "pyproject.toml").write_text(f"[tool.workbench.mask]\nbadge = {pattern}\n")
    with pytest.raises(SettingsError, match="badge"):
        Mask.of_workspace()


@given(st.text(), st.text())
def test_any_text_can_be_masked(before: str, after: str) -> None:
    """Half surrogates, control characters and other scripts do not stop masking."""
    assume("@" not in before + after)
    assert "joe@example.com" not in MASK.mask(f"{before} joe@example.com {after}\ud800")
