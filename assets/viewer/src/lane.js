// One lane: its strip of tokens, its numbers, its text alternative. Cells are patched in place, never rebuilt.

import { spell, textOf, tokenRuns } from "./bytes.js";
import { canvasAt, stopIndex } from "./canvas.js";
import { emptyCell, isStop, lookOf, promptCells, tick } from "./cell.js";
import { viridis } from "./colour.js";
import { element, find, setText } from "./dom.js";
import { ordinal, percent, secondsOf } from "./format.js";
import { END, fill, MASK, plainText } from "./glyphs.js";

/** @import { Spelling } from "./bytes.js" */
/** @import { Cell } from "./canvas.js" */
/** @import { Frame, Title, Totals } from "./message.js" */
/** @import { BegunLane, Finish, Store } from "./store.js" */

const STATES = {
  first: "in its first pass",
  waiting: "waits for its turn",
  running: "decoding",
  eos: "finished with EOS",
  length: "finished at the length limit",
  cancelled: "stopped",
};
const KINDS = { prefill: "reads the prompt", commit: "stores the finished block", ar: "writes" };
const EMPTY = 32; // cells of a lane that waits for a prompt

export class LaneView {
  /** @type {BegunLane | null} */
  lane = null;
  /** @type {HTMLElement[]} the cells that are written, by position */
  cells = [];
  /** @type {string[]} what each cell shows, so that only changes are drawn */
  drawn = [];
  /** @type {Cell[]} the canvas on show */
  canvas = [];
  /** @type {Map<number, Spelling>} by index of the canvas */
  spelled = new Map();
  shown = -1; // the pass on show
  key = "";
  entitled = "";

  /**
   * @param {HTMLTemplateElement} template
   * @param {{name: string, definitions: Record<string, string>}} options
   */
  constructor(template, { name, definitions }) {
    this.node = /** @type {HTMLElement} */ (template.content.firstElementChild?.cloneNode(true));
    this.name = name;
    this.node.dataset.lane = name;
    for (const card of /** @type {NodeListOf<HTMLElement>} */ (this.node.querySelectorAll(".bs-number"))) {
      const number = card.dataset.number ?? "";
      const definition = find(card, ".bs-definition");
      definition.id = `bs-${name}-${number}`;
      definition.textContent = definitions[number];
      card.setAttribute("aria-describedby", definition.id);
    }
    const isAr = /^ar(-|$)/.test(name); // the names that the app gives to its AR lanes
    const block = element("div", "bs-block");
    block.append(...Array.from({ length: EMPTY }, () => emptyCell(isAr)));
    this.find(".bs-strip").replaceChildren(block);
  }

  /** @param {string} selector */
  find(selector) {
    return find(this.node, selector);
  }

  /** The words over it. They may become known, or change, while a run's lanes begin. @param {Title} title */
  entitle({ title, about, text_label: label }) {
    if (this.entitled === `${title}|${about}`) return;
    this.entitled = `${title}|${about}`;
    this.find(".bs-title").textContent = title;
    this.find(".bs-about").textContent = about;
    this.find(".bs-about").title = about; // it is cut where there is no room
    this.find(".bs-strip").setAttribute("aria-label", `${title}: tokens`);
    this.find(".bs-text").setAttribute("aria-label", label);
    this.node.setAttribute("aria-label", title);
  }

  /** Lay out the canvas of a lane that has just begun. @param {BegunLane} lane @param {Store} store */
  begin(lane, store) {
    this.lane = lane;
    const { prompt, end, block, origin } = lane.head;
    const start = prompt.length;
    const fold = Math.max(0, Math.min(start, origin + Math.floor((start - origin) / block) * block));
    this.find(".bs-prompt summary").textContent = `Prompt, ${start} tokens with the chat template`;
    const head = promptCells(prompt, store);
    this.find(".bs-prompt .bs-cells").replaceChildren(...head.slice(0, fold));
    this.find(".bs-prompt").hidden = fold === 0;
    this.cells = [];
    this.drawn = [];
    const blocks = [];
    if (block === 1) blocks.push(this.blockOf(lane, start, end, head));
    else for (let a = fold; a < end; a += block) blocks.push(this.blockOf(lane, a, Math.min(a + block, end), head));
    this.find(".bs-strip").replaceChildren(...blocks);
    if (this.cells.length) this.cells[0].tabIndex = 0;
  }

