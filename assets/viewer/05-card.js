// The card of one token: what stands there, how sure the model was, what else it considered, and when it was written.

class Card {
  constructor(node, root) {
    this.node = node;
    this.root = root;
    this.anchor = null;
  }

  // Show beside an anchor (an element, or anything that knows its rectangle) what `lines` returns at each refresh.
  show(anchor, lines) {
    this.release();
    Object.assign(this, { anchor, lines });
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

  // Fill and place the card again: what it tells may have changed with the cursor.
  refresh() {
    const lines = this.anchor?.isConnected ? this.lines() : null;
    if (!lines) return this.hide();
    this.node.replaceChildren(...lines);
    this.node.hidden = false;
    this.place();
  }

  // Under the token, inside the viewer; above it where there is no room below.
  place() {
    const [outer, cell] = [this.root.getBoundingClientRect(), this.anchor.getBoundingClientRect()];
    const { offsetWidth: width, offsetHeight: height } = this.node;
    const left = Math.min(Math.max(0, cell.left - outer.left), Math.max(0, outer.width - width));
    const below = cell.bottom + 8 + height <= window.innerHeight || cell.top - 8 - height < 0;
    this.node.style.left = `${left}px`;
    this.node.style.top = `${below ? cell.bottom - outer.top + 8 : cell.top - outer.top - height - 8}px`;
  }
}

// What the card says of a token of the canvas on show; null where there is no such token.
function tokenLines(view, position, store) {
  const cell = view.canvas?.[position - view.lane.head.prompt.length];
  if (!cell) return null;
  const { lane } = view;
  const title = line("bs-card-title");
  if (cell.token !== null) fillWithPiece(title, store.pieceOf(cell.token));
  else if (cell.draft) fillWithPiece(title, store.pieceOf(cell.guess));
  else title.append("Masked");
  const when = cell.token !== null ? `committed at step ${cell.pass + 1}` : cell.draft ? "a guess, not written yet" : "not written yet";
  const out = [title, line("bs-card-where", `position ${position} · ${when}`)];
  if (cell.pass !== null && lane.head.verified && cell.token === null) return [...out, ...standingLines(cell), ...draftLines(lane, cell.pass, position, store)];
  if (cell.pass === null) return [...out, line("bs-card-note", "The network has not been asked about this position yet.")];
  const label = cell.token === null ? "best guess" : lane.head.verified ? "AR's confidence" : "confidence";
  return [...out, ...draftLines(lane, cell.pass, position, store), ...guessLines(lane.frames[cell.pass], position, label, store)];
}

// What the card says of a draft that stands.
function standingLines({ draft, confidence }) {
  if (!draft) return [];
  return [line("bs-card-sure", `guessed with ${percent(confidence)}`), line("bs-card-note", "The next step tests it if it is likely enough, and keeps it if AR says the same.")];
}

// What was guessed at a position before a pass of verified decoding, and what the pass made of it, in plain words.
function draftLines(lane, pass, position, store) {
  const frame = lane.frames[pass];
  if (!frame?.tested) return [];
  const draft = draftAt(lane, pass, position);
  if (!draft) return frame.new.includes(position) ? [line("bs-card-note", "AR's own token: no draft reached here.")] : [];
  const guessed = line("bs-card-note");
  guessed.append("The guess that stood here before: ", quoted(draft.token, store), ...(draft.sure === null ? [] : [`, ${percent(draft.sure)}`]), ".");
  const fate = line("bs-card-note");
  if (draft.fate === "kept") fate.append("Confirmed: AR says the same.");
  else if (draft.fate === "replaced") fate.append("Struck out: AR says ", quoted(draft.said, store), ".");
  else fate.append("Struck out: a guess before it was wrong.");
  return [guessed, fate];
}

function quoted(id, store) {
  const node = document.createElement("q");
  node.className = "bs-card-piece";
  fillWithPiece(node, store.pieceOf(id));
  return node;
}

// What the card says of one cell of a sheet: what was predicted at a position in a step, whether or not it was kept.
function cellLines(lane, step, position, store) {
  const frame = lane.frames[step];
  if (!frame || position < 0) return null;
  const title = line("bs-card-title");
  const where = line("bs-card-where", `position ${position} · step ${step + 1}`);
  const k = frame.at.indexOf(position);
  if (k < 0) {
    const cell = position < lane.head.prompt.length ? { token: lane.head.prompt[position] } : canvasAt(lane, step)[position - lane.head.prompt.length];
    if (!cell) return null;
    if (cell.token === null) title.append("Masked");
    else fillWithPiece(title, store.pieceOf(cell.token));
    return [title, where, line("bs-card-note", cell.token === null ? "Not asked in this step." : "Already written; not asked in this step.")];
  }
  fillWithPiece(title, store.pieceOf(frame.tokens[k]));
  const kept = frame.new.includes(position) ? "committed here" : "predicted, not kept";
  where.textContent += ` · ${kept}`;
  return [title, where, ...draftLines(lane, step, position, store), ...guessLines(frame, position, "confidence", store)];
}

// How sure a pass was at a position, and what else it considered.
function guessLines(frame, position, label, store) {
  const k = frame.at.indexOf(position);
  const row = frame.alternatives?.[k];
  return [line("bs-card-sure", `${label} ${percent(frame.confidence[k])}`), ...(row ? [alternatives(row, frame.tokens[k], store)] : [])];
}

function alternatives(row, chosen, store) {
  const list = document.createElement("ol");
  list.className = "bs-card-list";
  for (const [id, share] of row) {
    const item = document.createElement("li");
    item.className = id === chosen ? "chosen" : "";
    const text = document.createElement("span");
    text.className = "bs-card-piece";
    fillWithPiece(text, store.pieceOf(id));
    const bar = document.createElement("span");
    bar.className = "bs-card-bar";
    bar.style.setProperty("--share", `${100 * share}%`);
    bar.style.setProperty("--sure", viridis(share));
    const value = document.createElement("span");
    value.className = "bs-card-share";
    value.textContent = percent(share);
    item.append(text, bar, value);
    list.append(item);
  }
  return list;
}

function line(className, text = "") {
  const node = document.createElement("p");
  node.className = className;
  node.textContent = text;
  return node;
}
