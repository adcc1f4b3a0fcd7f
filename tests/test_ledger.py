"""Laws of the ledger: spent, uncertain and reserved money together never pass a cap, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import math
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import BudgetReached
from workbench.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Sequence

dollars = st.floats(1e-6, 2.0)


class Watched(Ledger):
    """A ledger that checks its cap whenever anything in it changes."""

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name in ("spent_usd", "uncertain_usd", "reserved_usd") and self.cap_usd is not None:
            assert self.taken() <= self.cap_usd * (1 + 1e-12)

    def taken(self) -> float:
        return sum(getattr(self, name, 0.0) for name in ("spent_usd", "uncertain_usd", "reserved_usd"))


async def call(ledger: Ledger, worst: float, share: float, fate: str, order: random.Random) -> str:
    """A trial: reserve, work for a few turns of the loop, settle."""
    try:
        reservation = await ledger.reserve(worst)
    except BudgetReached:
        return "refused"
    for _ in range(order.randrange(4)):
        await asyncio.sleep(0)
    if fate == "lost":
        ledger.settle(reservation, 0.0, worst)
    else:
        ledger.settle(reservation, worst * share if fate == "paid" else 0.0)
    return fate


calls = st.lists(
    st.tuples(dollars, st.floats(0, 1), st.sampled_from(["paid", "lost", "free"])), min_size=64, max_size=64
)


@given(calls, st.floats(0.01, 40), st.integers(0, 9))
def test_64_parallel_trials_never_exceed_the_cap(
    trials: Sequence[tuple[float, float, str]], cap: float, seed: int
) -> None:
    """64 parallel trials keep spent + uncertain + reserved at or below the cap at every moment, all end, none is
    refused that would still have fitted, and nothing stays reserved."""
    ledger = Watched(cap)

    async def main() -> list[str]:
        order = random.Random(seed)
        return await asyncio.gather(*(call(ledger, *trial, order) for trial in trials))

    ends = asyncio.run(asyncio.wait_for(main(), 20))
    spent = sum(worst * share for (worst, share, fate), end in zip(trials, ends, strict=True) if end == fate == "paid")
    lost = sum(worst for (worst, _, fate), end in zip(trials, ends, strict=True) if end == fate == "lost")
    assert ledger.reserved_usd == 0.0
    assert (ledger.spent_usd, ledger.uncertain_usd) == (pytest.approx(spent), pytest.approx(lost))
    refused = [worst for (worst, _, _), end in zip(trials, ends, strict=True) if end == "refused"]
    assert all(ledger.taken() + worst > cap * (1 - 1e-12) for worst in refused)


@given(calls, st.floats(0.01, 40), st.floats(0.01, 40), st.integers(0, 9))
def test_run_and_session_caps_hold_together(trials: Sequence[tuple[float, float, str]], run_cap: float, cap: float,
                                            seed: int) -> None:  # fmt: skip
    """Two runs of a session keep their own caps and the session's, which counts what both spent."""
    session = Watched(cap)
    runs = [Watched(run_cap, session), Watched(None, session)]

    async def main() -> list[str]:
        order = random.Random(seed)
        return await asyncio.gather(*(call(runs[i % 2], *trial, order) for i, trial in enumerate(trials)))

    asyncio.run(asyncio.wait_for(main(), 20))
    assert session.spent_usd == pytest.approx(sum(run.spent_usd for run in runs))
    assert session.uncertain_usd == pytest.approx(sum(run.uncertain_usd for run in runs))
    assert all(ledger.reserved_usd == 0.0 for ledger in (session, *runs))


def stuck(task: asyncio.Task[object]) -> bool:
    return not task.done()


async def turns(n: int = 5) -> None:
    for _ in range(n):
        await asyncio.sleep(0)


def test_waits_while_money_may_come_back() -> None:
    """A call that does not fit now but may fit later waits, and goes as soon as enough came back."""

    async def main() -> None:
        ledger = Ledger(1.0)
        first = await ledger.reserve(0.6)
        second = asyncio.create_task(ledger.reserve(0.6))
        await turns()
        assert stuck(second)
        ledger.settle(first, 0.3)
        assert (await second).amount_usd == 0.6
        assert ledger.reserved_usd == 0.6

    asyncio.run(main())


