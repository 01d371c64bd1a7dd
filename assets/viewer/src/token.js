// The text of a token's card: what stands there, how sure the model was, what else it considered, and when it was
// written.

import { hex, tokenRuns } from "./bytes.js";
import { canvasAt, draftAt } from "./canvas.js";
import { isStop } from "./cell.js";
import { viridis } from "./colour.js";
import { element, line } from "./dom.js";
import { entryText } from "./entry.js";
import { percent } from "./format.js";
import { fill, MASK, runsOf } from "./glyphs.js";

/** @import { Part } from "./bytes.js" */
/** @import { Cell } from "./canvas.js" */
/** @import { Run } from "./glyphs.js" */
/** @import { LaneView } from "./lane.js" */
/** @import { Frame } from "./message.js" */
/** @import { BegunLane, Store } from "./store.js" */

/**
 * Of a token of the canvas on show; null where there is no such token.
 * @param {LaneView} view
 * @param {number} position
 * @param {Store} store
 */
export function tokenLines(view, position, store) {
  const { lane } = view;
  const cell = lane && view.canvas[position - lane.head.prompt.length];
  if (!cell) return null;
  const token = cell.token ?? (cell.draft ? cell.guess : null);
  const spelling = cell.token === null ? undefined : view.spelled.get(position - lane.head.prompt.length);
  const out = [
    titleLine(token, store, spelling?.runs),
    line("bs-card-where", `position ${position} · ${whenText(cell)}`),
    ...(spelling?.parts ?? []).map(partLine),
  ];
  if (cell.pass === null) {
    return [...out, line("bs-card-note", "The network has not been asked about this position yet.")];
  }
  if (cell.token !== null) out.push(...whyLines(lane.frames[cell.pass], position));
  const entry = entryText(lane, view.shown, position);
  if (entry) out.push(line("bs-card-note", entry));
  const drafts = draftLines(lane, cell.pass, position, store);
  if (lane.head.verified && cell.token === null) return [...out, ...standingLines(cell), ...drafts];
  const label = cell.token === null ? "best guess" : lane.head.verified ? "AR's confidence" : "confidence";
  return [...out, ...drafts, ...guessLines(lane.frames[cell.pass], position, label, store)];
}

const LONGEST_WORD = 12; // characters beside an axis

/**
 * What stands at a position when the run has ended, short enough for an axis.
 * @param {BegunLane} lane
 * @param {number} position
 * @param {Store} store
 */
export function wordAt(lane, position, store) {
  const { prompt } = lane.head;
  const token = prompt[position] ?? canvasAt(lane, lane.frames.length - 1)[position - prompt.length]?.token;
  if (token === undefined || token === null) return MASK;
  if (isStop(lane, token)) return "EOS";
  const text = tokenRuns(token, store)
    .map(([part]) => part)
    .join("");
  return text.length > LONGEST_WORD ? `${text.slice(0, LONGEST_WORD - 1)}…` : text;
}

/** Which rule wrote a token. @param {Frame | undefined} frame @param {number} position */
function whyLines(frame, position) {
  const why = frame?.why?.[frame.new.indexOf(position)];
  return why ? [line("bs-card-why", `Why: ${why}`)] : [];
}

/** @param {Cell} cell */
function whenText({ token, draft, pass }) {
  if (token !== null) return `committed at step ${(pass ?? 0) + 1}`;
  return draft ? "a guess, not written yet" : "not written yet";
}

/** @param {number | null} token null: a mask @param {Store} store @param {Run[]} [runs] as it is drawn among others */
function titleLine(token, store, runs) {
  const title = line("bs-card-title", "Masked");
  if (token !== null) fill(title, runs ?? tokenRuns(token, store));
  return title;
}

/** Which character a token has a part of. @param {Part} part */
function partLine({ bytes, char, from, of }) {
  const node = line("bs-card-note");
  const count = bytes.length === 1 ? "byte" : "bytes";
  if (!of) node.append(`${hex(bytes)}: no UTF-8 character together with its neighbouring tokens.`);
  else if (char === null) node.append(`${hex(bytes)}: ${count} of a character that is not complete yet.`);
  else {
    const numbers = bytes.length === 1 ? from + 1 : `${from + 1} to ${from + bytes.length}`;
    node.append(`${hex(bytes)}: ${count} ${numbers} of the ${of} of `, quotedRuns(runsOf(char)), ".");
  }
  return node;
}

