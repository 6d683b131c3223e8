// The list of what can follow in a tag that is being written; to a screen reader the box is a combobox while it is open.
(() => {
    window.clipSkip ??= {};
    const clipSkip = window.clipSkip;
    const {element, tr} = clipSkip;
    const OWN = ["#txt2img_prompt", "#txt2img_neg_prompt", "#img2img_prompt", "#img2img_neg_prompt"];
    const MORE = ["#hires_prompt", "#hires_neg_prompt", "#clip_skip_layers_prompt", "[id$=_prompts_from_file_or_textbox_prompt_txt]", "[id$=_edit_style_prompt]", "[id$=_edit_style_neg_prompt]"];
    const PROMPTS = [...OWN, ...MORE].join(", ");
    let list;
    let area;
    let offered;
    let cursor;
    let replaces;

    clipSkip.isPrompt = (target) => Boolean(target?.matches?.("textarea") && target.closest(PROMPTS));

    /** The box's text without the tag that is just being completed. */
    clipSkip.finished = (target) => {
        if (!list || target !== area) return target.value;
        const start = target.value.lastIndexOf("<", cursor - 1);
        return target.value.slice(0, start) + target.value.slice(cursor).replace(/^[^<>]*>/, "");
    };

    function describe(open) {
        const attributes = {role: "combobox", "aria-expanded": "true", "aria-haspopup": "listbox", "aria-controls": "clip_skip_completion"};
        area.setAttribute("aria-autocomplete", "list");
        for (const [name, value] of Object.entries(attributes)) {
            if (open) area.setAttribute(name, value);
            else area.removeAttribute(name);
        }
        if (!open) area.removeAttribute("aria-activedescendant");
    }

    function close() {
        if (!list) return;
        list.remove();
        list = undefined;
        describe(false);
        clipSkip.changed?.();
    }

    function open(target) {
        const found = clipSkip.choices(target.value.slice(0, target.selectionStart));
        if (!found.offered.length || target.selectionStart !== target.selectionEnd) {
            close();
            return;
        }
        if (list && target !== area) close();
        ({offered, replaces} = found);
        area = target;
        cursor = target.selectionStart;
        list?.remove();
        list = element("ul", {id: "clip_skip_completion", role: "listbox", "aria-label": tr("Clip skip")});
        offered.forEach((choice, index) => {
            const parts = [element("b", {textContent: choice.label}), element("span", {textContent: choice.meaning})];
            const item = element("li", {id: `clip_skip_choice_${index}`, role: "option"}, ...parts);
            item.addEventListener("mousedown", (event) => {
                event.preventDefault();
                accept(index);
            });
            list.append(item);
        });
        document.body.append(list);
        describe(true);
        place(target.getBoundingClientRect());
        select(0);
    }

    function place(box) {
        list.style.left = `${Math.max(0, Math.min(box.left, window.innerWidth - list.offsetWidth - 8)) + window.scrollX}px`;
        const top = window.innerHeight - box.bottom > 160 ? box.bottom : box.top - list.offsetHeight;
        list.style.top = `${Math.max(0, top + window.scrollY)}px`;
    }

    const selected = () => [...list.children].findIndex((item) => item.getAttribute("aria-selected") === "true");

    function select(index) {
        const item = list.children[(index + offered.length) % offered.length];
        for (const other of list.children) other.setAttribute("aria-selected", other === item);
        item.scrollIntoView({block: "nearest"});
        area.setAttribute("aria-activedescendant", item.id);
    }

    /** Writes the choice in the place of what was typed of it, and of what is left of it behind the cursor. */
    function accept(index) {
        const {text, goesOn} = offered[index];
        const target = area;
        const rest = target.value.slice(cursor).match(/^[-\w.=]*/)[0];
        const after = target.value[cursor + rest.length];
        const inside = /^[^<>\n]*>/.test(target.value.slice(cursor));
        const ends = !goesOn && after !== ":" && after !== ">" ? ">" : "";
        clipSkip.replace(target, cursor - replaces, cursor + (inside || /^[\d.]*$/.test(rest) ? rest.length : 0), text + ends);
        if (after === ">" && !goesOn) target.setSelectionRange(target.selectionStart + 1, target.selectionStart + 1);
        close();
        if (goesOn) open(target);
    }

    const KEYS = {
        ArrowDown: () => select(selected() + 1),
        ArrowUp: () => select(selected() - 1),
        Enter: () => accept(selected()),
        Tab: () => accept(selected()),
        Escape: close,
    };

    const moved = () => area.selectionStart !== cursor || area.selectionEnd !== cursor;

    // Before the host's own shortcuts and other extensions, and only for what is ours.
    function onKey(event) {
        if (!list || event.target !== area || event.ctrlKey || event.metaKey || !KEYS[event.key]) return;
        if (moved()) {
            close();
            return;
        }
        if (event.shiftKey && event.key === "Tab") return;
        KEYS[event.key]();
        event.preventDefault();
        event.stopImmediatePropagation();
    }

    function onInput({target, isTrusted}) {
        if (isTrusted && !clipSkip.writing && clipSkip.wanted("completion") && clipSkip.isPrompt(target)) open(target);
    }

    onUiLoaded(() => {
        document.addEventListener("keydown", onKey, true);
        document.addEventListener("input", onInput, true);
        document.addEventListener("selectionchange", () => list && moved() && close());
        document.addEventListener("focusout", (event) => event.target === area && close(), true);
        document.addEventListener("pointerdown", (event) => list && !list.contains(event.target) && close(), true);
    });
})();
