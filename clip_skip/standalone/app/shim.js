// What the extension's scripts expect of a WebUI, for a page without one. `window.clipSkipApp` holds its data.
(() => {
    const {opts, localization, lang} = window.clipSkipApp;
    const updated = [];
    const loaded = [];
    const changed = [];
    let ready = false;
    let timer;

    const find = (selector) => gradioApp().querySelector(selector);

    document.documentElement.lang = lang;
    window.opts = opts;
    window.localization = localization;
    window.gradioApp = () => document.querySelector("gradio-app")?.shadowRoot || document;
    window.updateInput = (target) => target.dispatchEvent(new Event("input", {bubbles: true}));
    window.onUiLoaded = (callback) => (ready ? callback() : loaded.push(callback));
    window.onAfterUiUpdate = (callback) => updated.push(callback);
    window.onOptionsChanged = (callback) => changed.push(callback);
    window.onUiTabChange = () => {};

    /** Another checkpoint is chosen. */
    window.clipSkipApp.choose = (name) => {
        opts.sd_model_checkpoint = name;
        for (const callback of changed) callback();
    };

    function afterUpdate() {
        if (!ready) {
            if (!find("#txt2img_prompt textarea") || !find("#setting_CLIP_stop_at_last_layers input[type=number]")) return;
            ready = true;
            window.clipSkip.nameNumbers(".gradio-container");
            for (const callback of loaded) callback();
        }
        for (const callback of updated) callback();
    }

    function schedule() {
        clearTimeout(timer);
        timer = setTimeout(afterUpdate, 100);
    }

    // As in the WebUI, Ctrl+Enter generates: what the tab in view makes.
    function onKey(event) {
        if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || !event.target.matches("textarea, input")) return;
        event.preventDefault();
        const buttons = ["generate", "sweep", "show_layers"].map((name) => find(`#clip_skip_app_${name}`));
        buttons.find((button) => button?.offsetParent)?.click();
    }

    new MutationObserver(schedule).observe(document.body, {childList: true, subtree: true});
    document.addEventListener("keydown", onKey);
    schedule();
})();
