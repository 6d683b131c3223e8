// Under the pictures of a sweep: the page that was saved of it, as a link.
(() => {
    const PAGE = /[:：]\s*(\S.*clip_skip_sweep[^/\\]*\.html)\s*$/;

    function link(log) {
        const walker = document.createTreeWalker(log, NodeFilter.SHOW_TEXT);
        for (let text = walker.nextNode(); text; text = walker.nextNode()) {
            const found = text.data.match(PAGE);
            if (!found || text.parentElement.closest("a")) continue;
            const anchor = document.createElement("a");
            anchor.href = `file=${found[1].split("/").map(encodeURIComponent).join("/")}`;
            anchor.target = "_blank";
            anchor.className = "clip-skip-page";
            anchor.textContent = found[1];
            text.splitText(text.data.indexOf(found[1])).replaceWith(anchor);
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
