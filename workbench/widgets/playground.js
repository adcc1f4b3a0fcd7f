// The playground: a prompt to edit, variables to fill, and what up to four models answer. What is typed goes to the kernel
// in pieces of what was touched; answers come as deltas beside the state, and as a whole once they are on disk.

/** @typedef {{name: string, live: boolean, text: string, left: number, said: string, state: string, facts: string[]}} Answer */
/**
 * @typedef {{title: string, fault: string, revision: number, turns: [string, string][], values: [string, string][],
 *            expected: string, expected_fault: string, datasets: string[], dataset: string, case: string, ids: string[], where: string,
 *            running: boolean, run: number, repeat: number, answers: Answer[], money: string, about: string,
 *            caption: string, hint: string, said: string, code: string}} State
 */

const SETTLE_MS = 400;
const SHOWN = 20000;
const KEYS = "Ctrl+Enter: run · Escape: stop";
let views = 0;

/**
 * What was typed and not told yet. `touch` notes it, `take` hands it over and forgets it.
 * @param {(edits: object) => void} settle called when the typing pauses
 */
function makeEdits(settle) {
  let edits = {};
  let timer = 0;
  const take = () => { clearTimeout(timer); const found = edits; edits = {}; return found; };
  const touch = (kind, name, text) => {
    if (name === null) edits[kind] = text;
    else (edits[kind] ||= {})[name] = text;
    clearTimeout(timer);
    timer = setTimeout(() => settle(take()), SETTLE_MS);
  };
  const has = (kind, name) => kind in edits && (name === null || name in edits[kind]);
  return { take, touch, has, drop: take };
}

/** About how many lines a text takes, long ones wrapped. @param {string} text */
const linesOf = (text) => text.slice(0, 5000).split("\n").reduce((sum, line) => sum + Math.max(1, Math.ceil(line.length / 55)), 0);

/** A field that follows the state, except while it is being typed in. */
function makeField(edits, kind, name, control) {
  const read = () => (control.type === "number" ? Math.max(0, Math.floor(Number(control.value) || 0)) : control.value);
  control.addEventListener("input", () => edits.touch(kind, name, read()));
  const set = (text, anew) => {
    const typing = control.getRootNode().activeElement === control || edits.has(kind, name);
    if (control.value === text || (typing && !anew)) return;
    control.value = text;
    if (control.tagName === "TEXTAREA") control.rows = Math.min(Math.max(linesOf(text), 2), 16);
  };
  return { control, set };
}

/** A text field that grows with its text. */
const area = (label) => h("textarea", { "aria-label": label, rows: 2, spellcheck: "false", dir: "auto" });

/** Fields under their labels, made anew only when their names change. */
function makeFields(edits, kind, title) {
  const node = h("div", { class: "wb-fields" });
  let key = null;
  let fields = [];
  const draw = (named, anew) => {
    const fresh = JSON.stringify(named.map(([name]) => name));
    if (fresh !== key) {
      key = fresh;
      fields = named.map(([name], i) => makeField(edits, kind, kind === "turns" ? i : name, area(title(name, i))));
      node.replaceChildren(...named.map(([name, _], i) =>
        h("label", {}, h("span", { text: title(name, i) }), fields[i].control)));
      anew = true;
    }
    named.forEach(([_, text], i) => fields[i].set(text, anew));
  };
  return { node, draw };
}

/** Where the variables come from: a dataset, a case, its neighbours. */
function makeChooser(say) {
  const list = h("datalist", { id: `wb-ids-${++views}` });
  const dataset = h("select", { onchange: () => say({ type: "dataset", dataset: dataset.value }) });
  const one = h("input", { type: "text", list: list.id, size: 14, spellcheck: "false",
    onchange: () => one.value && say({ type: "case", case_id: one.value }) });
  const step = (by) => button(by < 0 ? "◀" : "▶", () => say({ type: "step", by }),
    { "aria-label": by < 0 ? "previous case" : "next case" });
  const steps = [step(-1), step(1)];
  const where = h("span", { class: "wb-quiet" });
  const cases = h("span", { class: "wb-cases" }, labelled("case", one), ...steps, where, list);
  const node = h("div", { class: "wb-row" }, labelled("fill from", dataset), cases);
  let key = null;
  const draw = (state, anew) => {
    fill(dataset, state.datasets.map((name) => [name, name || "no dataset"]), state.dataset);
    cases.hidden = !state.dataset;
    if (anew || one.getRootNode().activeElement !== one) one.value = state.case;
    put(where, state.where);
    const fresh = `${state.dataset} ${state.ids.length} ${state.ids[state.ids.length - 1]}`;
    if (fresh === key) return;
    key = fresh;
    list.replaceChildren(...state.ids.map((id) => h("option", { value: id })));
  };
  return { node, draw };
}

