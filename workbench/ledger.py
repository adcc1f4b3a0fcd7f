"""Money: reserve the worst case before a call, settle what it cost after it.

Spent + uncertain + reserved never passes the cap, whatever the number of tasks. A ledger lives in memory: its cap holds
for one process and one start. A run that is resumed later, or in a second process, starts with a fresh budget; within
one process `wb.live(budget_usd=)` covers all runs together.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from math import floor, isfinite, log10

from workbench.errors import BudgetReached


@dataclass(frozen=True, slots=True)
class Reservation:
    """US dollars set aside for one call that may be under way."""

    amount_usd: float


class Ledger:
    """One cap in US dollars (`None`: no cap) and what was done under it.

    `spent_usd`: priced replies. `uncertain_usd`: worst cases of calls that ended without a reply but may have been
    charged. `reserved_usd`: calls under way. A run's ledger has the session's as `parent`; a call must fit in both.
    """

    def __init__(self, cap_usd: float | None = None, parent: Ledger | None = None) -> None:
        self.cap_usd = cap_usd
        self.parent = parent
        self.spent_usd = 0.0
        self.uncertain_usd = 0.0
        self.reserved_usd = 0.0
        self._under_way = 0
        self._waiting: list[asyncio.Future[None]] = parent._waiting if parent else []

    @property
    def is_capped(self) -> bool:
        """Whether this ledger or one above it has a cap."""
        return any(ledger.cap_usd is not None for ledger in self._chain())

    async def reserve(self, amount_usd: float | None) -> Reservation:
        """Set aside the worst case of a call; waits while calls under way may still give money back.

        Raises BudgetReached when the call cannot fit even after all of them, or its worst case is unknown under a cap.
        """
        if amount_usd is None and self.is_capped:
            raise BudgetReached("the price of this model is unknown, or nothing limits its answer (max_tokens), so it "
                                "cannot run under a budget")  # fmt: skip
        reservation = Reservation(amount_usd or 0.0)
        while (full := self._too_full(reservation)) is not None:
            if full._under_way == 0 or full._never_fits(reservation):
                raise BudgetReached(full._refusal(reservation))
            freed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(freed)
            await freed
        for ledger in self._chain():
            ledger.reserved_usd += reservation.amount_usd
            ledger._under_way += 1
        return reservation

    def settle(self, reservation: Reservation, spent_usd: float | None = 0.0, uncertain_usd: float = 0.0) -> None:
        """Replace the reservation by what the call cost; `None` is an unknown price and counts as nothing here."""
        for ledger in self._chain():
            ledger._under_way -= 1
            # rounding must not leave a hair of reservation behind when nobody is left to give it back
            left = ledger.reserved_usd - reservation.amount_usd
            ledger.reserved_usd = max(left, 0.0) if ledger._under_way else 0.0
            ledger.spent_usd += spent_usd or 0.0
            ledger.uncertain_usd += uncertain_usd
        waiting, self._waiting[:] = list(self._waiting), []
        for freed in waiting:
            if not freed.done():
                freed.set_result(None)

    def _chain(self) -> list[Ledger]:
        return [self, *self.parent._chain()] if self.parent else [self]

    def _too_full(self, reservation: Reservation) -> Ledger | None:
        """The first ledger in which the reservation does not fit now."""
        for ledger in self._chain():
            taken = ledger.spent_usd + ledger.uncertain_usd + ledger.reserved_usd
            # written so that a sum that is not a number fits nowhere
            if ledger.cap_usd is not None and not taken + reservation.amount_usd <= ledger.cap_usd:
                return ledger
        return None

    def _never_fits(self, reservation: Reservation) -> bool:
        """Whether it would not fit even if every call under way cost nothing."""
        return self.cap_usd is not None and self.spent_usd + self.uncertain_usd + reservation.amount_usd > self.cap_usd

    def _refusal(self, reservation: Reservation) -> str:
        perhaps = f" (and perhaps {dollars(self.uncertain_usd)} for calls that broke off)" if self.uncertain_usd else ""
        return (f"budget of ${self.cap_usd:g} reached: {dollars(self.spent_usd)} spent{perhaps}, and the next "
                f"call may cost up to {dollars(reservation.amount_usd)}")  # fmt: skip

    def __repr__(self) -> str:
        cap = "no cap" if self.cap_usd is None else f"cap ${self.cap_usd:g}"
        return f"Ledger({cap}, spent {dollars(self.spent_usd)}, reserved {dollars(self.reserved_usd)})"


def dollars(value: float | None) -> str:
    """Money, cents above one dollar and three significant digits below; an unknown price is said to be unknown."""
    if value is None:
        return "unknown"
    if value == 0:
        return "$0"
    if not isfinite(value):
        return f"${value}"
    digits = 2 if value >= 1 else min(2 - floor(log10(value)), 8)
    return f"${value:,.{digits}f}"
