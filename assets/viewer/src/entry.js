// What the cache did at a position in a pass, in words: computed, and why, or reused, and how old.

/** @import { Frame } from "./message.js" */
/** @import { Lane } from "./store.js" */

/** @type {Record<string, (frame: Frame, position: number) => string>} why d²Cache computed a position anew */
const REASONS = {
  density: (frame, position) =>
    `a sure guess close to decided tokens${score("certainty density", densityOf(frame, position))}`,
  committed: () => "its token has just been written",
  rollout: (frame, position) => `the others attend to it most${score("rollout", frame.rollout?.[position])}`,
  inflated: () => "it lies between two that are computed",
  padded: () => "to fill up the pass",
};

/**
 * The sentence about a position's keys and values in a pass; "" where nothing is known.
 * @param {Lane} lane
 * @param {number} pass
 * @param {number} position
 */
export function entryText(lane, pass, position) {
  const frame = lane.frames[pass];
  if (!frame?.queries) return "";
  if (computed(frame, position)) {
    const reason = Object.keys(frame.reasons ?? {}).find((name) => frame.reasons?.[name].includes(position));
    const why = reason && reason in REASONS ? `: ${REASONS[reason](frame, position)}` : "";
    return `Keys and values: computed in this step${why}.`;
  }
  const from = lane.frames.slice(0, pass).findLastIndex((earlier) => earlier && computed(earlier, position));
  if (from < 0) return "Keys and values: none yet.";
  const age = pass - from;
  return `Keys and values: reused from step ${from + 1}, ${age} step${age === 1 ? "" : "s"} old.`;
}

/** @param {Frame} frame @param {number} position */
const computed = ({ queries = [] }, position) => queries.some(([from, to]) => position >= from && position < to);

/** @param {Frame} frame @param {number} position */
const densityOf = ({ density = [] }, position) => density.find(([at]) => at === position)?.[1];

/** @param {string} name @param {number | undefined} value */
const score = (name, value) => (value === undefined ? "" : ` (${name} ${value.toFixed(2)})`);
