"""ragas' metrics as scorers, with our own client as its models: `ragas("faithfulness", model="anthropic:<id>")`.

ragas is imported when the first reply is scored, here alone, and with its telemetry off. Its metrics get a judge and
embeddings that hand every call to the run's client, so that all of them are cached, priced and budgeted. Where ragas
would give a number that means nothing (NaN, 0.0 for "no question found"), the reply is unscored, with the reason.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

from workbench.errors import ScorerError, choices
from workbench.records import WORST_STOPS, Score, canonical, sha256
from workbench.scorers.asking import MODEL
from workbench.scorers.base import Scorer
from workbench.scorers.ragas_judge import Asking, Judge

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from workbench.records import Case, Reply

VERSION = 1
"""Part of every identity: raised when a change here may change a score."""

CURE = "pip install 'prompt-workbench[ragas]'"
EMBEDDERS = ("ollama", "openai")
EMBEDDING_EXAMPLE = "openai:text-embedding-3-small"
ROUNDING = 1e-6
"""How far beside 0 and 1 a cosine may lie by rounding alone."""

LONGEST_REASON = 400
Takes = tuple[str, ...] | type
"""The texts that an option may be, or its type."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One of ragas' metrics: its class there, the arguments that it is scored on, what it asks, and its options."""

    kind: str
    takes: tuple[str, ...]
    asks: tuple[str, ...] = ()
    options: Mapping[str, Takes] | None = None


JUDGE, EMBED = "llm", "embeddings"
_LEVELS = ("low", "high")
METRICS: dict[str, Metric] = {
    "faithfulness": Metric("Faithfulness", ("user_input", "response", "retrieved_contexts"), (JUDGE,)),
    "answer_relevancy": Metric("AnswerRelevancy", ("user_input", "response"), (JUDGE, EMBED), {"strictness": int}),
    "context_precision": Metric("ContextPrecision", ("user_input", "reference", "retrieved_contexts"), (JUDGE,)),
    "context_recall": Metric("ContextRecall", ("user_input", "retrieved_contexts", "reference"), (JUDGE,)),
    "factual_correctness": Metric(
        "FactualCorrectness",
        ("response", "reference"),
        (JUDGE,),
        {"mode": ("precision", "recall", "f1"), "beta": float, "atomicity": _LEVELS, "coverage": _LEVELS},
    ),
    "semantic_similarity": Metric("SemanticSimilarity", ("reference", "response"), (EMBED,), {"threshold": float}),
    "rouge_score": Metric(
        "RougeScore",
        ("reference", "response"),
        options={"rouge_type": ("rouge1", "rougeL"), "mode": ("fmeasure", "precision", "recall")},
    ),
    "tool_call_accuracy": Metric(
        "ToolCallAccuracy", ("messages", "reference_tool_calls"), options={"strict_order": bool}
    ),
}


@dataclass(frozen=True, slots=True)
class Fields:
    """Which inputs of a case hold what; `reference` None is the case's expected value."""

    question: str = "question"
    context: str = "context"
    reference: str | None = None
    messages: str = "messages"


@dataclass(frozen=True, slots=True)
class Plan:
    """One declared scorer: a metric, who is asked, and where in a case its arguments are."""

    name: str
    metric: Metric
    fields: Fields
    model: str
    embeddings: str
    params: Mapping[str, Any]
    options: Mapping[str, Any]


