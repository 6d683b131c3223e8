// Under a picture in PNG Info: which tool made it, and at which clip skip.
(() => {
    window.clipSkip ??= {};
    const clipSkip = window.clipSkip;
    const {find} = clipSkip;
    let shown = "";

    async function inBase64(address) {
        if (address.startsWith("data:")) return address;
        const blob = await (await fetch(address)).blob();
        return new Promise((resolve, reject) => {
            const reader = new FileReader();
            reader.onload = () => resolve(reader.result);
            reader.onerror = () => reject(reader.error);
            reader.readAsDataURL(blob);
        });
    }

    /** The place under the picture, made when it is first needed. */
    function place() {
        const own = find("#clip_skip_png_info");
        if (own) return own;
        const picture = find("#pnginfo_image");
        if (!picture) return undefined;
        const made = clipSkip.element("div", {id: "clip_skip_png_info", className: "clip-skip-picture-facts", role: "status"});
        picture.after(made);
        return made;
    }

    function show(lines) {
        const note = place();
        if (note) note.replaceChildren(...lines.map((line) => clipSkip.element("div", {textContent: line})));
    }

    async function update() {
        const address = find("#pnginfo_image img")?.src || "";
        if (address === shown) return;
        shown = address;
        show([]);
        if (!address) return;
        try {
            const answer = await clipSkip.fetch("picture", {picture: await inBase64(address)});
            if (address === shown) show(answer.sentences || [answer.problem]);
        } catch (error) {
            console.warn("Clip Skip:", error.message);
        }
    }

    onAfterUiUpdate(update);
})();
