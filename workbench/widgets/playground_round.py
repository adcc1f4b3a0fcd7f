"""One question put to several models at once, their answers gathered piece by piece."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from workbench.errors import PlanError, WorkbenchError
from workbench.widgets.playground_data import Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from workbench.client import Client
    from workbench.experiment.grid import Arm
    from workbench.records import Case, Request


class Round:
    """Answers to one question as they come. `heard(number, piece)` is told each piece of text, None when an answer
    begins anew; `ended(number)` when it stands."""

    def __init__(
        self, arms: Sequence[Arm], case: Case, repeat: int, heard: Callable[[int, str | None], None],
        ended: Callable[[int], None],
    ) -> None:  # fmt: skip
        self.answers = [Answer(arm.model) for arm in arms]
        self._arms, self._case, self._repeat = arms, case, repeat
        self._heard, self._ended = heard, ended
        self._pieces: list[list[str]] = [[] for _ in arms]
        self._began = [0.0 for _ in arms]
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self, client: Client) -> None:
        """Ask all of them. A failure is an answer that failed; an interrupt leaves what came so far, and is raised."""
        requests = [(number, self._request(client, number)) for number in range(len(self._arms))]
        asked = [self._ask(client, number, request) for number, request in requests if request is not None]
        self._tasks = [asyncio.create_task(one) for one in asked]
        try:
            if self._tasks:
                await asyncio.wait(self._tasks)
        finally:
            self.stop()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            for number, answer in enumerate(self.answers):
                if not answer.has_ended:
                    self._end(number, replace(answer, state="stopped", text=self.text(number)))

    def stop(self) -> None:
        """Break off what is under way; what came so far stays."""
        for task in self._tasks:
            task.cancel()

    def text(self, number: int) -> str:
        """What came so far."""
        pieces = self._pieces[number]
        if len(pieces) > 1:
            pieces[:] = ["".join(pieces)]
        return pieces[0] if pieces else ""

    def _request(self, client: Client, number: int) -> Request | None:
        """What is asked, with everything open that the call needs; None when it cannot be asked at all."""
        arm = self._arms[number]
        try:
            if faults := arm.model.refuses(arm.prompt.params(arm.model.provider)):
                raise PlanError(f"{arm.prompt.ref}: {faults[0]}")
            request = arm.request(self._case, self._repeat)
            client.prepare(request)
        except Exception as error:  # noqa: BLE001  # one model's failure is its own
            self._fail(number, error)
            return None
        return request

    async def _ask(self, client: Client, number: int, request: Request) -> None:
        model = self._arms[number].model
        try:
            reply = await client.complete(request, model, lambda piece: self._take(number, piece))
        except Exception as error:  # noqa: BLE001  # as in `_request`
            self._fail(number, error)
        else:
            state = "hit" if reply.cached else "done"
            self._end(number, Answer(model, state, reply.text, reply.ttft_s, reply))

    def _fail(self, number: int, error: Exception) -> None:
        said = str(error) if isinstance(error, WorkbenchError) else f"{type(error).__name__}: {error}"
        self._end(number, replace(self.answers[number], state="failed", text=self.text(number), error=said))

    def _take(self, number: int, piece: str) -> None:
        answer = self.answers[number]
        if not piece:
            self._began[number] = time.perf_counter()
            self._pieces[number].clear()
            self.answers[number] = Answer(answer.model)
            self._heard(number, None)
            return
        self._pieces[number].append(piece)
        if answer.state == "waiting":
            waited_s = time.perf_counter() - self._began[number]
            self.answers[number] = replace(answer, state="streaming", ttft_s=waited_s)
        self._heard(number, piece)

    def _end(self, number: int, answer: Answer) -> None:
        self.answers[number] = answer
        self._ended(number)