def ragas(
    metric: str,
    model: str | None = None,
    *,
    embeddings: str | None = None,
    question: str = "question",
    context: str = "context",
    reference: str | None = None,
    messages: str = "messages",
    max_tokens: int = 4096,
    effort: str | None = None,
    name: str | None = None,
    **options: Any,
) -> Scorer:
    """A metric of ragas as a scorer with values from 0 to 1: faithfulness, answer_relevancy, context_precision,
    context_recall, factual_correctness, semantic_similarity, rouge_score or tool_call_accuracy.

    `model` judges (None: the model that `judge` asks), with at most `max_tokens` a call and this `effort`; `embeddings`
    (`openai:text-embedding-3-small`, or one of Ollama's) is for answer_relevancy and semantic_similarity. `question`,
    `context` (a text or a list of texts), `reference` (None: the expected value) and `messages` name the inputs of a
    case. `options` go to ragas' metric, such as `strictness=3` or `mode="recall"`. Raises ScorerError with the cure.
    """
    if metric not in METRICS:
        raise ScorerError(f"no ragas metric {metric!r}: {choices(metric, METRICS)}")
    known = METRICS[metric]
    _check_options(metric, known.options or {}, options)
    plan = Plan(
        name=name or metric,
        metric=known,
        fields=Fields(question, context, reference, messages),
        model=_asked(metric, known, JUDGE, model),
        embeddings=_asked(metric, known, EMBED, embeddings),
        params={"max_tokens": max_tokens} | ({} if effort is None else {"effort": effort}),
        options=options,
    )
    if not plan.name.isidentifier():
        raise ScorerError(f"{plan.name!r} cannot be a scorer's name: use letters, digits and underscores")

    async def judge(case: Case, reply: Reply, complete: Asking | None = None) -> Score:
        return await _score(plan, case, reply, complete)

    identity = _identity(metric, plan)
    return Scorer(plan.name, judge, (plan.name,), (0.0, 1.0), identity=identity, asks_models=bool(known.asks))


def _identity(metric: str, plan: Plan) -> str:
    """SHA-256 of all that may change a score, ragas' version among it."""
    fields = [plan.fields.question, plan.fields.context, plan.fields.reference, plan.fields.messages]
    asked = [plan.model, plan.embeddings, dict(plan.params)] if plan.metric.asks else []
    return sha256(canonical([VERSION, "ragas", _version(), metric, asked, fields, dict(plan.options)]))


def _asked(metric: str, known: Metric, role: str, ref: str | None) -> str:
    """The model in a role, checked as far as that goes without a session; empty where the metric has no such role."""
    word, example = ("model", MODEL) if role == JUDGE else ("embeddings", EMBEDDING_EXAMPLE)
    if role not in known.asks:
        if ref is not None:
            raise ScorerError(f"{metric} takes no {word}: leave out {word}={ref!r}")
        return ""
    ref = MODEL if ref is None and role == JUDGE else ref or ""
    provider, _, model_id = ref.partition(":")
    if not provider or not model_id:
        raise ScorerError(f"{metric} needs {word}=, written provider:id, such as {word}={example!r}; got {ref!r}")
    if role == EMBED and provider not in EMBEDDERS:
        raise ScorerError(f"{provider} has no embeddings here: name a model of {' or '.join(EMBEDDERS)}")
    return ref


def _check_options(metric: str, known: Mapping[str, Takes], given: Mapping[str, Any]) -> None:
    """ragas takes a misspelt mode for its default one."""
    for name, value in given.items():
        if name not in known:
            raise ScorerError(f"{metric} has no option {name!r}: {choices(name, known)}")
        takes = known[name]
        if isinstance(takes, tuple):
            if value not in takes:
                raise ScorerError(f"{metric}: {name}={value!r} is not one of {', '.join(takes)}")
        elif not isinstance(value, (int, float) if takes is float else takes):
            raise ScorerError(f"{metric}: {name}={value!r} must be {takes.__name__}")


async def _score(plan: Plan, case: Case, reply: Reply, complete: Asking | None) -> Score:
    """One reply's score. What the case lacks and what a judge spoils leaves it unscored; failing calls are raised."""
    if reply.stop_reason in WORST_STOPS:
        return Score(0.0)  # nobody is asked: such an answer has the worst score anyway
    try:
        given = {name: _argument(plan, name, case, reply) for name in plan.metric.takes}
        library = await asyncio.to_thread(_library)  # seconds, once, in which the run's other calls must go on
        if plan.metric.asks and complete is None:
            raise ScorerError(f"{plan.name} asks models: score it in a run, or hand `score` a way to ask")
        judge = Judge(plan, cast("Asking", complete))
        if plan.metric.kind == "SemanticSimilarity":  # asks for them without waiting, inside the running loop
            await judge.embed([given["reference"], given["response"]])
        value, notes = await _ask(library, plan, judge, given)
    except ScorerError as error:
        return Score(None, str(error))
    return _read(value, list(dict.fromkeys([*notes, *judge.doubts()])))


