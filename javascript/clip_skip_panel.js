// The panel: its title, its fields, and its values as a tag.
(() => {
    window.clipSkip ??= {};
    const clipSkip = window.clipSkip;
    const {element, find, tr} = clipSkip;
    const accordion = (tab) => find(`#script_${tab}_clip_skip_enabled`);

    /** The panel's values as tags for the prompt and, if it has its own, the negative prompt. */
    function tags(tab) {
        const value = (name) => clipSkip.panelValue(tab, name);
        const shown = (name) => (hidden(tab).includes(name) ? 0 : value(name));
        const more = (shown("clip_g") ? `:g=${shown("clip_g")}` : "") + (value("hires") ? `:hires=${value("hires")}` : "");
        const tag = (number) => `<clipskip:${number}${more}>`;
        return [tag(value("clip_skip") || 1), value("negative") ? tag(value("negative")) : ""];
    }

    /** "1.5, negative 4" */
    function summary(tab) {
        const value = (name) => clipSkip.panelValue(tab, name);
        const own = {negative: tr("negative {value}", {value: value("negative")}), hires: tr("hires {value}", {value: value("hires")})};
        own.clip_g = `CLIP-G ${value("clip_g")}`;
        const given = Object.keys(own).filter((name) => value(name) && !hidden(tab).includes(name));
        return [value("clip_skip") || 1, ...given.map((name) => own[name])].join(", ");
    }

    /** The fields that have no effect: on the loaded model, or because there is no hires pass. */
    function hidden(tab) {
        const names = clipSkip.encoders().some((encoder) => encoder.tower === "g") ? [] : ["clip_g"];
        return clipSkip.hiresOn(tab) ? names : [...names, "hires"];
    }

    /** Rows and columns that cannot work now are not offered by the sweep, unless one of them is chosen already. */
    function hideRows(tab, hides) {
        for (const name of ["rows", "columns"]) {
            const list = find(`#script_${tab}_clip_skip_sweep_${name}`);
            if (list && list.dataset.clipSkipHides !== hides) list.dataset.clipSkipHides = hides;
        }
        const columns = find(`#script_${tab}_clip_skip_sweep_columns`);
        const chosen = columns?.querySelector("input")?.value || "";
        columns?.classList.toggle("clip-skip-hidden", hides.includes("clip_g") && ["Clip skip", tr("Clip skip")].includes(chosen));
    }

    clipSkip.showPanel = (tab) => {
        const panel = accordion(tab);
        const hides = hidden(tab).join(" ");
        hideRows(tab, hides);
        if (!panel) return;
        if (panel.dataset.clipSkipHides !== hides) panel.dataset.clipSkipHides = hides;
        const title = panel.querySelector(".clip-skip-summary");
        const text = clipSkip.panelOn(tab) ? `: ${summary(tab)}` : "";
        if (title && title.textContent !== text) title.textContent = text;
        const label = panel.querySelector(".clip-skip-title") || panel.querySelector(".label-wrap");
        const expanded = String(panel.querySelector(".label-wrap").classList.contains("open"));
        if (label.getAttribute("aria-expanded") !== expanded) label.setAttribute("aria-expanded", expanded);
    };

    // Opening or ticking the panel changes nothing: it starts from the header's value.
    function startFromHeader(tab) {
        const header = clipSkip.headerValue();
        const number = clipSkip.panel(tab, "clip_skip");
        if (number && header > 1 && Number(number.value) === 1) clipSkip.write(number, header);
    }

    // The arrow keys of gradio's list stop at options that are not seen, too.
    function skipHidden({key, target}) {
        const list = target.closest?.("[data-clip-skip-hides]");
        if (!["ArrowDown", "ArrowUp"].includes(key) || !list) return;
        const active = list.querySelector("ul.options li.active");
        if (active && !active.offsetParent && getComputedStyle(active).display === "none") {
            target.dispatchEvent(new KeyboardEvent("keydown", {key, code: key, bubbles: true}));
        }
    }

    /** Gradio 3's title cannot be reached without a mouse; its text becomes the button, beside the host's check box. */
    function makeTitle(tab, label) {
        find(`#script_${tab}_clip_skip_enabled-visible-checkbox`)?.setAttribute("aria-label", tr("Clip Skip"));
        const shown = element("span", {className: "clip-skip-summary"});
        const span = label.querySelector("span");
        if (label.tagName === "BUTTON") {
            span.append(shown);
            return;
        }
        const text = [...span.childNodes].find((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
        const title = element("span", {className: "clip-skip-title", role: "button", tabIndex: 0});
        text.after(title);
        title.append(text, shown);
        title.addEventListener("keydown", (event) => {
            if (!["Enter", " "].includes(event.key)) return;
            event.preventDefault();
            startFromHeader(tab);
            label.click();
        });
    }

    function watch(tab) {
        const panel = accordion(tab);
        const label = panel?.querySelector(".label-wrap");
        if (!label) return;
        const click = (event) => {
            // only a user's own click: a paste opens the panel too, and brings its value along
            if (event.isTrusted && label.contains(event.target)) startFromHeader(tab);
        };
        panel.addEventListener("click", click, true);
        makeTitle(tab, label);
        new MutationObserver(() => clipSkip.showPanel(tab)).observe(label, {attributes: true, attributeFilter: ["class"]});
        panel.addEventListener("change", settle);
    }

    // There is nothing between 0, "same as ...", and 1, nor below 1 where there is no 0.
    function settle({target}) {
        const value = Number(target.value);
        if (!target.matches("input[type=number], input[type=range]") || value <= 0 || value >= 1) return;
        const number = target.closest(".block").querySelector("input[type=number]");
        clipSkip.write(number, Number(number.min) < 1 ? 0 : 1);
    }

    function addTagButton(tab) {
        const place = find(`#script_${tab}_clip_skip_tools`);
        if (!place) return;
        const write = async () => {
            const [tag, negative] = tags(tab);
            await clipSkip.putTag(tab, negative, true);
            await clipSkip.putTag(tab, tag);
            clipSkip.prompt(tab).focus();
        };
        place.append(clipSkip.button(tr("Insert as a tag"), tr("Makes the panel's values the prompt's tag"), write));
    }

    onUiLoaded(() => {
        document.addEventListener("keydown", (event) => setTimeout(() => skipHidden(event)), true);
        for (const tab of clipSkip.tabs()) {
            watch(tab);
            addTagButton(tab);
            clipSkip.nameNumbers(`[id^=script_${tab}_clip_skip]`);
        }
    });
})();
