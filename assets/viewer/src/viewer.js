// Wires store, cursor and views together.

import { Address } from "./address.js";
import { Card } from "./card.js";
import { ramp } from "./colour.js";
import { controls, offerSpeeds } from "./controls.js";
import { Cursor } from "./cursor.js";
import { element, find, lifetime, listenWhile, setText, still } from "./dom.js";
import { secondsOf } from "./format.js";
import { Inspector } from "./inspector.js";
import { LaneView } from "./lane.js";
import { MiniStrip } from "./mini.js";
import { presentation } from "./present.js";
import { begun, endOf, Store } from "./store.js";
import { Track } from "./track.js";

/** @import { Message, Options } from "./message.js" */

const WELCOME = "A recorded run, played slowly. Press Decode to run the model itself.";
const SLOW = 2; // steps a second
const LONGEST = 15; // seconds that a run takes which is played again
const BRIEF = 5000; // milliseconds under which a run is played again

/**
 * Draw what `options.read` returns whenever `options.listen` says that there is something new.
 * @param {HTMLElement} root
 * @param {Options} options
 */
export function mount(root, options) {
  const life = lifetime(root);
  const store = new Store(options.titles);
  const card = new Card(find(root, ".bs-card"), root);
  const template = find(root, ".bs-lane-template", HTMLTemplateElement);
  const scrub = find(root, ".bs-scrub", HTMLInputElement);
  const play = find(root, ".bs-play", HTMLButtonElement);
  const speed = find(root, ".bs-speed", HTMLSelectElement);
  /** @type {Map<string, LaneView>} */
  const views = new Map();
  let pending = false;
  let slowly = ""; // what is said while a run is played again
  const schedule = () => {
    if (!pending) requestAnimationFrame(draw);
    pending = true;
  };
  const cursor = new Cursor(store, schedule);
  const inspector = new Inspector(find(root, ".bs-inspector"), { ...options, store, cursor, card, life });
  const track = new Track(find(root, ".bs-track"));
  const mini = new MiniStrip(root, life, schedule);
  const address = new Address();

  /** The lanes of a run, empty. @param {string[]} names */
  function stage(names) {
    views.clear();
    for (const name of names) views.set(name, new LaneView(template, { name, definitions: options.definitions }));
    find(root, ".bs-lanes").replaceChildren(...Array.from(views.values(), (view) => view.node));
    find(root, ".bs-lanes").dataset.count = String(names.length);
    track.stage(names);
  }

  function draw() {
    pending = false;
    const finishes = finished();
    for (const [name, view] of views) {
      const lane = store.lanes.get(name);
      view.entitle(store.titleOf(name));
      if (begun(lane)) {
        if (view.lane !== lane) view.begin(lane, store);
        view.show(cursor.of(lane), store);
      }
      view.flag(finishes.get(name));
      if (store.run !== null && !lane) view.idle(store.ended);
    }
    track.follow(store, cursor, finishes);
    bar();
    texts();
    if (card.anchor) card.refresh();
    inspector.follow();
    mini.follow(views.get(inspector.lane ?? ""));
    address.follow(store, cursor.pass);
  }

  /** The lanes that have finished by the moment that the clock shows. */
  function finished() {
    const all = cursor.onClock && store.ended ? store.finishes() : new Map();
    return new Map(Array.from(all).filter(([, { took }]) => took <= cursor.at));
  }

  function bar() {
    const { passes } = store;
    scrub.disabled = play.disabled = passes === 0;
    scrub.step = cursor.onClock ? "any" : "1";
    scrub.max = String(cursor.last);
    scrub.value = String(cursor.at);
    scrub.setAttribute("aria-label", cursor.onClock ? "Time" : "Step");
    find(root, ".bs-by-label").hidden = !store.raceable || passes === 0;
    find(root, ".bs-by", HTMLSelectElement).value = cursor.onClock ? "clock" : "step";
    offerSpeeds(speed, cursor.onClock);
    const live = cursor.following && !store.ended;
    const where = passes === 0 ? "no step yet" : `${whereOf(cursor)}${live ? ", live" : ""}`;
    find(root, ".bs-where").textContent = where;
    scrub.setAttribute("aria-valuetext", where);
    play.setAttribute("aria-label", cursor.playing ? "Pause" : "Play");
    play.classList.toggle("playing", cursor.playing);
  }

  /** Texts that change seldom, so that a screen reader may speak them. */
  function texts() {
    if (!cursor.playing) slowly = "";
    setText(find(root, ".bs-status"), slowly || status(store));
    setText(find(root, ".bs-sentence"), store.verdict);
    const lines = find(root, ".bs-verdict-lines");
    if (lines.textContent !== store.verdictLines.join("")) {
      lines.replaceChildren(...store.verdictLines.map((text) => element("li", "", text)));
    }
    find(root, ".bs-verdict details").hidden = !store.verdictLines.length;
    setText(find(root, ".bs-facts"), facts(store));
    find(root, ".bs-verdict").hidden = !store.verdict;
    find(root, ".bs-link").hidden = !store.link;
    Object.assign(root.dataset, {
      run: store.run ?? "",
      passes: store.passes,
      gaps: store.gaps(),
    });
    root.toggleAttribute(
      "data-drafts",
      Array.from(store.lanes.values()).some(({ head }) => head?.verified),
    );
  }

  function receive() {
    const value = options.read();
    if (value) take(JSON.parse(value));
  }

  /** @param {Message} message */
  function take(message) {
    const ended = store.done;
    const begins = store.accept(message);
    if (begins) {
      card.hide();
      cursor.reset();
      stage(store.planned);
      if (!store.welcome) bringIntoView(root, find(root, ".bs-lanes"));
    }
    follow();
    cursor.grow();
    if (store.at !== null) cursor.seek(store.at);
    if (store.race) race();
    else if (begins && store.welcome) again(WELCOME);
    else if (!begins && !ended && store.done && cursor.following) repeat();
    schedule();
  }

  /** What was over before an eye could follow is shown again. */
  function repeat() {
    const [lane] = store.lanes.values();
    const took = lane ? endOf(lane, lane.frames.length - 1) : 0;
    if (took && took < BRIEF) {
      again(`${store.titleOf(lane.name).title} took ${secondsOf(took, took)} s. Here it is again, slower.`);
    }
  }

  /** Play from the start, slowly enough to follow; not for those who want no motion. @param {string} words */
  function again(words) {
    if (still() || store.passes < 2) return;
    cursor.turn(false);
    offerSpeeds(speed, false);
    speed.value = String(SLOW);
    slowly = words;
    cursor.seek(0);
    cursor.play(Math.max(SLOW, store.passes / LONGEST));
  }

  /** All lanes from the start, once and as fast as they were; without motion, how it ended. */
  function race() {
    cursor.turn(true);
    offerSpeeds(speed, true);
    speed.value = "1";
    if (still()) return cursor.seek(cursor.last);
    cursor.seek(0);
    cursor.play(1);
  }

  /** Let the page's buttons follow. At once, because a page in the background draws nothing. */
  function follow() {
    root.dataset.state = stateOf(store);
    const busy = String(store.busy);
    if (root.dataset.busy === busy) return;
    root.dataset.busy = busy;
    options.busy?.();
  }

  listenWhile(root, life, "blockscope:asked", () => {
    store.ask();
    follow();
    bringIntoView(root, find(root, ".bs-lanes"));
    schedule();
  });
  listenWhile(root, life, "blockscope:refused", () => {
    store.refuse();
    if (store.run === null && store.declined) take(store.declined);
    follow();
    schedule();
  });
  life.signal.addEventListener("abort", () => cursor.halt());
  presentation(root, life);
  find(root, ".bs-ramp").style.background = ramp();
  stage(Object.keys(options.titles));
  controls(root, { cursor, card, store, views, life });
  options.listen(() => life.signal.aborted || receive());
  receive(); // a message may have come before anyone listened
  schedule();
}

