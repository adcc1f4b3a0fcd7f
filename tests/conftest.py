"""What every test gets: a workspace of its own, no settings from outside, the same examples on every run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings as hypothesis_settings
from workbench.settings import DEFAULTS

if TYPE_CHECKING:
    from pathlib import Path

hypothesis_settings.register_profile("steady", deadline=None, derandomize=True)
hypothesis_settings.load_profile("steady")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The test's workspace."""
    for name in (*DEFAULTS, *(name for name in os.environ if name.startswith(("ANTHROPIC_", "OPENAI_", "OLLAMA_")))):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    return tmp_path
