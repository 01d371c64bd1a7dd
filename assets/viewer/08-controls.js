// Hands on the viewer: pointer, touch and keyboard.

const TYPING = "input:not(.bs-scrub), textarea, select, [contenteditable], [role=combobox], [role=listbox], [role=tab]";

function controls(root, { cursor, card, store, views }) {
  const find = (selector) => root.querySelector(selector);
  const play = () => (cursor.playing ? cursor.pause() : cursor.play(Number(find(".bs-speed").value)));
  const by = (act) => () => {
    cursor.pause();
    act();
  };
  find(".bs-play").addEventListener("click", play);
  find(".bs-scrub").addEventListener("input", by(() => cursor.seek(Number(find(".bs-scrub").value))));
  find(".bs-by").addEventListener("change", () => cursor.turn(find(".bs-by").value === "clock"));
  find(".bs-link").addEventListener("click", () => copyLink(find(".bs-link"), store.link, cursor.pass));
  find(".bs-speed").addEventListener("change", () => cursor.playing && cursor.play(Number(find(".bs-speed").value)));
  tokens(root, { card, store, views });

  const keys = {
    ArrowLeft: by(() => cursor.move(-1)),
    ArrowRight: by(() => cursor.move(1)),
    Home: by(() => cursor.seek(0)),
    End: by(() => cursor.seek(cursor.last)),
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

const SPEEDS = {
  step: [[2, "2 steps/s"], [5, "5 steps/s"], [10, "10 steps/s"], [25, "25 steps/s"]],
  clock: [[0.25, "0.25×"], [0.5, "0.5×"], [1, "1×"], [2, "2×"], [4, "4×"]],
};
const USUAL_SPEED = { step: 5, clock: 1 };

// The speeds that fit how it is replayed.
function offerSpeeds(select, onClock) {
  const by = onClock ? "clock" : "step";
  if (select.dataset.by === by) return;
  select.dataset.by = by;
  select.replaceChildren(...SPEEDS[by].map(([value, text]) => new Option(text, value)));
  select.value = USUAL_SPEED[by];
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
