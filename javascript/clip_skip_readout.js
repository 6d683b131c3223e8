// Below the header's slider: where the text encoder stops, and what sets that.
(() => {
    window.clipSkip ??= {};
    const clipSkip = window.clipSkip;
    const tr = (...args) => clipSkip.tr(...args);

    /** "stops after layer 11 of 12 (CLIP ViT-L/14)", for skip(encoder), clip skip in our numbering. */
    clipSkip.stops = (encoders, skip) => {
        const parts = encoders.map((encoder) => {
            const at = encoder.layers + 1 - skip(encoder);
            const values = {layer: at, layers: encoder.layers, name: encoder.name, low: Math.floor(at), high: Math.ceil(at)};
            return Number.isInteger(at)
                ? tr("stops after layer {layer} of {layers} ({name})", values)
                : tr("stops between layers {low} and {high} of {layers} ({name})", values);
        });
        return parts.join("; ");
    };

    /** A sentence about `stops` that says what sets it; "" if the header does. */
    function setBy(tab, prompt, stops) {
        const {tag, tag_in_style} = clipSkip.read;
        if (prompt.tagged && tag && prompt.skip) {
            return tag_in_style ? tr("set by the tag {tag} of a style: {stops}", {tag, stops}) : tr("set by the tag {tag}: {stops}", {tag, stops});
        }
        if (prompt.tagged) return tr("set by the prompt's tags: {stops}", {stops});
        if (clipSkip.panelOn(tab)) return tr("set by the panel: {stops}", {stops});
        return clipSkip.overridden() ? tr("set by the override settings: {stops}", {stops}) : "";
    }

    /** What the X/Y/Z plot sets, and whether that is the prompt's value. A tag and the panel win over the host's own axis. */
    function plotted(tab, others) {
        const acts = (axis) => axis !== "Clip skip" || (!others && headerActs());
        const axes = clipSkip.plot(tab).filter(acts);
        const line = axes.length ? tr("set by the X/Y/Z plot: {axes}", {axes: axes.join(", ")}) : "";
        return {line, prompt: axes.some((axis) => axis === "Clip skip" || axis.startsWith("[Clip Skip] Prompt"))};
    }

    /** Where a text encoder that is reached by its name stops; the example is a tag that acts. */
    function named(encoder) {
        const {values, tagged} = clipSkip.decidedByName(encoder);
        if (!tagged) return tr("{name}: {layers} layers, as published {native}; {example} stops earlier", encoder);
        if (values.length > 1) return tr("{name}: clip skip {values}", {name: encoder.name, values: values.join(", ")});
        return clipSkip.stops([encoder], () => values[0]);
    }

    /** The line on a model without CLIP, and what there is to say beyond it. */
    function withoutClip(model) {
        const encoders = clipSkip.named();
        if (!encoders.length) {
            const several = tr("no effect on {model}, which uses several layers of its text encoder at once", {model});
            const none = tr("no effect on {model}; tags and the panel have none either", {model});
            return [clipSkip.known.several_layers ? several : none, ""];
        }
        const lines = encoders.map(named).join("; ");
        if (encoders.some((encoder) => clipSkip.decidedByName(encoder).tagged)) return [tr("set by the prompt's tags: {stops}", {stops: lines}), ""];
        return [tr("No effect on {model}: its text encoder is not CLIP.", {model}), lines];
    }

    const headerActs = () => clipSkip.encoders().some((encoder) => encoder.header);

    /** The line, and what there is to say beyond it. */
    clipSkip.line = (tab) => {
        const {model, encoders} = clipSkip.known;
        if (!model) return [tr("the model is not loaded yet"), ""];
        if (!encoders.length) return withoutClip(model);
        const sweep = clipSkip.sweep(tab);
        const ofSweep = tr("clip skip {values}", sweep);
        if (sweep.values && sweep.ofPrompt) return [tr("set by the sweep: {stops}", {stops: ofSweep}), ""];
        const {prompt, others} = clipSkip.decided(tab);
        if (sweep.values) others.splice(0, others.length, tr("negative prompt: {skips}", {skips: ofSweep}));
        const stops = prompt.skip ? clipSkip.stops(encoders, prompt.skip) : prompt.skips;
        const line = setBy(tab, prompt, stops);
        const plot = plotted(tab, line);
        if (plot.prompt) return [plot.line, ""];
        if (plot.line) others.push(plot.line);
        const rest = others.map((other) => `; ${other}`).join("");
        if (!line && !headerActs()) {
            const none = tr("No effect on {model}, which already stops at {native}. To change it, use a tag or the panel.", {model, native: encoders[0].native});
            return [none + rest, tr("As published: {stops}", {stops})];
        }
        const advice = model === "SD1" ? tr("2 for most anime models, 1 for the rest") : "";
        const more = [advice, ...clipSkip.named().map(named)].filter(Boolean).join("\n");
        return [(line || tr("clip skip {values}: {stops}", {values: prompt.values, stops})) + rest, more];
    };

    clipSkip.showReadout = (tab) => {
        const place = clipSkip.slider();
        if (!place) return;
        let readout = clipSkip.find("#clip_skip_readout");
        if (!clipSkip.wanted("readout")) {
            readout?.remove();
            return;
        }
        if (!readout) {
            readout = clipSkip.element("div", {id: "clip_skip_readout", role: "status"});
            place.append(readout);
        }
        const [line, more] = clipSkip.line(tab);
        const acts = clipSkip.encoders().length + clipSkip.named().length;
        const idle = String(acts > 0 && !headerActs());
        if (place.dataset.clipSkipIdle !== idle) place.dataset.clipSkipIdle = idle;
        if (readout.textContent !== line) readout.textContent = line;
        const title = [line, more].filter(Boolean).join("\n");
        if (readout.title !== title) readout.title = title;
    };
})();
