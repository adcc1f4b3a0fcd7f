"""A view's ES module in an empty page: no server, no kernel, a second a test.

view = open_view(page, "run_view", {"arms": []})
page.get_by_role("button", name="Stop").click()
assert view.told() == [{"type": "stop"}]
view.state({"arms": [...]})
view.message({"type": "details", "output": "..."})
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.widgets import base

if TYPE_CHECKING:
    from playwright.sync_api import Page

HARNESS = """async ([source, style, state]) => {
  const on = {};
  const traits = { state, alert: "" };
  const fire = (name, ...given) => [...(on[name] || [])].forEach((f) => f(...given));
  const model = {
    get: (k) => traits[k],
    set: (k, v) => { traits[k] = v; fire("change:" + k); },
    on: (names, f) => names.split(" ").forEach((n) => (on[n] ||= []).push(f)),
    off: (names, f) => names.split(" ").forEach((n) => { on[n] = (on[n] || []).filter((g) => g !== f); }),
    send: (message) => { told.push(message); }, save_changes: () => {},
  };
  const told = [];
  const sheet = document.createElement("style");
  sheet.textContent = style;
  document.head.append(sheet);
  const module = await import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
  const draw = async () => {
    const el = document.body.appendChild(document.createElement("div"));
    return module.default.render({ model, el });
  };
  window.wb = { model, told, fire, draw, on, clean: await draw() };
}"""


class View:
    """A drawn view and its stand-in kernel."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def state(self, state: dict[str, Any]) -> None:
        """What the kernel does when the state changed."""
        self.page.evaluate("(state) => window.wb.model.set('state', state)", state)

    def alert(self, text: str) -> None:
        """What the kernel does when something went wrong."""
        self.page.evaluate("(text) => window.wb.model.set('alert', text)", text)

    def message(self, message: dict[str, Any]) -> None:
        """A message from the kernel."""
        self.page.evaluate("(message) => window.wb.fire('msg:custom', message)", message)

    def told(self) -> list[dict[str, Any]]:
        """What the view told the kernel so far, without the numbers that ask for an answer."""
        found = self.page.evaluate("() => window.wb.told")
        return [{name: value for name, value in one.items() if name != "id"} for one in found]

    def answer(self) -> None:
        """Say of all that was told that it was heard."""
        self.page.evaluate(
            "() => window.wb.told.forEach((m) => window.wb.fire('msg:custom', {type: 'heard', id: m.id}))"
        )

    def draw_again(self) -> None:
        """The same model a second time, below the first."""
        self.page.evaluate("async () => { window.wb.cleanToo = await window.wb.draw(); }")

    def clean(self) -> int:
        """Call the first drawing's clean-up; how many listeners are left on the model."""
        self.page.evaluate("() => window.wb.clean()")
        return int(self.page.evaluate("() => Object.values(window.wb.on).reduce((n, l) => n + l.length, 0)"))


def open_view(page: Page, name: str, state: dict[str, Any], *, dark: bool = False) -> View:
    """Draw `<name>.js` into an empty page; `dark`: with the colours of a dark theme."""
    page.set_content(f"<!doctype html><body style='margin:12px{DARK if dark else ''}'></body>")
    page.evaluate(HARNESS, [base.source(name), base.styles(name), state])
    return View(page)


DARK = (
    ";background:#111;color:#eee;--jp-ui-font-color1:#eee;--jp-ui-font-color2:#bbb;--jp-layout-color2:#333"
    ";--jp-layout-color3:#444;--jp-border-color1:#666;--jp-border-color2:#555"
)
