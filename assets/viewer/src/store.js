// Everything received about the run on show. It never touches the page.

import { REPLACED } from "./glyphs.js";

/** @import { Frame, Head, LaneMessage, LaneState, Message, RunMessage, Title } from "./message.js" */
/** @import { Cell } from "./canvas.js" */

/**
 * A lane as far as it is known. A frame that did not arrive is missing.
 * @typedef {object} Lane
 * @property {string} name
 * @property {LaneState} state
 * @property {Head | null} head null until the lane has begun
 * @property {Frame[]} frames
 * @property {Cell[][]} stops canvases kept for seeking, see canvas.js
 * @property {number} [recorder] seconds
 * @property {string | null} [gate]
 * @property {boolean | null} [same]
 * @property {{low: number, high: number, repeats: number} | null} [spread]
 */

/** A lane that has begun. @typedef {Lane & {head: Head}} BegunLane */

/** How a lane finished. @typedef {{took: number, rank: number}} Finish */

/** @param {Lane | undefined} lane @returns {lane is BegunLane} */
export const begun = (lane) => Boolean(lane?.head);

export class Store {
  /** @type {string | null} */
  run = null;
  /** @type {string[]} */
  planned = [];
  /** @type {Map<string, Lane>} */
  lanes = new Map();
  /** @type {Map<number, string>} */
  pieces = new Map();
  /** @type {Map<number, number[]>} of tokens that are not complete characters, see bytes.js */
  bytes = new Map();
  note = "";
  facts = "";
  verdict = "";
  /** @type {string[]} */
  verdictLines = [];
  link = "";
  done = false;
  cancelled = false;
  waiting = ""; // what is waited for before another run begins
  halted = false; // Stop was pressed: what its run still sends is ignored until another run is asked for
  /** @type {number | null} the step that a deep link asked for */
  at = null;
  race = false; // whether the run has just ended and is to be played on one clock
  welcome = false; // whether it is what the page opens with
  /** @type {Message | null} */
  declined = null; // what the page opens with, if something else had been asked for
  version = 0; // grows with what there is to ask about the run
  received = 0; // messages of all runs
  /** @type {Set<string>} runs that a newer one has replaced */
  past = new Set();

  /** @param {Record<string, Title>} usual titles of the lanes of a run that names none */
  constructor(usual) {
    this.usual = usual;
    this.titles = new Map(Object.entries(usual));
  }

  /** Forget the run on show for another. @param {string} run @param {string[]} planned */
  begin(run, planned) {
    const { usual, received, past } = this;
    if (this.run !== null) past.add(this.run);
    Object.assign(this, new Store(usual), { received, past, run, planned });
  }

  /** Whether nothing more will come, so that pictures may be drawn without disturbing the timing. */
  get ended() {
    return this.run !== null && (this.done || this.cancelled);
  }

  /** Whether a run was asked for and has not ended: what the page's buttons follow. */
  get busy() {
    return Boolean(this.waiting) || (this.run !== null && !this.ended);
  }

  /** A run was asked for. */
  ask() {
    this.halted = false;
    this.waiting = "Waiting for a turn…";
  }

  /** What was asked for was refused, or the run on show has failed. */
  refuse() {
    if (this.waiting) this.waiting = "";
    else if (!this.ended) this.stop();
  }

  /**
   * Take one message; returns whether it began a new run.
   * @param {Message} message
   */
  accept(message) {
    this.received += 1;
    if ("stopped" in message) return this.stop();
    if ("waiting" in message) {
      if (!this.halted) this.waiting = message.waiting; // the run on show stays
      return false;
    }
    const begins = message.run !== this.run;
    if (message.welcome && begins && (this.waiting || this.run !== null)) {
      this.declined = message; // the visitor was quicker
      return false;
    }
    if (begins && this.halted && !message.done) return false;
    if (begins && (!message.planned || this.past.has(message.run))) return false; // of a run that is no longer on show
    if (begins) this.begin(message.run, message.planned ?? []);
    this.learn(message);
    return begins;
  }

