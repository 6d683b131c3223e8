// Under the pictures of a sweep: the page that was saved of it, as a link.
(() => {
    const PAGE = /[:：]\s*(\S.*clip_skip_sweep[^/\\]*\.html)\s*$/;

    function link(log) {
        const walker = document.createTreeWalker(log, NodeFilter.SHOW_TEXT);
        for (let text = walker.nextNode(); text; text = walker.nextNode()) {
            const found = text.data.match(PAGE);
            if (!found || text.parentElement.closest("a")) continue;
            const made = document.createElement("a");
            made.href = `file=${found[1]}`;
            made.target = "_blank";
            made.className = "clip-skip-page";
            made.textContent = found[1];
            text.splitText(text.data.indexOf(found[1])).replaceWith(made);
            return;
        }
    }

    onAfterUiUpdate(() => {
        for (const tab of ["txt2img", "img2img"]) {
            const log = gradioApp().querySelector(`#html_log_${tab}`);
            if (log?.textContent.includes("clip_skip_sweep")) link(log);
        }
    });
})();