def test_refused_when_waiting_cannot_help() -> None:
    """A call that would not fit even if all under way cost nothing is refused at once, with what was spent."""

    async def main() -> None:
        ledger = Ledger(1.0)
        ledger.settle(await ledger.reserve(0.5), 0.5)
        await ledger.reserve(0.4)
        with pytest.raises(BudgetReached, match=r"budget of \$1 reached: \$0\.500 spent.*may cost up to \$0\.600"):
            await asyncio.wait_for(ledger.reserve(0.6), 1)

    asyncio.run(main())


def test_waiting_ends_when_the_money_is_gone() -> None:
    """A waiting call is refused once the calls under way have spent what it would have needed, lost ones included."""

    async def main() -> None:
        ledger = Ledger(1.0)
        first = await ledger.reserve(0.9)
        waiting = asyncio.create_task(ledger.reserve(0.2))
        await turns()
        ledger.settle(first, 0.0, 0.9)
        with pytest.raises(BudgetReached, match=r"perhaps \$0\.900 for calls that broke off"):
            await waiting

    asyncio.run(main())


def test_interrupted_waiter_takes_nothing() -> None:
    """A call interrupted while it waits leaves no reservation, and those behind it go on."""

    async def main() -> None:
        ledger = Ledger(1.0)
        first = await ledger.reserve(1.0)
        gone, next_ = (asyncio.create_task(ledger.reserve(1.0)) for _ in range(2))
        await turns()
        gone.cancel()
        ledger.settle(first, 0.0)
        await next_
        await turns()
        assert gone.cancelled()
        assert ledger.reserved_usd == 1.0

    asyncio.run(main())


@given(st.lists(st.floats(1e-9, 1e6), min_size=2, max_size=40), st.randoms(use_true_random=False))
def test_rounding_leaves_nobody_waiting(amounts: list[float], order: random.Random) -> None:
    """When the last call under way has settled, nothing is reserved any more, whatever rounding did to the sums: a hair
    left behind would have others wait for money that nobody will give back."""

    async def main() -> None:
        cap = sum(amounts) * 2
        ledger = Ledger(cap)
        under_way = [await ledger.reserve(amount) for amount in amounts]
        waiting = asyncio.create_task(ledger.reserve(cap))
        order.shuffle(under_way)
        for reservation in under_way:
            ledger.settle(reservation)
        assert (await asyncio.wait_for(waiting, 5)).amount_usd == cap

    asyncio.run(main())


def test_unpriced_under_a_cap_is_refused() -> None:
    """A call of unknown price is refused under any cap, the session's too, and allowed where there is none."""

    async def main() -> None:
        for ledger in (Ledger(1.0), Ledger(None, Ledger(1.0)), Ledger(1.0, Ledger())):
            assert ledger.is_capped
            with pytest.raises(BudgetReached, match="price of this model is unknown"):
                await ledger.reserve(None)
        free = Ledger(None, Ledger())
        assert not free.is_capped
        free.settle(await free.reserve(None), None)
        assert free.spent_usd == 0.0

    asyncio.run(main())


def test_amounts_that_are_no_number_fit_nowhere() -> None:
    """A cap or an amount that is not a number refuses the call: a comparison that is always false lets nothing pass."""

    async def main() -> None:
        for ledger, amount in [(Ledger(math.nan), 0.1), (Ledger(1.0), math.nan)]:
            with pytest.raises(BudgetReached):
                await asyncio.wait_for(ledger.reserve(amount), 1)
            assert ledger.reserved_usd == 0.0

    asyncio.run(main())


def test_free_calls_pass_a_full_ledger() -> None:
    """A local model that costs nothing goes on when the budget is spent to the last cent."""

    async def main() -> None:
        ledger = Ledger(1.0)
        ledger.settle(await ledger.reserve(1.0), 1.0)
        assert (await ledger.reserve(0.0)).amount_usd == 0.0
        with pytest.raises(BudgetReached):
            await ledger.reserve(0.01)

    asyncio.run(main())
