// The review view: what a promotion rests on, and Approve, Promote, Roll back, each asked twice. What may be done, and
// why not, comes from the kernel, which checks again before anything moves.

/** @typedef {{kind: string, title: string, open: boolean, headings?: string[], rows?: string[][], note?: string,
 *             lines?: [string, string][][], flips?: string[][]}} Section */
/**
 * @typedef {{ref: string, headline: string, moves: string[], warnings: string[], sentences: string[],
 *            actions: [string, string, string][], asked: {action: string, question: string}|null, by: string,
 *            hint: string, busy: string, said: string[], key: number, sections: Section[]}} State
 */

const FLIP = ["case", "model", "score", "input", "expected", "before", "after"];

/** @param {string[]} headings */
const drawHead = (headings) =>
  h("thead", {}, h("tr", {}, ...headings.map((text) => h("th", { scope: "col", text }))));

/** A cell that scrolls; reachable by keyboard where it may. @param {string} text */
const boxed = (text) => h("td", {}, h("div", { class: "wb-text wb-cell", tabindex: text.length > 150 ? 0 : null, text }));

/** @param {Section} one */
function drawTable(one) {
  const rows = one.rows.map((row) => h("tr", {}, ...row.map((text, i) =>
    one.headings.length ? h("td", { class: "wb-text", text })
      : h(i ? "td" : "th", { class: "wb-text", scope: i ? null : "row", text }))));
  return [
    h("div", { class: "wb-wide" }, h("table", { "aria-label": one.title },
      one.headings.length ? drawHead(one.headings) : null, h("tbody", {}, ...rows))),
    one.note ? h("p", { class: "wb-quiet", text: one.note }) : null,
  ];
}

/** Added words are underlined and removed ones struck out, not only coloured. @param {Section} one */
function drawDiff(one) {
  const pieces = one.lines.flatMap((line, i) => [
    ...(i ? ["\n"] : []),
    ...line.map(([sign, text]) => sign === "=" ? text : h(sign === "+" ? "ins" : "del", { text })),
  ]);
  return [
    h("p", { class: "wb-quiet" }, h("del", { text: "Struck through" }), ": removed. ", h("ins", { text: "Underlined" }),
      ": added."),
    h("div", { class: "wb-text wb-box", tabindex: 0, role: "group", "aria-label": one.title }, ...pieces),
  ];
}

/** @param {Section} one */
function drawFlips(one) {
  const rows = one.flips.map(([name, model, score, ...texts]) => h("tr", {}, h("th", { scope: "row", text: name }),
    h("td", { text: model }), h("td", { text: score }), ...texts.map(boxed)));
  const note = one.flips.length ? `${one.flips.length} shown, the largest changes first; ${one.note}` : one.note;
  return [
    h("p", { class: "wb-quiet", text: note }),
    rows.length ? h("div", { class: "wb-wide" }, h("table", { class: "wb-flips", "aria-label": one.title }, drawHead(FLIP),
      h("tbody", {}, ...rows))) : null,
  ];
}

const DRAW = { table: drawTable, diff: drawDiff, flips: drawFlips };

/** The sections; each keeps whether it is open when its content changes. */
function makeSections() {
  const node = h("div");
  const open = new Map();
  let key = null;
  const draw = (state) => {
    if (key === state.key) return;
    key = state.key;
    node.replaceChildren(...state.sections.map((one, place) => {
      const shown = open.has(place) ? open.get(place) : one.open;
      return h("details", { class: "wb-section", open: shown, ontoggle: (event) => open.set(place, event.target.open) },
        h("summary", { text: one.title }), ...DRAW[one.kind](one).filter(Boolean));
    }));
  };
  return { node, draw };
}

