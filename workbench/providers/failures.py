"""The one translation from what SDKs and transports raise to the tree in `workbench.errors`.

SDK classes do not say what happened: a dropped connection can come as a time-out, an overload as HTTP 200, and raw
transport errors leak out of streams. So this looks at what is under the wrapper: status, the words in the body, and the
innermost cause. Classes are known by name, so no SDK is imported here.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import TYPE_CHECKING, Any

from workbench.errors import (
    CallError,
    ConnectionLost,
    ConnectionRefused,
    KeyRefused,
    MalformedReply,
    Overloaded,
    QuotaReached,
    RateLimited,
    RequestRefused,
    ServerFailed,
    TimedOut,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LONGEST_QUOTE = 300
"""Characters of a vendor's own message that are repeated in ours."""

SHORTEST_SECRET = 8
"""Shorter keys are placeholders like `ollama`, and striking them out would garble the message."""

STATUS: dict[int, type[CallError]] = {
    401: KeyRefused,
    402: QuotaReached,
    403: KeyRefused,
    408: ServerFailed,
    409: ServerFailed,
    429: RateLimited,
    503: Overloaded,
    529: Overloaded,
}
"""HTTP statuses; any other from 300 is a refused request (nobody follows redirects), from 500 a failed server."""

WORDS: dict[str, type[CallError]] = {
    "enforced_spend_limit_reached": QuotaReached,
    "contract_spend_limit_reached": QuotaReached,
    "billing_error": QuotaReached,
    "insufficient_quota": QuotaReached,
    "billing_hard_limit_reached": QuotaReached,
    "billing_not_active": QuotaReached,
    "authentication_error": KeyRefused,
    "permission_error": KeyRefused,
    "invalid_api_key": KeyRefused,
    "invalid_request_error": RequestRefused,
    "not_found_error": RequestRefused,
    "request_too_large": RequestRefused,
    "invalid_prompt": RequestRefused,
    "context_length_exceeded": RequestRefused,
    "model_not_found": RequestRefused,
    "rate_limit_error": RateLimited,
    "rate_limit_exceeded": RateLimited,
    "overloaded_error": Overloaded,
    "server_is_overloaded": Overloaded,
    "server_overloaded": Overloaded,
    "slow_down": Overloaded,
    "api_error": ServerFailed,
    "server_error": ServerFailed,
    "timeout_error": ServerFailed,
    "conflict_error": ServerFailed,
}
"""`type`, `code` and `error_code` in bodies: they decide where no status does, after an HTTP 200."""

CAUSES: dict[str, type[CallError]] = {
    # Nobody answered at all. Plain ConnectionError is how the ollama SDK says it.
    "ConnectionRefusedError": ConnectionRefused,
    "ConnectionError": ConnectionRefused,
    "ConnectError": ConnectionRefused,
    "ClientConnectorError": ConnectionRefused,
    "ProxyError": ConnectionRefused,
    "gaierror": ConnectionRefused,
    "SSLCertVerificationError": ConnectionRefused,
    # The connection broke, before or during the answer.
    "ConnectionResetError": ConnectionLost,
    "ConnectionAbortedError": ConnectionLost,
    "BrokenPipeError": ConnectionLost,
    "IncompleteReadError": ConnectionLost,
    "EndOfStream": ConnectionLost,
    "BrokenResourceError": ConnectionLost,
    "ClosedResourceError": ConnectionLost,
    "ClientConnectionError": ConnectionLost,
    "ClientPayloadError": ConnectionLost,
    "ReadError": ConnectionLost,
    "WriteError": ConnectionLost,
    "CloseError": ConnectionLost,
    "RemoteProtocolError": ConnectionLost,
    # Silence.
    "TimeoutError": TimedOut,
    "TimeoutException": TimedOut,
    "ServerTimeoutError": TimedOut,
    # An answer came, and it is not what was agreed.
    "JSONDecodeError": MalformedReply,
    "UnicodeDecodeError": MalformedReply,
    "ValidationError": MalformedReply,
    "APIResponseValidationError": MalformedReply,
    "DecodingError": MalformedReply,
    "ClientResponseError": MalformedReply,
    # It never left: the text is not Unicode, or the address is none.
    "UnicodeEncodeError": RequestRefused,
    "LocalProtocolError": RequestRefused,
    "UnsupportedProtocol": RequestRefused,
    "InvalidURL": RequestRefused,
    # The SDK's word for anything else that broke on the way.
    "APIConnectionError": ConnectionLost,
    "RequestError": ConnectionLost,
    "ClientError": ConnectionLost,
}
"""Names of exception classes and their bases; the innermost exception that is known decides."""

