"""Prompts × models × cases: say what to compare, see what it would cost, run it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from workbench import catalog
from workbench.client import Client, current
from workbench.datasets import Dataset, load_dataset
from workbench.errors import BudgetReached, PlanError, choices
from workbench.experiment import confirm as confirming
from workbench.experiment import given
from workbench.experiment import plan as planning
from workbench.experiment.chosen import choose, choose_models, find_prompt, where_asked
from workbench.experiment.grid import Arm, blocks
from workbench.experiment.kept import keep
from workbench.experiment.plan import Design, Plan
from workbench.experiment.run import Options, Run
from workbench.ledger import Ledger
from workbench.prompts import Prompt
from workbench.scorers import as_scorers
from workbench.scorers.owner import declared
from workbench.settings import concurrency as default_concurrency

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    import pandas as pd

    from workbench.client import Session
    from workbench.experiment.race import RaceReport
    from workbench.records import Case, Request, Row, Usage
    from workbench.report import Report
    from workbench.scorers import Scorer
    from workbench.scorers.base import Function
    from workbench.verdict import Verdict

    Prompts = str | Prompt | Iterable[str | Prompt]
    Models = str | catalog.Model | Iterable[str | catalog.Model]
    Scorers = str | Function | Scorer | Iterable[str | Function | Scorer]

MODELS = 'tiers, provider:tier, provider:id or Models, such as models="fast" or models=["openai:fast", model]'
PROVIDERS = 'names of providers, such as providers="openai"'


class Experiment:
    """Which prompts, on which models, over which cases, judged by what.

    `prompts`: prompts or refs (`"ticket-triage@v1,v2"`; a bare name is its newest four). `dataset`: a Dataset, name,
    path or DataFrame. `models`: tiers (`"fast,balanced"`), ids (`"anthropic:<id>"`) or models; `providers` narrows
    tiers. `scorers`: scorers, functions `(case, reply)` or texts such as `"exact"`; the first metric decides.
    `repeats`: independent draws per case. Raises the named UsageError for whatever does not exist.
    """

    def __init__(
        self,
        name: str,
        prompts: Prompts,
        dataset: str | Path | Dataset | pd.DataFrame,
        models: Models,
        scorers: Scorers,
        repeats: int = 1,
        *,
        providers: str | Iterable[str] | None = None,
    ) -> None:
        given.word("name", name, "triage")
        given.whole("repeats", repeats, 3)
        self.name = name
        chosen = choose(prompts)
        self.prompts = tuple(chosen.prompts.values())
        self._notes, self._aliases = tuple(chosen.notes), chosen.aliases
        self.dataset = dataset if isinstance(dataset, Dataset) else load_dataset(dataset)
        self.scorers = as_scorers(scorers)
        self.repeats = repeats
        self._models = given.entries("models", models, (str, catalog.Model), MODELS)
        if providers is not None and not isinstance(providers, str):
            providers = given.entries("providers", providers, (str,), PROVIDERS)
        self._providers = providers

    def plan(self, *, sample: int | None = None, split: str | None = None, seed: int = 0, cache: str = "on") -> Plan:
        """Trials, hits, and the estimated tokens and US dollars of the rest; nothing is sent. Raises PlanError for
        what could not run."""
        given.check_options(sample=sample, split=split, seed=seed, cache=cache)
        session = self._session()
        design = self._design(session, sample, split, seed)
        planning.check(design, session, None)
        found = planning.estimate(design, self._looked_up(design, session, cache), session)
        test = sum(case.split == "test" for case in self.dataset) if self.dataset.from_workspace else 0
        return replace(found, sees=planning.smallest_differences(len(design.cases), test, len(design.arms)))

    def start(
        self,
        *,
        budget_usd: float | None = None,
        concurrency: int | None = None,
        sample: int | None = None,
        seed: int = 0,
        split: str | None = None,
        cache: str = "on",
        on_row: Callable[[Row], object] | None = None,
    ) -> Run:
        """Start in the running event loop; `await` the Run for its Report. Options and errors as in `run`."""
        given.check_options(
            sample=sample, split=split, seed=seed, cache=cache, concurrency=concurrency, on_row=on_row
        )
        session = self._session()
        cap = given.cap(budget_usd, session)
        design = self._design(session, sample, split, seed)
        planning.check(design, session, cap)
        confirming.warn_used_up(self.dataset, design.cases)
        return Run(design, session, Options(cap, concurrency or default_concurrency(), cache, on_row)).resume()

    async def run(
        self,
        *,
        budget_usd: float | None = None,
        concurrency: int | None = None,
        sample: int | None = None,
        seed: int = 0,
        split: str | None = None,
        cache: str = "on",
        on_row: Callable[[Row], object] | None = None,
    ) -> Report:
        """Run all trials and give the Report of their rows; the same call again resumes, and pays only for what is
        missing.

        `budget_usd`: cap of this run in US dollars, also over what the session allows; `math.inf` for none. It ends
        the run early, and the Report's `state` says so. `concurrency`: calls in flight (16 unless set). `sample`: a
        random subset of that many cases, drawn by `seed`, all of them hits in the full run. `split`: dev, test or all;
        dev for a dataset found by name, all for one given by path or DataFrame; test cases that a run shows cannot
        confirm anything any more, and a warning says so. `cache`: on, off, refresh (ask again) or replay (never ask).
        `on_row` is called with every finished Row. A failed trial is a row with an error. Raises PlanError,
        SettingsError and other UsageErrors before anything is sent, StorageError when the disk refuses.
        """
        return await self.start(
            budget_usd=budget_usd,
            concurrency=concurrency,
            sample=sample,
            seed=seed,
            split=split,
            cache=cache,
            on_row=on_row,
        )

    async def confirm(
        self,
        candidate: str | Prompt | catalog.Model,
        baseline: str | Prompt | catalog.Model,
        metric: str | None = None,
        margin: float = 0.0,
        *,
        budget_usd: float | None = None,
        concurrency: int | None = None,
        seed: int = 0,
        cache: str = "on",
        on_row: Callable[[Row], object] | None = None,
    ) -> Verdict:
        """Run the two on unseen test cases and judge them at the next share of the dataset's account of 0.05.

        Both are values of one axis, as in `report.compare`; a prompt need not be one of this experiment's. No test
        output is shown before the verdict. Raises VerdictError without enough unseen cases or when the replies of a
        pair lie over a week apart (`cache="refresh"` asks them anew), BudgetReached when the
        money ends first: nothing is judged or spent from the account then, and the same call resumes. The money also
        pays for a calibrated judge's anchors, which are asked first.
        """
        where = where_asked((candidate, baseline))
        candidate, baseline = map(self._meant, (candidate, baseline))
        names = [one.ref if isinstance(one, (Prompt, catalog.Model)) else one for one in (candidate, baseline)]
        given.check_options(seed=seed, cache=cache, concurrency=concurrency, on_row=on_row)
        session = self._session()
        deciding = self._deciding(metric)[1]
        cases, account = confirming.choose_cases(self.dataset.name, confirming.unseen_cases(self.dataset))
        design = self._confirmation(session, (candidate, baseline), names, cases, seed)
        cap = given.cap(budget_usd, session)
        planning.check(design, session, cap)
        ledger = Ledger(cap, session.ledger)
        notes = await confirming.check_judge(deciding, self.dataset, ledger, replay=cache == "replay")
        options = Options(cap, concurrency or default_concurrency(), cache, on_row)
        report = await Run(design, session, options, ledger).resume()
        if report.done < design.trials:
            raise BudgetReached(f"not confirmed: {report.message} Nothing was judged.")
        confirming.check_ages(design)
        question = report.question(metric, margin)
        confirming.check_scored(report, question.metric, *names)
        # more labels are another look at a judge's verdict
        labels = sum(map(len, question.judged.labels.values())) if question.judged else 0
        asked = [*names, question.metric, margin, labels]
        spending = confirming.spend(design, self.dataset.name, account, asked, anew=cache == "refresh")
        verdict = confirming.confirmed(report, names[0], names[1], metric, margin, spending.alpha)
        verdict = replace(verdict, notes=(*where, *notes))
        keep(verdict, report.folder, spending, asked)
        return verdict

    def _confirmation(
        self, session: Session, given: tuple[object, object], names: list[str], cases: tuple[Case, ...], seed: int
    ) -> Design:
        """A design of just the arms that the question needs."""
        asked = [one for one in given if isinstance(one, Prompt)]
        prompts = tuple({prompt.ref: prompt for prompt in asked}.values()) or self.prompts
        models = self._resolve_models(session)
        arms = tuple(Arm(prompt, model, session.origin(model.provider).name) for prompt in prompts for model in models)
        ordered = replace(self.dataset, cases=cases).shuffled(seed)
        return Design(
            name=f"{self.name}-confirm",
            arms=confirming.arms_of(arms, *names),
            cases=tuple(ordered),
            scorers=self.scorers,
            repeats=self.repeats,
            dataset=self.dataset.name,
            dataset_sha=self.dataset.sha,
            split="test",
            sample=None,
            seed=seed,
            notes=self._notes,
            purpose="confirm",
            aliases=self._aliases,
        )

    async def race(
        self,
        metric: str | None = None,
        *,
        budget_usd: float | None = None,
        alpha: float = 0.05,
        margin: float | None = None,
        concurrency: int | None = None,
        seed: int = 0,
        split: str | None = None,
        on_row: Callable[[Row], object] | None = None,
    ) -> RaceReport:
        """Run block after block over all arms, and stop paying for those that are clearly beaten.

        Ends when one arm is left, when all that are left are equivalent within `margin`, or with the cases or the
        money. `alpha`: probability that a best arm is ever dropped, however often one looks. Same rows and cache as
        `run`; running it again resumes. Raises PlanError for an unknown metric or one without bounds.
        """
        from workbench.experiment.race import Racing
        from workbench.stats import Race

        given.check_options(seed=seed, split=split, concurrency=concurrency, on_row=on_row)
        session = self._session()
        cap = given.cap(budget_usd, session)
        design = replace(self._design(session, None, split, seed), purpose="race")
        planning.check(design, session, cap)
        name, scorer = self._deciding(metric)
        if scorer.bounds is None:
            raise PlanError(f"{name} has no declared bounds, so nobody can be dropped early: @wb.scorer(bounds=...)")
        sign = 1 if scorer.higher_is_better else -1
        low, high = sorted(sign * bound for bound in scorer.bounds)
        confirming.warn_used_up(self.dataset, design.cases)
        racers = Race(len(design.arms), bounds=(low, high), alpha=alpha, margin=margin)
        options = Options(cap, concurrency or default_concurrency(), "on", on_row)
        racing = Racing(design, session, options, racers, name, sign)
        return racing.result(await racing.resume())

    def _meant(self, value: str | Prompt | catalog.Model) -> str | Prompt | catalog.Model:
        """A side of a comparison, refs as prompts; an arm, `prompt × model`, names one that this experiment has."""
        if isinstance(value, str) and "@" in value and "×" not in value:
            return find_prompt(value, self._aliases, self.prompts)
        return value

    def _deciding(self, metric: str | None) -> tuple[str, Scorer]:
        """A metric and the scorer that gives it; the first one's first metric decides."""
        known = declared(self.scorers)
        name = metric or next(iter(known))
        if name not in known:
            cure = f"; a scorer that returns a mapping names what it gives, @wb.scorer(metrics=[{name!r}, ...])"
            silent = any(not scorer.metrics for scorer in self.scorers)
            raise PlanError(f"no metric {name!r} is declared: {choices(name, known)}{cure if silent else ''}")
        return name, known[name]

    def cases(self, *, sample: int | None = None, split: str | None = None, seed: int = 0) -> Dataset:
        """The cases that `run` with these options is about."""
        chosen = self.dataset.split(split or ("dev" if self.dataset.from_workspace else "all"))
        return chosen if sample is None else chosen.sample(sample, seed)

    def requests(self, case: Case, repeat: int = 0) -> Iterator[tuple[Arm, Request]]:
        """What each arm would ask about a case; nothing is sent."""
        for arm in self._arms(self._session()):
            yield arm, arm.request(case, repeat)

    def _session(self) -> Session:
        """Who answers. A stand-in is told of this dataset: simulated models answer nothing on cases they do not
        know."""
        session = current()
        session.learn(self.dataset)
        return session

    def _arms(self, session: Session) -> tuple[Arm, ...]:
        models = self._resolve_models(session)
        return tuple(
            Arm(prompt, model, session.origin(model.provider).name) for prompt in self.prompts for model in models
        )

    def _design(self, session: Session, sample: int | None, split: str | None, seed: int) -> Design:
        chosen = split or ("dev" if self.dataset.from_workspace else "all")
        cases = self.cases(sample=sample, split=split, seed=seed)
        return Design(
            name=self.name,
            arms=self._arms(session),
            cases=tuple(cases.shuffled(seed)),
            scorers=self.scorers,
            repeats=self.repeats,
            dataset=self.dataset.name,
            dataset_sha=self.dataset.sha,
            split=chosen,
            sample=sample,
            seed=seed,
            notes=(*self._notes, *confirming.uses_up(self.dataset, cases)),
            aliases=self._aliases,
        )

    def _resolve_models(self, session: Session) -> list[catalog.Model]:
        return choose_models(self._models, session, self._providers)

    def _looked_up(self, design: Design, session: Session, cache: str) -> Iterator[tuple[Arm, Request, Usage | None]]:
        client = Client(session, mode=cache)
        for block in blocks(design.arms, design.cases, design.repeats):
            requests = [trial.arm.request(trial.case, trial.repeat) for trial in block]
            for trial, request, hit in zip(block, requests, client.lookup(requests), strict=True):
                yield trial.arm, request, hit.usage if hit else None

    def __repr__(self) -> str:
        return f"Experiment({self.name!r}: {', '.join(p.ref for p in self.prompts)} on {self.dataset.name})"
