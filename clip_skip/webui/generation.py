"""One generation: the values of its prompts and the panel, written into its texts.

Works on `p`, the host's processing object, in the order in which the host calls a
script: `begin`, `apply_sweep_values`, then for each batch `mark_prompts` and `keep_hires_prompts`,
then `end`. Its state is in state.py's `State`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Sequence
from typing import Any

from modules import extra_networks, shared

from clip_skip.messages.message import Message, Template, reason
from clip_skip.messages.safe_text import printable
from clip_skip.page.named_encoders import panel_message, tag_messages
from clip_skip.panel import Panel, settled
from clip_skip.prompt.parsed import MOST_WARNINGS, Prompt, Values, find_warnings
from clip_skip.prompt.precedence import Texts
from clip_skip.skip import Skip
from clip_skip.webui import infotext, overrides
from clip_skip.webui.errors import ClipSkip
from clip_skip.webui.host_language import translate
from clip_skip.webui.host_types import Processing
from clip_skip.webui.hosts.encoders import ModelEncoders, describe_model
from clip_skip.webui.state import state_of

__all__ = [
    "apply_sweep_values",
    "begin",
    "comment",
    "end",
    "keep_hires_prompts",
    "mark_prompts",
    "network_names",
    "panel_of",
    "report_shared_pieces",
    "warn",
]

log = logging.getLogger("clip_skip")

MESSAGE = Template("Clip skip: {message}")
SHARED_PIECES = Template(
    "another extension encodes parts of the prompt itself, for the whole batch; "
    "its pictures ask for different values, so the WebUI's own was used."
)
MODEL_WITHOUT_CLIP_SKIP = Template("tags and the panel have no effect on {model}, which does not support clip skip.")
SEVERAL_LAYERS = Template(
    "tags and the panel have no effect on {model}, which uses several layers of its text encoder at once."
)


def begin(p: Processing, args: Sequence[Any]) -> bool:
    """Parses the panel's arguments; returns whether they, and a sweep's settings, can be used.

    The host catches what a script raises here, so a request is rejected from `p.init`, which it calls next. On the page
    a value that is too deep for the model is not an error: it is clamped, with a warning. Nothing is put on `p` before
    the scripts' `process`, because an extension sends all attributes of `p` to other machines.
    """
    state = state_of(p)
    is_api = getattr(p, "is_api", False)
    try:
        panel = Panel.from_args(args if is_api else settled(args))
        if panel != Panel() and is_api:
            panel.check_depth(describe_model(shared.sd_model).layers)
        if state.check_model:
            state.check_model(shared.sd_model)
    except ValueError as error:
        p.init = reject(reason(error))
        return False
    p.clip_skip_state = state.begin(panel)
    return True


def reject(message: Message | str) -> Callable[..., None]:
    def init(*_: Any, **_by_name: Any) -> None:
        raise ClipSkip(message)

    return init


def apply_sweep_values(p: Processing) -> None:
    """Applies the overrides to panel and texts, and puts the panel into the infotext."""
    state = state_of(p)
    (panel,) = state.panels
    overrides.put_texts(p)
    entries = overrides.apply_overrides(p, panel, state.overrides) if state.overrides else panel.infotext()
    p.extra_generation_params = {**p.extra_generation_params, **entries}


def mark_prompts(p: Processing) -> bool:
    """Replaces the tags in a batch's prompts by markers before the host removes them, for the hires pass too.

    Returns whether a text sets a value.
    """
    if not p.prompts:  # another extension may leave a last batch without pictures
        return False
    state, model = state_of(p), describe_model(shared.sd_model)
    first = p.iteration * p.batch_size
    pairs = enumerate(zip(p.prompts, p.negative_prompts), first)
    texts = [Texts(*pair, *skips_of_panel(p, picture), towers=model.markable) for picture, pair in pairs]
    passes = [texts, hires_texts(p, first, texts)]
    prompts = [prompt for each in passes for pair in each for prompt in pair.prompts]
    warn(p, find_warnings(prompts, network_names()))
    if not model.markable:
        warn_no_effect(p, prompts, model)
        put_marked_texts(
            p, first, *([(pair.prompts[0].clean, pair.prompts[1].clean) for pair in each] for each in passes)
        )
        return False
    warn_names(p, prompts, model)
    values = [[one for each in passes if each for one in each[index].values()] for index in range(len(texts))]
    acts = any(one for each in values for one in each)
    if acts and model.hosts and not any(one.acts_on_clip for one in state.overrides):
        for picture, each in enumerate(values, first):
            infotext.note(p, picture, each, model)
    warn_too_deep(p, [one for each in values for one in each], model)
    differ = state.batch is not None and len({pair.prompts[0].clean for pair in texts}) > 1
    state.unmarked = {
        (negative, hires): None if differ else agreed([pair.unmarked(negative) for pair in each])
        for hires, each in zip((False, True), passes)
        for negative in (False, True)
    }
    put_marked_texts(p, first, *([pair.marked() for pair in each] for each in passes))
    return acts


def network_names() -> Collection[str]:
    """The names of the `<name:...>` tags that the host and its extensions have."""
    return getattr(extra_networks, "extra_network_registry", {}).keys()


def panel_of(p: Processing, picture: int) -> Panel:
    """The panel of `picture` (of all pictures of `p`)."""
    panels = state_of(p).panels
    return panels[picture if len(panels) > 1 else 0]


def skips_of_panel(p: Processing, picture: int) -> tuple[Skip | None, Skip | None]:
    """The panel's values of `picture` for its prompt and its negative prompt."""
    panel = panel_of(p, picture)
    return panel.skips() if panel.enabled else (None, None)


