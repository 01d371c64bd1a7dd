// Every lane's answer compared with the reference answers: a sentence, and the text with its deletions and insertions.

import { spell, tokenRuns } from "./bytes.js";
import { element, line } from "./dom.js";
import { fill } from "./glyphs.js";

/** @import { Desk, Extra } from "./extra.js" */
/** @import { Figure } from "./figure.js" */
/** @import { Answer, Compared, Reference } from "./message.js" */

const TAGS = /** @type {const} */ ({ new: "ins", gone: "del", same: "span" });

/** @implements {Extra} */
export class QualityTable {
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

  follow() {} // the answers are complete: the cursor changes nothing

  /** @param {Compared} row */
  lane({ title, references, log_prob: logProb, item, right }) {
    const node = element("section", "bs-held");
    const notes = [
      ...(logProb === null ? [] : [`Mean log-probability ${logProb.toFixed(2)} under AR.`]),
      ...(item === null || right === null ? [] : [`Suite item ${item}: ${right ? "right" : "wrong"}.`]),
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
        run.append(piece, document.createElement("wbr")); // spaces are glyphs here, so a line may break after any token
      }
      node.append(run);
    }
    return node;
  }

  remove() {
    this.holder.replaceChildren();
  }
}

/** @param {string} name a reference's */
const decoder = (name) => (name === "AR" ? name : `decoding ${name}`);

/** @param {Reference} reference */
function sentence({ name, same, departs, distance, length }) {
  if (same) return `Same answer as ${decoder(name)}.`;
  return `Departs from ${decoder(name)} at token ${departs}: ${distance} of ${length} tokens differ.`;
}
