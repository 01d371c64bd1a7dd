// Made by `make bundle` from assets/viewer/src.
"use strict";
var viewer = (() => {
  var __defProp = Object.defineProperty;
  var __getOwnPropDesc = Object.getOwnPropertyDescriptor;
  var __getOwnPropNames = Object.getOwnPropertyNames;
  var __hasOwnProp = Object.prototype.hasOwnProperty;
  var __export = (target, all) => {
    for (var name in all)
      __defProp(target, name, { get: all[name], enumerable: true });
  };
  var __copyProps = (to, from, except, desc) => {
    if (from && typeof from === "object" || typeof from === "function") {
      for (let key of __getOwnPropNames(from))
        if (!__hasOwnProp.call(to, key) && key !== except)
          __defProp(to, key, { get: () => from[key], enumerable: !(desc = __getOwnPropDesc(from, key)) || desc.enumerable });
    }
    return to;
  };
  var __toCommonJS = (mod) => __copyProps(__defProp({}, "__esModule", { value: true }), mod);

  // viewer/src/index.js
  var index_exports = {};
  __export(index_exports, {
    keyOf: () => keyOf,
    mount: () => mount
  });

  // viewer/src/question.js
  function keyOf({ run: _, ...question }) {
    return Object.keys(question).sort().filter((name) => question[name] !== null && question[name] !== void 0).map((name) => `${name}=${question[name]}`).join("&");
  }

  // viewer/src/address.js
  var Address = class {
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    timer;
    linked = false;
    /** @param {Store} store @param {number} at the step */
    follow({ run, link }, at) {
      if (!link && !(this.linked && run !== null)) return;
      this.linked = Boolean(link);
      clearTimeout(this.timer);
      const url = link ? linkTo(link, at) : withoutLink();
      this.timer = setTimeout(() => history.replaceState(history.state, "", url), 300);
    }
  };
  function linkTo(link, at) {
    const url = new URL(withoutLink());
    const [kind, name] = link.split("=");
    url.searchParams.set(kind, name);
    url.searchParams.set("step", String(at + 1));
    return url.href;
  }
  function withoutLink() {
    const url = new URL(window.location.href);
    for (const name of ["trace", "run", "step"]) url.searchParams.delete(name);
    return url.href;
  }
  async function copyLink(button, link, at) {
    try {
      await navigator.clipboard.writeText(linkTo(link, at));
      button.textContent = "Copied";
    } catch {
      button.textContent = "See the address bar";
    }
    setTimeout(() => {
      button.textContent = "Copy link";
    }, 1500);
  }

  // viewer/src/card.js
  var Card = class {
    /** @type {Anchor | null} */
    anchor = null;
    /** @type {Lines} */
    lines = () => null;
    /** @param {HTMLElement} node @param {HTMLElement} root */
    constructor(node, root) {
      this.node = node;
      this.root = root;
    }
    /** Show next to an anchor what `lines` returns at each refresh. @param {Anchor} anchor @param {Lines} lines */
    show(anchor, lines) {
      this.release();
      this.anchor = anchor;
      this.lines = lines;
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
    /** Fill and place the card again: its text may have changed with the cursor. */
    refresh() {
      const lines = this.anchor?.isConnected ? this.lines() : null;
      if (!this.anchor || !lines) return this.hide();
      this.node.replaceChildren(...lines);
      this.node.hidden = false;
      this.place(this.anchor);
    }
    /** Under the token, inside the viewer; above it where there is no room below. @param {Anchor} anchor */
    place(anchor) {
      const [outer, cell] = [this.root.getBoundingClientRect(), anchor.getBoundingClientRect()];
      const { offsetWidth: width, offsetHeight: height } = this.node;
      const left = Math.min(Math.max(0, cell.left - outer.left), Math.max(0, outer.width - width));
      const below = cell.bottom + 8 + height <= window.innerHeight || cell.top - 8 - height < 0;
      this.node.style.left = `${left}px`;
      this.node.style.top = `${below ? cell.bottom - outer.top + 8 : cell.top - outer.top - height - 8}px`;
    }
  };

  // viewer/src/colour.js
  var VIRIDIS = [
    [68, 1, 84],
    [71, 44, 122],
    [59, 81, 139],
    [44, 113, 142],
    [33, 144, 141],
    [39, 173, 129],
    [92, 200, 99],
    [170, 220, 50],
    [253, 231, 37]
  ];
  function viridis(share) {
    const x = Math.min(1, Math.max(0, share)) * (VIRIDIS.length - 1);
    const k = Math.min(VIRIDIS.length - 2, Math.floor(x));
    const mix = VIRIDIS[k].map((low, i) => Math.round(low + (VIRIDIS[k + 1][i] - low) * (x - k)));
    return `rgb(${mix.join(" ")})`;
  }
  var ramp = () => `linear-gradient(90deg, ${VIRIDIS.map((stop) => `rgb(${stop.join(" ")})`).join(", ")})`;

  // viewer/src/dom.js
  function find(root, selector, _kind) {
    const node = root.querySelector(selector);
    if (!node) throw new Error(`there is no element ${selector}`);
    return (
      /** @type {T} */
      node
    );
  }
  function element(tag, className = "", text = "") {
    const node = document.createElement(tag);
    node.className = className;
    node.textContent = text;
    return node;
  }
  var line = (className, text) => element("p", className, text);
  function setText(node, text) {
    if (node.textContent !== text) node.textContent = text;
  }
  function plainButton(text, act) {
    const button = element("button", "bs-plain", text);
    button.type = "button";
    button.addEventListener("click", act);
    return button;
  }
  function choice(name, pairs, chosen, act) {
    const label = element("label", "bs-choice");
    const words = element("span", "", name.charAt(0).toUpperCase() + name.slice(1));
    const select = document.createElement("select");
    select.setAttribute("aria-label", words.textContent);
    select.append(...pairs.map(([value, text]) => new Option(String(text), String(value))));
    if (chosen !== void 0 && chosen !== null) select.value = String(chosen);
    select.addEventListener("change", () => act(select.value));
    label.append(words, select);
    return label;
  }
  function download(url, name) {
    const link = document.createElement("a");
    Object.assign(link, { href: url, download: name });
    link.click();
  }
  var still = () => window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  function lifetime(root) {
    const life = new AbortController();
    root.dispatchEvent(new Event("blockscope:unmount"));
    root.addEventListener("blockscope:unmount", () => life.abort(), { signal: life.signal });
    return life;
  }
  function listenWhile(root, life, type, act) {
    const heard = (event) => root.isConnected ? act(event) : life.abort();
    document.addEventListener(type, heard, { signal: life.signal });
  }
  function onTheme(root, life, repaint) {
    const observer = new MutationObserver(() => root.isConnected ? repaint() : life.abort());
    observer.observe(document.body, { attributeFilter: ["class"] });
    life.signal.addEventListener("abort", () => observer.disconnect());
  }
  function onView(root, life, see, rootMargin = "200px") {
    const observer = new IntersectionObserver(([entry]) => entry && see(entry.isIntersecting), { rootMargin });
    observer.observe(root);
    life.signal.addEventListener("abort", () => observer.disconnect());
  }

  // viewer/src/glyphs.js
  var MASK = "░";
  var END = "⏹";
  var REPLACED = "�";
  var INVISIBLE = /[\p{C}\p{Z}\p{DI}\u2800]/u;
  var JOINER = /\u200c|\u200d|\ufe0e|\ufe0f/;
  function glyphOf(char) {
    if (char === " ") return "·";
    if (char === "\n") return "↵";
    if (char === "	") return "⇥";
    if (char === "\r") return "␍";
    if (!INVISIBLE.test(char)) return null;
    const code = char.codePointAt(0) ?? 0;
    if (code < 32) return String.fromCodePoint(9216 + code);
    if (code === 127) return "␡";
    return `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
  }
  function runsOf(piece) {
    const runs = [];
    let ink = "";
    for (const char of piece) {
      const glyph = glyphOf(char);
      if (glyph === null) {
        ink += !ink && /\p{M}/u.test(char) ? `◌${char}` : char;
        continue;
      }
      if (ink) runs.push([ink, false]);
      ink = "";
      runs.push([glyph, true]);
    }
    if (ink) runs.push([ink, false]);
    return runs.length ? runs : [["∅", true]];
  }
  function fill(node, runs) {
    node.replaceChildren(
      ...runs.map(([text, isGlyph]) => isGlyph ? element("span", "bs-glyph", text) : document.createTextNode(text))
    );
  }
  function plainText(text) {
    let inked = false;
    return Array.from(text, (char) => {
      if (inked && JOINER.test(char)) return char;
      const glyph = glyphOf(char);
      inked = glyph === null;
      return glyph === null || " \n	".includes(char) ? char : glyph;
    }).join("");
  }

  // viewer/src/bytes.js
  var ENCODER = new TextEncoder();
  var LENIENT = new TextDecoder("utf-8", { ignoreBOM: true });
  var STRICT = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });
  var hex = (bytes) => bytes.map((byte) => byte.toString(16).toUpperCase().padStart(2, "0")).join(" ");
  function textOf(ids, store) {
    const bytes = ids.flatMap((id) => store.bytes.get(id) ?? Array.from(ENCODER.encode(store.pieceOf(id))));
    return LENIENT.decode(Uint8Array.from(bytes));
  }
  function tokenRuns(id, store) {
    const bytes = store.bytes.get(id ?? -1);
    return bytes ? spellTogether([bytes])[0].runs : runsOf(store.pieceOf(id));
  }
  function spell(ids, store) {
    const found = /* @__PURE__ */ new Map();
    if (!store.bytes.size) return found;
    for (let i = 0; i < ids.length; i++) {
      const neighbours = [];
      for (let bytes = bytesAt(i); bytes; bytes = bytesAt(i + neighbours.length)) neighbours.push(bytes);
      for (const [k, spelling] of spellTogether(neighbours).entries()) found.set(i + k, spelling);
      i += neighbours.length;
    }
    return found;
    function bytesAt(i) {
      return store.bytes.get(ids[i] ?? -1);
    }
  }
  function spellTogether(tokens2) {
    const bytes = tokens2.flat();
    const owners = tokens2.flatMap((token, i) => token.map(() => i));
    const shown = tokens2.map(() => []);
    for (let at = 0; at < bytes.length; ) {
      const { char, length, of } = characterAt(bytes, at);
      const last = owners[at + length - 1];
      for (let i = owners[at]; i <= last; i++) {
        const own = bytes.slice(at, at + length).filter((_, k) => owners[at + k] === i);
        const ends = char !== null && i === last;
        add(shown[i], { text: ends ? char : "", bytes: own, char, from: owners.indexOf(i, at) - at, of });
      }
      at += length;
    }
    return shown.map((items) => ({
      runs: stretches(items).flatMap(({ text, bytes: bytes2 }) => text ? runsOf(text) : [bytesRun(bytes2)]),
      parts: items.filter(({ char, bytes: bytes2, of }) => char === null || bytes2.length < of)
    }));
  }
  var bytesRun = (bytes) => [hex(bytes), true];
  function stretches(items) {
    const out = [];
    for (const { text, bytes } of items) {
      const before = out.at(-1);
      if (text && before?.text) before.text += text;
      else out.push({ text, bytes });
    }
    return out;
  }
  function add(items, item) {
    const before = items.at(-1);
    const alike = before && before.char === null && item.char === null && before.of === 0 && item.of === 0;
    if (alike) before.bytes = [...before.bytes, ...item.bytes];
    else items.push(item);
  }
  function characterAt(bytes, at) {
    const of = lengthAfter(bytes[at]);
    if (!of) return { char: null, length: 1, of };
    const there = bytes.slice(at, at + of);
    try {
      return { char: STRICT.decode(Uint8Array.from(there)), length: of, of };
    } catch {
      const early = there.length < of && there.slice(1).every((byte) => byte >> 6 === 2);
      return early ? { char: null, length: there.length, of } : { char: null, length: 1, of: 0 };
    }
  }
  function lengthAfter(first) {
    if (first < 128) return 1;
    if (first >= 194 && first < 224) return 2;
    if (first >= 224 && first < 240) return 3;
    return first >= 240 && first < 245 ? 4 : 0;
  }

  // viewer/src/canvas.js
  var STRIDE = 16;
  var MASKED = { token: null, guess: null, confidence: null, pass: null, draft: false, struck: null, kept: false };
  function canvasAt(lane, last) {
    const { stops } = lane;
    let known = Math.floor((last + 1) / STRIDE);
    while (known > 0 && !stops[known]) known -= 1;
    const cells = known ? copyOf(stops[known]) : masksOf(lane);
    for (let i = known * STRIDE; i <= last; i++) {
      write(cells, lane, i);
      if ((i + 1) % STRIDE === 0 && complete(lane, i)) stops[(i + 1) / STRIDE] = copyOf(cells);
    }
    return cells;
  }
  var copyOf = (cells) => cells.map((cell) => ({ ...cell }));
  var masksOf = ({ head }) => Array.from({ length: head.end - head.prompt.length }, () => ({ ...MASKED }));
  function complete(lane, last) {
    for (let i = Math.max(0, last - STRIDE + 1); i <= last; i++) if (!lane.frames[i]) return false;
    return last < STRIDE || Boolean(lane.stops[(last + 1) / STRIDE - 1]);
  }
  function write(cells, lane, i) {
    const frame = lane.frames[i];
    if (!frame) return;
    if (frame.tested) return writeVerified(cells, lane, i);
    const start = lane.head.prompt.length;
    const committed = new Set(frame.new);
    frame.at.forEach((position, k) => {
      const cell = cells[position - start];
      if (!cell) return;
      const [token, confidence] = [frame.tokens[k], frame.confidence[k]];
      if (committed.has(position)) Object.assign(cell, { token, guess: null, confidence, pass: i });
      else if (cell.token === null) Object.assign(cell, { guess: token, confidence, pass: i });
    });
    for (const position of frame.remasked ?? []) {
      const cell = cells[position - start];
      if (cell) Object.assign(cell, { guess: cell.token, token: null });
    }
  }
  function writeVerified(cells, lane, i) {
    const frame = lane.frames[i];
    const start = lane.head.prompt.length;
    const committed = new Set(frame.new);
    for (const cell of cells) if (cell.token === null) Object.assign(cell, MASKED);
    frame.at.forEach((position, k) => {
      const cell = cells[position - start];
      if (!cell) return;
      const draft = draftAt(lane, i, position);
      if (committed.has(position)) {
        Object.assign(cell, { token: frame.tokens[k], confidence: frame.confidence[k], kept: draft?.fate === "kept" });
      }
      Object.assign(cell, { pass: i, struck: draft && draft.fate !== "kept" ? draft.token : null });
    });
    const stop = stopIndex(lane, cells);
    for (const [position, token, sure] of frame.drafts ?? []) {
      const cell = cells[position - start];
      if (cell?.token !== null || position - start >= stop) continue;
      Object.assign(cell, { guess: token, confidence: sure, pass: i, draft: true });
    }
  }
  function draftAt(lane, pass, position) {
    const frame = lane.frames[pass];
    const tested = frame?.tested?.find(([at]) => at === position);
    if (!tested) return null;
    const target = frame.tokens[frame.at.indexOf(position)];
    const guess = lane.frames[pass - 1]?.drafts?.find(([at]) => at === position);
    const fate = !frame.new.includes(position) ? "dropped" : tested[1] === target ? "kept" : "replaced";
    return { token: tested[1], sure: guess?.[2] ?? null, target, fate };
  }
  function stopIndex(lane, cells) {
    const index = cells.findIndex((cell) => cell.token !== null && lane.head.stop_ids.includes(cell.token));
    return index < 0 ? Number.POSITIVE_INFINITY : index;
  }

  // viewer/src/cell.js
  function lookOf(cell, i, { stop, frame, lane, shown }) {
    const look = [];
    const masked = cell.token === null;
    if (masked) look.push(cell.draft ? "draft" : lane.head.autoregressive ? "ahead" : "mask");
    else if (isStop(lane, cell.token)) look.push("eos");
    if (!masked && cell.pass === shown) look.push("new");
    if (cell.kept) look.push("confirmed");
    if (cell.struck !== null && cell.pass === shown && i <= stop) look.push("struck");
    if (i > stop) look.push("beyond");
    if (masked && frame && !frame.tested && within(lane.head.prompt.length + i, frame.window)) look.push("window");
    return look.join(" ");
  }
  var isStop = (lane, token) => token !== null && lane.head.stop_ids.includes(token);
  var within = (position, [from, to]) => position >= from && position < to;
  var emptyCell = (isAr) => element("span", isAr ? "bs-cell ahead" : "bs-cell mask", isAr ? "" : MASK);
  function promptCells(prompt, store) {
    const spelled = spell(prompt, store);
    return prompt.map((id, i) => {
      const cell = element("span", "bs-cell prompt");
      fill(cell, spelled.get(i)?.runs ?? tokenRuns(id, store));
      return cell;
    });
  }
  function tick() {
    const mark = element("i", "bs-tick");
    mark.title = "sub-block";
    return mark;
  }

  // viewer/src/entry.js
  var REASONS = {
    density: (frame, position) => `a sure guess close to decided tokens${score("certainty density", densityOf(frame, position))}`,
    committed: () => "its token has just been written",
    rollout: (frame, position) => `the others attend to it most${score("rollout", frame.rollout?.[position])}`,
    inflated: () => "it lies between two that are computed",
    padded: () => "to fill up the pass"
  };
  function entryText(lane, pass, position) {
    const frame = lane.frames[pass];
    if (!frame?.queries) return "";
    if (computed(frame, position)) {
      const reason = Object.keys(frame.reasons ?? {}).find((name) => frame.reasons?.[name].includes(position));
      const why = reason && reason in REASONS ? `: ${REASONS[reason](frame, position)}` : "";
      return `Keys and values: computed in this step${why}.`;
    }
    const from = lane.frames.slice(0, pass).findLastIndex((earlier) => earlier && computed(earlier, position));
    if (from < 0) return "Keys and values: none yet.";
    const age = pass - from;
    return `Keys and values: reused from step ${from + 1}, ${age} step${age === 1 ? "" : "s"} old.`;
  }
  var computed = ({ queries = [] }, position) => queries.some(([from, to]) => position >= from && position < to);
  var densityOf = ({ density = [] }, position) => density.find(([at]) => at === position)?.[1];
  var score = (name, value) => value === void 0 ? "" : ` (${name} ${value.toFixed(2)})`;

  // viewer/src/format.js
  var percent = (share, digits = 1) => `${(100 * share).toFixed(digits)} %`;
  var ordinal = (rank) => `${rank}${["st", "nd", "rd"][rank - 1] ?? "th"}`;
  var secondsOf = (ms, end) => (ms / 1e3).toFixed(end < 1e3 ? 3 : 2);

  // viewer/src/token.js
  function tokenLines(view, position, store) {
    const { lane } = view;
    const cell = lane && view.canvas[position - lane.head.prompt.length];
    if (!cell) return null;
    const token = cell.token ?? (cell.draft ? cell.guess : null);
    const spelling = cell.token === null ? void 0 : view.spelled.get(position - lane.head.prompt.length);
    const out = [
      titleLine(token, store, spelling?.runs),
      line("bs-card-where", `position ${position} · ${whenText(cell)}`),
      ...(spelling?.parts ?? []).map(partLine)
    ];
    if (cell.pass === null) {
      return [...out, line("bs-card-note", "The network has not been asked about this position yet.")];
    }
    if (cell.token !== null) out.push(...whyLines(lane.frames[cell.pass], position));
    const entry = entryText(lane, view.shown, position);
    if (entry) out.push(line("bs-card-note", entry));
    const drafts = draftLines(lane, cell.pass, position, store);
    if (lane.head.verified && cell.token === null) return [...out, ...standingLines(cell), ...drafts];
    const label = cell.token === null ? "best guess" : lane.head.verified ? "AR's confidence" : "confidence";
    return [...out, ...drafts, ...guessLines(lane.frames[cell.pass], position, label, store)];
  }
  var LONGEST_WORD = 12;
  function wordAt(lane, position, store) {
    const { prompt } = lane.head;
    const token = prompt[position] ?? canvasAt(lane, lane.frames.length - 1)[position - prompt.length]?.token;
    if (token === void 0 || token === null) return MASK;
    if (isStop(lane, token)) return "EOS";
    const text = tokenRuns(token, store).map(([part]) => part).join("");
    return text.length > LONGEST_WORD ? `${text.slice(0, LONGEST_WORD - 1)}…` : text;
  }
  function whyLines(frame, position) {
    const why = frame?.why?.[frame.new.indexOf(position)];
    return why ? [line("bs-card-why", `Why: ${why}`)] : [];
  }
  function whenText({ token, draft, pass }) {
    if (token !== null) return `committed at step ${(pass ?? 0) + 1}`;
    return draft ? "a guess, not written yet" : "not written yet";
  }
  function titleLine(token, store, runs) {
    const title = line("bs-card-title", "Masked");
    if (token !== null) fill(title, runs ?? tokenRuns(token, store));
    return title;
  }
  function partLine({ bytes, char, from, of }) {
    const node = line("bs-card-note");
    const count = bytes.length === 1 ? "byte" : "bytes";
    if (!of) node.append(`${hex(bytes)}: no UTF-8 character together with its neighbouring tokens.`);
    else if (char === null) node.append(`${hex(bytes)}: ${count} of a character that is not complete yet.`);
    else {
      const numbers = bytes.length === 1 ? from + 1 : `${from + 1} to ${from + bytes.length}`;
      node.append(`${hex(bytes)}: ${count} ${numbers} of the ${of} of `, quotedRuns(runsOf(char)), ".");
    }
    return node;
  }
  function standingLines({ draft, confidence }) {
    if (!draft) return [];
    return [
      line("bs-card-sure", `guessed with ${percent(confidence ?? 0)}`),
      line("bs-card-note", "The next step tests it if it is likely enough, and keeps it if AR predicts the same token.")
    ];
  }
  function draftLines(lane, pass, position, store) {
    const frame = lane.frames[pass];
    if (!frame?.tested) return [];
    const draft = draftAt(lane, pass, position);
    if (!draft) {
      return frame.new.includes(position) ? [line("bs-card-note", "AR's own token: no draft reached here.")] : [];
    }
    const guessed = line("bs-card-note");
    const share = draft.sure === null ? "" : `, ${percent(draft.sure)}`;
    guessed.append("The guess that stood here before: ", quoted(draft.token, store), share, ".");
    const fate = line("bs-card-note");
    if (draft.fate === "kept") fate.append("Confirmed: AR predicts the same token.");
    else if (draft.fate === "replaced") fate.append("Struck out: AR predicts ", quoted(draft.target, store), ".");
    else fate.append("Struck out: a guess before it was wrong.");
    return [guessed, fate];
  }
  var quoted = (id, store) => quotedRuns(tokenRuns(id, store));
  function quotedRuns(runs) {
    const node = element("q", "bs-card-piece");
    fill(node, runs);
    return node;
  }
  function cellLines(lane, step, position, store) {
    const frame = lane.frames[step];
    if (!frame || position < 0) return null;
    const where = `position ${position} · step ${step + 1}`;
    const k = frame.at.indexOf(position);
    if (k < 0) {
      const { prompt } = lane.head;
      const token = position < prompt.length ? prompt[position] : canvasAt(lane, step)[position - prompt.length]?.token;
      if (token === void 0) return null;
      const note = token === null ? "Not asked in this step." : "Already written; not asked in this step.";
      return [titleLine(token, store), line("bs-card-where", where), line("bs-card-note", note)];
    }
    const kept = frame.new.includes(position) ? "committed here" : "predicted, not kept";
    return [
      titleLine(frame.tokens[k], store),
      line("bs-card-where", `${where} · ${kept}`),
      ...whyLines(frame, position),
      ...[entryText(lane, step, position)].filter(Boolean).map((text) => line("bs-card-note", text)),
      ...draftLines(lane, step, position, store),
      ...guessLines(frame, position, "confidence", store)
    ];
  }
  function guessLines(frame, position, label, store) {
    const k = frame.at.indexOf(position);
    const row = frame.alternatives?.[k];
    const sure = line("bs-card-sure", `${label} ${percent(frame.confidence[k])}`);
    return row ? [sure, alternatives(row, frame.tokens[k], store)] : [sure];
  }
  function alternatives(row, chosen, store) {
    const list = element("ol", "bs-card-list");
    for (const [id, share] of row) {
      const item = element("li", id === chosen ? "chosen" : "");
      const text = element("span", "bs-card-piece");
      fill(text, tokenRuns(id, store));
      const bar = element("span", "bs-card-bar");
      bar.style.setProperty("--share", `${100 * share}%`);
      bar.style.setProperty("--sure", viridis(share));
      item.append(text, bar, element("span", "bs-card-share", percent(share)));
      list.append(item);
    }
    return list;
  }

  // viewer/src/controls.js
  var TYPING = "input:not(.bs-scrub), textarea, select, [contenteditable], [role=combobox], [role=listbox], [role=tab]";
  function controls(root, { cursor, card, store, views, life }) {
    const { signal } = life;
    const scrub = find(root, ".bs-scrub", HTMLInputElement);
    const speed = find(root, ".bs-speed", HTMLSelectElement);
    const by = find(root, ".bs-by", HTMLSelectElement);
    const link = find(root, ".bs-link");
    const play = () => cursor.playing ? cursor.pause() : cursor.play(Number(speed.value));
    const paused = (act) => () => {
      cursor.pause();
      act();
    };
    find(root, ".bs-play").addEventListener("click", play, { signal });
    scrub.addEventListener(
      "input",
      paused(() => cursor.seek(Number(scrub.value))),
      { signal }
    );
    by.addEventListener("change", () => cursor.turn(by.value === "clock"), { signal });
    link.addEventListener("click", () => copyLink(link, store.link, cursor.pass), { signal });
    speed.addEventListener("change", () => cursor.playing && cursor.play(Number(speed.value)), { signal });
    tokens(find(root, ".bs-lanes"), { cursor, card, store, views, life });
    const keys = {
      ArrowLeft: paused(() => cursor.move(-1)),
      ArrowRight: paused(() => cursor.move(1)),
      Home: paused(() => cursor.seek(0)),
      End: paused(() => cursor.seek(cursor.last)),
      " ": play
    };
    listenWhile(root, life, "keydown", (event) => {
      if (!(event instanceof KeyboardEvent) || event.ctrlKey || event.metaKey || event.altKey || !store.passes) return;
      if (event.key === "Escape") return card.hide();
      const target = event.target instanceof Element ? event.target : document.body;
      if (target.closest(TYPING)) return;
      if (event.key === " " && target.closest("button, summary, a")) return;
      if (!(event.key in keys)) return;
      event.preventDefault();
      keys[event.key]();
    });
  }
  var SPEEDS = {
    step: [
      [2, "2 steps/s"],
      [5, "5 steps/s"],
      [10, "10 steps/s"],
      [25, "25 steps/s"]
    ],
    clock: [
      [0.25, "0.25×"],
      [0.5, "0.5×"],
      [1, "1×"],
      [2, "2×"],
      [4, "4×"]
    ]
  };
  var USUAL_SPEED = { step: 5, clock: 1 };
  function offerSpeeds(select, onClock) {
    const by = onClock ? "clock" : "step";
    if (select.dataset.by === by) return;
    select.dataset.by = by;
    select.replaceChildren(...SPEEDS[by].map(([value, text]) => new Option(text, String(value))));
    select.value = String(USUAL_SPEED[by]);
  }
  function tokens(lanes, { card, store, views, life }) {
    const { signal } = life;
    const cellOf = (target) => target instanceof Element ? (
      /** @type {HTMLElement | null} */
      target.closest(".bs-strip .bs-cell:not(.prompt)[data-position]")
    ) : null;
    const viewOf = (cell) => views.get(
      /** @type {HTMLElement | null} */
      cell.closest(".bs-lane")?.dataset.lane ?? ""
    );
    const show = (cell) => {
      const view = cell && viewOf(cell);
      if (!view) return card.hide();
      card.show(cell, () => tokenLines(view, Number(cell.dataset.position), store));
    };
    const pointed = (event) => cellOf(event.target) && show(cellOf(event.target));
    const left = (event) => cellOf(event.target) && show(cellOf(document.activeElement));
    lanes.addEventListener("pointerover", pointed, { signal });
    lanes.addEventListener("pointerout", left, { signal });
    lanes.addEventListener("focusout", (event) => cellOf(event.target) && card.hide(), { signal });
    lanes.addEventListener("click", (event) => cellOf(event.target)?.focus(), { signal });
    const focused = (event) => {
      const cell = cellOf(event.target);
      if (!cell) return;
      for (const other of viewOf(cell)?.cells ?? []) other.tabIndex = other === cell ? 0 : -1;
      show(cell);
    };
    lanes.addEventListener("focusin", focused, { signal });
    const copied = (event) => {
      const range = document.getSelection()?.rangeCount ? document.getSelection()?.getRangeAt(0) : null;
      const holder = range?.commonAncestorContainer;
      const strip = (holder instanceof Element ? holder : holder?.parentElement)?.closest(".bs-strip");
      const view = strip && viewOf(strip);
      if (!range || !view || !event.clipboardData) return;
      event.preventDefault();
      event.clipboardData.setData("text/plain", view.selected(range, store));
    };
    lanes.addEventListener("copy", copied, { signal });
    const walk = (event) => {
      const cell = cellOf(event.target);
      const by = stepOf(event.key);
      if (!cell || !by) return;
      event.preventDefault();
      const cells = viewOf(cell)?.cells ?? [];
      cells[cells.indexOf(cell) + by]?.focus();
    };
    lanes.addEventListener("keydown", walk, { signal });
  }
  var stepOf = (key) => key === "ArrowDown" ? 1 : key === "ArrowUp" ? -1 : 0;

  // viewer/src/store.js
  var begun = (lane) => Boolean(lane?.head);
  var Store = class _Store {
    /** @type {string | null} */
    run = null;
    /** @type {string[]} */
    planned = [];
    /** @type {Map<string, Lane>} */
    lanes = /* @__PURE__ */ new Map();
    /** @type {Map<number, string>} */
    pieces = /* @__PURE__ */ new Map();
    /** @type {Map<number, number[]>} of tokens that are not complete characters, see bytes.js */
    bytes = /* @__PURE__ */ new Map();
    note = "";
    facts = "";
    verdict = "";
    /** @type {string[]} */
    verdictLines = [];
    link = "";
    done = false;
    cancelled = false;
    waiting = "";
    // what is waited for before another run begins
    halted = false;
    // Stop was pressed: what its run still sends is ignored until another run is asked for
    /** @type {number | null} the step that a deep link asked for */
    at = null;
    race = false;
    // whether the run has just ended and is to be played on one clock
    welcome = false;
    // whether it is what the page opens with
    /** @type {Message | null} */
    declined = null;
    // what the page opens with, if something else had been asked for
    version = 0;
    // grows with what there is to ask about the run
    received = 0;
    // messages of all runs
    /** @type {Set<string>} runs that a newer one has replaced */
    past = /* @__PURE__ */ new Set();
    /** @param {Record<string, Title>} usual titles of the lanes of a run that names none */
    constructor(usual) {
      this.usual = usual;
      this.titles = new Map(Object.entries(usual));
    }
    /** Forget the run on show for another. @param {string} run @param {string[]} planned */
    begin(run, planned) {
      const { usual, received, past } = this;
      if (this.run !== null) past.add(this.run);
      Object.assign(this, new _Store(usual), { received, past, run, planned });
    }
    /** Whether nothing more will come, so that pictures may be drawn without disturbing the timing. */
    get ended() {
      return this.run !== null && (this.done || this.cancelled);
    }
    /** Whether a run was asked for and has not ended: what the page's buttons follow. */
    get busy() {
      return Boolean(this.waiting) || this.run !== null && !this.ended;
    }
    /** A run was asked for. */
    ask() {
      this.halted = false;
      this.waiting = "Waiting for a turn…";
    }
    /** What was asked for was refused, or the run on show has failed. */
    refuse() {
      if (this.waiting) this.waiting = "";
      else if (!this.ended) this.stop();
    }
    /**
     * Take one message; returns whether it began a new run.
     * @param {Message} message
     */
    accept(message) {
      this.received += 1;
      if ("stopped" in message) return this.stop();
      if ("waiting" in message) {
        if (!this.halted) this.waiting = message.waiting;
        return false;
      }
      const begins = message.run !== this.run;
      if (message.welcome && begins && (this.waiting || this.run !== null)) {
        this.declined = message;
        return false;
      }
      if (begins && this.halted && !message.done) return false;
      if (begins && (!message.planned || this.past.has(message.run))) return false;
      if (begins) this.begin(message.run, message.planned ?? []);
      this.learn(message);
      return begins;
    }
    /** Stop was pressed: the run on show ends where it is. */
    stop() {
      this.halted = true;
      this.waiting = "";
      this.note = "";
      this.cancelled = this.run !== null && !this.done;
      if (!this.cancelled) return false;
      for (const lane of this.lanes.values()) if (lane.state === "running") lane.state = "cancelled";
      return false;
    }
    /** @param {RunMessage} message */
    learn(message) {
      if (message.done || message.measured) this.version += 1;
      for (const [name, title] of Object.entries(message.titles ?? {})) this.titles.set(name, title);
      for (const [id, text] of Object.entries(message.pieces ?? {})) this.pieces.set(Number(id), text);
      for (const [id, bytes] of Object.entries(message.bytes ?? {})) this.bytes.set(Number(id), bytes);
      for (const part of message.lanes) this.acceptLane(part);
      this.note = message.note ?? "";
      this.facts = message.facts ?? this.facts;
      this.verdict = message.verdict ?? this.verdict;
      this.verdictLines = message.verdict_lines ?? this.verdictLines;
      this.link = message.link ?? this.link;
      this.at = message.at ?? null;
      this.welcome ||= Boolean(message.welcome);
      this.race = Boolean(message.clock) && this.raceable && !this.done;
      this.done ||= Boolean(message.done);
    }
    /** @param {LaneMessage} part */
    acceptLane(part) {
      const { name, frames, ...rest } = part;
      const lane = this.lanes.get(name) ?? { name, state: "running", head: null, frames: [], stops: [] };
      this.lanes.set(name, lane);
      for (const frame of frames) lane.frames[frame.i] = frame;
      if (part.head) Object.assign(lane, rest);
    }
    /** How many frames never arrived; the next whole lane brings them. */
    gaps() {
      let missing = 0;
      for (const { frames } of this.lanes.values()) for (let i = 0; i < frames.length; i++) missing += Number(!frames[i]);
      return missing;
    }
    /** @param {string} name a lane's @returns {Title} */
    titleOf(name) {
      return this.titles.get(name) ?? { title: name, about: "", text_label: `${name}: answer as text` };
    }
    /** A lane that has begun. @param {string | null} name @returns {BegunLane} */
    laneOf(name) {
      const lane = this.lanes.get(name ?? "");
      if (!begun(lane)) throw new Error(`lane ${name} has not begun`);
      return lane;
    }
    get raceable() {
      return this.planned.length > 1;
    }
    get passes() {
      return Math.max(0, ...Array.from(this.lanes.values(), (lane) => lane.frames.length));
    }
    /** The time of the slowest lane. */
    get milliseconds() {
      return Math.max(0, ...Array.from(this.lanes.values(), (lane) => endOf(lane, lane.frames.length - 1)));
    }
    /**
     * The lanes that finished, with their milliseconds and rank. Equally fast lanes share a rank.
     * @returns {Map<string, Finish>}
     */
    finishes() {
      const lanes = Array.from(this.lanes.values()).filter(
        ({ state, frames }) => ["eos", "length"].includes(state) && frames.length
      );
      const took = lanes.map((lane) => endOf(lane, lane.frames.length - 1));
      const rank = (own) => 1 + took.filter((other) => other < own).length;
      return new Map(lanes.map(({ name }, i) => [name, { took: took[i], rank: rank(took[i]) }]));
    }
    /** The text of a token. @param {number | null | undefined} id */
    pieceOf(id) {
      return this.pieces.get(id ?? -1) ?? REPLACED;
    }
  };
  var endOf = (lane, pass) => 1e3 * (lane.frames[pass]?.totals.seconds ?? 0);
  var passAt = (lane, ms) => lane.frames.findLastIndex((frame, pass) => frame && endOf(lane, pass) <= ms);

  // viewer/src/cursor.js
  var Cursor = class {
    at = 0;
    following = true;
    onClock = false;
    beat = 0;
    /** @param {Store} store @param {() => void} changed */
    constructor(store, changed) {
      this.store = store;
      this.changed = changed;
    }
    reset() {
      this.halt();
      Object.assign(this, { at: 0, following: true, onClock: false });
    }
    get last() {
      return this.onClock ? this.store.milliseconds : Math.max(0, this.store.passes - 1);
    }
    /** The index of the pass on show in a lane: its last one that has ended; -1 where none has. @param {Lane} lane */
    of(lane) {
      const last = lane.frames.length - 1;
      if (this.following) return last;
      return this.onClock ? passAt(lane, this.at) : Math.min(this.at, last);
    }
    /** The pass of the lane that has made most. */
    get pass() {
      return this.onClock ? Math.max(0, ...this.lanes.map((lane) => this.of(lane))) : this.at;
    }
    get lanes() {
      return Array.from(this.store.lanes.values());
    }
    /** The run has grown. */
    grow() {
      if (this.following) this.at = this.last;
    }
    /** @param {number} at */
    seek(at) {
      this.at = Math.min(this.last, Math.max(0, at));
      this.following = this.at === this.last;
      this.changed();
    }
    /** Go to the end of a lane's pass. @param {Lane} lane @param {number} pass */
    stand(lane, pass) {
      this.seek(this.onClock ? endOf(lane, pass) : pass);
    }
    /** To the next step, or on the clock to the next end of a pass in any lane; -1: to the one before. @param {1 | -1} by */
    move(by) {
      if (!this.onClock) return this.seek(this.at + by);
      const ends = this.lanes.flatMap((lane) => lane.frames.map((_, pass) => endOf(lane, pass)));
      if (by > 0) return this.seek(Math.min(...ends.filter((end) => end > this.at)));
      this.seek(Math.max(0, ...ends.filter((end) => end < this.at)));
    }
    /** Change between steps and the clock; what was on show stays on show where it can. @param {boolean} onClock */
    turn(onClock) {
      if (onClock === this.onClock) return;
      this.halt();
      const at = onClock ? Math.max(0, ...this.lanes.map((lane) => endOf(lane, this.of(lane)))) : this.pass;
      this.onClock = onClock;
      this.seek(this.following ? this.last : at);
    }
    get playing() {
      return this.beat !== 0;
    }
    /** @param {number} rate steps per second, or on the clock a multiple of the recorded speed */
    play(rate) {
      this.halt();
      if (this.at >= this.last) this.at = 0;
      this.following = false;
      const [from, began, pace] = [this.at, performance.now(), this.onClock ? rate : rate / 1e3];
      const tick2 = (now) => {
        const at = from + Math.max(0, now - began) * pace;
        this.beat = requestAnimationFrame(tick2);
        this.seek(this.onClock ? at : Math.floor(at));
        if (this.at >= this.last) this.pause();
      };
      this.beat = requestAnimationFrame(tick2);
      this.changed();
    }
    pause() {
      this.halt();
      this.changed();
    }
    halt() {
      cancelAnimationFrame(this.beat);
      this.beat = 0;
    }
  };

  // viewer/src/figure.js
  var AXES = { x: "xaxis", y: "yaxis" };
  var coarse = () => window.matchMedia("(pointer: coarse)").matches;
  var Figure = class {
    /** @type {Spec} */
    spec = { data: [], layout: {} };
    /** @type {NonNullable<Spec["layout"]["meta"]>} */
    link = {};
    /** @type {Plotly | null} */
    drawn = null;
    /** @type {number | null} the position that the keyboard points at */
    probe = null;
    at = 0;
    /** @param {Element} holder @param {Links} links */
    constructor(holder, links) {
      this.links = links;
      this.node = element("figure", "bs-figure");
      this.name = document.createElement("span");
      const save2 = plainButton("PNG", () => this.png());
      save2.setAttribute("aria-label", "Save this chart as PNG");
      const caption = document.createElement("figcaption");
      caption.append(this.name, save2);
      this.plot = /** @type {Plot} */
      element("div", "bs-plot");
      this.plot.tabIndex = 0;
      this.plot.setAttribute("role", "img");
      this.cursor = element("div", "bs-cursor");
      this.plot.addEventListener("keydown", (event) => this.key(event));
      this.plot.addEventListener("blur", () => this.leave());
      this.node.append(caption, this.plot);
      holder.append(this.node);
    }
    /** @param {Spec} spec @param {string} caption */
    async draw(spec, caption) {
      this.spec = spec;
      this.link = spec.layout.meta ?? {};
      this.name.textContent = caption;
      this.plot.setAttribute("aria-label", caption);
      const plotly = await this.links.plotly();
      if (!this.node.isConnected) return;
      const { data, layout } = themed(spec, this.node);
      const config = { responsive: true, displayModeBar: false, doubleClick: "reset+autosize" };
      layout.dragmode = coarse() ? false : "zoom";
      this.plot.style.height = `${layout.height}px`;
      layout.uirevision = "kept";
      await plotly.react(this.plot, data, layout, config);
      if (!this.drawn) this.listen();
      this.drawn = plotly;
      this.plot.append(this.cursor);
      this.place();
      this.words();
    }
    /** Draw again where it was: the page's colours have changed. */
    again() {
      if (this.drawn) this.draw(this.spec, this.name.textContent ?? "");
    }
    listen() {
      this.plot.on?.("plotly_click", ({ points: [point] }) => {
        const { step, position } = this.cell(point);
        if (step !== null) this.links.seek(step);
        if (position !== null) this.links.pick(position);
      });
      this.plot.on?.("plotly_hover", ({ points: [point], event }) => this.show(this.cell(point), pointAt(event)));
      this.plot.on?.("plotly_afterplot", () => {
        this.place();
        this.words();
      });
      this.plot.on?.("plotly_unhover", () => this.links.card.hide());
    }
    /** The cell of a point. @param {PlotPoint} point @returns {Place} */
    cell(point) {
      const { step, position } = this.link;
      return { step: step ? Math.round(point[step]) - 1 : null, position: position ? Math.round(point[position]) : null };
    }
    /** @param {Place} place @param {Anchor} anchor */
    show({ step, position }, anchor) {
      if (position === null) return;
      this.links.card.show(anchor, () => this.links.lines(step ?? this.at, position));
    }
    /** Mark step `at`, from 0. The mark lies over the chart: moving one of Plotly's shapes draws large heat maps anew. @param {number} at */
    mark(at) {
      if (this.at === at) return;
      this.at = at;
      this.place();
      if (this.probe !== null) this.showProbe();
    }
    /** Put the mark where the chart now has its step, or nowhere. */
    place() {
      const { step } = this.link;
      this.cursor.hidden = true;
      if (!this.drawn || !step) return;
      const [along, across] = [this.axis(step), this.axis(step === "x" ? "y" : "x")];
      const ends = [along.d2p(this.at + 0.5), along.d2p(this.at + 1.5)].sort((a, b) => a - b);
      const [from, to] = ends.map((pixel) => Math.min(along._length, Math.max(0, pixel)));
      this.cursor.hidden = from === to;
      const own = [along._offset + from, Math.max(3, to - from)];
      const other = [across._offset, across._length];
      const [[x, width], [y, height]] = step === "x" ? [own, other] : [other, own];
      Object.assign(this.cursor.style, {
        transform: `translate(${x}px, ${y}px)`,
        width: `${width}px`,
        height: `${height}px`
      });
    }
    /** Name positions by what stands there. As text, because Plotly reads its own labels as markup. */
    words() {
      const names = [this.link.position, this.link.query].filter(Boolean);
      for (const name of names) {
        for (const tick2 of this.plot.querySelectorAll(`.${name}tick`)) {
          const { text } = (
            /** @type {{__data__?: {text: string}}} */
            /** @type {unknown} */
            tick2.__data__ ?? {}
          );
          const at = Number(text);
          const label = tick2.querySelector("text");
          if (label && text !== void 0 && Number.isInteger(at)) label.textContent = this.links.word(at);
        }
      }
    }
    /** @param {"x" | "y"} name @returns {Axis} */
    axis(name) {
      const axis = this.plot._fullLayout?.[AXES[name]];
      if (!axis) throw new Error(`the chart has no axis ${name}`);
      return axis;
    }
    /** ↑ and ↓ walk the positions of the cursor's step, as they do in a strip of tokens. @param {KeyboardEvent} event */
    key(event) {
      const by = stepOf(event.key);
      if (!by || !this.link.position || !this.drawn) return;
      event.preventDefault();
      const [low, high] = [...this.axis(this.link.position).range].sort((a, b) => a - b);
      const first = Math.ceil(low);
      this.probe = Math.min(Math.floor(high), Math.max(first, (this.probe ?? first - by) + by));
      this.links.pick(this.probe);
      this.showProbe();
    }
    showProbe() {
      const cell = { step: this.link.step ? this.at : null, position: this.probe };
      this.show(cell, { isConnected: true, getBoundingClientRect: () => this.rectangle(cell) });
    }
    leave() {
      if (this.probe !== null) this.links.card.hide();
      this.probe = null;
    }
    /** Where a cell lies in the window. @param {Place} place @returns {Rectangle} */
    rectangle({ position, step }) {
      const box = this.plot.getBoundingClientRect();
      const at = (name) => {
        const axis = this.axis(name);
        if (name === this.link.position) return axis._offset + axis.d2p(position ?? 0);
        return axis._offset + (step === null ? axis._length / 2 : axis.d2p(step + 1));
      };
      return spot(box.left + at("x"), box.top + at("y"));
    }
    async png() {
      if (!this.drawn) return;
      const paper = getComputedStyle(this.node).getPropertyValue("--paper").trim();
      const { data, layout = {} } = this.plot;
      const caption = this.name.textContent ?? "";
      const margin = { .../** @type {object} */
      layout.margin, t: 64 };
      const title = { text: caption, font: { size: 14 } };
      const size = { width: Math.max(900, this.plot.clientWidth), height: this.plot.clientHeight + 40, scale: 2 };
      const figure = { data, layout: { ...layout, paper_bgcolor: paper, title, margin } };
      const url = await this.drawn.toImage(figure, { format: "png", ...size });
      download(url, `blockscope-${slug(caption)}.png`);
    }
    remove() {
      this.drawn?.purge(this.plot);
      this.node.remove();
    }
  };
  function themed(spec, node) {
    const style = getComputedStyle(node);
    const paint = (value) => {
      if (typeof value === "string") {
        return value.startsWith("var(--") ? style.getPropertyValue(value.slice(4, -1)).trim() : value;
      }
      if (Array.isArray(value)) return value.map(paint);
      if (!value || typeof value !== "object" || value.bdata) return value;
      return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, paint(part)]));
    };
    return paint(spec);
  }
  var spot = (x, y) => ({ left: x, right: x, top: y - 8, bottom: y + 8 });
  var slug = (text) => text.toLowerCase().replace(/[^a-z0-9]+/g, "-").slice(0, 60);
  function pointAt({ clientX, clientY }) {
    return { isConnected: true, getBoundingClientRect: () => spot(clientX, clientY) };
  }

  // viewer/src/attention.js
  var AttentionAtStep = class {
    /** @type {string | null} the picture asked for last; null: removed */
    asked = "";
    at = -1;
    source = "rollout";
    // or the number of a layer
    plane = 0;
    /** @type {Spec | undefined} */
    template;
    /** @type {HTMLElement | null} */
    sources = null;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    timer;
    /** @param {HTMLElement} holder @param {Desk} desk @param {Links} links */
    constructor(holder, desk, links) {
      this.holder = holder;
      this.desk = desk;
      this.bar = element("div", "bs-options");
      this.note = line("bs-note");
      const stage = element("div");
      this.unlocks = element("section", "bs-unlocks");
      holder.append(this.bar, this.note, stage, this.unlocks);
      this.chart = new Figure(stage, links);
      this.figures = [this.chart];
    }
    /** @param {Answer} answer */
    update({ layers = 0, template }) {
      this.template = template;
      const each = Array.from({ length: layers }, (_, i) => [String(i), `layer ${i + 1}`]);
      this.sources = choice("map", [["rollout", "rollout over all layers"], ...each], this.source, (value) => {
        this.source = value;
        this.plane = 0;
        this.load();
      });
      this.bar.replaceChildren(this.sources);
      this.asked = "";
    }
    /** @param {number} at */
    follow(at) {
      if (this.at === at && this.asked) return;
      this.at = at;
      clearTimeout(this.timer);
      this.holder.setAttribute("aria-busy", "true");
      this.timer = setTimeout(() => this.load(), 60);
    }
    async load() {
      const { at: step, source } = this;
      this.asked = `${step}/${source}`;
      const key = this.asked;
      const asked = [this.desk.reply({ step, view: "rollout_at" })];
      if (source !== "rollout") asked.push(this.desk.reply({ step, view: "maps", layer: Number(source) }));
      const [rollout, answer = rollout] = await Promise.all(asked);
      if (this.asked !== key) return;
      const picture = pictureOf(answer, source);
      if (picture) await this.show(picture);
      this.chart.node.hidden = !picture;
      this.note.textContent = answer.error ?? answer.empty ?? answer.note ?? "";
      this.listUnlocks(rollout.unlocked ?? []);
      this.holder.removeAttribute("aria-busy");
    }
    /** Draw one plane of a picture. @param {Picture} picture */
    async show(picture) {
      const { planes, rows, visible, packed, title } = picture;
      const plane = Math.min(this.plane, planes.length - 1);
      const valueAt = (row, column) => (packed[(plane * rows.length + row) * visible + column] / 255) ** 2;
      const z = rows.map((_, row) => Array.from({ length: visible }, (_2, column) => valueAt(row, column)));
      const select = choice(
        "plane",
        planes.map((name, i) => [i, name]),
        plane,
        (value) => {
          this.plane = Number(value);
          this.show(picture);
        }
      );
      this.bar.replaceChildren(...this.sources ? [this.sources] : [], select);
      if (!this.template) return;
      const spec = structuredClone(this.template);
      Object.assign(spec.data[0], { z, x0: 0, dx: 1, y: rows.map(String) });
      const axis = (
        /** @type {object} */
        spec.layout.yaxis
      );
      spec.layout.yaxis = { ...axis, type: "category", autorange: "reversed" };
      await this.chart.draw(spec, `${title}, ${planes[plane]}`);
    }
    /** @param {Unlocked[]} unlocked */
    listUnlocks(unlocked) {
      const { store, lane: name } = this.desk;
      const lane = store.laneOf(name);
      const { prompt } = lane.head;
      const cells = canvasAt(lane, this.at);
      const words = unlocked.length ? "Who unlocked whom: what each token of this step drew on, by rollout. Bold: written since it was last asked. Attention is not explanation." : "No token was committed in this step.";
      const rows = unlocked.map(({ position, token, sources }) => {
        const row = element("div", "bs-unlock");
        row.append(chip(token, store, `position ${position}`), " ← ");
        for (const { position: from, weight, written, fresh } of sources) {
          const id = from < prompt.length ? prompt[from] : cells[from - prompt.length]?.token;
          const when = written === null ? "prompt" : `written at step ${written}`;
          const source = chip(id, store, `position ${from}, ${when}`);
          source.classList.toggle("fresh", fresh);
          row.append(source, element("span", "bs-weight", `${percent(weight)} · ${when}`));
        }
        return row;
      });
      this.unlocks.replaceChildren(line("bs-unlocks-title", words), ...rows);
    }
    remove() {
      clearTimeout(this.timer);
      this.asked = null;
      this.holder.removeAttribute("aria-busy");
      this.chart.remove();
      this.holder.replaceChildren();
    }
  };
  function pictureOf({ data, queries = [], visible = 0, planes = [], layer = 0, step = 0 }, source) {
    if (!data) return null;
    const rows = queries.flatMap(([from, to]) => Array.from({ length: to - from }, (_, i) => from + i));
    const packed = Uint8Array.from(atob(data), (char) => char.charCodeAt(0));
    const what = source === "rollout" ? "Rollout" : `Attention of layer ${layer + 1}`;
    return { planes, rows, visible, packed, title: `${what} at step ${step + 1}` };
  }
  function chip(id, store, title) {
    const node = element("span", "bs-chip");
    node.title = title;
    fill(node, tokenRuns(id, store));
    return node;
  }

  // viewer/src/drift.js
  var MOST = 200;
  var DriftAtStep = class {
    /** @type {string | null} the step asked for last; null: removed */
    asked = "";
    at = -1;
    layers = 0;
    /** @type {Change[]} */
    changes = [];
    /** @type {number | null} */
    position = null;
    /** @type {Promise<void>} */
    picked = Promise.resolve();
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    timer;
    /** @param {HTMLElement} holder @param {Desk} desk @param {Links} links */
    constructor(holder, desk, links) {
      this.holder = holder;
      this.desk = desk;
      const stage = element("div", "bs-figures");
      this.table = element("div", "bs-changes");
      holder.append(stage, this.table);
      this.byLayer = new Figure(stage, links);
      this.path = new Figure(stage, links);
      this.figures = [this.byLayer, this.path];
    }
    /** @param {Answer} answer */
    update({ layers = 0, changes = [] }) {
      this.layers = layers;
      this.changes = changes;
      this.asked = "";
      const { store, lane, position } = this.desk;
      this.list();
      this.picked = this.pick(position ?? changes[0]?.position ?? store.laneOf(lane).head.prompt.length);
    }
    /** @param {number} at */
    follow(at) {
      this.path.mark(at);
      if (this.at === at && this.asked) return;
      this.at = at;
      clearTimeout(this.timer);
      this.holder.setAttribute("aria-busy", "true");
      this.timer = setTimeout(() => this.load(), 60);
    }
    async load() {
      this.asked = `${this.at}`;
      const key = this.asked;
      const what = String(this.desk.given().what);
      const answer = await this.desk.reply({ view: "drift_at", step: this.at, what });
      if (this.asked !== key) return;
      await Promise.all([put(this.byLayer, answer), this.picked]);
      this.holder.removeAttribute("aria-busy");
    }
    /** Show the path of another position. @param {number} position */
    async pick(position) {
      this.position = position;
      const layer = this.desk.given().layer ?? this.layers - 1;
      const answer = await this.desk.reply({ view: "trajectory", layer, position });
      if (this.position === position) await put(this.path, answer);
    }
    list() {
      const committed = this.changes.filter((change) => change.committed).length;
      const words = this.changes.length ? `Stale entries changed the best guess ${this.changes.length} times; ${committed} of those guesses were committed.` : "Stale entries changed no guess: this cache cost the answer nothing.";
      const rows = this.changes.slice(0, MOST).map((change) => this.row(change));
      this.table.replaceChildren(line("bs-unlocks-title", words), ...rows);
    }
    /** @param {Change} change */
    row({ step, position, token, confidence, fresh, fresh_confidence: sure, committed }) {
      const { store, cursor, lane } = this.desk;
      const row = element("div", "bs-unlock");
      row.append(
        plainButton(`step ${step}`, () => cursor.stand(store.laneOf(lane), step - 1)),
        ` position ${position}: `,
        chip(token, store, "with the cache"),
        ` ${percent(confidence)} instead of `,
        chip(fresh, store, "with fresh entries"),
        ` ${percent(sure)}${committed ? ", committed" : ""}`
      );
      return row;
    }
    remove() {
      clearTimeout(this.timer);
      this.asked = this.position = null;
      this.holder.removeAttribute("aria-busy");
      for (const figure of this.figures) figure.remove();
      this.holder.replaceChildren();
    }
  };
  async function put(figure, { figures, captions = [] }) {
    figure.node.hidden = !figures;
    if (figures) await figure.draw(figures[0], captions[0]);
  }

  // viewer/src/quality.js
  var TAGS = (
    /** @type {const} */
    { new: "ins", gone: "del", same: "span" }
  );
  var QualityTable = class {
    /** @type {Figure[]} */
    figures = [];
    /** @param {HTMLElement} holder @param {Desk} desk */
    constructor(holder, desk) {
      this.holder = holder;
      this.desk = desk;
    }
    /** @param {Answer} answer */
    update({ rows = [] }) {
      this.holder.replaceChildren(...rows.map((row) => this.lane(row)));
    }
    follow() {
    }
    // the answers are complete: the cursor changes nothing
    /** @param {Compared} row */
    lane({ title, references, log_prob: logProb, item, right }) {
      const node = element("section", "bs-held");
      const notes = [
        ...logProb === null ? [] : [`Mean log-probability ${logProb.toFixed(2)} under AR.`],
        ...item === null || right === null ? [] : [`Suite item ${item}: ${right ? "right" : "wrong"}.`]
      ];
      node.append(element("h4", "bs-held-title", title));
      if (notes.length) node.append(line("bs-held-judged", notes.join(" ")));
      if (!references.length) node.append(line("bs-held-said", "Not compared with an exact decoder."));
      for (const reference of references) node.append(line("bs-held-said", sentence(reference)), this.text(reference));
      return node;
    }
    /** The answer; what only one of the two has is marked by its element, by a line and by a colour. @param {Reference} reference */
    text({ name, edits }) {
      const { store } = this.desk;
      const node = line("bs-held-text");
      node.setAttribute("aria-label", `Edits that make the answer of ${decoder(name)} into this one`);
      for (const { kind, ids } of edits) {
        const run = element(TAGS[kind], `bs-${kind}`);
        const spelled = spell(ids, store);
        for (const [i, id] of ids.entries()) {
          const piece = element("span", "bs-held-piece");
          fill(piece, spelled.get(i)?.runs ?? tokenRuns(id, store));
          run.append(piece, document.createElement("wbr"));
        }
        node.append(run);
      }
      return node;
    }
    remove() {
      this.holder.replaceChildren();
    }
  };
  var decoder = (name) => name === "AR" ? name : `decoding ${name}`;
  function sentence({ name, same, departs, distance, length }) {
    if (same) return `Same answer as ${decoder(name)}.`;
    return `Departs from ${decoder(name)} at token ${departs}: ${distance} of ${length} tokens differ.`;
  }

  // viewer/src/saves.js
  function saveButtons(formats, ask, say) {
    return Object.entries(formats).map(([format, about]) => {
      const name = format.toUpperCase();
      const button = plainButton(name, async () => {
        button.disabled = true;
        button.setAttribute("aria-busy", "true");
        const answer = await ask(format);
        button.disabled = false;
        button.removeAttribute("aria-busy");
        if (answer.data) save(answer.data, answer);
        else say(answer.error ?? "");
      });
      button.title = about;
      button.setAttribute("aria-label", `Save as ${name}: ${about}`);
      return button;
    });
  }
  function save(data, { name = "", media }) {
    const bytes = Uint8Array.from(atob(data), (char) => char.charCodeAt(0));
    const url = URL.createObjectURL(new Blob([bytes], { type: media }));
    download(url, name);
    setTimeout(() => URL.revokeObjectURL(url), 6e4);
  }

  // viewer/src/tabs.js
  var Tabs = class {
    /**
     * @param {HTMLElement} node
     * @param {[string, string][]} titles by view
     * @param {(name: string, byPointer: boolean) => void} choose
     */
    constructor(node, titles, choose) {
      this.choose = choose;
      this.name = titles[0][0];
      this.tabs = new Map(titles.map(([name, title]) => [name, this.tab(name, title)]));
      node.replaceChildren(...this.tabs.values());
      node.addEventListener("keydown", (event) => this.walk(event));
    }
    /** @param {string} name @param {string} title */
    tab(name, title) {
      const tab = element("button", "bs-tab", title);
      tab.type = "button";
      tab.id = `bs-tab-${name}`;
      tab.setAttribute("role", "tab");
      tab.setAttribute("aria-controls", "bs-panel");
      tab.addEventListener("click", (event) => this.choose(name, event.detail > 0));
      return tab;
    }
    /** ← and → walk the tabs, as tabs do everywhere. @param {KeyboardEvent} event */
    walk(event) {
      const names = Array.from(this.tabs.keys());
      const at = names.indexOf(this.name);
      const keys = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: names.length - 1 };
      if (!(event.key in keys)) return;
      event.preventDefault();
      const name = names[(keys[event.key] + names.length) % names.length];
      this.choose(name, false);
      this.tabs.get(name)?.focus();
    }
    /** Mark the tab of the view on show. @param {string} name */
    select(name) {
      this.name = name;
      for (const [key, tab] of this.tabs) {
        tab.setAttribute("aria-selected", String(key === name));
        tab.tabIndex = key === name ? 0 : -1;
      }
    }
  };

  // viewer/src/inspector.js
  var EXTRAS = { attention: AttentionAtStep, drift: DriftAtStep, gate: QualityTable };
  var LOST = "The server did not answer. It may have been restarted: decode again, or open a saved trace.";
  var Inspector = class {
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
    shown = "";
    // the question whose answer is on show
    view = "";
    // the same without its options
    visible = false;
    lacking = false;
    // whether what the view shows can still be measured
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
          if (byPointer) this.panel().focus({ preventScroll: true });
        }
      );
      const select = find(root, ".bs-lane-choice select", HTMLSelectElement);
      select.addEventListener("change", () => this.choose({ lane: select.value }));
      this.find(".bs-measure").addEventListener(
        "click",
        () => options.measure?.({ run: this.store.run, lane: this.lane })
      );
      const ask = (format) => this.reply({ view: "export", format });
      const saves = saveButtons(options.exports ?? {}, ask, (text) => this.say(text));
      this.find(".bs-saves").replaceChildren(...saves.length ? ["Save as", ...saves] : []);
      onView(root, options.life, (visible) => this.see(visible));
      onTheme(root, options.life, () => {
        for (const figure of [...this.figures, ...this.extra?.figures ?? []]) figure.again();
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
      const at = Math.max(0, this.cursor.of(store.laneOf(this.lane)));
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
      return store.ended ? "This run ended before its first step." : "Drawn when the run has ended, so that drawing does not disturb its timing.";
    }
    /** The options of the view on show: as chosen, else the first of each. */
    given() {
      const first = Object.entries(this.sheets[this.name].choices).map(([name, values]) => [name, values[0]]);
      return { ...Object.fromEntries(first), ...this.chosen[this.name] };
    }
    /** @param {string} key @param {Question} question */
    async load(key, question) {
      const view = `${this.store.run}/${question.lane}/${question.view}`;
      if (this.view !== view) this.clear("Drawing…", key, true);
      Object.assign(this, { shown: key, view });
      this.panel().setAttribute("aria-busy", "true");
      const answer = await this.reply(question);
      if (this.shown !== key) return;
      if (!answer.figures) {
        this.clear(answer.error ?? answer.empty ?? "", key);
        this.lacking = !answer.error && !answer.final;
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
      const Kind = this.name in EXTRAS ? EXTRAS[
        /** @type {keyof typeof EXTRAS} */
        this.name
      ] : null;
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
        word: (position) => wordAt(store.laneOf(this.lane), position, store)
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
      const selects = Object.entries(this.sheets[this.name].choices).map(
        ([name, values]) => choice(
          name,
          values.map((value) => [value, value]),
          given[name],
          (value) => this.choose({ options: { [name]: value } })
        )
      );
      if (layers && this.name === "drift") {
        selects.push(layerChoice(layers, given.layer, (layer) => this.choose({ options: { layer } })));
      }
      if (this.find(".bs-options").contains(document.activeElement)) return;
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
  };
  function layerChoice(layers, chosen, act) {
    const pairs = [["mean", "mean of all"], ...layerPairs(layers)];
    return choice("layer", pairs, chosen ?? "mean", (value) => act(value === "mean" ? null : Number(value)));
  }
  var layerPairs = (layers) => Array.from({ length: layers }, (_, i) => [i, `layer ${i + 1}`]);

  // viewer/src/lane.js
  var STATES = {
    first: "in its first pass",
    waiting: "waits for its turn",
    running: "decoding",
    eos: "finished with EOS",
    length: "finished at the length limit",
    cancelled: "stopped"
  };
  var KINDS = { prefill: "reads the prompt", commit: "stores the finished block", ar: "writes" };
  var EMPTY = 32;
  var LaneView = class {
    /** @type {BegunLane | null} */
    lane = null;
    /** @type {HTMLElement[]} the cells that are written, by position */
    cells = [];
    /** @type {string[]} what each cell shows, so that only changes are drawn */
    drawn = [];
    /** @type {Cell[]} the canvas on show */
    canvas = [];
    /** @type {Map<number, Spelling>} by index of the canvas */
    spelled = /* @__PURE__ */ new Map();
    shown = -1;
    // the pass on show
    key = "";
    entitled = "";
    /**
     * @param {HTMLTemplateElement} template
     * @param {{name: string, definitions: Record<string, string>}} options
     */
    constructor(template, { name, definitions }) {
      this.node = /** @type {HTMLElement} */
      template.content.firstElementChild?.cloneNode(true);
      this.name = name;
      this.node.dataset.lane = name;
      for (
        const card of
        /** @type {NodeListOf<HTMLElement>} */
        this.node.querySelectorAll(".bs-number")
      ) {
        const number = card.dataset.number ?? "";
        const definition = find(card, ".bs-definition");
        definition.id = `bs-${name}-${number}`;
        definition.textContent = definitions[number];
        card.setAttribute("aria-describedby", definition.id);
      }
      const isAr = /^ar(-|$)/.test(name);
      const block = element("div", "bs-block");
      block.append(...Array.from({ length: EMPTY }, () => emptyCell(isAr)));
      this.find(".bs-strip").replaceChildren(block);
    }
    /** @param {string} selector */
    find(selector) {
      return find(this.node, selector);
    }
    /** The words over it. They may become known, or change, while a run's lanes begin. @param {Title} title */
    entitle({ title, about, text_label: label }) {
      if (this.entitled === `${title}|${about}`) return;
      this.entitled = `${title}|${about}`;
      this.find(".bs-title").textContent = title;
      this.find(".bs-about").textContent = about;
      this.find(".bs-about").title = about;
      this.find(".bs-strip").setAttribute("aria-label", `${title}: tokens`);
      this.find(".bs-text").setAttribute("aria-label", label);
      this.node.setAttribute("aria-label", title);
    }
    /** Lay out the canvas of a lane that has just begun. @param {BegunLane} lane @param {Store} store */
    begin(lane, store) {
      this.lane = lane;
      const { prompt, end, block, origin } = lane.head;
      const start = prompt.length;
      const fold = Math.max(0, Math.min(start, origin + Math.floor((start - origin) / block) * block));
      this.find(".bs-prompt summary").textContent = `Prompt, ${start} tokens with the chat template`;
      const head = promptCells(prompt, store);
      this.find(".bs-prompt .bs-cells").replaceChildren(...head.slice(0, fold));
      this.find(".bs-prompt").hidden = fold === 0;
      this.cells = [];
      this.drawn = [];
      const blocks = [];
      if (block === 1) blocks.push(this.blockOf(lane, start, end, head));
      else for (let a = fold; a < end; a += block) blocks.push(this.blockOf(lane, a, Math.min(a + block, end), head));
      this.find(".bs-strip").replaceChildren(...blocks);
      if (this.cells.length) this.cells[0].tabIndex = 0;
    }
    /**
     * The frame of positions [from, to): the prompt's tail, then cells to be written.
     * @param {BegunLane} lane
     * @param {number} from
     * @param {number} to
     * @param {HTMLElement[]} written the cells of the prompt
     */
    blockOf({ head }, from, to, written) {
      const { prompt, block, sub_block: sub, autoregressive } = head;
      const node = element("div", "bs-block");
      node.dataset.from = String(from);
      if (block > 1 && !head.verified) node.dataset.label = `positions ${from}–${to - 1}`;
      for (let position = from; position < to; position++) {
        const isPrompt = position < prompt.length;
        const cell = isPrompt ? written[position] : emptyCell(Boolean(autoregressive));
        if (sub < block && position > from && (position - from) % sub === 0) node.append(tick());
        cell.dataset.position = String(position);
        node.append(cell);
        if (isPrompt) continue;
        cell.tabIndex = -1;
        this.cells.push(cell);
      }
      return node;
    }
    /** Draw the lane as it stood after a pass; -1: before the first. @param {number} pass @param {Store} store */
    show(pass, store) {
      const { lane } = this;
      const key = `${pass}/${store.received}`;
      if (!lane || this.key === key) return;
      this.key = key;
      this.shown = pass;
      this.canvas = canvasAt(lane, pass);
      this.spelled = spell(
        this.canvas.map(({ token }) => token),
        store
      );
      const stop = stopIndex(lane, this.canvas);
      const frame = lane.frames[pass];
      this.canvas.forEach((cell, i) => {
        this.patch(lane, i, lookOf(cell, i, { stop, frame, lane, shown: pass }), store);
      });
      const active = frame && !lane.head.verified && lane.head.block > 1 ? String(frame.block[0]) : null;
      for (
        const block of
        /** @type {NodeListOf<HTMLElement>} */
        this.node.querySelectorAll(".bs-block")
      ) {
        block.classList.toggle("active", block.dataset.from === active);
      }
      this.find(".bs-text").textContent = this.text(lane, stop, store);
      this.find(".bs-state").textContent = this.stateText(lane, frame);
      this.numbers(lane, frame?.totals);
      this.compare(lane);
    }
    /** Say what a lane does that has not begun. @param {boolean} ended whether the run has */
    idle(ended) {
      this.find(".bs-state").textContent = STATES[ended ? "cancelled" : "waiting"];
    }
    /**
     * The comparison with the reference answer, once there is one; it is about the full answer, wherever the cursor stands.
     * @param {BegunLane} lane
     */
    compare({ gate, same }) {
      const node = this.find(".bs-gate");
      node.hidden = !gate;
      setText(node, gate ?? "");
      node.classList.toggle("kept", same === true);
      node.classList.toggle("changed", same === false);
    }
    /** On the clock, the rank and the time of a lane that has finished. @param {Finish | undefined} finish */
    flag(finish) {
      const node = this.find(".bs-flag");
      node.hidden = !finish;
      setText(node, finish ? `${ordinal(finish.rank)} · ${secondsOf(finish.took, finish.took)} s` : "");
      this.node.classList.toggle("finished", Boolean(finish));
    }
    /**
     * Draw cell `i` if what it shows has changed.
     * @param {BegunLane} lane
     * @param {number} i
     * @param {string} look
     * @param {Store} store
     */
    patch(lane, i, look, store) {
      const cell = this.canvas[i];
      const token = cell.token ?? (cell.draft ? cell.guess : null);
      const spelling = this.spelled.get(i);
      const key = `${token}|${cell.struck}|${cell.confidence}|${look}|${spelling?.runs.join()}`;
      if (this.drawn[i] === key) return;
      this.drawn[i] = key;
      const node = this.cells[i];
      node.className = `bs-cell ${look}`;
      if (token === null) node.textContent = lane.head.autoregressive ? "" : MASK;
      else if (spelling) fill(node, spelling.runs);
      else fillToken(node, lane, token, store);
      if (cell.struck !== null && look.includes("struck")) {
        const struck = element("s", "bs-struck");
        fillToken(struck, lane, cell.struck, store);
        node.prepend(struck);
      }
      node.style.setProperty("--sure", viridis(cell.confidence ?? 0));
      node.style.setProperty("--share", cell.confidence === null ? "0%" : percent(cell.confidence).replace(" ", ""));
    }
    /**
     * The canvas as text. Once every token before the stop token stands, what follows is no part of it.
     * @param {BegunLane} lane
     * @param {number} stop
     * @param {Store} store
     */
    text(lane, stop, store) {
      const complete2 = this.canvas.slice(0, stop).every((cell) => cell.token !== null);
      return cellsText(lane, complete2 ? this.canvas.slice(0, stop + 1) : this.canvas, store);
    }
    /** The tokens that a range of the page touches, as text. @param {Range} range @param {Store} store */
    selected(range, store) {
      const cells = this.canvas.filter((_, i) => range.intersectsNode(this.cells[i]));
      return this.lane ? cellsText(this.lane, cells, store) : "";
    }
    /** @param {BegunLane} lane @param {Frame | undefined} frame */
    stateText(lane, frame) {
      const last = this.shown === lane.frames.length - 1;
      if (!frame && lane.frames.length) return STATES.first;
      if (!frame || last && lane.state !== "running") return STATES[lane.state];
      if (frame.tested) return testedText(frame);
      return frame.kind === "denoise" ? `denoises ${frame.window[0]}–${frame.window[1] - 1}` : KINDS[frame.kind];
    }
    /** @param {BegunLane} lane @param {Totals | undefined} totals */
    numbers(lane, totals) {
      const set = (name, text) => setText(this.find(`[data-number=${name}] .bs-value`), text);
      set("seconds", totals?.seconds ? `${secondsOf(1e3 * totals.seconds, 1e3 * totals.seconds)} s` : "–");
      set("tps", totals?.seconds ? totals.tps.toFixed(1) : "–");
      set("tpf", totals ? totals.tpf.toFixed(2) : "–");
      set("nfe", totals ? String(totals.nfe) : "–");
      set("recomputed", totals?.attended ? percent(totals.recomputed, 0) : "–");
      set("ttft", totals && totals.ttft !== null ? `${(1e3 * totals.ttft).toFixed(0)} ms` : "–");
      this.spread(lane);
    }
    /**
     * The range of the timed repeats, next to the speed of the full answer; elsewhere only its room is kept.
     * @param {BegunLane} lane
     */
    spread({ spread, frames }) {
      const node = this.find(".bs-spread");
      node.hidden = !spread;
      if (spread) setText(node, `${spread.low.toFixed(1)} to ${spread.high.toFixed(1)} in ${spread.repeats} repeats`);
      node.classList.toggle("early", this.shown < frames.length - 1);
    }
  };
  function cellsText(lane, cells, store) {
    const mask = lane.head.autoregressive ? "" : MASK;
    let text = "";
    let ids = [];
    const flush = () => {
      text += plainText(textOf(ids, store));
      ids = [];
    };
    for (const { token } of cells) {
      if (token !== null && !isStop(lane, token)) ids.push(token);
      else {
        flush();
        text += token === null ? mask : END;
      }
    }
    flush();
    return text;
  }
  function fillToken(node, lane, token, store) {
    fill(node, isStop(lane, token) ? [["EOS", true]] : tokenRuns(token, store));
  }
  function testedText({ tested = [], new: committed }) {
    if (!tested.length) return "writes; no guess to test";
    return `kept ${committed.length - 1} of ${tested.length} ${tested.length === 1 ? "guess" : "guesses"}`;
  }

  // viewer/src/mini.js
  var MiniStrip = class {
    away = false;
    key = "";
    /** @param {HTMLElement} root @param {AbortController} life @param {() => void} changed */
    constructor(root, life, changed) {
      this.node = find(root, ".bs-mini");
      const see = (visible) => {
        this.away = !visible;
        changed();
      };
      onView(find(root, ".bs-lanes"), life, see, "0px");
    }
    /** Show a lane as it stands. @param {LaneView | undefined} view */
    follow(view) {
      this.node.hidden = !this.away || !view?.lane;
      if (this.node.hidden || !view || this.key === view.key) return;
      this.key = view.key;
      const cells = view.cells.map((cell) => (
        /** @type {HTMLElement} */
        cell.cloneNode(true)
      ));
      for (const cell of cells) cell.removeAttribute("tabindex");
      this.node.replaceChildren(element("b", "", view.find(".bs-title").textContent ?? ""), ...cells);
      const fresh = cells.find((cell) => cell.classList.contains("new"));
      if (fresh) this.node.scrollLeft = fresh.offsetLeft - this.node.clientWidth / 2;
    }
  };

  // viewer/src/present.js
  function presentation(root, life) {
    const button = find(root, ".bs-present");
    const turn = (on2) => {
      root.classList.toggle("presenting", on2);
      button.setAttribute("aria-pressed", String(on2));
      button.textContent = on2 ? "End" : "Present";
      const refused = () => {
      };
      if (on2) root.requestFullscreen?.().catch(refused);
      else if (document.fullscreenElement === root) document.exitFullscreen();
    };
    const on = () => root.classList.contains("presenting");
    button.addEventListener("click", () => turn(!on()), { signal: life.signal });
    listenWhile(root, life, "keydown", (event) => {
      if (event instanceof KeyboardEvent && event.key === "Escape" && on()) turn(false);
    });
    listenWhile(root, life, "fullscreenchange", () => {
      if (!document.fullscreenElement && on()) turn(false);
    });
  }

  // viewer/src/track.js
  var Track = class {
    /** @type {Map<string, ReturnType<typeof trackRow>>} */
    rows = /* @__PURE__ */ new Map();
    /** @param {HTMLElement} node */
    constructor(node) {
      this.node = node;
    }
    /** The lanes of a run. @param {string[]} names */
    stage(names) {
      this.rows = new Map(names.map((name) => [name, trackRow()]));
      this.node.replaceChildren(...Array.from(this.rows.values(), ({ node }) => node));
    }
    /**
     * Bring every bar to where the clock stands; by step there is no race.
     * @param {Store} store
     * @param {Cursor} cursor
     * @param {Map<string, Finish>} finishes of the lanes that are in
     */
    follow(store, cursor, finishes) {
      this.node.hidden = !cursor.onClock;
      if (this.node.hidden) return;
      for (const [name, row] of this.rows) {
        const lane = store.lanes.get(name);
        const tokens2 = lane ? tokensAt(lane, cursor.of(lane)) : 0;
        const all = lane ? tokensAt(lane, lane.frames.length - 1) : 0;
        const finish = finishes.get(name);
        setText(row.title, store.titleOf(name).title);
        setText(
          row.count,
          finish ? `${ordinal(finish.rank)}, ${secondsOf(finish.took, finish.took)} s` : `${tokens2} of ${all}`
        );
        row.node.style.setProperty("--share", `${all ? 100 * tokens2 / all : 0}%`);
        row.node.classList.toggle("finished", Boolean(finish));
      }
    }
  };
  var tokensAt = (lane, pass) => lane.frames[pass]?.totals.tokens ?? 0;
  function trackRow() {
    const node = element("div", "bs-track-row");
    const [title, bar, count] = ["bs-track-title", "bs-track-bar", "bs-track-count"].map((name) => element("span", name));
    node.append(title, bar, count);
    return { node, title, count };
  }

  // viewer/src/viewer.js
  var WELCOME = "A recorded run, played slowly. Press Decode to run the model itself.";
  var SLOW = 2;
  var LONGEST = 15;
  var BRIEF = 5e3;
  function mount(root, options) {
    const life = lifetime(root);
    const store = new Store(options.titles);
    const card = new Card(find(root, ".bs-card"), root);
    const template = find(root, ".bs-lane-template", HTMLTemplateElement);
    const scrub = find(root, ".bs-scrub", HTMLInputElement);
    const play = find(root, ".bs-play", HTMLButtonElement);
    const speed = find(root, ".bs-speed", HTMLSelectElement);
    const views = /* @__PURE__ */ new Map();
    let pending = false;
    let slowly = "";
    const schedule = () => {
      if (!pending) requestAnimationFrame(draw);
      pending = true;
    };
    const cursor = new Cursor(store, schedule);
    const inspector = new Inspector(find(root, ".bs-inspector"), { ...options, store, cursor, card, life });
    const track = new Track(find(root, ".bs-track"));
    const mini = new MiniStrip(root, life, schedule);
    const address = new Address();
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
    function finished() {
      const all = cursor.onClock && store.ended ? store.finishes() : /* @__PURE__ */ new Map();
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
        gaps: store.gaps()
      });
      root.toggleAttribute(
        "data-drafts",
        Array.from(store.lanes.values()).some(({ head }) => head?.verified)
      );
    }
    function receive() {
      const value = options.read();
      if (value) take(JSON.parse(value));
    }
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
    function repeat() {
      const [lane] = store.lanes.values();
      const took = lane ? endOf(lane, lane.frames.length - 1) : 0;
      if (took && took < BRIEF) {
        again(`${store.titleOf(lane.name).title} took ${secondsOf(took, took)} s. Here it is again, slower.`);
      }
    }
    function again(words) {
      if (still() || store.passes < 2) return;
      cursor.turn(false);
      offerSpeeds(speed, false);
      speed.value = String(SLOW);
      slowly = words;
      cursor.seek(0);
      cursor.play(Math.max(SLOW, store.passes / LONGEST));
    }
    function race() {
      cursor.turn(true);
      offerSpeeds(speed, true);
      speed.value = "1";
      if (still()) return cursor.seek(cursor.last);
      cursor.seek(0);
      cursor.play(1);
    }
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
    receive();
    schedule();
  }
  function bringIntoView(root, lanes) {
    const { top } = lanes.getBoundingClientRect();
    if (top > 0 && top < 0.7 * window.innerHeight) return;
    root.scrollIntoView({ block: "start", behavior: still() ? "auto" : "smooth" });
  }
  function stateOf(store) {
    if (store.waiting) return "waiting";
    if (store.done) return store.welcome ? "welcome" : "done";
    return store.cancelled ? "stopped" : store.run ? "running" : "idle";
  }
  var whereOf = ({ onClock, at, last }) => onClock ? `${secondsOf(at, last)} of ${secondsOf(last, last)} s` : `step ${at + 1} of ${last + 1}`;
  function status(store) {
    if (store.waiting) return store.waiting;
    if (store.cancelled) return "Stopped.";
    if (store.note) return store.note;
    if (store.run === null) return "";
    const ended = Array.from(store.lanes.values()).filter((lane) => lane.state !== "running" && lane.frames.length);
    const words = ended.map((lane) => {
      const { tokens: tokens2, nfe } = lane.frames[lane.frames.length - 1].totals;
      return `${store.titleOf(lane.name).title}: ${tokens2} tokens in ${nfe} steps.`;
    });
    return [store.done ? "Done." : "Decoding…", ...words].join(" ");
  }
  function facts(store) {
    const spent = Array.from(store.lanes.values(), (lane) => lane.recorder ?? 0).reduce((a, b) => a + b, 0);
    if (!store.facts) return "";
    const recording = `Recording took ${(1e3 * spent).toFixed(0)} ms more, outside these numbers.`;
    return store.done ? `${store.facts} ${recording}` : store.facts;
  }
  return __toCommonJS(index_exports);
})();
