// The benchmark: charts, and a table that sorts.

import { element, find, lifetime, onTheme, onView } from "../../viewer/src/dom.js";
import { Figure } from "../../viewer/src/figure.js";
import { Table } from "./table.js";

/** @import { Options, Reply, Shown } from "./shown.js" */

/** @type {Shown} */
const NOTHING = { files: [], figures: [], columns: [], rows: [], facts: "", note: "" };

/**
 * Draw what `options.read` returns, and other benchmarks as they are chosen.
 * @param {HTMLElement} root
 * @param {Options} options
 */
export function mount(root, { read, listen, ask, open, plotly }) {
  const life = lifetime(root);
  const select = find(root, "select", HTMLSelectElement);
  const holder = find(root, ".bs-bench-figures");
  const table = new Table(find(root, "table"), (row) => open({ file: shown.file, row }));
  let shown = NOTHING;
  /** @type {Figure[]} */
  let figures = [];
  let seen = false;
  let stale = false;
  let newest = 0; // the number of the newest question or value: an answer to an older one comes too late

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

  /** @param {Reply} reply */
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

  /** Charts are drawn when they are looked at: a hidden one has no width, and Plotly is large. */
  async function draw() {
    stale = false;
    for (const figure of figures) figure.remove();
    const idle = { hide() {}, show() {} }; // in place of the viewer's card
    const links = { plotly, card: idle, seek() {}, pick() {}, lines: () => null, word: String };
    const places = shown.figures.map(() => element("div"));
    holder.replaceChildren(...places);
    const mine = places.map((place) => new Figure(place, links));
    figures = mine;
    for (const [n, { title, look_for: words, spec }] of shown.figures.entries()) {
      if (figures !== mine) return; // another benchmark was chosen meanwhile
      const figure = mine[n];
      find(figure.node, "figcaption").after(element("p", "bs-look", words));
      await figure.draw(spec, title);
      figure.plot.on?.("plotly_click", ({ points: [point] }) => opened(point.customdata));
    }
  }

  /** A dot was clicked: its data are its row, and its trace if it has one. @param {unknown} data */
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
  receive(); // a value may have come before anyone listened
}
