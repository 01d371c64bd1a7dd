// The cells of a strip: one a token, and what is drawn next to its text and its confidence.

import { spell, tokenRuns } from "./bytes.js";
import { element } from "./dom.js";
import { fill, MASK } from "./glyphs.js";

/** @import { Cell } from "./canvas.js" */
/** @import { Frame } from "./message.js" */
/** @import { BegunLane, Store } from "./store.js" */

/**
 * The classes of one cell.
 * @param {Cell} cell
 * @param {number} i its index
 * @param {{stop: number, frame: Frame | undefined, lane: BegunLane, shown: number}} at the pass on show
 */
export function lookOf(cell, i, { stop, frame, lane, shown }) {
  const look = [];
  const masked = cell.token === null;
  if (masked) look.push(cell.draft ? "draft" : lane.head.autoregressive ? "ahead" : "mask");
  else if (isStop(lane, cell.token)) look.push("eos");
  if (!masked && cell.pass === shown) look.push("new");
  if (cell.kept) look.push("confirmed");
  if (cell.struck !== null && cell.pass === shown && i <= stop) look.push("struck");
  if (i > stop) look.push("beyond");
  if (masked && frame && !frame.tested && within(lane.head.prompt.length + i, frame.window)) look.push("window");
  return look.join(" ");
}

/** @param {BegunLane} lane @param {number | null} token */
export const isStop = (lane, token) => token !== null && lane.head.stop_ids.includes(token);

/** @param {number} position @param {[number, number]} range */
const within = (position, [from, to]) => position >= from && position < to;

/** Under AR there is no mask: what is not written yet is not there. @param {boolean} isAr */
export const emptyCell = (isAr) => element("span", isAr ? "bs-cell ahead" : "bs-cell mask", isAr ? "" : MASK);

/** @param {number[]} prompt @param {Store} store */
export function promptCells(prompt, store) {
  const spelled = spell(prompt, store);
  return prompt.map((id, i) => {
    const cell = element("span", "bs-cell prompt");
    fill(cell, spelled.get(i)?.runs ?? tokenRuns(id, store));
    return cell;
  });
}

/** A mark between two sub-blocks. */
export function tick() {
  const mark = element("i", "bs-tick");
  mark.title = "sub-block";
  return mark;
}
