"""Axes of the chart of quality against cost: where a value stands, from 0 to 1, and which values are written beside."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, isfinite, log10
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

FAR = 20.0
"""Costs that differ by more than this factor are drawn on a log scale."""
TICKS = 7
"""About as many values are written beside an axis."""
EDGE = 0.04
"""What is left empty at the ends of an axis of costs, as a share of it."""
FREE_UNTIL = 0.14
"""On a log scale 0 has no place: what costs nothing stands left of this share of the axis, apart."""


@dataclass(frozen=True, slots=True)
class Axis:
    """Values from `low` to `high` on the share `start` to 1 - EDGE of an axis; `log`: by their logarithm.

    `free`: what costs nothing stands apart, left of `start`.
    """

    low: float
    high: float
    start: float = 0.0
    end: float = 1.0
    log: bool = False
    free: bool = False

    def place(self, value: float) -> float:
        """Where a value stands, 0 to 1; a value beyond the ends stands at the end."""
        if self.free and value <= 0:
            return EDGE
        low, high, at = (log10(x) if self.log else x for x in (self.low, self.high, max(value, self.low)))
        share = (min(at, high) - low) / (high - low) if high > low else 0.5
        return self.start + (self.end - self.start) * share

    def ticks(self) -> list[float]:
        """Round values within the axis."""
        found = _log_ticks(self.low, self.high) if self.log else _even_ticks(self.low, self.high)
        return [0.0, *found] if self.free else found


def cost_axis(costs: Iterable[float]) -> Axis:
    """The axis of costs in US dollars, none negative."""
    known = sorted(costs)
    paid = [cost for cost in known if cost > 0]
    if not paid:
        return Axis(0.0, 1.0, EDGE, 1 - EDGE)
    low, high, free = paid[0], paid[-1], known[0] == 0
    if high > FAR * low:
        return Axis(low, high, FREE_UNTIL + EDGE if free else EDGE, 1 - EDGE, log=True, free=free)
    zero = free or low < high / 2
    edge = (high - low) or low / 2
    return Axis(0.0 if zero else max(low - edge / 4, 0.0), high if zero else high + edge / 4, EDGE, 1 - EDGE)


def quality_axis(values: Iterable[float]) -> Axis:
    """The axis of qualities: all finite ones, with some room."""
    known = [value for value in values if isfinite(value)]
    low, high = min(known, default=0.0), max(known, default=1.0)
    room = 0.06 * (high - low) or max(abs(high) * 0.05, 1e-6)
    return Axis(low - room, high + room)


def _even_ticks(low: float, high: float) -> list[float]:
    raw = (high - low) / TICKS
    if not isfinite(raw) or raw <= 0:
        return [low]
    size = 10.0 ** floor(log10(raw))
    step = next((size * one for one in (1, 2, 2.5, 5) if size * one >= raw), size * 10)
    return [round(n * step, 12 - floor(log10(step))) for n in range(ceil(low / step), floor(high / step) + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    first, last = floor(log10(low)), ceil(log10(high))
    digits = (1, 2, 5) if last - first <= 2 else (1, 3) if last - first == 3 else (1,)
    every = max((last - first) // TICKS, 1)
    found = [float(f"{digit}e{power}") for power in range(first, last + 1, every) for digit in digits]
    return [value for value in found if low * (1 - 1e-9) <= value <= high * (1 + 1e-9)]
