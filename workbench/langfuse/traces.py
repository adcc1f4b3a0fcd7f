"""Rows as Langfuse shows them: one trace per trial, and its scores. Pure: the same row gives the same bytes, always.

A trial is a root span, which carries the experiment and its item, with one generation below it. Attribute names are the
SDK's; everything that a user or a model wrote is masked here.
"""

from __future__ import annotations

import datetime
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.errors import PromptError
from workbench.langfuse.attributes import ENVIRONMENT, NAMES, named
from workbench.langfuse.datasets import item_id
from workbench.langfuse.ids import experiment_id, score_id, span_id, trace_id_of
from workbench.langfuse.otlp import Span, Value, clean
from workbench.prompts import Prompt
from workbench.records import ref_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workbench.langfuse.masking import Mask

FACTS = (
    *("run_id", "version", "prompt_sha", "provider", "tier", "origin", "source", "served_by", "case_id", "repeat"),
    *("cached", "cost_usd", "spent_usd", "judge_cost_usd", "stop_reason", "request_id", "attempts", "error_type"),
    *("latency_s", "waited_s", "cache_write_1h_tokens"),
)
"""What a generation's metadata takes over from its row."""

LONGEST = 200_000
"""Characters of one input or output that are sent; what is left out is said, and stays in the row."""

