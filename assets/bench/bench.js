// The benchmark: charts, and a table that sorts. It draws what `read` returns or `ask` answers; `open` asks for a trace.

function board(root, { read, listen, ask, open, plotly }) {
  const find = (selector) => root.querySelector(selector);
  const select = find("select");
  const idle = { hide() {}, show() {} }; // in place of the viewer's card: charts tell by themselves
  let said = { files: [], figures: [], rows: [], columns: [] };
  let figures = [];
  let sorted = { column: -1, falling: false };
  let seen = false;
  let stale = false;

  select.addEventListener("change", async () => show(await ask({ file: select.value })));
  new IntersectionObserver(([entry]) => {
    seen = entry.isIntersecting;
    if (seen && stale) draw();
  }, { rootMargin: "200px" }).observe(root);
  new MutationObserver(() => figures.forEach((figure) => figure.again())).observe(document.body, { attributeFilter: ["class"] });

  function show(message) {
    find(".bs-bench-empty").textContent = message.error ?? message.empty ?? "";
    if (message.error) return;
    said = { figures: [], rows: [], columns: [], facts: "", note: "", ...message };
    sorted = { column: -1, falling: false };
    select.replaceChildren(...said.files.map((file) => new Option(file, file, false, file === said.file)));
    find(".bs-bench-choice").hidden = said.files.length === 0;
    find(".bs-bench-facts").textContent = said.facts;
    find(".bs-bench-note").textContent = said.note;
    root.dataset.file = said.file ?? "";
    table();
    stale = true;
    if (seen) draw();
  }

  // Charts are drawn when they are looked at: a hidden one has no width, and Plotly is large.
  async function draw() {
    stale = false;
    figures.forEach((figure) => figure.remove());
    find(".bs-bench-figures").replaceChildren();
    const mine = said.figures.map(() => new Figure(holder(), { plotly, card: idle, seek() {}, pick() {}, tell() {} }));
    figures = mine;
    for (const [n, { title, look_for, spec }] of said.figures.entries()) {
      if (figures !== mine) return; // another benchmark was chosen meanwhile
      const figure = mine[n];
      figure.node.querySelector("figcaption").after(words(look_for));
      await figure.draw(spec, title);
      figure.plot.on?.("plotly_click", ({ points: [point] }) => choose(point.customdata));
    }
  }

  function holder() {
    const node = document.createElement("div");
    find(".bs-bench-figures").append(node);
    return node;
  }

  function words(text) {
    const node = document.createElement("p");
    Object.assign(node, { className: "bs-look", textContent: text });
    return node;
  }

  function choose(data) {
    if (data?.[1]) open({ file: said.file, row: data[0] });
  }

  function table() {
    const head = document.createElement("tr");
    head.append(...said.columns.map(heading));
    head.firstChild?.after(document.createElement("td")); // over the buttons
    find("thead").replaceChildren(head);
    body();
  }

  function heading({ title, about }, column) {
    const cell = document.createElement("th");
    const button = document.createElement("button");
    Object.assign(button, { type: "button", textContent: title, title: about });
    button.addEventListener("click", () => sort(column));
    cell.scope = "col";
    cell.append(button);
    return cell;
  }

  // Numbers fall first, because the largest is looked for; names rise first. What has no number stays at the end.
  function sort(column) {
    const first = typeof said.rows[0]?.order[column] !== "string";
    sorted = { column, falling: sorted.column === column ? !sorted.falling : first };
    body();
  }

  function body() {
    const { column, falling } = sorted;
    const rows = said.rows.map((row, index) => ({ ...row, index }));
    if (column >= 0) rows.sort((a, b) => compare(a.order[column], b.order[column], falling) || a.index - b.index);
    find("tbody").replaceChildren(...rows.map(line));
    root.querySelectorAll("thead th").forEach((cell, n) => {
      if (n === column) cell.setAttribute("aria-sort", falling ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    });
  }

  function line({ cells, trace, index }) {
    const row = document.createElement("tr");
    row.append(...cells.map((text, n) => Object.assign(document.createElement(n ? "td" : "th"), { textContent: text })));
    row.firstChild.scope = "row";
    const last = document.createElement("td");
    if (trace) {
      const button = plainButton("Open", () => choose([index, true]));
      button.setAttribute("aria-label", `Open the trace of ${cells[0]}`);
      last.append(button);
    }
    row.firstChild.after(last);
    return row;
  }

  const receive = () => read() && show(JSON.parse(read()));
  listen(receive);
  receive(); // a value may have come before anyone listened
}

function compare(a, b, falling) {
  if (a === null || b === null) return (a === null) - (b === null);
  const order = typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b;
  return falling ? -order : order;
}
