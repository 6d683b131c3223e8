"""One generation: what its prompts and the panel ask for, put into its texts.

Works on `p`, the host's processing object, in the order in which the host calls a
script: `begin`, `prepare`, then for each batch `mark_prompts` and `keep_hires_prompts`,
then `end`. What it knows is kept in state.py's `State`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from typing import Any

from modules import shared

from clip_skip.panel import Panel, settled
from clip_skip.prompt import precedence, tags
from clip_skip.prompt.precedence import Texts
from clip_skip.skip import Skip
from clip_skip.webui import infotext, overrides
from clip_skip.webui.errors import BadArguments
from clip_skip.webui.host_language import translate
from clip_skip.webui.hosts.encoders import encoders, kind, layers
from clip_skip.webui.state import state_of

__all__ = ["begin", "cut", "end", "keep_hires_prompts", "mark_prompts", "panel_of", "prepare", "tell", "warn"]

log = logging.getLogger("clip_skip")

CUT = (
    "another extension encodes pieces of the prompt by itself, for all pictures of the batch; "
    "these ask for different values, so the WebUI's own was used."
)


def begin(p: Any, args: Sequence[Any]) -> bool:
    """Reads the panel; returns whether its arguments, and a sweep's, are right.

    The host swallows what a script raises here, so a refusal waits in `init`, the next
    step. On the page a value that is too deep for the model is clamped, and said. Nothing
    is put on `p` before the scripts' `process`: an extension sends what it has to workers.
    """
    state = state_of(p)
    try:
        panel = Panel.from_args(args if getattr(p, "is_api", False) else settled(args))
        if panel != Panel() and getattr(p, "is_api", False):
            panel.check_depth(layers(shared.sd_model))
        if state.check_model:
            state.check_model(shared.sd_model)
    except ValueError as error:
        p.init = refusal(error)
        return False
    p.clip_skip_state = state.begin(panel)
    return True


def refusal(error: ValueError) -> Callable[..., None]:
    message = translate(str(error))

    def refuse(*_: Any) -> None:
        raise BadArguments(message)

    return refuse


def prepare(p: Any) -> None:
    """Applies the overrides to panel and texts, and puts the panel into the infotext."""
    state = state_of(p)
    (panel,) = state.panels
    overrides.put_texts(p)
    entries = overrides.apply(p, panel, state.overrides) if state.overrides else panel.infotext()
    p.extra_generation_params = {**p.extra_generation_params, **entries}


def mark_prompts(p: Any) -> bool:
    """Before the host takes the tags out of the prompts of a batch: markers in their place, for the hires pass too.

    Returns whether a text asks for something.
    """
    state = state_of(p)
    first = p.iteration * p.batch_size
    texts = [Texts(*pair, *asked_by_panel(p, first + i)) for i, pair in enumerate(zip(p.prompts, p.negative_prompts))]
    passes = [texts, hires_texts(p, first, texts)]
    written = [text for one in passes for each in one for text in (each.prompt, each.negative)]
    tell(p, tags.warnings(written))
    if not encoders(shared.sd_model):
        tell_no_effect(p, written)
        put(p, first, *([(tags.strip(each.prompt), tags.strip(each.negative)) for each in one] for one in passes))
        return False
    asked = [[value for one in passes if one for value in one[index].asked()] for index in range(len(texts))]
    asks = any(value for values in asked for value in values)
    if asks and not state.overrides:
        for index, values in enumerate(asked):
            infotext.note(p, first + index, values)
    tell_too_deep(p, [value for values in asked for value in values])
    differ = state.batch is not None and len({one.prompt for one in texts}) > 1
    state.unmarked = {
        (negative, hires): None if differ else agreed([each.unmarked(negative) for each in one])
        for hires, one in zip((False, True), passes)
        for negative in (False, True)
    }
    put(p, first, *([each.marked() for each in one] for one in passes))
    return asks


def panel_of(p: Any, picture: int) -> Panel:
    """The panel of `picture` (of all pictures of `p`)."""
    panels = state_of(p).panels
    return panels[picture if len(panels) > 1 else 0]


def asked_by_panel(p: Any, picture: int) -> tuple[Skip | None, Skip | None]:
    """What the panel of `picture` asks for in its prompt and its negative prompt."""
    panel = panel_of(p, picture)
    return panel.skips() if panel.enabled else (None, None)


def hires_texts(p: Any, first: int, texts: Sequence[Texts]) -> list[Texts]:
    """The same pictures in the hires pass; none where there is no such pass."""
    if not getattr(p, "enable_hr", False):
        return []
    pairs = zip(p.all_hr_prompts[first:], p.all_hr_negative_prompts[first:], texts)
    return [Texts(prompt, bad, one.panel, one.panel_negative, True, one.prompt) for prompt, bad, one in pairs]


def agreed(values: Sequence[dict[str, float]]) -> dict[str, float] | None:
    """What all the pictures of a batch ask for; None where they differ."""
    if all(value == values[0] for value in values):
        return values[0] if values else {}
    return None


def cut(p: Any) -> None:
    """Another extension encodes a piece of the prompts, for all pictures of a batch that ask for different values.

    A sweep makes them again, so these are not saved.
    """
    batch = state_of(p).batch
    if batch:
        batch.pieces_shared = p.do_not_save_samples = True
    else:
        tell(p, [CUT])


def put(p: Any, first: int, marked: Sequence[tuple[str, str]], hires_marked: Sequence[tuple[str, str]]) -> None:
    """Puts the marked texts of a batch where the host reads them next.

    The hires prompts of a batch it takes out of all of them, which go into the infotext: `keep_hires_prompts`
    takes the markers out there. The lists may be the first pass's own, so they are replaced.
    """
    p.prompts[:], p.negative_prompts[:] = map(list, zip(*marked))
    kept_prompts = state_of(p).hires_prompts = []
    for name, texts in zip(("all_hr_prompts", "all_hr_negative_prompts"), zip(*hires_marked)):
        kept = getattr(p, name)
        setattr(p, name, [*kept[:first], *texts, *kept[first + len(texts) :]])
        kept_prompts.append((name, kept, texts))


def keep_hires_prompts(p: Any) -> None:
    """After the host has taken the hires prompts of the batch: all of them are again as they were written.

    What another extension has changed meanwhile stays.
    """
    state = state_of(p)
    first = p.iteration * p.batch_size
    for name, kept, texts in state.hires_prompts:
        now = getattr(p, name)
        for index, text in enumerate(texts, first):
            if now[index] == text:
                now[index] = kept[index]
    state.hires_prompts = []


def end(p: Any, processed: Any) -> None:
    """Puts what there is to say into the answer that the API and the page get; the API's has no comments."""
    state = state_of(p)
    entries = {
        "clip_skip_warnings": state.warnings,
        "clip_skip_suggestions": state.suggestions,
        "clip_skip_cells": state.cells,
    }
    entries = {key: values for key, values in entries.items() if values}
    if entries:
        original = processed.js
        processed.js = lambda: json.dumps({**json.loads(original()), **entries})


def tell_too_deep(p: Any, asked: Sequence[dict[str, float]]) -> None:
    for host in encoders(shared.sd_model):
        values = {value[host.encoder.tower] for value in asked if host.encoder.tower in value}
        tell(p, [sentence for value in sorted(values) for sentence in host.encoder.too_deep(value)])


def tell_no_effect(p: Any, texts: Sequence[str]) -> None:
    if state_of(p).panels[0].enabled or any(precedence.asks(text) for text in texts):
        model = kind(shared.sd_model)
        tell(p, [f"tags and the panel have no effect on {model}, whose text encoders stop where they were made to."])


def tell(p: Any, messages: Sequence[str]) -> None:
    """Once per generation: under the picture, in the console, and in the API's answer."""
    warnings = state_of(p).warnings
    for message in messages:
        if message not in warnings:
            warnings.append(message)
            warn(p, led(translate(message)))
            log.warning("%s", led(message))


def warn(p: Any, sentence: str) -> None:
    """`sentence` under the picture, marked, so that it is not taken for the infotext there."""
    p.comment(f"⚠ {sentence}")


def led(message: str) -> str:
    """`message`, which says at its beginning what it is about."""
    return f"C{message[1:]}" if message.startswith("clip skip") else f"Clip skip: {message}"
