"""What a scorer is, and the one place where what it returns is read.

A scorer may be sync or async and may return a bool, a number, a mapping of names to those, a `Score`, or None for
"unscored". `@scorer(bounds=..., higher_is_better=..., metrics=[...])` declares what its numbers mean and are called.
"""

from __future__ import annotations

import hashlib
import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import CodeType
from typing import TYPE_CHECKING, Any, overload

from workbench.errors import BudgetReached, CatalogError, ScorerError, SettingsError, StorageError
from workbench.records import WORST_STOPS, Score, canonical

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from workbench.records import Case, Reply, Request

    Outcome = Any  # what a scorer may return: see the module's docstring
    Function = Callable[..., Outcome]
    Complete = Callable[[Request], Awaitable[Reply]]


@dataclass(frozen=True)
class Scorer:
    """A function with what is known about it.

    `metrics`: the names it gives values to, the deciding one first; empty when only running it tells. `bounds`: limits
    of its values; a value outside is refused. `identity`: what changes when its judgement might. `asks_models`: its
    function takes a third argument, `complete(request) -> Reply`, by which it asks models within the run's budget.
    """

    name: str
    function: Function
    metrics: tuple[str, ...] = ()
    bounds: tuple[float, float] | None = None
    higher_is_better: bool = True
    identity: str = ""
    asks_models: bool = False

    def __call__(self, case: Case, reply: Reply) -> Outcome:
        return self.function(case, reply)

    @property
    def worst(self) -> float:
        """The worst value: what refusals, truncations and unreadable answers get."""
        low, high = self.bounds or (0.0, 1.0)
        return low if self.higher_is_better else high

    def __repr__(self) -> str:
        return f"Scorer({self.name})"


@overload
def scorer(function: Function) -> Scorer: ...
@overload
def scorer(*, bounds: tuple[float, float] | None = None, higher_is_better: bool = True,
           name: str | None = None, metrics: Iterable[str] = ()) -> Callable[[Function], Scorer]: ...  # fmt: skip
def scorer(function: Function | None = None, *, bounds: tuple[float, float] | None = None,
           higher_is_better: bool = True, name: str | None = None, metrics: Iterable[str] = ()) -> Any:  # fmt: skip
    """Declare bounds and direction of a scorer: `@scorer(bounds=(0, 10), higher_is_better=False)`.

    `metrics`: the names in the mapping that it returns, the deciding one first, and no others; without them its bounds
    and direction hold for a name only where no other scorer could have given it. Raises ScorerError unless the lower
    bound is below the upper one and both are finite, and for metrics that are not different texts.
    """
    given = (metrics,) if isinstance(metrics, str) else tuple(metrics)
    if len(set(given)) < len(given) or not all(isinstance(one, str) and one for one in given):
        raise ScorerError(f"metrics {list(given)}: give each name once, as a text")
    if bounds is not None and not (math.isfinite(bounds[0]) and math.isfinite(bounds[1]) and bounds[0] < bounds[1]):
        raise ScorerError(f"bounds {bounds}: the first must be below the second, and both finite")

    def declare(function: Function) -> Scorer:
        own = str(name or getattr(function, "__name__", type(function).__name__))
        if not own.isidentifier():
            raise ScorerError("a scorer needs a name: use a named function, or @scorer(name=...)")
        named = list(given) or ""
        identity = hashlib.sha256(f"{_source(function)}{bounds}{higher_is_better}{named}".encode()).hexdigest()
        return Scorer(own, function, given, bounds, higher_is_better, identity)

    return declare if function is None else declare(function)


async def score(scorer: Scorer, case: Case, reply: Reply, complete: Complete | None = None) -> dict[str, Score]:
    """Scores by metric name; `complete` is handed to scorers that ask models. One of the two places that catch: a
    scorer that raises gives unscored values with the reason; only a budget that is reached, a disk that refuses, or a
    judge that nobody answers for ends the run. Refusals, truncations and filtered answers are answers and get the worst
    value."""
    try:
        outcome = scorer.function(case, reply, complete) if scorer.asks_models else scorer.function(case, reply)
        if inspect.isawaitable(outcome):
            outcome = await outcome
        found = _read(scorer, outcome)
    except (BudgetReached, StorageError, SettingsError, CatalogError):
        raise  # the last two: nobody can be asked, and every other reply would only say the same
    except Exception as error:  # noqa: BLE001  # anything may go wrong in a user's function
        reason = f"{scorer.name} raised {type(error).__name__}: {error}"
        found = {name: Score(None, reason) for name in scorer.metrics or (scorer.name,)}
    if reply.stop_reason in WORST_STOPS:
        reason = f"the answer ended with {reply.stop_reason}"
        return {name: Score(_worst(scorer, one.value), reason) for name, one in found.items()}
    return found


