// A sweep's pictures: the name of each thumbnail, the viewer of the cells and the report below them, the saved page as a link.
(() => {
    window.clipSkip ??= {};
    const clipSkip = window.clipSkip;
    const {element, find, tr} = clipSkip;
    const PAGE = /[:：]\s*(\S.*clip_skip_sweep[^/\\]*\.html)\s*$/;
    const shown = {};
    const made = {};

    const info = (tab) => find(`#generation_info_${tab} textarea`)?.value || "";

    /** The last generation of `tab`, if it was a sweep: its grids and the infotexts of all pictures. */
    function sweepOf(tab) {
        const text = info(tab);
        if (made[tab]?.text !== text) {
            const {clip_skip_cells: grids = [], infotexts = []} = text.includes('"clip_skip_cells"') ? JSON.parse(text) : {};
            made[tab] = {text, grids, infotexts};
        }
        return made[tab];
    }

    /** Every cell that the gallery has: [{picture, column, row, infotext, name}]. */
    clipSkip.cells = (tab) => {
        const {grids, infotexts} = sweepOf(tab);
        return grids.flatMap(({columns, rows, cells}) =>
            cells.map(([x, y, picture]) => {
                const [column, row] = [columns[x + 1], rows[y + 1]];
                return {picture, column, row, infotext: infotexts[picture], name: `${columns[0]} ${column}, ${rows[0]} ${row}`};
            }),
        );
    };

    /** What each picture before the first cell is called: the grids, then the report. */
    function namesBefore(tab) {
        const {grids} = sweepOf(tab);
        const first = Math.min(...clipSkip.cells(tab).map(({picture}) => picture));
        return [...grids.map(() => tr("Grid of all cells")), tr("Report")].slice(0, first);
    }

    /** The addresses of all pictures in the gallery, in order; none while it is not filled. */
    function sources(tab, count) {
        for (const kind of [".thumbnails", ".grid-container, .grid-wrap"]) {
            const found = [...gradioApp().querySelectorAll(`#${tab}_gallery :is(${kind}) img`)].map((image) => image.src);
            if (found.length >= count) return found;
        }
        return [];
    }

    /** Says on each thumbnail what it is. A strip that is too long begins at its start, where the host centres it. */
    function nameThumbnails(tab) {
        const gallery = find(`#${tab}_gallery`);
        if (!gallery) return;
        const cells = clipSkip.cells(tab);
        const names = cells.length ? namesBefore(tab).map((name, index) => [index < sweepOf(tab).grids.length ? "▦" : name, name]) : [];
        for (const {picture, column, row, name} of cells) names[picture] = [`${column} · ${row}`, name];
        if (gallery.dataset.clipSkipSweep !== String(cells.length > 0)) gallery.dataset.clipSkipSweep = cells.length > 0;
        for (const strip of gallery.querySelectorAll(".thumbnails, .grid-container, .grid-wrap")) {
            [...strip.querySelectorAll("button")].forEach((button, index) => {
                const [short, name] = names[index] || ["", ""];
                if ((button.dataset.clipSkipName || "") === short) return;
                button.dataset.clipSkipName = short;
                button.title = button.ariaLabel = name;
            });
        }
    }

    function remove(tab) {
        find(`#${tab}_clip_skip_viewer`)?.remove();
        delete shown[tab];
    }

    async function frame(tab, grid, infotexts, addresses) {
        const dark = document.body.classList.contains("dark");
        const {page, error} = await clipSkip.fetch("viewer", {grid, infotexts, sources: addresses, dark});
        if (error) throw new Error(error);
        return element("iframe", {title: tr("The cells of the sweep"), srcdoc: page, className: "clip-skip-viewer", "data-tab": tab});
    }

    /** The report of the sweep, which opens in a tab of its own. */
    function report(tab, addresses) {
        const {grids} = sweepOf(tab);
        const source = namesBefore(tab).length > grids.length && addresses[grids.length];
        if (!source) return [];
        const picture = element("img", {src: source, alt: tr("Report"), className: "clip-skip-report"});
        return [element("a", {href: source, target: "_blank"}, picture)];
    }

    /** Shows the grids of the last sweep of `tab`, once they are in the gallery. */
    async function show(tab) {
        nameThumbnails(tab);
        const {text, grids, infotexts} = sweepOf(tab);
        if (shown[tab] === text) return;
        if (!grids.length || !clipSkip.wanted("viewer")) {
            remove(tab);
            return;
        }
        const addresses = sources(tab, infotexts.length);
        const place = find(`#${tab}_results_panel`);
        if (!addresses.length || !place) return;
        remove(tab);
        shown[tab] = text;
        const box = element("details", {id: `${tab}_clip_skip_viewer`, open: true}, element("summary", {textContent: tr("The cells of the sweep")}));
        place.append(box);
        try {
            for (const grid of grids) box.append(await frame(tab, grid, infotexts, addresses));
            box.append(...report(tab, addresses));
        } catch (error) {
            console.warn("Clip Skip:", error.message);
            box.remove();
        }
    }

    async function onMessage({data, source, origin}) {
        const frames = [...gradioApp().querySelectorAll("iframe.clip-skip-viewer")];
        const from = frames.find((one) => one.contentWindow === source);
        if (!from || origin !== location.origin) return;
        if (Number.isFinite(data?.clipSkipHeight)) {
            from.style.height = data.clipSkipHeight ? `min(75vh, ${data.clipSkipHeight}px)` : "";
            if (!data.clipSkipHeight) from.scrollIntoView({block: "nearest"});
        }
        if (!data?.clipSkipPick) return;
        const text = await clipSkip.pick(from.dataset.tab, data.clipSkipPick);
        from.contentWindow.focus();
        from.contentWindow.postMessage({clipSkipPicked: text}, location.origin);
    }

    /** The page that was saved of a sweep, as a link. */
    function link(log) {
        const walker = document.createTreeWalker(log, NodeFilter.SHOW_TEXT);
        for (let text = walker.nextNode(); text; text = walker.nextNode()) {
            const found = text.data.match(PAGE);
            if (!found || text.parentElement.closest("a")) continue;
            const href = `file=${found[1].split("/").map(encodeURIComponent).join("/")}`;
            const anchor = element("a", {href, target: "_blank", className: "clip-skip-page", textContent: found[1]});
            text.splitText(text.data.indexOf(found[1])).replaceWith(anchor);
            return;
        }
    }

    onUiLoaded(() => window.addEventListener("message", onMessage));
    onAfterUiUpdate(() => {
        for (const tab of clipSkip.tabs()) {
            show(tab);
            const log = find(`#html_log_${tab}`);
            if (log?.textContent.includes("clip_skip_sweep")) link(log);
        }
    });
})();
