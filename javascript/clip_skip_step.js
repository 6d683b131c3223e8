// Ctrl+Up and Ctrl+Down change the number of the tag at the cursor by one.
(() => {
    window.clipSkip ??= {};
    const clipSkip = window.clipSkip;
    const TAG = /<\s*clipskip(?![\w-])[^<>]*>/gi;

    /** The tag in which, at either edge of which, or around which the selection is. */
    function tagAt(text, from, to) {
        const around = (match) => match.index <= from && to <= match.index + match[0].length;
        return [...text.matchAll(TAG)].find(around);
    }

    /** The number of the part, ":g=3", in which the cursor is; in no part with a number, the first one. */
    function numberAt(tag, cursor) {
        const parts = [...tag.matchAll(/:\s*(?:(\w+)\s*=)?\s*[-+]?(\d+(?:\.\d+)?)/g)];
        const part = parts.filter((match) => match.index < cursor).at(-1) || parts[0];
        const start = part && part.index + part[0].length - part[2].length;
        return part && {name: (part[1] || "").toLowerCase(), value: Number(part[2]), start, end: start + part[2].length};
    }

    function onKey(event) {
        const step = {ArrowUp: 1, ArrowDown: -1}[event.key];
        const area = event.target;
        if (!step || !(event.ctrlKey || event.metaKey) || !clipSkip.isPrompt(area)) return;
        const {selectionStart, selectionEnd} = area;
        const match = tagAt(area.value, selectionStart, selectionEnd);
        const number = match && numberAt(match[0], selectionStart - match.index);
        if (!number) return;
        event.preventDefault();
        event.stopImmediatePropagation();
        const deepest = clipSkip.depth(number.name);
        const value = Number(Math.min(Math.max(number.value + step, 1), deepest).toFixed(4));
        const [start, end] = [match.index + number.start, match.index + number.end];
        if (value === number.value) return;
        clipSkip.replace(area, start, end, String(value));
        const shift = String(value).length - (end - start);
        const kept = (at) => (at <= start ? at : at >= end ? at + shift : Math.min(at, end + shift));
        area.setSelectionRange(kept(selectionStart), kept(selectionEnd));
    }

    onUiLoaded(() => document.addEventListener("keydown", onKey, true));
})();
