// Attention at the cursor's step: one layer's heads or the rollout as a heat map, and who unlocked whom. Layers are
// fetched when they are looked at; the last picture that was asked for wins.

import { tokenRuns } from "./bytes.js";
import { canvasAt } from "./canvas.js";
import { choice, element, line } from "./dom.js";
import { Figure } from "./figure.js";
import { percent } from "./format.js";
import { fill } from "./glyphs.js";

/** @import { Desk, Extra } from "./extra.js" */
/** @import { Links } from "./figure.js" */
/** @import { Answer, Spec, Unlocked } from "./message.js" */

/** @import { Store } from "./store.js" */

/** A map of attention as it is drawn: planes of queries × visible positions. */
/** @typedef {{planes: string[], rows: number[], visible: number, packed: Uint8Array, title: string}} Picture */

/** @implements {Extra} */
export class AttentionAtStep {
  /** @type {string | null} the picture asked for last; null: removed */
  asked = "";
  at = -1;
  source = "rollout"; // or the number of a layer
  plane = 0;
  /** @type {Spec | undefined} */
  template;
  /** @type {HTMLElement | null} */
  sources = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  timer;

  /** @param {HTMLElement} holder @param {Desk} desk @param {Links} links */
  constructor(holder, desk, links) {
    this.holder = holder;
    this.desk = desk;
    this.bar = element("div", "bs-options");
    this.note = line("bs-note");
    const stage = element("div");
    this.unlocks = element("section", "bs-unlocks");
    holder.append(this.bar, this.note, stage, this.unlocks);
    this.chart = new Figure(stage, links);
    this.figures = [this.chart];
  }

  /** @param {Answer} answer */
  update({ layers = 0, template }) {
    this.template = template;
    /** @type {[string, string][]} */
    const each = Array.from({ length: layers }, (_, i) => [String(i), `layer ${i + 1}`]);
    this.sources = choice("map", [["rollout", "rollout over all layers"], ...each], this.source, (value) => {
      this.source = value;
      this.plane = 0;
      this.load();
    });
    this.bar.replaceChildren(this.sources);
    this.asked = "";
  }

  /** @param {number} at */
  follow(at) {
    if (this.at === at && this.asked) return;
    this.at = at;
    clearTimeout(this.timer);
    this.holder.setAttribute("aria-busy", "true");
    this.timer = setTimeout(() => this.load(), 60); // while scrubbing, only where the hand rests
  }

  async load() {
    const { at: step, source } = this;
    this.asked = `${step}/${source}`;
    const key = this.asked;
    const asked = [this.desk.reply({ step, view: "rollout_at" })];
    if (source !== "rollout") asked.push(this.desk.reply({ step, view: "maps", layer: Number(source) }));
    const [rollout, answer = rollout] = await Promise.all(asked);
    if (this.asked !== key) return;
    const picture = pictureOf(answer, source);
    if (picture) await this.show(picture);
    this.chart.node.hidden = !picture;
    this.note.textContent = answer.error ?? answer.empty ?? answer.note ?? "";
    this.listUnlocks(rollout.unlocked ?? []);
    this.holder.removeAttribute("aria-busy");
  }

  /** Draw one plane of a picture. @param {Picture} picture */
  async show(picture) {
    const { planes, rows, visible, packed, title } = picture;
    const plane = Math.min(this.plane, planes.length - 1);
    const valueAt = (/** @type {number} */ row, /** @type {number} */ column) =>
      (packed[(plane * rows.length + row) * visible + column] / 255) ** 2; // packed as round(255 √p)
    const z = rows.map((_, row) => Array.from({ length: visible }, (_, column) => valueAt(row, column)));
    const select = choice(
      "plane",
      planes.map((name, i) => [i, name]),
      plane,
      (value) => {
        this.plane = Number(value);
        this.show(picture);
      },
    );
    this.bar.replaceChildren(...(this.sources ? [this.sources] : []), select);
    if (!this.template) return;
    const spec = structuredClone(this.template);
    Object.assign(spec.data[0], { z, x0: 0, dx: 1, y: rows.map(String) });
    const axis = /** @type {object} */ (spec.layout.yaxis);
    spec.layout.yaxis = { ...axis, type: "category", autorange: "reversed" }; // rows need not be neighbours
    await this.chart.draw(spec, `${title}, ${planes[plane]}`);
  }

  /** @param {Unlocked[]} unlocked */
  listUnlocks(unlocked) {
    const { store, lane: name } = this.desk;
    const lane = store.laneOf(name);
    const { prompt } = lane.head;
    const cells = canvasAt(lane, this.at);
    const words = unlocked.length
      ? "Who unlocked whom: what each token of this step drew on, by rollout. Bold: written since it was last asked. Attention is not explanation."
      : "No token was committed in this step.";
    const rows = unlocked.map(({ position, token, sources }) => {
      const row = element("div", "bs-unlock");
      row.append(chip(token, store, `position ${position}`), " ← ");
      for (const { position: from, weight, written, fresh } of sources) {
        const id = from < prompt.length ? prompt[from] : cells[from - prompt.length]?.token;
        const when = written === null ? "prompt" : `written at step ${written}`;
        const source = chip(id, store, `position ${from}, ${when}`);
        source.classList.toggle("fresh", fresh);
        row.append(source, element("span", "bs-weight", `${percent(weight)} · ${when}`));
      }
      return row;
    });
    this.unlocks.replaceChildren(line("bs-unlocks-title", words), ...rows);
  }

  remove() {
    clearTimeout(this.timer);
    this.asked = null; // what comes now comes too late
    this.holder.removeAttribute("aria-busy");
    this.chart.remove();
    this.holder.replaceChildren();
  }
}

/** @param {Answer} answer @param {string} source @returns {Picture | null} null: there is none */
function pictureOf({ data, queries = [], visible = 0, planes = [], layer = 0, step = 0 }, source) {
  if (!data) return null;
  const rows = queries.flatMap(([from, to]) => Array.from({ length: to - from }, (_, i) => from + i));
  const packed = Uint8Array.from(atob(data), (char) => char.charCodeAt(0));
  const what = source === "rollout" ? "Rollout" : `Attention of layer ${layer + 1}`;
  return { planes, rows, visible, packed, title: `${what} at step ${step + 1}` };
}

/** A token in a list. @param {number | null | undefined} id @param {Store} store @param {string} title */
export function chip(id, store, title) {
  const node = element("span", "bs-chip");
  node.title = title;
  fill(node, tokenRuns(id, store));
  return node;
}
