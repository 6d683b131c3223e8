// Below the pictures of a sweep: its cells, to walk through and to compare; a cell's value can be picked there.
(() => {
    window.clipSkip ??= {};
    const clipSkip = window.clipSkip;
    const {element, find, tr} = clipSkip;
    const shown = {};

    const info = (tab) => find(`#generation_info_${tab} textarea`)?.value || "";

    /** The addresses of all pictures in the gallery, in order; none while it is not filled. */
    function sources(tab, count) {
        for (const kind of [".thumbnails", ".grid-container, .grid-wrap"]) {
            const found = [...gradioApp().querySelectorAll(`#${tab}_gallery :is(${kind}) img`)].map((image) => image.src);
            if (found.length >= count) return found;
        }
        return [];
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

    /** Shows the grids of the last sweep of `tab`, once they are in the gallery. */
    async function show(tab) {
        const text = info(tab);
        if (shown[tab] === text) return;
        const {clip_skip_cells: grids, infotexts} = text.includes('"clip_skip_cells"') ? JSON.parse(text) : {};
        if (!grids?.length || !clipSkip.wanted("viewer")) {
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
        } catch (error) {
            console.warn("Clip Skip:", error.message);
            box.remove();
        }
    }

    /** The tags of prompt and negative prompt that make this cell: from what the panel would be, or from its own tags. */
    function tags(infotext, value) {
        const last = infotext.slice(infotext.lastIndexOf("\n") + 1);
        const read = (key) => Number(last.match(new RegExp(`(?:^|, )${key}: ([\\d.]+)`))?.[1] || 0);
        const panel = read("Clip skip panel");
        if (!panel) {
            const own = (text) => text?.match(/^\s*(<clipskip:[^<>]*>)/)?.[1];
            return [own(infotext) || `<clipskip:${value}>`, own(infotext.split("\nNegative prompt:")[1]) || ""];
        }
        const [negative, hires, clip_g] = ["negative", "hires", "G"].map((name) => read(`Clip skip ${name}`));
        const more = (clip_g ? `:g=${clip_g}` : "") + (hires ? `:hires=${hires}` : "");
        return [`<clipskip:${panel}${more}>`, negative ? `<clipskip:${negative}${more}>` : ""];
    }

    async function pick(tab, {infotext, value, as}) {
        if (as === "header") {
            const number = clipSkip.slider()?.querySelector("input[type=number]");
            if (!number) return;
            const box = find(`#script_${tab}_clip_skip_enabled-checkbox input`);
            if (box?.checked) find(`#script_${tab}_clip_skip_enabled-visible-checkbox`)?.click();
            await clipSkip.putTag(tab, "");
            clipSkip.write(number, value);
            return;
        }
        const [prompt, negative] = tags(infotext, value);
        await clipSkip.putTag(tab, negative, true);
        await clipSkip.putTag(tab, prompt);
    }

    async function onMessage({data, source, origin}) {
        const frames = [...gradioApp().querySelectorAll("iframe.clip-skip-viewer")];
        const from = frames.find((one) => one.contentWindow === source);
        if (!from || origin !== location.origin || !data?.clipSkipPick) return;
        await pick(from.dataset.tab, data.clipSkipPick);
        from.contentWindow.focus();
    }

    onUiLoaded(() => window.addEventListener("message", onMessage));
    onAfterUiUpdate(() => {
        for (const tab of clipSkip.tabs()) show(tab);
    });
})();
