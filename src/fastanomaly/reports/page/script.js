"use strict";
(function () {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const byId = (id) => document.getElementById(id);
  const make = (tag, attributes, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  };

  // -- colours -------------------------------------------------------------------------

  const wantsDark = matchMedia("(prefers-color-scheme: dark)");
  const choice = byId("theme");
  const drawn = new Map(); // element of a chart -> its figure

  function themeName() {
    return choice.value || (wantsDark.matches ? "dark" : "light");
  }

  function draw(element, figure) {
    drawn.set(element, figure);
    const layout = { ...figure.layout, template: data.templates[themeName()] };
    const options = { responsive: true, displaylogo: false, displayModeBar: false };
    const chart = Plotly.react(
      element, structuredClone(figure.data), structuredClone(layout), options);
    chart.then(() => { if (drawn.get(element) === figure) drawLegend(element); });
    return chart;
  }

  // The legend is text above the chart, since Plotly's covers the plot where space is short.
  function drawLegend(element) {
    const before = element.previousElementSibling;
    if (before && before.classList.contains("legend")) before.remove();
    const traces = element._fullData.filter((trace) => trace.visible === true && trace.name);
    if (traces.length < 2) return;
    const items = traces.map((trace) => make("li", {}, swatch(trace), trace.name));
    element.before(make("ul", { class: "legend" }, ...items));
  }

  function swatch(trace) {
    const lines = trace.mode === "lines";
    const part = (lines && trace.line) || trace.marker;
    const key = make("span", { "aria-hidden": "true" });
    const box = trace.type === "box";
    key.className = lines ? `line ${part.dash}` : `mark ${box ? "square" : part.symbol}`;
    key.style.color = box ? trace.line.color : part.color;
    return key;
  }

  function recolour() {
    root.classList.toggle("dark", themeName() === "dark");
    for (const [element, figure] of drawn) draw(element, figure);
  }
  wantsDark.addEventListener("change", recolour);
  choice.addEventListener("change", recolour);
  recolour();

  for (const [name, figure] of Object.entries(data.figures)) draw(byId(name), figure);
  const amounts = byId("amounts");
  if (amounts) {
    amounts.on("plotly_click", (event) => {
      const flag = event.points[0].customdata;
      if (flag !== undefined) show(flag);
    });
  }

  // -- the table -----------------------------------------------------------------------

  const PAGE = matchMedia("(max-width: 40rem)").matches ? 20 : 50;
  const MAX_CHARS = 80; // of an id in the table; its explanation shows all of it
  const columns = data.columns; // [{name, title, number, values, keys?, exact?}]
  const flags = columns[0].values.length;
  const searched = Array.from({ length: flags }, (_, flag) =>
    columns.flatMap((column) => [column.values[flag], column.exact ? column.exact[flag] : ""])
      .join("\u0000").toLowerCase());
  const keys = columns.map((column) =>
    column.keys || (column.number ? column.values.map(Number) : column.values));
  const compare = new Intl.Collator(undefined, { numeric: true }).compare;
  let rows = Array.from({ length: flags }, (_, flag) => flag);
  let sorted = { column: 0, down: false };
  let page = 0;
  const open = new Set(); // flags with an open explanation

  const classOf = (column) => column.name + (column.number ? " number" : "");
  const body = byId("table").tBodies[0];
  const heads = columns.map((column, index) => {
    const button = make("button", { type: "button" }, column.title);
    const head = make("th", { scope: "col", role: "columnheader", class: classOf(column) }, button);
    button.addEventListener("click", () => {
      sorted = { column: index, down: sorted.column === index ? !sorted.down : column.number };
      page = 0;
      arrange();
    });
    return head;
  });
  byId("table").tHead.rows[0].append(...heads);

  function arrange() {
    const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const key = keys[sorted.column];
    const order = typeof key[0] === "number"
      ? (a, b) => key[a] - key[b]
      : (a, b) => compare(key[a], key[b]);
    rows = [];
    for (let flag = 0; flag < flags; flag++) {
      if (words.every((word) => searched[flag].includes(word))) rows.push(flag);
    }
    rows.sort((a, b) => (sorted.down ? -order(a, b) : order(a, b)) || a - b);
    heads.forEach((head, index) => {
      const here = index === sorted.column;
      head.setAttribute("aria-sort", here ? (sorted.down ? "descending" : "ascending") : "none");
      head.firstChild.textContent =
        columns[index].title + (here ? (sorted.down ? " \u25bc" : " \u25b2") : "");
    });
    fill();
  }

  function fill() {
    const pages = Math.max(1, Math.ceil(rows.length / PAGE));
    page = Math.min(Math.max(page, 0), pages - 1);
    for (const element of body.querySelectorAll(".chart")) {
      drawn.delete(element);
      Plotly.purge(element);
    }
    body.replaceChildren();
    for (const flag of rows.slice(page * PAGE, (page + 1) * PAGE)) {
      body.append(rowOf(flag));
      if (open.has(flag)) body.append(explanationOf(flag));
    }
    const number = (n) => n.toLocaleString("en");
    byId("count").textContent = rows.length === flags
      ? `${number(flags)} flagged`
      : `${number(rows.length)} of ${number(flags)} flagged`;
    byId("page").textContent = `Page ${number(page + 1)} of ${number(pages)}`;
    byId("previous").disabled = page === 0;
    byId("next").disabled = page === pages - 1;
  }

  function rowOf(flag) {
    const row = make("tr", { class: "flag", role: "row", "data-flag": flag });
    columns.forEach((column, index) => {
      const cell = make("td", { role: "cell", class: classOf(column) });
      if (index === 0) {
        const button = make("button", {
          type: "button", "aria-expanded": open.has(flag), "aria-controls": `why${flag}`,
          "aria-label": `${column.title === "row" ? "Row" : "Line"} ${column.values[flag]}: explain`,
        }, column.values[flag]);
        button.addEventListener("click", () => toggle(flag, row, button));
        cell.append(button);
      } else {
        const value = column.values[flag];
        const cut = value.length > MAX_CHARS;
        const characters = cut ? [...value].slice(0, MAX_CHARS) : [value]; // no half characters
        cell.append(characters.join("") + (cut ? "\u2026" : ""));
        if (cut) cell.title = value;
      }
      row.append(cell);
    });
    return row;
  }

  function toggle(flag, row, button) {
    if (open.delete(flag)) {
      const chart = row.nextSibling.querySelector(".chart");
      drawn.delete(chart);
      Plotly.purge(chart);
      row.nextSibling.remove();
    } else {
      open.add(flag);
      row.after(explanationOf(flag));
    }
    button.setAttribute("aria-expanded", open.has(flag));
  }

  function show(flag) {
    byId("search").value = "";
    open.add(flag);
    arrange();
    page = Math.floor(rows.indexOf(flag) / PAGE);
    fill();
    const button = body.querySelector(`tr[data-flag="${flag}"] button`);
    button.focus({ preventScroll: true });
    button.scrollIntoView({ block: "start" });
  }

  byId("search").addEventListener("input", () => { page = 0; arrange(); });
  byId("previous").addEventListener("click", () => { page -= 1; fill(); });
  byId("next").addEventListener("click", () => { page += 1; fill(); });

  // -- explanations --------------------------------------------------------------------

  const chunks = new Map(); // number of a chunk -> promise of its explanations

  function chunk(number) {
    if (!chunks.has(number)) {
      const packed = Uint8Array.from(
        atob(byId(`chunk${number}`).textContent), (c) => c.charCodeAt(0));
      const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
      chunks.set(number, new Response(stream).json());
    }
    return chunks.get(number);
  }

  function explanationOf(flag) {
    const text = make("div", { class: "text", tabindex: "0", role: "group", "aria-label": "Explanation" });
    const chart = make("div", { class: "chart", role: "img" });
    const cell = make("td", { class: "explanation", role: "cell", colspan: columns.length },
      make("div", { class: "parts" }, text, make("div", {}, chart)));
    chunk(Math.floor(flag / data.chunk)).then((found) => {
      const why = found[flag % data.chunk];
      text.innerHTML = why.html; // escaped when the report was written
      chart.setAttribute("aria-label", why.label);
      if (chart.isConnected) draw(chart, amountsOf(why));
    });
    return make("tr", { id: `why${flag}`, role: "row", class: "why" }, cell);
  }

  function amountsOf(why) {
    const last = why.amounts.length;
    const decisive = new Set(why.decisive);
    const points = why.amounts.map((amount, index) => [last - 1 - index, amount, decisive.has(index)]);
    const part = (isDecisive, name, symbol) => {
      const chosen = points.filter((point) => point[2] === isDecisive);
      return {
        type: "scatter", mode: "markers", name, marker: { symbol, size: 8 },
        x: chosen.map((point) => point[0]), y: chosen.map((point) => point[1]),
      };
    };
    const level = (name, value, dash) => ({
      type: "scatter", mode: "lines", name, x: [0, last], y: [value, value], line: { dash, width: 2 },
      hovertemplate: `${name} %{y:,.2f}<extra></extra>`,
    });
    return {
      data: [
        part(false, "compared with", "circle"),
        { ...part(true, "removing these clears the flag", "diamond"), visible: why.decisive.length > 0 },
        { type: "scatter", mode: "markers", name: "this purchase", x: [last], y: [why.amount],
          marker: { symbol: "star", size: 14 } },
        level("mean", why.mean, "solid"),
        level("threshold", why.threshold, "dash"),
      ],
      layout: {
        margin: { t: 10, r: 10, b: 50, l: 60 }, showlegend: false,
        xaxis: { title: { text: "purchases, oldest first" }, zeroline: false },
        yaxis: { title: { text: "amount" }, rangemode: "tozero" },
      },
    };
  }

  if (flags > 0) {
    arrange();
  } else {
    const note = make("p", { class: "empty" }, "No purchase was flagged.");
    byId("table").parentElement.replaceWith(note);
    for (const bar of document.querySelectorAll("#flags .bar")) bar.remove();
  }
})();
