"""Plan and run: prompts × models × cases × repeats."""

from workbench.experiment.experiment import Experiment
from workbench.experiment.plan import Plan
from workbench.experiment.run import Progress, Run

__all__ = ["Experiment", "Plan", "Progress", "Run"]
