"""OTLP: spans as the bytes that Langfuse's trace endpoint takes. The only importer of `opentelemetry`.

Built by hand instead of with a tracer: ids and times must come out the same on every sending, and no tracer provider is
set that could catch the spans of other libraries.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from opentelemetry.proto.common.v1.common_pb2 import KeyValue
    from opentelemetry.proto.trace.v1 import trace_pb2

Value = str | bool | int | float | list[str]
SCOPE = "langfuse-sdk"
"""Langfuse decodes the attributes of this scope as its own SDK writes them, and ours are written alike."""


@dataclass(frozen=True, slots=True)
class Span:
    """One span. Ids in hex (32 and 16 digits), times in nanoseconds since 1970; `error`: why it failed, else empty."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    start_ns: int
    end_ns: int
    attributes: Mapping[str, Value] = field(default_factory=dict)
    error: str = ""


def size(span: Span) -> int:
    """About how many bytes a span takes."""
    texts = (len(str(value)) + len(name) + 8 for name, value in span.attributes.items())
    return sum(texts) + len(span.error) + 100


def encode(spans: Iterable[Span], public_key: str) -> bytes:
    """A serialised ExportTraceServiceRequest; texts that UTF-8 cannot say have those characters replaced."""
    from importlib.metadata import version

    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    _fill(resource.resource.attributes, {"service.name": "prompt-workbench"})
    scope = resource.scope_spans.add()
    scope.scope.name, scope.scope.version = SCOPE, version("langfuse")
    _fill(scope.scope.attributes, {"public_key": public_key})
    for span in spans:
        _write(scope.spans.add(), span)
    return bytes(request.SerializeToString(deterministic=True))


def _write(target: trace_pb2.Span, span: Span) -> None:
    from opentelemetry.proto.trace.v1 import trace_pb2

    target.trace_id = bytes.fromhex(span.trace_id)
    target.span_id = bytes.fromhex(span.span_id)
    target.parent_span_id = bytes.fromhex(span.parent_id)
    target.name = clean(span.name)
    target.kind = trace_pb2.Span.SPAN_KIND_INTERNAL
    target.start_time_unix_nano = span.start_ns
    target.end_time_unix_nano = span.end_ns
    code = trace_pb2.Status
    target.status.code = code.STATUS_CODE_ERROR if span.error else code.STATUS_CODE_OK
    target.status.message = clean(span.error)
    _fill(target.attributes, span.attributes)


def _fill(target: Sequence[KeyValue], attributes: Mapping[str, Value]) -> None:
    for name, value in attributes.items():
        entry = target.add()  # type: ignore[attr-defined]  # protobuf's repeated fields are typed as plain sequences
        entry.key = clean(name)
        if isinstance(value, str):
            entry.value.string_value = clean(value)
        elif isinstance(value, bool):
            entry.value.bool_value = value
        elif isinstance(value, int):
            entry.value.int_value = value
        elif isinstance(value, float):
            entry.value.double_value = value
        else:
            entry.value.array_value.SetInParent()
            for one in value:
                entry.value.array_value.values.add().string_value = clean(one)


def clean(text: str) -> str:
    """The text without halves of surrogate pairs, which model output may hold and no UTF-8 can say."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
