"""Quality against cost, with uncertainty."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def pareto_front(quality_low: Floats, quality: Floats, quality_high: Floats, cost: Floats) -> NDArray[np.bool_]:
    """Which arms are on the quality–cost front; all arguments and the answer have shape (arms,).

    An arm is off the front only when clearly dominated: another arm costs no more (equal cost counts) and its lower
    limit exceeds this arm's upper limit. `quality` itself decides nothing, it must only lie between its limits.
    Arms with an unknown cost or limit (NaN) stay on the front and push nobody off it. Costs are taken as exact.
    """
    if not (len(quality_low) == len(quality) == len(quality_high) == len(cost)):
        raise ValueError("quality and cost need one value per arm")
    if ((quality_low > quality) | (quality > quality_high)).any():
        raise ValueError("a quality lies outside its own limits")
    no_dearer = cost[:, None] <= cost[None, :]
    clearly_better = quality_low[:, None] > quality_high[None, :]
    on_front: NDArray[np.bool_] = np.logical_not(np.any(no_dearer & clearly_better, axis=0))
    return on_front
