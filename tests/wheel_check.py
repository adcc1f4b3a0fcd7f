"""Build the wheel, install it in an empty environment, run the demo in an empty folder: `make wheel-check`.

Data files are what goes missing first when a package is installed instead of read from its source tree.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
UV = [sys.executable, "-m", "uv"]


def main() -> None:
    """Raise CalledProcessError at the first step that fails."""
    with tempfile.TemporaryDirectory() as scratch:
        base = Path(scratch)
        say("building the wheel")
        run([*UV, "build", "--quiet", "--wheel", "--out-dir", str(base / "dist"), str(ROOT)], ROOT)
        wheel = next((base / "dist").glob("*.whl"))
        say(f"installing {wheel.name} in an empty environment")
        venv.create(base / "env", with_pip=False)
        python = base / "env" / "bin" / "python"
        run(
            [
                *UV,
                "pip",
                "install",
                "--quiet",
                "--python",
                str(python),
                "--constraint",
                str(ROOT / "constraints.txt"),
                str(wheel),
            ],
            base,
        )
        empty = base / "empty"
        empty.mkdir()
        workbench = str(base / "env" / "bin" / "workbench")
        say("running the demo in an empty folder")
        out = run([workbench, "demo", "--sample", "12", "--json", "out.json"], empty)
        assert "sim-anthropic-fast" in out, out
        assert (empty / "out.json").stat().st_size > 1000
        say("loading what is shipped")
        out = run([workbench, "prompts"], empty)
        assert all(name in out for name in ("ticket-triage@v4", "invoice-fields@v4", "policy-answer@v4")), out
        run(
            [
                str(python),
                "-c",
                "import workbench as wb; [wb.load_dataset(n) for n in ('tickets', 'invoices', 'policy-qa')]",
            ],
            empty,
        )
    say("the wheel works without its source tree")


def run(command: list[str], folder: Path) -> str:
    """The standard output of a command that must succeed."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("WORKBENCH_", "PYTHON"))}
    return subprocess.run(command, cwd=folder, env=clean, check=True, stdout=subprocess.PIPE, text=True).stdout


def say(text: str) -> None:
    """One line of progress."""
    print(f"wheel-check: {text}", flush=True)


if __name__ == "__main__":
    main()
