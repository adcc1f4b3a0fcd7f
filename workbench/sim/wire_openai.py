"""What OpenAI's two endpoints share: errors, and the rules by which newer models refuse parameters."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from workbench.sim.asked import text_of
from workbench.sim.prompt_cache import OPENAI_TTL, automatic_prefixes
from workbench.sim.said import Problem

if TYPE_CHECKING:
    from workbench.sim.asked import Prefix
    from workbench.sim.said import Counts
    from workbench.sim.wire import Body

SAMPLING = ("temperature", "top_p", "frequency_penalty", "presence_penalty")
DEFAULTS = {"temperature": 1, "top_p": 1, "frequency_penalty": 0, "presence_penalty": 0}
NO_EFFORT_NONE = ("gpt-6-astra", "gpt-6.1-sol")
"""Models that always reason."""

ERRORS = {
    "rate_limit": (429, "requests", "rate_limit_exceeded"),
    "quota": (429, "insufficient_quota", "insufficient_quota"),
    "overloaded": (503, "server_error", "server_overloaded"),
    "server_error": (500, "server_error", None),
    "auth": (401, "invalid_request_error", "invalid_api_key"),
    "bad_request": (400, "invalid_request_error", None),
    "not_found": (404, "invalid_request_error", "model_not_found"),
    "too_large": (413, "invalid_request_error", "request_too_large"),
}


def refuse(problem: Problem) -> tuple[int, Body]:
    """Status and body of an error."""
    status, kind, code = ERRORS[problem.kind]
    error = {"message": problem.message, "type": kind, "param": problem.param, "code": problem.code or code}
    return status, {"error": error}


def check_model_rules(body: Body, effort: str | None) -> None:
    """Refuse what the body's model refuses: sampling while reasoning, effort `none` where there is none."""
    model = str(body.get("model", ""))
    if effort == "none" and model.startswith(NO_EFFORT_NONE):
        raise _unsupported_value("reasoning_effort", "none", model)
    if version_of(model) < (5, 4) or effort == "none":
        return
    for name in SAMPLING:
        value = body.get(name)
        if value is not None and value != DEFAULTS[name]:
            raise Problem(
                "bad_request",
                f"Unsupported value: '{name}' does not support {value} with this model. "
                f"Only the default ({DEFAULTS[name]}) value is supported.",
                code="unsupported_value",
                param=name,
            )


def check_fields(body: Body, known: frozenset[str]) -> None:
    """Refuse body fields that the endpoint does not know."""
    for name in sorted(body.keys() - known):
        raise Problem("bad_request", f"Unknown parameter: '{name}'.", code="unknown_parameter", param=name)


def version_of(model: str) -> tuple[int, int]:
    """(6, 1) for gpt-6.1-sol; (0, 0) for anything that is not a numbered GPT model."""
    found = re.match(r"gpt-(\d+)(?:\.(\d+))?", model)
    return (int(found[1]), int(found[2] or 0)) if found else (0, 0)


def role_texts(items: list[Body]) -> tuple[str, str]:
    """The instructions and the other turns of a list of messages."""
    system = [text_of(item.get("content", "")) for item in items if item.get("role") in {"system", "developer"}]
    others = [text_of(item.get("content", "")) for item in items if item.get("role") not in {"system", "developer"}]
    return "\n\n".join(filter(None, system)), "\n\n".join(filter(None, others))


def prefixes(body: Body, text: str) -> tuple[Prefix, ...]:
    """Cacheable prefixes: automatic, unless the caller wants explicit breakpoints only."""
    options = body.get("prompt_cache_options") or {}
    if options.get("mode") == "explicit":
        return ()
    return automatic_prefixes(text, OPENAI_TTL.get(options.get("ttl", "30m"), OPENAI_TTL["30m"]))


def written(model: str, counts: Counts) -> Counts:
    """The counters as this model reports them: cache writes are free and unreported before GPT-5.6."""
    return counts if version_of(model) >= (5, 6) else replace(counts, cache_write_short=0, cache_write_long=0)


def _unsupported_value(param: str, value: str, model: str) -> Problem:
    message = f"Unsupported value: '{value}' is not supported with the '{model}' model."
    return Problem("bad_request", message, code="unsupported_value", param=param)