  /**
   * The frame of positions [from, to): the prompt's tail, then cells to be written.
   * @param {BegunLane} lane
   * @param {number} from
   * @param {number} to
   * @param {HTMLElement[]} written the cells of the prompt
   */
  blockOf({ head }, from, to, written) {
    const { prompt, block, sub_block: sub, autoregressive } = head;
    const node = element("div", "bs-block");
    node.dataset.from = String(from);
    if (block > 1 && !head.verified) node.dataset.label = `positions ${from}–${to - 1}`;
    for (let position = from; position < to; position++) {
      const isPrompt = position < prompt.length;
      const cell = isPrompt ? written[position] : emptyCell(Boolean(autoregressive));
      if (sub < block && position > from && (position - from) % sub === 0) node.append(tick());
      cell.dataset.position = String(position);
      node.append(cell);
      if (isPrompt) continue;
      cell.tabIndex = -1;
      this.cells.push(cell);
    }
    return node;
  }

  /** Draw the lane as it stood after a pass; -1: before the first. @param {number} pass @param {Store} store */
  show(pass, store) {
    const { lane } = this;
    const key = `${pass}/${store.received}`;
    if (!lane || this.key === key) return; // a clock ticks more often than passes end
    this.key = key;
    this.shown = pass;
    this.canvas = canvasAt(lane, pass);
    this.spelled = spell(
      this.canvas.map(({ token }) => token),
      store,
    );
    const stop = stopIndex(lane, this.canvas);
    const frame = lane.frames[pass];
    this.canvas.forEach((cell, i) => {
      this.patch(lane, i, lookOf(cell, i, { stop, frame, lane, shown: pass }), store);
    });
    const active = frame && !lane.head.verified && lane.head.block > 1 ? String(frame.block[0]) : null;
    for (const block of /** @type {NodeListOf<HTMLElement>} */ (this.node.querySelectorAll(".bs-block"))) {
      block.classList.toggle("active", block.dataset.from === active);
    }
    this.find(".bs-text").textContent = this.text(lane, stop, store);
    this.find(".bs-state").textContent = this.stateText(lane, frame);
    this.numbers(lane, frame?.totals);
    this.compare(lane);
  }

  /** Say what a lane does that has not begun. @param {boolean} ended whether the run has */
  idle(ended) {
    this.find(".bs-state").textContent = STATES[ended ? "cancelled" : "waiting"];
  }

  /**
   * The comparison with the reference answer, once there is one; it is about the full answer, wherever the cursor stands.
   * @param {BegunLane} lane
   */
  compare({ gate, same }) {
    const node = this.find(".bs-gate");
    node.hidden = !gate;
    setText(node, gate ?? "");
    node.classList.toggle("kept", same === true);
    node.classList.toggle("changed", same === false);
  }

  /** On the clock, the rank and the time of a lane that has finished. @param {Finish | undefined} finish */
  flag(finish) {
    const node = this.find(".bs-flag");
    node.hidden = !finish;
    setText(node, finish ? `${ordinal(finish.rank)} · ${secondsOf(finish.took, finish.took)} s` : "");
    this.node.classList.toggle("finished", Boolean(finish));
  }

  /**
   * Draw cell `i` if what it shows has changed.
   * @param {BegunLane} lane
   * @param {number} i
   * @param {string} look
   * @param {Store} store
   */
  patch(lane, i, look, store) {
    const cell = this.canvas[i];
    const token = cell.token ?? (cell.draft ? cell.guess : null);
    const spelling = this.spelled.get(i);
    const key = `${token}|${cell.struck}|${cell.confidence}|${look}|${spelling?.runs.join()}`;
    if (this.drawn[i] === key) return;
    this.drawn[i] = key;
    const node = this.cells[i];
    node.className = `bs-cell ${look}`;
    if (token === null) node.textContent = lane.head.autoregressive ? "" : MASK;
    else if (spelling) fill(node, spelling.runs);
    else fillToken(node, lane, token, store);
    if (cell.struck !== null && look.includes("struck")) {
      const struck = element("s", "bs-struck"); // a draft that was wrong, before what stands there now
      fillToken(struck, lane, cell.struck, store);
      node.prepend(struck);
    }
    node.style.setProperty("--sure", viridis(cell.confidence ?? 0));
    node.style.setProperty("--share", cell.confidence === null ? "0%" : percent(cell.confidence).replace(" ", ""));
  }

