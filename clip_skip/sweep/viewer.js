"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const element = (id) => document.getElementById(id);
  const cells = new Map(data.cells.map((cell) => [`${cell.column},${cell.row}`, cell]));
  const view = element("view");
  const asked = new URLSearchParams(location.search); // by the page that this one may stand in
  const picks = data.picks || asked.has("picks");
  document.documentElement.dataset.theme ||= asked.get("theme") ?? "";
  let swapped = false;
  let comparing = false;
  let chosen; // the cell to compare with; while there is none, that of the same row in the reference column
  let at = { column: 0, row: 0 };
  let shown = at; // the last cell in the dialog, which hands the focus back to the cell it was opened from

  const cellAt = (place) => cells.get(`${place.column},${place.row}`);
  /** `text` in the page's language, with {name} replaced by values.name. */
  const tr = (text, values = {}) => (data.words[text] ?? text).replace(/\{(\w+)\}/g, (all, name) => values[name] ?? all);
  const label = (axis, index) => `${axis.title} ${axis.labels[index]}`;
  const nameOf = (place) => `${label(data.columns, place.column)}, ${label(data.rows, place.row)}`;
  const buttonAt = (place) => document.querySelector(`[data-place="${place.column},${place.row}"]`);
  const comparedWith = (place) => chosen ?? { column: data.reference, row: place.row };

  /** Has a screen reader read `text`. */
  function say(text) {
    element("said").textContent = text;
  }

  /** What the header makes this cell at; undefined where a tag or the panel has a part in it. */
  function headerValue({ column, infotext }) {
    if (data.headers) return data.headers[column] ?? undefined;
    const last = infotext.slice(infotext.lastIndexOf("\n") + 1);
    const read = (key) => Number(last.match(new RegExp(`(?:^|, )${key}: (\\d+)(?=,|$)`))?.[1] ?? 0);
    if (/<\s*clip[ _-]?skip/i.test(infotext) || /Clip skip (negative|hires|G): /.test(last)) return undefined;
    return read("Clip skip") || (/(?:^|, )Clip skip panel: /.test(last) ? undefined : 1);
  }

  function make(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  }

  function draw() {
    const [across, down] = swapped ? [data.rows, data.columns] : [data.columns, data.rows];
    const corner = make("th", { role: "columnheader", scope: "col" }, `${across.title} →`, make("br"), `${down.title} ↓`);
    const head = make("tr", { role: "row" }, corner);
    head.append(...across.labels.map((text) => make("th", { role: "columnheader", scope: "col" }, text)));
    const body = make("tbody", { role: "rowgroup" });
    down.labels.forEach((text, y) => {
      const row = make("tr", { role: "row" }, make("th", { role: "rowheader", scope: "row" }, text));
      across.labels.forEach((_, x) => {
        row.append(make("td", { role: "gridcell" }, drawCell(swapped ? { column: y, row: x } : { column: x, row: y })));
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
    if (!cell) return make("button", { ...attributes, "aria-label": `${nameOf(place)}: ${tr("missing")}` }, make("span", { class: "blank" }, tr("missing")));
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

  /** Walks by so many cells on the screen, as far as the grid goes. */
  function walk(right, down) {
    const [columns, rows] = swapped ? [down, right] : [right, down];
    const within = (value, axis) => Math.min(Math.max(value, 0), axis.labels.length - 1);
    const place = { column: within(at.column + columns, data.columns), row: within(at.row + rows, data.rows) };
    if (place.column === at.column && place.row === at.row) return;
    go(place);
    if (!view.open) buttonAt(at).focus();
  }

  function show() {
    shown = at;
    const seen = comparing ? comparedWith(at) : at;
    const cell = cellAt(seen);
    const name = comparing ? tr("{one} (compared with {other})", { one: nameOf(seen), other: nameOf(at) }) : nameOf(at);
    element("name").textContent = name;
    element("picture").hidden = !cell;
    element("missing").hidden = Boolean(cell);
    if (cell) element("picture").src = cell.source;
    element("picture").alt = name;
    element("infotext").textContent = cell ? cell.infotext : tr("This cell is missing.");
    element("copy").hidden = !cell;
    element("choose").disabled = !cellAt(at);
    say(cell ? name : `${name}: ${tr("missing")}`);
    element("compare").setAttribute("aria-pressed", comparing);
    showPick();
  }

  function open() {
    if (!cellAt(at)) return;
    if (!view.open) {
      view.append(element("said")); // what is outside a modal dialog is not read aloud
      view.showModal();
      view.focus();
      tellHeight();
    }
    show();
  }

  function compare(on) {
    if (comparing === on) return;
    comparing = on;
    if (view.open) { show(); return; }
    for (const cell of data.cells) {
      const source = cellAt(comparedWith(cell))?.source;
      const picture = buttonAt(cell).querySelector("img");
      if (source && picture) picture.src = on ? source : cell.source;
    }
  }

  function choose(place) {
    chosen = place;
    element("reference").textContent = chosen ? nameOf(chosen) : label(data.columns, data.reference);
    say(tr("Compared with {cell}", { cell: element("reference").textContent }));
  }

  function swap() {
    const focused = element("grid").contains(document.activeElement);
    swapped = !swapped;
    element("swap").setAttribute("aria-pressed", swapped);
    draw();
    if (focused) buttonAt(at)?.focus();
    tellHeight();
    say(swapped ? tr("Axes swapped") : tr("Axes in their original order"));
  }

  /** What can be done with the cell's value in the page that the viewer stands in. */
  function showPick() {
    const cell = cellAt(at);
    element("pick").hidden = !picks || !cell;
    showDone("");
    if (element("pick").hidden) return;
    element("use").textContent = tr("Use clip skip {value}", { value: data.columns.labels[at.column] });
    const byHeader = headerValue(cell) !== undefined;
    element("as").querySelector("[value=header]").hidden = !byHeader;
    element("as").querySelector("[value=header]").disabled = !byHeader;
    if (!byHeader) element("as").value = "tag";
  }

  function showDone(text) {
    element("done").textContent = text;
    element("done").hidden = !text;
  }

  /** The page around this one does it, and answers with what it did. */
  function pick() {
    const { infotext } = cellAt(at);
    const value = data.columns.labels[at.column];
    const [as, whole] = [element("as").value, element("whole").checked];
    const header = as === "header" ? headerValue(cellAt(at)) : undefined;
    parent.postMessage({ clipSkipPick: { infotext, value, as, header, whole } }, self.origin);
  }

  window.addEventListener("message", ({ data: message, source, origin }) => {
    if (source !== parent || origin !== self.origin || !message?.clipSkipPicked) return;
    showDone(message.clipSkipPicked);
    say(message.clipSkipPicked);
  });

  async function copy() {
    const text = element("infotext").textContent;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      getSelection().selectAllChildren(element("infotext"));
      document.execCommand("copy");
    }
    element("copy").textContent = tr("Copied");
    say(tr("Infotext copied"));
    setTimeout(() => { element("copy").textContent = tr("Copy infotext"); }, 1500);
  }

  const far = 1e6;
  const moves = {
    ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1],
    Home: [-far, 0], End: [far, 0], PageUp: [0, -far], PageDown: [0, far],
  };
  document.addEventListener("keydown", (event) => {
    if (event.target.type === "range" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in moves) { event.preventDefault(); walk(...moves[event.key]); }
    else if (event.key === "c" || event.key === "C") compare(true);
    else if ((event.key === "x" || event.key === "X") && !event.repeat && !view.open) swap();
  });
  document.addEventListener("keyup", (event) => { if (event.key === "c" || event.key === "C") compare(false); });
  window.addEventListener("blur", () => compare(false));
  view.addEventListener("close", () => {
    document.body.append(element("said"));
    compare(false);
    go(shown);
    buttonAt(shown)?.focus();
    tellHeight();
  });
  for (const [id, step] of Object.entries({ left: [-1, 0], right: [1, 0], up: [0, -1], down: [0, 1] })) {
    element(id).addEventListener("click", () => walk(...step));
  }
  element("compare").addEventListener("click", () => compare(!comparing));
  element("choose").addEventListener("click", () => choose(at));
  element("close").addEventListener("click", () => view.close());
  element("copy").addEventListener("click", copy);
  element("use").addEventListener("click", pick);
  element("swap").addEventListener("click", swap);

  // A swipe brings the next cell from where the finger came.
  let touched;
  element("large").addEventListener("pointerdown", (event) => { touched = { x: event.clientX, y: event.clientY }; });
  element("large").addEventListener("pointerup", (event) => {
    if (!touched) return;
    const [x, y] = [touched.x - event.clientX, touched.y - event.clientY];
    touched = undefined;
    if (Math.max(Math.abs(x), Math.abs(y)) < 30) return;
    if (Math.abs(x) > Math.abs(y)) walk(Math.sign(x), 0);
    else walk(0, Math.sign(y));
  });

  /** Tells the page around this one how high this one is; 0 while a cell is shown large, which takes what there is. */
  function tellHeight() {
    if (parent === window) return;
    const height = document.querySelector("header").offsetHeight + element("grid").offsetHeight + 20;
    parent.postMessage({ clipSkipHeight: view.open ? 0 : height }, "*");
  }

  const resize = () => {
    document.documentElement.style.setProperty("--cell", `${element("size").value}px`);
    tellHeight();
  };
  element("size").addEventListener("input", resize);
  window.addEventListener("resize", () => { if (!view.open) tellHeight(); });

  document.title = element("title").textContent = data.title;
  element("about").textContent = data.about;
  choose(undefined);
  say("");
  draw();
  // the pictures fill the window's width; what stands beside them is measured, not guessed
  const beside = document.querySelector("#grid thead th").offsetWidth + 24;
  const fitting = Math.floor((innerWidth - beside) / data.columns.labels.length) - 4;
  const whole = fitting >= 32 ? Math.floor(fitting / 4) * 4 : 64; // where they cannot all be seen they need not be small
  element("size").value = Math.min(data.size, 256, whole);
  resize();
})();
