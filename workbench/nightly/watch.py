"""What nbval does not say of a cell, as a plugin of the pytest that runs it: `-p workbench.nightly.watch`.

Each test's properties in the JUnit file name the cell as the notebook shows it, and of a changed output what it was
and is. A kernel that dies is noticed at once; nbval alone would wait for the cell's time-out.
"""

from __future__ import annotations

import time
from queue import Empty
from typing import TYPE_CHECKING, Any

import pytest
from nbval.plugin import IPyNbCell, NbCellError  # type: ignore[import-untyped]

from workbench.nightly.cells import changed, how_it_died, shown_name
from workbench.nightly.replayed import NAME, SAID

if TYPE_CHECKING:
    from collections.abc import Generator

LOOK_S = 0.5
"""Seconds between two looks at whether a silent kernel still lives."""


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """Name the cell and look after its kernel."""
    if isinstance(item, IPyNbCell):
        item.user_properties.append((NAME, shown_name(item.cell, item.cell_num)))
        kernel = item.parent.kernel
        kernel.await_reply = lambda msg_id, timeout=None: _await_reply(item, msg_id, timeout)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Say what a changed output was and is."""
    fault = call.excinfo.value if call.excinfo else None
    if isinstance(item, IPyNbCell) and isinstance(fault, NbCellError) and str(fault) == "Cell outputs differ":
        said = changed(item.cell.outputs, item.test_outputs, item.parent.skip_compare, item.sanitize)
        item.user_properties += [(SAID, said)] if said else []
    return (yield)


def _await_reply(item: Any, msg_id: str, timeout: float | None) -> None:
    """As nbval awaits a reply, in steps, each of which may find the kernel dead. Raises Empty at the time-out."""
    kernel = item.parent.kernel
    end = time.monotonic() + (timeout if timeout is not None else float("inf"))
    while True:
        try:
            type(kernel).await_reply(kernel, msg_id, timeout=min(LOOK_S, max(end - time.monotonic(), 0)))
            return
        except Empty:
            if how := how_it_died(kernel.km):
                item.parent.timed_out = True  # nbval then expects the cells after it to fail
                raise NbCellError(item.cell_num, how, item.cell.source) from None
            if time.monotonic() >= end:
                raise
