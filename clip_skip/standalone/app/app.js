// What the standalone page has beside the extension's scripts: its checkpoint, LoRAs to complete, the viewer, dropped pictures.
(() => {
    const {clipSkip} = window;
    const {element, find, tr} = clipSkip;
    const LORA = /<\s*lora:([^<>:\n]*)$/i;
    const LORAS = 20;
    const address = clipSkip.address;
    const choices = clipSkip.choices;
    let loras = [];

    clipSkip.address = (path) => {
        const query = new URLSearchParams({checkpoint: opts.sd_model_checkpoint});
        return `${address(path)}${path.includes("?") ? "&" : "?"}${query}`;
    };

    /** Names of LoRAs, those that begin with what was typed before those that have it elsewhere. */
    clipSkip.choices = (text) => {
        const typed = text.match(LORA)?.[1].toLowerCase();
        if (typed === undefined) return choices(text);
        const place = (name) => name.toLowerCase().indexOf(typed);
        const found = loras.filter((name) => place(name) >= 0).sort((one, other) => Math.sign(place(one)) - Math.sign(place(other)));
        const offered = found.slice(0, LORAS).map((name) => ({text: `${name}:1`, label: `<lora:${name}:1>`, meaning: "LoRA"}));
        return {replaces: typed.length, offered};
    };

    /** The cells of the sweep that was just made, in the place that the page has for them. */
    function showViewer() {
        const place = find(".clip-skip-viewer-here:empty");
        if (!place) return;
        const theme = document.body.classList.contains("dark") ? "dark" : "light";
        const src = `${place.dataset.source}?picks&theme=${theme}&at=${Date.now()}`;
        place.append(element("iframe", {src, title: tr("The cells of the sweep"), className: "clip-skip-viewer", "data-tab": "txt2img"}));
    }

    /** A picture that is dropped anywhere goes where gradio takes files. */
    function onDrop(event) {
        const input = find("#clip_skip_app_like input[type=file]");
        if (!event.dataTransfer?.files.length || !input || event.target.closest("#clip_skip_app_like")) return;
        event.preventDefault();
        input.files = event.dataTransfer.files;
        input.dispatchEvent(new Event("change", {bubbles: true}));
    }

    onUiLoaded(async () => {
        document.addEventListener("dragover", (event) => event.preventDefault());
        document.addEventListener("drop", onDrop);
        try {
            loras = await clipSkip.fetch("loras");
        } catch (error) {
            console.warn("Clip Skip:", error.message);
        }
    });
    onAfterUiUpdate(showViewer);
})();
