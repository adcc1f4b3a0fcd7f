"""Rows, their summaries, and how they are shown."""

from workbench.report.cases import Cases
from workbench.report.listing import Runs, load_report, runs
from workbench.report.report import Report
from workbench.report.summary import ArmSummary, Leaderboard

__all__ = ["ArmSummary", "Cases", "Leaderboard", "Report", "Runs", "load_report", "runs"]
