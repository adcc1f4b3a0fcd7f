"""Every claim under its name, in the order in which they are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from claims_coverage import coverage_paired, coverage_single
from claims_errors import eight_arms, forty_variants, hard_cases_slow, looks
from claims_judge import judge_favours, judge_mean
from claims_nights import nights, nights_passing
from claims_power import power, race_stops, racing

if TYPE_CHECKING:
    from collections.abc import Callable

    from tables import Table

CLAIMS: dict[str, Callable[[float], Table]] = {
    "coverage-single": coverage_single,
    "coverage-paired": coverage_paired,
    "looks": looks,
    "eight-arms": eight_arms,
    "forty-variants": forty_variants,
    "hard-cases-slow": hard_cases_slow,
    "power": power,
    "racing": racing,
    "race-stops": race_stops,
    "judge-mean": judge_mean,
    "judge-favours": judge_favours,
    "nights": nights,
    "nights-passing": nights_passing,
}
"""Each takes a scale of the number of draws, 1 being the full one."""
