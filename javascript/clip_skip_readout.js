// Beside the header's slider: the layer at which the text encoder stops, and what decides it.
(() => {
    window.clipSkip ??= {};
    const clipSkip = window.clipSkip;
    const tr = (...args) => clipSkip.tr(...args);
    const find = (selector) => clipSkip.find(selector);
    const element = (...args) => clipSkip.element(...args);
    let known = {model: null, encoders: []};
    const asked = {};
    let read = {tag: null, values: {}, warnings: [], suggestions: [], problems: []};
    let timer;

    function slider() {
        const own = find("#setting_CLIP_stop_at_last_layers");
        if (own) return own;
        const labels = ["Clip skip", tr("Clip skip")];
        const named = (block) => labels.includes(block.querySelector("label span, span[data-testid=block-info]")?.textContent.trim());
        return [...gradioApp().querySelectorAll("#quicksettings .block")].find(named);
    }

    /** The host's own value: what the page's Override settings say, else the slider, else the option. */
    clipSkip.headerValue = () => overridden() || Number(slider()?.querySelector("input[type=number]")?.value || opts.CLIP_stop_at_last_layers || 1);

    function overridden() {
        const shown = find(`#${clipSkip.tab()}_override_settings`)?.textContent || "";
        return Number(shown.match(/Clip skip:\s*(\d+)/)?.[1] || 0);
    }

    /** "stops after layer 11 of 12 · CLIP ViT-L/14", for skip(encoder), clip skip in our numbering. */
    clipSkip.stops = (encoders, skip) => {
        const parts = encoders.map((encoder) => {
            const at = encoder.layers + 1 - skip(encoder);
            const values = {layer: at, layers: encoder.layers, name: encoder.name, low: Math.floor(at), high: Math.ceil(at)};
            return Number.isInteger(at)
                ? tr("stops after layer {layer} of {layers} · {name}", values)
                : tr("stops between layers {low} and {high} of {layers} · {name}", values);
        });
        return parts.join("; ");
    };

    clipSkip.encoders = () => known.encoders;

    const clamp = (value, least, most) => Math.min(Math.max(value, least), most);
    const asPublished = (encoder) => encoder.native;
    const byHeader = (value) => (encoder) =>
        encoder.header ? clamp(value + encoder.header.offset, encoder.header.least, encoder.layers) : encoder.native;
    const byValues = (values, fallback) => (encoder) =>
        encoder.tower in values ? clamp(values[encoder.tower], encoder.native, encoder.layers) : fallback(encoder);

    function panelValues(tab) {
        const value = (name) => Number(clipSkip.panel(tab, name)?.value || 0);
        const all = value("clip_skip") || 1;
        return {l: all, h: all, g: value("clip_g") || all};
    }

    const valueIn = (tab) => (clipSkip.panelOn(tab) && Number(clipSkip.panel(tab, "clip_skip").value)) || clipSkip.headerValue();

    /** The line of the readout: what wins, and where the encoders stop. */
    clipSkip.line = (tab) => {
        const {model, encoders} = known;
        if (!model) return tr("the model is not loaded yet");
        if (!encoders.length) return tr("no effect on {model}, nor has a tag or the panel", {model});
        const header = byHeader(clipSkip.headerValue());
        const line = (who, skip) => (who ? `${who}: ` : "") + clipSkip.stops(encoders, skip);
        const panel = clipSkip.panelOn(tab) && byValues(panelValues(tab), header);
        if (read.tag) return line(tr("the tag {tag} decides", {tag: read.tag}), byValues(read.values, panel || header));
        if (panel) return line(tr("the panel decides"), panel);
        if (!encoders.some((encoder) => encoder.header)) {
            const stops = clipSkip.stops(encoders, asPublished);
            return tr("no effect on {model}, which {stops}; a tag or the panel has one", {model, stops});
        }
        return line(overridden() ? tr("Override settings decides") : "", header);
    };

    function show() {
        const tab = clipSkip.tab();
        if (!tab) return;
        const place = slider();
        let readout = find("#clip_skip_readout");
        if (place && !readout) {
            readout = element("div", {id: "clip_skip_readout"});
            readout.setAttribute("role", "status");
            place.append(readout);
        }
        const line = clipSkip.line(tab);
        if (readout && readout.textContent !== line) readout.textContent = line;
        clipSkip.showWarnings?.(tab, read.warnings);
        showSuggestions(tab);
    }

    function showSuggestions(tab) {
        const place = find(`#script_${tab}_clip_skip_tools .clip-skip-suggestions`);
        const key = JSON.stringify([read.suggestions, read.problems]);
        if (!place || place.dataset.shown === key) return;
        place.dataset.shown = key;
        const follow = ({text, value}) => {
            const button = element("button", {type: "button", className: "clip-skip-button", textContent: tr("Use {value}", {value})});
            button.addEventListener("click", () => clipSkip.insertTag(tab, `<clipskip:${value}>`));
            return element("div", {}, text, " ", button);
        };
        place.replaceChildren(...read.suggestions.map(follow), ...read.problems.map((text) => element("div", {textContent: text})));
    }

    // Asks the server only for what it alone knows, and only when that has changed.
    async function ask(what, key, path, body) {
        if (asked[what] === key) return undefined;
        asked[what] = key;
        try {
            const answer = await clipSkip.fetch(path, body);
            return asked[what] === key ? answer : undefined;
        } catch (error) {
            console.warn("Clip Skip:", error.message);
            return undefined;
        }
    }

    async function update() {
        show();
        const tab = clipSkip.tab();
        if (!tab) return;
        const info = find(`#generation_info_${tab} textarea`)?.value || "";
        const model = JSON.stringify([opts.sd_model_checkpoint, opts.sd_checkpoint_hash, opts.sdxl_clip_l_skip, info, shownCheckpoint()]);
        const encoders = await ask("encoders", model, "encoders?wait=true");
        if (encoders) {
            known = encoders;
            setDepths();
        }
        const texts = {prompt: clipSkip.prompt(tab).value, negative: clipSkip.prompt(tab, true)?.value || "", value: valueIn(tab)};
        const interesting = /clipskip|<lora:|<lyco:/i.test(texts.prompt + texts.negative) || read.tag || read.warnings.length;
        const answer = await ask("read", JSON.stringify([interesting ? texts : texts.value, known.checkpoint]), "read", texts);
        if (answer) read = answer;
        if (encoders || answer) show();
    }

    const shownCheckpoint = () => find("#quicksettings .model_selection input")?.value || "";

    // The panel's sliders end where the model's encoders do.
    function setDepths() {
        for (const tab of clipSkip.tabs()) {
            const range = clipSkip.panel(tab, "clip_skip");
            const layers = known.encoders.length ? known.encoders[0].layers : 12;
            if (range && Number(range.max) !== layers) find(`#script_${tab}_clip_skip_depths`)?.click();
        }
    }

    function schedule(delay) {
        clearTimeout(timer);
        timer = setTimeout(update, delay);
    }

    onUiLoaded(() => {
        update();
        const input = () => {
            show();
            schedule(400);
        };
        document.addEventListener("input", input, true);
        document.addEventListener("change", () => schedule(400), true);
    });
    onOptionsChanged(() => schedule(50));
    onAfterUiUpdate(() => schedule(200));
    onUiTabChange?.(() => schedule(50));
})();
