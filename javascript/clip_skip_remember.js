// Below the header's slider: remember its value for the checkpoint; and the slider, which moves where the header has.
(() => {
    window.clipSkip ??= {};
    const clipSkip = window.clipSkip;
    const tr = (...args) => clipSkip.tr(...args);
    if (window.clipSkipApp) return; // the page without a WebUI has no checkpoints of a host
    const AFTER = [400, 1500, 4000]; // a host may still be loading when it has been told of another checkpoint
    const EVERY = 3000;
    const SETTLED = 2000; // until then the host may not know yet where the user has moved the slider
    let known = {};
    let key;
    let apart; // where slider and header differ: their values, and since when
    let pressed = false;
    let moved; // the value to which the page has moved the slider, until the user does
    let problem = "";

    const wanted = () => clipSkip.wanted("follow") && known.on && known.checkpoint && known.acts !== false;
    const number = () => clipSkip.slider()?.querySelector("input[type=number]");

    function show() {
        const place = clipSkip.slider();
        let row = clipSkip.find("#clip_skip_remember");
        if (!place || !wanted()) {
            row?.remove();
            return;
        }
        if (!row) {
            row = clipSkip.element("div", {id: "clip_skip_remember", role: "status"});
            place.append(row);
        }
        const value = Number(number()?.value || 0);
        const shown = JSON.stringify([value, known.remembered, known.checkpoint, problem]);
        if (row.dataset.shown === shown) return;
        row.dataset.shown = shown;
        const parts = [];
        if (known.remembered === value) parts.push(tr("Remembered for this checkpoint."));
        else if (value >= 1 && value <= 12 && Number.isInteger(value)) {
            const title = tr("Kept beside the checkpoint. The slider moves there whenever it is loaded.");
            parts.push(clipSkip.button(tr("Remember {value} for this checkpoint", {value}), title, () => send(value)));
        }
        if (known.remembered) {
            const title = tr("{value} is remembered for this checkpoint", {value: known.remembered});
            parts.push(clipSkip.button(tr("Forget"), title, () => send(null)));
        }
        if (problem) parts.push(problem);
        row.replaceChildren(...parts.flatMap((part) => [part, " "]));
    }

    /** Whether the slider has to move: the header has, or the slider stands elsewhere, and not because of the user. */
    function mustMove(answer, input) {
        const value = Number(input.value);
        if (!answer.followed || pressed || document.activeElement === input || value === Number(answer.header)) {
            apart = undefined;
            return false;
        }
        if (answer.header !== known.header || answer.checkpoint !== known.checkpoint) return true;
        const now = JSON.stringify([value, answer.header]);
        if (apart?.values !== now) apart = {values: now, since: Date.now()};
        return Date.now() - apart.since > SETTLED;
    }

    function take(answer) {
        const input = number();
        const moves = input && mustMove(answer, input);
        known = answer;
        if (moves) {
            apart = undefined;
            moved = Number(answer.header);
            clipSkip.write(input, answer.header);
            clipSkip.changed();
        }
        show();
    }

    async function ask() {
        try {
            take(await clipSkip.fetch("remembered"));
        } catch (error) {
            console.warn("Clip Skip:", error.message);
        }
    }

    /** Remembers `value` for a checkpoint, the selected one if none is named; null forgets. */
    async function send(value, checkpoint) {
        problem = "";
        const settings = {
            method: "POST",
            headers: {"Content-Type": "application/json"},
            body: JSON.stringify({clip_skip: value, ...(checkpoint && {checkpoint})}),
        };
        try {
            const response = await fetch(clipSkip.address("remember"), settings);
            const answer = await response.json();
            if (response.ok) {
                take(answer);
                clipSkip.changed();
            }
            else problem = String(answer.detail || response.status);
        } catch (error) {
            problem = error.message;
        }
        show();
    }

    clipSkip.remember = send;

    /** Whether it was not the page that has changed the slider to `value`: then Forge's option is set to it. */
    clipSkip.movedByHand = (value) => {
        if (value === moved) return false;
        moved = undefined;
        return true;
    };

    /** What tells that the host may have loaded another checkpoint, or that somebody has moved the header. */
    function change() {
        const made = clipSkip.tabs().map((tab) => clipSkip.find(`#generation_info_${tab} textarea`)?.value);
        const shown = clipSkip.find("#quicksettings .model_selection input, #setting_sd_model_checkpoint input")?.value;
        const now = JSON.stringify([opts.sd_model_checkpoint, opts.sd_checkpoint_hash, opts.clip_skip_follow, shown, made]);
        if (now !== key) {
            key = now;
            for (const delay of AFTER) setTimeout(ask, delay);
        }
        show();
    }

    onUiLoaded(() => {
        change();
        const input = (event) => {
            if (event.isTrusted) moved = undefined;
            show();
        };
        document.addEventListener("input", input, true);
        const press = (event) => {
            pressed = event.type === "pointerdown" && Boolean(clipSkip.slider()?.contains(event.target));
            if (pressed) moved = undefined;
        };
        for (const name of ["pointerdown", "pointerup", "pointercancel"]) document.addEventListener(name, press, true);
        window.addEventListener("focus", ask);
        setInterval(() => known.followed && document.visibilityState === "visible" && ask(), EVERY);
    });
    onOptionsChanged(change);
    onAfterUiUpdate(change);
})();
