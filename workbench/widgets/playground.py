"""`wb.playground("ticket-triage@v3", models="fast")`: change a prompt, fill it from a case, watch models answer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from workbench.client import Client, current
from workbench.errors import UsageError
from workbench.experiment.chosen import choose_models
from workbench.experiment.grid import Arm
from workbench.ledger import Ledger
from workbench.records import Case
from workbench.report.text import dollars
from workbench.traffic import Traffic
from workbench.widgets.playground_cases import fitting
from workbench.widgets.playground_data import Answers, quoted
from workbench.widgets.playground_editing import Editing
from workbench.widgets.playground_round import Round
from workbench.widgets.playground_static import static
from workbench.widgets.playground_wire import Stream, hear, state_of
from workbench.widgets.shows import Shows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from workbench.catalog import Model
    from workbench.client import Session
    from workbench.datasets import Dataset
    from workbench.prompts import Prompt

MOST = 4
"""Models that answer side by side at most."""
UNDER_WAY = "answers are under way: wait for them, or stop them"


def playground(
    prompt: Prompt | str, models: str | Model | Iterable[str | Model] = "balanced",
    dataset: Dataset | str | Path | None = None, *, case: str = "", inputs: Mapping[str, Any] | None = None,
    repeat: int = 0, budget_usd: float | None = None, cache: str = "on",
) -> Playground:  # fmt: skip
    """A prompt to be edited and asked: in a notebook a live view, elsewhere its text; `await view.run()` works in both.

    `models`: as an experiment takes them, four at most. `dataset`: where variables are filled from; without one, the
    first that fits the prompt. `case`: an id of it, the first by default; of datasets found by name the dev cases
    alone. `inputs`: values of variables, over those of the case. `repeat`: the number of the draw; another number
    asks anew. `budget_usd`: cap of all that this view asks, also over what the session allows. `cache`: on, off,
    refresh or replay. Raises PromptError, CatalogError, SettingsError, DatasetError, UsageError.
    """
    view = Playground(prompt, models, budget_usd=budget_usd, cache=cache)
    if dataset is not None:
        view.use(dataset)
    elif inputs is None or view.draft.base.missing(inputs):
        view.use(fitting(view.variables))
    if case:
        view.case = case
    view.inputs = view.inputs | dict(inputs or {})
    view.repeat = repeat
    return view


class Playground(Editing):
    """A prompt being edited, its variables, and the last answers; made by `playground`.

    What is typed and clicked is readable, and settable: `prompt`, `inputs`, `expected`, `case`, `repeat`; `answers` are
    the last ones, `code()` is the line that opens the same again.
    """

    def __init__(
        self, prompt: Prompt | str, models: str | Model | Iterable[str | Model], *, budget_usd: float | None, cache: str
    ) -> None:
        if budget_usd is not None and not budget_usd > 0:
            raise UsageError(f"a budget of {budget_usd} dollars: it must be more than 0")
        self._asked_models = models if isinstance(models, str) or not hasattr(models, "__iter__") else tuple(models)
        self._asked_budget = budget_usd
        self.cache = cache
        self._session: Session | None = None
        self._open()
        self.more: dict[int, int] = {}
        self._round: Round | None = None
        self._asked = Answers("", "", 0)
        self._shows = Shows("playground", lambda: static(self), lambda: state_of(self), lambda said: hear(self, said))
        self.stream = Stream(self._shows)
        super().__init__(prompt)

    # Asking

    @property
    def models(self) -> tuple[Model, ...]:
        """The models that are asked."""
        return self._models

    @property
    def model_names(self) -> list[str]:
        """How tables name them."""
        return [model.label if model.stand_in else model.ref for model in self._models]

    @property
    def is_running(self) -> bool:
        """Whether answers are under way."""
        return self._round is not None

    @property
    def answers(self) -> Answers:
        """The last answers, or those under way as far as they came."""
        if self._round is None:
            return self._asked
        return Answers(self._asked.prompt, self._asked.case, self._asked.repeat, tuple(self._round.answers))

    async def run(self, case: str = "", *, repeat: int | None = None) -> Answers:
        """Ask all models at once and wait for the answers, each stored before it is shown as done.

        `case`: fill the variables from this case first. `repeat`: the number of the draw. What was asked before is a
        hit and costs nothing. A failure is an answer that failed. Raises PromptError for a missing variable, UsageError
        while answers are under way.
        """
        if self._round is not None:
            raise UsageError(UNDER_WAY)
        if case:
            self.case = case
        if repeat is not None:
            self.repeat = repeat
        session, prompt = self._open(), self.prompt
        asked = Case(self._case or "playground", dict(self.inputs))
        prompt.render(asked.inputs)
        arms = [Arm(prompt, model, session.origin(model.provider).name) for model in self._models]
        self._asked = Answers(prompt.ref, self._case, self.repeat)
        self.said, self.more = "", {}
        client = Client(session, mode=self.cache, ledger=self.ledger, traffic=Traffic(MOST))
        round_ = self._round = Round(arms, asked, self.repeat, self.stream.heard, lambda _: self.changed())
        self.stream.begin(round_)
        self._shows.now()
        try:
            await round_.run(client)
        finally:
            self._asked, self._round = self.answers, None
            self._unpriced += sum(one.reply is not None and one.reply.spent_usd is None for one in self._asked)
            self._shows.now()
            self._shows.keep()
            await client.close()
        return self._asked

    def stop(self) -> None:
        """Break off the answers under way; what came so far stays, and may be charged."""
        if self._round is not None:
            self._round.stop()

    @property
    def money(self) -> str:
        """What this view spent, in words."""
        ledger = self.ledger
        cap = "" if ledger.cap_usd is None else f" of {dollars(ledger.cap_usd)}"
        broken = f", and perhaps {dollars(ledger.uncertain_usd)} for calls that broke off" * bool(ledger.uncertain_usd)
        answers = f"{self._unpriced} answer{'s' * (self._unpriced != 1)}"
        unknown = f", and {answers} of unknown price" * bool(self._unpriced)
        return f"{dollars(ledger.spent_usd)} spent here{cap}{broken}{unknown}"

    def code(self) -> str:
        """The line that opens the same again."""
        given = [self.draft.code(), f"models={self._models_code()}"]
        kept: Mapping[str, Any] = {}
        if self.cases and self.cases.source:
            kept = self.cases.find(self.case).inputs
            given += [f"dataset={quoted(self.cases.source)}", f"case={quoted(self.case)}"]
        if changed := {name: value for name, value in self.inputs.items() if name not in kept or kept[name] != value}:
            given.append(f"inputs={changed!r}")
        options = {"repeat": self.repeat, "budget_usd": self._asked_budget, "cache": self.cache}
        usual = {"repeat": 0, "budget_usd": None, "cache": "on"}
        given += [f"{name}={value!r}" for name, value in options.items() if value != usual[name]]
        return f"wb.playground({', '.join(given)})"

    def _models_code(self) -> str:
        asked = self._asked_models
        named = [
            quoted(one if isinstance(one, str) else one.ref) for one in (asked if isinstance(asked, tuple) else [asked])
        ]
        return f"[{', '.join(named)}]" if isinstance(asked, tuple) else named[0]

    # Showing

    def show(self) -> None:
        """Display in the cell that runs now; without a notebook, print."""
        self._shows.show()

    def close(self) -> None:
        """Stop, and leave the static form alone in every cell that shows this view."""
        self.stop()
        self._shows.close()

    def _ipython_display_(self) -> None:
        self.show()

    def _repr_html_(self) -> str:
        return static(self).html

    def __str__(self) -> str:
        return static(self).text

    def __repr__(self) -> str:
        return f"Playground({self.title}, on {', '.join(self.model_names)})"

    def _open(self) -> Session:
        """The session in use; a new one answers with models and money of its own."""
        session = current()
        if session is not self._session:
            found = tuple(choose_models(self._asked_models, session))
            if len(found) > MOST:
                named = ", ".join(model.ref for model in found)
                raise UsageError(f"{len(found)} models: name {MOST} at most, such as provider:id; these are {named}")
            cap = self._asked_budget if self._asked_budget is not None else session.run_budget_usd
            self.ledger = Ledger(None if cap == math.inf else cap, session.ledger)
            self._models, self._session, self._unpriced = found, session, 0
        return session

    def changed(self) -> None:
        self._shows.changed()

    def _kept(self) -> None:
        self._shows.keep()
