"""The night in words: as text, as Markdown for a job's page, as JUnit XML for a test report."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from workbench.errors import StorageError
from workbench.files import write_page
from workbench.nightly.records import WORDS
from workbench.regressions.records import SHOWN, and_more

if TYPE_CHECKING:
    from workbench.nightly.records import Cell, NightReport, Part
    from workbench.regressions import Check

NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
NBVAL = re.compile(r"Cell \d+: ")
RAISED = re.compile(r"-+> \d+ (.*)")
"""The line of code that a traceback points at."""
YELLOW = (
    "Not sure means that a check cannot rule out the change that it looks for, mostly because it is too small to see "
    "it; it does not fail the night. More cases or repeats, or a wider margin, cure it."
)


CHANGES = 10
"""Changes of one check that the Markdown shows."""


def write_summaries(night: NightReport) -> None:
    """`junit.xml`, `summary.html` and `summary.md` in the night's folder, and the last one onto the job's page where
    GITHUB_STEP_SUMMARY names it. Raises StorageError."""
    from workbench.nightly.page import page

    write_page(night.folder / "summary.html", page(night))
    write_page(night.folder / "summary.md", markdown(night))
    write_page(night.folder / "junit.xml", junit(night).decode("utf-8"))
    if job := os.environ.get("GITHUB_STEP_SUMMARY"):
        try:
            with Path(job).open("a", encoding="utf-8", errors="replace") as file:
                file.write(markdown(night))
        except OSError as error:
            raise StorageError(f"{job}, which GITHUB_STEP_SUMMARY names, cannot be written: {error}") from None


def text(night: NightReport) -> str:
    """What the command prints: a line per notebook, and everything that is not green."""
    lines = [night.headline()]
    for part in night.parts:
        lines.append(f"{WORDS[part.outcome]:>8}  {part.notebook}: {counts(part)}")
        lines += [f"          {cell.name}: {what(cell)}" for cell in part.faults]
        for found in part.regressions:
            lines += [_indented(f"{found.baseline} {check}") for check in found.checks if check.state != "green"]
    if any(part.outcome == "yellow" for part in night.parts):
        lines.append(YELLOW)
    return "\n".join(lines)


def counts(part: Part) -> str:
    """What was looked at in one notebook."""
    checks = [check for found in part.regressions for check in found.checks]
    states = {state: sum(check.state == state for check in checks) for state in ("red", "yellow")}
    cells, looked = (f"{len(n)} {one}{'s' * (len(n) != 1)}" for n, one in ((part.cells, "cell"), (checks, "check")))
    told = f"{cells}, {len(part.faults)} failed; {looked}"
    return f"{told}, {states['red']} failed, {states['yellow']} not sure" if checks else f"{told}: no baseline"


def markdown(night: NightReport) -> str:
    """The summary of a job's page."""
    lines = [f"## {night.headline()}", "", "| notebook | result | what was looked at |", "| --- | --- | --- |"]
    lines += [f"| {_cell(part.notebook)} | {WORDS[part.outcome]} | {_cell(counts(part))} |" for part in night.parts]
    for part in night.parts:
        lines += [""] if part.faults else []
        lines += [f"- **{_cell(part.notebook)}**, {_cell(cell.name)}: {_cell(what(cell))}" for cell in part.faults]
        for found in part.regressions:
            told = [check for check in found.checks if _told(check)]
            lines += [""] if told else []
            for check in told[:SHOWN]:
                lines += [f"- **{_cell(found.baseline)}** {_cell(check.headline())}", *_changes(check)]
            lines += [f"- … and {len(told) - SHOWN} more"] if len(told) > SHOWN else []
    if any(part.outcome == "yellow" for part in night.parts):
        lines += ["", YELLOW]
    return "\n".join(lines) + "\n"


def _changes(check: Check) -> list[str]:
    """A line for each of the first changes, in a list below the line of their check."""
    lines = [_cell(str(change)) for change in check.changes[:CHANGES]]
    return [f"  - {line}" for line in [*lines, *and_more(check.changes, CHANGES)]]


def _told(check: Check) -> bool:
    return check.state != "green" or bool(check.again)


def _cell(told: str) -> str:
    """Text that stays text in Markdown: model output and case ids are hostile."""
    told = "".join(one for one in " ".join(told.split()) if one.isprintable())  # without marks that turn the direction
    told = re.sub(r"([\\`*_\[\]|#!~$@])", r"\\\1", escape(told))
    return told.replace("://", ":&#47;&#47;").replace("www.", "www&#46;")  # or an address becomes a link


def junit(night: NightReport) -> bytes:
    """JUnit XML: a suite per notebook, a case per cell and per check. What is not sure is skipped with its reason."""
    root = ElementTree.Element("testsuites", name=f"workbench nightly {night.date}")
    for part in night.parts:
        suite = ElementTree.SubElement(root, "testsuite", name=part.notebook, time=f"{part.seconds:.3f}")
        for cell in part.cells:
            case = _case(suite, part.notebook, cell.name, cell.seconds)
            if cell.fault:
                kind = "skipped" if part.outcome == "budget" else "failure"
                ElementTree.SubElement(case, kind, message=_clean(what(cell))).text = _clean(cell.fault)
        for found in part.regressions:
            for check in found.checks:
                case = _case(suite, f"{part.notebook}.{found.baseline}", f"{check.name} {check.arm}".strip())
                if check.state != "green":
                    kind = "failure" if check.state == "red" else "skipped"
                    ElementTree.SubElement(case, kind, message=_clean(check.sentence)).text = _clean(str(check))
        cases = list(suite)
        suite.set("tests", str(len(cases)))
        suite.set("failures", str(sum(case.find("failure") is not None for case in cases)))
        suite.set("skipped", str(sum(case.find("skipped") is not None for case in cases)))
        suite.set("errors", "0")
    ElementTree.indent(root)
    text: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return text


def _case(suite: ElementTree.Element, group: str, name: str, seconds: float = 0.0) -> ElementTree.Element:
    return ElementTree.SubElement(suite, "testcase", classname=_clean(group), name=_clean(name), time=f"{seconds:.3f}")


def _clean(told: str) -> str:
    """Characters that XML has no way to write are replaced."""
    return NO_XML.sub("�", told)


def what(cell: Cell) -> str:
    """The sentence on what happened to a cell: its own, or nbval's, but of an exception the last line of its fault."""
    if cell.said:
        return cell.said
    lines = [line.strip() for line in cell.fault.splitlines() if line.strip()]
    sentence = next((line for line in lines if NBVAL.match(line)), "exception")
    said = sentence if not sentence.endswith("exception") else lines[-1] if lines else ""
    if re.fullmatch(r"\w+:?", said):  # an exception without a word, such as a bare assert: the line that raised it
        said += next((f" {found[1]}" for line in lines if (found := RAISED.match(line))), "")
    return NBVAL.sub("", said)[:300]


def _indented(told: str) -> str:
    return "\n".join(f"          {line}" for line in told.splitlines())
