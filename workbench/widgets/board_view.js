// The board: leaderboard and chart of quality against cost, linked. Rows come sorted and points placed; a click tells
// the kernel, and what is chosen comes back with the state.

/** @typedef {{arm: number, number: number, cells: string[], bar: [number, number, number]|null}} Line */
/** @typedef {{arm: number, number: number, x: number, y: number, low: number, high: number, said: string}} Point */

const SVG = ["http:", "", "www.w3.org", "2000", "svg"].join("/");  // a name, nothing is fetched
// the shapes and colours of the static chart, in its order
const SHAPES = ["M-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0", "M-4.5 -4.5h9v9h-9z", "M0 -6.2L6.2 0L0 6.2L-6.2 0z",
  "M-5.6 4.4h11.2L0 -6z", "M-5.6 -4.4h11.2L0 6z", "M-2 -6h4v4h4v4h-4v4h-4v-4h-4v-4h4z",
  "M-5.5 -3L-3 -5.5L0 -2.5L3 -5.5L5.5 -3L2.5 0L5.5 3L3 5.5L0 2.5L-3 5.5L-5.5 3L-2.5 0z",
  "M0 -6.5L1.6 -2.2L6.2 -2L2.6 .8L3.8 5.3L0 2.7L-3.8 5.3L-2.6 .8L-6.2 -2L-1.6 -2.2z"];
const HUES = ["#3880c8", "#d0700c", "#2e9e44", "#d6453d", "#8e63ce", "#9a6b4f", "#d255a0", "#808080", "#8a8a00", "#1295a8"];
const WIDE = 560, HIGH = 340, LEFT = 54, RIGHT = 24, TOP = 14, BELOW = 46;
const HELP = "Number, shape (prompt) and colour (model) are those of the table. In the chart arrow keys walk from point " +
  "to point, Enter chooses; the line joins the arms that no other arm beats in quality and cost both.";
const POINT_AT = "Point at a row or at a point, or move to it by keys, for its numbers.";

/** An element of a drawing. @param {string} tag @param {Object<string, any>} attributes @param {...Node} children */
function drawn(tag, attributes, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") made.textContent = value;
    else made.setAttribute(name, String(value));
  }
  made.append(...children);
  return made;
}

/** An arm's shape in its colour. @param {[number, number]} look */
const mark = ([shape, hue]) => drawn("path", { d: SHAPES[shape % SHAPES.length], fill: HUES[hue % HUES.length], class: "wb-mark" });

/** A bar from the lower to the upper limit, a mark at the mean; its numbers stand beside it. */
function intervalBar(bar) {
  if (!bar) return h("td");
  const [low, middle, high] = bar.map((share) => share * 100);
  const box = drawn("svg", { width: 50, height: 12, viewBox: "0 0 102 12", preserveAspectRatio: "none", "aria-hidden": "true" },
    drawn("rect", { width: 102, height: 12, class: "wb-ground" }),
    drawn("rect", { x: low, width: Math.max(high - low, 1), height: 12, class: "wb-range" }),
    drawn("rect", { x: middle, width: 2, height: 12, class: "wb-middle" }));
  return h("td", {}, box);
}

