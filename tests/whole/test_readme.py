"""The README is run: its notebook lines work as they stand."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
from pathlib import Path

from workbench.client import use

README = Path(__file__).parents[2] / "README.md"


def test_notebook_lines_run_as_written(home: Path) -> None:
    """The Python block of the README runs line by line in an empty workspace and ends in a confirmed verdict."""
    (block,) = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    fast = block.replace("wb.offline()", "wb.offline(latency_s=0)")
    code = compile(fast, "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    names: dict[str, object] = {}

    async def run() -> None:
        outcome = eval(code, names)
        if inspect.isawaitable(outcome):
            await outcome

    asyncio.run(run())
    use(None)
    assert names["verdict"].kind == "confirmed"
    assert names["report"].state == "finished"


def test_every_command_in_it_exists() -> None:
    """Every `workbench` and `make` command that the README names is one."""
    from workbench.cli import app

    text = README.read_text("utf-8")
    known = {command.name or command.callback.__name__ for command in app.registered_commands}
    known |= {group.name for group in app.registered_groups}
    assert set(re.findall(r"^workbench +(\w+)", text, re.MULTILINE)) <= known
    assert set(re.findall(r"`workbench (\w+)", text)) <= known
    makefile = (README.parent / "Makefile").read_text()
    for target in set(re.findall(r"\bmake ([a-z-]+)`", text)) | set(re.findall(r"^make ([a-z-]+)", text, re.MULTILINE)):
        assert f"\n{target}:" in makefile, target
