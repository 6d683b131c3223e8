// A button that fills the sweep with a picture's settings: under the gallery, and in PNG Info.
(() => {
    window.clipSkip ??= {};
    const clipSkip = window.clipSkip;
    const {find, tr} = clipSkip;

    /** The settings of the picture that is selected in the gallery of `tab`, or the first one's. */
    function ofGallery(tab) {
        const {infotexts = []} = JSON.parse(find(`#generation_info_${tab} textarea`)?.value || "{}");
        return infotexts[Math.max(selected_gallery_index(), 0)] || "";
    }

    const ofPngInfo = () => {
        const texts = [...gradioApp().querySelectorAll("#tab_pnginfo .prose p")].map((one) => one.textContent);
        return texts.find((text) => /\bSteps: \d+/.test(text)) || "";
    };

    /** The host's own paste reads the settings from the prompt box, and chooses the script. */
    async function fill(tab, infotext, note) {
        if (!infotext) {
            note.textContent = tr("There is no picture yet.");
            return;
        }
        const answer = await clipSkip.fetch("sweep-of", {infotext}).catch((error) => ({error: error.message}));
        note.textContent = answer.error || "";
        if (answer.error) return;
        if (tab === "txt2img") switch_to_txt2img();
        const area = clipSkip.prompt(tab);
        clipSkip.write(area, answer.infotext);
        await new Promise(requestAnimationFrame); // gradio has the text from the next frame on
        find(`#tab_${tab} #paste`).click();
        const field = `#script_${tab}_clip_skip_sweep_clip_skips textarea`;
        const pasted = await clipSkip.until(() => find(field)?.offsetParent && area.value !== answer.infotext);
        // the host's answer about the prompt gets lost now and then: the infotext must not become the prompt
        if (area.value === answer.infotext) clipSkip.write(area, answer.prompt);
        if (!pasted && !find(field)?.offsetParent) note.textContent = tr("The WebUI did not take the settings; please try again.");
        find(field)?.focus();
    }

    function add(row, tab, infotext) {
        if (!row || row.nextElementSibling?.matches(".clip-skip-from-picture")) return;
        const note = clipSkip.element("span", {className: "clip-skip-note", role: "status"});
        const title = tr("Fills the sweep with this picture's settings and seed");
        const button = clipSkip.button(tr("Sweep clip skip"), title, () => fill(tab, infotext(), note));
        row.after(clipSkip.element("div", {className: "clip-skip-from-picture"}, button, note));
    }

    onUiLoaded(() => {
        for (const tab of clipSkip.tabs()) {
            if (find(`#script_${tab}_clip_skip_sweep_clip_skips`)) add(find(`#image_buttons_${tab}`), tab, () => ofGallery(tab));
        }
        add(find("#tab_pnginfo #txt2img_tab")?.parentElement, "txt2img", ofPngInfo);
    });
})();
