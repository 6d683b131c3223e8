// What a LoRA or a checkpoint was made for, below the prompt and under the picture, with a button to follow it.
(() => {
    window.clipSkip ??= {};
    const clipSkip = window.clipSkip;
    const {element, tr} = clipSkip;

    const use = (tab, value) =>
        clipSkip.button(tr("Use {value}", {value}), tr("Makes it the prompt's tag"), () => clipSkip.putTag(tab, `<clipskip:${value}>`));

    /** What is said of the loaded checkpoint can be remembered for it, where there is a host that follows it. */
    const remember = ({kind, value}) =>
        kind === "checkpoint" && clipSkip.remember && clipSkip.wanted("follow")
            ? [" ", clipSkip.button(tr("Remember {value} for this checkpoint", {value}), tr("Kept beside the checkpoint. The slider moves there whenever it is loaded."), () => clipSkip.remember(value))]
            : [];

    /** Below the prompt. */
    clipSkip.showSuggestions = (tab, {suggestions, problems}) => {
        const box = clipSkip.find(`#${tab}_prompt`);
        const id = `${tab}_clip_skip_suggestions`;
        let place = clipSkip.find(`#${id}`);
        const key = JSON.stringify([suggestions, problems]);
        if (!place && !suggestions.length && !problems.length) return;
        if (!place) {
            place = element("div", {id, className: "clip-skip-suggestions", role: "status"});
            box.append(place);
        }
        if (place.dataset.shown === key) return;
        place.dataset.shown = key;
        const lines = suggestions.map((one) => element("div", {}, element("span", {textContent: one.text}), " ", use(tab, one.value), ...remember(one)));
        place.replaceChildren(...lines, ...problems.map((text) => element("div", {textContent: text})));
    };

    /** Under the picture: the host shows the sentences, the buttons come behind them. */
    clipSkip.showPictureSuggestions = (tab) => {
        const comments = clipSkip.find(`#html_log_${tab} .comments, #html_info_${tab} .comments`);
        if (!comments || comments.querySelector(".clip-skip-button")) return;
        const suggestions = JSON.parse(clipSkip.find(`#generation_info_${tab} textarea`)?.value || "{}").clip_skip_suggestions || [];
        for (const node of [...comments.childNodes]) {
            const suggestion = suggestions.find(({text}) => node.nodeType === Node.TEXT_NODE && node.data.trim().endsWith(text));
            if (suggestion) node.after(" ", use(tab, suggestion.value));
        }
    };
})();
