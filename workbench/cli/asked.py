"""What an experiment on the command line is about: the options that `plan`, `run`, `confirm` and `race` share."""

from __future__ import annotations

import inspect
from dataclasses import MISSING, dataclass, fields
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from workbench.cli import options as given

if TYPE_CHECKING:
    from collections.abc import Callable

    from workbench.connect import Answering
    from workbench.experiment import Experiment


@dataclass(frozen=True)
class Asked:
    """Prompts, dataset, models and scorers, and who answers."""

    prompts: given.Prompts
    dataset: given.DatasetOption
    scorer: given.ScorerOption
    tiers: given.Tiers = None
    providers: given.Providers = None
    models: given.Models = None
    repeats: given.Repeats = 1
    seed: given.Seed = 0
    column: given.Columns = None
    live: given.Live = False
    recordings: given.Recordings = None
    base_url: given.BaseUrl = None
    name: Annotated[str | None, typer.Option(help="Name of the experiment; by default prompt and dataset.")] = None

    def open(self, cache: str = "on", budget: float | None = None) -> tuple[Answering, Experiment]:
        """Who answers, and the experiment. Raises the UsageErrors of all that does not exist or fit."""
        from workbench.datasets import load_dataset
        from workbench.experiment import Experiment

        cases = load_dataset(self.dataset, columns=given.pairs(self.column or [], "--column"))
        session = given.connect(self.live, self.recordings, self.base_url, cache, budget)
        models = ",".join(filter(None, [self.tiers, self.models])) or "fast,balanced,powerful"
        name = self.name or f"{self.prompts[0].partition('@')[0]}-{cases.name}"
        experiment = Experiment(name, self.prompts, cases, models, self.scorer, self.repeats, providers=self.providers)
        return session, experiment


def takes_asked(command: Callable[..., int]) -> Callable[..., int]:
    """A command whose first parameter is an `Asked`: typer sees the record's fields as options of its own."""
    hints = get_type_hints(Asked, include_extras=True)
    shared = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
            annotation=hints[field.name],
        )
        for field in fields(Asked)
    ]
    own = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in list(inspect.signature(command, eval_str=True).parameters.values())[1:]
    ]

    @wraps(command)
    def call(**options: Any) -> int:
        given.refuse_empty(options)
        asked = Asked(**{parameter.name: options.pop(parameter.name) for parameter in shared})
        return command(asked, **options)

    parameters = [*shared, *own]
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    del call.__wrapped__  # or typer would look through to the record
    return call
