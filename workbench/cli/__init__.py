"""The `workbench` command. Exit codes: 0 done, better, not worse · 1 failed trials, worse · 2 bad usage or input ·
3 budget reached · 4 not sure yet · 5 refused by policy · 6 Langfuse did not answer, or has not got everything · 70 our
own crash · 130 interrupted. Heavy imports stand inside the commands."""

from __future__ import annotations

import sys

import typer

from workbench.cli import cache, demo, experiments, labels, langfuse, nightly, promotions, reports, sim, verdicts
from workbench.errors import WorkbenchError

app = typer.Typer(
    name="workbench",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    help="Evaluate prompt variants across models for quality and cost. "
    "Offline unless --live, WORKBENCH_LIVE=1 or --base-url says otherwise.",
)
app.command()(demo.demo)
app.command()(experiments.plan)
app.command()(experiments.run)
app.command()(verdicts.compare)
app.command()(verdicts.confirm)
app.command()(verdicts.race)
app.command()(promotions.review)
app.command()(promotions.promote)
app.command()(promotions.rollback)
app.command()(promotions.status)
app.command()(promotions.promotions)
app.add_typer(langfuse.langfuse, name="langfuse")
app.command()(labels.label)
app.command()(labels.calibrate)
app.command()(reports.runs)
app.command()(reports.report)
app.add_typer(reports.prompts, name="prompts")
app.add_typer(cache.cache, name="cache")
app.add_typer(sim.sim, name="sim")
app.command()(reports.doctor)
app.command()(nightly.nightly)
app.command()(nightly.baseline)


def main() -> None:
    """Run a command and turn whatever happens into its exit code."""
    sys.exit(run_command(sys.argv[1:]))


def run_command(arguments: list[str]) -> int:
    """The exit code of one command line."""
    try:
        code = app(args=arguments, standalone_mode=False)
    except WorkbenchError as error:
        print(f"workbench: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("workbench: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # `workbench ... | head` is no crash
        return 0
    except Exception as error:  # noqa: BLE001  # the last door: whatever is left is our own crash
        return _usage_code(error)
    return code if isinstance(code, int) else 0


def _usage_code(error: Exception) -> int:
    """What typer reports as a wrong command line is shown as such; anything else is a crash with its traceback."""
    show = getattr(error, "show", None)
    if callable(show) and hasattr(error, "exit_code"):
        show()
        return 2
    if type(error).__name__ == "Abort":  # what typer makes of an interrupt
        print("workbench: interrupted", file=sys.stderr)
        return 130
    import traceback

    traceback.print_exception(error)
    print(
        "workbench: this is a fault of the workbench, not of your input; rows and replies so far are on disk",
        file=sys.stderr,
    )
    return 70