SENTENCES: dict[type[CallError], tuple[str, str]] = {
    KeyRefused: ("refused the key", "Check the key and what it may use"),
    RequestRefused: ("refused the request", "Change the request; the same one would fail again"),
    RateLimited: ("asks for fewer calls", "Wait, or lower the concurrency"),
    QuotaReached: ("has no credit left for this key", "Add credit or raise the limit; waiting does not help"),
    Overloaded: ("is overloaded", "Try again later"),
    ServerFailed: ("failed on its side", "Try again; if it lasts, look at the provider's status page"),
    TimedOut: ("did not answer in time", "Try again or allow more time; it may have been charged"),
    ConnectionLost: ("was cut off before the answer was complete", "Try again; it may have been charged"),
    ConnectionRefused: ("cannot be reached", "Check the address and that the server runs; nothing was charged"),
    MalformedReply: ("sent an answer that cannot be read", "Check that the address speaks this API; it was charged"),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """Who was asked, for messages: `anthropic:claude-sonnet-5-5`. `secret` is struck out of them."""

    who: str
    secret: str = ""

    def failure(self, kind: type[CallError], detail: str = "", **facts: Any) -> CallError:
        """The error with its sentence: who, what happened, the vendor's own words, the cure."""
        happened, cure = SENTENCES[kind]
        quote = f" ({detail})" if (detail := self._quote(detail)) else ""
        return kind(f"{self.who} {happened}{quote}. {cure}.", **facts)

    def _quote(self, text: str) -> str:
        """Vendor's words on one line, shortened, without the key: some servers quote it back."""
        if len(self.secret) >= SHORTEST_SECRET:
            text = text.replace(self.secret, "[key]")
        text = re.sub(r"\s+", " ", text).strip().rstrip(".")
        return text if len(text) <= LONGEST_QUOTE else text[:LONGEST_QUOTE] + "…"


def translate(error: BaseException, asked: Asked, headers: Mapping[str, str] | None) -> CallError | None:
    """`error` as one of ours, or None for what is no failure of a call. `headers` of the answer, if one began."""
    if not isinstance(error, Exception):  # cancelled or interrupted, whatever went wrong before
        return None
    names = {base.__name__ for base in type(error).__mro__}
    status = getattr(error, "status_code", None)
    if isinstance(status, int) and "APIResponseValidationError" not in names:
        return _from_status(error, status, asked, headers)
    if type(error).__name__ == "APIError":  # openai, mid-stream: a body and no status
        return in_body(getattr(error, "body", None) or str(error), asked, headers)
    if names & CAUSES.keys():
        kind, cause = _decided(error)
    elif isinstance(error, OSError):
        kind, cause = ConnectionLost, error
    elif isinstance(error, (ValueError, TypeError, LookupError, AttributeError)):
        # Before an answer, the SDK could not write the request; after, neither it nor we could read what came.
        kind, cause = (RequestRefused if headers is None else MalformedReply), error
    else:
        return None
    return asked.failure(kind, f"{type(cause).__name__}: {cause}", request_id=request_id(headers))


def in_body(body: object, asked: Asked, headers: Mapping[str, str] | None) -> CallError:
    """The error that a body speaks of after HTTP 200. The vendor had begun to work, so it may have been charged."""
    failed = asked.failure(_kind(None, body), _message(body), request_id=request_id(headers))
    failed.maybe_charged = True
    return failed


def request_id(headers: Mapping[str, str] | None) -> str | None:
    """The vendor's name for the call, which its support asks for."""
    if headers is None:
        return None
    return headers.get("request-id") or headers.get("x-request-id")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asks to wait: `retry-after-ms`, or `retry-after` as a number or an HTTP date."""
    for name, scale in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) / scale
        except ValueError:
            continue
        if isfinite(seconds):
            return max(0.0, seconds)
    try:
        return max(0.0, parsedate_to_datetime(headers.get("retry-after", "")).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def _from_status(error: BaseException, status: int, asked: Asked, headers: Mapping[str, str] | None) -> CallError:
    response = getattr(error, "response", None)
    headers = headers if response is None else response.headers
    body = getattr(error, "body", None) or getattr(error, "error", None) or str(error)
    if status < 300:  # anthropic says 200 and ollama -1 when a stream breaks off with an error
        return in_body(body, asked, headers)
    return asked.failure(
        _kind(status, body),
        f"HTTP {status}: {_message(body)}",
        status=status,
        retry_after_s=retry_after(headers) if headers is not None else None,
        request_id=request_id(headers),
    )


def _kind(status: int | None, body: object) -> type[CallError]:
    """A word for "no credit" beats the status, the status beats every other word."""
    kinds = [WORDS[word] for word in _words(body) if word in WORDS]
    if QuotaReached in kinds:
        return QuotaReached
    if status is not None:
        return STATUS.get(status, RequestRefused if status < 500 else ServerFailed)
    return kinds[0] if kinds else ServerFailed


def _inner(body: object) -> object:
    """Anthropic wraps its error object, the openai SDK has unwrapped it."""
    inner = body.get("error") if isinstance(body, dict) else None
    return inner or body


def _words(body: object) -> Iterator[str]:
    inner = _inner(body)
    if isinstance(inner, dict):
        details = inner.get("details")
        found = details.get("error_code") if isinstance(details, dict) else None
        yield from (word for word in (found, inner.get("code"), inner.get("type")) if isinstance(word, str))


def _message(body: object) -> str:
    inner = _inner(body)
    message = inner.get("message") if isinstance(inner, dict) else inner
    return message if isinstance(message, str) else ""


def _decided(error: BaseException) -> tuple[type[CallError], BaseException]:
    """What `CAUSES` makes of an error that it knows, and the cause that decided."""
    return next(
        (CAUSES[base.__name__], cause)
        for cause in _innermost_first(error)
        for base in type(cause).__mro__
        if base.__name__ in CAUSES
    )


def _innermost_first(error: BaseException) -> list[BaseException]:
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in chain:
        chain.insert(0, cause)
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return chain
