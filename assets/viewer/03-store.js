// Everything received about the run on show. It never touches the page.

class Store {
  // `usual`: the words over the lanes of a run that says none.
  constructor(usual) {
    this.usual = Object.entries(usual);
    this.reset(null, []);
  }

  reset(run, planned) {
    this.run = run;
    this.planned = planned;
    this.lanes = new Map();
    this.titles = new Map(this.usual);
    this.pieces = new Map();
    this.note = this.facts = this.verdict = this.link = "";
    this.done = this.cancelled = this.waiting = false;
    this.at = null; // the step that a deep link asked for
    this.race = false; // whether the run has just ended and is to be played on one clock
    this.received = 0;
    this.version = 0; // grows with what there is to ask about the run
  }

  // Whether nothing more will come, so that pictures may be drawn without disturbing the timing.
  get ended() {
    return this.run !== null && (this.done || this.cancelled);
  }

  // Take one message; returns true when it began a new run.
  accept(message) {
    this.received += 1;
    if (message.stopped) {
      this.waiting = false;
      this.note = "";
      this.cancelled = this.run !== null && !this.done;
      if (this.cancelled) for (const lane of this.lanes.values()) if (lane.state === "running") lane.state = "cancelled";
      return false;
    }
    if (message.waiting) {
      this.waiting = message.waiting; // the run on show stays
      return false;
    }
    const begins = message.run !== this.run;
    if (begins && !message.planned) return false; // a word about a run that is no longer on show
    if (begins) this.reset(message.run, message.planned);
    if (message.done || message.measured) this.version += 1;
    for (const [name, title] of Object.entries(message.titles ?? {})) this.titles.set(name, title);
    for (const [id, text] of Object.entries(message.pieces ?? {})) this.pieces.set(Number(id), text);
    for (const part of message.lanes) this.acceptLane(part);
    this.note = message.note ?? "";
    this.facts = message.facts ?? this.facts;
    this.verdict = message.verdict ?? this.verdict;
    this.link = message.link ?? this.link;
    this.at = message.at ?? null;
    this.race = Boolean(message.clock) && this.raceable && !this.done;
    this.done ||= Boolean(message.done);
    return begins;
  }

  acceptLane(part) {
    if (!this.lanes.has(part.name)) this.lanes.set(part.name, { name: part.name, state: "running", head: null, frames: [] });
    const lane = this.lanes.get(part.name);
    for (const frame of part.frames) lane.frames[frame.i] = frame;
    const { name, frames, ...rest } = part;
    if (part.head) Object.assign(lane, rest);
  }

  // Frames that never arrived; the next whole lane brings them.
  gaps() {
    let missing = 0;
    for (const { frames } of this.lanes.values()) for (let i = 0; i < frames.length; i++) missing += !frames[i];
    return missing;
  }

  titleOf(name) {
    return this.titles.get(name) ?? { title: name, about: "", text_label: `${name}: answer as text` };
  }

  get raceable() {
    return this.planned.length > 1;
  }

  get passes() {
    return Math.max(0, ...Array.from(this.lanes.values(), (lane) => lane.frames.length));
  }

  // What the slowest lane took.
  get milliseconds() {
    return Math.max(0, ...Array.from(this.lanes.values(), (lane) => endOf(lane, lane.frames.length - 1)));
  }

  // The lanes that came to an end: name → their milliseconds and rank. Equally quick lanes share a rank.
  finishes() {
    const ended = Array.from(this.lanes.values()).filter(({ state, frames }) => ["eos", "length"].includes(state) && frames.length);
    const took = ended.map((lane) => endOf(lane, lane.frames.length - 1));
    return new Map(ended.map(({ name }, i) => [name, { took: took[i], rank: 1 + took.filter((other) => other < took[i]).length }]));
  }

  pieceOf(id) {
    return this.pieces.get(id) ?? REPLACED;
  }
}

// Milliseconds from a lane's beginning to the end of a pass; 0 where it is not known.
const endOf = (lane, pass) => 1000 * (lane.frames[pass]?.totals.seconds ?? 0);

// The last pass of a lane that had ended by then, or -1.
const passAt = (lane, ms) => lane.frames.findLastIndex((frame, pass) => frame && endOf(lane, pass) <= ms);

// A canvas is kept at every so many passes, so that seeking in a long run costs the same everywhere.
const STRIDE = 16;

