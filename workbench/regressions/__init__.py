"""Is tonight's report still what it was? `wb.regression(report, baseline="notebooks/baselines/<name>.json")`.

Replayed replies are held against the baseline exactly: every score, error and price. Live ones are drawn anew, so they
are held against it by paired tests that share one false alarm in 90 nights.
"""

from workbench.regressions.gate import regression
from workbench.regressions.records import Change, Check, Regression

__all__ = ["Change", "Check", "Regression", "regression"]
