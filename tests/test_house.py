"""The shape of the house: who may import whom, what is public, what a start costs in imports."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import workbench

PACKAGE = Path(workbench.__file__).parent
FLOORS = [
    {"records", "errors", "settings", "files", "tables"},
    {"providers", "scorers", "prompts", "datasets", "catalog", "cache", "stats", "tools", "langfuse"},
    {"batch", "client", "traffic", "ledger"},
    {"experiment", "report", "verdict", "labels"},
    {"optimize", "promotion", "regressions"},
    {"widgets", "cli", "serve", "connect", "projects", "truth", "nightly"},
]
ALONG = {  # imports along a floor: room -> rooms that it may use there
    "settings": {"errors"},
    "errors": set(),
    "files": {"errors"},
    "records": {"tables"},
    "tables": set(),
    "scorers": {"prompts"},
    "langfuse": {"prompts", "datasets"},
    "batch": {"client", "traffic", "ledger"},
    "client": {"traffic", "ledger"},
    "experiment": {"report", "verdict", "labels"},
    "report": {"verdict", "labels"},
    "optimize": {"promotion"},
    "cli": {"serve", "connect", "projects", "truth", "nightly"},
    "serve": {"connect", "truth", "widgets"},
    "connect": {"projects"},
    "truth": {"connect"},
    "nightly": {"connect"},
    "widgets": {"connect"},
}
SDKS = {
    "anthropic": "providers/anthropic.py",
    "openai": "providers/openai.py",
    "ollama": "providers/ollama.py",
    "diskcache": "cache/store.py",
    "genai_prices": "catalog/prices.py",
    "ragas": "scorers/ragas.py",
    "langfuse": "langfuse/server.py",
    "opentelemetry": "langfuse/otlp.py",
}
WIRE = {"sim/langfuse/otlp.py"}
"""Stand-ins read the wire formats that SDKs write."""
HEAVY = {
    "anthropic",
    "openai",
    "ollama",
    "diskcache",
    "genai_prices",
    "pydantic",
    "pydantic_settings",
    "numpy",
    "pandas",
    "scipy",
    "matplotlib",
    "aiohttp",
    "httpx",
    "httpx2",
    "langfuse",
    "ragas",
    "IPython",
}


def rooms(path: Path) -> tuple[str, list[tuple[str, bool]]]:
    """A file's room, and the modules of ours that it imports (True: when it runs, False: for types only)."""
    tree = ast.parse(path.read_text())
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    found = []
    for node in ast.walk(tree):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"workbench.{a.name}" for a in node.names] if node.module == "workbench" else [node.module]
        found += [(name.split(".")[1], id(node) not in typing_only) for name in names if name.startswith("workbench.")]
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py"), found


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def floor(room: str) -> int:
    """The floor that a room is on; fails for a room that the drawing does not have."""
    return next(i for i, names in enumerate(FLOORS) if room in names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_go_down(path: Path) -> None:
    """A room imports from lower floors, along its own floor only where the drawing has an arrow, and only doors import
    the stand-ins, which import records alone."""
    room, imported = rooms(path)
    for other, runs in imported:
        if other == room or not runs:
            continue
        if room == "sim":
            assert other == "records"
        elif other == "sim":
            assert floor(room) == len(FLOORS) - 1
        else:
            assert floor(other) < floor(room) or other in ALONG.get(room, set()), f"{room} imports {other}"


def test_every_arrow_is_used() -> None:
    """An arrow between two rooms that are built stands for an import; the others keep the place of rooms to come."""
    built = {rooms(path)[0] for path in FILES}
    used = {(room, other) for room, imported in map(rooms, FILES) for other, runs in imported if runs}
    drawn = {(room, other) for room, others in ALONG.items() for other in others}
    assert {(room, other) for room, other in drawn - used if {room, other} <= built} == set()


@pytest.mark.parametrize(("name", "home"), SDKS.items())
def test_each_sdk_is_imported_in_one_file(name: str, home: str) -> None:
    """Each SDK has exactly one file that imports it."""
    importers = set()
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            if any(one.split(".")[0] == name for one in names):
                importers.add(path.relative_to(PACKAGE).as_posix())
    assert importers - WIRE == {home}


def test_public_names() -> None:
    """The public surface is this list, all of it can be imported, and dir() shows it."""
    expected = [
        "Case",
        "Dataset",
        "Experiment",
        "Prompt",
        "Reply",
        "Report",
        "Row",
        "Score",
        "WorkbenchError",
        "calibrate",
        "judge_pairs",
        "label",
        "label_queue",
        "live",
        "load_dataset",
        "load_models",
        "load_prompt",
        "load_prompts",
        "load_report",
        "offline",
        "playground",
        "production_prompt",
        "promote",
        "promotions",
        "regression",
        "review",
        "rollback",
        "runs",
        "scorer",
        "scorers",
        "show",
        "side_by_side",
    ]
    assert workbench.__all__ == sorted(workbench.__all__) == expected == dir(workbench)
    assert all(getattr(workbench, name) is not None for name in expected)
    with pytest.raises(AttributeError, match="no_such_name"):
        workbench.no_such_name  # noqa: B018


def loaded(code: str, *, home: Path) -> set[str]:
    """The top-level modules that a fresh interpreter has after `code`."""
    script = f"{code}\nimport sys, json; print(json.dumps(sorted({{m.split('.')[0] for m in sys.modules}})))"
    out = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={"WORKBENCH_HOME": str(home), "PATH": ""},
    ).stdout
    return set(json.loads(out.splitlines()[-1]))


def test_import_is_light(home: Path) -> None:
    """`import workbench` loads no SDK, no pandas, no matplotlib, and not even asyncio."""
    assert not loaded("import workbench", home=home) & (HEAVY | {"asyncio", "typer", "rich", "yaml"})


REPLAY = """
import asyncio, workbench as wb
wb.offline(latency_s=0)
exp = wb.Experiment("t", "ticket-triage@v2", "tickets", "openai:gpt-6-luna", "json_fields:category,priority")
report = asyncio.run(exp.run(sample=20, concurrency=4))
assert report.done == 20
"""


def test_replay_imports_nothing_heavy(home: Path) -> None:
    """A run whose replies are all stored imports no SDK, no pydantic, numpy, pandas, genai-prices, nor diskcache."""
    assert loaded(REPLAY, home=home) >= {"openai", "diskcache"}
    runs = home / ".workbench" / "runs"
    for file in runs.rglob("*"):
        file.unlink() if file.is_file() else None
    again = REPLAY.replace("concurrency=4", "cache='replay'")
    assert not loaded(again, home=home) & HEAVY


def test_folders_beside_the_package_are_no_packages() -> None:
    """`datasets/`, `prompts/` and `notebooks/` hold no `__init__.py`: ragas needs a package called datasets."""
    root = PACKAGE.parent
    assert not [name for name in ("datasets", "prompts", "notebooks") if list((root / name).rglob("__init__.py"))]
