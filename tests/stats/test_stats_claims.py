"""Every claim of `make verify-statistics`, with fewer draws and the same exact tolerances."""

from __future__ import annotations

import pytest
from claims import CLAIMS


@pytest.mark.parametrize("name", CLAIMS)
def test_claim(name: str) -> None:
    """Every figure of the claim meets its target within the binomial tolerance of its draws."""
    table = CLAIMS[name](0.02)
    assert table.rows
    assert not table.failed
