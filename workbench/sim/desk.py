"""The state behind the server: who answers, what is counted, what is limited, cached or to go wrong."""

from __future__ import annotations

import itertools
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from workbench.sim.behaviour import Behaviour
from workbench.sim.cases import KnownCase
from workbench.sim.faults import Faults
from workbench.sim.limits import Limits
from workbench.sim.prompt_cache import CachePlan, PromptCache
from workbench.sim.recordings import Recordings
from workbench.sim.said import Counts, Draft, Problem, Said
from workbench.sim.tokens import count_tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from workbench.sim.asked import Asked
    from workbench.sim.config import Config

SETTINGS = {"latency_s", "limits"}


class Replies(Protocol):
    """Whoever answers: simulated models or recordings."""

    def reply(self, asked: Asked) -> Draft:
        """The answer to one request; raises Problem if there is none."""


@dataclass(slots=True)
class Stats:
    """What was asked and answered since the last reset."""

    requests: int = 0
    answered: int = 0
    unmatched: int = 0
    connections: int = 0
    concurrent: int = 0
    peak_concurrent: int = 0
    by_key: dict[str, dict[str, int]] = field(default_factory=dict)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count one call to a model, and that it is under way."""
        self.requests += 1
        self.concurrent += 1
        self.peak_concurrent = max(self.peak_concurrent, self.concurrent)
        try:
            yield
        finally:
            self.concurrent -= 1

    @contextmanager
    def question(self, asked: Asked) -> Iterator[Callable[[bool], None]]:
        """Count the request under its key and repeat; call the yielded function to say that its reply was sent."""
        entry = self.by_key.setdefault(f"{asked.key}/{asked.repeat}", {"requests": 0, "answered": 0})
        entry["requests"] += 1

        def done(complete: bool) -> None:
            entry["answered"] += complete
            self.answered += complete

        yield done

    def to_json(self) -> dict[str, Any]:
        """The counters by their names."""
        names = ("requests", "answered", "unmatched", "by_key", "connections", "peak_concurrent")
        return {name: getattr(self, name) for name in names}


@dataclass(slots=True)
class Desk:
    """All state of one server."""

    config: Config
    replies: Replies
    behaviour: Behaviour
    origin: str
    loose: bool
    latency_s: float | None
    stats: Stats = field(default_factory=Stats)
    faults: Faults = field(default_factory=Faults)
    limits: Limits = field(default_factory=Limits)
    cache: PromptCache = field(default_factory=PromptCache)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @classmethod
    def of(cls, config: Config) -> Desk:
        """Read the files that the configuration names; raises OSError and ValueError for those it cannot read."""
        behaviour = Behaviour.load(config.behaviour, seed=config.seed, cases=config.cases)
        recordings = Recordings.load(config.recordings) if config.recordings else None
        loose = recordings.loose if recordings else False
        desk = cls(config, recordings or behaviour, behaviour, config.origin, loose, config.latency_s)
        desk.limits.declare(config.limits)
        return desk

    def reset(self) -> None:
        """Back to how the server started; the connections that are open stay so."""
        self.stats = Stats()
        self.cache.forget()
        self.faults.declare([])
        self.set({"latency_s": self.config.latency_s, "limits": self.config.limits})

    def set(self, settings: Mapping[str, Any]) -> None:
        """Change the latency or the limits; what is not named stays."""
        unknown = settings.keys() - SETTINGS
        if unknown:
            raise ValueError(f"unknown settings {sorted(unknown)}; there are: {', '.join(sorted(SETTINGS))}")
        if "latency_s" in settings:
            self.latency_s = settings["latency_s"]
        if "limits" in settings:
            self.limits.declare(settings["limits"])

    def learn(self, cases: Iterable[Mapping[str, Any]]) -> None:
        """Let the simulated models know more cases, beside those they know; nothing else about them changes."""
        known = (*self.behaviour.cases.cases, *(KnownCase(**case) for case in cases))
        behaviour = Behaviour.load(self.config.behaviour, seed=self.config.seed, cases=known)
        if self.replies is self.behaviour:
            self.replies = behaviour
        self.behaviour = behaviour

    def identity(self) -> dict[str, Any]:
        """Who answers here."""
        return {"origin": self.origin, "source": self.config.source, "loose": self.loose}

    def next_request_id(self) -> str:
        """A new request id."""
        return f"req_sim{next(self.numbers):018d}"

    def reply(self, asked: Asked) -> Draft:
        """The answer to a request, counted if no known case or recording is behind it."""
        try:
            draft = self.replies.reply(asked)
        except Problem:
            self.stats.unmatched += 1
            raise
        self.stats.unmatched += not draft.matched
        return draft

    def say(self, asked: Asked, draft: Draft, plan: CachePlan) -> Said:
        """The finished answer, with its tokens."""
        output = count_tokens(draft.text) + draft.reasoning_tokens
        if draft.input_tokens is not None:
            plan = CachePlan()  # Recorded counters and our estimates of prefixes do not add up.
        return Said(
            text=draft.text,
            model=asked.model,
            stop=draft.stop,
            stop_sequence=draft.stop_sequence,
            number=next(self.numbers),
            created=time.time(),
            always_reasons=draft.reasoning_tokens > 0,
            counts=Counts(
                input=input_tokens(asked) if draft.input_tokens is None else draft.input_tokens,
                output=output if draft.output_tokens is None else draft.output_tokens,
                reasoning=draft.reasoning_tokens,
                cache_read=plan.read,
                cache_write_short=plan.write_short,
                cache_write_long=plan.write_long,
            ),
        )


def input_tokens(asked: Asked) -> int:
    """Estimated tokens of everything the request sends."""
    return count_tokens(asked.system) + count_tokens(asked.user) + asked.extra_tokens
