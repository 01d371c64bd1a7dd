// One lane: its strip of tokens, its numbers, its text alternative. Cells are patched in place, never rebuilt.

const STATES = {
  first: "in its first pass",
  waiting: "waits for its turn",
  running: "decoding",
  eos: "finished with EOS",
  length: "finished at the length limit",
  cancelled: "stopped",
};

class LaneView {
  constructor(template, { name, definitions }) {
    this.node = template.content.firstElementChild.cloneNode(true);
    this.name = name;
    this.node.dataset.lane = name;
    this.find = (selector) => this.node.querySelector(selector);
    for (const card of this.node.querySelectorAll(".bs-number")) {
      const definition = card.querySelector(".bs-definition");
      definition.id = `bs-${name}-${card.dataset.number}`;
      definition.textContent = definitions[card.dataset.number];
      card.setAttribute("aria-describedby", definition.id);
    }
    this.clear();
  }

  // The words over it. They may become known, or change, while a run's lanes begin.
  entitle({ title, about, text_label: label }) {
    if (this.entitled === `${title}|${about}`) return;
    this.entitled = `${title}|${about}`;
    this.find(".bs-title").textContent = title;
    this.find(".bs-about").textContent = about;
    this.find(".bs-strip").setAttribute("aria-label", `${title}: tokens`);
    this.find(".bs-text").setAttribute("aria-label", label);
    this.node.setAttribute("aria-label", title);
  }

  // The empty state: masks that wait for a prompt.
  clear() {
    this.lane = null;
    this.cells = [];
    this.drawn = [];
    this.shown = -1;
    const block = document.createElement("div");
    block.className = "bs-block";
    for (let i = 0; i < 32; i++) block.append(emptyCell(/^ar(-|$)/.test(this.name)));
    this.find(".bs-strip").replaceChildren(block);
  }

  // Lay out the canvas of a lane that has just begun.
  begin(lane, store) {
    this.lane = lane;
    const { prompt, end, block, origin, sub_block: sub } = lane.head;
    const start = prompt.length;
    const fold = Math.max(0, Math.min(start, origin + Math.floor((start - origin) / block) * block));
    const summary = this.find(".bs-prompt summary");
    summary.textContent = `Prompt, ${start} tokens with the chat template`;
    this.find(".bs-prompt .bs-cells").replaceChildren(...prompt.slice(0, fold).map((id) => promptCell(store, id)));
    this.find(".bs-prompt").hidden = fold === 0;
    this.cells = [];
    this.drawn = [];
    const blocks = [];
    if (block === 1) blocks.push(this.frameOf(start, end, null, store));
    else for (let a = fold; a < end; a += block) blocks.push(this.frameOf(a, Math.min(a + block, end), sub, store));
    this.find(".bs-strip").replaceChildren(...blocks);
    if (this.cells.length) this.cells[0].tabIndex = 0;
  }

  // The frame of positions [from, to): the prompt's tail, then cells to be written.
  frameOf(from, to, sub, store) {
    const { prompt, block } = this.lane.head;
    const node = document.createElement("div");
    node.className = "bs-block";
    node.dataset.from = from;
    if (block > 1 && !this.lane.head.verified) node.dataset.label = `positions ${from}–${to - 1}`;
    for (let position = from; position < to; position++) {
      const isPrompt = position < prompt.length;
      const cell = isPrompt ? promptCell(store, prompt[position]) : emptyCell(block === 1);
      if (sub && sub < block && position > from && (position - from) % sub === 0) node.append(tick());
      cell.dataset.position = position;
      node.append(cell);
      if (isPrompt) continue;
      cell.tabIndex = -1;
      this.cells.push(cell);
    }
    return node;
  }

  // Draw the lane as it stood after a pass; -1: before the first.
  show(pass, store) {
    const { lane } = this;
    const key = `${pass}/${store.received}`;
    if (this.key === key) return; // a clock ticks more often than passes end
    this.key = key;
    this.shown = pass;
    this.canvas = canvasAt(lane, this.shown);
    const stop = stopIndex(lane, this.canvas);
    const frame = lane.frames[this.shown];
    const start = lane.head.prompt.length;
    this.canvas.forEach((cell, i) => this.patch(i, cell, lookOf(cell, i, { start, stop, frame, lane, shown: this.shown }), store));
    for (const block of this.node.querySelectorAll(".bs-block"))
      block.classList.toggle("active", Boolean(frame) && !lane.head.verified && lane.head.block > 1 && Number(block.dataset.from) === frame.block[0]);
    this.find(".bs-text").textContent = this.text(store, stop);
    this.find(".bs-state").textContent = this.stateText(frame);
    this.numbers(frame?.totals);
    this.judge();
  }

  // What its answer is held against, once that was done; it is about the whole answer, wherever the cursor stands.
  judge() {
    const { gate, same } = this.lane;
    const node = this.find(".bs-gate");
    node.hidden = !gate;
    if (node.textContent !== (gate ?? "")) node.textContent = gate ?? "";
    node.classList.toggle("kept", same === true);
    node.classList.toggle("changed", same === false);
  }

  // The flag of a lane that is in, on the clock: its rank and what it took; null: not in yet.
  flag(finish) {
    const node = this.find(".bs-flag");
    const text = finish ? `${ordinal(finish.rank)} · ${secondsOf(finish.took, finish.took)} s` : "";
    node.hidden = !finish;
    if (node.textContent !== text) node.textContent = text;
    this.node.classList.toggle("finished", Boolean(finish));
  }

