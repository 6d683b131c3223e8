// Below each box: what is wrong with the tags in it.
(() => {
    window.clipSkip ??= {};
    const clipSkip = window.clipSkip;

    function show(area, warnings, styles) {
        const box = area.closest("[id$=prompt]");
        const id = `${box.id.replace(/_?prompt$/, "")}_clip_skip_warnings`;
        const text = [...warnings, ...styles].join("\n");
        let note = clipSkip.find(`#${id}`);
        if (!note && text) {
            note = clipSkip.element("div", {id, className: "clip-skip-warnings", role: "status"});
            box.append(note);
        }
        if (note && note.textContent !== text) note.textContent = text;
        const invalid = String(warnings.length > 0);
        if (area.getAttribute("aria-invalid") !== invalid) area.setAttribute("aria-invalid", invalid);
        if (text) area.setAttribute("aria-describedby", id);
        else area.removeAttribute("aria-describedby");
    }

    /** boxes: the server's sentences for each box, and for the styles, which are told below the prompt. */
    clipSkip.showWarnings = (tab, boxes) => {
        const styles = (boxes.styles || []).map((sentence) => clipSkip.tr("In a style: {sentence}", {sentence}));
        for (const [name, area] of Object.entries(clipSkip.boxes(tab))) {
            show(area, boxes[name] || [], name === "prompt" ? styles : []);
        }
    };
})();
