"""A notebook with real models, by nbclient: every cell must run, no output is compared, and one budget holds it."""

from __future__ import annotations

import json
import math
import re
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from workbench.errors import UsageError
from workbench.nightly.cells import how_it_died, shown_name
from workbench.nightly.kernel import MARK
from workbench.nightly.records import Cell

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SWITCH = re.compile(r"^LIVE = False\b", re.MULTILINE)
"""The line that turns a notebook live; it is turned in memory only."""
FINISH = "from workbench.nightly.kernel import finish as _finish\nprint(await _finish(globals()))"
SAID = 2000


def check_installed() -> None:
    """Raises UsageError with the cure where nbclient is missing."""
    if missing := [name for name in ("nbclient", "nbformat", "ipykernel") if find_spec(name) is None]:
        raise UsageError(f"a live night needs {', '.join(missing)}: pip install nbclient ipykernel")


def run(
    path: Path, environment: dict[str, str], folder: Path, left_usd: float | None, timeout_s: int
) -> tuple[list[Cell], float, bool]:
    """The cells of one notebook until the first that fails, the US dollars that it spent, and whether it ran out."""
    import nbformat

    try:
        notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    except Exception as error:  # noqa: BLE001  # whatever nbformat says of a torn file, it is this notebook's fault
        return [Cell("start", fault=f"It is no notebook: {error}"[:SAID])], 0.0, False
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if not any(SWITCH.search(cell.source) for cell in code):
        return [Cell("start", fault="It has no line `LIVE = False` in a cell, so it cannot be run live.")], 0.0, False
    for cell in code:
        cell.source = SWITCH.sub("LIVE = True", cell.source)
    if left_usd is not None and left_usd < math.inf:
        environment = environment | {"WORKBENCH_PROCESS_BUDGET": repr(left_usd)}
    with (folder / "kernel.log").open("w", encoding="utf-8") as log:
        return _execute(path, notebook, {"env": environment, "stderr": log}, left_usd or 0.0, timeout_s)


def _execute(
    path: Path, notebook: Any, started: dict[str, Any], left_usd: float, timeout_s: int
) -> tuple[list[Cell], float, bool]:
    from nbclient import NotebookClient

    resources = {"metadata": {"path": str(path.parent)}}
    client = NotebookClient(notebook, timeout=timeout_s, kernel_name="python3", resources=resources)
    client.interrupt_on_timeout = True
    cells: list[Cell] = []
    try:
        with client.setup_kernel(**started):
            cells += _cells(client, notebook)
            if how_it_died(client.km):
                return cells, left_usd, False
            said = _finish(client, notebook)
    except Exception as error:  # noqa: BLE001  # a kernel that does not start, or ends late: nobody knows what it spent
        fault = f"The kernel ended or did not start ({type(error).__name__}: {error}); its budget counts as spent."
        return [*cells, Cell("kernel", fault=fault[:SAID])], left_usd, False
    over = bool(said["over_budget"]) or any("BudgetReached" in cell.fault for cell in cells)
    return cells, float(said["spent_usd"]), over


def _cells(client: Any, notebook: Any) -> Iterator[Cell]:
    """Each code cell in turn, up to the first that fails: those after it build on it."""
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    code = [(index, cell) for index, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    for position, (index, cell) in enumerate(code):
        name, begun = shown_name(cell, position), time.monotonic()
        try:
            client.execute_cell(cell, index)
        except (CellExecutionError, CellTimeoutError) as error:
            yield Cell(name, time.monotonic() - begun, f"{_plain(str(error))[-SAID:]}")
            return
        except DeadKernelError as error:
            how = how_it_died(client.km) or f"{error}."
            yield Cell(name, time.monotonic() - begun, f"{how} Nobody knows what it spent; its budget counts as spent.")
            return
        yield Cell(name, time.monotonic() - begun)


def _finish(client: Any, notebook: Any) -> dict[str, Any]:
    """Ask the flipped cases again, and what was spent; one more cell that is never saved."""
    import nbformat

    cell = nbformat.v4.new_code_cell(FINISH)  # type: ignore[no-untyped-call]
    notebook.cells.append(cell)
    client.execute_cell(cell, len(notebook.cells) - 1)
    text = "".join(one.get("text", "") for one in cell.outputs if one.output_type == "stream")
    said: dict[str, Any] = json.loads(text.rpartition(MARK)[2])
    return said


def _plain(text: str) -> str:
    """A traceback without the colours that IPython gives it."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)
