"""One task in a fresh process: `python child.py TASK JSON`; the last line on stdout is its result as JSON.

Imports stay few up here: for some tasks the whole process is measured.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import material

if TYPE_CHECKING:
    from collections.abc import Callable

    from openai import AsyncOpenAI
    from openai.types.responses import Response

Result = dict[str, Any]


def cpu_s() -> float:
    """User and system seconds of this process so far, all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def peak_mb() -> float:
    """The most memory this process ever held. `ru_maxrss` may still be that of the parent that forked it."""
    try:
        lines = Path("/proc/self/status").read_text("ascii").splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (1 << 20) if sys.platform == "darwin" else peak / 1024


def loaded() -> list[str]:
    """The forbidden modules that this process has imported."""
    return [name for name in material.FORBIDDEN if name in sys.modules]


async def cold(job: Result) -> Result:
    """A run with nothing in the cache; counted from the call of `start` until the report is there."""
    from workbench import connect

    connect.at({"openai": job["url"] + "/v1"})
    warm_up = material.experiment(material.dataset(range(material.WARM_UP), "warm-up"), "warm-up")
    await warm_up.run(concurrency=2)
    experiment = material.experiment(material.dataset(material.numbers(job["trials"])))
    before, started = cpu_s(), time.perf_counter()
    run = experiment.start(concurrency=material.CONCURRENCY)
    await run
    result = {"cpu_s": cpu_s() - before, "wall_s": time.perf_counter() - started}
    # Not the report's totals: its statistics are imports that the bare loop has not.
    return result | {"errors": run.progress.errors, "hits": run.progress.hits, "done": run.progress.done}


async def bare(job: Result) -> Result:
    """The same requests by a loop over the SDK; counted from opening the client until it is closed, as in `cold`."""
    import openai

    def client() -> AsyncOpenAI:
        return openai.AsyncOpenAI(api_key="stand-in", base_url=job["url"] + "/v1")

    async with client() as warm:
        for number in range(material.WARM_UP):
            await _ask(warm, material.asked(number))
    texts = [material.asked(number) for number in material.numbers(job["trials"])]
    slots = asyncio.Semaphore(material.CONCURRENCY)
    before, started = cpu_s(), time.perf_counter()
    async with client() as one:

        async def answer(text: str) -> tuple[str, int, int]:
            async with slots:
                response = await _ask(one, text)
            assert response.usage is not None
            return response.output_text, response.usage.input_tokens, response.usage.output_tokens

        answers = await asyncio.gather(*map(answer, texts))
    done = sum(bool(text) for text, _, _ in answers)
    return {"cpu_s": cpu_s() - before, "wall_s": time.perf_counter() - started, "done": done, "errors": 0, "hits": 0}


async def _ask(client: AsyncOpenAI, text: str) -> Response:
    return await client.responses.create(
        model=material.MODEL,
        input=[{"role": "user", "content": text}],
        max_output_tokens=material.MAX_TOKENS,
        store=False,
    )


async def replay(job: Result) -> Result:
    """A run whose replies are all in the cache. `audit`: also count what it opened. `on_row`: with a callback. `board`:
    also print the leaderboard."""
    opened: list[str] = []
    if job.get("audit"):
        sys.addaudithook(lambda event, _: opened.append(event) if event in _OPENING else None)
    import workbench as wb

    wb.offline()
    experiment = material.experiment(wb.load_dataset(Path(job["dataset"])))
    before = cpu_s()
    report = await experiment.run(concurrency=material.CONCURRENCY, on_row=_ignore if job.get("on_row") else None)
    result: Result = {"cpu_s": cpu_s() - before, "modules": loaded(), "opened": opened}
    if job.get("audit"):
        totals = report.totals()
        result |= {"hits": totals["hits"], "done": totals["done"]}
    if job.get("board"):
        print(report.leaderboard())
        result["modules"] = loaded()
    return result


_OPENING = frozenset({"socket.connect", "subprocess.Popen"})


def _ignore(row: object) -> None:
    """The cheapest `on_row`."""


async def memory(job: Result) -> Result:
    """`run` and `leaderboard` of a dataset in memory: the most memory the process held."""
    from workbench import connect

    connect.at({"openai": job["url"] + "/v1"})
    experiment = material.experiment(material.dataset(material.numbers(job["trials"])))
    before, started = peak_mb(), time.perf_counter()
    report = await experiment.run(concurrency=material.CONCURRENCY)
    after_run = peak_mb()
    board = report.leaderboard()
    peaks = {"peak_mb": peak_mb(), "before_mb": before, "after_run_mb": after_run}
    counts = {"done": report.done, "hits": board.best.hits, "errors": board.best.errors}
    return peaks | counts | {"wall_s": time.perf_counter() - started}


async def verdict(job: Result) -> Result:
    """A verdict over rows on disk, reading and judging apart; and a sequence fed case by case. Imports not counted."""
    import numpy as np
    import scipy.special  # noqa: F401

    import workbench as wb
    from workbench.stats import ConfidenceSequence

    report = wb.load_report(job["folder"])
    started = time.perf_counter()
    assert report.done
    read = time.perf_counter()
    assert report.compare("p@v2", "p@v1").outcome == "better"
    judged = time.perf_counter()
    changes = np.random.default_rng(1).choice([-1.0, 0.0, 1.0], 5000)
    sequence = ConfidenceSequence((-1.0, 1.0))
    begun = time.perf_counter()
    for change in changes:
        sequence.update(float(change))
    return {
        "read_s": read - started,
        "judge_s": judged - read,
        "update_us": (time.perf_counter() - begun) / len(changes) * 1e6,
    }


async def touch(job: Result) -> Result:
    """Import the package; with `all`, every public name too."""
    import workbench as wb

    for name in wb.__all__ if job.get("all") else ():
        getattr(wb, name)
    return {"modules": loaded()}


TASKS: dict[str, Callable[[Result], Any]] = {
    "cold": cold,
    "bare": bare,
    "replay": replay,
    "memory": memory,
    "touch": touch,
    "verdict": verdict,
}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(TASKS[sys.argv[1]](json.loads(sys.argv[2])))))