/** Name field and buttons, with what stands against each. @param {(message: object) => void} tell */
function makeActions(tell) {
  const mark = `wb-${Math.random().toString(36).slice(2)}`;
  const name = h("input", { type: "text", size: 24, maxlength: 200, "aria-describedby": `${mark}-hint` });
  const buttons = new Map();
  const made = (action, text) => h("button", { type: "button", text, onclick: () =>
    tell(action === "refresh" ? { type: "refresh" } : { type: "ask", action, by: name.value }) });
  const bar = h("div", { class: "wb-acts", role: "group", "aria-label": "decide" });
  const reasons = h("ul", { class: "wb-reasons" });
  const hint = h("p", { class: "wb-quiet wb-hint", id: `${mark}-hint` });
  const node = h("div", {}, bar, reasons, hint);
  /** @param {State} state */
  const draw = (state) => {
    if (!buttons.size) {
      name.value = state.by;
      bar.append(h("label", {}, "Approve as ", name));
      for (const [action, text] of [...state.actions.map(([one, word]) => [one, `${word} …`]), ["refresh", "Refresh"]]) {
        buttons.set(action, bar.appendChild(made(action, text)));
      }
    }
    const told = state.actions.filter(([, , reason]) => reason).map(([action, word, reason]) => {
      const points = reason.split("\n");
      return h("li", { id: `${mark}-${action}` }, `${word} is not possible: `, ...(points.length > 1
        ? [h("ul", {}, ...points.map((text) => h("li", { text })))] : points));
    });
    const words = (nodes) => [...nodes].map((one) => one.textContent).join("\n");
    if (words(told) !== words(reasons.children)) reasons.replaceChildren(...told);
    const waiting = Boolean(state.busy || state.asked);
    for (const [action, , reason] of [...state.actions, ["refresh", "", ""]]) {
      const one = buttons.get(action);
      one.disabled = waiting || Boolean(reason);
      if (reason) one.setAttribute("aria-describedby", `${mark}-${action}`);
      else one.removeAttribute("aria-describedby");
    }
    put(hint, state.hint);
  };
  const wait = () => buttons.forEach((one) => { one.disabled = true; });
  return { node, draw, wait, button: (action) => buttons.get(action) };
}

/** The question before anything is done. @param {(message: object) => void} tell @param {Map<string, string>} words */
function makeQuestion(tell, words) {
  const text = h("p");
  const sure = h("button", { type: "button", class: "wb-sure" });
  const no = h("button", { type: "button", text: "Cancel", onclick: () => tell({ type: "cancel" }) });
  const node = h("div", { class: "wb-ask", role: "alertdialog", "aria-label": "confirm", tabindex: -1, hidden: true },
    text, sure, no);
  let action = null;
  sure.addEventListener("click", () => tell({ type: "confirm", action }));
  node.addEventListener("keydown", (event) => { if (event.key === "Escape") tell({ type: "cancel" }); });
  /** @param {State} state */
  const draw = (state) => {
    const before = action;
    action = state.asked && state.asked.action;
    node.hidden = !state.asked;
    sure.disabled = no.disabled = false;
    if (!state.asked) return;
    put(text, state.asked.question);
    put(sure, `Yes, ${words.get(action).toLowerCase()}`);
    if (before !== action) node.focus({ preventScroll: true });  // not the button: a key held down would confirm
  };
  const wait = () => { sure.disabled = no.disabled = true; };
  return { node, draw, wait };
}

/** @param {{model: Model, el: HTMLElement}} given */
function render({ model, el }) {
  const view = frame(model, el, `Review of ${model.get("state").ref}`);
  view.root.classList.add("wb-review");
  view.root.dataset.lmSuppressShortcuts = "true";  // else JupyterLab takes Enter on a button, and d d, for its own
  view.root.tabIndex = -1;
  let acted = null;
  const tell = (message) => {
    acted = message.action || acted || "refresh";
    actions.wait();
    question.wait();
    view.tell(message);
  };
  const words = new Map(model.get("state").actions);
  const headline = h("p", { class: "wb-headline" });
  const moves = h("div", { class: "wb-moves" });
  const warnings = h("div", { class: "wb-intro" });
  const sentences = h("div", { class: "wb-intro" });
  const said = h("p", { role: "status", class: "wb-said" });
  const actions = makeActions(tell), question = makeQuestion(tell, words), sections = makeSections();
  const lines = (node, texts, name) => {
    if (node.children.length !== texts.length) node.replaceChildren(...texts.map(() => h("p", { class: name })));
    texts.forEach((text, i) => put(node.children[i], text));
  };
  const draw = () => {
    /** @type {State} */
    const state = model.get("state");
    put(headline, state.headline);
    lines(moves, state.moves);
    lines(warnings, state.warnings, "wb-warning");
    lines(sentences, state.sentences);
    actions.draw(state);
    put(said, state.busy || state.said.join("\n"));
    question.draw(state);
    sections.draw(state);
    if (acted && !state.busy && !state.asked) {  // what had the focus was disabled or hidden meanwhile
      const here = view.root.getRootNode().activeElement;
      const next = actions.button(acted).disabled ? view.root : actions.button(acted);
      if (!here || here === document.body || view.root.contains(here)) next.focus({ preventScroll: true });
      acted = null;
    }
  };
  view.root.addEventListener("keydown", (event) => event.stopPropagation());
  view.body.append(headline, moves, warnings, sentences, actions.node, question.node, said, sections.node);
  view.on("change:state change:alert", draw);
  leaveWithKernel(model, view);
  draw();
  return view.clean;
}

export default { render };