  /** Stop was pressed: the run on show ends where it is. */
  stop() {
    this.halted = true;
    this.waiting = "";
    this.note = "";
    this.cancelled = this.run !== null && !this.done;
    if (!this.cancelled) return false;
    for (const lane of this.lanes.values()) if (lane.state === "running") lane.state = "cancelled";
    return false;
  }

  /** @param {RunMessage} message */
  learn(message) {
    if (message.done || message.measured) this.version += 1;
    for (const [name, title] of Object.entries(message.titles ?? {})) this.titles.set(name, title);
    for (const [id, text] of Object.entries(message.pieces ?? {})) this.pieces.set(Number(id), text);
    for (const [id, bytes] of Object.entries(message.bytes ?? {})) this.bytes.set(Number(id), bytes);
    for (const part of message.lanes) this.acceptLane(part);
    this.note = message.note ?? "";
    this.facts = message.facts ?? this.facts;
    this.verdict = message.verdict ?? this.verdict;
    this.verdictLines = message.verdict_lines ?? this.verdictLines;
    this.link = message.link ?? this.link;
    this.at = message.at ?? null;
    this.welcome ||= Boolean(message.welcome);
    this.race = Boolean(message.clock) && this.raceable && !this.done;
    this.done ||= Boolean(message.done);
  }

  /** @param {LaneMessage} part */
  acceptLane(part) {
    const { name, frames, ...rest } = part;
    const lane = this.lanes.get(name) ?? { name, state: "running", head: null, frames: [], stops: [] };
    this.lanes.set(name, lane);
    for (const frame of frames) lane.frames[frame.i] = frame;
    if (part.head) Object.assign(lane, rest);
  }

  /** How many frames never arrived; the next whole lane brings them. */
  gaps() {
    let missing = 0;
    for (const { frames } of this.lanes.values()) for (let i = 0; i < frames.length; i++) missing += Number(!frames[i]);
    return missing;
  }

  /** @param {string} name a lane's @returns {Title} */
  titleOf(name) {
    return this.titles.get(name) ?? { title: name, about: "", text_label: `${name}: answer as text` };
  }

  /** A lane that has begun. @param {string | null} name @returns {BegunLane} */
  laneOf(name) {
    const lane = this.lanes.get(name ?? "");
    if (!begun(lane)) throw new Error(`lane ${name} has not begun`);
    return lane;
  }

  get raceable() {
    return this.planned.length > 1;
  }

  get passes() {
    return Math.max(0, ...Array.from(this.lanes.values(), (lane) => lane.frames.length));
  }

  /** The time of the slowest lane. */
  get milliseconds() {
    return Math.max(0, ...Array.from(this.lanes.values(), (lane) => endOf(lane, lane.frames.length - 1)));
  }

  /**
   * The lanes that finished, with their milliseconds and rank. Equally fast lanes share a rank.
   * @returns {Map<string, Finish>}
   */
  finishes() {
    const lanes = Array.from(this.lanes.values()).filter(
      ({ state, frames }) => ["eos", "length"].includes(state) && frames.length,
    );
    const took = lanes.map((lane) => endOf(lane, lane.frames.length - 1));
    const rank = (/** @type {number} */ own) => 1 + took.filter((other) => other < own).length;
    return new Map(lanes.map(({ name }, i) => [name, { took: took[i], rank: rank(took[i]) }]));
  }

  /** The text of a token. @param {number | null | undefined} id */
  pieceOf(id) {
    return this.pieces.get(id ?? -1) ?? REPLACED;
  }
}

/** Milliseconds from a lane's start to the end of a pass; 0 if not known. @param {Lane} lane @param {number} pass */
export const endOf = (lane, pass) => 1000 * (lane.frames[pass]?.totals.seconds ?? 0);

/** The last pass of a lane that had ended by then, or -1. @param {Lane} lane @param {number} ms */
export const passAt = (lane, ms) => lane.frames.findLastIndex((frame, pass) => frame && endOf(lane, pass) <= ms);