/** The leaderboard: a row is chosen by its box, or by a click anywhere on it. */
function makeTable(tell, near) {
  const head = h("tr"), body = h("tbody"), more = h("p", { class: "wb-quiet" });
  const node = h("div", { class: "wb-wide" }, h("table", { "aria-label": "leaderboard" }, h("thead", {}, head), body), more);
  let headings = "", rows = "", now = "";
  const sortBy = (name) => {
    const next = now === name ? `-${name}` : now === `-${name}` ? "" : name;
    tell({ type: "set", name: "sort", value: next });
  };
  const drawHead = (names) => {
    const cells = names.map((name, place) =>
      h("th", { scope: "col", class: place > 1 ? "wb-number" : null }, button(name, () => sortBy(name), { class: "wb-sort", "data-name": name })));
    cells.splice(3, 0, h("th", { scope: "col", text: "", "aria-label": "interval, drawn" }));
    head.replaceChildren(h("th", { scope: "col", text: "choose" }), ...cells);
  };
  const row = (/** @type {Line} */ line, state) => {
    const choose = () => tell({ type: "choose", arm: line.arm });
    const box = h("input", { type: "checkbox", "aria-label": `choose ${line.number}. ${line.cells[0]} × ${line.cells[1]}`,
      onchange: choose });
    const shape = drawn("svg", { width: 14, height: 14, viewBox: "-7 -7 14 14", "aria-hidden": "true" }, mark(state.looks[line.arm]));
    const cells = line.cells.map((text, place) => h("td", { text, dir: place < 2 ? "auto" : null,
      class: place > 1 ? "wb-number" : "wb-name" }));
    cells.splice(3, 0, intervalBar(line.bar));
    const made = h("tr", { "data-arm": line.arm, onmouseenter: () => near(line.arm), onfocusin: () => near(line.arm) },
      h("td", { class: "wb-choice" }, h("label", {}, box, h("span", { text: ` ${line.number} ` }), shape)), ...cells);
    made.addEventListener("click", (event) => {
      if (!event.target.closest("label") && !String(document.getSelection())) choose();
    });
    return made;
  };
  const show = (made) => {  // a row chosen in the chart
    const top = made.offsetTop, shown = node.clientHeight, over = head.offsetHeight;
    if (top < node.scrollTop + over) node.scrollTop = top - over;
    else if (top + made.offsetHeight > node.scrollTop + shown) node.scrollTop = top + made.offsetHeight - shown;
  };
  const draw = (state) => {
    const { table } = state;
    now = table.sort;
    if (headings !== String(table.headings)) { headings = String(table.headings); drawHead(table.headings); }
    [...head.children].forEach((cell) => {
      const one = cell.querySelector("button");
      if (!one) return;
      const way = now === one.dataset.name ? "ascending" : now === `-${one.dataset.name}` ? "descending" : "none";
      cell.setAttribute("aria-sort", way);
    });
    const key = JSON.stringify([table.rows, state.looks]);
    if (rows !== key) { rows = key; body.replaceChildren(...table.rows.map((line) => row(line, state))); }
    for (const made of body.children) {
      const on = state.selected.includes(Number(made.dataset.arm));
      if (on && !made.classList.contains("wb-on")) show(made);
      made.classList.toggle("wb-on", on);
      made.querySelector("input").checked = on;
    }
    put(more, table.more ? `and ${table.more.toLocaleString("en")} more rows` : "");
  };
  return { node, body, draw };
}

