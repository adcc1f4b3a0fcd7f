"""A Langfuse server: one connection, every answer checked, every failure one of our errors.

The only importer of the SDK, and of its generated client alone: `Langfuse()` would fall back to the public cloud, share
one connection for one key whatever the address, and drop what it cannot send. What is only read is asked again when the
server says when; nothing else is.
"""

from __future__ import annotations

import gzip
import re
import time
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import quote, urlsplit

from workbench.errors import LangfuseAway, LangfuseError, LangfuseMissing, LangfuseRefused, SettingsError
from workbench.langfuse.patience import TOO_MANY, seconds_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import httpx
    from langfuse.api import LangfuseAPI

Answer = TypeVar("Answer")
Given = TypeVar("Given")
ONCE: Any = {"max_retries": 0}
"""Request options of every call: whoever calls knows whether to try again."""

SHOWN = 300
THREADS = 8
MOST_PAGES = 10_000
CHECK_URL = "check LANGFUSE_BASE_URL"
_ERROR_NUMBER = re.compile(r"^\[Errno -?\d+\] ")
_NEVER_BY_PROXY = ("all://localhost", "all://127.0.0.1", "all://[::1]")
"""Keys for this machine go to no proxy that the environment names."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a Langfuse is and the keys for one of its projects. `stand_in`: a local server that only plays Langfuse.

    Raises SettingsError for an address without http:// or https://, and for missing keys.
    """

    url: str
    public_key: str
    secret_key: str = field(repr=False)
    stand_in: bool = False
    timeout_s: float = 10.0

    def __post_init__(self) -> None:
        if "@" in self.url:
            raise SettingsError(
                "the address of Langfuse holds a password: give keys in LANGFUSE_PUBLIC_KEY and _SECRET_KEY"
            )
        if not _is_address(self.url):
            raise SettingsError(f"the address of Langfuse is {self.url!r}: it must begin with http:// or https://")
        if not (self.public_key and self.secret_key):
            raise SettingsError("Langfuse needs both keys: LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY")
        for name, key in (("PUBLIC", self.public_key), ("SECRET", self.secret_key)):
            if not (key.isascii() and key.isprintable() and " " not in key):
                raise SettingsError(f"LANGFUSE_{name}_KEY holds white space or other characters that no key has")
        object.__setattr__(self, "url", self.url.rstrip("/"))


