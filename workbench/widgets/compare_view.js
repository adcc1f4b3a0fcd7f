// The compare view: a list of cases, and the answers of two to four arms to the one on screen. State comes down, wishes
// go up; nothing is filtered, counted or compared here.

const WORDS = { all: "all", better: "to better", worse: "to worse", wrong: "all wrong", errors: "errors", queue: "label queue",
  voted: "voted" };
const KEYS = "j, k: next, previous case · f: next filter · d: diff on, off · 1–4: the answer to compare with · " +
  "Shift+A to Shift+D: that answer is better · Shift+T: tie · r: show names · n: write a note";

/** The verdict, and what can be chosen: made once, drawn from each state. */
function makeHead(tell) {
  const set = (name, value) => tell({ type: "set", name, value });
  let now = { kind: "all", tag: "", text: "" };
  const wish = (part) => {
    const next = { ...now, ...part };
    set("filter", [next.kind, next.tag && `tag:${next.tag}`, next.text && `text:${next.text}`].filter(Boolean).join(" "));
  };
  const verdict = h("div", { class: "wb-verdict" });
  const kinds = h("div", { role: "group", "aria-label": "cases", class: "wb-row" });
  const tag = h("select", { onchange: () => wish({ tag: tag.value }) });
  const text = h("input", { type: "search", placeholder: "words, then Enter", onchange: () => wish({ text: text.value }) });
  const held = h("select", { onchange: () => set("held", held.value) });
  const sort = h("select", { onchange: () => set("sort", sort.value) });
  const flags = ["blind", "diff"].map((name) => button(name, () => tell({ type: "toggle", name })));
  const flag = (name) => flags[name === "blind" ? 0 : 1];
  const controls = h("div", { class: "wb-row" }, labelled("on", held), labelled("tag", tag), labelled("text", text),
    labelled("sort by", sort), ...flags);
  const draw = (state) => {
    now = state.filter;
    if (verdict.dataset.key !== JSON.stringify(state.verdict)) {
      verdict.dataset.key = JSON.stringify(state.verdict);
      verdict.replaceChildren(...state.verdict.map(([line, strong]) => h("p", {}, h(strong ? "strong" : "span", { text: line }))));
    }
    while (kinds.children.length < state.kinds.length) kinds.append(button("", () => {}));
    state.kinds.forEach(([kind, count], place) => {
      const one = kinds.children[place];
      put(one, `${WORDS[kind] || kind} ${count.toLocaleString("en")}`);
      one.setAttribute("aria-pressed", String(kind === now.kind));
      one.onclick = () => wish({ kind });
    });
    fill(tag, [["", "any"], ...state.tags.map((one) => [one, one])], now.tag);
    fill(held, state.helds.map((one) => [one, one]), state.set.held);
    fill(sort, [["change", "size of change"], ["order", "order of the run"]], state.set.sort);
    if (document.activeElement !== text) text.value = now.text;
    for (const name of ["blind", "diff"]) {
      flag(name).setAttribute("aria-pressed", String(state.set[name]));
      put(flag(name), `${name} ${state.set[name] ? "on" : "off"}`);
    }
  };
  return { nodes: [verdict, kinds, controls], draw };
}

