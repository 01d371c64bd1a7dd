// Drift at the cursor's step by layer, the path of one position's key states, and where stale entries changed a token.

import { chip } from "./attention.js";
import { element, line, plainButton } from "./dom.js";
import { Figure } from "./figure.js";
import { percent } from "./format.js";

/** @import { Desk, Extra } from "./extra.js" */
/** @import { Links } from "./figure.js" */
/** @import { Answer, Change } from "./message.js" */

const MOST = 200; // rows of the list

/** @implements {Extra} */
export class DriftAtStep {
  /** @type {string | null} the step asked for last; null: removed */
  asked = "";
  at = -1;
  layers = 0;
  /** @type {Change[]} */
  changes = [];
  /** @type {number | null} */
  position = null;
  /** @type {Promise<void>} */
  picked = Promise.resolve();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  timer;

  /** @param {HTMLElement} holder @param {Desk} desk @param {Links} links */
  constructor(holder, desk, links) {
    this.holder = holder;
    this.desk = desk;
    const stage = element("div", "bs-figures");
    this.table = element("div", "bs-changes");
    holder.append(stage, this.table);
    this.byLayer = new Figure(stage, links);
    this.path = new Figure(stage, links);
    this.figures = [this.byLayer, this.path];
  }

  /** @param {Answer} answer */
  update({ layers = 0, changes = [] }) {
    this.layers = layers;
    this.changes = changes;
    this.asked = "";
    const { store, lane, position } = this.desk;
    this.list();
    this.picked = this.pick(position ?? changes[0]?.position ?? store.laneOf(lane).head.prompt.length);
  }

  /** @param {number} at */
  follow(at) {
    this.path.mark(at);
    if (this.at === at && this.asked) return;
    this.at = at;
    clearTimeout(this.timer);
    this.holder.setAttribute("aria-busy", "true");
    this.timer = setTimeout(() => this.load(), 60);
  }

  async load() {
    this.asked = `${this.at}`;
    const key = this.asked;
    const what = String(this.desk.given().what);
    const answer = await this.desk.reply({ view: "drift_at", step: this.at, what });
    if (this.asked !== key) return;
    await Promise.all([put(this.byLayer, answer), this.picked]);
    this.holder.removeAttribute("aria-busy");
  }

  /** Show the path of another position. @param {number} position */
  async pick(position) {
    this.position = position;
    const layer = this.desk.given().layer ?? this.layers - 1;
    const answer = await this.desk.reply({ view: "trajectory", layer, position });
    if (this.position === position) await put(this.path, answer);
  }

  list() {
    const committed = this.changes.filter((change) => change.committed).length;
    const words = this.changes.length
      ? `Stale entries changed the best guess ${this.changes.length} times; ${committed} of those guesses were committed.`
      : "Stale entries changed no guess: this cache cost the answer nothing.";
    const rows = this.changes.slice(0, MOST).map((change) => this.row(change));
    this.table.replaceChildren(line("bs-unlocks-title", words), ...rows);
  }

  /** @param {Change} change */
  row({ step, position, token, confidence, fresh, fresh_confidence: sure, committed }) {
    const { store, cursor, lane } = this.desk;
    const row = element("div", "bs-unlock");
    row.append(
      plainButton(`step ${step}`, () => cursor.stand(store.laneOf(lane), step - 1)),
      ` position ${position}: `,
      chip(token, store, "with the cache"),
      ` ${percent(confidence)} instead of `,
      chip(fresh, store, "with fresh entries"),
      ` ${percent(sure)}${committed ? ", committed" : ""}`,
    );
    return row;
  }

  remove() {
    clearTimeout(this.timer);
    this.asked = this.position = null; // what comes now comes too late
    this.holder.removeAttribute("aria-busy");
    for (const figure of this.figures) figure.remove();
    this.holder.replaceChildren();
  }
}

/** @param {Figure} figure @param {Answer} answer */
async function put(figure, { figures, captions = [] }) {
  figure.node.hidden = !figures;
  if (figures) await figure.draw(figures[0], captions[0]);
}
