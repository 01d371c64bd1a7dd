// Drift at the cursor's step by layer, the path of one position's key states, and where stale entries changed a token.

class DriftAtStep {
  constructor(holder, inspector, hands) {
    Object.assign(this, { holder, inspector, at: null, asked: "" });
    const stage = document.createElement("div");
    stage.className = "bs-figures";
    this.table = document.createElement("div");
    this.table.className = "bs-changes";
    holder.append(stage, this.table);
    this.byLayer = new Figure(stage, hands);
    this.path = new Figure(stage, hands);
    this.figures = [this.byLayer, this.path];
  }

  update({ layers, changes }) {
    this.layers = layers;
    this.changes = changes;
    this.asked = "";
    const { store, lane, position } = this.inspector;
    this.position = position ?? changes[0]?.position ?? store.lanes.get(lane).head.prompt.length;
    this.list();
    this.picked = this.pick(this.position);
  }

  follow(at) {
    this.path.mark(at);
    if (this.at === at && this.asked) return;
    this.at = at;
    clearTimeout(this.timer);
    this.holder.setAttribute("aria-busy", "true");
    this.timer = setTimeout(() => this.load(), 60);
  }

  async load() {
    const { lane } = this.inspector;
    const key = (this.asked = `${this.at}`);
    const answer = await this.inspector.reply({ lane, view: "drift_at", step: this.at, what: this.inspector.given().what });
    if (this.asked !== key) return;
    await Promise.all([this.put(this.byLayer, answer), this.picked]);
    this.holder.removeAttribute("aria-busy");
  }

  // Show the path of another position.
  async pick(position) {
    const { lane } = this.inspector;
    this.position = position;
    const layer = this.inspector.given().layer ?? this.layers - 1;
    const answer = await this.inspector.reply({ lane, view: "trajectory", layer, position });
    if (this.position === position) await this.put(this.path, answer);
  }

  async put(figure, answer) {
    figure.node.hidden = !answer.figures;
    if (answer.figures) await figure.draw(answer.figures[0], answer.captions[0]);
  }

  list() {
    const { store, cursor, lane } = this.inspector;
    const committed = this.changes.filter((change) => change.committed).length;
    const title = line("bs-unlocks-title", this.changes.length
      ? `Stale entries changed the best guess ${this.changes.length} times; ${committed} of those guesses were committed.`
      : "Stale entries changed no guess: this cache cost the answer nothing.");
    const rows = this.changes.slice(0, 200).map(({ step, position, token, confidence, fresh, fresh_confidence: sure, committed: kept }) => {
      const row = document.createElement("div");
      row.className = "bs-unlock";
      const go = plainButton(`step ${step}`, () => cursor.stand(store.lanes.get(lane), step - 1));
      const words = (text) => document.createTextNode(text);
      row.append(go, words(` position ${position}: `), chip(store.pieceOf(token), "with the cache"), words(` ${percent(confidence)} instead of `),
        chip(store.pieceOf(fresh), "with fresh entries"), words(` ${percent(sure)}${kept ? ", committed" : ""}`));
      return row;
    });
    this.table.replaceChildren(title, ...rows);
  }

  remove() {
    clearTimeout(this.timer);
    this.asked = this.position = null; // what comes now comes too late
    this.holder.removeAttribute("aria-busy");
    for (const figure of this.figures) figure.remove();
    this.holder.replaceChildren();
  }
}

const EXTRAS = { attention: AttentionAtStep, drift: DriftAtStep };
