"""Traces and scores: what Langfuse shows of a trial, and that the same row always gives the same."""

from __future__ import annotations

import asyncio
import datetime
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import workbench as wb
from workbench.client import current
from workbench.langfuse.attributes import NAMES
from workbench.langfuse.masking import Mask
from workbench.langfuse.otlp import encode
from workbench.langfuse.traces import Place, Traces, usage_details
from workbench.records import Row

if TYPE_CHECKING:
    from workbench.langfuse.server import Server
    from workbench.sim import StandIn, StandInLangfuse

SHA = "a" * 64
PLAN = {
    "run_id": "t-0123456789",
    "identity": {"dataset": "d" * 64},
    "dataset": {"name": "tickets", "cases": 1},
    "arms": [{"model": "gpt-6-luna"}],
    "prompts": [
        {
            "ref": "triage@v2",
            "sha": SHA,
            "text": "",
            "template": [{"role": "system", "content": "Sort."}, {"role": "user", "content": "{{ticket}}"}],
            "config": {"max_tokens": 64, "by_provider": {"openai": {"effort": "low"}}},
        }
    ],
}
CASES = {"c1": {"id": "c1", "inputs": {"ticket": "Hello"}, "expected": "app", "tags": ["x"], "split": "dev"}}
PLACE = Place("project", "dataset-id", {SHA: ("triage", 3)})


def row(**changed: Any) -> dict[str, Any]:
    """An answered trial's row, as read from JSON."""
    about: dict[str, Any] = {
        "run_id": "t-0123456789",
        "prompt": "triage",
        "version": "v2",
        "prompt_sha": SHA,
        "provider": "openai",
        "model": "gpt-6-luna",
        "tier": "fast",
        "origin": "vendor",
        "source": "live",
        "served_by": "gpt-6-luna-2026",
        "case_id": "c1",
        "repeat": 0,
        "output": "app",
        "scores": {"exact": True, "tone": 0.5, "none": None},
        "reasons": {"tone": "so so"},
        "input_tokens": 100,
        "cache_write_5m_tokens": 20,
        "cache_write_1h_tokens": 10,
        "cache_read_tokens": 30,
        "output_tokens": 50,
        "reasoning_tokens": 15,
        "cost_usd": 0.002,
        "spent_usd": 0.002,
        "latency_s": 2.0,
        "waited_s": 1.0,
        "ttft_s": 0.5,
        "attempts": 1,
        "stop_reason": "end",
        "finished_at": 1_800_000_000.0,
    }
    return json.loads(Row(**about | changed).to_json())


def traces(mask: Mask | None = None, **changed: Any) -> Traces:
    """What turns rows of the plan above into trials."""
    return Traces(PLAN | changed, CASES, PLACE, mask or Mask(), 1_700_000_000.0)


def sent(row: dict[str, Any], **options: Any) -> dict[str, Any]:
    """A generation's attributes."""
    return dict(traces(**options).trial(row).spans[1].attributes)


def test_attribute_names_are_the_sdks() -> None:
    """Every attribute is named as the SDK names it."""
    from langfuse import LangfuseOtelSpanAttributes

    assert {name: getattr(LangfuseOtelSpanAttributes, name) for name in NAMES} == NAMES


def test_the_experiment_id_is_the_sdks(remote: Server) -> None:
    """An experiment has the id that the SDK's own formula gives it."""
    from langfuse import Langfuse

    from workbench.langfuse.ids import experiment_id

    made = Langfuse._create_experiment_id(None, project_id="p", dataset_id="d", run_name="rün")  # type: ignore[arg-type]
    assert experiment_id("p", "d", "rün") == made


def test_the_same_row_gives_the_same_bytes() -> None:
    """Sent twice, by two processes, a row is the same spans and scores; another repeat has other ids."""
    one, two = traces().trial(row()), traces().trial(row())
    assert encode(one.spans, "pk") == encode(two.spans, "pk") and one.scores == two.scores
    other = traces().trial(row(repeat=1))
    assert {span.span_id for span in other.spans}.isdisjoint(span.span_id for span in one.spans)
    assert other.spans[0].trace_id != one.spans[0].trace_id


def test_token_kinds_add_up() -> None:
    """The kinds that begin with input add up to the whole prompt, those with output to the whole answer."""
    usage = usage_details(row())
    assert usage == {
        "input": 40,
        "input_cache_creation": 30,
        "input_cache_read": 30,
        "output": 35,
        "output_reasoning": 15,
    }
    assert usage_details(row(input_tokens=None, output_tokens=None)) == {}


