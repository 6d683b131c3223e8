// The clip skip of each text of the page, and what sets it: a tag, the panel, or the header.
(() => {
    window.clipSkip ??= {};
    const clipSkip = window.clipSkip;
    const tr = (...args) => clipSkip.tr(...args);
    const {find} = clipSkip;
    const CLIP = ["l", "g", "h"];
    const NO_TAGS = {prompt: [[{}]], negative: [[{}]]};
    const SWEEP = "Clip skip sweep";
    const PLOT = "X/Y/Z plot";
    const MATRIX = "Prompt matrix";
    const LIST = "Prompts from file or textbox";
    const TAG = /<\s*clip[ _-]?skip\s*:/i;

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
        const asked = (clipSkip.read.passes?.first || NO_TAGS).prompt.flat().map((values) => values[encoder.tower]);
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
        const alternates = changes.length > each.length;
        const joined = (first, next) => (alternates ? tr("{first} and {next} in turn", {first, next}) : tr("{first}, then {next}", {first, next}));
        return each.reduce((first, next) => joined(first, next));
    }

    /** "first part 1, then 3; second part 4" */
    function byPart(values) {
        const named = [(one) => tr("first part {values}", one), (one) => tr("second part {values}", one)];
        const other = (one) => tr("part {number}: {values}", one);
        return values.map((text, index) => (named[index] || other)({values: text, number: index + 1})).join("; ");
    }

    /** Whether an encoder is left to the header by a tag's `values`. */
    const usesHeader = (values) => clipSkip.encoders().some((encoder) => encoder.header && !(encoder.tower in values));

    /**
     * A text of the page: whether a tag sets any of it, its values, these in words, if there is just one the skip, and
     * whether the header's value has a part in it.
     */
    function text(tab, pass, negative) {
        const hires = pass === "hires";
        const parts = (clipSkip.read.passes?.[pass] || NO_TAGS)[negative ? "negative" : "prompt"];
        const header = byHeader(clipSkip.headerValue());
        const otherwise = clipSkip.panelOn(tab) ? byValues(byPanel(tab, negative, hires), header) : header;
        const skips = parts.map((steps) => steps.map((values) => byValues(values, otherwise)));
        const numbers = skips.map((steps) => steps.map(number));
        const single = new Set(numbers.flat()).size === 1;
        const values = single ? numbers[0][0] : inTurn(numbers[0]);
        return {
            tagged: parts.flat().some((values) => CLIP.some((tower) => tower in values)),
            values,
            skips: single || parts.length === 1 ? tr("clip skip {values}", {values}) : byPart(numbers.map(inTurn)),
            skip: single ? skips[0][0] : undefined,
            byHeader: !clipSkip.panelOn(tab) && parts.flat().some(usesHeader),
        };
    }

    /** The prompt, and of the negative prompt and the hires pass what differs from what they follow. */
    clipSkip.decided = (tab) => {
        const prompt = text(tab, "first", false);
        const negative = text(tab, "first", true);
        const others = [];
        if (negative.skips !== prompt.skips) others.push(tr("negative prompt: {skips}", negative));
        if (clipSkip.hiresOn(tab)) {
            const hires = text(tab, "hires", false);
            const bad = text(tab, "hires", true);
            if (hires.skips !== prompt.skips) others.push(tr("hires pass: {skips}", hires));
            if (bad.skips !== hires.skips && bad.skips !== negative.skips) {
                others.push(tr("negative prompt in the hires pass: {skips}", bad));
            }
        }
        return {prompt, others, byHeader: prompt.byHeader || negative.byHeader};
    };

    /** Whether this script is the one in the list; Forge Classic writes "X/Y/Z Plot". */
    const chosen = (tab, title) => {
        const name = find(`#tab_${tab} #script_list input`)?.value.toLowerCase();
        return [title, tr(title)].some((known) => known.toLowerCase() === name);
    };

    clipSkip.sweepChosen = (tab) => Boolean(chosen(tab, SWEEP));

    /** The clip skips of the sweep, if it is the chosen script and they can be valid, and whether they are the prompt's. */
    clipSkip.sweep = (tab) => {
        if (!chosen(tab, SWEEP)) return {};
        const part = (name) => `#script_${tab}_clip_skip_sweep_${name}`;
        const values = find(`${part("clip_skips")} :is(textarea, input)`)?.value.trim() || "";
        if (!/^[-\d\s.,()+[\]]*\d[-\d\s.,()+[\]]*$/.test(values)) return {};
        const applied = find(`${part("apply_to")} input:checked`)?.value;
        return {values, ofPrompt: applied !== "Negative prompt", ofBoth: applied !== "Negative prompt" && applied !== "Prompt"};
    };

    /** Whether the prompt matrix is chosen and combines parts of which at least one has a tag. */
    clipSkip.matrixOfTags = (tab) => {
        if (!chosen(tab, MATRIX)) return false;
        const negative = find(`#script_${tab}_prompt_matrix_prompt_type input:checked`)?.value === "negative";
        const [, ...parts] = (clipSkip.prompt(tab, negative)?.value || "").split("|");
        return parts.some((part) => TAG.test(part));
    };

    /** Whether the prompts come from a list, and one of them has a tag. */
    clipSkip.listOfTags = (tab) =>
        chosen(tab, LIST) && TAG.test(find(`#script_${tab}_prompts_from_file_or_textbox_prompt_txt textarea`)?.value || "");

    /** The axes of the X/Y/Z plot that set a clip skip, where it is the script that is chosen; "Clip skip" is the host's. */
    clipSkip.plot = (tab) => {
        if (!chosen(tab, PLOT)) return [];
        const types = ["x", "y", "z"].map((axis) => find(`#script_${tab}_xyz_plot_${axis}_type input`)?.value || "");
        return types.filter((type) => type === "Clip skip" || type.startsWith("[Clip Skip]"));
    };
})();
