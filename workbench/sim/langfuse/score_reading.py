"""Scores as they are read back: version 3 of the API, with field groups and a cursor."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from workbench.sim.langfuse.calls import Answer, Call, Refused
from workbench.sim.langfuse.fields import Fields
from workbench.sim.langfuse.pages import cursor_of, read_cursor
from workbench.sim.langfuse.scores import TYPES
from workbench.sim.langfuse.store import unpack

if TYPE_CHECKING:
    import sqlite3

GROUPS = ("details", "subject", "annotation")
LISTS = {
    "id": "id",
    "name": "name",
    "source": "source",
    "dataType": "data_type",
    "environment": "environment",
    "configId": "config_id",
    "queueId": "queue_id",
    "traceId": "trace_id",
    "sessionId": "session_id",
    "observationId": "observation_id",
    "experimentId": "dataset_run_id",
}
"""Filters that list words with commas, and the columns that they are about."""
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?", re.ASCII)


def every(call: Call) -> Answer:
    """GET /api/public/v3/scores: the newest first, filtered, with the field groups that are asked for."""
    fields = Fields(dict(call.query))
    limit = fields.integer("limit", 50, most=100) or 50
    groups = _groups(fields)
    wheres, values = _filters(fields)
    cursor = read_cursor(fields, (str, str))
    fields.done()
    if fields.text("authorUserId"):  # Nobody but the API writes scores here.
        wheres.append("0")
    if cursor:
        wheres.append("(timestamp, id) < (?, ?)")
        values += cursor
    rows = call.rows.execute(
        f"SELECT * FROM scores WHERE {' AND '.join(['project = ?', *wheres])}"  # noqa: S608  (our own names)
        " ORDER BY timestamp DESC, id DESC LIMIT ?",
        (call.project, *values, limit + 1),
    ).fetchall()
    meta: dict[str, Any] = {"limit": limit}
    if len(rows) > limit:
        meta["cursor"] = cursor_of((rows[limit - 1]["timestamp"], rows[limit - 1]["id"]))
    return Answer(200, {"data": [answered(row, groups) for row in rows[:limit]], "meta": meta})


def answered(row: sqlite3.Row, groups: frozenset[str]) -> dict[str, Any]:
    """A score as it is answered, with the field groups in `groups`."""
    score = {
        "id": row["id"],
        "projectId": row["project"],
        "name": row["name"],
        "value": unpack(row["value"]),
        "dataType": row["data_type"],
        "source": row["source"],
        "timestamp": row["timestamp"],
        "environment": row["environment"],
        "createdAt": row["created_at"],
        "updatedAt": row["updated_at"],
    }
    if "details" in groups:
        metadata = unpack(row["metadata"])
        metadata = metadata if isinstance(metadata, dict) else {} if metadata is None else {"metadata": metadata}
        score |= {"comment": row["comment"], "configId": row["config_id"], "metadata": metadata}
    if "subject" in groups:
        score |= {"subject": _subject(row)}
    if "annotation" in groups:
        score |= {"authorUserId": None, "queueId": row["queue_id"]}
    return score


def _subject(row: sqlite3.Row) -> dict[str, Any]:
    if row["observation_id"]:
        return {"kind": "observation", "id": row["observation_id"], "traceId": row["trace_id"]}
    if row["trace_id"]:
        return {"kind": "trace", "id": row["trace_id"]}
    if row["session_id"]:
        return {"kind": "session", "id": row["session_id"]}
    return {"kind": "experiment", "id": row["dataset_run_id"]}


def _groups(fields: Fields) -> frozenset[str]:
    groups = frozenset(name.strip() for name in fields.any_of("fields"))
    if groups - set(GROUPS):
        fields.wrong("fields", f"Unknown field groups; allowed: {', '.join(GROUPS)}")
    return groups


def _filters(fields: Fields) -> tuple[list[str], list[Any]]:
    """The conditions that the query sets, and their values."""
    wheres: list[str] = []
    values: list[Any] = []
    for name, column in LISTS.items():
        words = fields.any_of(name)
        if name in {"dataType", "source"}:
            words = [word.upper() for word in words]
        if name == "dataType" and set(words) - set(TYPES):
            fields.wrong(name, f"Unknown data type; there are: {', '.join(TYPES)}")
        if words:
            wheres.append(f"{column} IN ({', '.join('?' * len(words))})")
            values += words
    _check_subjects(fields)
    for name, comparison in (("fromTimestamp", ">="), ("toTimestamp", "<")):
        if moment := fields.moment(name):
            wheres.append(f"timestamp {comparison} ?")
            values.append(moment)
    _filter_values(fields, wheres, values)
    return wheres, values


def _check_subjects(fields: Fields) -> None:
    kinds = [name for name in ("traceId", "sessionId", "experimentId") if fields.any_of(name)]
    if len(kinds) > 1:
        raise Refused.invalid(f"{' and '.join(kinds)} are mutually exclusive")
    if fields.any_of("observationId") and kinds != ["traceId"]:
        raise Refused.invalid("observationId needs traceId, and nothing else")


def _filter_values(fields: Fields, wheres: list[str], values: list[Any]) -> None:
    """`value`, `valueMin` and `valueMax`, which need to know the one type that they are about."""
    exact, least, most = fields.any_of("value"), fields.text("valueMin"), fields.text("valueMax")
    if not exact and not least and not most:
        return
    types = [word.upper() for word in fields.any_of("dataType")]
    if types not in (["NUMERIC"], ["BOOLEAN"], ["CATEGORICAL"]) or ((least or most) and types != ["NUMERIC"]):
        raise Refused.invalid("value, valueMin and valueMax need one dataType that they fit")
    numbers = [word for word in (least, most, *(exact if types == ["NUMERIC"] else ())) if word]
    if not all(_NUMBER.fullmatch(word) for word in numbers):
        raise Refused.invalid("value, valueMin and valueMax must be finite numbers")
    if types == ["BOOLEAN"] and set(exact) - {"true", "false"}:
        raise Refused.invalid("value must be true or false")
    for bound, comparison in ((least, ">="), (most, "<=")):
        if bound:
            wheres.append(f"CAST(value AS REAL) {comparison} ?")
            values.append(float(bound))
    if exact:
        left = "CAST(value AS REAL)" if types == ["NUMERIC"] else "value ->> '$'"
        words = {"true": 1, "false": 0} if types == ["BOOLEAN"] else {}
        wheres.append(f"{left} IN ({', '.join('?' * len(exact))})")
        values += [float(w) if types == ["NUMERIC"] else words.get(w, w) for w in exact]
