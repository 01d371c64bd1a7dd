// The table of a benchmark, which sorts by any column.

import { element, find, plainButton } from "../../viewer/src/dom.js";

/** @import { Row, Shown } from "./shown.js" */

export class Table {
  /** @type {Row[]} */
  rows = [];
  column = -1; // sorted by; -1: as it came
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
    head.firstChild?.after(document.createElement("td")); // over the buttons
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
}

/**
 * What has no value stays at the end.
 * @param {string | number | null} a
 * @param {string | number | null} b
 * @param {boolean} falling
 */
function compare(a, b, falling) {
  if (a === null || b === null) return Number(a === null) - Number(b === null);
  const order =
    typeof a === "number" && typeof b === "number"
      ? a - b
      : String(a).localeCompare(String(b), "en", { numeric: true });
  return falling ? -order : order;
}
