"""What ragas' tests share: scoring one reply with a run's client, or with a judge that says what it is told."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from workbench import client, scorers
from workbench.client import Asking
from workbench.records import Case, Reply, Request, Score
from workbench.traffic import Traffic

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

JUDGE = "anthropic:claude-sonnet-5-5"
EMBEDDING = "openai:text-embedding-3-small"
CASE = Case(
    "c1",
    {"context": "Receipts must reach the desk within 14 days.", "question": "How long do I have to hand in receipts?"},
    "14 days",
)


class Told:
    """A judge that says what it is told, in order, the last again and again; `asked` keeps the requests."""

    def __init__(self, *answers: Any, vectors: Callable[[str], list[float]] = lambda text: [1.0, 0.0]) -> None:
        self.asked: list[Request] = []
        self.embedded: list[str] = []
        self._answers = answers
        self._vectors = vectors

    async def __call__(self, request: Request) -> Reply:
        self.asked.append(request)
        answer = self._answers[min(len(self.asked), len(self._answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, Reply) else Reply(json.dumps(answer))

    async def embed(self, ref: str, texts: Sequence[str]) -> list[list[float]]:
        await asyncio.sleep(0)
        self.embedded += texts
        return [self._vectors(text) for text in texts]


def scored(one: scorers.Scorer, told: Told | None = None, text: str = "14 days", case: Case = CASE) -> Score:
    """The score by a judge that is told what to say."""
    return asyncio.run(scorers.score(one, case, Reply(text), told))[one.name]  # type: ignore[arg-type]


def judged(one: scorers.Scorer, text: str = "14 days", case: Case = CASE, mode: str = "on") -> tuple[Score, Asking]:
    """The score by the session's simulated judge, through a client of its own."""

    async def run() -> tuple[Score, Asking]:
        own = client.Client(client.current(), mode=mode, traffic=Traffic(4))
        judging = Asking(own)
        try:
            return (await scorers.score(one, case, Reply(text), judging))[one.name], judging
        finally:
            await own.close()

    return asyncio.run(run())
