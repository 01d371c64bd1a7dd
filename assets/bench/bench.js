// Made by `make bundle` from assets/bench/src.
"use strict";
var bench = (() => {
  var __defProp = Object.defineProperty;
  var __getOwnPropDesc = Object.getOwnPropertyDescriptor;
  var __getOwnPropNames = Object.getOwnPropertyNames;
  var __hasOwnProp = Object.prototype.hasOwnProperty;
  var __export = (target, all) => {
    for (var name in all)
      __defProp(target, name, { get: all[name], enumerable: true });
  };
  var __copyProps = (to, from, except, desc) => {
    if (from && typeof from === "object" || typeof from === "function") {
      for (let key of __getOwnPropNames(from))
        if (!__hasOwnProp.call(to, key) && key !== except)
          __defProp(to, key, { get: () => from[key], enumerable: !(desc = __getOwnPropDesc(from, key)) || desc.enumerable });
    }
    return to;
  };
  var __toCommonJS = (mod) => __copyProps(__defProp({}, "__esModule", { value: true }), mod);

  // bench/src/index.js
  var index_exports = {};
  __export(index_exports, {
    mount: () => mount
  });

  // viewer/src/dom.js
  function find(root, selector, _kind) {
    const node = root.querySelector(selector);
    if (!node) throw new Error(`there is no element ${selector}`);
    return (
      /** @type {T} */
      node
    );
  }
  function element(tag, className = "", text = "") {
    const node = document.createElement(tag);
    node.className = className;
    node.textContent = text;
    return node;
  }
  function plainButton(text, act) {
    const button = element("button", "bs-plain", text);
    button.type = "button";
    button.addEventListener("click", act);
    return button;
  }
  function download(url, name) {
    const link = document.createElement("a");
    Object.assign(link, { href: url, download: name });
    link.click();
  }
  function lifetime(root) {
    const life = new AbortController();
    root.dispatchEvent(new Event("blockscope:unmount"));
    root.addEventListener("blockscope:unmount", () => life.abort(), { signal: life.signal });
    return life;
  }
  function onTheme(root, life, repaint) {
    const observer = new MutationObserver(() => root.isConnected ? repaint() : life.abort());
    observer.observe(document.body, { attributeFilter: ["class"] });
    life.signal.addEventListener("abort", () => observer.disconnect());
  }
  function onView(root, life, see, rootMargin = "200px") {
    const observer = new IntersectionObserver(([entry]) => entry && see(entry.isIntersecting), { rootMargin });
    observer.observe(root);
    life.signal.addEventListener("abort", () => observer.disconnect());
  }

  // viewer/src/bytes.js
  var ENCODER = new TextEncoder();
  var LENIENT = new TextDecoder("utf-8", { ignoreBOM: true });
  var STRICT = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });

  // viewer/src/controls.js
  var stepOf = (key) => key === "ArrowDown" ? 1 : key === "ArrowUp" ? -1 : 0;

  // viewer/src/figure.js
  var AXES = { x: "xaxis", y: "yaxis" };
  var coarse = () => window.matchMedia("(pointer: coarse)").matches;
  var Figure = class {
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
      this.plot = /** @type {Plot} */
      element("div", "bs-plot");
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
      layout.dragmode = coarse() ? false : "zoom";
      this.plot.style.height = `${layout.height}px`;
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
        this.place();
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
        height: `${height}px`
      });
    }
    /** Name positions by what stands there. As text, because Plotly reads its own labels as markup. */
    words() {
      const names = [this.link.position, this.link.query].filter(Boolean);
      for (const name of names) {
        for (const tick of this.plot.querySelectorAll(`.${name}tick`)) {
          const { text } = (
            /** @type {{__data__?: {text: string}}} */
            /** @type {unknown} */
            tick.__data__ ?? {}
          );
          const at = Number(text);
          const label = tick.querySelector("text");
          if (label && text !== void 0 && Number.isInteger(at)) label.textContent = this.links.word(at);
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
      const at = (name) => {
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
      const margin = { .../** @type {object} */
      layout.margin, t: 64 };
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
  };
  function themed(spec, node) {
    const style = getComputedStyle(node);
    const paint = (value) => {
      if (typeof value === "string") {
        return value.startsWith("var(--") ? style.getPropertyValue(value.slice(4, -1)).trim() : value;
      }
      if (Array.isArray(value)) return value.map(paint);
      if (!value || typeof value !== "object" || value.bdata) return value;
      return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, paint(part)]));
    };
    return paint(spec);
  }
  var spot = (x, y) => ({ left: x, right: x, top: y - 8, bottom: y + 8 });
  var slug = (text) => text.toLowerCase().replace(/[^a-z0-9]+/g, "-").slice(0, 60);
  function pointAt({ clientX, clientY }) {
    return { isConnected: true, getBoundingClientRect: () => spot(clientX, clientY) };
  }

  // bench/src/table.js
  var Table = class {
    /** @type {Row[]} */
    rows = [];
    column = -1;
    // sorted by; -1: as it came
    falling = false;
    /** @param {HTMLElement} node @param {(row: number) => void} open */
    constructor(node, open) {
      this.node = node;
      this.open = open;
    }
    /** @param {Shown} shown */
    show({ columns, rows }) {
      Object.assign(this, { rows, column: -1, falling: false });
      const head = document.createElement("tr");
      head.append(...columns.map((column, n) => this.heading(column, n)));
      head.firstChild?.after(document.createElement("td"));
      find(this.node, "thead").replaceChildren(head);
      this.draw();
    }
    /** @param {{title: string, about: string}} words @param {number} column */
    heading({ title, about }, column) {
      const cell = document.createElement("th");
      const button = element("button", "", title);
      Object.assign(button, { type: "button", title: about });
      button.addEventListener("click", () => this.sort(column));
      cell.scope = "col";
      cell.append(button);
      return cell;
    }
    /** Numbers fall first, because the largest is looked for; names rise first. @param {number} column */
    sort(column) {
      this.falling = this.column === column ? !this.falling : typeof this.rows[0]?.order[column] !== "string";
      this.column = column;
      this.draw();
    }
    draw() {
      const { column, falling } = this;
      const rows = Array.from(this.rows.entries());
      if (column >= 0) {
        rows.sort(([m, a], [n, b]) => compare(a.order[column], b.order[column], falling) || m - n);
      }
      find(this.node, "tbody").replaceChildren(...rows.map(([index, row]) => this.row(row, index)));
      for (const [n, cell] of this.node.querySelectorAll("thead th").entries()) {
        if (n === column) cell.setAttribute("aria-sort", falling ? "descending" : "ascending");
        else cell.removeAttribute("aria-sort");
      }
    }
    /** @param {Row} row @param {number} index */
    row({ cells: [name, ...others], trace }, index) {
      const row = document.createElement("tr");
      const head = element("th", "", name);
      head.scope = "row";
      const last = document.createElement("td");
      if (trace) {
        const button = plainButton("Open", () => this.open(index));
        button.setAttribute("aria-label", `Open the trace of ${name}`);
        last.append(button);
      }
      row.append(head, last, ...others.map((text) => element("td", "", text)));
      return row;
    }
  };
  function compare(a, b, falling) {
    if (a === null || b === null) return Number(a === null) - Number(b === null);
    const order = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
    return falling ? -order : order;
  }

  // bench/src/board.js
  var NOTHING = { files: [], figures: [], columns: [], rows: [], facts: "", note: "" };
  function mount(root, { read, listen, ask, open, plotly }) {
    const life = lifetime(root);
    const select = find(root, "select", HTMLSelectElement);
    const holder = find(root, ".bs-bench-figures");
    const table = new Table(find(root, "table"), (row) => open({ file: shown.file, row }));
    let shown = NOTHING;
    let figures = [];
    let seen = false;
    let stale = false;
    let newest = 0;
    const choose = async () => {
      newest += 1;
      const mine = newest;
      const reply = await ask({ file: select.value });
      if (mine === newest && !life.signal.aborted) show(reply);
    };
    select.addEventListener("change", choose, { signal: life.signal });
    onView(root, life, (visible) => {
      seen = visible;
      if (seen && stale) draw();
    });
    onTheme(root, life, () => {
      for (const figure of figures) figure.again();
    });
    function show(reply) {
      find(root, ".bs-bench-empty").textContent = reply.error ?? reply.empty ?? "";
      if (reply.error) return;
      shown = { ...NOTHING, ...reply };
      select.replaceChildren(...shown.files.map((file) => new Option(file, file, false, file === shown.file)));
      find(root, ".bs-bench-choice").hidden = shown.files.length === 0;
      find(root, ".bs-bench-facts").textContent = shown.facts;
      find(root, ".bs-bench-note").textContent = shown.note;
      root.dataset.file = shown.file ?? "";
      table.show(shown);
      stale = true;
      if (seen) draw();
    }
    async function draw() {
      stale = false;
      for (const figure of figures) figure.remove();
      const idle = { hide() {
      }, show() {
      } };
      const links = { plotly, card: idle, seek() {
      }, pick() {
      }, lines: () => null, word: String };
      const places = shown.figures.map(() => element("div"));
      holder.replaceChildren(...places);
      const mine = places.map((place) => new Figure(place, links));
      figures = mine;
      for (const [n, { title, look_for: words, spec }] of shown.figures.entries()) {
        if (figures !== mine) return;
        const figure = mine[n];
        find(figure.node, "figcaption").after(element("p", "bs-look", words));
        await figure.draw(spec, title);
        figure.plot.on?.("plotly_click", ({ points: [point] }) => opened(point.customdata));
      }
    }
    function opened(data) {
      if (Array.isArray(data) && data[1]) open({ file: shown.file, row: data[0] });
    }
    const receive = () => {
      const value = read();
      if (!value || life.signal.aborted) return;
      newest += 1;
      show(JSON.parse(value));
    };
    listen(receive);
    receive();
  }
  return __toCommonJS(index_exports);
})();
