"""Who answers: stand-in servers unless real calls are asked for.

`offline()`, `live()` and `at()` each make a Session and put it to use; without any of them the first run is offline, or
live where WORKBENCH_LIVE says so.
"""

from __future__ import annotations

import json
import math
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from workbench import settings
from workbench.client import Origin, Session, use, use_by_default
from workbench.datasets import Dataset, dataset_names, load_dataset
from workbench.errors import DatasetError, SettingsError, StorageError, UsageError, choices
from workbench.files import write_whole
from workbench.langfuse.configured import ConfiguredProject, who_is_at
from workbench.ledger import Ledger
from workbench.projects import AnyStandIn
from workbench.providers import PROVIDERS, Connection
from workbench.sim import StandIn
from workbench.sim.cases import known_cases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from workbench.sim.cases import KnownCase
    from workbench.sim.config import Config

KEYS = {"anthropic": "ANTHROPIC_API_KEY", "openai": "OPENAI_API_KEY", "ollama": "OLLAMA_API_KEY"}
URLS = {"anthropic": "ANTHROPIC_BASE_URL", "openai": "OPENAI_BASE_URL", "ollama": "OLLAMA_HOST"}
PATHS = {"anthropic": "", "openai": "/v1", "ollama": ""}
"""Where each wire format lives below a stand-in server's root."""

NO_KEY = "stand-in"


@dataclass
class Answering(Session):
    """A Session that shows itself."""

    title: str = ""

    def __repr__(self) -> str:
        return "\n".join([self.title, *self.notes])


def offline(
    recordings: str | Path | None = None,
    *,
    behaviour: str | Path | None = None,
    seed: int = 0,
    datasets: Iterable[Dataset] = (),
    latency_s: float | None = None,
    traces: bool = False,
) -> Answering:
    """Stand-in servers answer from now on, whatever keys are set; nothing leaves this machine and nothing is paid.

    The server is a child process, started on the first call that the cache cannot answer. `recordings`: a JSONL of what
    real models said, instead of simulated models. `behaviour`: another declaration than the shipped one. `seed`:
    another draw of the same models. `datasets`: more datasets whose cases the simulated models know, beside those that
    have a name and those of the experiments that are run. `latency_s`: a constant instead of the declared latencies.
    `traces`: runs are sent to the stand-in Langfuse, which prompts are promoted on in any case: the one that
    LANGFUSE_BASE_URL names, where that is a stand-in, else the workspace's own. Raises UsageError for unreadable files.
    """
    try:
        stand_in = _LazyStandIn(recordings, behaviour, seed, tuple(datasets), latency_s)
    except (OSError, ValueError) as error:
        raise UsageError(f"offline: {_told(error)}") from None
    langfuse = AnyStandIn()
    origins = {
        name: Origin(
            name,
            stand_in.origin,
            partial(stand_in.connection, name),
            stand_in=True,
            recorded=recordings is not None,
            loose=stand_in.loose,
        )
        for name in PROVIDERS
    }
    answers = (
        f"recordings from {recordings}" if recordings else "simulated models; their numbers are declared, not measured"
    )
    session = Answering(
        origins,
        notes=(*_unused_keys(), *settings.misspelt()),
        close=lambda: _close_all(stand_in, langfuse),
        langfuse=langfuse.server,
        traces=traces,
        learn=stand_in.learn,
        title=f"Offline: {answers}.",
    )
    use(session)
    return session


