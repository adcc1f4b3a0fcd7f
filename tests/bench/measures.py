"""The measurements. Each takes a `Bench` and yields lines of the table."""

from __future__ import annotations

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import deciding
import material
import watching

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from workbench.sim import StandIn

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
LATENCY_S = 0.05
ASIDE = ("PYTHONDONTWRITEBYTECODE", "PYTHONSTARTUP", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
PREFIXES = ("WORKBENCH_", "OPENAI_", "ANTHROPIC_", "OLLAMA_")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table."""

    what: str
    measured: str
    target: str = ""
    beside: str = ""


@dataclass(frozen=True, slots=True)
class Ended:
    """A process that ended: seconds by the clock, seconds of CPU, and what it printed last."""

    wall_s: float
    cpu_s: float
    result: dict[str, Any]


@dataclass
class Bench:
    """Sizes and places of one bench. Everything is written below `folder`, which the caller removes."""

    folder: Path
    quick: bool = False
    _homes: int = field(default=0, init=False)

    def home(self) -> Path:
        """A new, empty workspace."""
        self._homes += 1
        path = self.folder / f"home-{self._homes}"
        path.mkdir()
        return path

    def stand_in(self, trials: int, latency_s: float) -> StandIn:
        """A server in a process of its own that knows the first cases, not yet started."""
        from workbench.sim import StandIn
        from workbench.sim.cases import known_cases

        cases = material.dataset(range(material.WARM_UP + trials)).cases
        return StandIn(known_cases("bench", cases), latency_s=latency_s)

    @cached_property
    def largest(self) -> int:
        """Trials of the run whose memory is measured and whose cache the replays read."""
        return 5_000 if self.quick else 100_000

    @cached_property
    def replays(self) -> tuple[int, ...]:
        """Sizes of the replays, rising."""
        return (1_000, 5_000) if self.quick else (1_000, 5_000, 20_000)


def run_python(arguments: Sequence[str], home: Path, *, json_lines: bool = True) -> Ended:
    """Run a fresh interpreter to its end, measured from outside. Raises RuntimeError with what it wrote to stderr."""
    environment = {k: v for k, v in os.environ.items() if k.upper() not in ASIDE and not k.startswith(PREFIXES)}
    environment |= {"WORKBENCH_HOME": str(home), "PYTHONPATH": str(ROOT)}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    command = [sys.executable, *arguments]
    done = subprocess.run(command, env=environment, cwd=home, capture_output=True, text=True, check=False)
    wall_s = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)} ended with {done.returncode}:\n{done.stderr}")
    lines = done.stdout.splitlines() if json_lines else []
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Ended(wall_s, cpu_s, json.loads(lines[-1]) if lines else {})


def task(name: str, home: Path, **job: Any) -> Ended:
    """Run one task of `child.py` in a fresh process."""
    return run_python([str(HERE / "child.py"), name, json.dumps(job)], home)


def cold(bench: Bench) -> Iterator[Line]:
    """CPU per trial of a cold run against the bare loop, in turns."""
    for trials in (1_000,) if bench.quick else (1_000, 5_000):
        found: dict[str, list[Ended]] = {"cold": [], "bare": []}
        with bench.stand_in(trials, LATENCY_S) as server:
            for turn in range(1 if bench.quick else 5):
                for name in ("cold", "bare") if turn % 2 else ("bare", "cold"):
                    found[name].append(_answered(task(name, bench.home(), url=server.url, trials=trials), trials))
        ours, theirs = ([one.result["cpu_s"] / trials * 1e3 for one in found[name]] for name in ("cold", "bare"))
        ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
        yield Line(f"cold run, {trials:,} trials: CPU per trial, without start-up",
                   f"{_spread(ratios, '.2f')} × bare loop", "≤ 0.80 ×",
                   f"{_spread(ours, '.2f')} ms; bare loop {_spread(theirs, '.2f')} ms")  # fmt: skip
        whole = [statistics.median(one.cpu_s for one in found[name]) for name in ("cold", "bare")]
        yield Line("  the same as whole processes, start-up and warm-up included",
                   f"{whole[0] / whole[1]:.2f} × bare loop", "",
                   f"{whole[0]:.2f} s; bare loop {whole[1]:.2f} s of CPU")  # fmt: skip
        walls = [statistics.median(one.result["wall_s"] for one in found[name]) for name in ("cold", "bare")]
        pace = LATENCY_S * trials / material.CONCURRENCY
        yield Line(
            "  the same by the clock",
            f"{walls[0]:.2f} s",
            "",
            f"bare loop {walls[1]:.2f} s; latency alone {pace:.2f} s",
        )


def memory(bench: Bench, home: Path) -> Iterator[Line]:
    """Peak memory of the largest run, cold and replayed; leaves its cache in `home`."""
    trials = bench.largest
    target = "≤ 350 MB" if trials == 100_000 else "(350 MB at 100,000)"
    with bench.stand_in(trials, 0.0) as server:
        for how in ("cold", "replayed from the cache"):
            shutil.rmtree(home / ".workbench" / "runs", ignore_errors=True)
            found = task("memory", home, url=server.url, trials=trials).result
            if found["errors"] or found["done"] != trials or found["hits"] != (0 if how == "cold" else trials):
                raise RuntimeError(f"{how}, {trials} trials: {found}")
            stages = f"{found['before_mb']:.0f} MB with the cases in memory, {found['after_run_mb']:.0f} after run()"
            yield Line(f"memory: {trials:,} trials {how}, run() + leaderboard()", f"{found['peak_mb']:.0f} MB peak",
                       target, f"{stages}; {found['wall_s']:.0f} s")  # fmt: skip


def replay(bench: Bench, home: Path) -> Iterator[Line]:
    """Replays from the cache in `home` as whole processes, beside the floor."""
    medians: dict[int, float] = {}
    identities = _identities(home, max(bench.replays))
    for trials in bench.replays:
        file = material.write_dataset(home / f"bench-{trials}.jsonl", material.numbers(trials))
        some = home / f"identities-{trials}"
        some.write_text("".join(identities[:trials]), "utf-8")
        whole, least = [], []
        for _ in range(3 if bench.quick else 7):
            _forget_runs(home)
            whole.append(task("replay", home, dataset=str(file)))
            database = str(home / ".workbench" / "cache" / "cache.db")
            least.append(run_python([str(HERE / "floor.py"), database, str(some)], home))
            if least[-1].result["replies"] != trials:
                raise RuntimeError(f"the floor read {least[-1].result} of {trials} replies")
        medians[trials] = statistics.median(one.wall_s for one in whole)
        floor = statistics.median(one.wall_s for one in least)
        target = {1_000: "≤ 0.5 s", 20_000: "≥ 5,000/s"}.get(trials, "")
        cpu = statistics.median(one.cpu_s for one in whole)
        yield Line(f"replay, {trials:,} trials, whole process", f"{_spread([o.wall_s for o in whole], '.2f')} s, "
                   f"{trials / medians[trials]:,.0f}/s", target,
                   f"CPU {cpu:.2f} s; floor {floor:.2f} s, {trials / floor:,.0f}/s")  # fmt: skip
    yield _growth(medians)
    yield from _shown(bench, home)
    yield _clean(task("replay", _forget_runs(home), dataset=str(home / "bench-1000.jsonl"), audit=True))


def _shown(bench: Bench, home: Path) -> Iterator[Line]:
    """The smallest replay again, as people start it: with what it shows at the end."""
    trials = bench.replays[0]
    file = str(home / f"bench-{trials}.jsonl")
    command = ["-c", "from workbench.cli import main; main()", "run", material.write_prompt(home), "--dataset", file]
    command += ["--models", f"openai:{material.MODEL}", "--scorer", "json_fields:category,priority"]
    command += ["--cache", "replay"]
    turns = range(3 if bench.quick else 7)
    boards = [task("replay", _forget_runs(home), dataset=file, board=True) for _ in turns]
    seen = ", ".join(boards[0].result["modules"]) or "none"
    yield Line(f"  {trials:,} trials and the leaderboard printed", f"{_spread([o.wall_s for o in boards], '.2f')} s",
               "", f"forbidden imports on this longer path: {seen}")  # fmt: skip
    doors = [run_python(command, _forget_runs(home), json_lines=False) for _ in turns]
    yield Line(f"  {trials:,} trials by `workbench run --cache replay`",
               f"{_spread([o.wall_s for o in doors], '.2f')} s", "",
               "progress, leaderboard and report.html included")  # fmt: skip


def on_row(bench: Bench, home: Path) -> Iterator[Line]:
    """CPU of a replay with and without a callback, in turns."""
    trials = max(bench.replays)
    file = material.write_dataset(home / f"bench-{trials}.jsonl", material.numbers(trials))
    found: dict[bool, list[float]] = {False: [], True: []}
    for turn in range(3 if bench.quick else 7):
        for watched in (False, True) if turn % 2 else (True, False):
            _forget_runs(home)
            done = task("replay", home, dataset=str(file), on_row=watched)
            found[watched].append(done.result["cpu_s"] / trials * 1e6)
    without, with_one = statistics.median(found[False]), statistics.median(found[True])
    yield Line(f"on_row that does nothing, replay of {trials:,}: CPU per row", f"{with_one - without:+.1f} µs", "",
               f"{_spread(found[True], '.0f')} µs; without {_spread(found[False], '.0f')} µs")  # fmt: skip


def imports(bench: Bench) -> Iterator[Line]:
    """`import workbench` beside an interpreter that does nothing, in turns."""
    home = bench.home()
    found: dict[str, list[Ended]] = {"pass": [], "import workbench": []}
    run_python(["-c", "import workbench"], home)  # so that bytecode is there
    for turn in range(7 if bench.quick else 15):
        for code in list(found)[:: 1 if turn % 2 else -1]:
            found[code].append(run_python(["-c", code], home))
    nothing, ours = (statistics.median(one.wall_s for one in found[code]) for code in ("pass", "import workbench"))
    seen = task("touch", home).result["modules"]
    yield Line("import workbench, over python -c pass", f"{(ours - nothing) * 1e3:.0f} ms", "≤ 150 ms",
               f"python -c pass {nothing * 1e3:.0f} ms; forbidden imports: {', '.join(seen) or 'none'}")  # fmt: skip
    names = [task("touch", home, all=True) for _ in range(3 if bench.quick else 7)]
    wall = statistics.median(one.wall_s for one in names)
    seen = names[0].result["modules"]
    yield Line("  and every public name used once", f"{(wall - nothing) * 1e3:.0f} ms", "",
               f"asyncio and json included; forbidden imports: {', '.join(seen) or 'none'}")  # fmt: skip


def deciding_lines(bench: Bench) -> Iterator[Line]:
    """A verdict over many rows, and the live sequence."""
    cases = 10_000 if bench.quick else 100_000
    home = bench.home()
    folder = home / ".workbench" / "runs" / "bench-1"
    deciding.write(folder, cases)
    result = task("verdict", home, folder=str(folder)).result
    yield Line(
        f"verdict over {cases:,} rows × 2 arms, read before",
        f"{result['judge_s']:.2f} s",
        "≤ 2 s" if not bench.quick else "",
        f"reading the rows {result['read_s']:.2f} s",
    )
    yield Line("live sequence, one case more", f"{result['update_us']:.0f} µs", "≤ 50 µs", "5,000 cases one by one")


def run_view(bench: Bench) -> Iterator[Line]:
    """CPU of a kernel over a cold run with its live view and without, in turns."""
    trials = 900 if bench.quick else 3_000
    found: dict[bool, list[dict[str, Any]]] = {False: [], True: []}
    with bench.stand_in(trials, LATENCY_S) as server:
        for turn in range(1 if bench.quick else 7):
            for watched in (False, True) if turn % 2 else (True, False):
                result = watching.measure(bench.home(), server.url, trials, watched=watched)
                found[watched].append(_answered(Ended(0, 0, result), trials).result)
    without, with_view = ([one["cpu_s"] for one in found[key]] for key in (False, True))
    more = [100 * (a / b - 1) for a, b in zip(with_view, without, strict=True)]
    rates = [one["messages"] / one["wall_s"] for one in found[True]]
    yield Line(f"live run view, cold run of {trials:,} trials in a kernel: more CPU", f"{_spread(more, '+.1f')} %",
               "≤ 5 %", f"CPU {_spread(without, '.2f')} s without; {_spread(rates, '.1f')} messages/s")  # fmt: skip


def _answered(ended: Ended, trials: int) -> Ended:
    """What was measured, if it did the work. Raises RuntimeError otherwise: a fast failure is no speed."""
    found = ended.result
    if found["done"] != trials or found["errors"] or found["hits"]:
        raise RuntimeError(f"{trials} trials asked for: {found}")
    return ended


def _growth(medians: dict[int, float]) -> Line:
    """How the time of one more trial grows with the number of trials: 1.0 is linear."""
    sizes = sorted(medians)
    rate = (medians[sizes[-1]] - medians[sizes[0]]) / (sizes[-1] - sizes[0])
    start = medians[sizes[0]] - rate * sizes[0]
    detail = f"{rate * 1e6:.0f} µs a trial, {start * 1e3:.0f} ms to start"
    if len(sizes) < 3:
        return Line("  growth", "not told by two sizes", "linear", detail)
    first = (medians[sizes[1]] - medians[sizes[0]]) / (sizes[1] - sizes[0])
    last = (medians[sizes[2]] - medians[sizes[1]]) / (sizes[2] - sizes[1])
    return Line(
        f"  growth: a trial after {sizes[1]:,} against one before", f"{last / first:.2f} ×", "linear: 1 ×", detail
    )


def _clean(ended: Ended) -> Line:
    """What a replay imported and opened that it should not."""
    found = ended.result
    if found["hits"] != found["done"]:
        raise RuntimeError(f"not every reply came from the cache: {found}")
    opened = ", ".join(sorted(set(found["opened"]))) or "none"
    return Line("  forbidden imports; connections and processes opened",
                f"{', '.join(found['modules']) or 'none'}; {opened}", "none; none")  # fmt: skip


def _identities(home: Path, trials: int) -> list[str]:
    """The requests of the first trials, one line each, as they are hashed for their keys."""
    from workbench.cache import Cache

    stored: dict[str, str] = {}
    for entry in Cache(home / ".workbench" / "cache").entries():
        [[_, text]] = json.loads(entry.identity)["messages"]
        stored[text] = entry.identity + "\n"
    return [stored[material.asked(number)] for number in material.numbers(trials)]


def _forget_runs(home: Path) -> Path:
    """Make the next run in `home` a fresh one; the cache stays."""
    shutil.rmtree(home / ".workbench" / "runs", ignore_errors=True)
    return home


def _spread(values: list[float], form: str) -> str:
    """Median with the lowest and the highest value."""
    middle = format(statistics.median(values), form)
    return middle if len(values) < 2 else f"{middle} ({min(values):{form}}–{max(values):{form}})"


def all_lines(quick: bool) -> Iterator[Line]:
    """Every measurement, each line as soon as it is known."""
    with tempfile.TemporaryDirectory(prefix="workbench-bench-") as folder:
        bench = Bench(Path(folder), quick)
        yield from imports(bench)
        yield from cold(bench)
        home = bench.home()
        yield from memory(bench, home)
        yield from replay(bench, home)
        yield from on_row(bench, home)
        yield from deciding_lines(bench)
        yield from run_view(bench)
