"""What `make test` installed works together."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version


def test_ragas_lives_beside_the_newest_openai() -> None:
    """ragas can be imported in the environment that has the openai SDK it would pull down; without it this fails."""
    script = "import ragas, openai; from ragas.metrics.collections import Faithfulness; print(ragas.__version__)"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        capture_output=True,
        text=True,
        env=os.environ | {"RAGAS_DO_NOT_TRACK": "true"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == version("ragas")
    assert tuple(map(int, version("openai").split(".")[:2])) >= (3, 54)
