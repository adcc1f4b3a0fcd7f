"""`python tests/bench/run.py [--quick]`: measure speed and memory, and print one table. Nothing is asserted.

Figures are medians with the lowest and the highest value in brackets; both sides of a ratio run in turns on the same
machine, each in a fresh process. `--quick` takes less than a minute and is good for a first look only.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import subprocess
import sys
import time

from measures import ROOT, Line, all_lines

HEAD = Line("what", "measured", "target", "beside it")


def where() -> str:
    """Commit, date, Python, machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (f"commit {_commit()}, {datetime.date.today()}, Python {platform.python_version()}, "
            f"{platform.system()} {platform.machine()}, {cores} cores")  # fmt: skip


def _commit() -> str:
    try:
        commit = _git("rev-parse", "--short", "HEAD")
        return commit + (" with changes" if _git("status", "--porcelain", "--", "workbench") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def table(lines: list[Line]) -> str:
    """The lines as one Markdown table that also reads well as it is."""
    cells = [(one.what, one.measured, one.target, one.beside) for one in (HEAD, *lines)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    texts = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in cells]
    return "\n".join([texts[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *texts[1:]])


def main() -> int:
    """Measure, print, 0."""
    parser = argparse.ArgumentParser(description="Measure speed and memory, and print one table.")
    parser.add_argument("--quick", action="store_true", help="smaller and fewer measurements, less than a minute")
    quick = parser.parse_args().quick
    sys.path.insert(0, str(ROOT))  # this tree is measured, whatever else is installed
    measured_here = where()  # before anything else is committed
    started = time.monotonic()
    lines: list[Line] = []
    for line in all_lines(quick):
        lines.append(line)
        print(f"{time.monotonic() - started:5.0f} s  {line.what}: {line.measured}", file=sys.stderr)
    print(f"{measured_here}{', quick' if quick else ''}; load {os.getloadavg()[0]:.1f} at the end\n")
    print(table(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
