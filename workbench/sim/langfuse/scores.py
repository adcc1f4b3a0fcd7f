"""Scores that arrive: an array, each accepted or rejected on its own; the same id and timestamp is the same score."""

from __future__ import annotations

import math
import re
from typing import Any
from uuid import uuid4

from workbench.sim.langfuse.calls import Answer, Call, Refused
from workbench.sim.langfuse.fields import Fields, kind
from workbench.sim.langfuse.store import now, pack

TYPES = ("NUMERIC", "CATEGORICAL", "BOOLEAN", "TEXT", "CORRECTION")
_ENVIRONMENT = re.compile(r"(?!langfuse)[a-z0-9_-]{1,40}", re.ASCII)
_INSERT = """
INSERT INTO scores VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?17)
ON CONFLICT (project, id, timestamp) DO UPDATE SET name = excluded.name, data_type = excluded.data_type,
    value = excluded.value, trace_id = excluded.trace_id, observation_id = excluded.observation_id,
    session_id = excluded.session_id, dataset_run_id = excluded.dataset_run_id, comment = excluded.comment,
    metadata = excluded.metadata, environment = excluded.environment, source = excluded.source,
    config_id = excluded.config_id, queue_id = excluded.queue_id, updated_at = excluded.updated_at
"""


def create(call: Call) -> Answer:
    """POST /api/public/scores: 202 when all are accepted, 207 with counts and reasons when some are not."""
    if not isinstance(call.body, list):
        message = f"Invalid input: expected array, received {kind(call.body)}"
        raise Refused.data([{"code": "invalid_type", "path": [], "message": message}])
    moment = now()
    errors = []
    for index, body in enumerate(call.body):
        try:
            if index in call.reject:
                raise Refused.invalid("rejected, as asked for by a test")
            call.rows.execute(_INSERT, _row(call.project, body, index, moment))
        except Refused as refused:
            errors.append({"message": _reason(index, refused)})
    if errors:
        return Answer(207, {"accepted": len(call.body) - len(errors), "rejected": len(errors), "errors": errors})
    return Answer(202, {"message": "Accepted"})


def delete(call: Call) -> Answer:
    """DELETE /api/public/scores/{id}: it is forgotten, whether it was there or not."""
    call.rows.execute("DELETE FROM scores WHERE project = ? AND id = ?", (call.project, call.path["id"]))
    return Answer(204)


def _row(project: str, body: Any, index: int, moment: str) -> tuple[Any, ...]:
    """The columns of one score; raises Refused with what is wrong with it."""
    fields = Fields(body, (index,))
    name = fields.given("name")
    subject = _subject(fields)
    environment = fields.text("environment") or "default"
    if not _ENVIRONMENT.fullmatch(environment):
        fields.wrong("environment", "Only a-z, 0-9, - and _ are allowed, and it must not start with 'langfuse'")
    source = fields.choice("source", ("API", "ANNOTATION")) or "API"
    data_type, value = _value(fields)
    config, queue = fields.text("configId"), fields.text("queueId")
    if source == "ANNOTATION" and not config and data_type != "CORRECTION":
        fields.wrong("configId", "configId is required for annotation scores")
    score_id, timestamp = fields.text("id") or str(uuid4()), fields.moment("timestamp") or moment
    comment, metadata = fields.text("comment"), fields.value.get("metadata")
    fields.done()
    head = (project, score_id, timestamp, "output" if data_type == "CORRECTION" else name, data_type, pack(value))
    tail = (comment, None if metadata is None else pack(metadata), environment, source, config, queue, moment)
    return (*head, *subject, *tail)


def _subject(fields: Fields) -> tuple[str | None, ...]:
    """(trace, observation, session, run) ids: exactly one of trace, session and run, an observation with its trace."""
    names = ("traceId", "observationId", "sessionId", "datasetRunId")
    trace, observation, session, run = (fields.text(name) or None for name in names)
    if sum(one is not None for one in (trace, session, run)) != 1:
        fields.wrong("traceId", "Provide exactly one of traceId, sessionId or datasetRunId")
    if observation is not None and trace is None:
        fields.wrong("observationId", "observationId needs traceId")
    return trace, observation, session, run


def _value(fields: Fields) -> tuple[str, Any]:
    """The type and the value, which must fit each other; without a type, the value tells it."""
    value = fields.value.get("value")
    guess = "CATEGORICAL" if isinstance(value, str) else "NUMERIC"
    data_type = fields.choice("dataType", TYPES) or guess
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if data_type == "NUMERIC" and not (number and math.isfinite(value or 0)):
        fields.wrong("value", "Value must be a number for data type NUMERIC")
    if data_type == "BOOLEAN" and not (number and value in {0, 1}):
        fields.wrong("value", "Value must be a number equal to either 0 or 1 for data type BOOLEAN")
    if data_type in {"CATEGORICAL", "TEXT", "CORRECTION"} and not isinstance(value, str):
        fields.wrong("value", f"Value must be a string for data type {data_type}")
    if data_type == "TEXT" and isinstance(value, str) and not 1 <= len(value) <= 500:
        fields.wrong("value", "Text score values must be between 1 and 500 characters")
    return data_type, bool(value) if data_type == "BOOLEAN" else value


def _reason(index: int, refused: Refused) -> str:
    issues = refused.body.get("error")
    if not isinstance(issues, list):
        return f"Score {index}: {refused.body['message']}"
    return f"Score {index}: " + "; ".join(f"{'.'.join(map(str, i['path'][1:]))}: {i['message']}" for i in issues)