/** One model's answer: its box is told pieces while they come, and the whole at the end. */
function makeAnswer(say, number) {
  const name = h("h4");
  const said = h("p", { class: "wb-stand wb-text" });
  const count = h("span", { class: "wb-quiet" });
  const [box] = block("", 0, null);
  const piece = box.appendChild(document.createTextNode(""));
  const facts = h("p", { class: "wb-quiet" });
  const rest = h("div");
  const node = h("section", { class: "wb-answer" }, name, h("div", { class: "wb-row" }, said, count), box, rest, facts);
  let left = 0;
  const take = (anew, text, total) => {
    if (anew) piece.data = "";
    piece.appendData(text);
    const beyond = total > SHOWN ? `; the first ${SHOWN.toLocaleString("en")} are shown` : "";
    put(count, total ? `${total.toLocaleString("en")} characters${beyond}` : "");
  };
  /** @param {Answer} answer @param {boolean} anew */
  const draw = (answer, anew) => {
    node.setAttribute("aria-label", `answer of ${answer.name}`);
    put(name, answer.name);
    put(said, answer.state === "none" ? "not asked yet" : answer.said);
    said.classList.toggle("wb-trouble", ["failed", "stopped"].includes(answer.state));
    put(facts, answer.facts.join(" · "));
    if (answer.live) { if (anew) take(true, "", 0); } else { put(count, ""); if (piece.data !== answer.text) piece.data = answer.text; }
    box.setAttribute("aria-busy", String(answer.live));
    if (left === answer.left) return;
    left = answer.left;
    rest.replaceChildren(...block("", left, () => say({ type: "more", number })).slice(1).filter(Boolean));
  };
  return { node, draw, take };
}

/** The answers beside each other, in step with the numbered messages. */
function makeAnswers(say) {
  const node = h("div", { class: "wb-answers" });
  let answers = [];
  let drawn = null;
  const heard = { run: 0, number: 0 };
  const draw = (state) => {
    if (answers.length !== state.answers.length) {
      answers = state.answers.map((_, i) => makeAnswer(say, i));
      node.replaceChildren(...answers.map((one) => one.node));
      node.style.gridTemplateColumns = `repeat(${answers.length}, minmax(0, 1fr))`;
    }
    const anew = drawn !== state.run;
    if (drawn === null && state.answers.some((one) => one.live)) say({ type: "again" });
    drawn = state.run;
    state.answers.forEach((one, i) => answers[i].draw(one, anew));
  };
  const take = (message, state) => {
    if (message.run !== state.run) return;
    const whole = message.type === "whole";
    const next = message.run === heard.run ? heard.number + 1 : 1;
    if (!whole && message.number !== next) { if (message.number > next) say({ type: "again" }); return; }
    Object.assign(heard, { run: message.run, number: message.number });
    for (const [i, anew, text, total] of message.pieces) {
      if (state.answers[i].live) answers[i].take(anew, text, total);
    }
  };
  return { node, draw, take };
}

/** What becomes of it: a new version, a new case. */
function makeKeeping(say, expected) {
  const message = h("input", { type: "text", size: 30, maxlength: 500 });
  const fault = h("p", { class: "wb-trouble", role: "status" });
  const id = h("input", { type: "text", size: 12, maxlength: 200, placeholder: "made for you" });
  const into = h("input", { type: "text", size: 12, maxlength: 200 });
  const save = button("Save as new version", () => say({ type: "save", text: message.value }));
  const add = button("Add as case", () => say({ type: "add", case_id: id.value, dataset: into.value }));
  const keep = h("div", { class: "wb-row" }, save, labelled("what changed", message));
  const more = h("div", { class: "wb-row" }, add, labelled("to dataset", into), labelled("id", id));
  let last = null;
  const draw = (state) => {
    if (state.dataset !== last) into.value = last = state.dataset;
    if (state.said !== draw.said && state.said.startsWith("Added")) id.value = "";
    if (state.said !== draw.said && state.said.startsWith("Saved")) message.value = "";
    draw.said = state.said;
    put(fault, state.expected_fault && `⚠ It ${state.expected_fault}.`);
    fault.hidden = !state.expected_fault;
  };
  return { prompt: keep, answer: [h("label", {}, h("span", { text: "expected: text or JSON" }), expected), fault, more], draw };
}