// The canvas after pass `last`: per generated position its token and where it came from, or its mask and best guess.
// In verified decoding also whether the guess stands there as a draft, which draft the pass struck out, and whether the
// token is a draft that was kept.
function canvasAt(lane, last) {
  const stops = (lane.stops ??= []);
  const full = Math.floor((last + 1) / STRIDE); // passes [0, full × STRIDE) are in stops[full]
  let known = full;
  while (known > 0 && !stops[known]) known -= 1;
  let cells = known ? copyOf(stops[known]) : masksOf(lane);
  for (let i = known * STRIDE; i <= last; i++) {
    write(cells, lane, i);
    if ((i + 1) % STRIDE === 0 && whole(lane, i)) stops[(i + 1) / STRIDE] = copyOf(cells);
  }
  return cells;
}

const copyOf = (cells) => cells.map((cell) => ({ ...cell }));
const masksOf = ({ head }) =>
  Array.from({ length: head.end - head.prompt.length }, () => ({ ...MASKED }));
const MASKED = { token: null, guess: null, confidence: null, pass: null, draft: false, struck: null, kept: false };

// Whether no frame up to pass `last` is missing: a canvas with a gap must not be kept.
function whole(lane, last) {
  for (let i = Math.max(0, last - STRIDE + 1); i <= last; i++) if (!lane.frames[i]) return false;
  return last < STRIDE || Boolean(lane.stops[(last + 1) / STRIDE - 1]);
}

// Let pass `i` write on the cells.
function write(cells, lane, i) {
  const frame = lane.frames[i];
  if (!frame) return;
  if (frame.tested) return writeVerified(cells, lane, i);
  const start = lane.head.prompt.length;
  const written = (frame.written ??= new Set(frame.new));
  frame.at.forEach((position, k) => {
    const cell = cells[position - start];
    if (!cell) return; // a block-causal canvas may reach past the cap
    if (written.has(position)) Object.assign(cell, { token: frame.tokens[k], guess: null, confidence: frame.confidence[k], pass: i });
    else if (cell.token === null) Object.assign(cell, { guess: frame.tokens[k], confidence: frame.confidence[k], pass: i });
  });
  for (const position of frame.remasked ?? []) {
    const cell = cells[position - start];
    if (cell) Object.assign(cell, { guess: cell.token, token: null });
  }
}

// A pass of verified decoding: what AR said is written, all drafts that stood are kept or gone, and others stand.
function writeVerified(cells, lane, i) {
  const frame = lane.frames[i];
  const start = lane.head.prompt.length;
  for (const cell of cells) if (cell.token === null) Object.assign(cell, MASKED);
  frame.at.forEach((position, k) => {
    const cell = cells[position - start];
    if (!cell) return;
    const draft = draftAt(lane, i, position);
    const struck = draft && draft.fate !== "kept" ? draft.token : null;
    if (frame.new.includes(position)) Object.assign(cell, { token: frame.tokens[k], confidence: frame.confidence[k], kept: draft?.fate === "kept" });
    Object.assign(cell, { pass: i, struck });
  });
  const stop = stopIndex(lane, cells);
  for (const [position, token, sure] of frame.drafts) {
    const cell = cells[position - start];
    if (cell?.token === null && position - start < stop) Object.assign(cell, { guess: token, confidence: sure, pass: i, draft: true });
  }
}

// The draft that a pass tested at a position: its token, how sure the masks were, what AR said, and what became of it:
// "kept", "replaced" by AR's token, or "dropped" because one before it was wrong. null: none was tested there.
function draftAt(lane, pass, position) {
  const frame = lane.frames[pass];
  const tested = frame?.tested?.find(([at]) => at === position);
  if (!tested) return null;
  const said = frame.tokens[frame.at.indexOf(position)];
  const guess = lane.frames[pass - 1]?.drafts?.find(([at]) => at === position);
  const fate = !frame.new.includes(position) ? "dropped" : tested[1] === said ? "kept" : "replaced";
  return { token: tested[1], sure: guess?.[2] ?? null, said, fate };
}

// Index of the first stop token among the cells, or Infinity.
function stopIndex(lane, cells) {
  const index = cells.findIndex((cell) => cell.token !== null && lane.head.stop_ids.includes(cell.token));
  return index < 0 ? Infinity : index;
}
