// The run view: a grid that fills up, the money, the pace, the running verdict, Stop and Resume.

/** @typedef {{share: number, count: string, mean: string, more: string, failed: boolean}} Cell */
/**
 * @typedef {{run: string, state: string, done: number, total: number, counts: string, money: string,
 *            spent: number|null, pace: string, verdict: string, caption: string, message: string, troubles: string[],
 *            metric: string, prompts: string[], models: string[], cells: (Cell|null)[][]}} State
 */

/** A bar; what it says stands beside it as text. @param {string} name */
function bar(name) {
  const fill = h("div", { class: "wb-fill" });
  const set = (share) => { fill.style.width = `${Math.round(1000 * share) / 10}%`; };
  return { node: h("div", { class: `wb-bar ${name}`, "aria-hidden": "true" }, fill), set };
}

/** The parts of one cell, drawn once and then only told what changed. @param {Cell|null} cell */
function drawCell(cell) {
  if (cell === null) return { node: h("td", { text: "–" }), set: () => {} };
  const mean = h("strong", { class: "wb-mean" });
  const count = h("span", { class: "wb-count" });
  const more = h("div", { class: "wb-more" });
  const filled = bar("wb-small");
  const node = h("td", {}, h("div", { class: "wb-line" }, count, mean), filled.node, more);
  const set = (now) => {
    put(mean, now.mean);
    put(count, now.count);
    put(more, now.more);
    more.classList.toggle("wb-failed", now.failed);
    filled.set(now.share);
  };
  set(cell);
  return { node, set };
}

/** The grid. @param {State} state */
function drawGrid(state) {
  const drawn = state.cells.map((row) => row.map(drawCell));
  const head = h("tr", {}, h("th", { scope: "col", text: "prompt" }),
    ...state.models.map((model) => h("th", { scope: "col", text: model })));
  const rows = state.prompts.map((prompt, i) =>
    h("tr", {}, h("th", { scope: "row", text: prompt }), ...drawn[i].map((cell) => cell.node)));
  const said = `Trials done and mean ${state.metric} so far`;
  const node = h("div", {}, h("p", { "aria-hidden": "true", text: said }),
    h("div", { class: "wb-wide" }, h("table", { "aria-label": said }, h("thead", {}, head), h("tbody", {}, ...rows))));
  const set = (now) => now.cells.forEach((row, i) => row.forEach((cell, j) => cell && drawn[i][j].set(cell)));
  return { node, set };
}

function render({ model, el }) {
  const view = frame(model, el, `Run ${model.get("state").run}`);
  view.root.classList.add("wb-run");
  view.root.tabIndex = -1;
  view.root.dataset.lmSuppressShortcuts = "true";  // else JupyterLab takes d d on a button for its own, and deletes the cell
  view.root.addEventListener("keydown", (event) => {
    if (event.repeat && event.key === "Enter") event.preventDefault();  // a key held down on Stop would resume
    event.stopPropagation();
  });
  leaveWithKernel(model, view);
  const status = h("span", { class: "wb-state" });
  const counts = h("span", { role: "status" });
  const money = h("span");
  const pace = h("p", { class: "wb-quiet" });
  const verdict = h("p");
  const troubles = h("p", { class: "wb-text wb-failed" });
  const message = h("p", { role: "status" });
  const caption = h("p", { class: "wb-quiet" });
  const all = bar("wb-all");
  const spent = bar("wb-spent");
  // not disabled: a disabled or hidden button loses the focus, and JupyterLab takes the next key
  const off = (one) => one.getAttribute("aria-disabled") === "true";
  const tell = (type) => {
    for (const one of [stop, resume]) one.setAttribute("aria-disabled", "true");
    view.tell({ type });
  };
  const made = (text, type, title) => button(text, () => { if (!off(buttons[type])) tell(type); }, { title, "data-at": "go" });
  const stop = made("Stop", "stop", "Hand out no more trials; calls under way finish");
  const resume = made("Resume", "resume", "Go on with the trials that are missing");
  const buttons = { stop, resume };
  let grid = drawGrid(model.get("state"));
  let shape = "";
  let spoken = 0;

  const draw = () => {
    /** @type {State} */
    const state = model.get("state");
    const now = JSON.stringify([state.prompts, state.models, state.metric]);
    if (now !== shape) {
      const fresh = drawGrid(state);
      grid.node.replaceWith(fresh.node);
      grid = fresh;
      shape = now;
    }
    grid.set(state);
    put(status, state.state);
    // a live region that changes ten times a second says nothing to anybody
    if (Date.now() - spoken > 1000 || state.state !== "running") { put(counts, state.counts); spoken = Date.now(); }
    put(money, state.money);
    put(pace, state.pace);
    put(verdict, state.verdict);
    put(message, state.message);
    message.hidden = !state.message;
    put(caption, state.caption);
    caption.hidden = !state.caption;
    put(troubles, state.troubles.join("\n"));
    troubles.hidden = !state.troubles.length;
    all.set(state.total ? state.done / state.total : 1);
    spent.node.hidden = state.spent === null;
    spent.set(state.spent || 0);
    keepFocus(view.root, () => {
      stop.hidden = state.state === "stopped";
      stop.setAttribute("aria-disabled", String(state.state !== "running"));
      resume.hidden = state.state !== "stopped";
      resume.setAttribute("aria-disabled", "false");
    });
  };

  const head = h("div", { class: "wb-head" }, h("strong", { text: `Run ${model.get("state").run}` }), status,
    h("span", { class: "wb-buttons" }, stop, resume));
  const facts = h("div", { class: "wb-head" }, counts, h("span", { class: "wb-money" }, money, spent.node));
  view.body.append(head, all.node, facts, pace, message, troubles, grid.node, verdict, caption);
  view.on("change:state", draw);
  draw();
  return view.clean;
}

export default { render };
