// Hands on the viewer: pointer, touch and keyboard.

const TYPING = "input:not(.bs-scrub), textarea, select, [contenteditable], [role=combobox], [role=listbox], [role=tab]";

function controls(root, { cursor, card, store, views }) {
  const find = (selector) => root.querySelector(selector);
  const play = () => (cursor.playing ? cursor.pause() : cursor.play(Number(find(".bs-speed").value)));
  const seek = (at) => {
    cursor.pause();
    cursor.seek(at);
  };
  find(".bs-play").addEventListener("click", play);
  find(".bs-scrub").addEventListener("input", (event) => seek(Number(event.target.value)));
  find(".bs-link").addEventListener("click", () => copyLink(find(".bs-link"), store.link, cursor.at));
  find(".bs-speed").addEventListener("change", () => cursor.playing && cursor.play(Number(find(".bs-speed").value)));
  tokens(root, { card, store, views });

  const keys = {
    ArrowLeft: () => seek(cursor.at - 1),
    ArrowRight: () => seek(cursor.at + 1),
    Home: () => seek(0),
    End: () => seek(cursor.last),
    " ": play,
  };
  const onKey = (event) => {
    if (!root.isConnected) return document.removeEventListener("keydown", onKey);
    if (event.ctrlKey || event.metaKey || event.altKey || !store.passes) return;
    if (event.key === "Escape") return card.hide();
    const target = event.target instanceof Element ? event.target : document.body;
    if (target.closest(TYPING)) return;
    if (event.key === " " && target.closest("button, summary, a")) return; // Space presses what has the focus
    if (!(event.key in keys)) return;
    event.preventDefault();
    keys[event.key]();
  };
  document.addEventListener("keydown", onKey);
}

// A strip is one tab stop; ↑ and ↓ walk its tokens. The card shows the token that is pointed at, else the focused one.
function tokens(root, { card, store, views }) {
  const lanes = root.querySelector(".bs-lanes");
  const cellOf = (event) => event.target instanceof Element && event.target.closest(".bs-strip .bs-cell:not(.prompt)[data-position]");
  const viewOf = (cell) => views.get(cell.closest(".bs-lane").dataset.lane);
  const show = (cell) => {
    if (!cell) return card.hide();
    const view = viewOf(cell);
    card.show(cell, () => tokenLines(view, Number(cell.dataset.position), store));
  };

  lanes.addEventListener("pointerover", (event) => cellOf(event) && show(cellOf(event)));
  lanes.addEventListener("pointerout", (event) => cellOf(event) && show(cellOf({ target: document.activeElement })));
  lanes.addEventListener("focusin", (event) => {
    const cell = cellOf(event);
    if (!cell) return;
    for (const other of viewOf(cell).cells) other.tabIndex = other === cell ? 0 : -1;
    show(cell);
  });
  lanes.addEventListener("focusout", (event) => cellOf(event) && card.hide());
  lanes.addEventListener("click", (event) => cellOf(event) && cellOf(event).focus());
  lanes.addEventListener("keydown", (event) => {
    const cell = cellOf(event);
    const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!cell || !by) return;
    event.preventDefault();
    const { cells } = viewOf(cell);
    cells[cells.indexOf(cell) + by]?.focus();
  });
}

// A link to the recorded run on show, at the step on show.
function linkTo(link, at) {
  const url = new URL(window.location.href);
  url.searchParams.set("trace", link);
  url.searchParams.set("step", at + 1);
  return url.href;
}

// Where the clipboard is not to be had, the address bar holds the same link.
async function copyLink(button, link, at) {
  try {
    await navigator.clipboard.writeText(linkTo(link, at));
    button.textContent = "Copied";
  } catch {
    button.textContent = "See the address bar";
  }
  setTimeout(() => (button.textContent = "Copy link"), 1500);
}
