// The text of tokens whose bytes alone are not complete UTF-8 characters: an emoji or a letter may be spread over several.

import { runsOf } from "./glyphs.js";

/** @import { Run } from "./glyphs.js" */
/** @import { Store } from "./store.js" */

/**
 * A token's part of a character.
 * @typedef {object} Part
 * @property {number[]} bytes the token's own
 * @property {string | null} char null: they are not, or not yet, part of a character
 * @property {number} from the index of the first of them in the character
 * @property {number} of the bytes of the complete character; 0: they can be part of none
 */

/** How a token is drawn, and the characters that it has only a part of. @typedef {{runs: Run[], parts: Part[]}} Spelling */

const ENCODER = new TextEncoder();
const LENIENT = new TextDecoder("utf-8", { ignoreBOM: true });
const STRICT = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });

/** @param {number[]} bytes */
export const hex = (bytes) => bytes.map((byte) => byte.toString(16).toUpperCase().padStart(2, "0")).join(" ");

/** Tokens as one text; U+FFFD only where their bytes are no UTF-8. @param {number[]} ids @param {Store} store */
export function textOf(ids, store) {
  const bytes = ids.flatMap((id) => store.bytes.get(id) ?? Array.from(ENCODER.encode(store.pieceOf(id))));
  return LENIENT.decode(Uint8Array.from(bytes));
}

/** How a token is drawn that stands alone. @param {number | null | undefined} id @param {Store} store */
export function tokenRuns(id, store) {
  const bytes = store.bytes.get(id ?? -1);
  return bytes ? spellTogether([bytes])[0].runs : runsOf(store.pieceOf(id));
}

/**
 * How adjacent tokens are drawn; by index, and only those with part of a character.
 * The last of the tokens that share a character shows it, the others show their bytes.
 * @param {(number | null)[]} ids null: not written yet
 * @param {Store} store
 * @returns {Map<number, Spelling>}
 */
export function spell(ids, store) {
  /** @type {Map<number, Spelling>} */
  const found = new Map();
  if (!store.bytes.size) return found;
  for (let i = 0; i < ids.length; i++) {
    const neighbours = [];
    for (let bytes = bytesAt(i); bytes; bytes = bytesAt(i + neighbours.length)) neighbours.push(bytes);
    for (const [k, spelling] of spellTogether(neighbours).entries()) found.set(i + k, spelling);
    i += neighbours.length;
  }
  return found;

  /** @param {number} i */
  function bytesAt(i) {
    return store.bytes.get(ids[i] ?? -1);
  }
}

/** @param {number[][]} tokens the bytes of each @returns {Spelling[]} */
function spellTogether(tokens) {
  const bytes = tokens.flat();
  const owners = tokens.flatMap((token, i) => token.map(() => i));
  /** @type {Shown[][]} */
  const shown = tokens.map(() => []);
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
    runs: stretches(items).flatMap(({ text, bytes }) => (text ? runsOf(text) : [bytesRun(bytes)])),
    parts: items.filter(({ char, bytes, of }) => char === null || bytes.length < of),
  }));
}

/** A stretch of a token: text, or what it has of a character that ends elsewhere. @typedef {Part & {text: string}} Shown */

/** @param {number[]} bytes @returns {Run} */
const bytesRun = (bytes) => [hex(bytes), true];

/** The same with neighbouring characters in one text: a mark needs the letter that it stands on. @param {Shown[]} items */
function stretches(items) {
  /** @type {{text: string, bytes: number[]}[]} */
  const out = [];
  for (const { text, bytes } of items) {
    const before = out.at(-1);
    if (text && before?.text) before.text += text;
    else out.push({ text, bytes });
  }
  return out;
}

/** Add a stretch to those before it; bytes of no character stay together. @param {Shown[]} items @param {Shown} item */
function add(items, item) {
  const before = items.at(-1);
  const alike = before && before.char === null && item.char === null && before.of === 0 && item.of === 0;
  if (alike) before.bytes = [...before.bytes, ...item.bytes];
  else items.push(item);
}

/**
 * The character that begins at a byte. `char` is null where the bytes end too early or are no UTF-8.
 * @param {number[]} bytes
 * @param {number} at
 * @returns {{char: string | null, length: number, of: number}} length: how many bytes are there; of: how many it has
 */
function characterAt(bytes, at) {
  const of = lengthAfter(bytes[at]);
  if (!of) return { char: null, length: 1, of };
  const there = bytes.slice(at, at + of);
  try {
    return { char: STRICT.decode(Uint8Array.from(there)), length: of, of };
  } catch {
    const early = there.length < of && there.slice(1).every((byte) => byte >> 6 === 0b10);
    return early ? { char: null, length: there.length, of } : { char: null, length: 1, of: 0 };
  }
}

/** The bytes of a character by its first one; 0: none begins so. @param {number} first */
function lengthAfter(first) {
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first < 0xe0) return 2;
  if (first >= 0xe0 && first < 0xf0) return 3;
  return first >= 0xf0 && first < 0xf5 ? 4 : 0;
}
