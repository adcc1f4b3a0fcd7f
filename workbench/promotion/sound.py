"""Which entries of a promotion log are ours: whoever has the keys can write anything into it by hand.

What nobody could act upon, an intent without a wish or an outcome without a record, is no entry. Everybody judges an
entry by itself alone, hence alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.errors import LangfuseRefused
from workbench.langfuse.rules import check_label
from workbench.promotion.record import HELD, Record, fits

if TYPE_CHECKING:
    from collections.abc import Mapping

_INTENT = {"id": (str,), "sentence": (str,), "by": (str,), "lease_s": (int, float), "wish": (dict,)}
_TAKEOVER = {"id": (str,), "of": (int,)}
_OUTCOME = {"id": (str,), "of": (int,)}
_WISH = {
    "name": (str,),
    "action": (str,),
    "before": (dict, type(None)),
    "after": (dict,),
    "by": (str,),
    "evidence": (str, type(None)),
    "approvals": (list,),
    "override": (str, type(None)),
    "source": (str,),
    "label": (str,),
    "holders": (list,),
}


def is_sound(body: Mapping[str, Any], name: str) -> bool:
    """Whether a version's config is an intent, a takeover or an outcome for the prompt `name`."""
    match body.get("kind"):
        case "intent":
            return fits(body, _INTENT) and _is_wish(body["wish"], name)
        case "takeover":
            return fits(body, _TAKEOVER)
        case "outcome":
            return fits(body, _OUTCOME) and _is_record(body.get("record"), name)
    return False


def _is_wish(wish: Mapping[str, Any], name: str) -> bool:
    if not fits(wish, _WISH) or wish["name"] != name:
        return False
    versions = [one for one in (wish["before"], wish["after"]) if one is not None]
    lists = {type(one) for one in wish["approvals"]} <= {str} and {type(one) for one in wish["holders"]} <= {int}
    try:
        check_label(wish["label"])
    except LangfuseRefused:
        return False
    return lists and all(fits(one, HELD) for one in versions)


def _is_record(data: Any, name: str) -> bool:
    try:
        return Record.from_json(data).name == name
    except (KeyError, TypeError, ValueError):
        return False
