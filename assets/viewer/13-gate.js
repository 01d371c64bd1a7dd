// Every lane's answer beside those of the exact decoders: a sentence, and the text with what was struck out and put in.

class GateTable {
  constructor(holder, inspector) {
    Object.assign(this, { holder, inspector });
  }

  update({ rows }) {
    this.holder.replaceChildren(...rows.map((row) => this.lane(row)));
  }

  follow() {} // the answers are whole; the cursor changes nothing here

  lane({ title, references, log_prob: logProb, item, right }) {
    const node = document.createElement("section");
    node.className = "bs-held";
    const judged = [
      ...(logProb === null ? [] : [`Mean log-probability ${logProb.toFixed(2)} under AR.`]),
      ...(item === null || right === null ? [] : [`Suite item ${item}: ${right ? "right" : "wrong"}.`]),
    ];
    const heading = document.createElement("h4");
    heading.className = "bs-held-title";
    heading.textContent = title;
    node.append(heading);
    if (judged.length) node.append(line("bs-held-judged", judged.join(" ")));
    if (!references.length) node.append(line("bs-held-said", "Not held against the exact decoders."));
    for (const reference of references) node.append(line("bs-held-said", gateSentence(reference)), this.text(reference));
    return node;
  }

  // The answer as text; what only one of the two has is marked by its element, by a line and by a colour.
  text({ name, edits }) {
    const node = document.createElement("p");
    node.className = "bs-held-text";
    node.setAttribute("aria-label", `Edits that make the answer of ${decoded(name)} into this one`);
    node.append(...edits.map(({ kind, ids }) => this.run(kind, ids)));
    return node;
  }

  run(kind, ids) {
    const node = document.createElement({ new: "ins", gone: "del" }[kind] ?? "span");
    node.className = `bs-${kind}`;
    for (const id of ids) {
      const piece = document.createElement("span");
      piece.className = "bs-held-piece";
      fillWithPiece(piece, this.inspector.store.pieceOf(id));
      node.append(piece, document.createElement("wbr")); // spaces are glyphs here, so a line may break after any token
    }
    return node;
  }

  remove() {
    this.holder.replaceChildren();
  }
}

const decoded = (name) => (name === "AR" ? name : `decoding ${name}`);

function gateSentence({ name, same, departs, distance, length }) {
  if (same) return `Same answer as ${decoded(name)}.`;
  return `Departs from ${decoded(name)} at token ${departs}: ${distance} of ${length} tokens differ.`;
}

EXTRAS.gate = GateTable;
