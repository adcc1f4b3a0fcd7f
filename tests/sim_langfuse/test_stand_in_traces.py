"""Traces: what the SDK sends arrives whole, is decoded, and reads back."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from langfuse import Evaluation
from langfuse.api import Error
from langfuse_parts import TRACES, ask
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

if TYPE_CHECKING:
    from langfuse import Langfuse
    from langfuse.api import LangfuseAPI

    from workbench.sim import StandInLangfuse

USAGE = {"input": 10, "cache_write": 20, "cache_read": 30, "output": 40}
COST = {"input": 0.001, "output": 0.002}
EVERY_FIELD = "basic,time,io,metadata,model,usage,prompt,metrics,trace_context"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
PROTOBUF = {"Content-Type": "application/x-protobuf"}


def request_of(*names: str, trace: bytes = b"\1" * 16) -> ExportTraceServiceRequest:
    """An export request with one span for each name; the same name has the same span id."""
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for index, name in enumerate(names):
        span = spans.add(trace_id=trace, span_id=name.encode().ljust(8, b"\0"), name=name)
        span.start_time_unix_nano, span.end_time_unix_nano = 10**18 + index, 10**18 + 10**9
        span.attributes.add(key="k").value.int_value = index
    return request


def test_a_generation_arrives_whole(sdk: Langfuse, api: LangfuseAPI, server: StandInLangfuse) -> None:
    """One generation of the SDK carries prompt link, four token kinds, cost and score, decoded and queryable."""
    prompt = sdk.create_prompt(name="triage", prompt="x", labels=["production"])
    with sdk.start_as_current_observation(
        name="trial", as_type="generation", input={"q": 1}, model="m", metadata={"case": "1"}
    ) as trial:
        trial.update(output="answer", usage_details=USAGE, cost_details=COST, prompt=prompt)
        trial.score(name="right", value=1.0, comment="exact")
        trace = trial.trace_id
    sdk.flush()
    (span,) = server.control("traces")
    attributes = span["attributes"]
    assert (span["trace_id"], span["parent_span_id"], span["name"]) == (trace, None, "trial")
    assert json.loads(attributes["langfuse.observation.usage_details"]) == USAGE
    assert json.loads(attributes["langfuse.observation.cost_details"]) == COST
    assert attributes["langfuse.observation.prompt.name"] == "triage"
    (kept,) = server.control("scores")
    assert (kept["name"], kept["value"], kept["comment"], kept["traceId"]) == ("right", 1.0, "exact", trace)
    (read,) = api.observations.get_many(trace_id=trace, fields=EVERY_FIELD).data
    assert (read.type, read.model, read.output, json.loads(read.input)) == ("GENERATION", "m", "answer", {"q": 1})
    assert (read.prompt_name, read.prompt_version, read.total_cost) == ("triage", 1, pytest.approx(0.003))
    assert read.usage_details == {**USAGE, "total": 100}
    assert read.prompt_id == api.prompts.get("triage").dict()["id"]
    assert read.metadata == {"case": "1"}
    assert read.latency is not None


def test_an_experiment_of_the_sdk_arrives(sdk: Langfuse, api: LangfuseAPI) -> None:
    """`run_experiment` over a dataset makes one experiment with one item and score per case."""
    sdk.create_dataset(name="d")
    for index in range(3):
        sdk.create_dataset_item(dataset_name="d", id=f"d:{index}", input=index, expected_output=str(index))

    def right(*, output: Any, expected_output: Any, **_: Any) -> Evaluation:
        return Evaluation(name="right", value=float(output == expected_output), comment="compared")

    dataset = sdk.get_dataset("d")
    result = dataset.run_experiment(
        name="e",
        run_name="run",
        task=lambda *, item, **_: str(item.input),
        evaluators=[right],
        run_evaluators=[lambda **_: Evaluation(name="mean", value=1.0)],
        metadata={"arm": "a"},
    )
    sdk.flush()
    assert len(result.item_results) == 3
    (experiment,) = api.experiments.list(from_start_time=LONG_AGO, fields="core,metadata,scores").data
    assert (experiment.name, experiment.item_count, experiment.dataset_id) == ("run", 3, dataset.id)
    assert [(one.name, one.value) for one in experiment.scores] == [("mean", 1.0)]
    items = api.experiments.list_items(from_start_time=LONG_AGO, fields="io,scores", experiment_id=experiment.id).data
    assert {(one.experiment_item_id, one.output, one.expected_output) for one in items} == {
        (f"d:{index}", str(index), str(index)) for index in range(3)
    }
    assert all([one.name for one in item.scores] == ["right"] for item in items)
    assert api.experiments.list_items(from_start_time=LONG_AGO, experiment_name="none").data == []
    page = api.experiments.list_items(from_start_time=LONG_AGO, limit=2)
    rest = api.experiments.list_items(from_start_time=LONG_AGO, limit=2, cursor=page.meta.cursor)
    assert (len(page.data), len(rest.data), rest.meta.cursor) == (2, 1, None)


@pytest.mark.parametrize("packed", [False, True])
def test_protobuf_is_taken_plain_or_packed(server: StandInLangfuse, packed: bool) -> None:
    """An export request is taken as it is or with gzip, and sent again it doubles nothing."""
    body = request_of("a", "b").SerializeToString()
    headers = {**PROTOBUF, **({"Content-Encoding": "gzip"} if packed else {})}
    for _ in range(2):
        assert ask(server, "POST", TRACES, gzip.compress(body) if packed else body, headers=headers).status == 200
    spans = server.control("traces")
    assert [(one["name"], one["attributes"], one["start_ns"]) for one in spans] == [
        ("a", {"k": 0}, 10**18),
        ("b", {"k": 1}, 10**18 + 1),
    ]


def test_a_span_sent_again_is_replaced(server: StandInLangfuse) -> None:
    """The same trace and span id is the same span, and what was sent last counts."""
    for value in ("first", "second"):
        request = request_of("a")
        request.resource_spans[0].scope_spans[0].spans[0].attributes.add(key="v").value.string_value = value
        ask(server, "POST", TRACES, request.SerializeToString(), headers=PROTOBUF)
    (span,) = server.control("traces")
    assert span["attributes"] == {"k": 0, "v": "second"}


def test_json_spans_are_the_same_spans(server: StandInLangfuse) -> None:
    """OTLP's JSON, ids in hex, gives the same span as its protobuf."""
    ask(server, "POST", TRACES, request_of("a").SerializeToString(), headers=PROTOBUF)
    (binary,) = server.control("traces")
    span = {
        "traceId": "01" * 16,
        "spanId": b"a".ljust(8, b"\0").hex(),
        "name": "a",
        "startTimeUnixNano": str(10**18),
        "endTimeUnixNano": str(10**18 + 10**9),
        "attributes": [{"key": "k", "value": {"intValue": "0"}}],
    }
    server.control("reset", {})
    body = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
    assert ask(server, "POST", TRACES, body).status == 200
    assert server.control("traces") == [binary]


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"\xff\xff\xff", PROTOBUF),
        (b"no gzip", {**PROTOBUF, "Content-Encoding": "gzip"}),
        (gzip.compress(b"x" * 9000)[:-20], {**PROTOBUF, "Content-Encoding": "gzip"}),
        (request_of("a", trace=b"").SerializeToString(), PROTOBUF),
        (b'{"resourceSpans": 3}', {}),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "xyz"}]}]}]}', {}),
        (b"{", {}),
    ],
    ids=["no protobuf", "no gzip", "cut gzip", "no ids", "wrong shape", "no hex", "no json"],
)
def test_what_is_no_trace_is_refused(server: StandInLangfuse, body: bytes, headers: dict[str, str]) -> None:
    """A body that cannot be read as an export request is a 400 and leaves nothing behind."""
    assert ask(server, "POST", TRACES, body, headers=headers).status == 400
    assert server.control("traces") == []
    assert ask(server, "GET", "/api/public/projects").status == 200


