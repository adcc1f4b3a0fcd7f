"""What all measurements share: the same prompt, cases and model, and what must not be imported."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import workbench as wb

MODEL = "gpt-6-luna"
MAX_TOKENS = 256
CONCURRENCY = 64
WARM_UP = 8
"""Cases asked before the clock starts, so that imports and first-use work are not counted as work per trial."""

PROMPT = """You sort support tickets of a web shop.

Category: one of billing, delivery, account, product, other.
Priority: one of low, normal, high.
Summary: a short sentence that says what the customer wants.

Answer with only a JSON object with the fields category, priority and summary.

Ticket:
{{ticket}}"""

FORBIDDEN = ("anthropic", "openai", "ollama", "diskcache", "pydantic", "numpy", "pandas", "scipy", "genai_prices",
             "matplotlib", "aiohttp", "httpx", "httpx2")  # fmt: skip
"""No part of a replay from the cache, or of `import workbench`, may import these."""

_CATEGORIES = ("billing", "delivery", "account", "product", "other")
_PRIORITIES = ("low", "normal", "high")
_WISHES = (
    "They want the parcel that never came.",
    "They want their money back for one item.",
    "They cannot sign in any more since today.",
    "They ask whether the lamp can be dimmed.",
)
_STORY = (
    " I have written twice already and nobody has come back to me. The parcel was promised for last week, the page"
    " still says that it is on its way, and I am not at home from Friday on. Could someone look into it, please?"
    " I would rather not call again."
)


def ticket(number: int) -> dict[str, Any]:
    """One case of some 300 characters as plain data, a function of its number."""
    digest = hashlib.sha256(str(number).encode()).hexdigest()
    # The text begins with what no other ticket has: that is how a stand-in server tells cases apart.
    text = f"{digest[:8]} {digest[8:16]} {digest[16:24]} {digest[24:32]} are my order numbers.{_STORY}"
    expected = {
        "category": _CATEGORIES[number % 5],
        "priority": _PRIORITIES[number % 3],
        "summary": _WISHES[number % 4],
    }
    return {"id": f"ticket-{number:06d}", "inputs": {"ticket": text}, "expected": expected}


def asked(number: int) -> str:
    """What a model is asked about a case."""
    return PROMPT.replace("{{ticket}}", ticket(number)["inputs"]["ticket"])


def numbers(count: int) -> range:
    """The numbers of the cases that are measured; those before them are for warming up."""
    return range(WARM_UP, WARM_UP + count)


def write_prompt(home: Path) -> str:
    """The same prompt as the first version file in a workspace; how it is asked for."""
    path = home / "prompts" / "bench" / "v1.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"name": "bench", "type": "text", "prompt": PROMPT, "config": {"max_tokens": MAX_TOKENS}}
    path.write_text(json.dumps(content), "utf-8")  # JSON is YAML
    return "bench@v1"


def dataset(cases: Iterable[int], name: str = "bench") -> wb.Dataset:
    """A dataset in memory with these cases."""
    import workbench as wb

    return wb.Dataset(name, tuple(wb.Case(**ticket(number)) for number in cases))


def write_dataset(path: Path, cases: Iterable[int]) -> Path:
    """The same cases as a JSONL file."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(ticket(number)) + "\n" for number in cases)
    return path


def experiment(given: wb.Dataset, name: str = "bench") -> wb.Experiment:
    """One prompt on one model, scored by the fields of its JSON."""
    import workbench as wb

    prompt = wb.Prompt.from_text("bench", PROMPT, max_tokens=MAX_TOKENS)
    return wb.Experiment(name, prompt, given, f"openai:{MODEL}", wb.scorers.json_fields("category", "priority"))