KEPT_CASES = 512
LATEST_S = 4e9
"""The year 2096: OTLP and dates end somewhere, and a file may say anything."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run is in Langfuse. `links`: content hash of a prompt -> its name and Langfuse version, as far as known;
    `dataset_id` is empty when Langfuse refused the dataset."""

    project: str
    dataset_id: str
    links: Mapping[str, tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Trial:
    """What is sent of one row: root span and generation, and the scores as the API wants them."""

    spans: tuple[Span, Span]
    scores: tuple[dict[str, Any], ...]


class Traces:
    """Turns the rows of one run into trials.

    `plan`: its plan.json; `cases`: case id -> the case as it was run; `otherwise_s`: when rows that do not say it were
    finished, in seconds since 1970.
    """

    def __init__(
        self, plan: Mapping[str, Any], cases: Mapping[str, Row], place: Place, mask: Mask, otherwise_s: float
    ) -> None:
        self._plan = plan
        self._cases = cases
        self._place = place
        self._mask = mask
        self._otherwise_s = otherwise_s
        self._prompts = {one["sha"]: _prompt(one) for one in plan["prompts"]}
        self._experiment = self._of_run()
        self._inputs: dict[tuple[str, str], str] = {}
        self._items: dict[str, dict[str, Value]] = {}

    def trial(self, row: Row, first: Row | None = None) -> Trial:
        """What is sent of `row`. `first`: the first row of the same trial, when this one is another try: the times
        start where they started then, because Langfuse knows spans and scores by id and day."""
        trace_id = trace_id_of(row)
        root_id, generation_id = span_id(trace_id, "root"), span_id(trace_id, "generation")
        start, end = self._times(row, first)
        common = self._common(row, root_id)
        error = self._mask.mask(row["error"] or "")
        about: dict[str, Value] = {"OBSERVATION_LEVEL": "ERROR" if error else "DEFAULT"}
        if error:
            about["OBSERVATION_STATUS_MESSAGE"] = error
        root = Span(trace_id, root_id, "", "trial", start, end, named(about) | common | self._root(row), error)
        generation = Span(
            *(trace_id, generation_id, root_id, "generation", start, end),
            named(about) | common | self._generation(row, start),
            error,
        )
        return Trial((root, generation), tuple(self._scores(row, first or row, trace_id, generation_id)))

    def _of_run(self) -> dict[str, Value]:
        """What every span of the run says alike."""
        plan, run_id = self._plan, str(self._plan["run_id"])
        about = {
            "workbench_run": run_id,
            "purpose": plan.get("purpose", "explore"),
            "dataset": plan["dataset"]["name"],
            "dataset_sha": plan["identity"]["dataset"],
            "prompts": [one["ref"] for one in plan["prompts"]],
            "models": list(dict.fromkeys(arm["model"] for arm in plan["arms"])),
        }
        shown: dict[str, Value] = {
            "ENVIRONMENT": ENVIRONMENT,
            "EXPERIMENT_ID": experiment_id(self._place.project, self._place.dataset_id, run_id),
            "EXPERIMENT_NAME": run_id,
            "EXPERIMENT_METADATA": _json(self._mask.mask_data(about)),
        }
        if self._place.dataset_id:
            shown["EXPERIMENT_DATASET_ID"] = self._place.dataset_id
        return named(shown)

    def _common(self, row: Row, root_id: str) -> dict[str, Value]:
        """What both spans of a trial carry: the run, the item, and what answered."""
        shown: dict[str, Value] = {
            "TRACE_NAME": self._mask.mask(f"{ref_of(row)} on {row['model']}")[:200],
            "EXPERIMENT_ITEM_ROOT_OBSERVATION_ID": root_id,
        }
        if row["source"] != "live":
            shown["TRACE_TAGS"] = [str(row["source"])]
        return self._experiment | self._item(row["case_id"]) | named(shown)

    def _item(self, case_id: str) -> dict[str, Value]:
        """A case as the item of an experiment; kept, because a case is asked many times and masking takes time."""
        if case_id not in self._items:
            if len(self._items) >= KEPT_CASES:
                self._items.clear()
            case = self._cases.get(case_id, {})
            about = {"tags": case.get("tags", []), "split": case.get("split", "")}
            shown: dict[str, Value] = {
                "EXPERIMENT_ITEM_ID": self._mask.mask(item_id(self._plan["dataset"]["name"], case_id)),
                "EXPERIMENT_ITEM_METADATA": _json(self._mask.mask_data(about)),
            }
            if case.get("expected") is not None:
                shown["EXPERIMENT_ITEM_EXPECTED_OUTPUT"] = self._text(case["expected"])
            self._items[case_id] = named(shown)
        return self._items[case_id]

    def _root(self, row: Row) -> dict[str, Value]:
        names = {"experiment_name": row["run_id"], "experiment_run_name": row["run_id"]}
        if self._place.dataset_id:
            names |= {
                "dataset_id": self._place.dataset_id,
                "dataset_item_id": item_id(self._plan["dataset"]["name"], row["case_id"]),
            }
        about = names | {
            "prompt": ref_of(row),
            "model": row["model"],
            "source": row["source"],
            "cached": row["cached"],
            "repeat": row["repeat"],
        }
        shown: dict[str, Value] = {"OBSERVATION_TYPE": "span", "IS_APP_ROOT": True}
        inputs = self._cases.get(row["case_id"], {}).get("inputs")
        return named(shown) | self._exchange(inputs, row) | self._metadata(about)

    def _generation(self, row: Row, start_ns: int) -> dict[str, Value]:
        prompt = self._prompts.get(row["prompt_sha"])
        shown: dict[str, Value] = {"OBSERVATION_TYPE": "generation", "OBSERVATION_MODEL": str(row["model"])}
        if prompt is not None:
            shown["OBSERVATION_MODEL_PARAMETERS"] = _json(self._mask.mask_data(prompt.params(row["provider"])))
        if usage := usage_details(row):
            shown["OBSERVATION_USAGE_DETAILS"] = _json(usage)
        if row["spent_usd"] is not None:
            shown["OBSERVATION_COST_DETAILS"] = _json({"total": row["spent_usd"]})
        if row["ttft_s"] is not None:
            first_token = start_ns + _ns(row["waited_s"]) + _ns(row["ttft_s"])
            shown["OBSERVATION_COMPLETION_START_TIME"] = _json(_iso(first_token))
        if link := self._place.links.get(row["prompt_sha"]):
            shown["OBSERVATION_PROMPT_NAME"], shown["OBSERVATION_PROMPT_VERSION"] = link
        about = {name: row.get(name) for name in FACTS} | {
            "prompt": row["prompt"],
            "finished_at": row.get("finished_at"),
        }
        shown["OBSERVATION_INPUT"] = self._asked(row, prompt)
        return named(shown) | self._answer(row) | self._metadata(about)

    def _asked(self, row: Row, prompt: Prompt | None) -> str:
        """The messages as they were sent, masked; the bare inputs where the template is not known."""
        key = (row["prompt_sha"], row["case_id"])
        if key not in self._inputs:
            if len(self._inputs) >= KEPT_CASES:
                self._inputs.clear()
            inputs = self._cases.get(row["case_id"], {}).get("inputs", {})
            self._inputs[key] = self._text(_messages(prompt, inputs))
        return self._inputs[key]

    def _exchange(self, inputs: Any, row: Row) -> dict[str, Value]:
        asked = {} if inputs is None else named({"OBSERVATION_INPUT": self._text(inputs)})
        return asked | self._answer(row)

    def _answer(self, row: Row) -> dict[str, Value]:
        if row["output"] is None and row["error"] is None:
            return {}
        answer = row["output"] if row["output"] is not None else f"Error: {row['error']}"
        return named({"OBSERVATION_OUTPUT": self._text(answer)})

    def _metadata(self, about: Mapping[str, Any]) -> dict[str, Value]:
        """Each value as JSON, texts too: that is how the server reads them since SDK 5."""
        prefix = NAMES["OBSERVATION_METADATA"]
        return {f"{prefix}.{name}": _json(self._mask.mask_data(x)) for name, x in about.items() if x is not None}

    def _text(self, value: Any) -> str:
        masked = self._mask.mask_data(value)
        text = clean(masked if isinstance(masked, str) else _json(masked))
        return text if len(text) <= LONGEST else f"{text[:LONGEST]} … and {len(text) - LONGEST:,} more characters"

    def _scores(self, row: Row, first: Row, trace_id: str, observation_id: str) -> list[dict[str, Any]]:
        when = _iso(_ns(self._finished(first)))
        found = []
        for metric, value in row["scores"].items():
            if value is None or not math.isfinite(value):
                continue  # unscored is not zero, and JSON cannot say infinity
            score = {
                "id": score_id(trace_id, metric),
                "traceId": trace_id,
                "observationId": observation_id,
                "name": clean(metric),
                "value": float(value),
                "dataType": "BOOLEAN" if isinstance(value, bool) else "NUMERIC",
                "environment": ENVIRONMENT,
                "timestamp": when,
            }
            reason = self._text(row["reasons"].get(metric) or "")
            found.append(score | ({"comment": reason} if reason else {}))
        return found

    def _times(self, row: Row, first: Row | None) -> tuple[int, int]:
        """Start and end in ns. A hit shows the time that its answer took when it was made."""
        length = _ns(row["latency_s"]) + _ns(row["waited_s"])
        if first is not None:
            start = self._times(first, None)[0]
            return start, start + length
        end = _ns(self._finished(row))
        return max(end - length, 0), end

    def _finished(self, row: Row) -> float:
        found = row.get("finished_at")
        return self._otherwise_s if found is None else float(found)


def usage_details(row: Row) -> dict[str, int]:
    """Tokens by kind. Langfuse adds up all names that begin with input and output, so the kinds must not overlap."""
    writes = (row["cache_write_5m_tokens"] or 0) + (row["cache_write_1h_tokens"] or 0)
    reads, reasoning = row["cache_read_tokens"] or 0, row["reasoning_tokens"] or 0
    found = {}
    if row["input_tokens"] is not None:
        found = {
            "input": max(row["input_tokens"] - writes - reads, 0),
            "input_cache_creation": writes,
            "input_cache_read": reads,
        }
    if row["output_tokens"] is not None:
        found["output"] = max(row["output_tokens"] - reasoning, 0)
        if reasoning:
            found["output_reasoning"] = reasoning
    return found


def _prompt(kept: Mapping[str, Any]) -> Prompt | None:
    """A prompt as the plan keeps it; None for plans of before templates were kept."""
    name, _, version = str(kept["ref"]).rpartition("@")
    try:
        return Prompt.from_plain(name, kept["template"], kept["config"], version)
    except (KeyError, PromptError):
        return None


def _messages(prompt: Prompt | None, inputs: Mapping[str, Any]) -> Any:
    try:
        if prompt is not None:
            return [{"role": one.role, "content": one.content} for one in prompt.render(inputs)]
    except PromptError:
        pass
    return inputs


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _ns(seconds: float | None) -> int:
    """Nanoseconds, never less than nothing: clocks go backwards, and rows are files that somebody may have edited."""
    return round(min(max(seconds, 0.0), LATEST_S) * 1e9) if seconds is not None and math.isfinite(seconds) else 0


def _iso(ns: int) -> str:
    return datetime.datetime.fromtimestamp(ns / 1e9, datetime.UTC).isoformat(timespec="milliseconds")