/** @param {{model: Model, el: HTMLElement}} given */
function render({ model, el }) {
  const { root, body, on, tell, clean } = frame(model, el, "playground");
  const edits = makeEdits((found) => tell({ type: "edit", edits: found }));
  const say = (message) => tell({ ...message, edits: edits.take() });
  const turns = makeFields(edits, "turns", (role, i) => `${i + 1}. ${role || "text"}`);
  const values = makeFields(edits, "values", (name) => name);
  const expected = makeField(edits, "expected", null, area("expected: text or JSON"));
  const repeat = makeField(edits, "repeat", null, h("input", { type: "number", min: 0, step: 1, class: "wb-few",
    title: "Another number asks the models anew; the same one is answered from the cache" }));
  const chooser = makeChooser(say), answers = makeAnswers(say), keeping = makeKeeping(say, expected.control);
  const go = () => { if (!model.get("state").running) say({ type: "run" }); };
  const halt = () => { if (model.get("state").running) say({ type: "stop" }); };
  const run = button("Run", go, { class: "wb-main", title: "Ctrl+Enter" });
  const stop = button("Stop", halt, { title: "Escape" });
  const title = h("h3"), fault = h("p", { class: "wb-trouble", role: "status" }), said = h("p", { role: "status" });
  const money = h("span", { class: "wb-quiet" }), caption = h("p", { class: "wb-quiet" });
  const keys = h("span", { class: "wb-quiet" }), about = h("p", { class: "wb-quiet" });
  const code = h("code", { class: "wb-text" });
  const prompt = h("div", { role: "group", "aria-label": "prompt" }, turns.node, fault, keeping.prompt);
  const given = h("div", { role: "group", "aria-label": "variables" }, chooser.node, values.node, ...keeping.answer);
  root.classList.add("wb-play");
  root.dataset.lmSuppressShortcuts = "true";  // else JupyterLab runs the cell on Ctrl+Enter
  body.append(title, h("div", { class: "wb-sides" }, prompt, given),
    h("div", { class: "wb-row wb-go" }, run, stop, labelled("draw (another number asks anew)", repeat.control), money, keys), said, about, answers.node, caption, code);
  let revision = null;
  const draw = () => {
    /** @type {State} */
    const state = model.get("state");
    const anew = revision !== state.revision;
    if (anew) edits.drop();
    revision = state.revision;
    put(title, `Playground: ${state.title}`);
    turns.draw(state.turns, anew);
    values.draw(state.values, anew);
    expected.set(state.expected, anew);
    repeat.set(String(state.repeat), anew);
    chooser.draw(state, anew);
    keeping.draw(state);
    answers.draw(state);
    put(fault, state.fault && `⚠ ${state.fault}`);
    fault.hidden = !state.fault;
    run.setAttribute("aria-disabled", String(state.running));
    stop.setAttribute("aria-disabled", String(!state.running));
    put(money, state.money);
    put(about, state.about);
    put(keys, state.hint ? `${KEYS}. ${state.hint}` : KEYS);
    put(caption, state.caption);
    put(code, state.code);
    const ended = state.answers.filter((one) => !one.live).length;
    put(said, state.running ? `${ended} of ${state.answers.length} answers are in` : state.said);
  };
  root.addEventListener("keydown", (event) => {
    const enter = event.key === "Enter" && (event.ctrlKey || event.metaKey);
    if (enter) go(); else if (event.key === "Escape") halt();
    if (enter) event.preventDefault();
    event.stopPropagation();
  });
  on("change:state", draw);
  on("msg:custom", (message) => { if (message.pieces) answers.take(message, model.get("state")); });
  draw();
  return () => { edits.drop(); clean(); };
}

export default { render };
