"""A private JupyterLab on the loopback, and the few things that a test does with an open notebook."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import nbformat

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from playwright.sync_api import Locator, Page

SETTINGS: dict[str, dict[str, Any]] = {
    "@jupyterlab/apputils-extension/notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
        "doNotDisturbMode": True,
    },
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none", "autoStartDefaultKernel": True},
    "@jupyterlab/docmanager-extension/plugin": {"autosave": False},
}
FLAGS = (
    "--IdentityProvider.token=",
    "--ServerApp.password=",
    "--ServerApp.disable_check_xsrf=True",
    "--ServerApp.terminals_enabled=False",
    "--LabApp.news_url=None",
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    "--LabApp.extension_manager=readonly",
    "--LabApp.expose_app_in_browser=True",
)
OPENING_MS = 90_000
"""A busy machine takes a while to open a notebook."""


class LabServer:
    """One private JupyterLab on a loopback port; the user's own Jupyter set-up is neither read nor written.

    Notebooks live in `root`, which is also the workspace (WORKBENCH_HOME) of their kernels.
    """

    def __init__(self, base: Path) -> None:
        self.root, self.log = base / "root", base / "lab.log"
        self.root.mkdir(parents=True)
        for key, value in SETTINGS.items():
            file = base / "settings" / f"{key}.jupyterlab-settings"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(value))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", f"--port={port}"]
        command += ["--ServerApp.port_retries=0", f"--ServerApp.root_dir={self.root}", "--allow-root", *FLAGS]
        with self.log.open("w") as out:
            self.process = subprocess.Popen(
                command, stdout=out, stderr=subprocess.STDOUT, env=_environment(base, self.root), cwd=self.root
            )
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + 60
        while True:
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError("JupyterLab did not start:\n" + self.log.read_text()[-3000:])
            try:
                with urllib.request.urlopen(f"{self.url}/api/status", timeout=1):
                    return
            except OSError:
                time.sleep(0.1)

    def write(self, name: str, cells: Sequence[str]) -> None:
        """A notebook of code cells, never run and so not trusted."""
        metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        made = [nbformat.v4.new_code_cell(cell.strip()) for cell in cells]
        nbformat.write(nbformat.v4.new_notebook(cells=made, metadata=metadata), self.root / name)

    def read(self, name: str) -> str:
        """A notebook's file as it was last saved."""
        return (self.root / name).read_text("utf-8")

    def shut_kernels(self) -> None:
        """Closing a page leaves its kernel running."""
        with urllib.request.urlopen(f"{self.url}/api/sessions", timeout=10) as answer:
            sessions = json.load(answer)
        for session in sessions:
            request = urllib.request.Request(f"{self.url}/api/sessions/{session['id']}", method="DELETE")
            with urllib.request.urlopen(request, timeout=30):
                pass

    def stop(self) -> None:
        """End the server and its kernels."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def _environment(base: Path, root: Path) -> dict[str, str]:
    ours = ("JUPYTER", "JPY_", "WORKBENCH_", "ANTHROPIC_", "OPENAI_", "OLLAMA_", "LANGFUSE_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    folders = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "IPYTHONDIR": "ipython",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
    }
    places = {name: str(base / folder) for name, folder in folders.items()}
    return kept | places | {"JUPYTER_NO_CONFIG": "1", "WORKBENCH_HOME": str(root)}


class NotebookPage:
    """An open notebook. `foreign`: addresses outside the loopback that were asked for; `errors`: of the page."""

    IDLE = """() => { const w = window.jupyterapp?.shell?.currentWidget;
        const k = w?.sessionContext?.session?.kernel;
        return !!k && k.connectionStatus === 'connected' && k.status === 'idle'; }"""

    def __init__(self, page: Page, lab: LabServer) -> None:
        self.page, self.lab = page, lab
        self.foreign: list[str] = []
        self.errors: list[str] = []

    def open(self, name: str) -> None:
        """Open a notebook of the server's root and wait for its kernel."""
        self.page.goto(f"{self.lab.url}/lab/tree/{name}?reset")
        self.page.wait_for_function("() => window.jupyterapp?.restored.then(() => true)", timeout=OPENING_MS)
        self.idle()

    def idle(self) -> None:
        """Wait until the kernel has nothing to do."""
        self.page.wait_for_function(self.IDLE, timeout=OPENING_MS)

    def ready(self) -> None:
        """Wait until the kernel takes orders: just after an error it drops what it is asked."""
        kernel = "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel"
        asked = f"{kernel}.requestExecute({{ code: '', silent: true }}).done"
        self.page.wait_for_function(f"() => {asked}.then(r => r.content.status === 'ok')", timeout=OPENING_MS)
        self.idle()

    def command(self, name: str, **arguments: Any) -> bool:
        """Do what a menu entry does, and wait for its end."""
        call = "([n, a]) => window.jupyterapp.commands.execute(n, a).then(r => r === true)"
        return bool(self.page.evaluate(call, [name, arguments]))

    def start(self, name: str, **arguments: Any) -> None:
        """Do what a menu entry does, without waiting."""
        self.page.evaluate("([n, a]) => { window.jupyterapp.commands.execute(n, a); }", [name, arguments])

    def run_all(self) -> bool:
        """True when every cell ran, False when one raised; returns when the last one is done."""
        return self.command("notebook:run-all-cells")

    def restart(self) -> None:
        """Restart the kernel, without the question."""
        kernel = "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel"
        self.page.evaluate(f"() => {kernel}.restart()")
        self.idle()

    def save(self) -> None:
        """Write the notebook to its file."""
        self.command("docmanager:save")

    def select(self, index: int) -> None:
        """Make a cell the active one."""
        self.page.evaluate("(i) => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = i; }", index)

    def run(self, index: int) -> bool:
        """Run one cell to its end; False when it raised."""
        self.select(index)
        return self.command("notebook:run-cell")

    def start_cell(self, index: int) -> None:
        """Begin to run one cell."""
        self.select(index)
        self.start("notebook:run-cell")

    def cell(self, index: int) -> Locator:
        """A cell, of any kind, counted from 0."""
        return self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook .jp-Cell").nth(index)

    def output(self, index: int) -> Locator:
        """The outputs of a cell."""
        return self.cell(index).locator(".jp-OutputArea-output")
