"""Observations, version 2 of the API: spans as Langfuse understands them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from workbench.sim.langfuse.calls import Answer, Call, Refused
from workbench.sim.langfuse.fields import Fields
from workbench.sim.langfuse.pages import cursor_of, read_cursor
from workbench.sim.langfuse.store import unpack, written

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

_O = "langfuse.observation."
_LONGEST_METADATA = 200
GROUPS = {
    "core": (
        *("id", "traceId", "startTime", "endTime", "projectId", "parentObservationId", "type"),
        *("modelId", "inputPrice", "outputPrice", "totalPrice"),
    ),
    "basic": (
        *("name", "level", "statusMessage", "version", "environment", "bookmarked", "public"),
        *("userId", "sessionId", "isRootObservation"),
    ),
    "time": ("completionStartTime", "createdAt", "updatedAt"),
    "io": ("input", "output"),
    "metadata": ("metadata",),
    "model": ("model", "internalModelId", "modelParameters"),
    "usage": ("usageDetails", "costDetails", "totalCost", "usagePricingTierName"),
    "prompt": ("promptId", "promptName", "promptVersion"),
    "metrics": ("latency", "timeToFirstToken"),
    "trace_context": ("tags", "release", "traceName"),
}
EQUAL = ("name", "userId", "sessionId", "type", "traceId", "level", "version")


def every(call: Call) -> Answer:
    """GET /api/public/v2/observations: the newest first, filtered, with the field groups that are asked for."""
    fields = Fields(dict(call.query))
    limit = fields.integer("limit", 50, most=1000) or 50
    groups = fields.any_of("fields") or ["core", "basic"]
    if set(groups) - set(GROUPS):
        fields.wrong("fields", f"Unknown field groups; allowed: {', '.join(GROUPS)}")
    if fields.flag("parseIoAsJson"):
        fields.wrong("parseIoAsJson", "Input and output are always returned as raw strings")
    cursor = read_cursor(fields, (int, str, str))
    wanted = _Wanted(fields)
    if fields.text("filter"):
        raise Refused.invalid("The stand-in does not know `filter`")
    fields.done()
    all_that_follow = (answered(call, row) for row in _rows(call, fields.text("traceId"), cursor))
    found = list(islice(filter(wanted.takes, all_that_follow), limit + 1))
    meta = {}
    if len(found) > limit:
        meta["cursor"] = cursor_of(found[limit - 1]["_key"])
    names = [name for group in dict.fromkeys(("core", *groups)) for name in GROUPS[group]]
    whole = fields.any_of("expandMetadata")
    data = [_cut({name: one[name] for name in names}, whole) for one in found[:limit]]
    return Answer(200, {"data": data, "meta": meta})


class _Wanted:
    """The filters of a query."""

    def __init__(self, fields: Fields) -> None:
        environments = fields.value.get("environment")
        self.environments = [environments] if isinstance(environments, str) else environments
        single = {name: fields.text(name) for name in EQUAL}
        self.equal = {name: value for name, value in single.items() if value}
        fields.choice("level", ("DEBUG", "DEFAULT", "WARNING", "ERROR"))
        self.parent = fields.text("parentObservationId")
        self.root = fields.flag("isRootObservation")
        self.since, self.until = fields.moment("fromStartTime"), fields.moment("toStartTime")

    def takes(self, one: Mapping[str, Any]) -> bool:
        """Whether an observation passes all of them."""
        return (
            all(one[name] == value for name, value in self.equal.items())
            and (not self.environments or one["environment"] in self.environments)
            and (self.parent is None or (one["parentObservationId"] or "") == self.parent)
            and (self.root is None or one["isRootObservation"] == self.root)
            and (self.since is None or one["startTime"] >= self.since)
            and (self.until is None or one["startTime"] < self.until)
        )


def _rows(call: Call, trace: str | None, cursor: list[Any] | None) -> sqlite3.Cursor:
    wheres, values = ["project = ?"], [call.project]
    if trace:
        wheres.append("trace_id = ?")
        values.append(trace)
    if cursor:
        wheres.append("(start_ns, trace_id, span_id) < (?, ?, ?)")
        values += cursor
    return call.rows.execute(
        f"SELECT * FROM spans WHERE {' AND '.join(wheres)} ORDER BY start_ns DESC, trace_id DESC, span_id DESC",  # noqa: S608
        values,
    )


def answered(call: Call, row: sqlite3.Row) -> dict[str, Any]:
    """A span with all that the API can say of it; `_key` orders it."""
    attributes, resource = unpack(row["attributes"]), unpack(row["resource"])
    return {
        "_key": (row["start_ns"], row["trace_id"], row["span_id"]),
        "id": row["span_id"],
        "traceId": row["trace_id"],
        "startTime": moment(row["start_ns"]),
        "endTime": moment(row["end_ns"]) if row["end_ns"] else None,
        "projectId": row["project"],
        "parentObservationId": row["parent_span_id"],
        "isRootObservation": row["parent_span_id"] is None or attributes.get("langfuse.internal.is_app_root") is True,
        "name": row["name"],
        "createdAt": row["created_at"],
        "updatedAt": row["updated_at"],
        "latency": (row["end_ns"] - row["start_ns"]) / 1e9 if row["end_ns"] else None,
        **_said(attributes, resource),
        **_model(attributes),
        **_prompt(call, attributes),
    }


def _said(attributes: Mapping[str, Any], resource: Mapping[str, Any]) -> dict[str, Any]:
    """What the attributes say of an observation and its trace."""
    return {
        "type": str(attributes.get(_O + "type", "span")).upper(),
        "level": attributes.get(_O + "level", "DEFAULT"),
        "statusMessage": attributes.get(_O + "status_message"),
        "version": attributes.get("langfuse.version"),
        "environment": attributes.get("langfuse.environment", resource.get("langfuse.environment", "default")),
        "bookmarked": False,
        "public": attributes.get("langfuse.trace.public") is True,
        "userId": attributes.get("user.id"),
        "sessionId": attributes.get("session.id"),
        "input": attributes.get(_O + "input"),
        "output": attributes.get(_O + "output"),
        "metadata": under(attributes, _O + "metadata"),
        "tags": attributes.get("langfuse.trace.tags") or [],
        "release": attributes.get("langfuse.release", resource.get("langfuse.release")),
        "traceName": attributes.get("langfuse.trace.name"),
    }


def _model(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The model, its usage and its cost; the server's own price table is empty, so that only given costs are known."""
    usage, cost = numbers(attributes.get(_O + "usage_details")), numbers(attributes.get(_O + "cost_details"))
    unknown = ("internalModelId", "modelId", "inputPrice", "outputPrice", "totalPrice", "usagePricingTierName")
    return {
        **dict.fromkeys(unknown),
        "model": attributes.get(_O + "model.name"),
        "modelParameters": loose(attributes.get(_O + "model.parameters")),
        "completionStartTime": loose(attributes.get(_O + "completion_start_time")),
        "timeToFirstToken": None,
        "usageDetails": {**usage, "total": usage.get("total", sum(usage.values()))} if usage else {},
        "costDetails": cost,
        "totalCost": cost.get("total", sum(cost.values())) if cost else None,
    }


