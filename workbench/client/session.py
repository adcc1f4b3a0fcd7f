"""Who answers: `Origin` says it for a provider, `Session` for a whole notebook or command; the doors make both."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workbench import catalog
from workbench.errors import SettingsError, choices
from workbench.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workbench.catalog import Model
    from workbench.datasets import Dataset
    from workbench.langfuse.server import Server
    from workbench.providers import Connection


@dataclass(frozen=True, slots=True)
class Origin:
    """Who answers for one provider.

    `name` goes into every cache key: `vendor`, a custom URL, or `sim:<hash>`. `connect` is called on the first miss,
    never before: it may start a stand-in server, and a replay must open nothing. `loose`: recordings that are matched
    by their input alone. `chat_completions`: an OpenAI-compatible server.
    """

    provider: str
    name: str
    connect: Callable[[], Connection]
    stand_in: bool = False
    recorded: bool = False
    loose: bool = False
    chat_completions: bool = False


@dataclass
class Session:
    """Who answers, and the money that all runs of this notebook or command may spend together.

    `live`: somebody may be paid. `run_budget_usd`: the cap of a run that names none. `missing`: provider name -> why it
    cannot be used. `notes` are told with every plan. `langfuse`: opens the Langfuse that prompts are promoted on, None
    where there is none; `traces`: runs are sent there too. `learn`: tells simulated models a dataset that they cannot
    find by name.
    """

    origins: Mapping[str, Origin]
    ledger: Ledger = field(default_factory=Ledger)
    live: bool = False
    run_budget_usd: float | None = None
    missing: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    close: Callable[[], None] = lambda: None
    langfuse: Callable[[], Server | None] = lambda: None
    traces: bool = False
    learn: Callable[[Dataset], None] = lambda dataset: None

    def origin(self, provider: str) -> Origin:
        """Who answers for `provider`. Raises SettingsError with the cure or the choices."""
        if provider in self.origins:
            return self.origins[provider]
        cure = self.missing.get(provider, f"nobody answers for it here: {choices(provider, self.origins)}")
        raise SettingsError(f"provider {provider!r}: {cure}")

    def model(self, provider: str, model_id: str) -> Model:
        """A model, by id or tier, as this session's origin serves it. Raises SettingsError and CatalogError."""
        stand_in = self.origin(provider).stand_in
        return self.serve(catalog.load_models([f"{provider}:{model_id}"], stand_in=stand_in)[0])

    def serve(self, model: Model) -> Model:
        """The same model with the endpoint and the name that its origin gives it."""
        origin = self.origin(model.provider)
        stand_in = origin.stand_in and not origin.recorded
        return catalog.load_models([model], stand_in=stand_in, chat_completions=origin.chat_completions)[0]


_current: Session | None = None
_open_default: Callable[[], Session] | None = None


def use(session: Session | None) -> None:
    """Make `session` the one that runs use from now on, and close the one before."""
    global _current
    if _current is not None and _current is not session:
        _current.close()
    _current = session


def use_by_default(opener: Callable[[], Session]) -> None:
    """Who opens a session when a run starts before anyone chose one; a door registers itself here."""
    global _open_default
    _open_default = opener


def in_use() -> Session | None:
    """The session in use, None when nobody chose one yet."""
    return _current


def current() -> Session:
    """The session in use. Raises SettingsError when nobody chose one."""
    if _current is None:
        if _open_default is None:
            raise SettingsError("nobody said who answers: call wb.offline() or wb.live(budget_usd=...) first")
        use(_open_default())
    assert _current is not None
    return _current
