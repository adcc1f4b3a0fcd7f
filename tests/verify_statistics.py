"""`python tests/verify_statistics.py [--quick]`: measure what the statistics promise; one table per claim.

Seeds are fixed. A drawn figure fails if it lies beyond the 0.1 % quantile of its target; figures by exact enumeration
and ratios have no tolerance. `--quick` takes less than a minute and fewer draws. Exit code 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent / "stats"))
for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(threads, "1")

from claims import CLAIMS  # noqa: E402

if TYPE_CHECKING:
    from tables import Table


def measure(name: str, scale: float) -> tuple[Table, float]:
    """One claim's table and how long it took."""
    start = time.perf_counter()
    return CLAIMS[name](scale), time.perf_counter() - start


def main() -> int:
    """Print the tables in their order, whatever the order they were measured in."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer draws, less than a minute")
    parser.add_argument("--only", choices=CLAIMS, help="one claim")
    chosen = parser.parse_args()
    scale = 0.1 if chosen.quick else 1.0
    names = [chosen.only] if chosen.only else list(CLAIMS)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    failed = []
    with ProcessPoolExecutor(max_workers=min(cores or 1, 4)) as pool:
        for name, future in [(name, pool.submit(measure, name, scale)) for name in names]:
            table, seconds = future.result()
            print(table.markdown(), flush=True)
            print(f"{name}: {seconds:.0f} s", file=sys.stderr)
            failed += [f"{table.title}: {row}" for row in table.failed]
    print("Every target is met." if not failed else "Missed:\n\n" + "\n".join(f"- {row}" for row in failed))
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
