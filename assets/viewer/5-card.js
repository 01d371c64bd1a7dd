// The card of one token: what stands there, how sure the model was, what else it considered, and when it was written.

class Card {
  constructor(node, root) {
    this.node = node;
    this.root = root;
    this.anchor = null;
  }

  show(anchor, view, store) {
    this.anchor?.removeAttribute("aria-describedby");
    Object.assign(this, { anchor, view });
    this.refresh(store);
    anchor.setAttribute("aria-describedby", this.node.id);
  }

  hide() {
    this.anchor?.removeAttribute("aria-describedby");
    this.anchor = null;
    this.node.hidden = true;
  }

  // Fill and place the card again: its token may have changed with the cursor.
  refresh(store) {
    if (!this.anchor?.isConnected || !this.view.canvas) return this.hide();
    const position = Number(this.anchor.dataset.position);
    const cell = this.view.canvas[position - this.view.lane.head.prompt.length];
    if (!cell) return this.hide();
    this.node.replaceChildren(...this.lines(cell, position, store));
    this.node.hidden = false;
    this.place();
  }

  lines(cell, position, store) {
    const { lane } = this.view;
    const frame = cell.pass === null ? null : lane.frames[cell.pass];
    const shown = cell.token ?? cell.guess;
    const title = line("bs-card-title");
    if (cell.token === null) title.append("Masked");
    else fillWithPiece(title, store.pieceOf(cell.token));
    const when = cell.token === null ? "not written yet" : `committed at step ${cell.pass + 1}`;
    const out = [title, line("bs-card-where", `position ${position} · ${when}`)];
    if (frame === null) return [...out, line("bs-card-note", "The network has not been asked about this position yet.")];
    out.push(line("bs-card-sure", `${cell.token === null ? "best guess" : "confidence"} ${percent(cell.confidence)}`));
    const row = frame.alternatives?.[frame.at.indexOf(position)];
    if (row) out.push(alternatives(row, shown, store));
    return out;
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
