"""Masking: what must not leave this machine is replaced before anything is handed to Langfuse.

Keys go first, then the user's own patterns, then e-mail addresses, cards and phone numbers. The rules for numbers,
since most numbers are neither:

- a card is 13 to 19 digits, in whole groups parted by single spaces or dashes, that pass the Luhn check and begin with
  a digit that payment brands use (2 to 6, 8, 9);
- a phone number is `+` and 8 to 15 digits; or `00`, a country code and a separator; or 3-3-4 digits as in North
  America; or a leading 0 with separators and 9 to 12 digits; or 7 to 15 bare digits right after a word such as
  "phone:". Dates, times, amounts, bare order numbers and whatever follows a `#` are none of these.
"""

from __future__ import annotations

import re
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Self

from workbench.errors import SettingsError
from workbench.settings import SECRET, setting, tool_table, workspace

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

KEYS = {
    "a private key": r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----[\s\S]*?(?:-----END [A-Z ]{0,40}-----|\Z)",
    "an Anthropic key": r"sk-ant-(?=[A-Za-z_\-]{0,64}\d)[\w\-]{8,}",
    "a Langfuse key": r"[sp]k-lf-[\w\-]{4,}",
    "an API key (sk-...)": r"(?<![A-Za-z0-9])sk-(?=[A-Za-z_\-]{0,64}\d)[\w\-]{16,}",
    "an AWS key": r"A(?:KIA|SIA)[A-Z0-9]{16}",
    "a GitHub token": r"gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}",
    "a Slack token": r"xox[abeoprs]-[A-Za-z0-9\-]{10,}",
    "a Google key": r"AIza[\w\-]{35}",
    "a JSON Web Token": r"eyJ[\w\-]{8,400}+(?:\.[\w\-]++){2,4}",
    "a bearer token": r"[Bb]earer[ \t]+(?=[^\s\d]{0,200}\d)[\w.~+/\-]{12,}=*",
    "an authorization header": r"[Aa]uthorization[\"']?[ \t]*[:=][ \t]*[\"']?\w+[ \t]+[^\s\"',]{8,}",
}
"""Kind of key -> how it looks. Every repetition is bounded or ends at a character it cannot hold: texts are hostile."""

SHORTEST_SECRET = 4
"""A shorter value would shred every text and is no secret."""

