"""An HTTP client that asks again what it only reads, when the server says that it has too much to do now."""

from __future__ import annotations

from typing import Any

import httpx

from workbench.langfuse.patience import TOO_MANY, Patience, seconds_of

BUSY = 503
READ_S = 5.0
"""How long one read waits in all."""


class PatientClient(httpx.Client):
    """What writes goes out once: whoever writes knows whether doing it twice is safe."""

    def send(self, request: httpx.Request, **given: Any) -> httpx.Response:
        """The first answer that does not ask for patience, or the last one that patience allows."""
        patience = Patience(READ_S)
        while True:
            answer = super().send(request, **given)
            wait = seconds_of(answer.headers.get("retry-after"))
            # A 503 alone says nothing about when: that server may be down for long.
            again = answer.status_code == TOO_MANY or (answer.status_code == BUSY and wait is not None)
            if request.method != "GET" or not again or not patience.wait(wait):
                return answer
