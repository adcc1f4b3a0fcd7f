"""What is on the playground's screen and can be kept: a prompt, its variables' values, the case they came from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.errors import UsageError
from workbench.experiment.chosen import find_prompt
from workbench.prompts import prompt_names
from workbench.widgets.playground_cases import Cases, add_case
from workbench.widgets.playground_data import Draft, field_value, json_fault

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from workbench.datasets import Dataset
    from workbench.prompts import Prompt
    from workbench.records import Message as Turn
    from workbench.widgets.playground_cases import Added


class Editing:
    """A prompt that is edited and filled. `revision` counts the times that fields were filled from here: a front end
    then takes them over, whatever was typed. `said`: what was kept last, in words. `expected_fault`: why what was typed
    as the right answer is neither JSON nor clearly text."""

    def __init__(self, prompt: Prompt | str) -> None:
        self.draft = Draft(found(prompt))
        self.cases: Cases | None = None
        self.said = ""
        self.revision = 0
        self._case = ""
        self._inputs: dict[str, Any] = {}
        self._expected: Any = None
        self._given: Any = None  # the right answer before anybody typed: text stays text
        self.expected_fault = ""
        self._repeat = 0

    @property
    def prompt(self) -> Prompt:
        """The prompt as it is edited: the version itself while nothing differs, else a draft. Raises PromptError for
        text that is no prompt. Set it to a Prompt or a ref."""
        return self.draft.prompt

    @prompt.setter
    def prompt(self, prompt: Prompt | str) -> None:
        self.draft = Draft(found(prompt))
        self._filled()

    @property
    def turns(self) -> list[Turn]:
        """The messages as they are on screen, prompt or not."""
        return self.draft.turns

    @property
    def title(self) -> str:
        """The prompt's ref, and the version that it was edited from."""
        base, fault = self.draft.base.ref, self.draft.fault()
        ref = base if fault else self.prompt.ref
        return base if ref == base else f"{ref}, edited from {base}"

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the prompt's variables."""
        return self.draft.variables()

    @property
    def dataset(self) -> str:
        """The name of the dataset that variables are filled from, empty without one."""
        return self.cases.name if self.cases else ""

    @property
    def case(self) -> str:
        """The id of the case that filled the variables; set it to fill them from another. Raises DatasetError."""
        return self._case

    @case.setter
    def case(self, case_id: str) -> None:
        if self.cases is None:
            raise UsageError("no dataset is chosen: view.use(...) first")
        one = self.cases.find(case_id)
        self._case, self._inputs = one.id, dict(one.inputs)
        self.expected = one.expected

    @property
    def inputs(self) -> dict[str, Any]:
        """Values of the variables, and whatever else the case gives."""
        return self._inputs

    @inputs.setter
    def inputs(self, inputs: Mapping[str, Any]) -> None:
        self._inputs = dict(inputs)
        self._filled()

    @property
    def expected(self) -> Any:
        """The right answer: the case's, until another is typed or set."""
        return self._expected

    @expected.setter
    def expected(self, expected: Any) -> None:
        self._expected = self._given = expected
        self.expected_fault = ""
        self._filled()

    @property
    def repeat(self) -> int:
        """The number of the draw. Raises UsageError for anything but a whole number, 0 or more."""
        return self._repeat

    @repeat.setter
    def repeat(self, number: int) -> None:
        if isinstance(number, bool) or not isinstance(number, int) or number < 0:
            raise UsageError(f"draw {number!r}: it must be a whole number, 0 or more")
        self._repeat = number
        self._filled()

    def use(self, dataset: Dataset | str | Path | Cases | None) -> None:
        """Fill variables from this dataset, its first case to begin with; None: from none. Raises DatasetError."""
        self.cases = dataset if isinstance(dataset, Cases) or dataset is None else Cases(dataset)
        if self.cases is not None:
            self.case = self.cases.first
        else:
            self._case = ""
            self._filled()

    def typed(self, turns: Mapping[str, str], values: Mapping[str, str], others: Mapping[str, Any]) -> None:
        """What was typed into the fields, touched ones alone: the screen has it already, so nothing is filled anew."""
        for number, text in turns.items():
            self.draft.edit(int(number), str(text))
        self._inputs |= {name: str(text) for name, text in values.items() if name in self.variables}
        if "expected" in others:
            text = str(others["expected"])
            self._expected = field_value(text, self._given)
            self.expected_fault = json_fault(text, self._given)
        if "repeat" in others:
            self._repeat = max(int(others["repeat"]), 0)

    def save(self, commit_message: str = "") -> str:
        """Write the prompt as its next version, `prompts/<name>/v<n+1>.yaml` in the workspace; the ref of the version
        that holds it. Content that a version holds already is not saved twice. Raises PromptError, StorageError."""
        self.said = ""
        before = prompt_names().get(self.draft.base.name, [])
        saved = self.prompt.save(commit_message or None)
        if saved.version in before:
            self.said = f"{saved.ref} holds this text already; nothing was written."
        else:
            self.said = f"Saved as {saved.ref}, in prompts/{saved.name}/{saved.version}.yaml."
        self.prompt = saved
        self._kept()
        return saved.ref

    def add_case(self, expected: Any = None, *, case_id: str = "", dataset: str = "") -> Added:
        """Append the variables as a dev case to a dataset of the workspace: this one's, or the one named.

        `expected`: the right answer, by default what stands in `view.expected`. A shipped dataset is copied into the
        workspace first. Returns the id and the file. Raises DatasetError, StorageError.
        """
        self.said = ""
        name = dataset or self.dataset
        if not name:
            raise UsageError('no dataset is chosen: add_case(dataset="my-cases") makes one')
        if expected is None and self.expected_fault:
            raise UsageError(f"expected {self.expected_fault}")
        own = self.cases.path if self.cases and name == self.cases.name else None
        right = self.expected if expected is None else expected
        added = add_case(name, case_id, self.inputs, right, own)
        self.said = f"Added: {added}."
        self.cases = Cases(own or name)
        self.case = added.case_id
        self._kept()
        return added

    def changed(self) -> None:
        """Called when something on screen is another."""

    def _kept(self) -> None:
        """Called when something was kept that the static form tells of."""

    def _filled(self) -> None:
        self.revision += 1
        self.changed()


def found(prompt: Prompt | str) -> Prompt:
    """A prompt by ref, `ticket-triage@production` included. Raises PromptError."""
    return find_prompt(prompt, {}, ()) if isinstance(prompt, str) else prompt