def live(budget_usd: float | None = None) -> Answering:
    """Real models answer from now on, and are paid for.

    `budget_usd`: cap of everything run from here on, together; without one each run gets WORKBENCH_RUN_BUDGET (5
    dollars as shipped). Providers without a key cannot be used. Raises SettingsError without any key.
    """
    if budget_usd is not None and not budget_usd > 0:
        raise UsageError(f"a budget of {budget_usd} dollars: it must be more than 0")
    values = settings.load()
    origins = {name: _vendor(name, values) for name in PROVIDERS if _key(name, values) or name == "ollama"}
    missing = {
        name: f"set {KEYS[name]} in the environment or .env (`workbench doctor` shows what is set)"
        for name in PROVIDERS
        if name not in origins
    }
    cap = None if budget_usd is None or budget_usd == math.inf else budget_usd
    per_run = values.workbench_run_budget if budget_usd is None else None
    told = f"${cap:g} in all" if cap else f"${per_run:g} a run that names no budget" if per_run else "without a cap"
    langfuse = ConfiguredProject()
    session = Answering(
        origins,
        Ledger(cap, process_ledger()),
        live=True,
        run_budget_usd=per_run,
        missing=missing,
        title=f"Live: real calls are made and paid for, {told}.",
        notes=tuple(f"{name} is left out: {cure}" for name, cure in missing.items()),
        close=langfuse.close,
        langfuse=langfuse.server,
        traces=values.workbench_traces and langfuse.is_set,
    )
    use(session)
    return session


def at(addresses: Mapping[str, str], *, replay: bool = False) -> Answering:
    """Servers at these addresses answer, `{"openai": "http://127.0.0.1:8000/v1"}`: stand-ins are recognised as such.

    A server that is not a stand-in may be paid for: each run then gets WORKBENCH_RUN_BUDGET. With `replay` nothing is
    asked over the network; what answered at that address last is remembered. Raises SettingsError for other providers
    or addresses.
    """
    values = settings.load()
    for name, url in addresses.items():
        if name not in PROVIDERS:
            raise SettingsError(f"no provider {name!r}: {choices(name, PROVIDERS)}")
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise SettingsError(f"the address of {name} is {url!r}: it must begin with http:// or https://")
    origins = {name: _custom(name, url, values, replay) for name, url in addresses.items()}
    live = not all(origin.stand_in for origin in origins.values())
    missing = {name: "no address was given for it" for name in PROVIDERS if name not in origins}
    where = ", ".join(f"{name} at {_normal(url)}" for name, url in addresses.items())
    langfuse: AnyStandIn | ConfiguredProject = ConfiguredProject() if live else AnyStandIn()
    session = Answering(
        origins,
        Ledger(None, process_ledger()),
        live=live,
        run_budget_usd=values.workbench_run_budget if live else None,
        missing=missing,
        title=f"{where} answers.",
        close=langfuse.close,
        langfuse=langfuse.server,
        traces=live and values.workbench_traces and langfuse.is_set,
    )
    use(session)
    return session


def _told(error: OSError | ValueError) -> str:
    """Which file, and what is wrong with it."""
    return f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)


def _close_all(*parts: _LazyStandIn | AnyStandIn) -> None:
    for part in parts:
        part.close()


def stand_in_config(
    recordings: str | Path | None, behaviour: str | Path | None, seed: int, latency_s: float | None, port: int
) -> Config:
    """What `workbench sim` serves: every named dataset's cases, or the recordings. Raises UsageError."""
    try:
        server = StandIn(
            _cases(_named_datasets()),
            behaviour=behaviour,
            seed=seed,
            recordings=recordings,
            latency_s=latency_s,
            port=port,
        )
    except (OSError, ValueError) as error:
        raise UsageError(f"sim: {_told(error)}") from None
    return server.config


@lru_cache(maxsize=1)
def process_ledger() -> Ledger:
    """What this process spends in all, whatever a notebook asks for, capped where WORKBENCH_PROCESS_BUDGET is set, as a
    night does for its kernels. Raises SettingsError."""
    return Ledger(settings.load().workbench_process_budget)


def default() -> Session:
    """What a run gets when nobody chose: offline, or live where WORKBENCH_LIVE says so."""
    return live() if settings.is_live() else offline()


use_by_default(default)