  /**
   * The canvas as text. Once every token before the stop token stands, what follows is no part of it.
   * @param {BegunLane} lane
   * @param {number} stop
   * @param {Store} store
   */
  text(lane, stop, store) {
    const complete = this.canvas.slice(0, stop).every((cell) => cell.token !== null);
    return cellsText(lane, complete ? this.canvas.slice(0, stop + 1) : this.canvas, store);
  }

  /** The tokens that a range of the page touches, as text. @param {Range} range @param {Store} store */
  selected(range, store) {
    const cells = this.canvas.filter((_, i) => range.intersectsNode(this.cells[i]));
    return this.lane ? cellsText(this.lane, cells, store) : "";
  }

  /** @param {BegunLane} lane @param {Frame | undefined} frame */
  stateText(lane, frame) {
    const last = this.shown === lane.frames.length - 1;
    if (!frame && lane.frames.length) return STATES.first;
    if (!frame || (last && lane.state !== "running")) return STATES[lane.state];
    if (frame.tested) return testedText(frame);
    return frame.kind === "denoise" ? `denoises ${frame.window[0]}–${frame.window[1] - 1}` : KINDS[frame.kind];
  }

  /** @param {BegunLane} lane @param {Totals | undefined} totals */
  numbers(lane, totals) {
    const set = (/** @type {string} */ name, /** @type {string} */ text) =>
      setText(this.find(`[data-number=${name}] .bs-value`), text);
    set("seconds", totals?.seconds ? `${secondsOf(1000 * totals.seconds, 1000 * totals.seconds)} s` : "–");
    set("tps", totals?.seconds ? totals.tps.toFixed(1) : "–");
    set("tpf", totals ? totals.tpf.toFixed(2) : "–");
    set("nfe", totals ? String(totals.nfe) : "–");
    set("recomputed", totals?.attended ? percent(totals.recomputed, 0) : "–");
    set("ttft", totals && totals.ttft !== null ? `${(1000 * totals.ttft).toFixed(0)} ms` : "–");
    this.spread(lane);
  }

  /**
   * The range of the timed repeats, next to the speed of the full answer; elsewhere only its room is kept.
   * @param {BegunLane} lane
   */
  spread({ spread, frames }) {
    const node = this.find(".bs-spread");
    node.hidden = !spread;
    if (spread) setText(node, `${spread.low.toFixed(1)} to ${spread.high.toFixed(1)} in ${spread.repeats} repeats`);
    node.classList.toggle("early", this.shown < frames.length - 1);
  }
}

/**
 * Cells as text: masks and drafts, which are not written, as ░, and the stop token as ⏹.
 * @param {BegunLane} lane
 * @param {Cell[]} cells
 * @param {Store} store
 */
function cellsText(lane, cells, store) {
  const mask = lane.head.autoregressive ? "" : MASK;
  let text = "";
  /** @type {number[]} adjacent tokens, whose bytes may be those of one character */
  let ids = [];
  const flush = () => {
    text += plainText(textOf(ids, store));
    ids = [];
  };
  for (const { token } of cells) {
    if (token !== null && !isStop(lane, token)) ids.push(token);
    else {
      flush();
      text += token === null ? mask : END;
    }
  }
  flush();
  return text;
}

/** @param {Element} node @param {BegunLane} lane @param {number} token @param {Store} store */
function fillToken(node, lane, token, store) {
  fill(node, isStop(lane, token) ? [["EOS", true]] : tokenRuns(token, store));
}

/** What a pass of verified decoding did with the drafts before it. @param {Frame} frame */
function testedText({ tested = [], new: committed }) {
  if (!tested.length) return "writes; no guess to test";
  return `kept ${committed.length - 1} of ${tested.length} ${tested.length === 1 ? "guess" : "guesses"}`;
}
