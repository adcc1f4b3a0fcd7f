"""What can go wrong, drawn once.

WorkbenchError                    exit code
├── UsageError                    2    the input is wrong; the message names the choices that exist
│   ├── PromptError                    prompt files, versions, variables
│   ├── DatasetError                   dataset files and cases
│   ├── CatalogError                   models, tiers, prices, parameters a model refuses
│   ├── ScorerError                    unknown or wrongly declared scorers
│   ├── SettingsError                  settings and keys
│   ├── PlanError                      an experiment that cannot be run as written
│   ├── ReportError                    runs and reports that do not exist or cannot be read
│   ├── VerdictError                   a comparison or confirmation that cannot be made as asked
│   ├── LabelError                     labels that cannot be read or do not fit their dataset or judge
│   └── BaselineError                  a baseline that is missing, unreadable, or of another kind
├── BudgetReached                 3    the next call might have passed the cap
├── StorageError                  1    disk full, read-only, locked; what was written stays
├── NotRecorded                   1    a miss in replay mode; nothing was sent
├── RegressionFound               1    a report is worse than its baseline; raised on request alone
├── LangfuseError                 1    Langfuse answered with an error, or not at all
│   ├── LangfuseAway              6    nobody answers, 408, 429, 5xx: the same call may succeed later
│   ├── LangfuseRefused           2    400, 401, 403, 413, 422: keys, names, labels or sizes are wrong
│   └── LangfuseMissing           2    404: no such prompt, version, label or dataset
├── PromotionRefused              5    policy or evidence does not allow it; nothing was moved
├── PromotionFailed               1    the label is not where it was to go; the message says where it is
└── CallError                     1    one call to a model failed (becomes `Row.error`)
    ├── KeyRefused                     401, 403: the key is wrong or may not do this
    ├── RequestRefused                 400, 404, 413, 422: the same request would fail again
    ├── RateLimited                    429 that passes
    ├── QuotaReached                   402, or a 429 that will not pass: no credit, spend limit
    ├── Overloaded                     503, 529
    ├── ServerFailed                   other 5xx, 408, 409
    ├── TimedOut                       no answer in time; it may have been charged
    ├── ConnectionLost                 dropped before or during the answer; it may have been charged
    ├── ConnectionRefused              nobody listens there; certainly not charged
    └── MalformedReply                 an answer arrived that cannot be read; it was charged
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class WorkbenchError(Exception):
    """Base of every error raised on purpose by this package."""

    exit_code = 1


class UsageError(WorkbenchError):
    """The input is wrong; the same call would fail again."""

    exit_code = 2


class PromptError(UsageError):
    """A prompt file, version or variable is wrong."""


class DatasetError(UsageError):
    """A dataset file or case is wrong."""


class CatalogError(UsageError):
    """A model, tier, price or model parameter is wrong."""


class ScorerError(UsageError):
    """A scorer is unknown or wrongly declared."""


class SettingsError(UsageError):
    """A setting or key is missing or wrong."""


class PlanError(UsageError):
    """The experiment cannot be run as written."""


class ReportError(UsageError):
    """A run or report does not exist or cannot be read."""


class VerdictError(UsageError):
    """A comparison or confirmation cannot be made as asked."""


class LabelError(UsageError):
    """Labels cannot be read, or do not fit their dataset or judge."""


class BaselineError(UsageError):
    """A baseline is missing, cannot be read, or is of another kind."""


class BudgetReached(WorkbenchError):
    """The next call might have passed the cap, so it was not made. `uncertain_usd`: the most that earlier attempts of
    that call may have cost."""

    exit_code = 3
    uncertain_usd = 0.0


class StorageError(WorkbenchError):
    """Writing to disk failed; everything written before stays."""


class NotRecorded(WorkbenchError):
    """Replay mode, and the cache does not hold this reply; nothing was sent."""


class RegressionFound(WorkbenchError):
    """A report is worse than its baseline; raised by `Regression.require` alone."""


class LangfuseError(WorkbenchError):
    """Langfuse answered with an error, or not at all. `status`: the HTTP status, None without an answer.

    `retry_after_s`: what the server asked for. `maybe_done`: the answer was lost, the work may have been done.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        retry_after_s: float | None = None,
        maybe_done: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s
        self.maybe_done = maybe_done


class LangfuseAway(LangfuseError):
    """Nobody answers, or 408, 429, 5xx: the same call may succeed later."""

    exit_code = 6


class LangfuseRefused(LangfuseError):
    """400, 401, 403, 413 or 422: the same call would fail again."""

    exit_code = 2


class LangfuseMissing(LangfuseError):
    """404: there is no such prompt, version, label or dataset."""

    exit_code = 2


class PromotionRefused(WorkbenchError):
    """Policy or evidence does not allow it; nothing was moved. `unmet`: every point, each with its cure."""

    exit_code = 5

    def __init__(self, message: str, unmet: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.unmet = tuple(unmet)


class PromotionFailed(WorkbenchError):
    """The label is not where it was to go; the message says where it is and what was recorded."""


class CallError(WorkbenchError):
    """One call to a model failed.

    `retryable`: another attempt may succeed. `maybe_charged`: the vendor may have billed the call although no
    reply arrived, so its worst case counts against the budget. `retry_after_s`: what the server asked for.
    `uncertain_usd`: the most that this attempt, and once the call is given up all of its attempts, may have cost.
    """

    retryable = False
    maybe_charged = False

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        retry_after_s: float | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s
        self.request_id = request_id
        self.attempts = 1
        self.uncertain_usd = 0.0


class KeyRefused(CallError):
    """401 or 403."""


class RequestRefused(CallError):
    """400, 404, 413, 422: the same request would fail again."""


class RateLimited(CallError):
    """429 that passes."""

    retryable = True


class QuotaReached(CallError):
    """402, or a 429 that no waiting cures: no credit left, spend limit reached."""


class Overloaded(CallError):
    """503 or 529."""

    retryable = True


class ServerFailed(CallError):
    """Any other 5xx, 408 or 409."""

    retryable = True


class TimedOut(CallError):
    """No answer within the time-out."""

    retryable = True
    maybe_charged = True


class ConnectionLost(CallError):
    """The connection dropped before or during the answer."""

    retryable = True
    maybe_charged = True


class ConnectionRefused(CallError):
    """Nobody listens at the address."""

    retryable = True


class MalformedReply(CallError):
    """An answer arrived that cannot be read."""

    maybe_charged = True


def choices(wrong: str, existing: Iterable[str]) -> str:
    """The end of a helpful message: the nearest name, then the names that exist."""
    names = sorted(existing)
    near = get_close_matches(wrong, names, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    shown = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
    return f"{hint}{'there are: ' + shown if names else 'there are none'}"
