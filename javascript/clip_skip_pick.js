// A cell of a sweep becomes the page's own: its clip skip, and, if wanted, all that the next Generate needs to make it again.
(() => {
    window.clipSkip ??= {};
    const clipSkip = window.clipSkip;
    const {find, tr} = clipSkip;
    const NUMBERS = {steps: "Steps", cfg_scale: "CFG scale", seed: "Seed"};
    const until = async (done, tries = 50) => {
        for (let left = tries; left > 0 && !done(); left -= 1) await new Promise((resolve) => setTimeout(resolve, 100));
        return done();
    };
    clipSkip.until = until;

    /** The texts and the entries of an infotext. */
    function parts(infotext) {
        const end = infotext.lastIndexOf("\n");
        const [prompt, negative = ""] = infotext.slice(0, Math.max(end, 0)).split(/\n?Negative prompt: ?/);
        const last = infotext.slice(end + 1);
        const entry = (key) => last.match(new RegExp(`(?:^|, )${key}: ([^,]+)`))?.[1] ?? "";
        return {prompt, negative, entry};
    }

    /** The tags of prompt and negative prompt that make this cell: from what the panel would be, or from its own tags. */
    clipSkip.tagsOf = (infotext, value) => {
        const {prompt, negative, entry} = parts(infotext);
        const read = (key) => Number(entry(key)) || 0;
        const panel = read("Clip skip panel");
        if (!panel) {
            const own = (text) => text.match(/^\s*(<clipskip:[^<>]*>)/)?.[1];
            return [own(prompt) || `<clipskip:${value}>`, own(negative) || ""];
        }
        const [bad, hires, clip_g] = ["negative", "hires", "G"].map((name) => read(`Clip skip ${name}`));
        const more = (clip_g ? `:g=${clip_g}` : "") + (hires ? `:hires=${hires}` : "");
        return [`<clipskip:${panel}${more}>`, bad ? `<clipskip:${bad}${more}>` : ""];
    };

    const untagged = async (text, negative) => (await clipSkip.fetch("put", {text, tag: "", negative})).text.replace(/\s+/g, " ").trim();

    /** Puts `text` into the box, unless it is there already but for its tags. Styles are in a picture's texts, so with styles the box stays. */
    async function putText(tab, text, negative) {
        const area = clipSkip.prompt(tab, negative);
        if (!area || clipSkip.styles(tab).length) return;
        if ((await untagged(area.value, negative)) !== (await untagged(text, negative))) clipSkip.rewrite(area, text);
    }

    function putNumber(tab, name, value) {
        const input = find(`:is(#${tab}_${name}, #clip_skip_app_${name}) input:not([type=range])`);
        if (input && value && Number(input.value) !== Number(value)) clipSkip.write(input, value);
    }

    /** Whether the chosen script is none now. */
    async function turnSweepOff(tab) {
        if (!clipSkip.sweepChosen(tab)) return true;
        find(`#script_${tab}_clip_skip_sweep_off`)?.click();
        return until(() => !clipSkip.sweepChosen(tab));
    }

    async function putWhole(tab, infotext) {
        const {prompt, negative, entry} = parts(infotext);
        await putText(tab, negative, true);
        await putText(tab, prompt, false);
        for (const [name, key] of Object.entries(NUMBERS)) putNumber(tab, name, entry(key));
        const [width, height] = entry("Size").split("x");
        putNumber(tab, "width", width);
        putNumber(tab, "height", height);
        return turnSweepOff(tab);
    }

    async function putIntoHeader(tab, header) {
        const number = clipSkip.slider()?.querySelector("input[type=number]");
        if (!number) return;
        const box = find(`#script_${tab}_clip_skip_enabled-checkbox input`);
        if (box?.checked) find(`#script_${tab}_clip_skip_enabled-visible-checkbox`)?.click();
        for (const token of gradioApp().querySelectorAll(`#${tab}_override_settings .token`)) {
            if (token.textContent.trim().startsWith("Clip skip:")) token.querySelector(".token-remove")?.click();
        }
        await clipSkip.putTag(tab, "", true);
        await clipSkip.putTag(tab, "");
        clipSkip.write(number, header);
    }

    /** Makes the cell the page's own; returns what was done, in words. */
    clipSkip.pick = async (tab, {infotext, value, as, header, whole}) => {
        const off = whole && (await putWhole(tab, infotext));
        if (as === "header" && header) {
            await putIntoHeader(tab, header);
        } else {
            const [prompt, negative] = clipSkip.tagsOf(infotext, value);
            await clipSkip.putTag(tab, negative, true);
            await clipSkip.putTag(tab, prompt);
        }
        const done = as === "header" ? tr("Clip skip {value} is now in the header.", {value}) : tr("Clip skip {value} is now the prompt's tag.", {value});
        return off ? `${done} ${tr("Prompts, steps, size, CFG scale and seed are this picture's, and no sweep is selected: Generate makes this picture.")}` : done;
    };

    /** The infotext and the clip skip of the cell that is selected in the gallery; undefined for any other picture. */
    function selectedCell(tab) {
        const index = selected_gallery_index();
        const cell = clipSkip.cells(tab).find(({picture}) => picture === index);
        return cell && {infotext: cell.infotext, value: cell.column};
    }

    // The host sends the values of the page with the picture; a cell has a clip skip of its own, which becomes its tags.
    async function sendCell(from) {
        const cell = selectedCell(from);
        const prompt = clipSkip.prompt("img2img");
        if (!cell || !prompt) return;
        const [tag, negative] = clipSkip.tagsOf(cell.infotext, cell.value);
        const sent = clipSkip.prompt(from).value;
        await until(() => prompt.value === sent, 600);
        // where the prompts were equal before, the host's answer may still come and put this one's tag there again
        for (let tries = 0; tries < 50 && prompt.value === sent; tries += 1) {
            await clipSkip.putTag("img2img", negative, true);
            await clipSkip.putTag("img2img", tag);
            await until(() => prompt.value === sent, 20);
        }
    }

    onUiLoaded(() => {
        for (const tab of clipSkip.tabs()) {
            const send = find(`#image_buttons_${tab}`);
            const click = ({target}) => {
                if (target.closest("[id$=_send_to_img2img], [id$=_send_to_inpaint], #img2img_tab, #inpaint_tab")) sendCell(tab);
            };
            send?.addEventListener("click", click, true); // before the host shows the other tab: then no picture is selected
        }
    });
})();
