"""A process that promotes, and is killed at its n-th call to Langfuse: `python promoting.py URL N before|after`."""

from __future__ import annotations

import sys

from mortal import Mortal

from workbench.langfuse.server import Address
from workbench.promotion.promote import promote
from workbench.sim.langfuse import PUBLIC_KEY, SECRET_KEY

if __name__ == "__main__":
    address = Address(sys.argv[1], PUBLIC_KEY, SECRET_KEY, stand_in=True)
    with Mortal(address, int(sys.argv[2]), sys.argv[3]) as server:
        print(promote("ticket-triage@v4", by="the dead", override="again", server=server))
