"""ragas' metrics in whole runs, over HTTP, with simulated judges of all three providers."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest
from ragas_parts import CASE, EMBEDDING, JUDGE, judged, scored

from workbench import Experiment, connect, scorers
from workbench.cache import Cache
from workbench.datasets import load_dataset
from workbench.records import Case
from workbench.settings import state_dir

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.scorers import Scorer
    from workbench.sim import StandIn

JUDGES = {"anthropic": JUDGE, "openai": "openai:gpt-6.1-terra", "ollama": "ollama:sim-medium"}


def run(scorer: Scorer | list[Scorer], sample: int = 12, cache: str = "on") -> list[dict[str, Any]]:
    """The rows of a small run, by case: the file has them in the order in which they finished."""
    experiment = Experiment("grounded", "policy-answer@v2", "policy-qa", "openai:gpt-6-luna", scorer)
    return sorted(asyncio.run(experiment.run(sample=sample, cache=cache)).rows(), key=lambda row: row["case_id"])


def stored() -> list[dict[str, object]]:
    """What was asked of whom, from the cache."""
    return [json.loads(entry.identity) for entry in Cache(state_dir("cache")).entries()]


@pytest.mark.parametrize("provider", JUDGES)
def test_faithfulness_runs_offline(server: StandIn, provider: str) -> None:
    """Faithfulness of every answer is judged by a model of any provider, lies in [0, 1], follows the declared truth but
    for the judge's declared errors, and what the judge costs is counted apart."""
    rows = run([scorers.ragas("faithfulness", model=JUDGES[provider]), scorers.contains()])
    assert len(rows) == 12
    values = {row["case_id"]: row["scores"]["faithfulness"] for row in rows}
    said = {row["case_id"]: row["output"] for row in rows}
    assert all(value is not None and 0 <= value <= 1 for case, value in values.items() if said[case] != "?")
    agreeing = [row["scores"]["contains"] == (row["scores"]["faithfulness"] == 1) for row in rows]
    assert sum(agreeing) >= 9
    costs = [row["judge_cost_usd"] for row in rows]
    assert all(cost == 0 if provider == "ollama" else cost > 0 for cost in costs if cost is not None)
    assert None not in costs


def test_second_run_is_all_hits(server: StandIn) -> None:
    """The same scores come from the cache alone, with the judge's calls in it."""
    scorer = scorers.ragas("faithfulness", model=JUDGE)
    first = run(scorer)
    server.control("reset", {})
    for file in state_dir("runs").rglob("rows.jsonl"):
        file.unlink()
    again = run(scorer, cache="replay")
    assert server.control("stats")["requests"] == 0
    assert [row["scores"] for row in again] == [row["scores"] for row in first]
    assert [row["judge_cost_usd"] for row in again] == [row["judge_cost_usd"] for row in first]


def test_answer_relevancy_makes_three_draws(server: StandIn) -> None:
    """The one prompt that answer relevancy sends three times is three draws in the cache, and not all alike."""
    scorer = scorers.ragas("answer_relevancy", model=JUDGE, embeddings=EMBEDDING)
    case = load_dataset("policy-qa")["pq-002"]
    score, judging = judged(scorer, "head of department", case)
    assert score.value is not None and 0.5 < score.value <= 1
    asked = [entry for entry in stored() if entry["provider"] == "anthropic"]
    assert sorted(str(entry["repeat"]) for entry in asked) == ["0", "1", "2"]
    replies = {entry.reply.text for entry in Cache(state_dir("cache")).entries() if "anthropic" in entry.identity}
    assert len(replies) == 3
    assert judging.cost_usd is not None and judging.cost_usd > 0


@pytest.mark.parametrize("embedding", [EMBEDDING, "ollama:embeddinggemma"])
def test_embeddings_are_calls_like_any_other(server: StandIn, embedding: str) -> None:
    """Semantic similarity works inside a running loop; its two texts are two calls, priced, cached, and the second time
    nothing is asked."""
    scorer = scorers.ragas("semantic_similarity", embeddings=embedding)
    near, judging = judged(scorer, "within 14 days")
    far, _ = judged(scorer, "ask the moon")
    assert near.value is not None and far.value is not None and far.value < near.value <= 1
    assert (judging.cost_usd == 0) is embedding.startswith("ollama")
    assert server.control("stats")["requests"] == 3
    assert {entry["endpoint"] for entry in stored()} == {"embeddings"}
    assert judged(scorer, "within 14 days", mode="replay")[0] == near


