// Below the header's slider: where the text encoder stops, and what decides it.
(() => {
    window.clipSkip ??= {};
    const clipSkip = window.clipSkip;
    const tr = (...args) => clipSkip.tr(...args);

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

    function who(tab, prompt) {
        const {tag, tag_in_style} = clipSkip.read;
        if (prompt.tagged && tag && prompt.skip) {
            return tag_in_style ? tr("the tag {tag} of a style decides", {tag}) : tr("the tag {tag} decides", {tag});
        }
        if (prompt.tagged) return tr("the prompt's tags decide");
        if (clipSkip.panelOn(tab)) return tr("the panel decides");
        return clipSkip.overridden() ? tr("the override settings decide") : "";
    }

    /** What the X/Y/Z plot decides, and whether that is the prompt's value. Over the host's own axis a tag and the panel win. */
    function plotted(tab, decides) {
        const acts = (axis) => axis !== "Clip skip" || (!decides && headerActs());
        const axes = clipSkip.plot(tab).filter(acts);
        const line = axes.length ? tr("the X/Y/Z plot decides: {axes}", {axes: axes.join(", ")}) : "";
        return {line, prompt: axes.some((axis) => axis === "Clip skip" || axis.startsWith("[Clip Skip] Prompt"))};
    }

    const headerActs = () => clipSkip.encoders().some((encoder) => encoder.header);

    /** The line, and what there is to say beyond it. */
    clipSkip.line = (tab) => {
        const {model, encoders} = clipSkip.known;
        if (!model) return [tr("the model is not loaded yet"), ""];
        if (!encoders.length) return [tr("no effect on {model}, nor has a tag or the panel", {model}), ""];
        const sweep = clipSkip.sweep(tab);
        if (sweep.values && sweep.ofPrompt) return [tr("the sweep decides: clip skip {values}", sweep), ""];
        const {prompt, others} = clipSkip.decided(tab);
        if (sweep.values) others.splice(0, others.length, tr("negative prompt: clip skip {values}", sweep));
        const decides = who(tab, prompt);
        const plot = plotted(tab, decides);
        if (plot.prompt) return [plot.line, ""];
        if (plot.line) others.push(plot.line);
        const stops = prompt.skip ? clipSkip.stops(encoders, prompt.skip) : tr("clip skip {values}", prompt);
        const rest = others.map((other) => `; ${other}`).join("");
        if (!decides && !headerActs()) {
            return [tr("No effect on {model}. Use a tag or the panel.", {model}) + rest, tr("As published: {stops}", {stops})];
        }
        const advice = model === "SD1" ? tr("2 for most anime models, 1 for the rest") : "";
        return [(decides ? `${decides}: ` : "") + stops + rest, advice];
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
        const idle = String(clipSkip.encoders().length > 0 && !headerActs());
        if (place.dataset.clipSkipIdle !== idle) place.dataset.clipSkipIdle = idle;
        if (readout.textContent !== line) readout.textContent = line;
        const title = [line, more].filter(Boolean).join("\n");
        if (readout.title !== title) readout.title = title;
    };
})();