def test_all_or_none_of_a_request(server: StandInLangfuse) -> None:
    """A request with one span that cannot be taken leaves none of its spans."""
    request = request_of("a", "b")
    request.resource_spans[0].scope_spans[0].spans[1].span_id = b""
    assert ask(server, "POST", TRACES, request.SerializeToString(), headers=PROTOBUF).status == 400
    assert server.control("traces") == []


def test_observations_are_filtered_and_paged(server: StandInLangfuse, api: LangfuseAPI) -> None:
    """Filters by trace, name and time narrow; following the cursor gives each observation once, the newest first."""
    for trace in range(3):
        names = [f"s{index}" for index in range(5)]
        body = request_of(*names, trace=bytes([trace + 1]) * 16).SerializeToString()
        ask(server, "POST", TRACES, body, headers=PROTOBUF)
    assert len(api.observations.get_many(trace_id="02" * 16).data) == 5
    assert {one.trace_id for one in api.observations.get_many(name="s3").data} == {f"0{n}" * 16 for n in (1, 2, 3)}
    assert api.observations.get_many(to_start_time=LONG_AGO).meta.cursor is None
    assert api.observations.get_many(from_start_time=datetime(2026, 1, 1, tzinfo=UTC)).data == []
    assert len(api.observations.get_many(is_root_observation=True, parent_observation_id="").data) == 15
    seen, cursor = [], None
    while True:
        page = api.observations.get_many(limit=4, cursor=cursor)
        seen += [(one.trace_id, one.id) for one in page.data]
        cursor = page.meta.cursor
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 15
    for wrong in ({"fields": "wishes"}, {"limit": 1001}, {"parse_io_as_json": True}, {"cursor": "x"}):
        with pytest.raises(Error):
            api.observations.get_many(**wrong)


def test_every_text_can_be_searched(sdk: Langfuse, server: StandInLangfuse) -> None:
    """The list of the store's texts has each text that was sent, also from inside JSON that was sent as text."""
    places = [f'in {place}: "quoted" ü' for place in ("prompt", "dataset", "item", "span", "comment")]
    sdk.create_prompt(name="p", prompt=places[0])
    sdk.create_dataset(name="d", metadata={"deep": [places[1]]})
    sdk.create_dataset_item(dataset_name="d", input={"deep": {places[2]: 1}})
    with sdk.start_as_current_observation(name="t", input={"deep": {"er": places[3]}}) as span:
        span.score(name="s", value=1.0, comment=places[4])
    sdk.flush()
    assert set(places) <= set(server.control("store"))