async def _ask(library: Library, plan: Plan, judge: Judge, given: Mapping[str, Any]) -> tuple[float, list[str]]:
    """ragas' own number, and what it warned of."""
    if plan.metric.kind == "ToolCallAccuracy":
        given = {
            "user_input": [library.message(one) for one in given["messages"]],
            "reference_tool_calls": [library.tool_call(one) for one in given["reference_tool_calls"]],
        }
    metric = library.metric(plan, judge)
    if plan.metric.asks:
        value = (await metric.ascore(**given)).value
        if fault := judge.hollow():
            raise ScorerError(f"{plan.name}: {fault}, so there is nothing to score")
        return value, []
    with warnings.catch_warnings(record=True) as caught:  # nothing is awaited inside: no other task sees this
        warnings.simplefilter("always")
        try:
            value = (await metric.ascore(**given)).value
        except ImportError:
            raise ScorerError(f"{plan.name} needs the package rouge-score: pip install rouge-score") from None
    return value, [str(one.message) for one in caught]


def _read(value: float, notes: Sequence[str]) -> Score:
    """The number as a score between 0 and 1, with what speaks against the reply as its reason."""
    reason = "; ".join(notes)
    reason = reason if len(reason) <= LONGEST_REASON else f"{reason[: LONGEST_REASON - 1]}…"
    if not math.isfinite(value):
        return Score(None, f"ragas found nothing to score and gave {value}")
    if value < -ROUNDING:
        # less alike than two texts that have nothing to do with each other: leaving it out would flatter the arm
        return Score(0.0, f"the cosine is {value:.3f}, which counts as 0")
    return Score(min(max(value, 0.0), 1.0) if value < 1 + ROUNDING else value, reason)


# What a case and a reply give


def _argument(plan: Plan, name: str, case: Case, reply: Reply) -> Any:
    """One of ragas' arguments. Raises ScorerError naming the input that is missing and the cure."""
    fields = plan.fields
    match name:
        case "response":
            if not reply.text.strip():
                raise ScorerError("the answer is empty, so there is nothing to judge")
            return reply.text
        case "user_input":
            return _text(_input(plan, case, "question", fields.question))
        case "retrieved_contexts":
            return _texts(plan, case, _input(plan, case, "context", fields.context))
        case "messages":
            return _entries(plan, case, _input(plan, case, "messages", fields.messages))
        case _:
            found = _reference(plan, case)
            return _text(found) if name == "reference" else _entries(plan, case, found)


def _input(plan: Plan, case: Case, role: str, name: str) -> Any:
    found = case.inputs.get(name)
    if found is None or found in ("", []):
        there = ", ".join(case.inputs) or "none"
        raise ScorerError(
            f"case {case.id} has no input {name!r}, which {plan.name} needs as its {role}; its inputs are: {there}. "
            f'Name the right one: ragas("{plan.name}", {role}="...")'
        )
    return found


def _reference(plan: Plan, case: Case) -> Any:
    name = plan.fields.reference
    if name is not None:
        return _input(plan, case, "reference", name)
    if case.expected is None or case.expected == "":
        raise ScorerError(
            f"case {case.id} has no expected value, which {plan.name} needs as its reference; add it to the dataset, "
            f'or name an input: ragas("{plan.name}", reference="...")'
        )
    return case.expected


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _texts(plan: Plan, case: Case, value: Any) -> list[str]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, (list, tuple)) or not all(isinstance(text, str) for text in texts):
        where = plan.fields.context
        raise ScorerError(f"case {case.id}: {where!r} must be a text or a list of texts, as {plan.name} reads contexts")
    return list(texts)


def _entries(plan: Plan, case: Case, value: Any) -> list[Mapping[str, Any]]:
    if not isinstance(value, (list, tuple)) or not all(isinstance(one, Mapping) for one in value):
        raise ScorerError(
            f"case {case.id}: {plan.name} reads messages and tool calls as lists of objects, "
            '{"role": "assistant", "content": "", "tool_calls": [{"name": "...", "args": {}}]} and {"name", "args"}'
        )
    return list(value)


