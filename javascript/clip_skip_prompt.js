// In the prompt box: completion of <clipskip:, Ctrl+Up and Ctrl+Down on a tag, and what is wrong with a tag.
(() => {
    window.clipSkip ??= {};
    const clipSkip = window.clipSkip;
    const PROMPTS = "#txt2img_prompt, #txt2img_neg_prompt, #img2img_prompt, #img2img_neg_prompt";
    const OPEN = /<clipskip:?([\d.]*)$/i;
    let list;
    let area;

    const isPrompt = (target) => target?.matches?.("textarea") && target.closest(PROMPTS);

    function choices(typed) {
        const encoders = clipSkip.encoders();
        const layers = Math.max(0, ...encoders.map((encoder) => encoder.layers)) || 12;
        const values = [...Array(layers).keys()].map((index) => index + 1);
        if (/^\d+\.\d*$/.test(typed)) values.unshift(parseFloat(typed));
        const clamp = (value, encoder) => Math.min(Math.max(value, encoder.native), encoder.layers);
        return values
            .filter((value) => String(value).startsWith(typed))
            .map((value) => [value, clipSkip.stops(encoders, (encoder) => clamp(value, encoder))]);
    }

    function close() {
        list?.remove();
        list = undefined;
        area?.removeAttribute("aria-activedescendant");
    }

    function open(target) {
        close();
        const typed = target.value.slice(0, target.selectionStart).match(OPEN);
        const offered = typed ? choices(typed[1]) : [];
        if (!offered.length) return;
        area = target;
        list = clipSkip.element("ul", {id: "clip_skip_completion"});
        list.setAttribute("role", "listbox");
        list.setAttribute("aria-label", clipSkip.tr("Clip skip"));
        offered.forEach(([value, meaning], index) => {
            const item = clipSkip.element(
                "li",
                {id: `clip_skip_choice_${index}`},
                clipSkip.element("b", {textContent: `<clipskip:${value}>`}),
                clipSkip.element("span", {textContent: meaning})
            );
            item.dataset.value = value;
            item.setAttribute("role", "option");
            item.addEventListener("mousedown", (event) => {
                event.preventDefault();
                accept(item);
            });
            list.append(item);
        });
        document.body.append(list);
        const box = target.getBoundingClientRect();
        const below = window.innerHeight - box.bottom;
        list.style.left = `${box.left + window.scrollX}px`;
        if (below > 160) list.style.top = `${box.bottom + window.scrollY}px`;
        else list.style.top = `${Math.max(0, box.top + window.scrollY - list.offsetHeight)}px`;
        select(list.firstChild);
    }

    function select(item) {
        for (const other of list.children) other.setAttribute("aria-selected", other === item);
        item.scrollIntoView({block: "nearest"});
        area.setAttribute("aria-activedescendant", item.id);
    }

    function accept(item) {
        const cursor = area.selectionStart;
        const start = cursor - area.value.slice(0, cursor).match(OPEN)[0].length;
        const rest = area.value.slice(cursor).replace(/^[\d.]*>?/, "");
        const tag = `<clipskip:${item.dataset.value}>`;
        clipSkip.write(area, area.value.slice(0, start) + tag + rest);
        area.setSelectionRange(start + tag.length, start + tag.length);
        close();
    }

    /** The keys of an open list; true when the key was for it. */
    function listKey(event) {
        const current = list.querySelector("[aria-selected=true]");
        const moves = {
            ArrowDown: () => select(current.nextSibling || list.firstChild),
            ArrowUp: () => select(current.previousSibling || list.lastChild),
            Enter: () => accept(current),
            Tab: () => accept(current),
            Escape: close,
        };
        if (event.ctrlKey || event.metaKey || !moves[event.key]) return false;
        moves[event.key]();
        return true;
    }

    /** Ctrl+Up and Ctrl+Down change the tag's first number by one; true when the cursor is in a tag. */
    function changeTag(event) {
        const step = {ArrowUp: 1, ArrowDown: -1}[event.key];
        const target = event.target;
        const span = (event.ctrlKey || event.metaKey) && step && clipSkip.tagAt(target.value, target.selectionStart);
        if (!span) return false;
        const [start, end] = span;
        const tag = target.value.slice(start, end);
        const deepest = Math.max(0, ...clipSkip.encoders().map((encoder) => encoder.layers)) || 12;
        const changed = tag.replace(/\d+(\.\d+)?/, (number) => Math.min(Math.max(parseFloat(number) + step, 1), deepest));
        const cursor = target.selectionStart;
        clipSkip.write(target, target.value.slice(0, start) + changed + target.value.slice(end));
        target.setSelectionRange(Math.min(cursor, start + changed.length - 1), Math.min(cursor, start + changed.length - 1));
        return true;
    }

    // Before the host's own shortcuts and other extensions, and only for what is ours.
    function onKey(event) {
        if (!isPrompt(event.target)) return;
        if ((list && listKey(event)) || changeTag(event)) {
            event.preventDefault();
            event.stopImmediatePropagation();
        }
    }

    /** Below the prompt: each bad tag, and why. */
    clipSkip.showWarnings = (tab, warnings) => {
        const prompt = clipSkip.find(`#${tab}_prompt`);
        if (!prompt) return;
        let note = clipSkip.find(`#${tab}_clip_skip_warnings`);
        if (!note && warnings.length) {
            note = clipSkip.element("div", {id: `${tab}_clip_skip_warnings`, className: "clip-skip-warnings"});
            note.setAttribute("role", "status");
            prompt.append(note);
        }
        const text = warnings.join("\n");
        if (note && note.textContent !== text) note.textContent = text;
        const area = clipSkip.prompt(tab);
        if (area.getAttribute("aria-invalid") !== String(warnings.length > 0)) area.setAttribute("aria-invalid", warnings.length > 0);
    };

    onUiLoaded(() => {
        document.addEventListener("keydown", onKey, true);
        document.addEventListener("input", (event) => isPrompt(event.target) && event.isTrusted && open(event.target), true);
        document.addEventListener("focusout", (event) => event.target === area && close(), true);
        document.addEventListener("pointerdown", (event) => list && !list.contains(event.target) && close(), true);
    });
})();
