// A race at a glance, which also fits a phone: a row for each lane, its tokens so far as a bar that is full at the finish.

import { element, setText } from "./dom.js";
import { ordinal, secondsOf } from "./format.js";

/** @import { Cursor } from "./cursor.js" */
/** @import { Finish, Lane, Store } from "./store.js" */

export class Track {
  /** @type {Map<string, ReturnType<typeof trackRow>>} */
  rows = new Map();

  /** @param {HTMLElement} node */
  constructor(node) {
    this.node = node;
  }

  /** The lanes of a run. @param {string[]} names */
  stage(names) {
    this.rows = new Map(names.map((name) => [name, trackRow()]));
    this.node.replaceChildren(...Array.from(this.rows.values(), ({ node }) => node));
  }

  /**
   * Bring every bar to where the clock stands; by step there is no race.
   * @param {Store} store
   * @param {Cursor} cursor
   * @param {Map<string, Finish>} finishes of the lanes that are in
   */
  follow(store, cursor, finishes) {
    this.node.hidden = !cursor.onClock;
    if (this.node.hidden) return;
    for (const [name, row] of this.rows) {
      const lane = store.lanes.get(name);
      const tokens = lane ? tokensAt(lane, cursor.of(lane)) : 0;
      const all = lane ? tokensAt(lane, lane.frames.length - 1) : 0;
      const finish = finishes.get(name);
      setText(row.title, store.titleOf(name).title);
      setText(
        row.count,
        finish ? `${ordinal(finish.rank)}, ${secondsOf(finish.took, finish.took)} s` : `${tokens} of ${all}`,
      );
      row.node.style.setProperty("--share", `${all ? (100 * tokens) / all : 0}%`);
      row.node.classList.toggle("finished", Boolean(finish));
    }
  }
}

/** @param {Lane} lane @param {number} pass */
const tokensAt = (lane, pass) => lane.frames[pass]?.totals.tokens ?? 0;

function trackRow() {
  const node = element("div", "bs-track-row");
  const [title, bar, count] = ["bs-track-title", "bs-track-bar", "bs-track-count"].map((name) => element("span", name));
  node.append(title, bar, count);
  return { node, title, count };
}
