// A race at a glance, which also fits a phone: a row for each lane, its tokens so far as a bar that is full when it is in.

class Track {
  constructor(node) {
    this.node = node;
    this.rows = new Map();
  }

  // The lanes of a run.
  stage(names) {
    this.rows = new Map(names.map((name) => [name, trackRow()]));
    this.node.replaceChildren(...Array.from(this.rows.values(), ({ node }) => node));
  }

  // Bring every bar to where the clock stands; by step there is no race.
  follow(store, cursor, finishes) {
    this.node.hidden = !cursor.onClock;
    if (this.node.hidden) return;
    for (const [name, row] of this.rows) {
      const lane = store.lanes.get(name);
      const [tokens, all] = lane?.frames.length ? [tokensAt(lane, cursor.of(lane)), tokensAt(lane, lane.frames.length - 1)] : [0, 0];
      const finish = finishes.get(name)?.took <= cursor.at ? finishes.get(name) : null;
      row.title.textContent = store.titleOf(name).title;
      row.count.textContent = finish ? `${ordinal(finish.rank)}, ${secondsOf(finish.took, finish.took)} s` : `${tokens} of ${all}`;
      row.node.style.setProperty("--share", `${all ? (100 * tokens) / all : 0}%`);
      row.node.classList.toggle("finished", Boolean(finish));
    }
  }
}

const tokensAt = (lane, pass) => lane.frames[pass]?.totals.tokens ?? 0;

function trackRow() {
  const node = document.createElement("div");
  node.className = "bs-track-row";
  const [title, bar, count] = ["bs-track-title", "bs-track-bar", "bs-track-count"].map((name) => {
    const part = document.createElement("span");
    part.className = name;
    return part;
  });
  node.append(title, bar, count);
  return { node, title, count };
}