/** Whatever puts a run on show may stand far from the lanes. @param {Element} root @param {Element} lanes */
function bringIntoView(root, lanes) {
  const { top } = lanes.getBoundingClientRect();
  if (top > 0 && top < 0.7 * window.innerHeight) return;
  root.scrollIntoView({ block: "start", behavior: still() ? "auto" : "smooth" });
}

/** @param {Store} store */
function stateOf(store) {
  if (store.waiting) return "waiting";
  if (store.done) return store.welcome ? "welcome" : "done";
  return store.cancelled ? "stopped" : store.run ? "running" : "idle";
}

/** @param {Cursor} cursor */
const whereOf = ({ onClock, at, last }) =>
  onClock ? `${secondsOf(at, last)} of ${secondsOf(last, last)} s` : `step ${at + 1} of ${last + 1}`;

/** @param {Store} store */
function status(store) {
  if (store.waiting) return store.waiting;
  if (store.cancelled) return "Stopped.";
  if (store.note) return store.note;
  if (store.run === null) return "";
  const ended = Array.from(store.lanes.values()).filter((lane) => lane.state !== "running" && lane.frames.length);
  const words = ended.map((lane) => {
    const { tokens, nfe } = lane.frames[lane.frames.length - 1].totals;
    return `${store.titleOf(lane.name).title}: ${tokens} tokens in ${nfe} steps.`;
  });
  return [store.done ? "Done." : "Decoding…", ...words].join(" ");
}

/** @param {Store} store */
function facts(store) {
  const spent = Array.from(store.lanes.values(), (lane) => lane.recorder ?? 0).reduce((a, b) => a + b, 0);
  if (!store.facts) return "";
  const recording = `Recording took ${(1000 * spent).toFixed(0)} ms more, outside these numbers.`;
  return store.done ? `${store.facts} ${recording}` : store.facts;
}
