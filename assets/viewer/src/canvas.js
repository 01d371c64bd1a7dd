// A lane's canvas as it stood after any pass, replayed from its frames.

/** @import { BegunLane } from "./store.js" */

/**
 * One generated position after a pass.
 * @typedef {object} Cell
 * @property {number | null} token null: masked
 * @property {number | null} guess the best guess for a mask
 * @property {number | null} confidence of the token or the guess, 0 to 1
 * @property {number | null} pass the one that wrote or guessed it
 * @property {boolean} draft verified decoding: the guess stands there as a draft
 * @property {number | null} struck verified decoding: the draft that the pass struck out
 * @property {boolean} kept verified decoding: the token is a draft that was confirmed
 */

/**
 * What became of a draft that a pass tested.
 * @typedef {object} Draft
 * @property {number} token
 * @property {number | null} sure its probability
 * @property {number} target AR's token
 * @property {"kept" | "replaced" | "dropped"} fate dropped: a draft before it was wrong
 */

// A canvas is kept after every STRIDE passes, so that seeking in a long run costs the same everywhere.
const STRIDE = 16;

/** @type {Cell} */
const MASKED = { token: null, guess: null, confidence: null, pass: null, draft: false, struck: null, kept: false };

/**
 * The canvas after pass `last`; -1: before the first.
 * @param {BegunLane} lane
 * @param {number} last
 * @returns {Cell[]}
 */
export function canvasAt(lane, last) {
  const { stops } = lane;
  let known = Math.floor((last + 1) / STRIDE); // passes [0, known × STRIDE) are in stops[known]
  while (known > 0 && !stops[known]) known -= 1;
  const cells = known ? copyOf(stops[known]) : masksOf(lane);
  for (let i = known * STRIDE; i <= last; i++) {
    write(cells, lane, i);
    if ((i + 1) % STRIDE === 0 && complete(lane, i)) stops[(i + 1) / STRIDE] = copyOf(cells);
  }
  return cells;
}

/** @param {Cell[]} cells */
const copyOf = (cells) => cells.map((cell) => ({ ...cell }));

/** @param {BegunLane} lane @returns {Cell[]} */
const masksOf = ({ head }) => Array.from({ length: head.end - head.prompt.length }, () => ({ ...MASKED }));

/**
 * Whether no frame up to pass `last` is missing: a canvas with a gap must not be kept.
 * @param {BegunLane} lane
 * @param {number} last
 */
function complete(lane, last) {
  for (let i = Math.max(0, last - STRIDE + 1); i <= last; i++) if (!lane.frames[i]) return false;
  return last < STRIDE || Boolean(lane.stops[(last + 1) / STRIDE - 1]);
}

/**
 * Let pass `i` write on the cells.
 * @param {Cell[]} cells
 * @param {BegunLane} lane
 * @param {number} i
 */
function write(cells, lane, i) {
  const frame = lane.frames[i];
  if (!frame) return;
  if (frame.tested) return writeVerified(cells, lane, i);
  const start = lane.head.prompt.length;
  const committed = new Set(frame.new);
  frame.at.forEach((position, k) => {
    const cell = cells[position - start];
    if (!cell) return; // a block-causal canvas may reach past the cap
    const [token, confidence] = [frame.tokens[k], frame.confidence[k]];
    if (committed.has(position)) Object.assign(cell, { token, guess: null, confidence, pass: i });
    else if (cell.token === null) Object.assign(cell, { guess: token, confidence, pass: i });
  });
  for (const position of frame.remasked ?? []) {
    const cell = cells[position - start];
    if (cell) Object.assign(cell, { guess: cell.token, token: null });
  }
}

/**
 * A pass of verified decoding: AR's tokens are written, all earlier drafts are kept or gone, and new ones stand.
 * @param {Cell[]} cells
 * @param {BegunLane} lane
 * @param {number} i
 */
function writeVerified(cells, lane, i) {
  const frame = lane.frames[i];
  const start = lane.head.prompt.length;
  const committed = new Set(frame.new);
  for (const cell of cells) if (cell.token === null) Object.assign(cell, MASKED);
  frame.at.forEach((position, k) => {
    const cell = cells[position - start];
    if (!cell) return;
    const draft = draftAt(lane, i, position);
    if (committed.has(position)) {
      Object.assign(cell, { token: frame.tokens[k], confidence: frame.confidence[k], kept: draft?.fate === "kept" });
    }
    Object.assign(cell, { pass: i, struck: draft && draft.fate !== "kept" ? draft.token : null });
  });
  const stop = stopIndex(lane, cells);
  for (const [position, token, sure] of frame.drafts ?? []) {
    const cell = cells[position - start];
    if (cell?.token !== null || position - start >= stop) continue;
    Object.assign(cell, { guess: token, confidence: sure, pass: i, draft: true });
  }
}

/**
 * The draft that a pass tested at a position; null: it tested none there.
 * @param {BegunLane} lane
 * @param {number} pass
 * @param {number} position
 * @returns {Draft | null}
 */
export function draftAt(lane, pass, position) {
  const frame = lane.frames[pass];
  const tested = frame?.tested?.find(([at]) => at === position);
  if (!tested) return null;
  const target = frame.tokens[frame.at.indexOf(position)];
  const guess = lane.frames[pass - 1]?.drafts?.find(([at]) => at === position);
  const fate = !frame.new.includes(position) ? "dropped" : tested[1] === target ? "kept" : "replaced";
  return { token: tested[1], sure: guess?.[2] ?? null, target, fate };
}

/** Index of the first stop token among the cells, or Infinity. @param {BegunLane} lane @param {Cell[]} cells */
export function stopIndex(lane, cells) {
  const index = cells.findIndex((cell) => cell.token !== null && lane.head.stop_ids.includes(cell.token));
  return index < 0 ? Number.POSITIVE_INFINITY : index;
}
