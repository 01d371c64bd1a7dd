// The inspector: one view of one lane at a time, asked for when it is looked at and the run has ended, so that drawing
// disturbs no timing. All its charts follow the one cursor.

import { AttentionAtStep } from "./attention.js";
import { choice, find, onTheme, onView, setText } from "./dom.js";
import { DriftAtStep } from "./drift.js";
import { Figure } from "./figure.js";
import { QualityTable } from "./quality.js";
import { keyOf } from "./question.js";
import { saveButtons } from "./saves.js";
import { Tabs } from "./tabs.js";
import { cellLines, wordAt } from "./token.js";

/** @import { Card } from "./card.js" */
/** @import { Cursor } from "./cursor.js" */
/** @import { Desk, Extra } from "./extra.js" */
/** @import { Links } from "./figure.js" */
/** @import { Answer, Options, PartialQuestion, Question } from "./message.js" */
/** @import { Store } from "./store.js" */

/** What some views show besides their figures. */
const EXTRAS = { attention: AttentionAtStep, drift: DriftAtStep, gate: QualityTable };
const LOST = "The server did not answer. It may have been restarted: decode again, or open a saved trace.";

/** @implements {Desk} */
export class Inspector {
  /** @type {string | null} */
  lane = null;
  /** @type {Record<string, Record<string, string | number | null>>} options by view */
  chosen = {};
  /** @type {number | null} */
  position = null;
  /** @type {Figure[]} */
  figures = [];
  /** @type {Extra | null} */
  extra = null;
  shown = ""; // the question whose answer is on show
  view = ""; // the same without its options
  visible = false;
  lacking = false; // whether what the view shows can still be measured

  /**
   * @param {HTMLElement} root
   * @param {Options & {store: Store, cursor: Cursor, card: Card, life: AbortController}} options
   */
  constructor(root, options) {
    this.root = root;
    this.options = options;
    this.store = options.store;
    this.cursor = options.cursor;
    this.sheets = options.views;
    this.name = Object.keys(this.sheets)[0];
    this.tabs = new Tabs(
      this.find(".bs-tabs"),
      Object.entries(this.sheets).map(([name, { title }]) => [name, title]),
      (name, byPointer) => {
        this.choose({ name });
        if (byPointer) this.panel().focus({ preventScroll: true }); // now ← and → mean steps
      },
    );
    const select = find(root, ".bs-lane-choice select", HTMLSelectElement);
    select.addEventListener("change", () => this.choose({ lane: select.value }));
    this.find(".bs-measure").addEventListener("click", () =>
      options.measure?.({ run: this.store.run, lane: this.lane }),
    );
    const ask = (/** @type {string} */ format) => this.reply({ view: "export", format });
    const saves = saveButtons(options.exports ?? {}, ask, (text) => this.say(text));
    this.find(".bs-saves").replaceChildren(...(saves.length ? ["Save as", ...saves] : []));
    onView(root, options.life, (visible) => this.see(visible));
    onTheme(root, options.life, () => {
      for (const figure of [...this.figures, ...(this.extra?.figures ?? [])]) figure.again();
    });
    this.select(this.name);
  }

  /** @param {string} selector */
  find(selector) {
    return find(this.root, selector);
  }

  /** @param {string} name */
  select(name) {
    this.name = name;
    this.tabs.select(name);
    this.panel().setAttribute("aria-labelledby", `bs-tab-${name}`);
    const words = this.sheets[name].look_for.replace(/^Look for /, "");
    this.find(".bs-look").textContent = `What to look for: ${words.charAt(0).toLowerCase()}${words.slice(1)}`;
  }

  /** @param {{lane?: string, name?: string, options?: Record<string, string | number | null>}} what */
  choose({ lane, name, options }) {
    if (lane) this.lane = lane;
    if (name) this.select(name);
    if (options) this.chosen[this.name] = { ...this.chosen[this.name], ...options };
    this.options.card.hide();
    this.follow();
  }

  /** @param {boolean} visible */
  see(visible) {
    this.visible = visible;
    if (visible) this.follow();
  }

  /** Bring everything to where store and cursor are. */
  follow() {
    const { store } = this;
    const lanes = Array.from(store.lanes.values()).filter((lane) => lane.head && lane.frames.length);
    const names = lanes.map(({ name }) => name);
    if (!names.includes(this.lane ?? "")) this.lane = names[0] ?? null;
    this.laneChoice(names);
    this.find(".bs-saves").hidden = !store.ended || this.lane === null;
    if (!store.ended || this.lane === null) return this.clear(this.waiting());
    const question = { lane: this.lane, view: this.name, ...this.given() };
    const key = `${store.run}/${store.version}/${keyOf(question)}`;
    if (key !== this.shown && this.visible) this.load(key, question);
    const at = Math.max(0, this.cursor.of(store.laneOf(this.lane))); // before its first pass has ended: where it begins
    for (const figure of this.figures) figure.mark(at);
    this.extra?.follow(at);
    this.offer();
  }

  /** Where the drift is missing it can be measured, unless something is being done with this run already. */
  offer() {
    const missing = this.name === "drift" && this.lacking && !this.panel().hasAttribute("aria-busy");
    this.find(".bs-measure").hidden = !(missing && this.options.measure && this.store.ended && !this.store.note);
  }

  waiting() {
    const { store } = this;
    if (store.run === null) return "Nothing to inspect yet: decode a prompt, or open a recorded run.";
    return store.ended
      ? "This run ended before its first step."
      : "Drawn when the run has ended, so that drawing does not disturb its timing.";
  }