# ragas itself


@dataclass(frozen=True, slots=True)
class Library:
    """ragas, imported: makes its metrics, messages and tool calls."""

    metric: Callable[[Plan, Judge], Any]
    message: Callable[[Mapping[str, Any]], Any]
    tool_call: Callable[[Mapping[str, Any]], Any]


def _version() -> str:
    """The installed version, without importing it. Raises ScorerError when the extra is missing."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        if find_spec("ragas") is None:
            raise ImportError("No module named 'ragas'")
        return version("ragas")
    except (ImportError, PackageNotFoundError, ValueError) as error:
        raise _missing(error) from None


def _missing(error: Exception) -> ScorerError:
    return ScorerError(f"ragas cannot be used ({error}): {CURE}")


@lru_cache(maxsize=1)
def _library() -> Library:
    """Imported once. ragas reports its use to its makers unless told otherwise before it is imported."""
    os.environ["RAGAS_DO_NOT_TRACK"] = "true"
    try:
        from ragas import messages
        from ragas._analytics import do_not_track
        from ragas.metrics import collections
    except ImportError as error:
        raise _missing(error) from None
    do_not_track.cache_clear()  # somebody may have imported it before us, and it remembers what it read
    judge_class, embedding_class = _clients()

    def metric(plan: Plan, judge: Judge) -> Any:
        clients = {JUDGE: judge_class, EMBED: embedding_class}
        given = {role: clients[role](judge) for role in plan.metric.asks}
        return getattr(collections, plan.metric.kind)(**given, **plan.options)

    def tool_call(call: Mapping[str, Any]) -> Any:
        if not isinstance(call.get("name"), str) or not isinstance(call.get("args", {}), Mapping):
            raise ScorerError(f'a tool call is {{"name": "...", "args": {{...}}}}, not {dict(call)!r}')
        return messages.ToolCall(name=call["name"], args=dict(call.get("args", {})))

    def message(turn: Mapping[str, Any]) -> Any:
        content = _text(turn.get("content") or "")
        match turn.get("role"):
            case "assistant":
                calls = [tool_call(call) for call in turn.get("tool_calls") or ()]
                return messages.AIMessage(content=content, tool_calls=calls or None)
            case "tool":
                return messages.ToolMessage(content=content)
            case "user":
                return messages.HumanMessage(content=content)
        raise ScorerError(f"a message's role is user, assistant or tool, not {turn.get('role')!r}")

    return Library(metric, message, tool_call)


def _clients() -> tuple[Callable[[Judge], Any], Callable[[Judge], Any]]:
    """Our client as the two classes that ragas insists on: it refuses whatever is not a subclass of its own."""
    from pydantic import ValidationError
    from ragas.embeddings.base import BaseRagasEmbedding
    from ragas.llms.base import InstructorBaseRagasLLM

    class Model(InstructorBaseRagasLLM):
        def __init__(self, judge: Judge) -> None:
            self._judge = judge

        def generate(self, prompt: str, response_model: Any) -> Any:
            raise TypeError("ragas asked without waiting; metrics are scored with ascore here")

        async def agenerate(self, prompt: str, response_model: Any) -> Any:
            name = response_model.__name__
            text = await self._judge.answer(prompt, response_model.model_json_schema(), name)
            try:
                said = response_model.model_validate_json(text)
            except ValidationError as error:
                fault = error.errors(include_url=False, include_input=False)[0]["msg"]
                raise ScorerError(f"the judge's answer is no {name} ({fault}): {text[:80]!r}") from None
            self._judge.note(said.model_dump(), name)
            return said

    class Embedding(BaseRagasEmbedding):
        def __init__(self, judge: Judge) -> None:
            super().__init__()
            self._judge = judge

        def embed_text(self, text: str, **kwargs: Any) -> list[float]:
            return self._judge.vector(text)

        async def aembed_text(self, text: str, **kwargs: Any) -> list[float]:
            return (await self._judge.embed([text]))[0]

    return Model, Embedding