/** The chart: each arm a point with its interval; points are the options of a list box with one tab stop. */
function makeChart(tell, near) {
  const axes = drawn("g", { "aria-hidden": "true" });
  const points = drawn("g", { role: "listbox", "aria-multiselectable": "true", "aria-orientation": "horizontal",
    "aria-label": "Arms, quality against cost, from cheap to dear" });
  const svg = drawn("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, class: "wb-chart" }, axes, points);
  const left = h("p", { class: "wb-quiet wb-text" });
  const node = h("div", { class: "wb-plot" }, svg, left);
  const across = (share) => LEFT + share * (WIDE - LEFT - RIGHT), up = (share) => TOP + (1 - share) * (HIGH - TOP - BELOW);
  let key = "";
  const line = (x1, y1, x2, y2, name) => drawn("line", { x1, y1, x2, y2, class: name });
  const drawAxes = ({ costs, qualities, cost_name, quality_name, front, free }) => {
    const bottom = up(0), end = across(1), middle = (TOP + bottom) / 2;
    axes.replaceChildren(
      ...qualities.flatMap(([share, text]) => [line(LEFT, up(share), end, up(share), "wb-grid"),
        drawn("text", { x: LEFT - 6, y: up(share) + 4, "text-anchor": "end", text })]),
      ...costs.flatMap(([share, text]) => [line(across(share), TOP, across(share), bottom, "wb-grid"),
        drawn("text", { x: across(share), y: bottom + 16, "text-anchor": "middle", text })]),
      line(LEFT, TOP, LEFT, bottom, "wb-axis"), line(LEFT, bottom, end, bottom, "wb-axis"),
      ...(free ? [drawn("text", { x: across(0.11), y: bottom + 5, "text-anchor": "middle", text: "//" })] : []),
      drawn("text", { x: (LEFT + end) / 2, y: HIGH - 8, "text-anchor": "middle", text: cost_name }),
      drawn("text", { x: 0, y: 0, "text-anchor": "middle", transform: `translate(12 ${middle}) rotate(-90)`, text: quality_name }),
      drawn("polyline", { points: front.map(([x, y]) => `${across(x)},${up(y)}`).join(" "), class: "wb-front" }));
  };
  /** Where a point's number stands: beside it, where no mark and no other number is. */
  const numberPlace = (x, y, text, taken) => {
    const wide = 7 * text.length;
    const spots = [[9, -5], [-9 - wide, -5], [9, 13], [-9 - wide, 13], [-wide / 2, -14], [-wide / 2, 22], [22, 4], [-22 - wide, 4]];
    const boxes = spots.map(([dx, dy]) => [x + dx, y + dy - 9, x + dx + wide, y + dy]);
    const free = boxes.find((a) => !taken.some((b) => a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3])) || boxes[0];
    taken.push(free);
    return { x: free[0], y: free[3] };
  };
  const point = (/** @type {Point} */ one, look, taken) => {
    const x = across(one.x), y = up(one.y), low = up(one.low), high = up(one.high);
    const made = drawn("g", { role: "option", tabindex: -1, "aria-label": one.said, "data-arm": one.arm, class: "wb-point" },
      line(x, low, x, high, "wb-whisker"), line(x - 4, low, x + 4, low, "wb-whisker"), line(x - 4, high, x + 4, high, "wb-whisker"),
      drawn("circle", { cx: x, cy: y, r: 11, class: "wb-ring" }), drawn("g", { transform: `translate(${x} ${y})` }, mark(look)),
      drawn("text", { ...numberPlace(x, y, String(one.number), taken), text: one.number }));
    made.addEventListener("focus", () => { stop(made); near(one.arm); });
    return made;
  };
  const stop = (made) => { for (const one of points.children) one.setAttribute("tabindex", one === made ? "0" : "-1"); };
  const moved = (from, key) => {
    const all = [...points.children], place = all.indexOf(from);
    const height = (one) => Number(one.querySelector(".wb-ring").getAttribute("cy"));
    const stairs = [...all].sort((a, b) => height(b) - height(a));
    const to = { ArrowRight: all[place + 1], ArrowLeft: all[place - 1], Home: all[0], End: all[all.length - 1],
      ArrowUp: stairs[stairs.indexOf(from) + 1], ArrowDown: stairs[stairs.indexOf(from) - 1] }[key];
    if (to) to.focus();
  };
  /** The point that a pointer means, for they lie close together: the nearest one, within a few pixels. */
  const meant = (event) => {
    const box = svg.getBoundingClientRect(), scale = box.width / WIDE, reach = 16;
    const away = (one) => {
      const ring = one.querySelector(".wb-ring");
      return Math.hypot(event.clientX - box.left - ring.getAttribute("cx") * scale, event.clientY - box.top - ring.getAttribute("cy") * scale);
    };
    const [first] = [...points.children].sort((a, b) => away(a) - away(b));
    return first && away(first) <= reach ? first : null;
  };
  svg.addEventListener("click", (event) => {
    const one = meant(event);
    if (one) { stop(one); tell({ type: "choose", arm: Number(one.dataset.arm) }); }
  });
  svg.addEventListener("mousemove", (event) => {
    const one = meant(event);
    svg.classList.toggle("wb-meant", one !== null);
    if (one) near(Number(one.dataset.arm));
  });
  points.addEventListener("keydown", (event) => {
    const from = event.target.closest(".wb-point");
    if (!from || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    if (event.key === "Enter" || event.key === " ") tell({ type: "choose", arm: Number(from.dataset.arm) });
    else if (/^(Arrow(Left|Right|Up|Down)|Home|End)$/.test(event.key)) moved(from, event.key);
    else return;
    event.preventDefault();
  });
  const draw = (state) => {
    const fresh = JSON.stringify([state.chart, state.looks]);
    if (key !== fresh) {
      key = fresh;
      drawAxes(state.chart);
      const taken = state.chart.points.map((one) => [across(one.x) - 6, up(one.y) - 6, across(one.x) + 6, up(one.y) + 6]);
      points.replaceChildren(...state.chart.points.map((one) => point(one, state.looks[one.arm], taken)));
      stop(points.firstChild);
      put(left, state.chart.left_out);
    }
    for (const made of points.children) {
      const on = state.selected.includes(Number(made.dataset.arm));
      made.classList.toggle("wb-on", on);
      made.setAttribute("aria-selected", String(on));
    }
  };
  return { node, points, draw };
}

/** @param {{model: Model, el: HTMLElement}} given */
function render({ model, el }) {
  const view = frame(model, el, "leaderboard and chart"), { root, body, on, tell, clean } = view;
  root.classList.add("wb-board");
  root.tabIndex = -1;
  root.dataset.lmSuppressShortcuts = "true";  // arrow keys and Enter are ours here, not the notebook's
  const set = (name, value) => tell({ type: "set", name, value });
  const about = h("p", { class: "wb-about wb-text", text: POINT_AT });
  const near = (arm) => {
    for (const one of root.querySelectorAll("[data-arm]")) one.classList.toggle("wb-near", one.dataset.arm === String(arm));
    const { points, undrawn } = model.get("state").chart;
    const point = points.find((one) => one.arm === arm);
    put(about, point ? point.said : (undrawn.find((one) => one[0] === arm) || [arm, POINT_AT])[1]);
  };
  const metric = h("select", { onchange: () => set("metric", metric.value) });
  const by = h("input", { type: "checkbox", onchange: () => set("by", by.checked ? "tag" : "") });
  const byTag = labelled("by tag", by);
  const none = button("choose none", () => tell({ type: "none" }));
  const table = makeTable(tell, near), chart = makeChart(tell, near);
  const caption = h("p", { class: "wb-text" });  // above the table, which scrolls: who answered stays in sight
  const hint = h("p", { role: "status", class: "wb-hint" });
  const code = h("code", { class: "wb-text" });
  body.append(h("div", { class: "wb-row" }, labelled("metric", metric), byTag, none), caption,
    h("div", { class: "wb-both" }, table.node, chart.node, h("div", { class: "wb-beside" }, about, hint,
      h("p", { class: "wb-quiet", text: HELP }))), code);
  const draw = () => {
    const state = model.get("state");
    if (!state || !state.table) return;
    const inside = root.contains(root.getRootNode().activeElement);
    fill(metric, state.metrics.map((one) => [one, one]), state.metric);
    by.checked = state.by === "tag";
    byTag.hidden = !state.tagged;
    none.disabled = !state.selected.length;
    put(caption, state.caption);
    caption.hidden = !state.caption;
    table.draw(state);
    chart.draw(state);
    if (hint.textContent !== state.hint) hint.replaceChildren(h(state.is_code ? "code" : "span", { class: "wb-text", text: state.hint }));
    put(code, state.code);
    if (inside && !root.contains(root.getRootNode().activeElement)) root.focus({ preventScroll: true });
  };
  root.addEventListener("keydown", (event) => event.stopPropagation());
  on("change:state", draw);
  leaveWithKernel(model, view);
  draw();
  return clean;
}

export default { render };
