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
        return clipSkip.overridden() && headerActs() ? tr("set by the override settings: {stops}", {stops}) : "";
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

    /** The line on a model without CLIP. */
    function withoutClip(model) {
        const encoders = clipSkip.named();
        if (!encoders.length) {
            const several = tr("no effect on {model}, which uses several layers of its text encoder at once", {model});
            const none = tr("no effect on {model}; tags and the panel have none either", {model});
            return clipSkip.known.several_layers ? several : none;
        }
        const lines = encoders.map(named).join("; ");
        if (encoders.some((encoder) => clipSkip.decidedByName(encoder).tagged)) return tr("set by the prompt's tags: {stops}", {stops: lines});
        return `${tr("No effect on {model}: its text encoder is not CLIP.", {model})} ${lines}`;
    }

    const headerActs = () => clipSkip.encoders().some((encoder) => encoder.header);

    /** The header's value or an override of it, if the loaded model has too few layers for it; else 0. */
    function tooDeep(byHeader) {
        const value = clipSkip.headerValue();
        const layers = clipSkip.encoders().filter((encoder) => encoder.header).map((encoder) => encoder.layers - encoder.header.offset);
        return byHeader && layers.length && value > Math.min(...layers) ? value : 0;
    }

    /** The line, what there is to say beyond it, and whether the header's value has no effect. */
    clipSkip.line = (tab) => {
        const {model, encoders, loads_later} = clipSkip.known;
        if (!model) {
            const later = tr("the model is not loaded yet: the WebUI loads it with the first picture");
            return [loads_later ? later : tr("the model is not loaded yet"), "", false];
        }
        if (!encoders.length) return [withoutClip(model), "", true];
        const sweep = clipSkip.sweep(tab);
        const ofSweep = tr("clip skip {values}", sweep);
        const {prompt, others, byHeader} = clipSkip.decided(tab);
        const idle = !headerActs() || !byHeader;
        if (sweep.values && sweep.ofPrompt) return [tr("set by the sweep: {stops}", {stops: ofSweep}), "", idle || sweep.ofBoth];
        const headerIdle = !headerActs() || clipSkip.panelOn(tab);
        if (clipSkip.matrixOfTags(tab)) return [tr("set by the tags of the prompt matrix, for each picture by its own"), "", headerIdle];
        if (clipSkip.listOfTags(tab)) return [tr("set by the tags of the list of prompts, for each picture by its own"), "", headerIdle];
        const deep = tooDeep(byHeader);
        if (deep) return [tr("{value} is too deep: the loaded model has {layers} layers", {value: deep, layers: encoders[0].layers}), "", Boolean(clipSkip.overridden())];
        if (sweep.values) others.splice(0, others.length, tr("negative prompt: {skips}", {skips: ofSweep}));
        const stops = prompt.skip ? clipSkip.stops(encoders, prompt.skip) : prompt.skips;
        const line = setBy(tab, prompt, stops);
        const plot = plotted(tab, line);
        if (plot.prompt) return [plot.line, "", true];
        if (plot.line) others.push(plot.line);
        const rest = others.map((other) => `; ${other}`).join("");
        if (!line && !headerActs()) {
            const none = tr("No effect on {model}, which already stops at {native}. To change it, use a tag or the panel.", {model, native: encoders[0].native});
            return [none + rest, tr("As published: {stops}", {stops}), true];
        }
        const more = clipSkip.named().map(named).join("\n");
        return [(line || tr("clip skip {values}: {stops}", {values: prompt.values, stops})) + rest, more, idle || clipSkip.overridden() > 0];
    };

    /** What a newcomer needs to know, with a link to the guide. */
    function advice() {
        const {model, guide} = clipSkip.known;
        const text = model === "SD1" ? tr("2 for most anime models, 1 for the rest") : "";
        const link = guide ? [clipSkip.element("a", {href: guide, target: "_blank", textContent: tr("Guide")})] : [];
        return clipSkip.element("div", {id: "clip_skip_advice"}, text, text && guide ? " · " : "", ...link);
    }

    clipSkip.showReadout = (tab) => {
        const place = clipSkip.slider();
        if (!place) return;
        let readout = clipSkip.find("#clip_skip_readout");
        if (!clipSkip.wanted("readout")) {
            readout?.remove();
            clipSkip.find("#clip_skip_advice")?.remove();
            return;
        }
        if (!readout) {
            readout = clipSkip.element("div", {id: "clip_skip_readout", role: "status"});
            place.insertBefore(readout, place.querySelector("#clip_skip_remember"));
        }
        const [line, more, unused] = clipSkip.line(tab);
        const idle = String(unused);
        if (place.dataset.clipSkipIdle !== idle) place.dataset.clipSkipIdle = idle;
        if (readout.textContent !== line) readout.textContent = line;
        const title = [line, more].filter(Boolean).join("\n");
        if (readout.title !== title) readout.title = title;
        const own = advice();
        const shown = clipSkip.find("#clip_skip_advice");
        if (!shown) place.insertBefore(own, place.querySelector("#clip_skip_remember"));
        else if (shown.innerHTML !== own.innerHTML) shown.replaceWith(own);
    };
})();