def hires_texts(p: Processing, first: int, texts: Sequence[Texts]) -> list[Texts]:
    """The same pictures in the hires pass; empty if there is no such pass."""
    if not getattr(p, "enable_hr", False):
        return []
    pairs = zip(p.all_hr_prompts[first:], p.all_hr_negative_prompts[first:], texts)
    return [
        Texts(prompt, bad, one.panel, one.panel_negative, True, one.prompt, one.towers) for prompt, bad, one in pairs
    ]


def agreed(values: Sequence[Values]) -> Values | None:
    """The values of all the pictures of a batch; None where they differ."""
    if all(value == values[0] for value in values):
        return values[0] if values else {}
    return None


def report_shared_pieces(p: Processing) -> None:
    """Warns that another extension encodes one piece of the prompts for pictures with different values.

    A sweep makes such pictures again, so they are not saved.
    """
    batch = state_of(p).batch
    if batch:
        batch.pieces_shared = p.do_not_save_samples = True
    else:
        warn(p, [SHARED_PIECES])


def put_marked_texts(
    p: Processing, first: int, marked: Sequence[tuple[str, str]], hires_marked: Sequence[tuple[str, str]]
) -> None:
    """Puts the marked texts of a batch where the host reads them next.

    The host takes a batch's hires prompts out of the list of all, which goes into the infotext, so
    `keep_hires_prompts` removes the markers there. The lists may be the first pass's own, so they are replaced.
    """
    p.prompts[:], p.negative_prompts[:] = map(list, zip(*marked))
    kept_prompts = state_of(p).hires_prompts = []
    for name, texts in zip(("all_hr_prompts", "all_hr_negative_prompts"), zip(*hires_marked)):
        original = getattr(p, name)
        setattr(p, name, [*original[:first], *texts, *original[first + len(texts) :]])
        kept_prompts.append((name, original, texts))


def keep_hires_prompts(p: Processing) -> None:
    """After the host has taken the hires prompts of the batch: restores them without markers.

    Texts that another extension has changed meanwhile stay.
    """
    state = state_of(p)
    first = p.iteration * p.batch_size
    for name, original, texts in state.hires_prompts:
        now = getattr(p, name)
        for index, text in enumerate(texts, first):
            if now[index] == text:
                now[index] = original[index]
    state.hires_prompts = []


def end(p: Processing, processed: Any) -> None:
    """Puts the messages into the answer for the API and the page; the API's answer has no comments."""
    state = state_of(p)
    entries: dict[str, list[Any]] = {
        "clip_skip_warnings": [str(message) for message in state.warnings],
        "clip_skip_suggestions": state.suggestions,
        "clip_skip_cells": state.cells,
    }
    entries = {key: values for key, values in entries.items() if values}
    if entries:
        original = processed.js
        processed.js = lambda: json.dumps({**json.loads(original()), **entries})


def warn_too_deep(p: Processing, values: Sequence[Values], model: ModelEncoders) -> None:
    for host in model.hosts:
        skips = {one[host.encoder.tower] for one in values if host.encoder.tower in one}
        warn(p, [message for skip in sorted(skips) for message in host.encoder.too_deep(skip)], whole=True)
    for encoder in (one.encoder for one in model.named_encoders):
        skips = {one[encoder.tower] for one in values if encoder.tower in one}
        messages = (encoder.too_deep(skip) or encoder.too_shallow(skip) for skip in sorted(skips))
        warn(p, [message for each in messages for message in each], whole=True)


def warn_no_effect(p: Processing, prompts: Sequence[Prompt], model: ModelEncoders) -> None:
    """Warns that the values have no effect on this model."""
    if state_of(p).panels[0].enabled or any(prompt.tags for prompt in prompts):
        warn(p, [(SEVERAL_LAYERS if model.several else MODEL_WITHOUT_CLIP_SKIP)(model=model.name)])


def warn_names(p: Processing, prompts: Sequence[Prompt], model: ModelEncoders) -> None:
    """Warns about values for a text encoder that the model doesn't have, with an example of one that acts."""
    clip, named_encoders = [host.encoder for host in model.hosts], [one.encoder for one in model.named_encoders]
    tags = [tag for prompt in prompts for tag in prompt.tags if tag.skip]
    messages = dict.fromkeys(message for tag in tags for message in tag_messages(tag, clip, named_encoders, model.name))
    warn(p, list(messages)[:MOST_WARNINGS])
    if not clip and state_of(p).panels[0].enabled:
        warn(p, [panel_message(named_encoders, model.name)])


def warn(p: Processing, messages: Sequence[Message | str], whole: bool = False) -> None:
    """Once per generation: under the picture, in the console, and in the API's answer.

    whole: the messages need no "Clip skip:" in front
    """
    warnings = state_of(p).warnings
    for message in messages:
        if message not in warnings:
            warnings.append(message)
            text = message if whole else MESSAGE(message=message)
            comment(p, translate(text))
            log.warning("%s", printable(text))


def comment(p: Processing, sentence: str) -> None:
    """`sentence` under the picture, marked, so that it is not taken for the infotext there."""
    p.comment(f"⚠ {sentence}")