def _prompt(call: Call, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The prompt version that an observation is linked to; its id only if this server has it."""
    name, version = attributes.get(_O + "prompt.name"), attributes.get(_O + "prompt.version")
    row = call.rows.execute(
        "SELECT id FROM prompts WHERE project = ? AND name = ? AND version = ?", (call.project, str(name), str(version))
    ).fetchone()
    return {"promptId": None if row is None else row["id"], "promptName": name, "promptVersion": version}


def moment(ns: int) -> str:
    """Nanoseconds since 1970 as the server writes a moment."""
    return written(datetime.fromtimestamp(0, UTC) + timedelta(microseconds=ns // 1000))


def under(attributes: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """The attributes below a prefix, or the JSON object that stands at it."""
    whole = loose(attributes.get(prefix))
    found = dict(whole) if isinstance(whole, dict) else {}
    below = {name: value for name, value in attributes.items() if name.startswith(prefix + ".")}
    return found | {name[len(prefix) + 1 :]: loose(value) for name, value in below.items()}


def loose(value: Any) -> Any:
    """The value of a JSON text, or the text itself."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        return value


def numbers(value: Any) -> dict[str, Any]:
    """The numbers of a JSON object in a text; empty for anything else."""
    read = loose(value)
    if not isinstance(read, dict):
        return {}
    return {
        name: one
        for name, one in read.items()
        if isinstance(one, int | float) and not isinstance(one, bool) and one >= 0
    }


def _cut(one: dict[str, Any], whole: list[str]) -> dict[str, Any]:
    """Long metadata comes shortened unless it is asked for by name."""
    if "metadata" in one:
        one["metadata"] = {
            name: value[:_LONGEST_METADATA] if isinstance(value, str) and name not in whole else value
            for name, value in one["metadata"].items()
        }
    return one
