"""Which Langfuse project is meant, for promotions and for `@production` alike: the one that the settings name, or the
stand-in of this workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench import settings
from workbench.errors import StorageError
from workbench.langfuse.configured import NAMES, ConfiguredProject, is_stand_in
from workbench.settings import state_dir
from workbench.sim import StandInLangfuse

if TYPE_CHECKING:
    from workbench.langfuse.server import Server

STORE = "stand-in-langfuse.sqlite"
IN_PRODUCTION = ("ticket-triage@v2", "invoice-fields@v2", "policy-answer@v2")
"""What the stand-in's team has in production when its store is new: without it nothing could be replaced or undone."""

SEEDED = "the stand-in"


class StandInProject:
    """A stand-in Langfuse in a child process, started on first use; its state stays in `.workbench/`."""

    is_set = True

    def __init__(self, port: int = 0) -> None:
        self._port = port
        self._child: StandInLangfuse | None = None
        self._server: Server | None = None

    def server(self) -> Server:
        """The project, with the prompts in production that its team began with. Raises StorageError."""
        if self._server is None:
            from workbench.sim.child import StandInFailed

            try:
                self._server = self._started()
            except (OSError, StandInFailed) as error:
                raise StorageError(f"the stand-in Langfuse cannot keep its store in {state_dir()}: {error}") from None
            _seed(self._server)
        return self._server

    def _started(self) -> Server:
        from workbench.langfuse.server import Address, Server
        from workbench.sim.langfuse import PUBLIC_KEY, SECRET_KEY

        store = state_dir(STORE)
        store.parent.mkdir(parents=True, exist_ok=True)
        self._child = StandInLangfuse(store, port=self._port)
        return Server(Address(self._child.start(), PUBLIC_KEY, SECRET_KEY, stand_in=True))

    def close(self) -> None:
        """End the child process."""
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._child is not None:
            self._child.close()
            self._child = None


class AnyStandIn:
    """A stand-in in any case: the one that the settings name, else that of this workspace. Chosen on first use."""

    is_set = True

    def __init__(self) -> None:
        self._chosen: ConfiguredProject | StandInProject | None = None

    def server(self) -> Server:
        """The project. Raises StorageError where that of the workspace cannot keep its store."""
        if self._chosen is None:
            named = ConfiguredProject()
            plays = named.is_set and is_stand_in(str(settings.setting(NAMES[0]).text))
            self._chosen = named if plays else StandInProject()
        server = self._chosen.server()
        assert server is not None  # what is set has a server
        return server

    def close(self) -> None:
        """Close the connection, and end a child process."""
        if self._chosen is not None:
            self._chosen.close()
            self._chosen = None


def project(stand_in: bool = False) -> ConfiguredProject | StandInProject | AnyStandIn:
    """The Langfuse that is meant: the one that the settings name; a stand-in where that is asked for, as an offline
    session does, or where none is named and nothing is live."""
    if stand_in:
        return AnyStandIn()
    named = settings.is_live() or any(settings.setting(name).text for name in NAMES)
    return ConfiguredProject() if named else StandInProject()


def _seed(server: Server) -> None:
    """A new store gets its prompts in production, each move with its record, as if a team had been at work; one whose
    seeding was cut short gets the rest."""
    from workbench.langfuse.prompts import holders, push
    from workbench.promotion.move import Wish, finish_open, held, move
    from workbench.promotion.record import one_at_a_time
    from workbench.prompts import load_prompt

    if all(holders(server, ref.partition("@")[0]) for ref in IN_PRODUCTION):
        return
    with one_at_a_time():
        for ref in IN_PRODUCTION:
            prompt = load_prompt(ref)
            finish_open(server, prompt.name, SEEDED)
            if not holders(server, prompt.name):
                move(server, Wish(prompt.name, "begin", None, held(push(server, prompt)), SEEDED, source="simulated"))
