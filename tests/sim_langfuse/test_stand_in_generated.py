"""Generated requests: what the published description of the API allows is answered as it says, the rest is refused."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
import yaml
from hypothesis import HealthCheck, Phase, assume, given, settings
from langfuse_parts import ITEMS, PAIR, SCORES, TRACES, ask, basic, make
from langfuse_spec import DIFFERENCES, SERVED, SPEC, amended, excused
from schemathesis.generation import GenerationMode

if TYPE_CHECKING:
    from schemathesis import BaseSchema, Case

    from workbench.sim import StandInLangfuse

pytestmark = pytest.mark.skipif(not SPEC.exists(), reason=f"needs the published description, {SPEC.name}")
KNOWN = {"promptName": ["p"], "name": ["p"], "version": [1, 2], "datasetName": ["d"], "id": ["d:1"], "scoreId": ["s"]}
WITHOUT_INPUT = {"GET /api/public/health"}
STEADY = settings(
    max_examples=12,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)


@pytest.fixture(scope="session")
def described() -> BaseSchema:
    """The description with the known differences written in."""
    spec = yaml.load(SPEC.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return schemathesis.openapi.from_dict(amended(spec, KNOWN))


@pytest.fixture
def filled(server: StandInLangfuse) -> StandInLangfuse:
    """The server with one thing of each kind, so that answers have something in them."""
    make(server, labels=["production"], tags=["t"], config={"a": 1})
    make(server)
    ask(server, "POST", "/api/public/v2/datasets", {"name": "d"})
    ask(server, "POST", ITEMS, {"datasetName": "d", "id": "d:1", "input": {"a": 1}})
    trace = "ab" * 16
    ask(server, "POST", SCORES, [{"id": "s", "name": "n", "value": 1, "traceId": trace}])
    attributes = {
        "langfuse.experiment.id": "e",
        "langfuse.observation.type": "generation",
        "langfuse.observation.input": "i",
    }
    span = {
        "traceId": trace,
        "spanId": "cd" * 8,
        "name": "n",
        "startTimeUnixNano": "1764000000000000000",
        "endTimeUnixNano": "1764000001000000000",
        "attributes": [{"key": name, "value": {"stringValue": text}} for name, text in attributes.items()],
    }
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()
    ask(server, "POST", TRACES, gzip.compress(body), headers={"Content-Encoding": "gzip"})
    return server


def check(server: StandInLangfuse, operation: str, case: Case) -> None:
    """Send a generated request; every check of the library must hold but for the known differences."""
    headers: dict[str, Any] = {"Authorization": basic(PAIR)}
    response = case.call(base_url=server.url, headers=headers)
    try:
        case.validate_response(response, headers=headers)
    except BaseExceptionGroup as group:
        if failures := [one for one in group.exceptions if not excused(operation, one, response.text)]:
            raise failures[0] from None


def vanishes(query: Any) -> bool:
    """Whether a wrong value would be sent as nothing at all: a query has no word for an empty list."""
    return any(value in ([], {}) for value in (query or {}).values())


@pytest.mark.parametrize("operation", SERVED)
def test_what_is_described_is_served(filled: StandInLangfuse, described: BaseSchema, operation: str) -> None:
    """Requests that fit the description are accepted and answered in the described status, type and shape."""
    method, path = operation.split()

    @STEADY
    @given(case=described[path][method].as_strategy(generation_mode=GenerationMode.POSITIVE))
    def run(case: Case) -> None:
        check(filled, operation, case)

    run()


@pytest.mark.parametrize("operation", [one for one in SERVED if one not in WITHOUT_INPUT])
def test_what_is_not_described_is_refused(filled: StandInLangfuse, described: BaseSchema, operation: str) -> None:
    """Requests that break the description are refused in a described way, and never break the server."""
    method, path = operation.split()

    @STEADY
    @given(case=described[path][method].as_strategy(generation_mode=GenerationMode.NEGATIVE))
    def run(case: Case) -> None:
        assume(not vanishes(case.query))
        check(filled, operation, case)

    run()


def test_differences_are_about_what_is_served() -> None:
    """Each known difference has its reason and concerns an operation that is served."""
    import re

    for difference in DIFFERENCES:
        assert difference.why
        assert any(re.fullmatch(difference.where, operation) for operation in SERVED), difference.why
        assert (difference.amend is None) == bool(difference.failure and difference.says)
