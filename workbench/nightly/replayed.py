"""A notebook by nbval, as `make test` runs it: every cell must run, and the tagged ones must show what they showed."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from workbench.errors import UsageError
from workbench.nightly.records import Cell

if TYPE_CHECKING:
    from pathlib import Path

NAME, SAID = "workbench-cell", "workbench-said"
"""The properties by which `watch` tells a cell's name and what its changed output was and is."""
KEPT = 2000
"""Characters of a fault that are kept."""
SLACK_S = 120
"""Seconds beyond its cells' time-outs after which a run is given up."""


def check_installed() -> None:
    """Raises UsageError with the cure where nbval is missing."""
    if missing := [name for name in ("pytest", "nbval", "ipykernel") if find_spec(name) is None]:
        raise UsageError(f"a night needs {', '.join(missing)}: pip install nbval ipykernel")


def run(path: Path, environment: dict[str, str], folder: Path, timeout_s: int) -> list[Cell]:
    """The cells of one notebook, in lax mode. Whatever goes wrong is a fault of a cell, or of the start."""
    xml = folder / "nbval.xml"
    line = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "workbench.nightly.watch",
            "--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout", str(timeout_s),
            f"--junitxml={xml}"]  # fmt: skip
    sanitize = path.with_name("nbval.cfg")
    line += ["--nbval-sanitize-with", str(sanitize)] if sanitize.is_file() else []
    try:
        done = subprocess.run(  # noqa: S603  # our own interpreter, on a notebook of the workspace
            [*line, str(path)], env=environment, capture_output=True, text=True, errors="replace", check=False,
            timeout=_cells(path) * timeout_s + SLACK_S, cwd=path.parent.parent,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return [Cell("start", fault="The notebook did not end in time, and was given up.")]
    cells = _read(xml)
    if done.returncode and not any(cell.fault for cell in cells):
        cells.append(Cell("start", fault=f"The notebook could not be run.\n{_end(done.stdout + done.stderr)}"))
    return cells or [Cell("start", fault="The notebook has no cell that could be run.")]


def _cells(path: Path) -> int:
    """Code cells, and one for the start of the kernel; a file that is no notebook fails quickly anyway."""
    return path.read_bytes().count(b'"cell_type"') + 1


def _read(xml: Path) -> list[Cell]:
    """The cells as nbval told them to pytest."""
    try:
        cases = ElementTree.parse(xml).getroot().iter("testcase")  # noqa: S314  # our own pytest wrote it
    except (OSError, ElementTree.ParseError):
        return []
    found = []
    for case in cases:
        faults = [fault for kind in ("failure", "error") for fault in case.iter(kind)]
        told = "\n".join(fault.text or fault.get("message", "") or "failed" for fault in faults)
        more = {one.get("name"): one.get("value", "") for one in case.iter("property")}
        name = more.get(NAME) or case.get("name") or "start"
        found.append(Cell(name, float(case.get("time", 0)), _shortened(told), more.get(SAID, "")))
    return found


def _shortened(text: str) -> str:
    """A fault without the colours that nbval gives it; of a long one the beginning, which names the cell, and the end,
    which says what happened."""
    text = re.sub(r"(\x1b|#x1B)\[[0-9;]*m", "", text).strip()
    return text if len(text) <= KEPT else f"{text[: KEPT // 2]}\n…\n{text[-KEPT // 2 :]}"


def _end(text: str) -> str:
    """The end of a long text: that is where a traceback says what happened."""
    return text.strip()[-KEPT:]
