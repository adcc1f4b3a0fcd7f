"""Replies on disk, found again by what was asked."""

from workbench.cache.entry import Entry, mark_hit
from workbench.cache.store import MODES, Cache

__all__ = ["MODES", "Cache", "Entry", "mark_hit"]
