"""A run in a real kernel, with its view and without: what watching costs."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent

SETUP = """
import json, sys
sys.path[:0] = [{root!r}, {here!r}]
import material
from child import cpu_s
import workbench as wb
from workbench import connect
from workbench.experiment.run import OPENERS
wb.Experiment
if not {watched}:
    OPENERS.clear()
connect.at({{"openai": {url!r} + "/v1"}})

def experiment(numbers, name):
    prompts = [wb.Prompt.from_text(f"bench-{{n}}", material.PROMPT + " " * n, max_tokens=256) for n in (1, 2, 3)]
    scorer = wb.scorers.json_fields("category", "priority")
    return wb.Experiment(name, prompts, material.dataset(numbers), f"openai:{{material.MODEL}}", scorer)

await experiment(range(material.WARM_UP), "warm-up").run(concurrency=2)
import numpy, scipy.special
exp = experiment(material.numbers({trials} // 3), "watched")
"""
MEASURED = """
before = cpu_s()
run = exp.start(concurrency=material.CONCURRENCY)
await run
print(json.dumps({"cpu_s": cpu_s() - before, "done": run.progress.done, "errors": run.progress.errors,
                  "hits": run.progress.hits, "wall_s": run.progress.elapsed_s}))
"""


def measure(home: Path, url: str, trials: int, *, watched: bool) -> dict[str, Any]:
    """CPU seconds of a kernel over one run of `trials` trials on three arms, and how many messages it sent to show it.

    The setup (imports, connections, a first small run) is not counted; the kernel's own threads are.
    """
    from jupyter_client.manager import start_new_kernel

    environment = {**os.environ, "WORKBENCH_HOME": str(home)}
    manager, client = start_new_kernel(env=environment, cwd=str(home), stderr=subprocess.DEVNULL)
    heard: list[dict[str, Any]] = []
    try:
        places = {"root": str(HERE.parents[1]), "here": str(HERE)}
        setup = SETUP.format(url=url, trials=trials, watched=watched, **places)
        for code in (setup, MEASURED):
            heard.clear()
            reply = client.execute_interactive(
                code, allow_stdin=True, stdin_hook=lambda _: None, timeout=300, output_hook=heard.append
            )
            if reply["content"]["status"] != "ok":
                raise RuntimeError("\n".join(reply["content"]["traceback"]))
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.context.destroy()
    printed = "".join(one["content"]["text"] for one in heard if one["msg_type"] == "stream")
    sent = sum(one["msg_type"].startswith(("comm", "display", "update")) for one in heard)
    return {**json.loads(printed), "messages": sent}
