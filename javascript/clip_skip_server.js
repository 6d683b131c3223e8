// Asks the server about the model and the prompts whenever they change, and has the other files show the answers.
(() => {
    window.clipSkip ??= {};
    const clipSkip = window.clipSkip;
    const WORTH_ASKING = /<\s*clip[ _-]?skip|<lora:|<lyco:/i;
    const LONGEST_WAIT = 10_000; // milliseconds
    const keys = {};
    let tries = 0;
    let timer;

    /** The loaded model, and the answer about the boxes when they last changed. */
    clipSkip.known = {model: null, encoders: []};
    clipSkip.read = {tag: null, boxes: {}, suggestions: [], problems: []};
    clipSkip.encoders = () => clipSkip.known.encoders;

    /** The text encoders that are not CLIP: only a tag with their name, `tower`, reaches them. */
    clipSkip.named = () => clipSkip.known.named || [];

    function show() {
        const tab = clipSkip.tab();
        if (!tab) return;
        clipSkip.showReadout(tab);
        clipSkip.showWarnings(tab, clipSkip.read.boxes);
        clipSkip.showSuggestions(tab, clipSkip.read);
        clipSkip.showPictureSuggestions(tab);
        for (const each of clipSkip.tabs()) clipSkip.showPanel(each);
    }

    async function ask(what, key, path, body) {
        if (keys[what] === key) return undefined;
        keys[what] = key;
        try {
            const answer = await clipSkip.fetch(path, body);
            return keys[what] === key ? answer : undefined;
        } catch (error) {
            console.warn("Clip Skip:", error.message);
            return undefined;
        }
    }

    /** The loaded model. While the host is still loading one, it is asked for again, ever less often. */
    async function loadedModel(tab) {
        const made = clipSkip.find(`#generation_info_${tab} textarea`)?.value || "";
        const shown = clipSkip.find("#quicksettings .model_selection input")?.value || "";
        const key = JSON.stringify([opts.sd_model_checkpoint, opts.sd_checkpoint_hash, opts.sdxl_clip_l_skip, made, shown]);
        const answer = await ask("encoders", key, "encoders");
        if (!answer) return undefined;
        tries = answer.loading ? tries + 1 : 0;
        if (answer.loading) setTimeout(() => askAgain(key), Math.min(500 * tries, LONGEST_WAIT));
        return answer;
    }

    function askAgain(key) {
        if (keys.encoders !== key) return;
        keys.encoders = undefined;
        update();
    }

    function boxesOf(tab) {
        const texts = Object.entries(clipSkip.boxes(tab)).map(([name, area]) => [name, clipSkip.finished(area)]);
        const styles = clipSkip.styles(tab);
        const value = clipSkip.valueIn(tab);
        const steps = {steps: clipSkip.number(`#${tab}_steps`), hires_steps: clipSkip.number(`#${tab}_hires_steps`)};
        const written = texts.map(([, text]) => text).join("\n");
        const worth = WORTH_ASKING.test(written) || styles.length || clipSkip.read.tag || clipSkip.read.warnings?.length;
        const body = {...Object.fromEntries(texts), styles, value, ...steps};
        return ask("read", JSON.stringify([tab, worth ? body : value, clipSkip.known.checkpoint]), "read", body);
    }

    async function update() {
        show();
        const tab = clipSkip.tab();
        if (!tab) return;
        const loaded = await loadedModel(tab);
        if (loaded) {
            clipSkip.known = loaded;
            setDepths();
        }
        const read = await boxesOf(tab);
        if (read) clipSkip.read = read;
        if (loaded || read) show();
    }

    // The panel's sliders end where the model's encoders do.
    function setDepths() {
        for (const tab of clipSkip.tabs()) {
            const range = clipSkip.panel(tab, "clip_skip");
            const layers = clipSkip.encoders().length ? clipSkip.encoders()[0].layers : 12;
            if (range && Number(range.max) !== layers) clipSkip.find(`#script_${tab}_clip_skip_depths`)?.click();
        }
    }

    function schedule(delay) {
        clearTimeout(timer);
        timer = setTimeout(update, delay);
    }

    /** Something that the server reads has changed. */
    clipSkip.changed = () => schedule(400);

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
