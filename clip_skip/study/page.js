"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const element = (id) => document.getElementById(id);

  function make(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  }

  const address = (file) => file.split("/").map(encodeURIComponent).join("/");
  const several = Object.keys(data.published).length > 1;
  const known = (scores) => scores.filter((score) => score !== null);
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const range = (values) => (values.length ? Math.max(...values) - Math.min(...values) : 0);

  /** The pictures of a prompt by row (checkpoint, seed and CFG scale) and clip skip, and all clip skips in order. */
  function pictures(prompt) {
    const rows = new Map();
    const skips = [...new Set(data.pictures[prompt].map((picture) => picture[3]))].sort((a, b) => a - b);
    for (const [model, seed, cfg, skip, file, score] of data.pictures[prompt]) {
      const name = `${several ? `${model}, ` : ""}seed ${seed}, CFG ${cfg}`;
      if (!rows.has(name)) rows.set(name, { name, model, of: new Map() });
      rows.get(name).of.set(skip, { file, score });
    }
    return { rows: [...rows.values()], skips };
  }

  const scoresOf = ({ of }) => known([...of.values()].map((picture) => picture.score));

  /** Of each checkpoint the row whose scores differ most; a picture opens in the viewer. */
  function table(prompt) {
    const { rows, skips } = pictures(prompt);
    const head = make("tr", {}, make("th", { scope: "col" }, "clip skip"), ...skips.map((skip) => make("th", { scope: "col" }, String(skip))));
    const body = make("tbody");
    const byRange = [...rows].sort((one, other) => range(scoresOf(other)) - range(scoresOf(one)));
    for (const shown of byRange.filter((row, index) => byRange.findIndex(({ model }) => model === row.model) === index)) {
      const line = make("tr", {}, make("th", { scope: "row" }, shown.name));
      skips.forEach((skip, column) => {
        const picture = shown.of.get(skip);
        const cell = make("td");
        if (picture) {
          const alt = `${shown.name}, clip skip ${skip}`;
          const image = make("img", { src: address(picture.file), alt, loading: "lazy", width: 128, height: 128 });
          const button = make("button", { type: "button", class: "open" }, image);
          button.addEventListener("click", () => show(prompt, { column, row: rows.indexOf(shown) }));
          cell.append(button);
          if (picture.score !== null) cell.append(picture.score.toPrecision(3));
        }
        line.append(cell);
      });
      body.append(line);
    }
    return make("table", {}, make("thead", {}, head), body);
  }

  /** The page of the sweep's viewer with all pictures of a prompt. */
  function viewer(prompt) {
    const { rows, skips } = pictures(prompt);
    const cells = rows.flatMap(({ name, of }, row) =>
      skips.flatMap((skip, column) => {
        const picture = of.get(skip);
        if (!picture) return [];
        const score = picture.score === null ? "" : `\n${data.label}: ${picture.score.toPrecision(4)}`;
        return [{ column, row, source: address(picture.file), infotext: `${prompt}\n${name}, clip skip ${skip}${score}` }];
      }),
    );
    const grid = {
      title: prompt,
      columns: { title: "clip skip", labels: skips.map(String) },
      rows: { title: "picture", labels: rows.map(({ name }) => name) },
      cells,
      reference: Math.max(0, skips.indexOf(data.published[rows[0].model])),
    };
    const shell = new DOMParser().parseFromString(data.viewer, "text/html");
    const place = shell.getElementById("data");
    place.textContent = JSON.stringify({ ...JSON.parse(place.textContent), ...grid }).replaceAll("<", "\\u003c");
    return `<!DOCTYPE html>${shell.documentElement.outerHTML}`;
  }

  const chosen = element("prompt");
  const frame = element("viewer");

  /** Shows a prompt; with a `place`, that picture large. */
  function show(prompt, place) {
    chosen.value = prompt;
    if (place) {
      frame.addEventListener("load", () => frame.contentDocument.querySelector(`[data-place="${place.column},${place.row}"]`)?.click(), { once: true });
      element("all").scrollIntoView();
    }
    if (chosen.value) frame.srcdoc = viewer(chosen.value);
  }

  /** The means of a prompt's scores at each clip skip. */
  function means(prompt) {
    const { rows, skips } = pictures(prompt);
    const at = (skip) => known(rows.map(({ of }) => of.get(skip)?.score ?? null));
    return skips.map(at).filter((scores) => scores.length).map(mean);
  }

  const ORDERS = {
    listed: () => 0,
    change: (prompt) => -range(means(prompt)),
    best: (prompt) => -mean(means(prompt)),
    worst: (prompt) => mean(means(prompt)),
  };

  function list() {
    const key = new Map(data.prompts.map((prompt) => [prompt, ORDERS[element("order").value](prompt)]));
    const sorted = [...data.prompts].sort((one, other) => key.get(one) - key.get(other));
    chosen.replaceChildren(...sorted.map((prompt) => make("option", { value: prompt }, prompt)));
    show(sorted[0] ?? "");
  }

  function walk(by) {
    chosen.selectedIndex = Math.min(Math.max(chosen.selectedIndex + by, 0), chosen.options.length - 1);
    show(chosen.value);
  }

  /** Sorts the rows of a table of numbers by one of its columns; a second time, the other way round. */
  function sort(head) {
    const table = head.closest("table");
    const up = head.getAttribute("aria-sort") !== "ascending";
    for (const other of table.querySelectorAll("thead th")) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const column = [...head.parentElement.children].indexOf(head);
    const value = (row) => row.children[column].dataset.value ?? row.children[column].textContent;
    const compare = (one, other) => (column ? Number(value(one)) - Number(value(other)) : value(one).localeCompare(value(other)));
    const rows = [...table.tBodies[0].rows].sort((one, other) => (up ? compare(one, other) : compare(other, one)));
    table.tBodies[0].append(...rows);
  }

  for (const button of document.querySelectorAll(".numbers th button")) {
    button.addEventListener("click", () => sort(button.closest("th")));
  }
  for (const prompt of data.most) {
    const wide = make("div", { class: "wide", tabindex: 0, role: "region", "aria-label": `Pictures: ${prompt}` }, table(prompt));
    element("most").append(make("h3", {}, prompt), wide);
  }
  element("order").disabled = !data.label;
  element("order").addEventListener("change", list);
  chosen.addEventListener("change", () => show(chosen.value));
  element("before").addEventListener("click", () => walk(-1));
  element("after").addEventListener("click", () => walk(1));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("select")) return;
    if (event.key === "n" || event.key === "N") walk(1);
    if (event.key === "p" || event.key === "P") walk(-1);
  });
  list();
})();