  patch(i, cell, look, store) {
    const shown = cell.token ?? (cell.draft ? cell.guess : null);
    const key = `${shown}|${cell.struck}|${cell.confidence}|${look}`;
    if (this.drawn[i] === key) return;
    this.drawn[i] = key;
    const node = this.cells[i];
    node.className = `bs-cell ${look}`;
    if (shown === null) node.textContent = this.lane.head.block === 1 ? "" : MASK;
    else this.fill(node, shown, store);
    if (look.includes("struck")) node.prepend(this.struck(cell.struck, store));
    const sure = cell.confidence ?? 0;
    node.style.setProperty("--sure", viridis(sure));
    node.style.setProperty("--share", cell.confidence === null ? "0%" : percent(sure, 1).replace(" ", ""));
  }

  fill(node, token, store) {
    if (this.lane.head.stop_ids.includes(token)) fillAsEnd(node);
    else fillWithPiece(node, store.pieceOf(token));
  }

  // A draft that was wrong, before what stands there now.
  struck(token, store) {
    const node = document.createElement("s");
    node.className = "bs-struck";
    this.fill(node, token, store);
    return node;
  }

  // The canvas as text: masks and drafts, which are not written, as ░. Once every token before the stop token stands, what follows is no part of it.
  text(store, stop) {
    const whole = this.canvas.slice(0, stop).every((cell) => cell.token !== null);
    const cells = whole ? this.canvas.slice(0, stop + 1) : this.canvas;
    const mask = this.lane.head.block === 1 ? "" : MASK;
    return cells.map(({ token }) => (token === null ? mask : this.textOf(token, store))).join("");
  }

  textOf(token, store) {
    return this.lane.head.stop_ids.includes(token) ? END : plainText(store.pieceOf(token));
  }

  stateText(frame) {
    const { lane } = this;
    const last = this.shown === lane.frames.length - 1;
    if (!frame && lane.frames.length) return STATES.first;
    if (!frame || (last && lane.state !== "running")) return STATES[lane.state];
    if (frame.tested) return testedText(frame);
    const kind = { prefill: "reads the prompt", denoise: "denoises", commit: "stores the finished block", ar: "writes" }[frame.kind];
    return frame.kind === "denoise" ? `${kind} ${frame.window[0]}–${frame.window[1] - 1}` : kind;
  }

  numbers(totals) {
    const set = (name, text) => (this.find(`[data-number=${name}] .bs-value`).textContent = text);
    const { tokens = 0, passes = 0, computed = 0, attended = 0, seconds = 0 } = totals ?? {};
    set("tps", seconds ? (tokens / seconds).toFixed(1) : "–");
    set("tpf", passes ? (tokens / passes).toFixed(2) : "–");
    set("nfe", passes ? String(passes) : "–");
    set("recomputed", attended ? percent(computed / attended, 0) : "–");
    const first = this.lane.frames.findIndex((frame) => frame?.new.length);
    set("ttft", first >= 0 && first <= this.shown ? `${endOf(this.lane, first).toFixed(0)} ms` : "–");
    this.spread();
  }

  // How far the timed laps lay apart, beside the number of the whole answer; elsewhere only its room is kept.
  spread() {
    const { spread, frames } = this.lane;
    const node = this.find(".bs-spread");
    node.hidden = !spread;
    if (spread) node.textContent = `${spread.low.toFixed(1)} to ${spread.high.toFixed(1)} in ${spread.laps} laps`;
    node.classList.toggle("early", this.shown < frames.length - 1);
  }
}

// What a pass of verified decoding did with the drafts that stood before it.
function testedText({ tested, new: written }) {
  if (!tested.length) return "writes; no guess to test";
  return `kept ${written.length - 1} of ${tested.length} ${tested.length === 1 ? "guess" : "guesses"}`;
}

const ordinal = (rank) => `${rank}${["st", "nd", "rd"][rank - 1] ?? "th"}`;

// Milliseconds in seconds, with as many digits as a clock that runs to `end` needs.
const secondsOf = (ms, end) => (ms / 1000).toFixed(end < 1000 ? 3 : 2);

// The classes of one cell: all that is drawn beside its text and its confidence.
function lookOf(cell, i, { start, stop, frame, lane, shown }) {
  const look = [];
  if (cell.token === null) look.push(cell.draft ? "draft" : lane.head.block === 1 ? "ahead" : "mask");
  else if (lane.head.stop_ids.includes(cell.token)) look.push("eos");
  if (cell.token !== null && cell.pass === shown) look.push("new");
  if (cell.kept) look.push("confirmed");
  if (cell.struck !== null && cell.pass === shown && i <= stop) look.push("struck");
  if (i > stop) look.push("beyond");
  const position = start + i;
  if (cell.token === null && frame && !frame.tested && position >= frame.window[0] && position < frame.window[1]) look.push("window");
  return look.join(" ");
}

// Under AR there is no mask: what is not written yet is not there.
function emptyCell(isAr) {
  const cell = document.createElement("span");
  cell.className = isAr ? "bs-cell ahead" : "bs-cell mask";
  cell.textContent = isAr ? "" : MASK;
  return cell;
}

function promptCell(store, id) {
  const cell = document.createElement("span");
  cell.className = "bs-cell prompt";
  fillWithPiece(cell, store.pieceOf(id));
  return cell;
}

function fillAsEnd(node) {
  const span = document.createElement("span");
  span.className = "bs-glyph";
  span.textContent = "EOS";
  node.replaceChildren(span);
}

function tick() {
  const mark = document.createElement("i");
  mark.className = "bs-tick";
  mark.title = "sub-block";
  return mark;
}
