// Attention at the cursor's step: one layer's heads or the rollout as a heat map, and who unlocked whom. Layers are
// fetched when they are looked at; the last picture that was asked for wins.

class AttentionAtStep {
  constructor(holder, inspector, hands) {
    Object.assign(this, { holder, inspector, at: null, asked: "", source: "rollout", plane: 0 });
    this.bar = document.createElement("div");
    this.bar.className = "bs-options";
    this.note = line("bs-note");
    this.chart = new Figure(this.stage(), hands);
    this.unlocks = document.createElement("section");
    this.unlocks.className = "bs-unlocks";
    holder.prepend(this.bar, this.note);
    holder.append(this.unlocks);
    this.figures = [this.chart];
  }

  stage() {
    const stage = document.createElement("div");
    this.holder.append(stage);
    return stage;
  }

  update({ layers, template }) {
    this.template = template;
    const sources = [["rollout", "rollout over all layers"], ...Array.from({ length: layers }, (_, i) => [i, `layer ${i + 1}`])];
    this.sources = choice("map", sources, this.source, (value) => {
      this.source = value === "rollout" ? value : Number(value);
      this.plane = 0;
      this.load();
    });
    this.bar.replaceChildren(this.sources);
    this.asked = "";
  }

  follow(at) {
    if (this.at === at && this.asked) return;
    this.at = at;
    clearTimeout(this.timer);
    this.holder.setAttribute("aria-busy", "true");
    this.timer = setTimeout(() => this.load(), 60); // while scrubbing, only where the hand rests
  }

  async load() {
    const { lane } = this.inspector;
    const at = this.at;
    const map = this.source === "rollout" ? { view: "rollout_at" } : { view: "maps", layer: this.source };
    const key = (this.asked = `${at}/${this.source}`);
    const asked = [this.inspector.reply({ lane, step: at, ...map })];
    if (this.source !== "rollout") asked.push(this.inspector.reply({ lane, step: at, view: "rollout_at" }));
    const [picture, rollout = picture] = await Promise.all(asked);
    if (this.asked !== key) return;
    if (picture.data) await this.show(picture);
    this.chart.node.hidden = !picture.data;
    this.note.textContent = picture.error ?? picture.empty ?? picture.note ?? "";
    this.listUnlocks(rollout.unlocked ?? []);
    this.holder.removeAttribute("aria-busy");
  }

  // Draw one plane of a picture: probabilities were packed as round(255 √p).
  async show(picture) {
    const rows = picture.queries.flatMap(([a, b]) => Array.from({ length: b - a }, (_, i) => a + i));
    const packed = (picture.bytes ??= Uint8Array.from(atob(picture.data), (char) => char.charCodeAt(0)));
    const plane = Math.min(this.plane, picture.planes.length - 1);
    const size = rows.length * picture.visible;
    const z = rows.map((_, r) => Array.from({ length: picture.visible }, (_, c) => (packed[plane * size + r * picture.visible + c] / 255) ** 2));
    this.bar.replaceChildren(this.sources, choice("plane", picture.planes.map((name, i) => [i, name]), plane, (value) => {
      this.plane = Number(value);
      this.show(picture);
    }));
    const spec = structuredClone(this.template);
    Object.assign(spec.data[0], { z, x0: 0, dx: 1, y: rows.map(String) });
    spec.layout.yaxis = { ...spec.layout.yaxis, type: "category", autorange: "reversed" }; // rows need not be neighbours
    const what = this.source === "rollout" ? "Rollout" : `Attention of layer ${picture.layer + 1}`;
    await this.chart.draw(spec, `${what} at step ${picture.step + 1}, ${picture.planes[plane]}`);
  }

  listUnlocks(unlocked) {
    const { store, lane } = this.inspector;
    const { prompt } = store.lanes.get(lane).head;
    const cells = canvasAt(store.lanes.get(lane), this.at);
    const title = line("bs-unlocks-title", unlocked.length
      ? "Who unlocked whom: what each token of this step drew on, by rollout. Bold: written since it was last asked. Attention is not explanation."
      : "No token was committed in this step.");
    const rows = unlocked.map(({ position, token, sources }) => {
      const row = document.createElement("div");
      row.className = "bs-unlock";
      row.append(chip(store.pieceOf(token), `position ${position}`), " ← ");
      for (const { position: from, weight, written, fresh } of sources) {
        const id = from < prompt.length ? prompt[from] : cells[from - prompt.length]?.token;
        const when = written === null ? "prompt" : `written at step ${written}`;
        const source = chip(store.pieceOf(id), `position ${from}, ${when}`);
        source.classList.toggle("fresh", fresh);
        const share = document.createElement("span");
        share.className = "bs-weight";
        share.textContent = `${percent(weight, 1)} · ${when}`;
        row.append(source, share);
      }
      return row;
    });
    this.unlocks.replaceChildren(title, ...rows);
  }

  remove() {
    clearTimeout(this.timer);
    this.asked = null; // what comes now comes too late
    this.holder.removeAttribute("aria-busy");
    this.chart.remove();
    this.holder.replaceChildren();
  }
}

function chip(piece, title) {
  const node = document.createElement("span");
  node.className = "bs-chip";
  node.title = title;
  fillWithPiece(node, piece);
  return node;
}
