"""Laws of the traffic: who is tried again and after how long, and how many calls are under way."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench import errors
from workbench.errors import CallError, ConnectionRefused, RateLimited, ServerFailed
from workbench.traffic import Retries, Traffic

AGAIN = [errors.RateLimited, errors.Overloaded, errors.ServerFailed, errors.TimedOut, errors.ConnectionLost]
NEVER = [errors.KeyRefused, errors.RequestRefused, errors.QuotaReached, errors.MalformedReply]


@pytest.mark.parametrize("kind", [*AGAIN, *NEVER, errors.ConnectionRefused], ids=lambda kind: kind.__name__)
def test_number_of_attempts(kind: type[CallError]) -> None:
    """Passing failures are tried five times in all, a refused connection twice, what no waiting cures only once."""
    allowed = 5 if kind in AGAIN else 2 if kind is errors.ConnectionRefused else 1
    pauses = [Retries().pause(kind("x"), attempt) for attempt in range(1, 8)]
    assert [pause is not None for pause in pauses] == [attempt < allowed for attempt in range(1, 8)]


def test_every_call_error_is_sorted() -> None:
    """Every kind of call error is in one of the lists above, so that a new one cannot be forgotten."""
    assert set(CallError.__subclasses__()) == {*AGAIN, *NEVER, errors.ConnectionRefused}


@given(st.floats(0.01, 10), st.floats(0.01, 100), st.integers(1, 29))
def test_pauses_double_up_to_the_longest(first_s: float, longest_s: float, attempt: int) -> None:
    """Without a word from the server the pause doubles, is jittered by half, and never passes the longest."""
    pause = Retries(attempts=30, first_s=first_s, longest_s=longest_s).pause(ServerFailed("x"), attempt)
    ceiling = min(first_s * 2 ** (attempt - 1), longest_s)
    assert pause is not None
    assert ceiling / 2 <= pause <= ceiling


@given(st.floats(0, 120), st.integers(1, 4))
def test_the_server_is_believed(asked_s: float, attempt: int) -> None:
    """What the server asks for is waited at least, whatever the attempt, and given up when it is too long."""
    pause = Retries().pause(RateLimited("x", status=429, retry_after_s=asked_s), attempt)
    if asked_s > 60:
        assert pause is None
    else:
        assert pause is not None
        assert asked_s <= pause <= asked_s * 1.1 + 1e-9


def test_pauses_are_jittered() -> None:
    """Those who were refused together do not come back together."""
    for error in (ServerFailed("x"), RateLimited("x", retry_after_s=10)):
        assert len({Retries().pause(error, 1) for _ in range(20)}) > 15


def test_no_attempts_left() -> None:
    """With one attempt allowed nothing is ever tried again, a refused connection neither."""
    for error in (ServerFailed("x"), ConnectionRefused("x")):
        assert Retries(attempts=1).pause(error, 1) is None


def crew(traffic: Traffic, providers: list[str], work_turns: int = 3) -> tuple[dict[str, int], int]:
    """The most calls that were ever under way per provider, and all together, when every provider's calls go out."""
    now, most, peak = dict.fromkeys(providers, 0), dict.fromkeys(providers, 0), [0]

    async def call(provider: str) -> None:
        async with traffic.slot(provider) as waited_s:
            assert waited_s >= 0.0
            now[provider] += 1
            most[provider] = max(most[provider], now[provider])
            peak[0] = max(peak[0], traffic.in_flight)
            for _ in range(work_turns):
                await asyncio.sleep(0)
            now[provider] -= 1

    async def main() -> None:
        await asyncio.gather(*(call(provider) for provider in providers for _ in range(20)))

    asyncio.run(main())
    return most, peak[0]


def test_slots_bound_each_provider() -> None:
    """No provider ever has more calls under way than allowed, all of that is used, and providers do not share slots."""
    traffic = Traffic(concurrency=4)
    assert crew(traffic, ["anthropic", "openai"]) == ({"anthropic": 4, "openai": 4}, 8)
    assert traffic.in_flight == 0


def test_slots_come_back() -> None:
    """A call that fails or is interrupted, while it works or while it waits, gives its slot back."""
    traffic = Traffic(concurrency=1)

    async def call(fail: bool) -> None:
        async with traffic.slot("openai"):
            await asyncio.sleep(0)
            if fail:
                raise ServerFailed("x")
            await asyncio.Event().wait()

    async def main() -> None:
        with pytest.raises(ServerFailed):
            await call(fail=True)
        working, waiting = (asyncio.create_task(call(fail=False)) for _ in range(2))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert traffic.in_flight == 1
        for task in (waiting, working):
            task.cancel()
        await asyncio.gather(working, waiting, return_exceptions=True)
        assert traffic.in_flight == 0
        async with traffic.slot("openai"):
            assert traffic.in_flight == 1

    asyncio.run(asyncio.wait_for(main(), 10))
