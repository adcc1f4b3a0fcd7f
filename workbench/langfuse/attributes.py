"""The attributes of Langfuse's spans, by the SDK's names for them; a test compares both."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workbench.langfuse.otlp import Value

ENVIRONMENT = "sdk-experiment"
"""Where Langfuse looks for experiments, apart from production traffic."""

NAMES = {
    "TRACE_NAME": "langfuse.trace.name",
    "TRACE_TAGS": "langfuse.trace.tags",
    "OBSERVATION_TYPE": "langfuse.observation.type",
    "OBSERVATION_METADATA": "langfuse.observation.metadata",
    "OBSERVATION_LEVEL": "langfuse.observation.level",
    "OBSERVATION_STATUS_MESSAGE": "langfuse.observation.status_message",
    "OBSERVATION_INPUT": "langfuse.observation.input",
    "OBSERVATION_OUTPUT": "langfuse.observation.output",
    "OBSERVATION_COMPLETION_START_TIME": "langfuse.observation.completion_start_time",
    "OBSERVATION_MODEL": "langfuse.observation.model.name",
    "OBSERVATION_MODEL_PARAMETERS": "langfuse.observation.model.parameters",
    "OBSERVATION_USAGE_DETAILS": "langfuse.observation.usage_details",
    "OBSERVATION_COST_DETAILS": "langfuse.observation.cost_details",
    "OBSERVATION_PROMPT_NAME": "langfuse.observation.prompt.name",
    "OBSERVATION_PROMPT_VERSION": "langfuse.observation.prompt.version",
    "ENVIRONMENT": "langfuse.environment",
    "IS_APP_ROOT": "langfuse.internal.is_app_root",
    "EXPERIMENT_ID": "langfuse.experiment.id",
    "EXPERIMENT_NAME": "langfuse.experiment.name",
    "EXPERIMENT_METADATA": "langfuse.experiment.metadata",
    "EXPERIMENT_DATASET_ID": "langfuse.experiment.dataset.id",
    "EXPERIMENT_ITEM_ID": "langfuse.experiment.item.id",
    "EXPERIMENT_ITEM_EXPECTED_OUTPUT": "langfuse.experiment.item.expected_output",
    "EXPERIMENT_ITEM_METADATA": "langfuse.experiment.item.metadata",
    "EXPERIMENT_ITEM_ROOT_OBSERVATION_ID": "langfuse.experiment.item.root_observation_id",
}


def named(shown: Mapping[str, Value]) -> dict[str, Value]:
    """The same values under the attributes that the server knows."""
    return {NAMES[name]: value for name, value in shown.items()}
