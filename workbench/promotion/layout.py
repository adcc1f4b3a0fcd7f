"""The layout of a sealed bundle: every part that readers rely on, of the kind they rely on. A bundle comes with a pull
request, so it may be anything."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from workbench.langfuse.stamp import is_stampable
from workbench.verdict import WORDS

SCHEMA = 1
Test = Callable[[Any], bool]
_MOST = 2**53


def has_layout(content: Any) -> bool:
    """Whether a bundle's content is evidence of this layout, with no part that is unknown."""
    return _EVIDENCE(content) and content.keys() == _PARTS.keys() and content["schema"] == SCHEMA


def _anything(_: Any) -> bool:
    return True


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _version(value: Any) -> bool:
    """It becomes part of file names."""
    return isinstance(value, str) and is_stampable(value)


def _count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _MOST


def _real(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def _amount(value: Any) -> bool:
    return _real(value) and value >= 0


def _number(value: Any) -> bool:
    """Also in words: JSON has no infinities."""
    return _real(value) or (isinstance(value, str) and value in ("inf", "-inf", "nan"))


def _outcome(value: Any) -> bool:
    return isinstance(value, str) and value in WORDS


def _maybe(test: Test) -> Test:
    return lambda value: value is None or test(value)


def _each(test: Test) -> Test:
    return lambda value: isinstance(value, list) and all(map(test, value))


def _table(test: Test) -> Test:
    return lambda value: isinstance(value, dict) and all(map(test, value.values()))


def _object(**parts: Test) -> Test:
    return lambda value: (
        isinstance(value, dict) and all(name in value and test(value[name]) for name, test in parts.items())
    )


_PROMPT: dict[str, Test] = {"sha": _text, "text": _text, "template": _anything, "config": _table(_anything)}
_PAIR = _object(
    **dict.fromkeys(("held", "basis", "reason"), _text),
    **dict.fromkeys(("difference", "low", "high", "alpha"), _number),
    **dict.fromkeys(("n", "flips_better", "flips_worse", "missing", "left_out"), _count),
    outcome=_outcome,
    p_value=_maybe(_number),
    more_cases=_maybe(_count),
    more_usd=_maybe(_number),
)
_JUDGED: dict[str, Test] = {"metric": _text, "margin": _number, "outcome": _outcome, "verdicts": _each(_PAIR)}
_BOTH = _maybe(_object(candidate=_amount, baseline=_amount))
_PARTS: dict[str, Test] = {
    **dict.fromkeys(("name", "server", "by", "at", "source", "diff"), _text),
    **dict.fromkeys(("schema", "variants", "looks"), _count),
    "candidate": _object(version=_version, **_PROMPT),
    "baseline": _object(ref=_text, sha=_text),
    "production": _maybe(_object(number=_count, local_version=_text, **_PROMPT)),
    "dataset": _object(name=_text, sha=_text, split=_maybe(_text), cases=_count),
    "run": _object(id=_text, rows_sha256=_text, plan_sha256=_text),
    "models": _each(_object(model=_text, provider=_text, tier=_maybe(_text))),
    "verdict": _object(
        **dict.fromkeys(("candidate", "baseline", "dataset", "kind", "source"), _text),
        notes=_each(_text),
        share=_object(account=_count, k=_count, alpha=_real),
        **_JUDGED,
    ),
    "guards": _table(_maybe(_object(**_JUDGED))),
    "other_metrics": _table(_maybe(_object(**_JUDGED))),
    "costs": _each(_object(held=_text, usd_per_1000=_BOTH, latency_s=_BOTH, increase=_maybe(_number))),
    "judges": _each(
        _object(name=_text, identity=_text, calibration=_maybe(_object(
            model=_anything, date=_anything, source=_anything, n=_anything, agreement=_object(value=_maybe(_number))
        )))
    ),
    "versions": _table(_text),
}  # fmt: skip
_EVIDENCE = _object(**_PARTS)
