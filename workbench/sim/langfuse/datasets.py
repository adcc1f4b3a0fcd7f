"""Datasets, version 2 of the API: created or updated by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

from workbench.sim.langfuse.calls import Answer, Call, Refused
from workbench.sim.langfuse.fields import Fields
from workbench.sim.langfuse.pages import numbered
from workbench.sim.langfuse.store import now, pack, unpack

if TYPE_CHECKING:
    import sqlite3

PACKED = {"metadata": "metadata", "inputSchema": "input_schema", "expectedOutputSchema": "expected_output_schema"}


def create(call: Call) -> Answer:
    """POST /api/public/v2/datasets: a new dataset, or new facts about the one of this name."""
    fields = Fields(call.body)
    name = fields.text("name", required=True, shortest=1, longest=255) or ""
    description = fields.text("description")
    for schema in ("inputSchema", "expectedOutputSchema"):
        if not isinstance(fields.value.get(schema), dict | None):
            fields.wrong(schema, "Invalid input: expected a JSON Schema")
    fields.done()
    packed = [_packed(fields.value.get(field)) for field in PACKED]
    call.rows.execute(
        "INSERT INTO datasets VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8) ON CONFLICT (project, name) DO UPDATE SET"
        " description = excluded.description, metadata = excluded.metadata, input_schema = excluded.input_schema,"
        " expected_output_schema = excluded.expected_output_schema, updated_at = excluded.updated_at",
        (str(uuid4()), call.project, name, description, *packed, now()),
    )
    return Answer(200, find(call, name))


def get(call: Call) -> Answer:
    """GET /api/public/v2/datasets/{name}."""
    return Answer(200, find(call, call.path["name"]))


def every(call: Call) -> Answer:
    """GET /api/public/v2/datasets: page by page, the newest first."""
    rows = call.rows.execute(
        "SELECT * FROM datasets WHERE project = ? ORDER BY created_at DESC, rowid DESC", (call.project,)
    )
    return Answer(200, numbered(Fields(dict(call.query)), [_answered(row) for row in rows]))


def find(call: Call, name: str) -> dict[str, Any]:
    """The dataset of a name; raises Refused if there is none."""
    row = call.rows.execute("SELECT * FROM datasets WHERE project = ? AND name = ?", (call.project, name)).fetchone()
    if row is None:
        raise Refused.missing("Dataset not found")
    return _answered(row)


def _answered(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "projectId": row["project"],
        "name": row["name"],
        "description": row["description"],
        **{field: unpack(row[column]) for field, column in PACKED.items()},
        "createdAt": row["created_at"],
        "updatedAt": row["updated_at"],
    }


def _packed(value: Any) -> str | None:
    return None if value is None else pack(value)