class Server:
    """One Langfuse project. Safe to share between threads; close it, or use it as a context manager.

    Every call raises LangfuseAway when nobody answers in time, LangfuseMissing for 404, LangfuseRefused for what would
    fail again, LangfuseError for an answer that cannot be read.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self._opening = Lock()
        self._ahead_s = 0.0
        self.known_project: str | None = None

    @property
    def stand_in(self) -> bool:
        """Whether it only plays Langfuse."""
        return self.address.stand_in

    @property
    def name(self) -> str:
        """How it is called in texts: its address, marked when it is a stand-in."""
        return f"{self.address.url} (stand-in)" if self.stand_in else self.address.url

    @property
    def place(self) -> str:
        """How it is called in what is kept: a stand-in has another address every time."""
        return "a stand-in Langfuse" if self.stand_in else self.address.url

    @property
    def project(self) -> str:
        """The id of the project that the keys belong to; asks the server once."""
        if self.known_project is None:  # a cached property of Python 3.11 would let all servers wait for this one
            self.known_project = self._asked_project()
        return self.known_project

    def _asked_project(self) -> str:
        found = self.call("the project", lambda api: api.projects.get(request_options=ONCE))
        if not found.data:
            raise LangfuseRefused(f"{self.name}: the keys belong to no project")
        return str(found.data[0].id)

    @property
    def identity(self) -> str:
        """Which project of which server this is, for records: address and project id. A stand-in's address changes
        with every start, so it has none."""
        return f"{'stand-in' if self.stand_in else self.address.url}#{self.project}"

    def now(self) -> float:
        """The server's time in seconds since 1970, up to a second behind, as its last answer told it; before that,
        ours."""
        return time.time() + self._ahead_s

    def call(self, about: str, ask: Callable[[LangfuseAPI], Answer]) -> Answer:
        """What `ask` gets from the SDK's client; `about` names the thing asked for in messages."""
        import httpx
        from langfuse.api.core import ApiError
        from pydantic import ValidationError

        try:
            return ask(self._client)
        except ApiError as error:
            raise self._translated(about, error.status_code, error.body, error.headers or {}) from None
        except httpx.HTTPError as error:
            raise self._away(about, error) from None
        except (ValidationError, ValueError, TypeError, KeyError, RecursionError) as error:
            said = self._without_keys(str(error).split("\n")[0])
            raise LangfuseError(
                f"{self.name}: {about}: the answer cannot be read, is this a Langfuse 4.59 or later? {said}"
            ) from None

    def pages(self, about: str, ask: Callable[[LangfuseAPI, int], Any]) -> Iterator[Any]:
        """The entries of a listing, all pages; `ask` gets the number of the page, from 1."""
        for page in range(1, MOST_PAGES + 1):
            found = self.call(about, lambda api, page=page: ask(api, page))  # type: ignore[misc]
            yield from found.data
            if not found.data or page >= found.meta.total_pages:
                return
        raise LangfuseError(f"{self.name}: {about}: the listing does not end after {MOST_PAGES} pages")

    def post_spans(self, body: bytes) -> None:
        """Send serialised OTLP spans (protobuf ExportTraceServiceRequest) and wait for the server's word."""
        import httpx
        from langfuse import __version__

        headers = {
            "x-langfuse-sdk-name": "python",
            "x-langfuse-sdk-version": __version__,
            "x-langfuse-public-key": self.address.public_key,
            "content-type": "application/x-protobuf",
            "content-encoding": "gzip",
            "x-langfuse-ingestion-version": "4",
        }
        with self._opening:
            http = self._http
        try:
            answer = http.post(
                f"{self.address.url}/api/public/otel/v1/traces", content=gzip.compress(body, 1), headers=headers
            )
        except httpx.HTTPError as error:
            raise self._away("traces", error) from None
        if answer.status_code >= 300:
            raise self._translated("traces", answer.status_code, _json_or_text(answer), answer.headers)

    def close(self) -> None:
        """Close the connections."""
        with suppress(KeyError):
            self.__dict__.pop("_http").close()
            self.__dict__.pop("_api", None)

    @cached_property
    def _http(self) -> httpx.Client:
        from workbench.langfuse.patient_client import PatientClient

        keys = (self.address.public_key, self.address.secret_key)
        return PatientClient(
            auth=keys,
            timeout=self.address.timeout_s,
            mounts=dict.fromkeys(_NEVER_BY_PROXY),
            event_hooks={"response": [self._hear]},
        )

    def _hear(self, answer: httpx.Response) -> None:
        with suppress(KeyError, ValueError, TypeError, OverflowError):
            self._ahead_s = parsedate_to_datetime(answer.headers["date"]).timestamp() - time.time()

    @property
    def _client(self) -> LangfuseAPI:
        """The same for every thread; two made at once would leave one open."""
        with self._opening:
            return self._api

    @cached_property
    def _api(self) -> LangfuseAPI:
        from langfuse import __version__
        from langfuse.api import LangfuseAPI

        return LangfuseAPI(
            base_url=self.address.url,
            x_langfuse_sdk_name="python",
            x_langfuse_sdk_version=__version__,
            x_langfuse_public_key=self.address.public_key,
            username=self.address.public_key,
            password=self.address.secret_key,
            httpx_client=self._http,
        )

    def _translated(self, about: str, status: int | None, body: Any, headers: Mapping[str, str]) -> LangfuseError:
        said = self._without_keys(_said(body))
        text = f"{self.name}: {about}: {said or 'no reason given'} ({status})"
        if status == 404 and not isinstance(body, dict):
            return LangfuseError(f"{text}: nothing of Langfuse is there: {CHECK_URL}", status=status)
        if status is not None and status < 300:
            return LangfuseError(f"{self.name}: {about}: the answer is no JSON, is this the address of a Langfuse?")
        if status == 404:
            nameless = said.lower().rstrip(".") == "not found"  # what is missing has its name in the answer
            return LangfuseMissing(f"{text}: {CHECK_URL}" if nameless else text, status=status)
        if status in (401, 403):
            return LangfuseRefused(f"{text}: check LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY", status=status)
        if status is None or status >= 500 or status in (408, 429):
            wait = seconds_of({key.lower(): value for key, value in headers.items()}.get("retry-after"))
            again = "" if wait is None else f": try again in {wait:g} s"
            return LangfuseAway(f"{text}{again}", status=status, retry_after_s=wait, maybe_done=status != TOO_MANY)
        return LangfuseRefused(text, status=status)

    def _without_keys(self, said: str) -> str:
        """What a server said, cut to be shown: some answer with what they were sent."""
        pair = f"{self.address.public_key}:{self.address.secret_key}".encode()
        for secret in (self.address.secret_key, b64encode(pair).decode()):
            said = said.replace(secret, "[key]")
        return " ".join(said.encode("utf-8", "replace").decode().split())[:SHOWN]

    def _away(self, about: str, error: Exception) -> LangfuseAway:
        import httpx

        refused = isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout))
        what = f"the answer was lost ({type(error).__name__})"
        if refused:
            what = f"nobody answers ({_ERROR_NUMBER.sub('', str(error)) or type(error).__name__})"
            what += "" if self.stand_in else f": {CHECK_URL}"
        return LangfuseAway(f"{self.name}: {about}: {what}", maybe_done=not refused)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Server({self.name})"


def in_path(name: str) -> str:
    """A name as one segment of a path: the generated client puts names in as they are.

    Raises LangfuseRefused for the names that would make it another path.
    """
    if name in ("", ".", ".."):
        raise LangfuseRefused(f"{name!r} is no name")
    return quote(name.encode("utf-8", "surrogatepass"), safe="")


def at_once(work: Callable[[Given], Answer], given: Iterable[Given]) -> list[Answer]:
    """`work` on each of `given`, up to 8 in threads, answers in their order; the first error ends it."""
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="langfuse")
    try:
        return list(pool.map(work, given))
    finally:
        pool.shutdown(cancel_futures=True)


def _json_or_text(answer: httpx.Response) -> Any:
    """A body as the SDK reads it."""
    with suppress(ValueError, RecursionError):
        return answer.json()
    return answer.text


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # half a bracket, or a port that is no number
        return False


def _said(body: Any) -> str:
    """The server's own words: they are shown, never trusted."""
    found = body.get("message") or body.get("error") if isinstance(body, dict) else body
    if isinstance(body, dict) and isinstance(body.get("error"), list):
        found = f"{body.get('message')}: {body['error']}"
    return str(found or "")
