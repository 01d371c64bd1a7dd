// The tokens of one lane in a row above the charts, while the lanes themselves are out of view.

import { element, find, onView } from "./dom.js";

/** @import { LaneView } from "./lane.js" */

export class MiniStrip {
  away = false;
  key = "";

  /** @param {HTMLElement} root @param {AbortController} life @param {() => void} changed */
  constructor(root, life, changed) {
    this.node = find(root, ".bs-mini");
    const see = (/** @type {boolean} */ visible) => {
      this.away = !visible;
      changed();
    };
    onView(find(root, ".bs-lanes"), life, see, "0px");
  }

  /** Show a lane as it stands. @param {LaneView | undefined} view */
  follow(view) {
    this.node.hidden = !this.away || !view?.lane;
    if (this.node.hidden || !view || this.key === view.key) return;
    this.key = view.key;
    const cells = view.cells.map((cell) => /** @type {HTMLElement} */ (cell.cloneNode(true)));
    for (const cell of cells) cell.removeAttribute("tabindex");
    this.node.replaceChildren(element("b", "", view.find(".bs-title").textContent ?? ""), ...cells);
    const fresh = cells.find((cell) => cell.classList.contains("new"));
    if (fresh) this.node.scrollLeft = fresh.offsetLeft - this.node.clientWidth / 2;
  }
}
