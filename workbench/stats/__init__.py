"""Statistics: pure functions on arrays, no dependency on the rest of the package.

One question, one method: a mean (`mean_interval`), the paired difference of a finished run (`paired_difference`) or of
one looked at while it grows (`ConfidenceSequence`), many at once (`holm`), many arms while they run (`Race`), scores by
a judge that errs (`ppi_mean`, `ppi_difference`), and what n cases can see (`smallest_difference`, `cases_needed`,
`separable_difference`). `make verify-statistics` measures what they promise.
"""

from workbench.stats.difference import Difference, paired_difference
from workbench.stats.family import holm
from workbench.stats.judged import ppi_difference, ppi_mean
from workbench.stats.means import LARGE, Interval, betting, clopper_pearson, mean_interval, t_limits
from workbench.stats.power import cases_needed, smallest_difference
from workbench.stats.race import Race, separable_difference
from workbench.stats.sequence import ConfidenceSequence

__all__ = [
    "LARGE",
    "ConfidenceSequence",
    "Difference",
    "Interval",
    "Race",
    "betting",
    "cases_needed",
    "clopper_pearson",
    "holm",
    "mean_interval",
    "paired_difference",
    "ppi_difference",
    "ppi_mean",
    "separable_difference",
    "smallest_difference",
    "t_limits",
]
