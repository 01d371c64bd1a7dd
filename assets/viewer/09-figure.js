// One chart: drawn by Plotly once, then only its cursor moves. Steps on its axes are counted from 1.

const AXES = { x: "xaxis", y: "yaxis" };
const coarse = () => window.matchMedia("(pointer: coarse)").matches;

class Figure {
  // `seek(step)` and `pick(position)` tell of a click; `tell(step, position)` gives the lines of the card of a cell.
  constructor(holder, { plotly, card, seek, pick, tell }) {
    Object.assign(this, { plotly, card, seek, pick, tell, drawn: null, probe: null, at: 0, link: {} });
    this.node = document.createElement("figure");
    this.node.className = "bs-figure";
    this.caption = document.createElement("figcaption");
    this.name = document.createElement("span");
    this.save = plainButton("PNG", () => this.png());
    this.save.setAttribute("aria-label", "Save this chart as PNG");
    this.caption.append(this.name, this.save);
    this.plot = document.createElement("div");
    this.plot.className = "bs-plot";
    this.plot.tabIndex = 0;
    this.plot.setAttribute("role", "img");
    this.cursor = document.createElement("div");
    this.cursor.className = "bs-cursor";
    this.plot.addEventListener("keydown", (event) => this.key(event));
    this.plot.addEventListener("blur", () => this.leave());
    this.node.append(this.caption, this.plot);
    holder.append(this.node);
  }

  async draw(spec, caption) {
    this.spec = spec;
    this.link = spec.layout.meta ?? {};
    this.name.textContent = caption;
    this.plot.setAttribute("aria-label", caption);
    const plotly = await this.plotly();
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
  }

  // Theme or data have changed: draw again where it was.
  again() {
    return this.drawn && this.draw(this.spec, this.name.textContent);
  }

  listen() {
    this.plot.on("plotly_click", ({ points: [point] }) => {
      const { step, position } = this.cell(point);
      if (step !== null) this.seek(step);
      if (position !== null) this.pick(position);
    });
    this.plot.on("plotly_hover", ({ points: [point], event }) => this.show(this.cell(point), pointAt(event)));
    this.plot.on("plotly_afterplot", () => this.place()); // it was zoomed or resized
    this.plot.on("plotly_unhover", () => this.card.hide());
  }

  // Step (from 0) and position of a point; null where the chart has no such axis.
  cell(point) {
    const { step, position } = this.link;
    return { step: step ? Math.round(point[step]) - 1 : null, position: position ? Math.round(point[position]) : null };
  }

  show({ step, position }, anchor) {
    if (position === null) return;
    this.card.show(anchor, () => this.tell(step ?? this.at, position));
  }

  // Mark step `at` (from 0). The mark lies over the chart: moving a shape of Plotly's draws large heat maps anew.
  mark(at) {
    if (this.at === at) return;
    this.at = at;
    this.place();
    if (this.probe !== null) this.showProbe();
  }

  // Put the mark where the chart now has its step, or nowhere.
  place() {
    const { step } = this.link;
    this.cursor.hidden = !this.drawn || !step;
    if (this.cursor.hidden) return;
    const [along, across] = [this.axis(step), this.axis(step === "x" ? "y" : "x")];
    const ends = [along.d2p(this.at + 0.5), along.d2p(this.at + 1.5)].sort((a, b) => a - b);
    const [from, to] = ends.map((pixel) => Math.min(along._length, Math.max(0, pixel)));
    this.cursor.hidden = from === to;
    const box = { start: along._offset + from, size: Math.max(3, to - from), other: across._offset, length: across._length };
    const [x, y, width, height] = step === "x" ? [box.start, box.other, box.size, box.length] : [box.other, box.start, box.length, box.size];
    this.cursor.style.cssText = `transform: translate(${x}px, ${y}px); width: ${width}px; height: ${height}px`;
  }

  axis(name) {
    return this.plot._fullLayout[AXES[name]];
  }

  // ↑ and ↓ walk the positions of the cursor's step, as they do in a strip of tokens.
  key(event) {
    const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!by || !this.link.position || !this.drawn) return;
    event.preventDefault();
    const [low, high] = [...this.axis(this.link.position).range].sort((a, b) => a - b);
    const first = Math.ceil(low);
    this.probe = Math.min(Math.floor(high), Math.max(first, (this.probe ?? first - by) + by));
    this.pick(this.probe);
    this.showProbe();
  }

  showProbe() {
    const cell = { step: this.link.step ? this.at : null, position: this.probe };
    this.show(cell, { isConnected: true, getBoundingClientRect: () => this.rectangle(cell) });
  }

  leave() {
    if (this.probe !== null) this.card.hide();
    this.probe = null;
  }

  // Where a cell lies in the window.
  rectangle({ position, step }) {
    const box = this.plot.getBoundingClientRect();
    const along = (name, value, origin) => origin + this.axis(name)._offset + this.axis(name).d2p(value);
    const inside = (name) => (step === null ? this.axis(name)._length / 2 : this.axis(name).d2p(step + 1)) + this.axis(name)._offset;
    if (this.link.position === "x") return spot(along("x", position, box.left), box.top + inside("y"));
    return spot(box.left + inside("x"), along("y", position, box.top));
  }

  async png() {
    if (!this.drawn) return;
    const paper = getComputedStyle(this.node).getPropertyValue("--paper").trim();
    const { data, layout } = this.plot;
    const figure = { data, layout: { ...layout, paper_bgcolor: paper, title: { text: this.name.textContent, font: { size: 14 } }, margin: { ...layout.margin, t: 64 } } };
    const size = { width: Math.max(900, this.plot.clientWidth), height: this.plot.clientHeight + 40, scale: 2 };
    const url = await this.drawn.toImage(figure, { format: "png", ...size });
    download(url, `blockscope-${slug(this.name.textContent)}.png`);
  }

  remove() {
    this.drawn?.purge(this.plot);
    this.node.remove();
  }
}

// A figure's spec with the page's colours in place of its CSS variables.
function themed(spec, node) {
  const style = getComputedStyle(node);
  const paint = (value) => {
    if (typeof value === "string") return value.startsWith("var(--") ? style.getPropertyValue(value.slice(4, -1)).trim() : value;
    if (Array.isArray(value)) return value.map(paint);
    if (value && typeof value === "object") return value.bdata ? value : Object.fromEntries(Object.entries(value).map(([k, v]) => [k, paint(v)]));
    return value;
  };
  return paint(spec);
}

const spot = (x, y) => ({ left: x, right: x, top: y - 8, bottom: y + 8 });
const slug = (text) => text.toLowerCase().replace(/[^a-z0-9]+/g, "-").slice(0, 60);

function pointAt(event) {
  const { clientX, clientY } = event;
  return { isConnected: true, getBoundingClientRect: () => spot(clientX, clientY) };
}

function plainButton(text, act) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "bs-plain";
  button.textContent = text;
  button.addEventListener("click", act);
  return button;
}

function download(url, name) {
  const link = document.createElement("a");
  Object.assign(link, { href: url, download: name });
  link.click();
}
