"""Dataset items: upserted by an id that is unique in the project; every state is kept, so that a dataset can be read as
it was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

from workbench.sim.langfuse import datasets
from workbench.sim.langfuse.calls import Answer, Call, Refused
from workbench.sim.langfuse.fields import Fields
from workbench.sim.langfuse.pages import numbered
from workbench.sim.langfuse.store import now, pack, unpack

if TYPE_CHECKING:
    import sqlite3

PACKED = {"input": "input", "expectedOutput": "expected_output", "metadata": "metadata"}
_SELECT = "SELECT items.*, datasets.name AS dataset FROM items JOIN datasets ON datasets.id = items.dataset_id"


def put(call: Call) -> Answer:
    """POST /api/public/dataset-items: a new item, or a new state of the item of this id."""
    fields = Fields(call.body)
    name = fields.text("datasetName", required=True) or ""
    item_id = fields.text("id", longest=255)
    sources = fields.text("sourceTraceId"), fields.text("sourceObservationId")
    status = fields.choice("status", ("ACTIVE", "ARCHIVED"))
    fields.done()
    dataset = datasets.find(call, name)
    old = _current(call, item_id) if item_id else None
    if old is not None and old["dataset_id"] != dataset["id"]:
        raise Refused.missing(f"The dataset item with id {item_id} already exists in a dataset other than {name}")
    moment = now()
    new = {
        "project": call.project,
        "id": item_id or str(uuid4()),
        "dataset_id": dataset["id"],
        "status": status or (old["status"] if old else "ACTIVE"),
        # What is null or left out keeps its old value: so the real server updates an item.
        **{column: _kept(fields.value.get(field), old, column) for field, column in PACKED.items()},
        "source_trace_id": sources[0] or (old["source_trace_id"] if old else None),
        "source_observation_id": sources[1] or (old["source_observation_id"] if old else None),
        "created_at": old["created_at"] if old else moment,
        "valid_from": moment,
    }
    _end(call, new["id"], moment)
    marks = ", ".join("?" * len(new))
    call.rows.execute(f"INSERT INTO items ({', '.join(new)}) VALUES ({marks})", tuple(new.values()))  # noqa: S608
    return Answer(200, _answered(_found(call, new["id"])))


def get(call: Call) -> Answer:
    """GET /api/public/dataset-items/{id}."""
    return Answer(200, _answered(_found(call, call.path["id"])))


def every(call: Call) -> Answer:
    """GET /api/public/dataset-items: page by page, the newest first; as it was at `version`, if that is given."""
    fields = Fields(dict(call.query))
    name, version = fields.text("datasetName"), fields.moment("version")
    trace, observation = fields.text("sourceTraceId"), fields.text("sourceObservationId")
    if version is not None and not name:
        fields.wrong("version", "version needs datasetName")
    fields.done()
    dataset = datasets.find(call, name)["id"] if name else None
    rows = call.rows.execute(
        f"{_SELECT} WHERE items.project = ?1 AND (?2 IS NULL OR dataset_id = ?2)"
        " AND (?3 IS NULL OR source_trace_id = ?3) AND (?4 IS NULL OR source_observation_id = ?4)"
        " AND iif(?5 IS NULL, valid_to IS NULL, valid_from <= ?5 AND (valid_to IS NULL OR valid_to > ?5))"
        " ORDER BY items.created_at DESC, items.id",
        (call.project, dataset, trace or None, observation or None, version),
    )
    return Answer(200, numbered(fields, [_answered(row) for row in rows]))


def delete(call: Call) -> Answer:
    """DELETE /api/public/dataset-items/{id}."""
    _found(call, call.path["id"])
    _end(call, call.path["id"], now())
    return Answer(200, {"message": "Dataset item successfully deleted"})


def _current(call: Call, item_id: str) -> sqlite3.Row | None:
    query = f"{_SELECT} WHERE items.project = ? AND items.id = ? AND valid_to IS NULL"
    row: sqlite3.Row | None = call.rows.execute(query, (call.project, item_id)).fetchone()
    return row


def _found(call: Call, item_id: str) -> sqlite3.Row:
    row = _current(call, item_id)
    if row is None:
        raise Refused.missing("Dataset item not found")
    return row


def _end(call: Call, item_id: str, moment: str) -> None:
    call.rows.execute(
        "UPDATE items SET valid_to = ? WHERE project = ? AND id = ? AND valid_to IS NULL",
        (moment, call.project, item_id),
    )


def _kept(value: Any, old: sqlite3.Row | None, column: str) -> Any:
    if value is not None:
        return pack(value)
    return old[column] if old is not None else None


def _answered(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "status": row["status"],
        **{field: unpack(row[column]) for field, column in PACKED.items()},
        "sourceTraceId": row["source_trace_id"],
        "sourceObservationId": row["source_observation_id"],
        "datasetId": row["dataset_id"],
        "datasetName": row["dataset"],
        "createdAt": row["created_at"],
        "updatedAt": row["valid_from"],
        "version": row["valid_from"],
        "mediaReferences": [],
    }
