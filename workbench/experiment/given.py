"""What may be handed to an experiment: whatever else is given is refused by a sentence that says what is expected."""

from __future__ import annotations

import math
from collections.abc import Iterable
from numbers import Real
from typing import TYPE_CHECKING, Any

from workbench.errors import PlanError

if TYPE_CHECKING:
    from workbench.client import Session

SHOWN = 80
"""Characters of a wrong value that its refusal shows."""


def entries(argument: str, given: Any, kinds: tuple[type, ...], expected: str) -> list[Any]:
    """One thing of these kinds, or several of them, as a list. Raises PlanError for anything else."""
    if isinstance(given, kinds):
        return [given]
    if not isinstance(given, Iterable):
        raise refused(argument, given, expected)
    several = list(given)
    if wrong := [one for one in several if not isinstance(one, kinds)]:
        raise refused(argument, wrong[0], expected)
    return several


def whole(argument: str, given: Any, example: int, least: int | None = 1) -> None:
    """Raises PlanError unless a whole number was given, `least` or more."""
    if isinstance(given, bool) or not isinstance(given, int) or (least is not None and given < least):
        more = "" if least is None else f", {least} or more"
        raise refused(argument, given, f"a whole number{more}, such as {argument}={example}")


def word(argument: str, given: Any, example: str) -> None:
    """Raises PlanError unless a text was given."""
    if not isinstance(given, str) or not given:
        raise refused(argument, given, f'a text, such as {argument}="{example}"')


def cap(budget_usd: Any, session: Session) -> float | None:
    """The run's own cap: what was asked for, else the session's default; infinity means none. Raises PlanError."""
    dollars = budget_usd if budget_usd is not None else session.run_budget_usd
    if dollars is None:
        return None
    if isinstance(dollars, bool) or not isinstance(dollars, Real):
        raise refused("budget_usd", dollars, "a number of US dollars, such as budget_usd=2")
    if math.isnan(dollars) or dollars <= 0:
        raise PlanError(f"a budget of {dollars} dollars: it must be more than 0")
    return None if dollars == math.inf else float(dollars)


def refused(argument: str, given: Any, expected: str) -> PlanError:
    """What is wrong with an argument, and what it should be."""
    shown = repr(given)
    told = shown if len(shown) <= SHOWN else f"{shown[: SHOWN - 1]}…"
    return PlanError(f"{argument} is {told}: give {expected}")


def check_options(
    *,
    sample: Any = None,
    split: Any = None,
    seed: Any = 0,
    cache: Any = "on",
    concurrency: Any = None,
    on_row: Any = None,
) -> None:
    """Raises PlanError for an option of a run that is of another kind than it should be."""
    if sample is not None:
        whole("sample", sample, 30)
    whole("seed", seed, 1, least=None)
    if split is not None:
        word("split", split, "dev")
    word("cache", cache, "on")
    if concurrency is not None:
        whole("concurrency", concurrency, 16)
    if on_row is not None and not callable(on_row):
        raise refused("on_row", on_row, "a function of one Row, such as on_row=print")
