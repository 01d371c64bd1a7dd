// The card of one token: where it stands on the page. Its text is in token.js.

/** What a card can stand next to: an element, or anything that knows its rectangle. @typedef {Element | Spot} Anchor */
/** @typedef {{isConnected: boolean, getBoundingClientRect: () => Rectangle}} Spot */
/** @typedef {{left: number, right: number, top: number, bottom: number}} Rectangle */
/** Makes the lines of the card; null: there is nothing to show. @typedef {() => HTMLElement[] | null} Lines */

export class Card {
  /** @type {Anchor | null} */
  anchor = null;
  /** @type {Lines} */
  lines = () => null;

  /** @param {HTMLElement} node @param {HTMLElement} root */
  constructor(node, root) {
    this.node = node;
    this.root = root;
  }

  /** Show next to an anchor what `lines` returns at each refresh. @param {Anchor} anchor @param {Lines} lines */
  show(anchor, lines) {
    this.release();
    this.anchor = anchor;
    this.lines = lines;
    this.refresh();
    if (anchor instanceof Element) anchor.setAttribute("aria-describedby", this.node.id);
  }

  hide() {
    this.release();
    this.anchor = null;
    this.node.hidden = true;
  }

  release() {
    if (this.anchor instanceof Element) this.anchor.removeAttribute("aria-describedby");
  }

  /** Fill and place the card again: its text may have changed with the cursor. */
  refresh() {
    const lines = this.anchor?.isConnected ? this.lines() : null;
    if (!this.anchor || !lines) return this.hide();
    this.node.replaceChildren(...lines);
    this.node.hidden = false;
    this.place(this.anchor);
  }

  /** Under the token, inside the viewer; above it where there is no room below. @param {Anchor} anchor */
  place(anchor) {
    const [outer, cell] = [this.root.getBoundingClientRect(), anchor.getBoundingClientRect()];
    const { offsetWidth: width, offsetHeight: height } = this.node;
    const left = Math.min(Math.max(0, cell.left - outer.left), Math.max(0, outer.width - width));
    const below = cell.bottom + 8 + height <= window.innerHeight || cell.top - 8 - height < 0;
    this.node.style.left = `${left}px`;
    this.node.style.top = `${below ? cell.bottom - outer.top + 8 : cell.top - outer.top - height - 8}px`;
  }
}
