"""Is one arm better than another? One method per question, and a plain sentence.

A run that reached its planned size is judged by the fixed-n paired test at 0.04, an earlier stop and every live number
by the anytime-valid sequence at 0.01: together they spend 0.05, however often somebody looks. Rows in, verdict out;
`judge` and `compare` need numpy and are imported by those who judge.
"""

from workbench.verdict.records import WORDS, Change, Comparison, Outcome, PairVerdict, Verdict

__all__ = ["WORDS", "Change", "Comparison", "Outcome", "PairVerdict", "Verdict"]