_STARTS = (
    *("sk-", "-lf-", "KEY-", "AKIA", "ASIA", "AIza", "eyJ", "earer", "uthorization", "xox"),
    *("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
)
"""One of these is in every text that holds a key: looking for them first is much faster than the patterns."""

_EMAIL = re.compile(
    r"(?:(?<![\w.!#$%*+^~\-])[\w.!#$%*+^~\-]++|[&'/=?`{|}])@(?:\w[\w\-]*+\.)+(?:xn--[a-zA-Z0-9\-]++|[^\W\d_]{2,}+)"
)
_GAP = r"[ \-\u00a0\u2009\u2010\u2011\u2013\u202f]"
_LONG_NUMBER = re.compile(rf"\d(?:{_GAP}?[().\-/]{{0,2}}{_GAP}?\d){{6}}")
_DIGIT_GROUPS = re.compile(rf"(?<![\d#])\d(?:{_GAP}?\d){{12,}}")
_GROUP = re.compile(r"\d+")
_NOT_A_DATE = r"(?!\d\d[ ./\-]\d\d[ ./\-](?:19|20)\d\d(?!\d))"
_PHONE = re.compile(
    r"(?<![\d+])\+[1-9](?:[ ().\-/\u00a0\u2011]{0,3}\d){7,14}(?!\d)"
    r"|(?<![\w#+.,/\-])00[1-9]\d{0,2}[ ().\-/](?:[ ().\-/]{0,2}\d){6,12}(?!\d)"
    r"|(?<![\w#+.,/\-])(?:1[ .\-])?(?:\([2-9]\d\d\)[ ]?|[2-9]\d\d[ .\-])[2-9]\d\d[ .\-]\d{4}(?![\w\-]|[.,]\d)"
    r"|(?<![\w#+.,/\-])0[1-9](?:[.]\d\d){4}(?![\w\-]|[.,]\d)"
    rf"|(?<![\w#+.,/\-]){_NOT_A_DATE}\(?0[1-9]\d{{0,4}}\)?[ \-/]{{1,3}}(?:\d[ \-/]?){{3,10}}\d(?![\w\-]|[.,:]\d)"
    r"|(?<![\w#+.,/\-])[0-9]{7,15}(?![\w\-]|[.,]\d)"
)
_FEWEST = {"+": 8, "0": 9}
_CALLED = re.compile(
    r"(?i)(?:phone|tel|telephone|telefon|mobile|mobil|cell|handy|fax|whatsapp|call (?:me|us) (?:at|on))"
    r"(?:[ ]?(?:no|nr|number|nummer))?\W{0,3}(?:is|:)?\W{0,3}\Z"
)
_BEFORE = 32
_PLACES = 8
"""Passes at most: replacing something may bare what stood beside it, twice is rare."""


class Mask:
    """Replaces e-mail addresses, phone numbers, cards, keys and the user's own patterns by `[e-mail]`, `[phone]`,
    `[card]`, `[key]` and `[name of the pattern]`.

    `secrets`: texts that are masked as keys wherever they occur. `own`: name -> regular expression; a pathological one
    makes masking slow, which is its author's risk. Raises SettingsError naming a wrong one.
    """

    def __init__(self, secrets: Iterable[str] = (), own: Mapping[str, str] | None = None) -> None:
        self._secrets = sorted({one for one in secrets if len(one) >= SHORTEST_SECRET}, key=len, reverse=True)
        self._literal = re.compile("|".join(map(re.escape, self._secrets)) or r"(?!)")
        self._own = [(f"[{name}]", _compiled(name, pattern)) for name, pattern in (own or {}).items()]
        names = ["e-mail", "phone", "card", "key", *(own or {})]
        self._done = re.compile(rf"(\[(?:{'|'.join(map(re.escape, names))})\])")

    @classmethod
    def of_workspace(cls) -> Self:
        """The mask in force: every key that is set, and `[tool.workbench.mask]` of the workspace's pyproject.toml."""
        return cls(secrets_in_force().values(), _own_patterns())

    def mask(self, text: str) -> str:
        """`text` with everything replaced that must not leave; masking twice is masking once."""
        for _ in range(_PLACES):
            masked = self._once(text)
            if masked == text:
                break
            text = masked
        return text

    def mask_data(self, value: Any) -> Any:
        """JSON data with every text masked, names of fields and numbers too; a number that is masked becomes text."""
        if isinstance(value, str):
            return self.mask(value)
        if isinstance(value, dict):
            return self._fields(value)
        if isinstance(value, list | tuple):
            return [self.mask_data(one) for one in value]
        if value is None or isinstance(value, bool):
            return value
        shown = str(value)
        masked = self.mask(shown)
        return value if masked == shown else masked

    def _fields(self, value: dict[Any, Any]) -> dict[str, Any]:
        """Two names that are masked alike stay two fields."""
        found: dict[str, Any] = {}
        for name, one in value.items():
            masked = wanted = self.mask(str(name))
            number = 1
            while wanted in found:
                number += 1
                wanted = f"{masked} {number}"
            found[wanted] = self.mask_data(one)
        return found

    def _once(self, text: str) -> str:
        if self._secrets:
            text = self._literal.sub("[key]", text)
        if any(start in text for start in _STARTS):
            text = _KEY.sub("[key]", text)
        for name, pattern in self._own:
            text = self._between(name, pattern, text)
        if "@" in text:
            text = _EMAIL.sub("[e-mail]", text)
        if _LONG_NUMBER.search(text):
            text = _PHONE.sub(_phone, _DIGIT_GROUPS.sub(_cards, text))
        return text

    def _between(self, name: str, pattern: re.Pattern[str], text: str) -> str:
        """What was masked before is left alone: a pattern such as `mail` would else never come to rest."""
        pieces = self._done.split(text) if "[" in text else [text]
        pieces[::2] = [pattern.sub(lambda found: name if found[0] else "", piece) for piece in pieces[::2]]
        return "".join(pieces)

    def __repr__(self) -> str:
        own = ", ".join(name for name, _ in self._own)
        return f"Mask(e-mail, phone, card, key{', ' if own else ''}{own})"


def key_in(text: str) -> str | None:
    """The kind of key that `text` holds, such as "an Anthropic key"; None without one. Never the key itself."""
    for name, value in secrets_in_force().items():
        if len(value) >= SHORTEST_SECRET and value in text:
            return f"the value of {name}"
    found = _KEY.search(text) if any(start in text for start in _STARTS) else None
    return None if found is None else _KINDS[found.lastgroup or ""]


def secrets_in_force() -> dict[str, str]:
    """Setting -> its value, for every setting that is secret and set."""
    return {name: text for name in sorted(SECRET) if (text := setting(name).text)}


_KINDS = {f"k{number}": kind for number, kind in enumerate(KEYS)}
_KEY = re.compile("|".join(f"(?P<k{number}>{pattern})" for number, pattern in enumerate(KEYS.values())))


def _cards(found: re.Match[str]) -> str:
    """A run of digit groups with every stretch of whole groups replaced that is a card."""
    run = found[0]
    groups = list(_GROUP.finditer(run))
    shown, at, first = "", 0, 0
    while first < len(groups):
        last = _end_of_card(groups, first)
        if last is None:
            first += 1
            continue
        shown += run[at : groups[first].start()] + "[card]"
        at, first = groups[last].end(), last + 1
    return shown + run[at:]


def _end_of_card(groups: list[re.Match[str]], first: int) -> int | None:
    """The last of the groups that are a card together with `first`: the longest such number."""
    if groups[first][0][0] not in "2345689":
        return None
    sizes = accumulate(len(group[0]) for group in groups[first : first + 19])
    fits = [first + number for number, size in enumerate(sizes) if 13 <= size <= 19]
    for last in reversed(fits):
        digits = "".join(group[0] for group in groups[first : last + 1])
        if _luhn(digits):
            return last
    return None


def _luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def _phone(found: re.Match[str]) -> str:
    text = found[0]
    if text.isdigit():
        before = found.string[max(found.start() - _BEFORE, 0) : found.start()]
        return "[phone]" if _CALLED.search(before) else text
    digits = sum(map(str.isdigit, text))
    return "[phone]" if digits >= _FEWEST.get(text.lstrip("(")[0], 0) else text


def _own_patterns() -> dict[str, str]:
    table = tool_table("mask")
    for name, pattern in table.items():
        if not isinstance(pattern, str):
            raise SettingsError(f"{_where(name)}: must be a regular expression in quotes")
    return table


def _compiled(name: str, pattern: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise SettingsError(f"{_where(name)}: {pattern!r} is no regular expression: {error}") from None
    if compiled.match("") or not name.strip():
        raise SettingsError(f"{_where(name)}: {pattern!r} matches an empty text, or has no name")
    return compiled


def _where(name: str) -> str:
    return f"{workspace() / 'pyproject.toml'}: [tool.workbench.mask] {name}"
