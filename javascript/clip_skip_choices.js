// What can stand where the cursor is in a tag that is being written: its name, a number, or l=, g=, hires=, t5= ...
(() => {
    window.clipSkip ??= {};
    const clipSkip = window.clipSkip;
    const tr = (...args) => clipSkip.tr(...args);
    const NAME = /<\s*(cl[a-z]*)$/i;
    const ITEM = /<\s*clipskip:([^<>\n]*:)?\s*(?:(l|g|hires|t5|qwen|gemma|ministral)=)?([-\w.]*)$/i;
    const DEEPEST = 12;

    const depth = (encoders) => Math.max(0, ...encoders.map((encoder) => encoder.deepest ?? encoder.layers)) || DEEPEST;

    const byName = (name) => clipSkip.named().filter((encoder) => encoder.tower === name);

    /** Whether numbers without a name act: not on a model without CLIP. */
    const numbersAct = () => clipSkip.encoders().length > 0 || !clipSkip.named().length;

    /** How deep the number of `name` ("", "l", "g", "hires") can go. */
    clipSkip.depth = (name) => {
        const encoders = clipSkip.encoders();
        const own = [...encoders, ...byName(name)].filter((encoder) => encoder.tower === name);
        return depth(own.length ? own : encoders);
    };

    function meaning(value, name) {
        const all = clipSkip.encoders();
        const own = [...all, ...byName(name)].filter((encoder) => encoder.tower === name);
        const encoders = own.length ? own : all;
        const clamp = (encoder) => Math.min(Math.max(value, encoder.native), encoder.deepest ?? encoder.layers);
        const notes = [];
        if (encoders.some((encoder) => encoder.native === value)) notes.push(tr("as published"));
        if (value === 2 && all.length === 1 && all[0].tower === "l") notes.push(tr("most anime models"));
        return [clipSkip.stops(encoders, clamp), ...notes].join(" · ");
    }

    function numbers(name, typed) {
        const sign = typed.startsWith("-") ? "-" : "";
        const digits = typed.slice(sign.length);
        const first = byName(name)[0]?.native || 1;
        const values = [...Array(clipSkip.depth(name)).keys()].slice(first - 1).map((index) => String(index + 1));
        const [whole, fraction] = digits.split(".");
        if (fraction !== undefined && Number(whole) >= 1) {
            values.unshift(...["5", "25", "75"].map((part) => `${whole}.${part}`));
            if (/[1-9]/.test(fraction) && !values.includes(digits)) values.unshift(digits);
        }
        return values
            .filter((value) => value.startsWith(digits) && Number(value) <= clipSkip.depth(name))
            .map((value) => ({text: sign + value, meaning: meaning(Number(value), name)}));
    }

    function names(before, typed) {
        const towers = clipSkip.encoders().map((encoder) => encoder.tower);
        const known = [
            ["l=", tr("CLIP-L alone"), towers.length > 1 && towers.includes("l")],
            ["g=", tr("OpenCLIP-G alone"), towers.length > 1 && towers.includes("g")],
            ["hires=", tr("in the hires pass"), numbersAct()],
            ...clipSkip.named().map((encoder) => [`${encoder.tower}=`, tr("{name} alone", encoder), true]),
        ];
        return known
            .filter(([name, , acts]) => acts && name.startsWith(typed.toLowerCase()) && !before.toLowerCase().includes(`:${name}`))
            .map(([name, meaning]) => ({text: name, meaning, goesOn: true}));
    }

    /** What can follow `text`, the box up to the cursor: [{text, meaning, label, goesOn}], and how much it replaces. */
    clipSkip.choices = (text) => {
        const name = text.match(NAME);
        if (name && "clipskip".startsWith(name[1].toLowerCase())) {
            const choice = {text: "<clipskip:", meaning: tr("set the clip skip for this prompt"), label: "<clipskip:…>", goesOn: true};
            return {replaces: name[0].length, offered: [choice]};
        }
        const item = text.match(ITEM);
        if (!item) return {replaces: 0, offered: []};
        const [, before = "", key = "", typed] = item;
        const first = !before && !key && numbersAct();
        const offered = key || first ? numbers(key.toLowerCase(), typed) : [];
        if (!key) offered.push(...names(`:${before}`, typed));
        const written = text.slice(text.lastIndexOf("<"), text.length - typed.length);
        return {replaces: typed.length, offered: offered.map((one) => ({label: `${written}${one.text}${one.goesOn ? "…" : ""}>`, ...one}))};
    };
})();
