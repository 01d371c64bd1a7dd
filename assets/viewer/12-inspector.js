// The inspector: one view of one lane at a time, asked for when it is looked at and the run has ended, so that drawing
// disturbs no timing. All its charts follow the one cursor.

class Inspector {
  constructor(root, { sheets, store, cursor, card, ask, plotly, exports, measure }) {
    Object.assign(this, { root, sheets, store, cursor, card, ask, plotly, measure });
    this.find = (selector) => root.querySelector(selector);
    this.lane = null;
    this.name = Object.keys(sheets)[0];
    this.chosen = {}; // options by view
    this.position = null; // the position clicked last
    this.figures = [];
    this.extra = null; // what a view shows besides its figures
    this.shown = ""; // what is on show: run, lane, view, options
    this.visible = false;
    this.tabs = new Map(Object.entries(sheets).map(([name, { title }]) => [name, this.tab(name, title)]));
    this.find(".bs-tabs").append(...this.tabs.values());
    this.find(".bs-tabs").addEventListener("keydown", (event) => this.walk(event));
    this.find(".bs-lane-choice select").addEventListener("change", (event) => this.choose({ lane: event.target.value }));
    this.find(".bs-measure").addEventListener("click", () => measure?.({ run: store.run, lane: this.lane }));
    this.saves(exports ?? {});
    new IntersectionObserver(([entry]) => this.see(entry.isIntersecting), { rootMargin: "200px" }).observe(root);
    const repaint = () => [...this.figures, ...(this.extra?.figures ?? [])].forEach((figure) => figure.again());
    new MutationObserver(repaint).observe(document.body, { attributeFilter: ["class"] });
    this.select(this.name);
  }

  tab(name, title) {
    const tab = document.createElement("button");
    Object.assign(tab, { type: "button", className: "bs-tab", textContent: title, id: `bs-tab-${name}` });
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-controls", "bs-panel");
    tab.addEventListener("click", (event) => {
      this.choose({ name });
      if (event.detail) this.panel().focus({ preventScroll: true }); // ← and → of a pointer's user mean steps
    });
    return tab;
  }

  // ← and → walk the tabs, as tabs do everywhere.
  walk(event) {
    const names = Array.from(this.tabs.keys());
    const at = names.indexOf(this.name);
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: names.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const name = names[(to + names.length) % names.length];
    this.choose({ name });
    this.tabs.get(name).focus();
  }

  select(name) {
    this.name = name;
    for (const [key, tab] of this.tabs) {
      tab.setAttribute("aria-selected", key === name);
      tab.tabIndex = key === name ? 0 : -1;
    }
    this.find(".bs-panel").setAttribute("aria-labelledby", `bs-tab-${name}`);
    this.find(".bs-look").textContent = `What to look for: ${lowered(this.sheets[name].look_for.replace(/^Look for /, ""))}`;
  }

  choose({ lane, name, options }) {
    if (lane) this.lane = lane;
    if (name) this.select(name);
    if (options) this.chosen[this.name] = { ...this.chosen[this.name], ...options };
    this.card.hide();
    this.follow();
  }

  see(visible) {
    this.visible = visible;
    if (visible) this.follow();
  }

  // Bring everything to where store and cursor are.
  follow() {
    const { store } = this;
    const lanes = Array.from(store.lanes.keys()).filter((name) => store.lanes.get(name).frames.length);
    if (!lanes.includes(this.lane)) this.lane = lanes[0] ?? null;
    this.laneChoice(lanes);
    this.find(".bs-saves").hidden = !store.ended || this.lane === null;
    if (!store.ended || this.lane === null) return this.clear(this.waiting());
    const question = { lane: this.lane, view: this.name, ...this.given() };
    const key = `${store.run}/${store.version}/${keyOf(question)}`;
    if (key !== this.shown && this.visible) this.load(key, question);
    const at = Math.max(0, this.cursor.of(store.lanes.get(this.lane))); // before its first pass has ended: where it begins
    for (const figure of this.figures) figure.mark(at);
    this.extra?.follow(at);
    this.offer();
  }

  // Where the drift is missing it can be measured, unless something is being done with this run already.
  offer() {
    const missing = this.name === "drift" && this.lacking && !this.panel().hasAttribute("aria-busy");
    this.find(".bs-measure").hidden = !(missing && this.measure && this.store.ended && !this.store.note);
  }

  waiting() {
    const { store } = this;
    if (store.run === null) return "Nothing to inspect yet: decode a prompt, or open a recorded run.";
    return store.ended ? "This run ended before its first step." : "Drawn when the run has ended, so that drawing does not disturb its timing.";
  }

  // The options of the view on show: as chosen, else the first of each.
  given() {
    const first = Object.entries(this.sheets[this.name].choices).map(([name, values]) => [name, values[0]]);
    return { ...Object.fromEntries(first), ...this.chosen[this.name] };
  }

  async load(key, question) {
    const view = `${this.store.run}/${question.lane}/${question.view}`;
    if (this.view !== view) this.clear("Drawing…", key, true); // with other options of a view its charts stay meanwhile
    Object.assign(this, { shown: key, view });
    this.panel().setAttribute("aria-busy", "true");
    const answer = await this.reply(question);
    if (this.shown !== key) return; // something else was asked for meanwhile
    if (!answer.figures) {
      this.clear(answer.error ?? answer.empty, key);
      this.lacking = !answer.error && !answer.final; // what will never be there cannot be measured
      return this.offer();
    }
    this.options(answer);
    this.say("");
    this.find(".bs-panel > .bs-note").textContent = answer.note ?? "";
    try {
      await this.draw(answer, key);
    } catch (error) {
      return this.clear(`The charts could not be drawn: ${error.message}`, key);
    }
    if (this.shown !== key) return;
    this.panel().removeAttribute("aria-busy");
    this.follow();
  }

