"""Limits of a mean that hold however often one looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

BETS = np.array([0.03, 0.08, 0.2, 0.35, 0.55, 0.75])
"""Shares of the capital staked per case. Several bettors run side by side and their capital is added up."""
WEIGHTS = np.array([0.5, 0.7, 1.0, 1.5, 2.0, 1.0]) / 6.7
"""How the first unit of capital is shared out: mostly to bets that suit differences found within some hundred cases."""
GRID = 1000
"""Candidate means between the bounds."""
CHUNK = 20_000
"""Numbers held at once by `extend`."""
FLOOR = 1e-200
"""Lost capital is kept at this, not at denormal numbers, which are slow; it adds nothing that could ever count."""


class ConfidenceSequence:
    """Limits of the mean of bounded values, all of them true at once with probability ≥ 1 − alpha: look when you like.

    Waudby-Smith & Ramdas 2024, "Estimating means of bounded random variables by betting" (JRSS B 86, 1–27): against
    each candidate mean m on a grid a gambler stakes a share c of the capital that values lie above m, another that they
    lie below, at odds that are fair if the mean is m; the capital multiplies by 1 − c + c(x − low)/(m − low), and by
    1 − c + c(high − x)/(high − m). By Ville's inequality a fair game reaches 2/alpha with probability ≤ alpha/2, so m
    is left out once either gambler has. In place of one adaptive bet each gambler splits the capital over `BETS`, which
    needs no tuning and depends on the values alone. Capital falls as m grows, so what is kept is an interval, and a
    grid point left out is itself a limit: nothing is rounded inwards.

    Assumes: values within `bounds`, each with the same mean given those before it (cases in an order that does not
    depend on their values: the plan's shuffled order, not that of completion). `low`, `high`: the running intersection,
    which never widens (should it become empty, an event within alpha, it stays as it was). `n`, `mean`: of the values.
    """

    def __init__(self, bounds: tuple[float, float], alpha: float = 0.01) -> None:
        lowest, highest = bounds
        if not (lowest < highest and 0 < alpha < 1):
            raise ValueError(f"bounds {bounds} must rise and alpha {alpha} lie between 0 and 1")
        self.low, self.high, self.n = float(lowest), float(highest), 0
        self._sum = 0.0
        self._bounds = (float(lowest), float(highest))
        self._wealth_needed = 2 / alpha
        grid = _grid(lowest, highest)
        self._grid, self._first, self._last = grid, 0, len(grid)
        self._gain_up = BETS / (grid - lowest)[:, None]
        self._gain_down = BETS / (highest - grid)[:, None]
        self._up = np.broadcast_to(WEIGHTS, self._gain_up.shape).copy()
        self._down = self._up.copy()

    @property
    def mean(self) -> float:
        """The mean of the values so far; NaN before the first."""
        return self._sum / self.n if self.n else float("nan")

    def update(self, value: float) -> None:
        """Take one more value."""
        lowest, highest = self._bounds
        if not lowest <= value <= highest:
            raise ValueError(f"{value} lies outside the bounds {self._bounds}")
        self.n += 1
        self._sum += float(value)
        alive = slice(self._first, self._last)
        up, down = self._up[alive], self._down[alive]
        up *= self._gain_up[alive] * (value - lowest) + (1 - BETS)
        down *= self._gain_down[alive] * (highest - value) + (1 - BETS)
        if self.n % 32 == 0:
            np.maximum(up, FLOOR, out=up)
            np.maximum(down, FLOOR, out=down)
        ones = np.ones(len(BETS))
        self._leave_out(
            int(np.count_nonzero(up @ ones >= self._wealth_needed)),
            int(np.count_nonzero(down @ ones >= self._wealth_needed)),
        )

    def extend(self, values: Floats) -> None:
        """Take many values, in their order: the same limits as one `update` each, at a fraction of the time."""
        values = np.asarray(values, dtype=np.float64)
        lowest, highest = self._bounds
        if not ((values >= lowest) & (values <= highest)).all():
            raise ValueError(f"values lie outside the bounds {self._bounds}")
        taken = 0
        while taken < len(values):
            size = max(1, min(256, CHUNK // max(1, (self._last - self._first) * len(BETS))))
            self._take(values[taken : taken + size])
            taken += size

    def _take(self, values: Floats) -> None:
        """One chunk: capital after each value by cumulative products, what was ever left out by the largest."""
        lowest, highest = self._bounds
        alive = slice(self._first, self._last)
        left_out = []
        after = []
        for capital, gain, won in (
            (self._up[alive], self._gain_up[alive], values - lowest),
            (self._down[alive], self._gain_down[alive], highest - values),
        ):
            path = gain[None] * won[:, None, None] + (1 - BETS)
            path[0] *= capital
            np.cumprod(path, axis=0, out=path)
            left_out.append(int(np.count_nonzero((path.sum(axis=2) >= self._wealth_needed).any(axis=0))))
            after.append(np.maximum(path[-1], FLOOR))
        if len(values) > 1 and sum(left_out) >= self._last - self._first:  # empty within the chunk: find where
            for value in values:
                self.update(float(value))
            return
        self._up[alive], self._down[alive] = after
        self.n += len(values)
        self._sum += float(values.sum())
        self._leave_out(*left_out)

    def _leave_out(self, from_below: int, from_above: int) -> None:
        """Narrow the grid, unless nothing would be left of it."""
        if from_below + from_above >= self._last - self._first:
            return
        self._first += from_below
        self._last -= from_above
        if self._first:
            self.low = float(self._grid[self._first - 1])
        if self._last < len(self._grid):
            self.high = float(self._grid[self._last])


def _grid(lowest: float, highest: float) -> Floats:
    """Candidate means inside the bounds, with two right beside 0, so that leaving out 0 shows as a limit beyond it."""
    step = (highest - lowest) / GRID
    grid = lowest + step * np.arange(1, GRID)
    if lowest < 0 < highest:
        near = step * 1e-6
        grid = np.concatenate([grid[np.abs(grid) > step / 2], [-near, near]])
    return np.sort(grid)
