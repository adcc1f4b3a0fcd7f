"""A browser, a JupyterLab, and a page for every test; skipped with a reason where there is no Chromium.

Run in a pytest call of its own: Playwright keeps an event loop running. With WB_REQUIRE_BROWSER=1 a missing browser
fails, and so does a session in which not all `STORIES` ran.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from labserver import LabServer, NotebookPage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

STORIES = (
    "test_plan_live_run_leaderboard",
    "test_interrupt_then_resume_without_paying_twice",
    "test_compare_filters_keyboard_and_a_blind_vote",
    "test_review_refused_then_approved_and_promoted",
    "test_playground_streams_and_saves_a_version",
    "test_reopened_after_a_restart_all_results_stand",
    "test_untrusted_notebook_shows_complete_tables",
    "test_hostile_output_stays_text_everywhere",
)
"""The stories told in a real JupyterLab; with WB_REQUIRE_BROWSER=1 every one of them must have passed."""

REQUIRED = os.environ.get("WB_REQUIRE_BROWSER", "") not in ("", "0")
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_told: set[str] = set()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A headless Chromium: WB_CHROMIUM, or one on the path."""
    missing: Any = pytest.fail if REQUIRED else pytest.skip
    found = os.environ.get("WB_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright is not installed")
    if not found:
        missing("no Chromium on this machine (set WB_CHROMIUM)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """An empty page, 1,280 pixels wide; an error in it fails the test. See `esm.open_view`."""
    errors: list[str] = []
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    page = context.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert errors == []


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabServer]:
    """The one JupyterLab of the session; each test has notebooks of its own name."""
    server = LabServer(tmp_path_factory.mktemp("lab"))
    yield server
    server.stop()


@pytest.fixture
def notebook(
    chromium: Browser, lab: LabServer, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[NotebookPage]:
    """A page for a notebook, its own kernel, nothing let through to the outside; a failure leaves a picture behind."""
    context = chromium.new_context(
        viewport={"width": 1280, "height": 900}, locale="en-US", timezone_id="UTC", reduced_motion="reduce"
    )
    page = context.new_page()
    opened = NotebookPage(page, lab)

    def gate(route: Any) -> None:
        if route.request.url.startswith((lab.url, "data:", "blob:")):
            route.continue_()
        else:
            opened.foreign.append(route.request.url)
            route.abort()

    page.route("**/*", gate)
    page.on("pageerror", lambda error: opened.errors.append(str(error)))
    yield opened
    failed = getattr(request.node, "call_failed", False)
    if failed:
        page.screenshot(path=str(tmp_path / "failure.png"))
        print(f"picture: {tmp_path / 'failure.png'}")
    context.close()
    lab.shut_kernels()
    assert failed or opened.foreign == [], f"the notebook reached outside: {opened.foreign[:3]}"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Remember what failed, and which stories were told."""
    outcome: Any = yield
    report = outcome.get_result()
    if report.when == "call":
        item.call_failed = report.failed  # type: ignore[attr-defined]
        if report.passed and item.name in STORIES:
            _told.add(item.name)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Where a browser is required, all stories must have been told; a session that asked for a few only is let be."""
    asked = {item.name for item in session.items if item.name in STORIES}
    whole = all(Path(one).is_dir() for one in session.config.args) and not session.config.option.keyword
    missing = [name for name in STORIES if name not in _told and (whole or name in asked)]
    if REQUIRED and missing and exitstatus == 0:
        print(f"\nof {len(STORIES)} stories these were not told: {', '.join(missing)}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """How many stories were told."""
    terminalreporter.write_line(f"JupyterLab stories told: {len(_told)} of {len(STORIES)}")
