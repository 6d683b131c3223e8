"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const element = (id) => document.getElementById(id);

  function make(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  }

  const address = (file) => file.split("/").map(encodeURIComponent).join("/");

  /** How far the scores of a row's pictures are apart. */
  function spread({ of }) {
    const scores = [...of.values()].map((picture) => picture.score).filter((score) => score !== null);
    return scores.length ? Math.max(...scores) - Math.min(...scores) : 0;
  }

  /** A row for each checkpoint, seed and CFG scale, a column for each clip skip. `few`: of each checkpoint only the row that differs most. */
  function table(prompt, few) {
    const rows = new Map();
    const skips = [...new Set(data.pictures[prompt].map((picture) => picture[3]))].sort((one, other) => one - other);
    for (const [model, seed, cfg, skip, file, score] of data.pictures[prompt]) {
      const name = `${model}, seed ${seed}, CFG ${cfg}`;
      if (!rows.has(name)) rows.set(name, { model, of: new Map() });
      rows.get(name).of.set(skip, { file, score });
    }
    const head = make("tr", {}, make("th", { scope: "col" }, "clip skip"), ...skips.map((skip) => make("th", { scope: "col" }, String(skip))));
    const body = make("tbody");
    const seen = new Set();
    const shown = few ? [...rows].sort(([, one], [, other]) => spread(other) - spread(one)) : rows;
    for (const [name, { model, of }] of shown) {
      if (few && seen.has(model)) continue;
      seen.add(model);
      const row = make("tr", {}, make("th", { scope: "row" }, name));
      for (const skip of skips) {
        const picture = of.get(skip);
        const cell = make("td");
        if (picture) {
          const alt = `${name}, clip skip ${skip}`;
          const image = make("img", { src: address(picture.file), alt, loading: "lazy", width: 128, height: 128 });
          cell.append(make("a", { href: address(picture.file), "aria-label": alt }, image));
          if (picture.score !== null) cell.append(picture.score.toPrecision(3));
        }
        row.append(cell);
      }
      body.append(row);
    }
    return make("table", {}, make("thead", {}, head), body);
  }

  for (const prompt of data.most) {
    const wide = make("div", { class: "wide", tabindex: 0, role: "region", "aria-label": `Pictures: ${prompt}` }, table(prompt, true));
    element("most").append(make("h3", {}, prompt), wide);
  }

  const chosen = element("prompt");
  chosen.append(...data.prompts.map((prompt) => make("option", { value: prompt }, prompt)));
  const show = () => element("pictures").replaceChildren(...(chosen.value ? [table(chosen.value, false)] : []));
  function walk(by) {
    chosen.selectedIndex = Math.min(Math.max(chosen.selectedIndex + by, 0), data.prompts.length - 1);
    show();
  }
  chosen.addEventListener("change", show);
  element("before").addEventListener("click", () => walk(-1));
  element("after").addEventListener("click", () => walk(1));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target === chosen) return;
    if (event.key === "n" || event.key === "N") walk(1);
    if (event.key === "p" || event.key === "P") walk(-1);
  });
  show();
})();
