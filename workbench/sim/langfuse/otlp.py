"""OpenTelemetry traces off the wire: protobuf or JSON to plain records."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from google.protobuf.json_format import ParseDict, ParseError  # type: ignore[import-untyped]
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from workbench.sim.langfuse.calls import Refused
from workbench.sim.langfuse.fields import read_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_NEWEST_NS = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Span:
    """One span; ids in hex, times in nanoseconds since 1970, `parent_span_id` None for a root."""

    trace_id: str
    span_id: str
    parent_span_id: str | None
    name: str
    start_ns: int
    end_ns: int
    attributes: Mapping[str, Any]
    resource: Mapping[str, Any]


def read_spans(body: bytes, content_type: str) -> list[Span]:
    """The spans of an export request; raises Refused for what is none."""
    try:
        if content_type == "application/json":
            value = _with_base64(read_json(body))
            if not isinstance(value["resourceSpans"], list):
                raise TypeError("resourceSpans is no array")
            request = ParseDict(value, ExportTraceServiceRequest(), ignore_unknown_fields=True)
        else:
            request = ExportTraceServiceRequest.FromString(body)
    except (ParseError, DecodeError, binascii.Error, ValueError, TypeError, KeyError, AttributeError):
        raise Refused(400, "Failed to parse OTel Trace") from None
    return list(_spans(request))


def _spans(request: Any) -> Iterator[Span]:
    for group in request.resource_spans:
        resource = _attributes(group.resource.attributes)
        for scope in group.scope_spans:
            for span in scope.spans:
                if not span.trace_id or not span.span_id:
                    raise Refused(400, "Failed to parse OTel Trace: a span without ids")
                yield Span(
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_span_id=span.parent_span_id.hex() or None,
                    name=span.name,
                    start_ns=min(span.start_time_unix_nano, _NEWEST_NS),
                    end_ns=min(span.end_time_unix_nano, _NEWEST_NS),
                    attributes=_attributes(span.attributes),
                    resource=resource,
                )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: Any) -> Any:
    """The plain value of an AnyValue."""
    which = value.WhichOneof("value")
    if which is None:
        return None
    if which == "array_value":
        return [_value(one) for one in value.array_value.values]
    if which == "kvlist_value":
        return _attributes(value.kvlist_value.values)
    if which == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    if which == "double_value" and value.double_value - value.double_value != 0:
        return None  # No JSON says NaN or infinity.
    return getattr(value, which)


def _with_base64(value: Any) -> Any:
    """OTLP writes ids in hex where protobuf's own JSON has base64."""
    if isinstance(value, list):
        return [_with_base64(one) for one in value]
    if not isinstance(value, dict):
        return value
    ids = {"traceId", "spanId", "parentSpanId"}
    return {
        name: base64.b64encode(bytes.fromhex(one)).decode()
        if name in ids and isinstance(one, str)
        else _with_base64(one)
        for name, one in value.items()
    }