def test_a_generation_says_what_was_asked_and_spent() -> None:
    """It carries the rendered messages, the parameters for its provider, the prompt link, and our own cost."""
    found = sent(row())
    assert json.loads(found[NAMES["OBSERVATION_INPUT"]])[1] == {"role": "user", "content": "Hello"}
    assert json.loads(found[NAMES["OBSERVATION_MODEL_PARAMETERS"]]) == {"max_tokens": 64, "effort": "low"}
    assert (found[NAMES["OBSERVATION_PROMPT_NAME"]], found[NAMES["OBSERVATION_PROMPT_VERSION"]]) == ("triage", 3)
    assert json.loads(found[NAMES["OBSERVATION_COST_DETAILS"]]) == {"total": 0.002}
    assert json.loads(found[NAMES["OBSERVATION_COMPLETION_START_TIME"]]) == "2027-01-15T07:59:58.500+00:00"
    assert NAMES["TRACE_TAGS"] not in found


def test_a_hit_costs_nothing_and_says_so() -> None:
    """A reply from the cache is marked, costs 0, and keeps its list price beside."""
    found = sent(row(cached=True, spent_usd=0.0, source="simulated"))
    about = {name.rpartition(".")[2]: value for name, value in found.items() if ".metadata." in name}
    assert json.loads(found[NAMES["OBSERVATION_COST_DETAILS"]]) == {"total": 0.0}
    assert (about["cached"], about["cost_usd"], about["source"]) == ("true", "0.002", '"simulated"')
    assert found[NAMES["TRACE_TAGS"]] == ["simulated"]


def test_an_unknown_price_is_not_free() -> None:
    """Without a known price no cost is sent."""
    assert NAMES["OBSERVATION_COST_DETAILS"] not in sent(row(spent_usd=None, cost_usd=None))


def test_a_failed_trial_is_an_error() -> None:
    """A failed trial is a trace with level ERROR, its reason masked, no scores, and no length below zero."""
    failed = row(
        output=None, error="joe@example.com was refused", error_type="X", scores={}, latency_s=None, ttft_s=None
    )
    trial = traces().trial(failed)
    for span in trial.spans:
        assert span.attributes[NAMES["OBSERVATION_LEVEL"]] == "ERROR"
        assert span.attributes[NAMES["OBSERVATION_STATUS_MESSAGE"]] == "[e-mail] was refused" == span.error
        assert 0 < span.start_ns <= span.end_ns
    assert trial.scores == ()


def test_scores_have_types_reasons_and_stable_ids() -> None:
    """A bool is BOOLEAN, a number NUMERIC, None and infinity are not sent; each points to its generation."""
    scores = traces().trial(row(scores={"exact": True, "tone": 0.5, "none": None, "inf": float("inf")})).scores
    assert [(s["name"], s["value"], s["dataType"], s.get("comment")) for s in scores] == [
        ("exact", 1.0, "BOOLEAN", None),
        ("tone", 0.5, "NUMERIC", "so so"),
    ]
    generation = traces().trial(row()).spans[1]
    assert {(s["traceId"], s["observationId"]) for s in scores} == {(generation.trace_id, generation.span_id)}
    assert len({s["id"] for s in scores}) == 2 and {s["timestamp"] for s in scores} == {"2027-01-15T08:00:00.000+00:00"}


def test_another_try_keeps_the_first_start() -> None:
    """A trial that was tried again keeps ids, score times and start, so that Langfuse replaces instead of adding."""
    first = row(output=None, error="away", scores={"exact": False})
    again = traces().trial(row(finished_at=1_900_000_000.0), first)
    before = traces().trial(first)
    assert [s.start_ns for s in again.spans] == [s.start_ns for s in before.spans]
    assert again.scores[0]["timestamp"] == before.scores[0]["timestamp"]
    assert again.scores[0]["id"] == before.scores[0]["id"]


@pytest.mark.parametrize("missing", ["template", "config"])
def test_old_plans_fall_back_to_the_inputs(missing: str) -> None:
    """A run of before plans kept templates, and rows without a time, are sent with what is known."""
    prompts = [{name: value for name, value in PLAN["prompts"][0].items() if name != missing}]
    trial = traces(prompts=prompts).trial(row(finished_at=None))
    assert json.loads(str(trial.spans[1].attributes[NAMES["OBSERVATION_INPUT"]])) == {"ticket": "Hello"}
    assert trial.spans[1].end_ns == 1_700_000_000 * 10**9


HOSTILE = st.text(st.characters(), max_size=60)


