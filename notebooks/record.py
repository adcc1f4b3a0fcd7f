"""Run the notebooks in an empty workspace and store their outputs: `make notebooks`.

A changed result then shows as a changed output in the diff, which is the review. Timings and widget state are dropped.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent


def record(path: Path) -> None:
    """Execute one notebook in place."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as empty:
        os.environ["WORKBENCH_HOME"] = empty
        NotebookClient(
            notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(HERE)}}
        ).execute()
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    nbformat.write(notebook, path)
    print(f"{path.name}: {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    names = sys.argv[1:] or sorted(path.name for path in HERE.glob("*.ipynb"))
    for name in names:
        record(HERE / name)