/** The list of cases: one page of it; the one on screen is the only one in the tab order. */
function makeList(tell) {
  const body = h("tbody");
  const said = h("p", { role: "status", class: "wb-quiet" });
  const pages = [-1, 1].map((by) => button(by < 0 ? "◀ earlier" : "later ▶", () => tell({ type: "page", by })));
  const heads = ["case", "change", "vote"].map((text) =>
    h("th", { scope: "col", text, class: text === "change" ? "wb-number" : null }));
  const table = h("table", { "aria-label": "cases" }, h("thead", {}, h("tr", {}, ...heads)), body);
  const scroll = h("div", { class: "wb-scroll" }, table);
  const node = h("div", { class: "wb-list" }, said, scroll, h("div", { class: "wb-row" }, ...pages));
  let key = null;
  const row = ([name, change, failed, vote]) => {
    const words = change === "hidden" ? "hidden" : !change ? "no score" : Number(change) > 0 ? `▲ ${change}` :
      Number(change) < 0 ? `▼ ${change}` : "= 0";
    const made = button(name, () => tell({ type: "set", name: "selected", value: name }), { class: "wb-case", "data-at": `case ${name}` });
    return h("tr", {}, h("td", {}, made), h("td", { class: "wb-number", text: [words, failed].filter(Boolean).join(", ") }),
      h("td", { text: vote }));
  };
  const draw = (state) => {
    const { rows, start, total, size, at, waiting } = state.list;
    if (key !== state.list.key) {
      key = state.list.key;
      body.replaceChildren(...rows.map(row));
    }
    const many = (n) => n.toLocaleString("en");
    const where = total > rows.length ? `, ${many(start + 1)} to ${many(start + rows.length)} listed` : "";
    const more = waiting ? `; ${many(waiting)} more wait for their blind label` : "";
    put(said, (total === 0 ? "no case" : `${at ? `case ${many(at)} of ` : ""}${many(total)}${where}`) + more);
    pages[0].disabled = start === 0;
    pages[1].disabled = start + size >= total;
    pages[0].parentElement.hidden = total <= size;
    for (const made of body.querySelectorAll(".wb-case")) {
      const here = made.textContent === state.selected;
      made.tabIndex = here ? 0 : -1;
      made.closest("tr").classList.toggle("wb-here", here);
      if (!here) { made.removeAttribute("aria-current"); continue; }
      made.setAttribute("aria-current", "true");
      const top = made.closest("tr").offsetTop;
      if (top < scroll.scrollTop + 24) scroll.scrollTop = top - 24;
      if (top > scroll.scrollTop + scroll.clientHeight - 28) scroll.scrollTop = top - scroll.clientHeight + 28;
    }
  };
  return { node, draw };
}

/** Pieces of a diff; what was added is underlined and what was removed struck out, not only coloured. */
const marked = (pieces) => pieces.map(([sign, text]) =>
  sign === "=" ? h("span", { text }) : h(sign === "+" ? "ins" : "del", { text }));

/** One answer. @param {any} answer @param {any} state @param {number} place */
function drawAnswer(answer, state, place, tell) {
  const more = () => tell({ type: "more", part: answer.letter });
  const against = state.set.diff && state.set.against === place + 1;
  const compare = button(against ? "the others are compared with this" : `compare with this (${place + 1})`,
    () => tell({ type: "set", name: "against", value: place + 1 }),
    { "aria-pressed": String(against), "data-at": `against ${place}` });
  const scores = h("table", { class: "wb-scores" }, ...answer.scores.map(([name, value, reason]) => h("tbody", {},
    h("tr", {}, h("th", { scope: "row", text: name }), h("td", { text: value })),
    reason ? h("tr", {}, h("td", { class: "wb-text wb-quiet", colspan: 2, text: reason })) : null)));
  const facts = answer.facts.map(([name, text]) => `${name} ${text}`).join(" · ");
  return h("section", { class: "wb-answer", "aria-label": `answer ${answer.letter}` },
    h("h4", { text: answer.name === null ? answer.letter : `${answer.letter}: ${answer.name}` }),
    answer.trouble ? h("p", { class: "wb-text wb-trouble", text: `⚠ ${answer.trouble}` }) : null,
    ...(answer.blank ? [h("p", { class: "wb-quiet wb-blank", text: `(${answer.blank})` })]
      : answer.pieces.some(([, text]) => text) ? block(marked(answer.pieces), answer.left, more, `answer ${place}`) : []),
    answer.remark ? h("p", { class: "wb-quiet", text: answer.remark }) : null,
    answer.scores.length ? scores : null, facts ? h("p", { class: "wb-quiet", text: facts }) : null, compare);
}

