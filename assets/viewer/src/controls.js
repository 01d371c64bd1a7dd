// Hands on the viewer: pointer, touch and keyboard.

import { copyLink } from "./address.js";
import { find, listenWhile } from "./dom.js";
import { tokenLines } from "./token.js";

/** @import { Card } from "./card.js" */
/** @import { Cursor } from "./cursor.js" */
/** @import { LaneView } from "./lane.js" */
/** @import { Store } from "./store.js" */

/** @typedef {{cursor: Cursor, card: Card, store: Store, views: Map<string, LaneView>, life: AbortController}} Hands */

const TYPING = "input:not(.bs-scrub), textarea, select, [contenteditable], [role=combobox], [role=listbox], [role=tab]";

/** @param {HTMLElement} root @param {Hands} hands */
export function controls(root, { cursor, card, store, views, life }) {
  const { signal } = life;
  const scrub = find(root, ".bs-scrub", HTMLInputElement);
  const speed = find(root, ".bs-speed", HTMLSelectElement);
  const by = find(root, ".bs-by", HTMLSelectElement);
  const link = find(root, ".bs-link");
  const play = () => (cursor.playing ? cursor.pause() : cursor.play(Number(speed.value)));
  const paused = (/** @type {() => void} */ act) => () => {
    cursor.pause();
    act();
  };
  find(root, ".bs-play").addEventListener("click", play, { signal });
  scrub.addEventListener(
    "input",
    paused(() => cursor.seek(Number(scrub.value))),
    { signal },
  );
  by.addEventListener("change", () => cursor.turn(by.value === "clock"), { signal });
  link.addEventListener("click", () => copyLink(link, store.link, cursor.pass), { signal });
  speed.addEventListener("change", () => cursor.playing && cursor.play(Number(speed.value)), { signal });
  tokens(find(root, ".bs-lanes"), { cursor, card, store, views, life });

  /** @type {Record<string, () => void>} */
  const keys = {
    ArrowLeft: paused(() => cursor.move(-1)),
    ArrowRight: paused(() => cursor.move(1)),
    Home: paused(() => cursor.seek(0)),
    End: paused(() => cursor.seek(cursor.last)),
    " ": play,
  };
  listenWhile(root, life, "keydown", (event) => {
    if (!(event instanceof KeyboardEvent) || event.ctrlKey || event.metaKey || event.altKey || !store.passes) return;
    if (event.key === "Escape") return card.hide();
    const target = event.target instanceof Element ? event.target : document.body;
    if (target.closest(TYPING)) return;
    if (event.key === " " && target.closest("button, summary, a")) return; // Space presses what has the focus
    if (!(event.key in keys)) return;
    event.preventDefault();
    keys[event.key]();
  });
}

/** @type {Record<"step" | "clock", [number, string][]>} */
const SPEEDS = {
  step: [
    [2, "2 steps/s"],
    [5, "5 steps/s"],
    [10, "10 steps/s"],
    [25, "25 steps/s"],
  ],
  clock: [
    [0.25, "0.25×"],
    [0.5, "0.5×"],
    [1, "1×"],
    [2, "2×"],
    [4, "4×"],
  ],
};
const USUAL_SPEED = { step: 5, clock: 1 };

/** Offer the speeds that fit how it is replayed. @param {HTMLSelectElement} select @param {boolean} onClock */
export function offerSpeeds(select, onClock) {
  const by = onClock ? "clock" : "step";
  if (select.dataset.by === by) return;
  select.dataset.by = by;
  select.replaceChildren(...SPEEDS[by].map(([value, text]) => new Option(text, String(value))));
  select.value = String(USUAL_SPEED[by]);
}

/**
 * A strip is one tab stop; ↑ and ↓ walk its tokens. The card shows the token that is pointed at, else the focused one.
 * @param {HTMLElement} lanes
 * @param {Hands} hands
 */
function tokens(lanes, { card, store, views, life }) {
  const { signal } = life;
  const cellOf = (/** @type {EventTarget | null} */ target) =>
    target instanceof Element
      ? /** @type {HTMLElement | null} */ (target.closest(".bs-strip .bs-cell:not(.prompt)[data-position]"))
      : null;
  const viewOf = (/** @type {Element} */ cell) =>
    views.get(/** @type {HTMLElement | null} */ (cell.closest(".bs-lane"))?.dataset.lane ?? "");
  const show = (/** @type {HTMLElement | null} */ cell) => {
    const view = cell && viewOf(cell);
    if (!view) return card.hide();
    card.show(cell, () => tokenLines(view, Number(cell.dataset.position), store));
  };

  const pointed = (/** @type {Event} */ event) => cellOf(event.target) && show(cellOf(event.target));
  const left = (/** @type {Event} */ event) => cellOf(event.target) && show(cellOf(document.activeElement));
  lanes.addEventListener("pointerover", pointed, { signal });
  lanes.addEventListener("pointerout", left, { signal });
  lanes.addEventListener("focusout", (event) => cellOf(event.target) && card.hide(), { signal });
  lanes.addEventListener("click", (event) => cellOf(event.target)?.focus(), { signal });
  const focused = (/** @type {Event} */ event) => {
    const cell = cellOf(event.target);
    if (!cell) return;
    for (const other of viewOf(cell)?.cells ?? []) other.tabIndex = other === cell ? 0 : -1;
    show(cell);
  };
  lanes.addEventListener("focusin", focused, { signal });
  /** Selected tokens are copied as their text, without the glyphs that stand for spaces. */
  const copied = (/** @type {ClipboardEvent} */ event) => {
    const range = document.getSelection()?.rangeCount ? document.getSelection()?.getRangeAt(0) : null;
    const holder = range?.commonAncestorContainer;
    const strip = (holder instanceof Element ? holder : holder?.parentElement)?.closest(".bs-strip");
    const view = strip && viewOf(strip);
    if (!range || !view || !event.clipboardData) return;
    event.preventDefault();
    event.clipboardData.setData("text/plain", view.selected(range, store));
  };
  lanes.addEventListener("copy", copied, { signal });
  const walk = (/** @type {KeyboardEvent} */ event) => {
    const cell = cellOf(event.target);
    const by = stepOf(event.key);
    if (!cell || !by) return;
    event.preventDefault();
    const cells = viewOf(cell)?.cells ?? [];
    cells[cells.indexOf(cell) + by]?.focus();
  };
  lanes.addEventListener("keydown", walk, { signal });
}

/** How far a key walks among tokens. @param {string} key */
export const stepOf = (key) => (key === "ArrowDown" ? 1 : key === "ArrowUp" ? -1 : 0);
