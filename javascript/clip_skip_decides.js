// What each text of the page will be made at, and who decides that: a tag, the panel, or the header.
(() => {
    window.clipSkip ??= {};
    const clipSkip = window.clipSkip;
    const tr = (...args) => clipSkip.tr(...args);
    const {find} = clipSkip;
    const CLIP = ["l", "g", "h"];
    const NOTHING_SAID = {prompt: [[{}]], negative: [[{}]]};
    const SWEEP = "Clip skip sweep";
    const PLOT = "X/Y/Z plot";

    clipSkip.slider = () => {
        const own = find("#setting_CLIP_stop_at_last_layers");
        if (own) return own;
        const labels = ["Clip skip", tr("Clip skip")];
        const named = (block) => labels.includes(block.querySelector("label span, span[data-testid=block-info]")?.textContent.trim());
        return [...gradioApp().querySelectorAll("#quicksettings .block")].find(named);
    };

    clipSkip.overridden = () => {
        const shown = find(`#${clipSkip.tab()}_override_settings`)?.textContent || "";
        return Number(shown.match(/Clip skip:\s*(\d+)/)?.[1] || 0);
    };

    /** The host's own value: what the page's Override settings say, else the slider, else the option. */
    clipSkip.headerValue = () =>
        clipSkip.overridden() || Number(clipSkip.slider()?.querySelector("input[type=number]")?.value || opts.CLIP_stop_at_last_layers || 1);

    /** A field of the panel; below 1 it counts as 0, "same as ...". */
    clipSkip.panelValue = (tab, name) => {
        const value = Number(clipSkip.panel(tab, name)?.value || 0);
        return value >= 1 ? value : 0;
    };

    clipSkip.valueIn = (tab) => (clipSkip.panelOn(tab) && clipSkip.panelValue(tab, "clip_skip")) || clipSkip.headerValue();

    const clamp = (value, least, most) => Math.min(Math.max(value, least), most);

    const byHeader = (value) => (encoder) =>
        encoder.header ? clamp(value + encoder.header.offset, encoder.header.least, encoder.layers) : encoder.native;

    const byValues = (values, otherwise) => (encoder) =>
        encoder.tower in values ? clamp(values[encoder.tower], encoder.native, encoder.layers) : otherwise(encoder);

    function byPanel(tab, negative, hires) {
        const value = (name) => clipSkip.panelValue(tab, name);
        const all = (hires && value("hires")) || (negative && value("negative")) || value("clip_skip") || 1;
        return {l: all, h: all, g: (hires && value("hires")) || value("clip_g") || all};
    }

    /** What the prompt's tags ask of a text encoder that is reached by its name: all values, and whether there are any. */
    clipSkip.decidedByName = (encoder) => {
        const asked = (clipSkip.read.passes?.first || NOTHING_SAID).prompt.flat().map((values) => values[encoder.tower]);
        const values = asked.map((value) => clamp(value ?? encoder.native, encoder.native, encoder.deepest));
        return {values: [...new Set(values)], tagged: asked.some((value) => value !== undefined)};
    };

    /** "2", or "L 2, G 3" where the encoders differ. */
    function number(skip) {
        const encoders = clipSkip.encoders();
        const values = encoders.map(skip);
        const same = values.every((value) => value === values[0]);
        return String(same ? values[0] : encoders.map((encoder, index) => `${encoder.tower.toUpperCase()} ${values[index]}`).join(", "));
    }

    /** One sub-prompt's values from step to step: "1, then 3". */
    function inTurn(values) {
        const changes = values.filter((value, index) => value !== values[index - 1]);
        const each = [...new Set(changes)];
        const template = changes.length > each.length ? "{first} and {next} in turn" : "{first}, then {next}";
        const told = window.localization?.[template] || template;
        return each.reduce((first, next) => told.replace("{first}", first).replace("{next}", next));
    }

    /** A text of the page: whether a tag has a say in it, its values in words, and, where it has one, the single skip. */
    function text(tab, pass, negative) {
        const hires = pass === "hires";
        const parts = (clipSkip.read.passes?.[pass] || NOTHING_SAID)[negative ? "negative" : "prompt"];
        const header = byHeader(clipSkip.headerValue());
        const otherwise = clipSkip.panelOn(tab) ? byValues(byPanel(tab, negative, hires), header) : header;
        const skips = parts.map((steps) => steps.map((values) => byValues(values, otherwise)));
        const numbers = skips.map((steps) => steps.map(number));
        const single = new Set(numbers.flat()).size === 1;
        return {
            tagged: parts.flat().some((values) => CLIP.some((tower) => tower in values)),
            values: single ? numbers[0][0] : numbers.map(inTurn).join(" AND "),
            skip: single ? skips[0][0] : undefined,
        };
    }

    /** The prompt, and of the negative prompt and the hires pass what differs from what they follow. */
    clipSkip.decided = (tab) => {
        const prompt = text(tab, "first", false);
        const negative = text(tab, "first", true);
        const others = [];
        if (negative.values !== prompt.values) others.push(tr("negative prompt: clip skip {values}", negative));
        if (clipSkip.hiresOn(tab)) {
            const hires = text(tab, "hires", false);
            const bad = text(tab, "hires", true);
            if (hires.values !== prompt.values) others.push(tr("hires pass: clip skip {values}", hires));
            if (bad.values !== hires.values && bad.values !== negative.values) {
                others.push(tr("negative prompt in the hires pass: clip skip {values}", bad));
            }
        }
        return {prompt, others};
    };

    /** Whether this script is the one in the list; Forge Classic writes "X/Y/Z Plot". */
    const chosen = (tab, title) => {
        const name = find(`#tab_${tab} #script_list input`)?.value.toLowerCase();
        return [title, tr(title)].some((known) => known.toLowerCase() === name);
    };

    /** The clip skips of the sweep and whether they are the prompt's, where it is the script that is chosen. */
    clipSkip.sweep = (tab) => {
        if (!chosen(tab, SWEEP)) return {};
        const part = (name) => `#script_${tab}_clip_skip_sweep_${name}`;
        const values = find(`${part("clip_skips")} :is(textarea, input)`)?.value.trim() || "";
        return {values, ofPrompt: find(`${part("apply_to")} input:checked`)?.value !== "Negative prompt"};
    };

    /** The axes of the X/Y/Z plot that set a clip skip, where it is the script that is chosen; "Clip skip" is the host's. */
    clipSkip.plot = (tab) => {
        if (!chosen(tab, PLOT)) return [];
        const types = ["x", "y", "z"].map((axis) => find(`#script_${tab}_xyz_plot_${axis}_type input`)?.value || "");
        return types.filter((type) => type === "Clip skip" || type.startsWith("[Clip Skip]"));
    };
})();