/** The case on screen with its vote; `note` is a field that outlives each drawing. */
function makeCase(tell) {
  const node = h("div", { class: "wb-of" });
  const note = h("input", { type: "text", size: 28, maxlength: 10000, placeholder: "Enter keeps it" });
  const said = h("p", { role: "status", class: "wb-said" });
  const votes = h("div", { role: "group", "aria-label": "vote", class: "wb-row" });
  const panel = h("div", { class: "wb-vote" }, votes, said);
  const drafts = new Map();  // notes that were typed and not kept yet, by what they are about
  let about = null, drawn = {};
  const vote = (answer) => tell({ type: "vote", answer, note: note.value, ...drawn });
  note.addEventListener("input", () => drafts.set(about, note.value));
  note.addEventListener("keydown", (event) => { if (event.key === "Enter" && !event.isComposing) vote(""); });
  const draw = (state) => {
    const one = state.case;
    if (!one) { node.replaceChildren(h("p", { text: "No case is listed: choose another filter." })); return; }
    drawn = { case: state.selected, held: state.set.held, blind: state.set.blind };
    about = JSON.stringify([state.selected, state.set.held]);
    if (drafts.get(about) === one.note) drafts.delete(about);
    const written = drafts.get(about) ?? one.note;
    if (note.value !== written) note.value = written;
    const part = (name) => [h("h4", { text: name }),
      ...block(one[name].text, one[name].left, () => tell({ type: "more", part: name }), name)];
    const repeats = one.repeats.map((name) => button(name, () => tell({ type: "set", name: "selected", value: name }),
      { "aria-pressed": String(name === state.selected), "data-at": `repeat ${name}` }));
    const letters = one.answers.map((answer) => answer.letter);
    const choice = (answer, text) => button(text, () => vote(answer), { "aria-pressed": String(one.vote === answer) });
    if (votes.dataset.key !== letters.join()) {
      votes.replaceChildren(...letters.map((letter) => choice(letter, `${letter} better`)), choice("tie", "tie"),
        labelled("note", note), button("keep note", () => vote("")), button("show names", () => tell({ type: "reveal" })));
      votes.dataset.key = letters.join();
    }
    [...letters, "tie"].forEach((answer, i) => votes.children[i].setAttribute("aria-pressed", String(one.vote === answer)));
    votes.lastChild.hidden = !one.hidden;
    const kind = one.queued && one.hidden ? "From the label queue: your vote is kept as a label. " : "";
    const told = one.vote ? `Your vote: ${one.vote === "tie" ? "tie" : `${one.vote} better`}. ` : "";
    const hint = one.hidden && !kind ? "Names, scores and costs are shown once you have voted." : "";
    put(said, `${kind}${told}${one.said || hint}`);
    const grid = h("div", { class: "wb-answers" }, ...one.answers.map((answer, i) => drawAnswer(answer, state, i, tell)));
    const title = h("div", { class: "wb-row" }, h("h3", { text: state.selected }),
      h("span", { class: "wb-quiet", text: one.tags.join(", ") }), ...repeats);
    const top = h("div", { class: "wb-given" }, h("div", {}, ...part("input")), h("div", {}, ...part("expected")));
    for (const old of [...node.children]) if (old !== panel) old.remove();
    if (!panel.isConnected) node.append(panel);  // moved, it would lose the focus
    panel.before(title, top, grid);
    if (one.judge) panel.after(h("p", { class: "wb-text", text: `The pairwise judge, its a and b: ${one.judge}` }));
  };
  return { node, draw, vote, write: () => note.focus() };
}

/** Keys; typing into a field stays typing. Returns whether the key was ours. */
function pressed(event, state, tell, one) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return false;
  const letters = state.case ? state.case.answers.map((answer) => answer.letter) : [];
  const set = (name, value) => tell({ type: "set", name, value });
  const key = event.key;
  if (key === "j" || key === "k") tell({ type: "step", by: key === "j" ? 1 : -1 });
  else if (key === "f") tell({ type: "next" });
  else if (key === "d") tell({ type: "toggle", name: "diff" });
  else if (/^[1-4]$/.test(key) && Number(key) <= letters.length) set("against", Number(key));
  else if (event.shiftKey && letters.includes(key)) one.vote(key);
  else if (event.shiftKey && key === "T") one.vote("tie");
  else if (key === "r" && state.case) tell({ type: "reveal" });
  else if (key === "n" && state.case) one.write();
  else return false;
  return true;
}

/** @param {{model: Model, el: HTMLElement}} given */
function render({ model, el }) {
  const { root, body, on, tell, clean } = frame(model, el, "answers side by side");
  const head = makeHead(tell), list = makeList(tell), one = makeCase(tell);
  root.classList.add("wb-compare");
  root.tabIndex = 0;
  root.dataset.lmSuppressShortcuts = "true";  // else JupyterLab takes j, k and d d for its own, and deletes the cell
  body.append(...head.nodes, h("div", { class: "wb-two" }, list.node, one.node), h("p", { class: "wb-quiet", text: KEYS }));
  const code = body.appendChild(h("code", { class: "wb-text" }));
  const draw = () => {
    const state = model.get("state");
    if (!state || !state.list) return;
    keepFocus(root, () => {
      head.draw(state);
      list.draw(state);
      one.draw(state);
      put(code, state.code);
    });
  };
  root.addEventListener("keydown", (event) => {
    const inField = event.target.closest("input, select, textarea");
    if (inField && event.key === "Escape") root.focus({ preventScroll: true });
    if (pressed(event, model.get("state"), tell, one)) event.preventDefault();
    event.stopPropagation();
  });
  on("change:state", draw);
  draw();
  return clean;
}

export default { render };
