// Wires store, cursor and views together. `mount` is all the outside needs: it draws what `read` returns whenever
// `listen` says that there is something new, and gets pictures by `ask`, drawn by what `plotly` loads. `exports` and
// `measure` are there where someone can save a run in other formats and measure its drift.

function mount(root, { titles, definitions, views: sheets, read, listen, ask, plotly, exports, measure }) {
  const find = (selector) => root.querySelector(selector);
  const store = new Store(titles);
  const card = new Card(find(".bs-card"), root);
  const template = find(".bs-lane-template");
  const views = new Map();
  const cursor = new Cursor(store, () => schedule());
  const inspector = new Inspector(find(".bs-inspector"), { sheets, store, cursor, card, ask, plotly, exports, measure });
  const track = new Track(find(".bs-track"));
  const address = new Address();
  let pending = 0;

  const schedule = () => (pending ||= requestAnimationFrame(draw));

  // The lanes of a run, empty.
  function stage(names) {
    views.clear();
    for (const name of names) views.set(name, new LaneView(template, { name, definitions }));
    find(".bs-lanes").replaceChildren(...Array.from(views.values(), (view) => view.node));
    find(".bs-lanes").dataset.count = names.length;
    track.stage(names);
  }

  function draw() {
    pending = 0;
    const live = cursor.following && !store.done;
    const finishes = cursor.onClock && store.ended ? store.finishes() : new Map();
    for (const [name, view] of views) {
      const lane = store.lanes.get(name);
      view.entitle(store.titleOf(name));
      if (lane?.head && view.lane !== lane) view.begin(lane, store);
      if (lane?.head) view.show(cursor.of(lane), store);
      view.flag(finishes.get(name)?.took <= cursor.at ? finishes.get(name) : null);
      if (store.run !== null && !lane) view.find(".bs-state").textContent = STATES[store.cancelled || store.done ? "cancelled" : "waiting"];
    }
    track.follow(store, cursor, finishes);
    bar(live);
    say();
    if (card.anchor) card.refresh();
    inspector.follow();
    address.follow(store, cursor.pass);
  }

  function bar(live) {
    const { passes } = store;
    const [scrub, play] = [find(".bs-scrub"), find(".bs-play")];
    scrub.disabled = play.disabled = passes === 0;
    scrub.step = cursor.onClock ? "any" : 1;
    scrub.max = cursor.last;
    scrub.value = cursor.at;
    scrub.setAttribute("aria-label", cursor.onClock ? "Time" : "Step");
    find(".bs-by-label").hidden = !store.raceable || passes === 0;
    find(".bs-by").value = cursor.onClock ? "clock" : "step";
    offerSpeeds(find(".bs-speed"), cursor.onClock);
    const where = passes === 0 ? "no step yet" : `${whereOf(cursor)}${live ? ", live" : ""}`;
    find(".bs-where").textContent = where;
    scrub.setAttribute("aria-valuetext", where);
    play.setAttribute("aria-label", cursor.playing ? "Pause" : "Play");
    play.classList.toggle("playing", cursor.playing);
  }

  // Words that change seldom, so that a screen reader may speak them.
  function say() {
    const set = (selector, text) => {
      const node = find(selector);
      if (node.textContent !== text) node.textContent = text;
    };
    set(".bs-status", status(store));
    set(".bs-verdict", store.verdict);
    set(".bs-facts", facts(store));
    find(".bs-verdict").hidden = !store.verdict;
    find(".bs-link").hidden = !store.link;
    root.dataset.run = store.run ?? "";
    root.dataset.state = store.done ? "done" : store.cancelled ? "stopped" : store.run ? "running" : "idle";
    root.dataset.passes = store.passes;
    root.dataset.gaps = store.gaps();
    root.toggleAttribute("data-drafts", Array.from(store.lanes.values()).some(({ head }) => head?.verified));
  }

  function receive() {
    const value = read();
    if (!value) return;
    if (store.accept(JSON.parse(value))) {
      card.hide();
      cursor.reset();
      stage(store.planned);
    }
    cursor.grow();
    if (store.at !== null) cursor.seek(store.at);
    if (store.race) race();
    schedule();
  }

  // All lanes from the beginning, once and as fast as they were; for those who want no motion, how it ended.
  function race() {
    cursor.turn(true);
    offerSpeeds(find(".bs-speed"), true);
    find(".bs-speed").value = 1;
    if (still()) return cursor.seek(cursor.last);
    cursor.seek(0);
    cursor.play(1);
  }

  const wait = (waiting) => () => {
    store.waiting = waiting;
    if (waiting) bringIntoView(root, find(".bs-lanes"));
    schedule();
  };
  document.addEventListener("blockscope:asked", wait(true));
  document.addEventListener("blockscope:refused", wait(false));
  stage(Object.keys(titles));
  controls(root, { cursor, card, store, views });
  listen(receive);
  receive(); // a message may have come before anyone listened
  schedule();
}

// On a small screen the lanes may be below the fold when Decode is pressed.
function bringIntoView(root, lanes) {
  if (lanes.getBoundingClientRect().top < 0.7 * window.innerHeight) return;
  root.scrollIntoView({ block: "start", behavior: still() ? "auto" : "smooth" });
}

const still = () => window.matchMedia("(prefers-reduced-motion: reduce)").matches;

const whereOf = ({ onClock, at, last }) => (onClock ? `${secondsOf(at, last)} of ${secondsOf(last, last)} s` : `step ${at + 1} of ${last + 1}`);

function status(store) {
  if (store.waiting) return "Waiting for a turn…";
  if (store.cancelled) return "Stopped.";
  if (store.note) return store.note;
  if (store.run === null) return "";
  const ended = Array.from(store.lanes.values()).filter((lane) => lane.state !== "running" && lane.frames.length);
  const words = ended.map((lane) => {
    const { tokens, passes } = lane.frames.at(-1).totals;
    return `${store.titleOf(lane.name).title}: ${tokens} tokens in ${passes} steps.`;
  });
  return [store.done ? "Done." : "Decoding…", ...words].join(" ");
}

function facts(store) {
  const spent = Array.from(store.lanes.values(), (lane) => lane.recorder ?? 0).reduce((a, b) => a + b, 0);
  if (!store.facts) return "";
  return store.done ? `${store.facts} Recording took ${(1000 * spent).toFixed(0)} ms more, outside these numbers.` : store.facts;
}

// The address bar follows the recorded run on show, so that it can be shared as it stands.
class Address {
  constructor() {
    this.timer = 0;
    this.linked = false;
  }

  follow({ run, link }, at) {
    if (!link && !(this.linked && run !== null)) return;
    this.linked = Boolean(link);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => history.replaceState(history.state, "", link ? linkTo(link, at) : withoutLink()), 300);
  }
}

function withoutLink() {
  const url = new URL(window.location.href);
  url.searchParams.delete("trace");
  url.searchParams.delete("step");
  return url.href;
}
