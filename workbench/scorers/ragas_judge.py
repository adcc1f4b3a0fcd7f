"""Who answers ragas: the calls of one metric for one reply, by way of the run's own client. Knows nothing of ragas."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol

from workbench.errors import ScorerError
from workbench.records import WORST_STOPS, Message, Request
from workbench.scorers.schemas import strict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from workbench.records import Reply
    from workbench.scorers.ragas import Plan


class Asking(Protocol):
    """What a run hands to scorers that ask models (`workbench.client.Asking`)."""

    async def __call__(self, request: Request) -> Reply: ...

    async def embed(self, ref: str, texts: Sequence[str]) -> list[list[float]]: ...


class Judge:
    """The calls that one metric makes for one reply, by way of the run's client."""

    def __init__(self, plan: Plan, complete: Asking) -> None:
        self._plan = plan
        self._complete = complete
        self._asked: Counter[str] = Counter()
        self._vectors: dict[str, list[float]] = {}
        self._said: list[dict[str, Any]] = []

    async def answer(self, prompt: str, schema: Mapping[str, Any], name: str) -> str:
        """The judge's JSON. The same prompt asked again is another draw, which the cache must keep apart."""
        provider, _, model = self._plan.model.partition(":")
        repeat = self._asked[prompt]
        self._asked[prompt] += 1
        request = Request(
            provider=provider,
            endpoint="",
            model=model,
            messages=(Message("user", prompt),),
            params=self._plan.params,
            output_schema=strict(schema),
            repeat=repeat,
        )
        reply = await self._complete(request)
        if reply.stop_reason in WORST_STOPS:
            cure = "; give it more room with max_tokens=" if reply.stop_reason == "max_tokens" else ""
            raise ScorerError(f"{self._plan.model} ended its {name} with {reply.stop_reason}{cure}")
        return reply.text

    def note(self, said: dict[str, Any], name: str) -> None:
        """Keep an answer. Raises ScorerError for a verdict other than 0 and 1: ragas adds them up as they are."""
        for verdict in _verdicts(said):
            if verdict not in (0, 1):
                raise ScorerError(f"{self._plan.model} gave {verdict} in its {name} where ragas asks for 0 or 1")
        self._said.append(said)

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """The vectors of texts; each text is a call of its own, so that arms share what they have in common."""
        wanted = [text for text in dict.fromkeys(texts) if text not in self._vectors]
        found = await asyncio.gather(*(self._complete.embed(self._plan.embeddings, [text]) for text in wanted))
        self._vectors |= {text: vectors[0] for text, vectors in zip(wanted, found, strict=True)}
        return [self._vectors[text] for text in texts]

    def vector(self, text: str) -> list[float]:
        """A vector that was awaited before: what ragas' synchronous calls get."""
        return self._vectors[text]

    def hollow(self) -> str:
        """Why ragas had nothing to count, in the judge's answers; empty when it had."""
        for said in self._said:
            for name, value in said.items():
                if value == []:
                    return f"{self._plan.model} found no {name}"
        questions = [said["question"] for said in self._said if "question" in said]
        if questions and not any(question.strip() for question in questions):
            return f"{self._plan.model} could not think of a question that the answer answers"
        return ""

    def doubts(self) -> Iterator[str]:
        """What the judge did not find supported, in its own words, and what it left out."""
        lists = [value for said in self._said for value in said.values() if isinstance(value, list)]
        for asked, judged in pairwise(lists):
            if isinstance(asked[0], str) and isinstance(judged[0], dict) and len(asked) != len(judged):
                yield f"{len(asked)} claims were asked about and {len(judged)} judged"
        for said in self._said:
            for entry in (one for value in said.values() if isinstance(value, list) for one in value):
                if isinstance(entry, dict) and 0 in (entry.get("verdict"), entry.get("attributed")):
                    yield f"{entry.get('statement')} ({entry.get('reason')})"
            if said.get("verdict") == 0:
                yield str(said.get("reason"))
            if said.get("noncommittal") == 1:
                yield "the answer is noncommittal"


def _verdicts(said: Any) -> Iterator[int]:
    """Every number in an answer: in ragas' schemas each is a verdict."""
    if isinstance(said, dict):
        said = list(said.values())
    if isinstance(said, list):
        for one in said:
            yield from _verdicts(one)
    elif isinstance(said, int):
        yield said