def _worst(scorer: Scorer, value: float | bool | None) -> float | bool:
    """The worst value on the scale of `value`: a scorer without declared bounds may leave 0 to 1."""
    if isinstance(value, bool):
        return not scorer.higher_is_better
    if scorer.bounds or value is None:
        return scorer.worst
    return min(scorer.worst, value) if scorer.higher_is_better else max(scorer.worst, value)


def _read(scorer: Scorer, outcome: Outcome) -> dict[str, Score]:
    """The natural return types, normalised."""
    if isinstance(outcome, Mapping):
        if not outcome:
            raise TypeError("it returned no metric")
        unnamed = [name for name in outcome if not isinstance(name, str) or not name]
        if unnamed:
            raise TypeError(f"metric names must be texts, got {unnamed[0]!r}")
        if scorer.metrics and (more := outcome.keys() - set(scorer.metrics)):
            raise TypeError(f"it returned {min(more)!r}, which is none of its metrics: {', '.join(scorer.metrics)}")
        return {name: _one(scorer, value) for name, value in outcome.items()}
    one = _one(scorer, outcome)
    if scorer.name in scorer.metrics or not scorer.metrics:
        return {scorer.name: one}
    if one.value is not None and len(scorer.metrics) > 1:
        raise TypeError(f"it returned one value for its metrics {', '.join(scorer.metrics)}")
    return dict.fromkeys(scorer.metrics, one)


def _one(scorer: Scorer, value: Any) -> Score:
    given = value if isinstance(value, Score) else Score(value)
    number = given.value
    if number is None or isinstance(number, bool):
        return given
    if hasattr(number, "item") and getattr(number, "size", 1) == 1:  # numpy's scalars
        number = number.item()
        given = replace(given, value=number)
        if isinstance(number, bool):
            return given
    if not isinstance(number, (int, float)):
        # not raised: the other metrics of a mapping keep their values
        return Score(None, f"{scorer.name} returned {type(number).__name__}; a score is a bool, a number or None")
    if not math.isfinite(number):
        return Score(None, f"{scorer.name} returned {number}")
    if scorer.bounds and not scorer.bounds[0] <= number <= scorer.bounds[1]:
        return Score(None, f"{number} lies outside the declared bounds {scorer.bounds}")
    return given


def _source(function: Any) -> str:
    """Text that changes when the function does, and is the same in every process: its source (else its bytecode) and
    the plain values that it closes over, is partially applied to, or holds as an object."""
    if isinstance(function, partial):
        return _source(function.func) + _values([list(function.args), function.keywords])
    code = getattr(function, "__code__", None)
    try:
        text = inspect.getsource(function if code else type(function))
    except (OSError, TypeError):
        text = _bytecode(code) if code else f"{type(function).__qualname__} {getattr(function, '__qualname__', '')}"
    held = [] if code else [_values(vars(function))] if hasattr(function, "__dict__") else []
    return "".join([text, *held, *(_cell(cell) for cell in getattr(function, "__closure__", None) or ())])


def _bytecode(code: CodeType) -> str:
    """Code with its constants, without the addresses and the orders of sets that differ from process to process."""
    shown = (_bytecode(one) if isinstance(one, CodeType) else repr(sorted(map(repr, one)))
             if isinstance(one, frozenset) else repr(one) for one in code.co_consts)  # fmt: skip
    return f"{code.co_code.hex()}{code.co_names}{list(shown)}"


def _cell(cell: Any) -> str:
    try:
        return _values(cell.cell_contents)
    except ValueError:  # not filled yet
        return ""


def _values(value: Any) -> str:
    """Plain data as its content, containers of other things as far as they are plain, anything else as its type."""
    if isinstance(value, dict):
        return "".join(f"{name}={_values(one)};" for name, one in value.items())
    if isinstance(value, list):
        return "".join(f"{_values(one)};" for one in value)
    try:
        return canonical(value)
    except (TypeError, ValueError, RecursionError):
        return type(value).__qualname__