/** Of a draft that stands. @param {Cell} cell */
function standingLines({ draft, confidence }) {
  if (!draft) return [];
  return [
    line("bs-card-sure", `guessed with ${percent(confidence ?? 0)}`),
    line("bs-card-note", "The next step tests it if it is likely enough, and keeps it if AR predicts the same token."),
  ];
}

/**
 * The guess at a position before a pass of verified decoding, and what the pass made of it, in plain words.
 * @param {BegunLane} lane
 * @param {number} pass
 * @param {number} position
 * @param {Store} store
 */
function draftLines(lane, pass, position, store) {
  const frame = lane.frames[pass];
  if (!frame?.tested) return [];
  const draft = draftAt(lane, pass, position);
  if (!draft) {
    return frame.new.includes(position) ? [line("bs-card-note", "AR's own token: no draft reached here.")] : [];
  }
  const guessed = line("bs-card-note");
  const share = draft.sure === null ? "" : `, ${percent(draft.sure)}`;
  guessed.append("The guess that stood here before: ", quoted(draft.token, store), share, ".");
  const fate = line("bs-card-note");
  if (draft.fate === "kept") fate.append("Confirmed: AR predicts the same token.");
  else if (draft.fate === "replaced") fate.append("Struck out: AR predicts ", quoted(draft.target, store), ".");
  else fate.append("Struck out: a guess before it was wrong.");
  return [guessed, fate];
}

/** @param {number} id @param {Store} store */
const quoted = (id, store) => quotedRuns(tokenRuns(id, store));

/** @param {Run[]} runs */
function quotedRuns(runs) {
  const node = element("q", "bs-card-piece");
  fill(node, runs);
  return node;
}

/**
 * Of one cell of a sheet: what was predicted at a position in a step, whether or not it was kept.
 * @param {BegunLane} lane
 * @param {number} step
 * @param {number} position
 * @param {Store} store
 */
export function cellLines(lane, step, position, store) {
  const frame = lane.frames[step];
  if (!frame || position < 0) return null;
  const where = `position ${position} · step ${step + 1}`;
  const k = frame.at.indexOf(position);
  if (k < 0) {
    const { prompt } = lane.head;
    const token = position < prompt.length ? prompt[position] : canvasAt(lane, step)[position - prompt.length]?.token;
    if (token === undefined) return null;
    const note = token === null ? "Not asked in this step." : "Already written; not asked in this step.";
    return [titleLine(token, store), line("bs-card-where", where), line("bs-card-note", note)];
  }
  const kept = frame.new.includes(position) ? "committed here" : "predicted, not kept";
  return [
    titleLine(frame.tokens[k], store),
    line("bs-card-where", `${where} · ${kept}`),
    ...whyLines(frame, position),
    ...[entryText(lane, step, position)].filter(Boolean).map((text) => line("bs-card-note", text)),
    ...draftLines(lane, step, position, store),
    ...guessLines(frame, position, "confidence", store),
  ];
}

/**
 * How sure a pass was at a position, and what else it considered.
 * @param {Frame} frame
 * @param {number} position
 * @param {string} label
 * @param {Store} store
 */
function guessLines(frame, position, label, store) {
  const k = frame.at.indexOf(position);
  const row = frame.alternatives?.[k];
  const sure = line("bs-card-sure", `${label} ${percent(frame.confidence[k])}`);
  return row ? [sure, alternatives(row, frame.tokens[k], store)] : [sure];
}

/** @param {[number, number][]} row @param {number} chosen @param {Store} store */
function alternatives(row, chosen, store) {
  const list = element("ol", "bs-card-list");
  for (const [id, share] of row) {
    const item = element("li", id === chosen ? "chosen" : "");
    const text = element("span", "bs-card-piece");
    fill(text, tokenRuns(id, store));
    const bar = element("span", "bs-card-bar");
    bar.style.setProperty("--share", `${100 * share}%`);
    bar.style.setProperty("--sure", viridis(share));
    item.append(text, bar, element("span", "bs-card-share", percent(share)));
    list.append(item);
  }
  return list;
}
