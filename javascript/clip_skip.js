// The panel starts from the header's value: opening it changes nothing until a slider is moved.
(function () {
    function startFromHeader(tab) {
        const accordion = gradioApp().getElementById(`script_${tab}_clip_skip_enabled`);
        const number = gradioApp().querySelector(`#script_${tab}_clip_skip_clip_skip input[type=number]`);
        if (!accordion || !number) return;

        accordion.addEventListener("click", (event) => {
            // only a user's own click: a paste opens the panel too, and brings its value along
            if (!event.isTrusted || !event.target.closest(".label-wrap, .input-accordion-checkbox")) return;
            const header = Number(opts.CLIP_stop_at_last_layers);
            if (header > 1 && Number(number.value) === 1) {
                number.value = header;
                updateInput(number);
            }
        });
    }

    onUiLoaded(() => ["txt2img", "img2img"].forEach(startFromHeader));
})();
