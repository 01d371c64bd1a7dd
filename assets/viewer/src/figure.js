// One chart: drawn by Plotly once, then only its cursor moves. Steps on its axes are counted from 1.

import { stepOf } from "./controls.js";
import { download, element, plainButton } from "./dom.js";

/** @import { Anchor, Lines, Rectangle, Spot } from "./card.js" */
/** @import { Axis, Plot, PlotPoint, Plotly, Spec } from "./message.js" */

/**
 * What a chart does with the rest of the page.
 * @typedef {object} Links
 * @property {() => Promise<Plotly>} plotly
 * @property {{show(anchor: Anchor, lines: Lines): void, hide(): void}} card
 * @property {(step: number) => void} seek a step was clicked
 * @property {(position: number) => void} pick a position was clicked
 * @property {(step: number, position: number) => HTMLElement[] | null} lines those of a cell's card
 * @property {(position: number) => string} word what stands at a position when the run has ended
 */

/** A cell of a chart; null where the chart has no such axis. Steps count from 0. */
/** @typedef {{step: number | null, position: number | null}} Place */

const AXES = { x: "xaxis", y: "yaxis" };
const coarse = () => window.matchMedia("(pointer: coarse)").matches;

export class Figure {
  /** @type {Spec} */
  spec = { data: [], layout: {} };
  /** @type {NonNullable<Spec["layout"]["meta"]>} */
  link = {};
  /** @type {Plotly | null} */
  drawn = null;
  /** @type {number | null} the position that the keyboard points at */
  probe = null;
  at = 0;

  /** @param {Element} holder @param {Links} links */
  constructor(holder, links) {
    this.links = links;
    this.node = element("figure", "bs-figure");
    this.name = document.createElement("span");
    const save = plainButton("PNG", () => this.png());
    save.setAttribute("aria-label", "Save this chart as PNG");
    const caption = document.createElement("figcaption");
    caption.append(this.name, save);
    this.plot = /** @type {Plot} */ (element("div", "bs-plot"));
    this.plot.tabIndex = 0;
    this.plot.setAttribute("role", "img");
    this.cursor = element("div", "bs-cursor");
    this.plot.addEventListener("keydown", (event) => this.key(event));
    this.plot.addEventListener("blur", () => this.leave());
    this.node.append(caption, this.plot);
    holder.append(this.node);
  }

  /** @param {Spec} spec @param {string} caption */
  async draw(spec, caption) {
    this.spec = spec;
    this.link = spec.layout.meta ?? {};
    this.name.textContent = caption;
    this.plot.setAttribute("aria-label", caption);
    const plotly = await this.links.plotly();
    if (!this.node.isConnected) return;
    const { data, layout } = themed(spec, this.node);
    const config = { responsive: true, displayModeBar: false, doubleClick: "reset+autosize" };
    layout.dragmode = coarse() ? false : "zoom"; // a finger scrolls the page
    this.plot.style.height = `${layout.height}px`; // before it is drawn, so that the page does not jump
    layout.uirevision = "kept";
    await plotly.react(this.plot, data, layout, config);
    if (!this.drawn) this.listen();
    this.drawn = plotly;
    this.plot.append(this.cursor);
    this.place();
    this.words();
  }

  /** Draw again where it was: the page's colours have changed. */
  again() {
    if (this.drawn) this.draw(this.spec, this.name.textContent ?? "");
  }

  listen() {
    this.plot.on?.("plotly_click", ({ points: [point] }) => {
      const { step, position } = this.cell(point);
      if (step !== null) this.links.seek(step);
      if (position !== null) this.links.pick(position);
    });
    this.plot.on?.("plotly_hover", ({ points: [point], event }) => this.show(this.cell(point), pointAt(event)));
    this.plot.on?.("plotly_afterplot", () => {
      this.place(); // it was zoomed or resized
      this.words();
    });
    this.plot.on?.("plotly_unhover", () => this.links.card.hide());
  }

  /** The cell of a point. @param {PlotPoint} point @returns {Place} */
  cell(point) {
    const { step, position } = this.link;
    return { step: step ? Math.round(point[step]) - 1 : null, position: position ? Math.round(point[position]) : null };
  }

  /** @param {Place} place @param {Anchor} anchor */
  show({ step, position }, anchor) {
    if (position === null) return;
    this.links.card.show(anchor, () => this.links.lines(step ?? this.at, position));
  }

  /** Mark step `at`, from 0. The mark lies over the chart: moving one of Plotly's shapes draws large heat maps anew. @param {number} at */
  mark(at) {
    if (this.at === at) return;
    this.at = at;
    this.place();
    if (this.probe !== null) this.showProbe();
  }

