// What all views share; it stands before each view's own module. Text goes in as text, never as HTML.

/**
 * @typedef {{get(name: string): any, on(names: string, f: Function): void, off(names: string, f: Function): void,
 *            send(message: object): void}} Model
 */

const PATIENCE_MS = 5000;
const GONE = "The kernel has not answered for 5 seconds: it is busy with a cell, or gone. If it was restarted, run the " +
  "cell again; results are kept on disk.";

/**
 * An element. Attributes are set as such, `on…` functions are listened to, `text` is its text.
 * @param {string} tag @param {Object<string, any>} [attributes] @param {...(Node|string|null)} children
 * @returns {any}
 */
function h(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "text") made.textContent = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** Set text only where it changed: screen readers speak what changes. @param {Node} node @param {string} text */
function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** A button that says what it does to screen readers too. @param {string} text @param {() => void} f */
const button = (text, f, more = {}) => h("button", { type: "button", text, onclick: f, ...more });

/** A control with its label. @param {string} text @param {HTMLElement} control */
const labelled = (text, control) => h("label", {}, h("span", { text: `${text} ` }), control);

/** Fill a select with texts, and hide it where there is nothing to choose. */
function fill(select, entries, value) {
  const key = JSON.stringify(entries);
  if (select.dataset.key !== key) {
    select.replaceChildren(...entries.map(([name, text]) => h("option", { value: name, text })));
    select.dataset.key = key;
  }
  select.value = value;
  select.parentElement.hidden = entries.length < 2;
}

/** A text, cut by the kernel, with a button for more of it. `at` names both for `keepFocus`. */
function block(text, left, more, at = null) {
  const shown = left ? button(left > 200000 ? `show 200,000 more of ${left.toLocaleString("en")} characters`
    : `show all, ${left.toLocaleString("en")} more characters`, more, { "data-at": at && `${at} more` }) : null;
  const box = { class: "wb-text wb-box", dir: "auto", tabindex: 0, "data-at": at };
  return [h("div", box, ...(Array.isArray(text) ? text : [text])), shown];
}

/**
 * Draw, and leave the focus where it was: on what bears the same `data-at` now, else on the view itself.
 * @param {HTMLElement} root @param {() => void} draw
 */
function keepFocus(root, draw) {
  const active = () => root.getRootNode().activeElement;
  const usable = (node) => node && root.contains(node) && !node.disabled && !node.closest("[hidden]");
  const inside = root.contains(active()), at = active()?.dataset.at;
  draw();
  if (!inside || usable(active())) return;
  const same = at ? [...root.querySelectorAll("[data-at]")].find((node) => node.dataset.at === at && usable(node)) : null;
  (same || root).focus({ preventScroll: true });
}

/**
 * The frame of a view: a body to draw into, an alert, and a way to tell the kernel something.
 * `on(names, f)` listens to the model until `clean()`; `tell(message)` sends, and says so when nobody answers.
 * @param {Model} model @param {HTMLElement} el @param {string} label
 */
function frame(model, el, label) {
  const alert = h("p", { role: "alert", class: "wb-alert" });
  const body = h("div", { class: "wb-body" });
  const root = h("section", { class: "wb-view", "aria-label": label }, alert, body);
  const heard = [];
  const waiting = new Map();
  const ends = [];
  let last = 0;
  const say = (text) => { put(alert, text); alert.hidden = !text; };
  const on = (names, f) => { model.on(names, f); heard.push([names, f]); };
  const tell = (message) => {
    const id = ++last;
    waiting.set(id, setTimeout(() => say(GONE), PATIENCE_MS));
    try { model.send({ ...message, id }); } catch (error) { say(`${GONE} (${error})`); }
  };
  on("change:alert", () => say(model.get("alert") || ""));
  on("msg:custom", (message) => {
    if (message.type !== "heard" || !waiting.has(message.id)) return;
    clearTimeout(waiting.get(message.id));
    waiting.delete(message.id);
    if (alert.textContent.startsWith(GONE)) say(model.get("alert") || "");
  });
  say(model.get("alert") || "");
  el.replaceChildren(root);
  const clean = () => {
    for (const end of ends) end();
    for (const timer of waiting.values()) clearTimeout(timer);
    for (const [names, f] of heard) model.off(names, f);
    root.remove();
  };
  return { root, body, on, tell, say, clean, ends };
}

/**
 * For views that hold nothing of the reader's: a kernel that restarts leaves the static form alone. This part goes, and
 * from the notebook too: opened again it would say "Loading widget..." for ever.
 * @param {Model} model @param {{on: Function, ends: Function[]}} view
 */
function leaveWithKernel(model, { on, ends }) {
  const manager = model.widget_manager, kernel = manager && manager.kernel;
  if (!kernel || !kernel.statusChanged) return;  // not JupyterLab
  let whole = null;
  const changed = (_, status) => {
    if (!whole || !["restarting", "autorestarting", "dead"].includes(status)) return;
    for (const cell of manager.context?.model?.cells || []) forget(cell.outputs, whole.model_id);
    whole.close(true);
  };
  on("change:drawn", (one) => { whole = one; });  // what is listened to comes with the whole model, which can be closed
  model.set("drawn", Math.random());
  kernel.statusChanged.connect(changed);
  ends.push(() => kernel.statusChanged.disconnect(changed));
}

/** Leave nothing of a widget in a cell's outputs. @param {any} outputs @param {string} id */
function forget(outputs, id) {
  for (let place = 0; outputs && place < outputs.length; place++) {
    const shown = outputs.get(place).data["application/vnd.jupyter.widget-view+json"];
    if (shown && shown.model_id === id) outputs.set(place, { output_type: "display_data", data: {}, metadata: {} });
  }
}
