"""Handing one batch after the other to Langfuse: sizes, and refusals of single parts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar

from workbench.errors import LangfuseRefused
from workbench.langfuse.otlp import encode
from workbench.langfuse.server import ONCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from workbench.langfuse.otlp import Span
    from workbench.langfuse.patience import Patience
    from workbench.langfuse.server import Server
    from workbench.langfuse.traces import Trial

Part = TypeVar("Part")

SCORES = 100
SCORES_AFTER_413 = 15
"""What the SDK sends at once."""
SCORE_BYTES = 800_000
"""The server takes 1 MB."""

TOO_LARGE = 413
WRONG_DATA = (400, TOO_LARGE, 422)


class Delivery:
    """Sends trials to one server, batch by batch. `scores`: how many the last batch held."""

    def __init__(self, server: Server, patience: Patience) -> None:
        self._server = server
        self._patience = patience
        self._scores_at_once = SCORES
        self._rejected = 0
        self._reasons: list[str] = []
        self.scores = 0

    def send(self, trials: Sequence[Trial]) -> None:
        """Spans, then their scores; returns when the server has confirmed both.

        Raises LangfuseAway and LangfuseRefused; then the whole batch must be sent again.
        """
        self._rejected, self._reasons, self.scores = 0, [], 0
        self._deliver(trials, self._post_spans)
        scores = [score for trial in trials for score in trial.scores]
        for chunk in self._chunks(scores):
            self._deliver(chunk, self._post_scores)
        self.scores = len(scores)

    def taken(self) -> tuple[int, list[str]]:
        """How many parts of the last batch the server rejected, and why; told once."""
        found = self._rejected, self._reasons
        self._rejected, self._reasons = 0, []
        return found

    def _deliver(self, parts: Sequence[Part], post: Callable[[Sequence[Part]], None]) -> None:
        """Post the parts; when they are refused, find out which, and let the others through."""
        if not parts:
            return
        refused = self._refused(parts, post)
        self._rejected += len(refused)
        self._reasons += refused

    def _refused(self, parts: Sequence[Part], post: Callable[[Sequence[Part]], None]) -> list[str]:
        try:
            self._patience.ask(lambda: post(parts))
            return []
        except LangfuseRefused as error:
            if error.status not in WRONG_DATA:
                raise
            if len(parts) == 1:
                return [str(error)]
            middle = len(parts) // 2
            found = [*self._refused(parts[:middle], post), *self._refused(parts[middle:], post)]
            if len(found) == len(parts) and error.status != TOO_LARGE:
                raise  # not one was taken: it is the server, not what we sent
            return found

    def _post_spans(self, trials: Sequence[Trial]) -> None:
        spans: list[Span] = [span for trial in trials for span in trial.spans]
        self._server.post_spans(encode(spans, self._server.address.public_key))

    def _post_scores(self, scores: Sequence[dict[str, Any]]) -> None:
        request: Any = list(scores)
        try:
            answer: Any = self._server.call(
                "scores", lambda api: api.scores.create(request=request, request_options=ONCE)
            )
        except LangfuseRefused as error:
            if error.status == TOO_LARGE:
                self._scores_at_once = SCORES_AFTER_413
            raise
        if count := getattr(answer, "rejected", 0):
            self._rejected += count
            self._reasons += [str(one.message)[:300] for one in answer.errors]

    def _chunks(self, scores: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
        chunk: list[dict[str, Any]] = []
        held = 0
        for score in scores:
            length = len(json.dumps(score))
            if chunk and (len(chunk) >= self._scores_at_once or held + length > SCORE_BYTES):
                yield chunk
                chunk, held = [], 0
            chunk.append(score)
            held += length + 1
        if chunk:
            yield chunk