class _LazyStandIn:
    """A stand-in server whose identity is known before it runs, and which runs only once it is needed."""

    def __init__(
        self,
        recordings: str | Path | None,
        behaviour: str | Path | None,
        seed: int,
        datasets: tuple[Dataset, ...],
        latency_s: float | None,
    ) -> None:
        # Cases and recordings are read when the server starts: a replay needs neither.
        self._make: Callable[..., StandIn] = partial(
            StandIn, behaviour=behaviour, seed=seed, recordings=recordings, latency_s=latency_s
        )
        self._unsaid = list(datasets)
        self._learnt: set[tuple[str, str]] = set()
        self._server: StandIn | None = None
        self.origin = self._make().origin
        self.loose = False
        if recordings is not None:
            from workbench.sim import Recordings

            self.loose = Recordings.load(recordings).loose

    def learn(self, dataset: Dataset) -> None:
        """Know this dataset's cases too, from the next connection on; those that have a name are known."""
        if not dataset.from_workspace and (dataset.name, dataset.sha) not in self._learnt:
            self._learnt.add((dataset.name, dataset.sha))
            self._unsaid.append(dataset)

    def connection(self, provider: str) -> Connection:
        unsaid, self._unsaid = self._unsaid, []
        if self._server is None:
            self._server = self._make(_cases([*_named_datasets(), *unsaid]))
        elif unsaid:
            self._server.control("cases", [asdict(case) for case in _cases(unsaid)])
        return Connection(provider, NO_KEY, self._server.start() + PATHS[provider], stand_in=True)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None


def _cases(datasets: Iterable[Dataset]) -> list[KnownCase]:
    return [case for one in datasets for case in known_cases(one.name, one.cases)]


def _named_datasets() -> Iterable[Dataset]:
    """Every dataset that has a name; one that cannot be read is nothing that a stand-in could know."""
    for name in dataset_names():
        try:
            yield load_dataset(name)
        except DatasetError:
            continue


def _unused_keys() -> Iterable[str]:
    for name in KEYS.values():
        found = settings.setting(name)
        if found.text:
            yield f"{name} was seen ({found.origin}) and is not used"


def _key(provider: str, values: Any) -> str:
    secret = getattr(values, KEYS[provider].lower())
    return secret.get_secret_value() if secret else ""


def _vendor(provider: str, values: Any) -> Origin:
    """The vendor itself, or the server that the settings put in its place."""
    url = getattr(values, URLS[provider].lower())
    if url:
        return _custom(provider, url if "://" in url else f"http://{url}", values, False)
    connection = Connection(provider, _key(provider, values), timeout_s=values.workbench_timeout_s)
    return Origin(provider, "vendor", lambda: connection)


def _custom(provider: str, url: str, values: Any, replay: bool) -> Origin:
    identity = _identity(url, replay) or {}
    stand_in = bool(identity)
    key = NO_KEY if stand_in else _key(provider, values) or NO_KEY
    connection = Connection(provider, key, url, stand_in, values.workbench_timeout_s)
    chat = provider == "openai" and not stand_in and values.openai_api == "chat_completions"
    return Origin(
        provider,
        identity.get("origin", _normal(url)),
        lambda: connection,
        stand_in,
        recorded=identity.get("source") == "recorded",
        loose=identity.get("loose", False),
        chat_completions=chat,
    )


def _identity(url: str, replay: bool) -> dict[str, Any] | None:
    """Who a server says it is: a stand-in names its origin, anybody else is None. The answer is remembered, so that a
    replay can name the same origin without asking."""
    memory = settings.state_dir("origins.json")
    try:
        known = json.loads(memory.read_text("utf-8"))
    except (OSError, ValueError):
        known = {}
    if replay:
        remembered: dict[str, Any] | None = known.get(_normal(url))
        return remembered
    identity = _ask_identity(url)
    if known.get(_normal(url)) != identity:
        with suppress(StorageError):  # only a later replay at this address needs it
            write_whole(memory, json.dumps(known | {_normal(url): identity}, indent=1))
    return identity


def _ask_identity(url: str) -> dict[str, Any] | None:
    answer = who_is_at(url)
    return answer if isinstance(answer, dict) and str(answer.get("origin", "")).startswith("sim:") else None


def _normal(url: str) -> str:
    """An address as cache keys know it: no credentials, no default port, no closing slash."""
    parts = urlsplit(url)
    port = "" if parts.port in (None, {"http": 80, "https": 443}.get(parts.scheme)) else f":{parts.port}"
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path.rstrip('/')}"