def test_recorded_judges_and_vectors_play_back(server: StandIn, tmp_path: Path) -> None:
    """What judges and embedding models said can be exported and is said again by a stand-in that plays it back."""
    scorer = scorers.ragas("answer_relevancy", model=JUDGE, embeddings=EMBEDDING)
    first = run(scorer, sample=3)
    Cache(state_dir("cache")).export(tmp_path / "said.jsonl")
    connect.offline(tmp_path / "said.jsonl", latency_s=0)
    again = run(scorer, sample=3)
    assert [row["scores"] for row in again] == [row["scores"] for row in first]
    assert {row["source"] for row in again} == {"recorded"}


MESSAGES = [
    {"role": "user", "content": "What is the weather in Lyon?"},
    {"role": "assistant", "content": "", "tool_calls": [{"name": "weather", "args": {"city": "Lyon", "days": 1}}]},
    {"role": "tool", "content": "Rain."},
    {"role": "assistant", "content": "It rains."},
]


@pytest.mark.parametrize("metric", ["faithfulness", "context_precision", "context_recall", "factual_correctness"])
def test_metrics_of_claims_tell_right_from_wrong(server: StandIn, metric: str) -> None:
    """Metrics that count supported claims give 1 where everything is supported and less where nothing is."""
    case = load_dataset("policy-qa")["pq-002"]
    moon = replace(case, inputs=dict(case.inputs) | {"context": "The moon is far away."})
    scorer = scorers.ragas(metric, model="openai:gpt-6.1-sol")
    assert judged(scorer, "head of department", case)[0].value == pytest.approx(1)
    wrong = ("the office cat", case) if metric in ("faithfulness", "factual_correctness") else ("x", moon)
    found = judged(scorer, *wrong)[0]
    assert found.value == 0
    assert "does not say so" in found.reason


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        ([{"name": "weather", "args": {"city": "Lyon", "days": 1}}], 1.0),
        ([{"name": "weather", "args": {"city": "Lyon", "days": 2}}], 0.5),
        ([{"name": "news", "args": {}}], 0.0),
        ([], 0.0),
    ],
)
def test_tool_calls_of_hand_made_messages(calls: list[object], expected: float) -> None:
    """Tool call accuracy compares the calls in a case's messages with the expected ones, and asks nobody."""
    case = Case("t1", {"messages": MESSAGES}, calls)
    assert scored(scorers.ragas("tool_call_accuracy"), None, "It rains.", case).value == expected


def test_rouge_or_its_cure() -> None:
    """ROUGE compares with the expected text where its package is installed, and names the package where it is not."""
    found = scored(scorers.ragas("rouge_score"), None, "within 14 days", CASE)
    if find_spec("rouge_score"):
        assert found.value == pytest.approx(0.8)
    else:
        assert found.value is None
        assert "pip install rouge-score" in found.reason


def test_telemetry_is_off(server: StandIn) -> None:
    """By the time ragas has been imported its telemetry is off, even if somebody else imported it before."""
    judged(scorers.ragas("faithfulness", model=JUDGE))
    from ragas._analytics import do_not_track

    assert os.environ["RAGAS_DO_NOT_TRACK"] == "true"
    assert do_not_track()


def test_a_failing_judge_leaves_the_row_unscored(server: StandIn) -> None:
    """When the judge's calls fail, the reply is unscored with the reason, never 0, and the answer is kept."""
    server.control("faults", [{"kind": "bad_request", "provider": "anthropic", "times": 3}])
    rows = run(scorers.ragas("faithfulness", model=JUDGE), sample=3)
    assert [row["scores"]["faithfulness"] for row in rows] == [None] * 3
    assert all("RequestRefused" in row["reasons"]["faithfulness"] and row["output"] for row in rows)
