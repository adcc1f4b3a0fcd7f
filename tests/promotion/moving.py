"""A process that moves production, and may be told to kill itself at its n-th call to Langfuse.

Run as `python moving.py '{"url": ..., "moves": [[before, after], ...], "kill_at": n, "when": "before" | "after"}'`;
prints a line of JSON for each move: its record, or the error.
"""

from __future__ import annotations

import json
import random
import sys
from dataclasses import asdict
from typing import Any

from mortal import Mortal

from workbench.errors import WorkbenchError
from workbench.langfuse.prompts import holders, pull
from workbench.langfuse.server import Address, Server
from workbench.promotion.move import Wish, held, move
from workbench.promotion.record import Chain, one_at_a_time
from workbench.promotion.settling import end_what_was_open
from workbench.prompts import Prompt
from workbench.sim.langfuse import PUBLIC_KEY, SECRET_KEY

NAME = "greeting"


def versions(count: int = 6) -> list[Prompt]:
    """v1, v2, ..., all different."""
    return [Prompt(NAME, f"Greet {{{{who}}}}, style {number}.", version=f"v{number}") for number in range(1, count + 1)]


def one_move(server: Server, before: int | None, after: int, by: str, lease_s: float) -> dict[str, Any]:
    """Try one move the way promote does: end what was left open, then move from the expected holder."""
    try:
        with one_at_a_time():
            end_what_was_open(server, NAME, by)
            now = holders(server, NAME)
            number = before if before is not None else now[0]
            expected = held(pull(server, NAME, number=number))
            target = held(pull(server, NAME, number=after))
            wish = Wish(NAME, "promote", expected, target, by, holders=(number,))
            record = move(server, wish, lease_s=lease_s)
            Chain().append(record)
            return asdict(record)
    except WorkbenchError as error:
        return {"result": "error", "error": f"{type(error).__name__}: {error}"}


def main() -> None:
    """Do what the argument says."""
    told = json.loads(sys.argv[1])
    address = Address(told["url"], PUBLIC_KEY, SECRET_KEY, stand_in=True)
    draws = random.Random(told.get("seed", 0))
    with Mortal(address, told.get("kill_at", 0), told.get("when", "before")) as server:
        moves = told.get("moves") or [[None, draws.randint(1, 6)] for _ in range(told["tries"])]
        for before, after in moves:
            print(json.dumps(one_move(server, before, after, told["by"], told.get("lease_s", 60.0))), flush=True)


if __name__ == "__main__":
    main()