  async reply(question) {
    try {
      return await this.ask({ run: this.store.run, ...question });
    } catch {
      return { error: "The server did not answer. It may have been restarted: decode again, or open a saved trace." };
    }
  }

  async draw(answer, key) {
    const hands = this.hands();
    while (this.figures.length > answer.figures.length) this.figures.pop().remove();
    while (this.figures.length < answer.figures.length) this.figures.push(new Figure(this.find(".bs-figures"), hands));
    await Promise.all(answer.figures.map((spec, i) => this.figures[i].draw(spec, answer.captions[i])));
    if (this.shown !== key) return;
    const Extra = EXTRAS[this.name];
    if (!Extra) return this.drop();
    if (!(this.extra instanceof Extra)) {
      this.drop();
      this.extra = new Extra(this.find(".bs-extra"), this, hands);
    }
    this.extra.update(answer);
  }

  // What charts do with the rest of the page.
  hands() {
    const { store } = this;
    return {
      plotly: this.plotly,
      card: this.card,
      seek: (step) => {
        this.cursor.pause();
        this.cursor.stand(store.lanes.get(this.lane), step);
      },
      pick: (position) => {
        this.position = position;
        this.extra?.pick?.(position);
      },
      tell: (step, position) => cellLines(store.lanes.get(this.lane), step, position, store),
    };
  }

  panel() {
    return this.find(".bs-panel");
  }

  say(text) {
    const node = this.find(".bs-empty");
    if (node.textContent !== text) node.textContent = text; // said once, not at every step of a run
  }

  // Nothing to draw: say why.
  clear(text, key = "", busy = false) {
    this.say(text);
    Object.assign(this, { shown: key, view: "", lacking: false });
    if (!busy) this.panel().removeAttribute("aria-busy");
    this.offer();
    this.find(".bs-panel > .bs-note").textContent = "";
    this.find(".bs-options").replaceChildren();
    while (this.figures.length) this.figures.pop().remove();
    this.drop();
  }

  drop() {
    this.extra?.remove();
    this.extra = null;
    this.find(".bs-extra").replaceChildren();
  }

  // The selects above a view: its own choices, and a layer where it has layers.
  options({ layers }) {
    const { choices } = this.sheets[this.name];
    const given = this.given();
    const selects = Object.entries(choices).map(([name, values]) =>
      choice(name, values.map((value) => [value, value]), given[name], (value) => this.choose({ options: { [name]: value } })),
    );
    if (layers && this.name === "drift") selects.push(layerChoice(layers, given.layer, (layer) => this.choose({ options: { layer } })));
    if (this.find(".bs-options").contains(document.activeElement)) return; // do not take a select from under a hand
    this.find(".bs-options").replaceChildren(...selects);
  }

  laneChoice(lanes) {
    const box = this.find(".bs-lane-choice");
    box.hidden = lanes.length < 2;
    const select = box.querySelector("select");
    const titles = lanes.map((name) => this.store.titleOf(name).title);
    const key = JSON.stringify([lanes, titles]);
    if (select.dataset.lanes !== key) {
      select.dataset.lanes = key;
      select.replaceChildren(...lanes.map((name, i) => new Option(titles[i], name)));
    }
    if (this.lane) select.value = this.lane;
  }

  saves(exports) {
    const box = this.find(".bs-saves");
    const buttons = Object.entries(exports).map(([format, about]) => {
      const button = plainButton(format.toUpperCase(), () => this.export(format, button));
      button.title = about;
      button.setAttribute("aria-label", `Save as ${format.toUpperCase()}: ${about}`);
      return button;
    });
    if (buttons.length) box.append("Save as", ...buttons);
  }

  async export(format, button) {
    button.disabled = true;
    button.setAttribute("aria-busy", "true");
    const file = await this.reply({ lane: this.lane, view: "export", format });
    button.disabled = false;
    button.removeAttribute("aria-busy");
    if (!file.data) return this.say(file.error);
    const bytes = Uint8Array.from(atob(file.data), (char) => char.charCodeAt(0));
    const url = URL.createObjectURL(new Blob([bytes], { type: file.media }));
    download(url, file.name);
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  }
}

// A question as the key of its answer; `visualize.page.key_of` names questions alike.
function keyOf({ run, ...question }) {
  return Object.keys(question).sort().filter((name) => question[name] !== null && question[name] !== undefined)
    .map((name) => `${name}=${question[name]}`).join("&");
}

const lowered = (text) => text.charAt(0).toLowerCase() + text.slice(1);

// A labelled select. `pairs` are [value, text]; `chosen` undefined is the first.
function choice(name, pairs, chosen, act) {
  const label = document.createElement("label");
  label.className = "bs-choice";
  const words = document.createElement("span");
  words.textContent = name.charAt(0).toUpperCase() + name.slice(1);
  const select = document.createElement("select");
  select.setAttribute("aria-label", words.textContent);
  select.append(...pairs.map(([value, text]) => new Option(text, value)));
  if (chosen !== undefined && chosen !== null) select.value = chosen;
  select.addEventListener("change", () => act(select.value));
  label.append(words, select);
  return label;
}

function layerChoice(layers, chosen, act) {
  const pairs = [["mean", "mean of all"], ...Array.from({ length: layers }, (_, i) => [i, `layer ${i + 1}`])];
  return choice("layer", pairs, chosen ?? "mean", (value) => act(value === "mean" ? null : Number(value)));
}
