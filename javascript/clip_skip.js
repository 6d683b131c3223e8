// What the other files share: language, elements, the host's widgets, and writing into a box.
(() => {
    window.clipSkip ??= {};
    const clipSkip = window.clipSkip;
    const TABS = ["txt2img", "img2img"];

    /** `template` in the page's language, with {name} replaced by values.name. */
    clipSkip.tr = (template, values = {}) => {
        const text = window.localization?.[template] || template;
        return text.replace(/\{(\w+)\}/g, (all, name) => (name in values ? values[name] : all));
    };

    /** An element with properties, attributes (those with a dash, and role) and children. */
    clipSkip.element = (tag, attributes = {}, ...children) => {
        const node = document.createElement(tag);
        for (const [name, value] of Object.entries(attributes)) {
            if (name === "role" || name.includes("-")) node.setAttribute(name, value);
            else node[name] = value;
        }
        node.append(...children);
        return node;
    };

    clipSkip.button = (text, title, click) => {
        const button = clipSkip.element("button", {type: "button", className: "clip-skip-button", textContent: text, title});
        button.addEventListener("click", click);
        return button;
    };

    /** Whether a setting of the host's Settings page is on, or unknown to the host. Neo's `opts` is not on `window`. */
    clipSkip.wanted = (name) => typeof opts === "undefined" || opts[`clip_skip_${name}`] !== false;

    clipSkip.find = (selector) => gradioApp().querySelector(selector);
    clipSkip.prompt = (tab, negative = false) => clipSkip.find(`#${tab}_${negative ? "neg_" : ""}prompt textarea`);
    clipSkip.panel = (tab, name) => clipSkip.find(`#script_${tab}_clip_skip_${name} input[type=number]`);
    clipSkip.panelOn = (tab) => Boolean(clipSkip.find(`#script_${tab}_clip_skip_enabled-checkbox input`)?.checked);
    clipSkip.hiresOn = (tab) => Boolean(clipSkip.find(`#${tab}_hr-checkbox input`)?.checked);
    clipSkip.number = (selector) => Number(clipSkip.find(`${selector} input[type=number]`)?.value || 0);
    clipSkip.tabs = () => TABS.filter((tab) => clipSkip.prompt(tab));

    /** Gradio 3 gives the number of a slider no name of its own. */
    clipSkip.nameNumbers = (place) => {
        for (const number of gradioApp().querySelectorAll(`${place} input[type=number]`)) {
            const label = number.closest(".block")?.querySelector("label span")?.textContent.trim();
            if (label && !number.labels?.length && !number.ariaLabel) number.ariaLabel = label;
        }
    };

    /** The tab in view. */
    clipSkip.tab = () => clipSkip.tabs().find((tab) => clipSkip.prompt(tab).offsetParent) || clipSkip.tabs()[0];

    /** The boxes of `tab` that the server reads, by the names it has for them. */
    clipSkip.boxes = (tab) => {
        const hires = (name) => (tab === "txt2img" ? clipSkip.find(`#${name} textarea`) : null);
        const boxes = {
            prompt: clipSkip.prompt(tab),
            negative: clipSkip.prompt(tab, true),
            hires_prompt: hires("hires_prompt"),
            hires_negative: hires("hires_neg_prompt"),
        };
        return Object.fromEntries(Object.entries(boxes).filter(([, area]) => area));
    };

    /** The styles that are selected but not yet applied. */
    clipSkip.styles = (tab) => {
        const tokens = clipSkip.find(`#${tab}_styles`)?.querySelectorAll(".token > span") || [];
        return [...tokens].map((token) => token.textContent.trim());
    };

    clipSkip.write = (input, value) => {
        input.value = value;
        updateInput(input);
    };

    /** Puts `text` in the place of what is from `start` to `end` in `area`, so that the browser can undo it. */
    clipSkip.replace = (area, start, end, text) => {
        const wanted = area.value.slice(0, start) + text + area.value.slice(end);
        area.focus({preventScroll: true});
        area.setSelectionRange(start, end);
        clipSkip.writing = true;
        const command = text ? "insertText" : "delete";
        if (start !== end || text) document.execCommand(command, false, text);
        clipSkip.writing = false;
        if (area.value !== wanted) clipSkip.write(area, wanted);
        area.setSelectionRange(start + text.length, start + text.length);
    };

    /** Puts what differs between the box and `text` into the box. */
    clipSkip.rewrite = (area, text) => {
        const old = area.value;
        if (old === text) return;
        let start = 0;
        while (start < old.length && old[start] === text[start]) start += 1;
        let same = 0;
        const most = Math.min(old.length, text.length) - start;
        while (same < most && old[old.length - 1 - same] === text[text.length - 1 - same]) same += 1;
        clipSkip.replace(area, start, old.length - same, text.slice(start, text.length - same));
    };

    clipSkip.address = (path) => `./clip-skip/v1/${path}`;

    clipSkip.fetch = async (path, body) => {
        const settings = body && {
            method: "POST",
            headers: {"Content-Type": "application/json"},
            body: JSON.stringify(body),
        };
        const answer = await fetch(clipSkip.address(path), settings);
        if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
        return answer.json();
    };

    /** Makes `tag` the prompt's own, in the place of the one it has; "" takes that out. The server knows where. */
    clipSkip.putTag = async (tab, tag, negative = false) => {
        const area = clipSkip.prompt(tab, negative);
        const before = area.value;
        try {
            const {text} = await clipSkip.fetch("put", {text: before, tag, negative});
            if (area.value === before) clipSkip.rewrite(area, text);
        } catch (error) {
            console.warn("Clip Skip:", error.message);
        }
    };
})();
