"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const element = (id) => document.getElementById(id);
  const cells = new Map(data.cells.map((cell) => [`${cell.column},${cell.row}`, cell]));
  const view = element("view");
  let swapped = false;
  let comparing = false;
  let at = { column: 0, row: 0 };
  let shown = at; // the last cell in the dialog, which hands the focus back to the cell it was opened from

  const cellAt = (place) => cells.get(`${place.column},${place.row}`);
  const nameOf = (place) => `${data.columns[place.column]}, ${data.rows[place.row]}`;
  const buttonAt = (place) => document.querySelector(`[data-place="${place.column},${place.row}"]`);

  function make(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  }

  function draw() {
    const across = swapped ? data.rows : data.columns;
    const down = swapped ? data.columns : data.rows;
    const head = make("tr", { role: "row" }, make("th", { role: "columnheader", scope: "col" }, make("span", { class: "hidden" }, "Values")));
    head.append(...across.map((label) => make("th", { role: "columnheader", scope: "col" }, label)));
    const body = make("tbody", { role: "rowgroup" });
    down.forEach((label, y) => {
      const row = make("tr", { role: "row" }, make("th", { role: "rowheader", scope: "row" }, label));
      across.forEach((_, x) => {
        const place = swapped ? { column: y, row: x } : { column: x, row: y };
        row.append(make("td", { role: "gridcell" }, drawCell(place)));
      });
      body.append(row);
    });
    element("grid").setAttribute("aria-label", data.title);
    element("grid").replaceChildren(make("thead", { role: "rowgroup" }, head), body);
  }

  function drawCell(place) {
    const cell = cellAt(place);
    const focusable = place.column === at.column && place.row === at.row;
    const attributes = { type: "button", tabindex: focusable ? 0 : -1, "data-place": `${place.column},${place.row}` };
    if (!cell) return make("button", { ...attributes, "aria-label": `${nameOf(place)}: missing` }, make("span", { class: "blank" }));
    const button = make("button", { ...attributes, "aria-haspopup": "dialog" }, make("img", { src: cell.source, alt: nameOf(place), loading: "lazy" }));
    button.addEventListener("click", () => { go(place); open(); });
    button.addEventListener("focus", () => { if (!view.open) go(place); });
    return button;
  }

  function go(place) {
    buttonAt(at)?.setAttribute("tabindex", -1);
    at = place;
    buttonAt(at)?.setAttribute("tabindex", 0);
    if (view.open) show();
  }

  function walk(right, down) {
    const [columns, rows] = swapped ? [down, right] : [right, down];
    const place = { column: at.column + columns, row: at.row + rows };
    if (!(place.column in data.columns) || !(place.row in data.rows)) return;
    go(place);
    if (!view.open) buttonAt(at).focus();
  }

  function show() {
    shown = at;
    const cell = cellAt(at);
    const seen = comparing ? { column: data.reference, row: at.row } : at;
    const name = comparing ? `${nameOf(seen)} (compared with ${data.columns[at.column]})` : nameOf(at);
    element("name").textContent = name;
    element("picture").src = cellAt(seen)?.source ?? "data:,";
    element("picture").alt = name;
    element("infotext").textContent = cell ? cell.infotext : "This cell is missing.";
    element("said").textContent = name;
    element("compare").setAttribute("aria-pressed", comparing);
  }

  function open() {
    if (!cellAt(at)) return;
    if (!view.open) view.showModal();
    show();
  }

  function compare(on) {
    if (comparing === on) return;
    comparing = on;
    if (view.open) { show(); return; }
    for (const cell of data.cells) {
      const source = cells.get(`${data.reference},${cell.row}`)?.source;
      const picture = buttonAt(cell).querySelector("img");
      if (source && picture) picture.src = on ? source : cell.source;
    }
  }

  function swap() {
    const focused = element("grid").contains(document.activeElement);
    swapped = !swapped;
    element("swap").setAttribute("aria-pressed", swapped);
    draw();
    if (focused) buttonAt(at)?.focus();
    element("said").textContent = swapped ? "Axes swapped" : "Axes as made";
  }

  async function copy() {
    const text = element("infotext").textContent;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      getSelection().selectAllChildren(element("infotext"));
      document.execCommand("copy");
    }
    element("copy").textContent = "Copied";
    element("said").textContent = "Infotext copied";
    setTimeout(() => { element("copy").textContent = "Copy infotext"; }, 1500);
  }

  const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  document.addEventListener("keydown", (event) => {
    if (event.target.type === "range" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in arrows) { event.preventDefault(); walk(...arrows[event.key]); }
    else if (event.key === "c" || event.key === "C") compare(true);
    else if ((event.key === "x" || event.key === "X") && !event.repeat && !view.open) swap();
  });
  document.addEventListener("keyup", (event) => { if (event.key === "c" || event.key === "C") compare(false); });
  window.addEventListener("blur", () => compare(false));
  view.addEventListener("close", () => { compare(false); go(shown); buttonAt(shown)?.focus(); });
  element("previous").addEventListener("click", () => walk(-1, 0));
  element("next").addEventListener("click", () => walk(1, 0));
  element("compare").addEventListener("click", () => compare(!comparing));
  element("close").addEventListener("click", () => view.close());
  element("copy").addEventListener("click", copy);
  element("swap").addEventListener("click", swap);
  const resize = () => document.documentElement.style.setProperty("--cell", `${element("size").value}px`);
  element("size").addEventListener("input", resize);

  document.title = element("title").textContent = data.title;
  element("about").textContent = data.about;
  element("reference").textContent = data.columns[data.reference];
  const fitting = Math.floor((innerWidth - 150) / data.columns.length) - 4;
  element("size").value = Math.max(64, Math.min(data.size, 256, fitting));
  resize();
  draw();
})();
