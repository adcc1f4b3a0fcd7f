"""Spans that arrive by OpenTelemetry; the same trace and span id is the same span."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.sim.langfuse.calls import Answer, Call
from workbench.sim.langfuse.store import now, pack, unpack

if TYPE_CHECKING:
    import sqlite3

EXPERIMENT = "langfuse.experiment.id"
_INSERT = """
INSERT INTO spans VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11)
ON CONFLICT (project, trace_id, span_id) DO UPDATE SET parent_span_id = excluded.parent_span_id, name = excluded.name,
    start_ns = excluded.start_ns, end_ns = excluded.end_ns, attributes = excluded.attributes,
    resource = excluded.resource, experiment_id = excluded.experiment_id, updated_at = excluded.updated_at
"""


def export(call: Call) -> Answer:
    """POST /api/public/otel/v1/traces: all spans of the request, or none."""
    from workbench.sim.langfuse.otlp import read_spans  # With the Langfuse SDK only is its library installed.

    moment = now()
    for span in read_spans(call.body, call.content_type):
        ids = (call.project, span.trace_id, span.span_id, span.parent_span_id)
        texts = (pack(span.attributes), pack(span.resource))
        experiment = span.attributes.get(EXPERIMENT)
        row = (*ids, span.name, span.start_ns, span.end_ns, *texts, None if experiment is None else str(experiment))
        call.rows.execute(_INSERT, (*row, moment))
    return Answer(200, {})


def plain(row: sqlite3.Row) -> dict[str, Any]:
    """A span as a test reads it."""
    names = ("project", "trace_id", "span_id", "parent_span_id", "name", "start_ns", "end_ns")
    return {name: row[name] for name in names} | {
        "attributes": unpack(row["attributes"]),
        "resource": unpack(row["resource"]),
    }
