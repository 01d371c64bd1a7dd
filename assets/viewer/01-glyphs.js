// What a token's text looks like when every character must be seen: spaces, line breaks, controls, bidi marks.
// Text from the model is data: it only ever reaches the page through textContent.

const MASK = "░";
const END = "⏹";
const REPLACED = "�";

// Characters that have no ink of their own or that would rearrange their neighbours.
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\u00a0\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2000-\u200a\u202f\u205f\u2800\u3000\u3164\ufe00-\ufe0f\uffa0]/u;

function glyphOf(char) {
  if (char === " ") return "·";
  if (char === "\n") return "↵";
  if (char === "\t") return "⇥";
  if (char === "\r") return "␍";
  if (!INVISIBLE.test(char)) return null;
  const code = char.codePointAt(0);
  if (code < 0x20) return String.fromCodePoint(0x2400 + code);
  if (code === 0x7f) return "␡";
  return `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
}

// A piece as runs of [text, isGlyph]; a leading combining mark gets a dotted circle to stand on.
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
  return runs.length ? runs : [["∅", true]]; // a token without any text
}

function fillWithPiece(node, piece) {
  node.replaceChildren(
    ...runsOf(piece).map(([text, isGlyph]) => {
      if (!isGlyph) return document.createTextNode(text);
      const span = document.createElement("span");
      span.className = "bs-glyph";
      span.textContent = text;
      return span;
    }),
  );
}

// For the text alternative: real spaces and line breaks, everything else that is invisible spelled out.
function plainText(piece) {
  return Array.from(piece, (char) => (" \n\t".includes(char) ? char : (glyphOf(char) ?? char))).join("");
}
