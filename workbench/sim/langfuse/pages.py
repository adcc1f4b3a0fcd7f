"""Lists that are given out page by page: by number, or by a cursor that names the last row given."""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Any

from workbench.sim.langfuse.calls import Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.sim.langfuse.fields import Fields


def numbered(fields: Fields, found: Sequence[Any], most: int = 100) -> dict[str, Any]:
    """The page that `page` and `limit` ask for, with its meta."""
    page, limit = fields.integer("page", 1), fields.integer("limit", 50, most=most)
    fields.done()
    assert page is not None
    assert limit is not None
    start = (page - 1) * limit
    meta = {"page": page, "limit": limit, "totalItems": len(found), "totalPages": -(-len(found) // limit)}
    return {"data": list(found[start : start + limit]), "meta": meta}


def cursor_of(key: Sequence[Any]) -> str:
    """An opaque word for where a page ended."""
    return base64.urlsafe_b64encode(json.dumps([1, *key]).encode()).decode().rstrip("=")


def read_cursor(fields: Fields, kinds: Sequence[type]) -> list[Any] | None:
    """Where the page before ended; None at the start. Raises Refused for a word that is no cursor of this list."""
    text = fields.text("cursor")
    if not text:
        return None
    try:
        version, *key = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, TypeError, RecursionError, binascii.Error):
        raise Refused.invalid("Invalid cursor") from None
    if version != 1 or [type(one) for one in key] != list(kinds):
        raise Refused.invalid("Invalid cursor")
    return list(key)