  /** Put the mark where the chart now has its step, or nowhere. */
  place() {
    const { step } = this.link;
    this.cursor.hidden = true;
    if (!this.drawn || !step) return;
    const [along, across] = [this.axis(step), this.axis(step === "x" ? "y" : "x")];
    const ends = [along.d2p(this.at + 0.5), along.d2p(this.at + 1.5)].sort((a, b) => a - b);
    const [from, to] = ends.map((pixel) => Math.min(along._length, Math.max(0, pixel)));
    this.cursor.hidden = from === to;
    const own = [along._offset + from, Math.max(3, to - from)];
    const other = [across._offset, across._length];
    const [[x, width], [y, height]] = step === "x" ? [own, other] : [other, own];
    Object.assign(this.cursor.style, {
      transform: `translate(${x}px, ${y}px)`,
      width: `${width}px`,
      height: `${height}px`,
    });
  }

  /** Name positions by what stands there. As text, because Plotly reads its own labels as markup. */
  words() {
    const names = [this.link.position, this.link.query].filter(Boolean);
    for (const name of names) {
      for (const tick of this.plot.querySelectorAll(`.${name}tick`)) {
        const { text } = /** @type {{__data__?: {text: string}}} */ (/** @type {unknown} */ (tick)).__data__ ?? {};
        const at = Number(text);
        const label = tick.querySelector("text");
        if (label && text !== undefined && Number.isInteger(at)) label.textContent = this.links.word(at);
      }
    }
  }

  /** @param {"x" | "y"} name @returns {Axis} */
  axis(name) {
    const axis = this.plot._fullLayout?.[AXES[name]];
    if (!axis) throw new Error(`the chart has no axis ${name}`);
    return axis;
  }

  /** ↑ and ↓ walk the positions of the cursor's step, as they do in a strip of tokens. @param {KeyboardEvent} event */
  key(event) {
    const by = stepOf(event.key);
    if (!by || !this.link.position || !this.drawn) return;
    event.preventDefault();
    const [low, high] = [...this.axis(this.link.position).range].sort((a, b) => a - b);
    const first = Math.ceil(low);
    this.probe = Math.min(Math.floor(high), Math.max(first, (this.probe ?? first - by) + by));
    this.links.pick(this.probe);
    this.showProbe();
  }

  showProbe() {
    const cell = { step: this.link.step ? this.at : null, position: this.probe };
    this.show(cell, { isConnected: true, getBoundingClientRect: () => this.rectangle(cell) });
  }

  leave() {
    if (this.probe !== null) this.links.card.hide();
    this.probe = null;
  }

  /** Where a cell lies in the window. @param {Place} place @returns {Rectangle} */
  rectangle({ position, step }) {
    const box = this.plot.getBoundingClientRect();
    const at = (/** @type {"x" | "y"} */ name) => {
      const axis = this.axis(name);
      if (name === this.link.position) return axis._offset + axis.d2p(position ?? 0);
      return axis._offset + (step === null ? axis._length / 2 : axis.d2p(step + 1));
    };
    return spot(box.left + at("x"), box.top + at("y"));
  }

  async png() {
    if (!this.drawn) return;
    const paper = getComputedStyle(this.node).getPropertyValue("--paper").trim();
    const { data, layout = {} } = this.plot;
    const caption = this.name.textContent ?? "";
    const margin = { .../** @type {object} */ (layout.margin), t: 64 };
    const title = { text: caption, font: { size: 14 } };
    const size = { width: Math.max(900, this.plot.clientWidth), height: this.plot.clientHeight + 40, scale: 2 };
    const figure = { data, layout: { ...layout, paper_bgcolor: paper, title, margin } };
    const url = await this.drawn.toImage(figure, { format: "png", ...size });
    download(url, `blockscope-${slug(caption)}.png`);
  }

  remove() {
    this.drawn?.purge(this.plot);
    this.node.remove();
  }
}

/** A figure with the page's colours in place of its CSS variables. @param {Spec} spec @param {Element} node @returns {Spec} */
function themed(spec, node) {
  const style = getComputedStyle(node);
  /** @type {(value: any) => any} */
  const paint = (value) => {
    if (typeof value === "string") {
      return value.startsWith("var(--") ? style.getPropertyValue(value.slice(4, -1)).trim() : value;
    }
    if (Array.isArray(value)) return value.map(paint);
    if (!value || typeof value !== "object" || value.bdata) return value; // bdata: numbers in base64
    return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, paint(part)]));
  };
  return paint(spec);
}

/** @param {number} x @param {number} y @returns {Rectangle} */
const spot = (x, y) => ({ left: x, right: x, top: y - 8, bottom: y + 8 });

/** @param {string} text */
const slug = (text) =>
  text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, 60);

/** @param {MouseEvent} event @returns {Spot} */
function pointAt({ clientX, clientY }) {
  return { isConnected: true, getBoundingClientRect: () => spot(clientX, clientY) };
}
