"""Experiments and their items, as they follow from the `langfuse.experiment.*` attributes of spans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.sim.langfuse.calls import Answer, Call, Refused
from workbench.sim.langfuse.fields import Fields
from workbench.sim.langfuse.observations import moment, under
from workbench.sim.langfuse.pages import cursor_of, read_cursor
from workbench.sim.langfuse.score_reading import answered as answered_score
from workbench.sim.langfuse.store import unpack

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

_E = "langfuse.experiment."
ALL = frozenset({"details", "subject"})
_ITEM_GROUPS = ("core", "dataset", "io", "metadata", "itemMetadata", "experimentMetadata", "scores")


def every(call: Call) -> Answer:
    """GET /api/public/experiments: those with events in the time asked for, the latest active first."""
    fields, groups = _asked(call, ("core", "metadata", "scores"), ["core"])
    ids, names, datasets = (fields.any_of(name) for name in ("id", "name", "datasetId"))
    by_id: dict[str, list[sqlite3.Row]] = {}
    for row in _rows(call, fields):
        by_id.setdefault(row["experiment_id"], []).append(row)
    found = [
        one
        for rows in by_id.values()
        for one in [_experiment(rows)]
        if (not ids or one["id"] in ids)
        and (not names or one["name"] in names)
        and (not datasets or one["datasetId"] in datasets)
    ]
    found.sort(key=lambda one: (one["endTime"], one["id"]), reverse=True)
    return _page(call, fields, found, groups)


def every_item(call: Call) -> Answer:
    """GET /api/public/experiment-items: the root of each item's trace, the newest first."""
    fields, groups = _asked(call, _ITEM_GROUPS, ["core", "dataset"])
    filters = {
        "experimentId": fields.any_of("experimentId"),
        "experimentName": fields.any_of("experimentName"),
        "experimentItemId": fields.any_of("experimentItemId"),
        "experimentDatasetId": fields.any_of("datasetId"),
    }
    found = [
        item
        for row in _rows(call, fields)
        if _is_root(row)
        for item in [_item(row)]
        if all(not words or item[name] in words for name, words in filters.items())
    ]
    found.sort(key=lambda one: (one["startTime"], one["id"]), reverse=True)
    return _page(call, fields, found, groups)


def _asked(call: Call, known: Sequence[str], default: list[str]) -> tuple[Fields, list[str]]:
    """The query, and the field groups that it asks for; raises Refused for what it may not ask."""
    fields = Fields(dict(call.query))
    groups = fields.any_of("fields") or default
    if set(groups) - set(known):
        fields.wrong("fields", f"Unknown field groups; allowed: {', '.join(known)}")
    if fields.moment("fromStartTime") is None and not fields.issues:
        fields.wrong("fromStartTime", "Required")
    if fields.text("filter"):
        raise Refused.invalid("The stand-in does not know `filter`")
    return fields, groups


def _rows(call: Call, fields: Fields) -> list[sqlite3.Row]:
    since, until = fields.moment("fromStartTime"), fields.moment("toStartTime")
    fields.done()
    rows = call.rows.execute(
        "SELECT * FROM spans WHERE project = ? AND experiment_id IS NOT NULL ORDER BY start_ns", (call.project,)
    )
    return [r for r in rows if (s := moment(r["start_ns"])) >= (since or s) and (until is None or s < until)]


def _page(call: Call, fields: Fields, found: list[dict[str, Any]], groups: list[str]) -> Answer:
    limit, most = fields.integer("limit", 50, most=100) or 50, fields.integer("scoreLimit", 50, most=50) or 50
    (start,) = read_cursor(fields, (int,)) or (0,)
    fields.done()
    page = found[start : start + limit]
    data = [_with_groups(call, one, groups, most) for one in page]
    meta = {"cursor": cursor_of((start + limit,))} if start + limit < len(found) else {}
    return Answer(200, {"data": data, "meta": meta})


def _with_groups(call: Call, one: dict[str, Any], groups: list[str], most: int) -> dict[str, Any]:
    """The core of an experiment or item, with the groups that are asked for."""
    extra: dict[str, Any] = {}
    for group in groups:
        extra |= one["_groups"].get(group, {})
    if "scores" in groups:
        column, value = one["_scores"]
        rows = call.rows.execute(
            f"SELECT * FROM scores WHERE project = ? AND {column} = ? ORDER BY timestamp DESC, id LIMIT ?",  # noqa: S608
            (call.project, value, most),
        )
        extra["scores"] = [answered_score(row, ALL) for row in rows]
    return {name: value for name, value in one.items() if not name.startswith("_")} | extra


def _experiment(rows: list[sqlite3.Row]) -> dict[str, Any]:
    attributes = unpack(rows[0]["attributes"])
    identity = rows[0]["experiment_id"]
    return {
        "id": identity,
        "name": attributes.get(_E + "name", identity),
        "description": attributes.get(_E + "description"),
        "startTime": moment(rows[0]["start_ns"]),
        "endTime": moment(max(row["end_ns"] for row in rows)),
        "itemCount": len({row["trace_id"] for row in rows}),
        "datasetId": attributes.get(_E + "dataset.id"),
        "_groups": {"metadata": {"metadata": under(attributes, _E + "metadata")}},
        "_scores": ("dataset_run_id", identity),
    }


def _is_root(row: sqlite3.Row) -> bool:
    root = unpack(row["attributes"]).get(_E + "item.root_observation_id")
    return row["span_id"] == root if root else row["parent_span_id"] is None


def _item(row: sqlite3.Row) -> dict[str, Any]:
    attributes: Mapping[str, Any] = unpack(row["attributes"])
    get = attributes.get
    dataset = {"experimentDatasetId": get(_E + "dataset.id"), "experimentItemVersion": get(_E + "item.version")}
    return {
        "id": row["span_id"],
        "traceId": row["trace_id"],
        "startTime": moment(row["start_ns"]),
        "endTime": moment(row["end_ns"]) if row["end_ns"] else None,
        "level": get("langfuse.observation.level", "DEFAULT"),
        "environment": get("langfuse.environment", "default"),
        "experimentId": row["experiment_id"],
        "experimentName": get(_E + "name", row["experiment_id"]),
        "experimentItemId": get(_E + "item.id", row["trace_id"]),
        **dataset,
        "_groups": {
            "io": {
                "input": get("langfuse.observation.input"),
                "output": get("langfuse.observation.output"),
                "expectedOutput": get(_E + "item.expected_output"),
            },
            "metadata": {"metadata": under(attributes, "langfuse.observation.metadata")},
            "itemMetadata": {"experimentItemMetadata": under(attributes, _E + "item.metadata")},
            "experimentMetadata": {
                "experimentMetadata": under(attributes, _E + "metadata"),
                "experimentDescription": get(_E + "description"),
            },
        },
        "_scores": ("trace_id", row["trace_id"]),
    }