  /** The options of the view on show: as chosen, else the first of each. */
  given() {
    const first = Object.entries(this.sheets[this.name].choices).map(([name, values]) => [name, values[0]]);
    return { ...Object.fromEntries(first), ...this.chosen[this.name] };
  }

  /** @param {string} key @param {Question} question */
  async load(key, question) {
    const view = `${this.store.run}/${question.lane}/${question.view}`;
    if (this.view !== view) this.clear("Drawing…", key, true); // with other options of a view its charts stay meanwhile
    Object.assign(this, { shown: key, view });
    this.panel().setAttribute("aria-busy", "true");
    const answer = await this.reply(question);
    if (this.shown !== key) return; // something else was asked for meanwhile
    if (!answer.figures) {
      this.clear(answer.error ?? answer.empty ?? "", key);
      this.lacking = !answer.error && !answer.final; // what will never be there cannot be measured
      return this.offer();
    }
    this.choices(answer);
    this.say("");
    this.find(".bs-panel > .bs-note").textContent = answer.note ?? "";
    try {
      await this.draw(answer, key);
    } catch (error) {
      return this.clear(`The charts could not be drawn: ${error instanceof Error ? error.message : error}`, key);
    }
    if (this.shown !== key) return;
    this.panel().removeAttribute("aria-busy");
    this.follow();
  }

  /** The answer to a question about the lane on show. @param {PartialQuestion} question @returns {Promise<Answer>} */
  async reply(question) {
    try {
      return await this.options.ask({ lane: this.lane ?? "", ...question, run: this.store.run ?? "" });
    } catch {
      return { error: LOST };
    }
  }

  /** @param {Answer} answer @param {string} key */
  async draw(answer, key) {
    const { figures: specs = [], captions = [] } = answer;
    const links = this.links();
    while (this.figures.length > specs.length) this.figures.pop()?.remove();
    while (this.figures.length < specs.length) this.figures.push(new Figure(this.find(".bs-figures"), links));
    await Promise.all(specs.map((spec, i) => this.figures[i].draw(spec, captions[i])));
    if (this.shown !== key) return;
    const Kind = this.name in EXTRAS ? EXTRAS[/** @type {keyof typeof EXTRAS} */ (this.name)] : null;
    if (!Kind) return this.drop();
    if (!(this.extra instanceof Kind)) {
      this.drop();
      this.extra = new Kind(this.find(".bs-extra"), this, links);
    }
    this.extra.update(answer);
  }

  /** What charts do with the rest of the page. @returns {Links} */
  links() {
    const { store, cursor } = this;
    return {
      plotly: this.options.plotly,
      card: this.options.card,
      seek: (step) => {
        cursor.pause();
        cursor.stand(store.laneOf(this.lane), step);
      },
      pick: (position) => {
        this.position = position;
        this.extra?.pick?.(position);
      },
      lines: (step, position) => cellLines(store.laneOf(this.lane), step, position, store),
      word: (position) => wordAt(store.laneOf(this.lane), position, store),
    };
  }

  panel() {
    return this.find(".bs-panel");
  }

  /** @param {string} text */
  say(text) {
    setText(this.find(".bs-empty"), text);
  }

  /** Nothing to draw: say why. @param {string} text */
  clear(text, key = "", busy = false) {
    this.say(text);
    Object.assign(this, { shown: key, view: "", lacking: false });
    if (!busy) this.panel().removeAttribute("aria-busy");
    this.offer();
    this.find(".bs-panel > .bs-note").textContent = "";
    this.find(".bs-options").replaceChildren();
    while (this.figures.length) this.figures.pop()?.remove();
    this.drop();
  }

  drop() {
    this.extra?.remove();
    this.extra = null;
    this.find(".bs-extra").replaceChildren();
  }

  /** The selects above a view: its own choices, and a layer where it has layers. @param {Answer} answer */
  choices({ layers }) {
    const given = this.given();
    const selects = Object.entries(this.sheets[this.name].choices).map(([name, values]) =>
      choice(
        name,
        values.map((value) => [value, value]),
        given[name],
        (value) => this.choose({ options: { [name]: value } }),
      ),
    );
    if (layers && this.name === "drift") {
      selects.push(layerChoice(layers, given.layer, (layer) => this.choose({ options: { layer } })));
    }
    if (this.find(".bs-options").contains(document.activeElement)) return; // do not take a select from under a hand
    this.find(".bs-options").replaceChildren(...selects);
  }

  /** @param {string[]} lanes */
  laneChoice(lanes) {
    this.find(".bs-lane-choice").hidden = lanes.length < 2;
    const select = find(this.root, ".bs-lane-choice select", HTMLSelectElement);
    const titles = lanes.map((name) => this.store.titleOf(name).title);
    const key = JSON.stringify([lanes, titles]);
    if (select.dataset.lanes !== key) {
      select.dataset.lanes = key;
      select.replaceChildren(...lanes.map((name, i) => new Option(titles[i], name)));
    }
    if (this.lane) select.value = this.lane;
  }
}

/**
 * @param {number} layers
 * @param {string | number | null | undefined} chosen
 * @param {(layer: number | null) => void} act null: the mean of all
 */
function layerChoice(layers, chosen, act) {
  /** @type {[string | number, string][]} */
  const pairs = [["mean", "mean of all"], ...layerPairs(layers)];
  return choice("layer", pairs, chosen ?? "mean", (value) => act(value === "mean" ? null : Number(value)));
}

/** @param {number} layers @returns {[number, string][]} */
const layerPairs = (layers) => Array.from({ length: layers }, (_, i) => [i, `layer ${i + 1}`]);
