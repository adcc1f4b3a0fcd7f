"""The published description of the API (server 4.16) and every way in which the stand-in (4.59) is known to differ."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

SPEC = Path(__file__).parents[3] / "shared" / "specs" / "langfuse-openapi.yml"
SERVED = (
    "GET /api/public/health",
    "GET /api/public/projects",
    "GET /api/public/v2/prompts",
    "POST /api/public/v2/prompts",
    "GET /api/public/v2/prompts/{promptName}",
    "DELETE /api/public/v2/prompts/{promptName}",
    "PATCH /api/public/v2/prompts/{name}/versions/{version}",
    "GET /api/public/v2/datasets",
    "POST /api/public/v2/datasets",
    "GET /api/public/v2/datasets/{datasetName}",
    "GET /api/public/dataset-items",
    "POST /api/public/dataset-items",
    "GET /api/public/dataset-items/{id}",
    "DELETE /api/public/dataset-items/{id}",
    "POST /api/public/scores",
    "DELETE /api/public/scores/{scoreId}",
    "GET /api/public/v3/scores",
    "POST /api/public/otel/v1/traces",
    "GET /api/public/v2/observations",
    "GET /api/public/experiments",
    "GET /api/public/experiment-items",
)
Spec = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """One known difference: `amend` writes it into the operations that match `where` (a regular expression), or, for
    what a schema cannot say, a `failure` of this name is expected of them when it or the answer `says` so."""

    why: str
    where: str
    amend: Callable[[Spec, Spec], None] | None = None
    failure: str = ""
    says: str = ""

    def expects(self, operation: str, failure: str, said: str) -> bool:
        """Whether this failure is the difference."""
        return bool(
            self.failure == failure and re.fullmatch(self.where, operation) and re.search(self.says, said, re.DOTALL)
        )


def _created(operation: Spec, schemas: Spec) -> None:
    operation["responses"]["201"] = operation["responses"].pop("200")


def _too_many(operation: Spec, schemas: Spec) -> None:
    operation["responses"] |= {status: {"description": "later"} for status in ("429", "503")}


def _score_array(operation: Spec, schemas: Spec) -> None:
    body = operation["requestBody"]["content"]["application/json"]
    body["schema"] = {"type": "array", "items": body["schema"], "maxItems": 4}
    del operation["responses"]["200"]
    accepted = {"type": "object", "properties": {"message": {"enum": ["Accepted"]}}, "required": ["message"]}
    count = {"type": "integer", "minimum": 0}
    reason = {"type": "object", "properties": {"message": {"type": "string"}}, "required": ["message"]}
    errors = {"type": "array", "items": reason, "minItems": 1}
    counts = {"accepted": count, "rejected": count, "errors": errors}
    partly = {"type": "object", "properties": counts, "required": list(counts)}
    for status, schema in (("202", accepted), ("207", partly)):
        content = {"application/json": {"schema": schema}}
        operation["responses"][status] = {"description": "", "content": content}


def _label_rules(operation: Spec, schemas: Spec) -> None:
    for name in ("CreateTextPromptRequest", "CreateChatPromptRequest"):
        schemas[name]["properties"]["labels"]["items"] = {"type": "string", "pattern": r"^[a-z0-9_\-.]{1,36}$"}
        schemas[name]["properties"]["commitMessage"]["maxLength"] = 500
        schemas[name]["properties"]["name"] |= {"minLength": 1, "maxLength": 255}
    schemas["PlaceholderMessage"]["properties"]["name"]["pattern"] = "^[a-zA-Z][a-zA-Z0-9_]*$"


def _dataset_names(operation: Spec, schemas: Spec) -> None:
    schemas["CreateDatasetRequest"]["properties"]["name"] |= {"minLength": 1, "maxLength": 255}


def _bounds(operation: Spec, schemas: Spec) -> None:
    most = {"page": 10**6, "limit": 100, "scoreLimit": 50, "version": 10**6}
    for parameter in operation.get("parameters", ()):
        if parameter["name"] in most and parameter["schema"]["type"] == "integer":
            parameter["schema"] |= {"minimum": 1, "maximum": most[parameter["name"]]}


def _no_filter(operation: Spec, schemas: Spec) -> None:
    operation["parameters"] = [one for one in operation["parameters"] if one["name"] != "filter"]


DIFFERENCES = (
    Difference("a created prompt is a 201", "POST .*/prompts", _created),
    Difference("scores come as an array, answered 202 or 207", "POST .*/scores", _score_array),
    Difference("any answer may be 429 or 503 with Retry-After", ".*", _too_many),
    Difference("labels, names and messages have rules", "POST .*/prompts", _label_rules),
    Difference("dataset names are not empty", "POST .*/datasets", _dataset_names),
    Difference("pages, limits and versions have bounds", ".*", _bounds),
    Difference(
        "the stand-in does not serve `filter`", "GET .*/(observations|experiments|experiment-items)", _no_filter
    ),
    Difference(
        "a wrong score in an array is counted in a 207, not a 400",
        "POST .*/scores",
        failure="AcceptedNegativeData",
        says='"rejected":[1-9]',
    ),
    Difference(
        "unknown query parameters are ignored, and a wrong Authorization is replaced by the test's own",
        "GET .*",
        failure="AcceptedNegativeData",
        says=r"\A(?!.*\n\s+- (?!query: violates `additionalProperties`|header: [^\n]*Authorization))"
        r".*Invalid component:\n",
    ),
    Difference(
        "prompt names have rules beyond a pattern, and quotes must point somewhere",
        "POST .*/prompts",
        failure="RejectedPositiveData",
        says='"path":\\["name"\\]|different prompt type|dependency not found',
    ),
    Difference(
        "a version and a label exclude each other",
        "(GET|DELETE) .*/prompts/{promptName}",
        failure="RejectedPositiveData",
        says="Cannot specify both version and label",
    ),
    Difference(
        "an old state of items needs the dataset's name",
        "GET .*/dataset-items",
        failure="RejectedPositiveData",
        says="version needs datasetName",
    ),
    Difference(
        "subjects exclude each other, values need a type, cursors and field groups are the server's own words",
        "GET .*/(scores|observations|experiments|experiment-items)",
        failure="RejectedPositiveData",
        says="Invalid cursor|mutually exclusive|needs traceId|need one dataType|Unknown field groups|Unknown data type"
        "|must be finite|must be true|raw strings",
    ),
    Difference(
        "ids in JSON spans are hex, and a span has both",
        "POST .*/traces",
        failure="RejectedPositiveData",
        says="Failed to parse OTel Trace",
    ),
)


def amended(spec: Spec, known: dict[str, list[str]]) -> Spec:
    """The description of what the stand-in serves, with the differences written in; `known` are values that path
    parameters should have now and then, so that something is found."""
    paths: Spec = {}
    for operation in SERVED:
        method, path = operation.split()
        described = spec["paths"][path][method.lower()]
        for difference in DIFFERENCES:
            if difference.amend is not None and re.fullmatch(difference.where, operation):
                difference.amend(described, spec["components"]["schemas"])
        for parameter in described.get("parameters", ()):
            if parameter["in"] == "path" and parameter["name"] in known:
                parameter["schema"] = {"anyOf": [{"enum": known[parameter["name"]]}, parameter["schema"]]}
        paths.setdefault(path, {})[method.lower()] = described
    return {**spec, "paths": paths}


def excused(operation: str, failure: BaseException, answer: str) -> bool:
    """Whether a failed check is one of the known differences."""
    said = f"{failure}\n{answer}"
    return any(one.expects(operation, type(failure).__name__, said) for one in DIFFERENCES if one.failure)
