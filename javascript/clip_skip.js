// What the other files share: language, elements, the host's widgets, and the panel.
(() => {
    window.clipSkip ??= {};
    const clipSkip = window.clipSkip;
    const TABS = ["txt2img", "img2img"];

    /** `template` in the page's language, with {name} replaced by values.name. */
    clipSkip.tr = (template, values = {}) => {
        const text = window.localization?.[template] || template;
        return text.replace(/\{(\w+)\}/g, (all, name) => (name in values ? values[name] : all));
    };

    clipSkip.element = (tag, attributes = {}, ...children) => {
        const made = Object.assign(document.createElement(tag), attributes);
        made.append(...children);
        return made;
    };

    clipSkip.find = (selector) => gradioApp().querySelector(selector);
    clipSkip.prompt = (tab, negative = false) => clipSkip.find(`#${tab}_${negative ? "neg_" : ""}prompt textarea`);
    clipSkip.panel = (tab, name) => clipSkip.find(`#script_${tab}_clip_skip_${name} input[type=number]`);
    clipSkip.panelOn = (tab) => Boolean(clipSkip.find(`#script_${tab}_clip_skip_enabled-checkbox input`)?.checked);
    clipSkip.tabs = () => TABS.filter((tab) => clipSkip.prompt(tab));

    /** The tab in view. */
    clipSkip.tab = () => clipSkip.tabs().find((tab) => clipSkip.prompt(tab).offsetParent) || clipSkip.tabs()[0];

    clipSkip.write = (input, value) => {
        input.value = value;
        updateInput(input);
    };

    clipSkip.fetch = async (path, body) => {
        const settings = body && {
            method: "POST",
            headers: {"Content-Type": "application/json"},
            body: JSON.stringify(body),
        };
        const answer = await fetch(`./clip-skip/v1/${path}`, settings);
        if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
        return answer.json();
    };

    /** Puts `tag` into the prompt at the cursor, in the place of the tag it is in. */
    clipSkip.insertTag = (tab, tag, negative = false) => {
        const area = clipSkip.prompt(tab, negative);
        const [start, end] = clipSkip.tagAt(area.value, area.selectionStart) || [area.selectionStart, area.selectionEnd];
        const written = /[^\s<>()[\]|:]$/.test(area.value.slice(0, start)) ? ` ${tag}` : tag;
        clipSkip.write(area, area.value.slice(0, start) + written + area.value.slice(end));
        area.focus();
        area.setSelectionRange(start + written.length, start + written.length);
    };

    /** Where the tag begins and ends in which the cursor is, or nothing. */
    clipSkip.tagAt = (text, cursor) => {
        for (const match of text.matchAll(/<\s*clipskip(?![\w-])[^<>]*>/gi)) {
            const end = match.index + match[0].length;
            if (match.index < cursor && cursor < end) return [match.index, end];
        }
        return undefined;
    };

    /** The panel's values as tags for the prompt and, if it has its own, the negative prompt. */
    clipSkip.panelTags = (tab) => {
        const value = (name) => Number(clipSkip.panel(tab, name)?.value || 0);
        const more = (value("clip_g") ? `:g=${value("clip_g")}` : "") + (value("hires") ? `:hires=${value("hires")}` : "");
        const tag = (number) => `<clipskip:${number}${more}>`;
        return [tag(value("clip_skip") || 1), value("negative") ? tag(value("negative")) : ""];
    };

    // Opening or ticking the panel changes nothing: it starts from the header's value.
    function startFromHeader(tab) {
        const header = clipSkip.headerValue();
        const number = clipSkip.panel(tab, "clip_skip");
        if (number && header > 1 && Number(number.value) === 1) clipSkip.write(number, header);
    }

    function watchPanel(tab) {
        const accordion = clipSkip.find(`#script_${tab}_clip_skip_enabled`);
        const label = accordion?.querySelector(".label-wrap");
        if (!label) return;
        const click = (event) => {
            // only a user's own click: a paste opens the panel too, and brings its value along
            if (event.isTrusted && label.contains(event.target)) startFromHeader(tab);
        };
        accordion.addEventListener("click", click, true);
        if (label.tagName === "BUTTON") return;
        // gradio 3's accordion cannot be opened without a mouse
        label.tabIndex = 0;
        label.setAttribute("role", "button");
        label.addEventListener("keydown", (event) => {
            if (event.target !== label || !["Enter", " "].includes(event.key)) return;
            event.preventDefault();
            startFromHeader(tab);
            label.click();
        });
    }

    function addTagButton(tab) {
        const place = clipSkip.find(`#script_${tab}_clip_skip_tools`);
        if (!place) return;
        const button = clipSkip.element("button", {
            type: "button",
            className: "clip-skip-button",
            textContent: clipSkip.tr("Insert as a tag"),
            title: clipSkip.tr("Writes the panel's values into the prompt, at the cursor"),
        });
        button.addEventListener("click", () => {
            const [tag, negative] = clipSkip.panelTags(tab);
            if (negative) clipSkip.insertTag(tab, negative, true);
            clipSkip.insertTag(tab, tag);
        });
        place.append(button, clipSkip.element("div", {className: "clip-skip-suggestions"}));
    }

    onUiLoaded(() => {
        for (const tab of clipSkip.tabs()) {
            watchPanel(tab);
            addTagButton(tab);
        }
    });
})();
