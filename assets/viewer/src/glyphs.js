// What a token's text looks like when every character must be seen: spaces, line breaks, controls, bidi marks.
// Text from the model is data: it only ever reaches the page through textContent.

import { element } from "./dom.js";

/** A run of text, and whether it is a glyph in place of what has no ink. @typedef {[string, boolean]} Run */

export const MASK = "░";
export const END = "⏹";
export const REPLACED = "\ufffd";

// Characters that have no ink of their own or that would rearrange their neighbours (DI: default ignorable).
const INVISIBLE = /[\p{C}\p{Z}\p{DI}\u2800]/u;

const JOINER = /\u200c|\u200d|\ufe0e|\ufe0f/;

/** What stands for a character without ink; null if it has ink. @param {string} char */
function glyphOf(char) {
  if (char === " ") return "·";
  if (char === "\n") return "↵";
  if (char === "\t") return "⇥";
  if (char === "\r") return "␍";
  if (!INVISIBLE.test(char)) return null;
  const code = char.codePointAt(0) ?? 0;
  if (code < 0x20) return String.fromCodePoint(0x2400 + code);
  if (code === 0x7f) return "␡";
  return `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
}

/**
 * A token's text as runs; a leading combining mark gets a dotted circle to stand on.
 * @param {string} piece
 * @returns {Run[]}
 */
export function runsOf(piece) {
  /** @type {Run[]} */
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
  return runs.length ? runs : [["∅", true]]; // a token without any text
}

/** @param {Element} node @param {Run[]} runs */
export function fill(node, runs) {
  node.replaceChildren(
    ...runs.map(([text, isGlyph]) => (isGlyph ? element("span", "bs-glyph", text) : document.createTextNode(text))),
  );
}

/**
 * For the text alternative: real spaces and line breaks, everything else that is invisible spelled out. What joins
 * characters of an emoji or of a script, or chooses a form of one, stays after a character with ink.
 * @param {string} text
 */
export function plainText(text) {
  let inked = false;
  return Array.from(text, (char) => {
    if (inked && JOINER.test(char)) return char;
    const glyph = glyphOf(char);
    inked = glyph === null;
    return glyph === null || " \n\t".includes(char) ? char : glyph;
  }).join("");
}