@given(HOSTILE, HOSTILE, st.floats(), st.floats())
def test_hostile_rows_make_valid_spans(output: str, error: str, finished: float, latency: float) -> None:
    """Any text and any clock give spans that can be encoded, that begin after 1970 and do not end before they begin."""
    trial = traces().trial(row(output=output, error=error or None, finished_at=finished, latency_s=latency))
    assert encode(trial.spans, "pk")
    assert all(0 <= span.start_ns <= span.end_ns for span in trial.spans)


def test_everything_is_masked() -> None:
    """An address in any text of row, case or plan is in nothing that is sent."""
    secret = "joe@example.com"
    plan = json.loads(json.dumps(PLAN).replace("Sort.", f"Ask {secret}"))
    case = CASES["c1"] | {"inputs": {"ticket": secret, secret: 1}, "expected": {secret: secret}, "tags": [secret]}
    texts = ("output", "served_by", "request_id", "stop_reason", "origin", "tier")
    hostile = row(**dict.fromkeys(texts, f"by {secret}"), reasons={"tone": secret}, error=secret)
    trial = Traces(plan, {"c1": case}, PLACE, Mask(), 0.0).trial(hostile)
    assert secret not in json.dumps([[asdict(span) for span in trial.spans], trial.scores])


def run(**options: Any) -> wb.Report:
    """A small run on the session in use."""
    fields = wb.scorers.json_fields("category", "priority")
    return asyncio.run(wb.Experiment("t", "ticket-triage@v2", "tickets", "fast", fields).run(sample=2, **options))


def connected(remote: Server) -> None:
    """Send the runs of this session there."""
    current().langfuse = lambda: remote
    current().traces = True


def test_one_trial_arrives_whole(server: StandIn, langfuse: StandInLangfuse, remote: Server) -> None:
    """The trace of one trial carries prompt link, four token kinds, cost, item and score, as the SDK reads them."""
    connected(remote)
    report = run()
    first = next(report.rows())
    spans = langfuse.control("traces")
    trial = next(
        s
        for s in spans
        if s["name"] == "generation"
        and s["attributes"]["langfuse.observation.metadata.case_id"] == json.dumps(first["case_id"])
        and s["attributes"][NAMES["OBSERVATION_MODEL"]] == first["model"]
    )
    found = remote.call(
        "x", lambda api: api.observations.get_many(trace_id=trial["trace_id"], fields="core,usage,prompt")
    )
    assert {one.type for one in found.data} == {"SPAN", "GENERATION"}
    told = trial["attributes"]
    assert told[NAMES["OBSERVATION_PROMPT_NAME"]] == "ticket-triage" and told[NAMES["OBSERVATION_PROMPT_VERSION"]] == 1
    assert set(json.loads(told[NAMES["OBSERVATION_USAGE_DETAILS"]])) >= {
        "input",
        "input_cache_creation",
        "input_cache_read",
        "output",
    }
    assert json.loads(told[NAMES["OBSERVATION_COST_DETAILS"]]) == {"total": first["spent_usd"]}
    assert told[NAMES["EXPERIMENT_ITEM_ID"]] == f"tickets:{first['case_id']}"
    scores = [s for s in langfuse.control("scores") if s["traceId"] == trial["trace_id"]]
    assert {s["name"]: s["value"] for s in scores} == first["scores"]
    assert report.unsent == 0 and report.message == ""


def test_the_run_is_an_experiment(server: StandIn, langfuse: StandInLangfuse, remote: Server) -> None:
    """Langfuse lists the run as an experiment over its dataset, with an item for each case."""
    connected(remote)
    report = run()
    since = datetime.datetime.fromtimestamp(0, datetime.UTC)
    found = remote.call("experiments", lambda api: api.experiments.list(from_start_time=since))
    assert [one.name for one in found.data] == [report.run_id]
    spans = [s["attributes"] for s in langfuse.control("traces") if s["parent_span_id"] is None]
    assert {one[NAMES["EXPERIMENT_ID"]] for one in spans} == {found.data[0].id}
    assert {one[NAMES["EXPERIMENT_ITEM_ID"]] for one in spans} == {f"tickets:{case}" for case in report.cases}


def test_no_doubled_generations_with_a_tracer_of_somebody_else(
    server: StandIn, langfuse: StandInLangfuse, remote: Server
) -> None:
    """With a global tracer provider installed the vendor's SDK emits no span of its own, and each trial is one
    generation."""
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    caught = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(caught))
    before = trace._TRACER_PROVIDER
    trace._TRACER_PROVIDER = provider
    try:
        connected(remote)
        report = run()
    finally:
        trace._TRACER_PROVIDER = before
        provider.shutdown()
    generations = [s for s in langfuse.control("traces") if s["name"] == "generation"]
    assert len(generations) == report.done and caught.get_finished_spans() == ()
