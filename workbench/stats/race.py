"""Which of many arms is best, paying only for those still in question: pure logic, no calls."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from workbench.stats.sequence import BETS, FLOOR, WEIGHTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

BLOCK = 25
"""Cases whose capital is computed at once; between them the leader is looked at anew."""
FOLLOWS = 0.5
"""Share of the first capital that stakes on the current leader; the rest is split evenly over all rivals."""


class Race:
    """Arms on blocks of the same cases; an arm clearly beaten by a living one gets no more of them.

    Against "arm i is the best, or as good as the best" gamblers stake, on the per-case differences of living arms, that
    a rival is ahead of i: one on whoever led before the cases at hand, one on each rival j. Their capital, in the
    bets of `ConfidenceSequence`, is a fair or losing game if no rival is better than i, so its weighted sum e_i is too.
    Arm i is out as soon as every set of arms that holds i has a mean e of 1/alpha or more.

    Why this holds at any look, whatever the dependence between arms: let B be the truly best arms, one or several. The
    mean e over B is itself a fair or losing game, so by Ville's inequality it ever reaches 1/alpha with probability
    ≤ alpha; unless it does, no arm of B is dropped (closed testing with e-values: Vovk & Wang 2021, "E-values:
    calibration, combination and applications", Annals of Statistics 49, 1736–1754; Waudby-Smith & Ramdas 2024 for the
    bets). So with probability ≥ 1 − alpha no best arm is ever dropped: a declared winner is the best, and of equal arms
    none is called beaten. The first arm dropped needs capital of about arms/alpha, the last one 2/alpha.

    With a `margin` the race also stops as `equivalent` once "j is worse than i by the margin or more" is ruled out for
    all pairs left, each at alpha/(arms − 1); both claims then get alpha/2, and with probability ≥ 1 − alpha every
    arm left is within the margin of the best.

    Assumes scores within `bounds` and cases in the plan's shuffled order. `alive`: arms still running; `beaten`: arm
    out → the living arm that speaks most clearly against it; `winner`: the only arm left, else None; `n`: cases taken.
    """

    def __init__(self, arms: int, *, bounds: tuple[float, float] = (0.0, 1.0), alpha: float = 0.05,
                 margin: float | None = None) -> None:  # fmt: skip
        width = bounds[1] - bounds[0]
        if arms < 2 or not width > 0 or not 0 < alpha < 1:
            raise ValueError("a race needs two arms, rising bounds and an alpha between 0 and 1")
        if margin is not None and not 0 < margin < width:
            raise ValueError(f"margin {margin} must be positive and smaller than the scores' range {width}")
        self.alive = list(range(arms))
        self.beaten: dict[int, int] = {}
        self.equivalent = False
        self.n = 0
        self._bounds = bounds
        self._needed = 1 / (alpha if margin is None else alpha / 2)
        self._margin = None if margin is None else margin / width
        self._sums = np.zeros(arms)
        self._rivals = np.broadcast_to(WEIGHTS, (arms, arms, len(BETS))).copy()  # [i, j]: stakes on "j is ahead of i"
        self._rivals[np.arange(arms), np.arange(arms)] = 0.0
        self._follow = np.broadcast_to(WEIGHTS, (arms, len(BETS))).copy()  # [i]: stakes on "the leader is ahead of i"
        self._near = np.broadcast_to(
            WEIGHTS, (arms, arms, len(BETS))
        ).copy()  # [i, j]: "j is not behind i by the margin"
        self._near_enough = np.eye(arms, dtype=bool)

    @property
    def winner(self) -> int | None:
        """The only arm left, or None."""
        return self.alive[0] if len(self.alive) == 1 else None

    @property
    def finished(self) -> bool:
        """Whether more cases could change nothing that was asked."""
        return self.equivalent or len(self.alive) == 1

    def add(self, scores: Floats) -> None:
        """Take a block, shape (cases, arms), in the plan's order; arms that are out may be NaN and are not looked at.

        Raises ValueError for a missing or out-of-bounds score of a living arm.
        """
        low, high = self._bounds
        for start in range(0, len(scores), BLOCK):
            if self.finished:
                return
            block = scores[start : start + BLOCK, self.alive]
            if not ((block >= low) & (block <= high)).all():
                raise ValueError(f"a living arm's score is missing or outside the bounds {self._bounds}")
            self._take((block - low) / (high - low))
            self.n += len(block)

    def _take(self, block: Floats) -> None:
        alive = np.array(self.alive)
        pairs = np.ix_(alive, alive)
        ahead = block[:, None, :] - block[:, :, None]  # [case, i, j]: how far j is ahead of i
        leaders = self._sums[alive] >= self._sums[alive].max() - 1e-9
        follow, self._follow[alive] = _play(self._follow[alive], ahead[:, :, leaders].mean(axis=2))
        before = self._rivals.sum(axis=(1, 2))[alive] - self._rivals[pairs].sum(axis=(1, 2))  # of rivals that are out
        rivals, self._rivals[pairs] = _play(self._rivals[pairs], ahead)
        others = len(self._sums) - 1
        evidence = FOLLOWS * follow + (1 - FOLLOWS) * (rivals.sum(axis=2) + before) / others
        if self._margin is not None:
            near, self._near[pairs] = _play(self._near[pairs], (ahead + self._margin) / (1 - self._margin))
            self._near_enough[pairs] |= near.max(axis=0) >= others * self._needed
        self._sums[alive] += block.sum(axis=0)
        self._drop(alive, evidence, rivals[-1])
        self.equivalent = len(self.alive) > 1 and bool(self._near_enough[np.ix_(self.alive, self.alive)].all())

    def _drop(self, alive: NDArray[np.intp], evidence: Floats, rivals: Floats) -> None:
        """Drop the arms that were out at some case of the block; `evidence`, shape (cases, alive): e after each."""
        missing = np.maximum(self._needed - evidence, 0.0).sum(axis=1)
        out = (evidence - self._needed >= missing[:, None]).any(axis=0)
        if out.all():  # all called worse than the best: an event within alpha, of which nothing can be believed
            return
        kept = np.flatnonzero(~out)
        for i in np.flatnonzero(out):
            self.beaten[int(alive[i])] = int(alive[kept[rivals[i, kept].argmax()]])
        self.alive = [int(arm) for arm in alive[kept]]


def separable_difference(cases: int, arms: int, *, sd: float = 0.45, alpha: float = 0.05, power: float = 0.8) -> float:
    """The lead, in units of the score, by which a race of `arms` over `cases` cases tells two of them apart.

    `sd`: of the per-case differences of two arms (0.45 fits right/wrong scores around 0.8 that agree as two prompts
    usually do). A bettor who stakes well gains d²/(2·sd²) a case with standard deviation d/sd, and needs the logarithm
    of arms/alpha and about half of one for not knowing the best stake: an approximation, said before the start and
    checked in `make verify-statistics`; the race itself does not rest on it.
    """
    from scipy.special import ndtri

    goal = math.log(arms / alpha) + 0.5
    z = float(ndtri(power))
    return (z + math.sqrt(z * z + 2 * goal)) * sd / math.sqrt(max(cases, 1))


def _play(capital: Floats, gains: Floats) -> tuple[Floats, Floats]:
    """Total capital after each case, shape of `gains`, and the capital of each bettor after the block."""
    path = np.cumprod(gains[..., None] * BETS + 1, axis=0)
    path *= capital
    total: Floats = path.sum(axis=-1)
    return total, np.maximum(path[-1], FLOOR)
