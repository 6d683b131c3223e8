"""One generation: what its prompts and the panel ask for, put into its texts.

Works on `p`, the host's processing object, in the order in which the host calls a
script: `begin`, `prepare`, then for each batch `mark_prompts` and
`mark_hires_prompts`, then `end`. A sweep or an axis sets `p.clip_skip_overrides`,
one for each picture or one for all.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from typing import Any

from modules import extra_networks, shared

from clip_skip import tags
from clip_skip.override import Override
from clip_skip.panel import Panel
from clip_skip.webui.encoders import encoders, header_skip, header_value, kind
from clip_skip.webui.language import translate

__all__ = ["begin", "end", "mark_hires_prompts", "mark_prompts", "prepare"]

log = logging.getLogger("clip_skip")


class BadArguments(ValueError):
    """Wrong arguments for the panel. The host's API reads the two attributes."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.status_code = 422
        self.detail = message


def begin(p: Any, args: Sequence[Any]) -> None:
    """Reads the panel, and refuses wrong arguments.

    The host swallows what a script raises here, so the refusal waits in
    `setup_prompts`, the first step of the generation that may fail; by then the
    model is loaded. On the page a value that is too deep for it is clamped, and said.
    """
    p.clip_skip_warnings = []
    setup_prompts = p.setup_prompts
    try:
        panel = Panel.from_args(args)
    except ValueError as error:
        p.setup_prompts = refusal(error)
        return
    p.clip_skip_panels = [panel]

    def check_and_setup() -> None:
        try:
            panel.check_depth(max((host.encoder.layers for host in encoders(shared.sd_model)), default=None))
        except ValueError as error:
            refusal(error)()
        setup_prompts()

    if panel != Panel() and getattr(p, "is_api", False):
        p.setup_prompts = check_and_setup


def refusal(error: ValueError) -> Callable[[], None]:
    message = f"Clip Skip: {error}"

    def refuse() -> None:
        raise BadArguments(message)

    return refuse


def prepare(p: Any) -> None:
    """Applies the overrides to panel and texts, and puts the panel into the infotext."""
    (panel,) = p.clip_skip_panels
    overrides = getattr(p, "clip_skip_overrides", None)
    entries: dict[str, Any] = dict(panel.infotext())
    if overrides:
        entries = override(p, panel, overrides)
    p.extra_generation_params = {**p.extra_generation_params, **entries}


def override(p: Any, panel: Panel, overrides: Sequence[Override]) -> dict[str, Any]:
    """Replaces the panel by one for each picture; returns their infotext entries.

    A picture that the host alone can make (one whole value for everything) gets
    the host's own `Clip skip`, so that it can be made again without this extension.
    """
    header = header_skip(shared.sd_model)
    each = overrides * len(p.all_prompts) if len(overrides) == 1 else overrides
    panels = [one.panel(panel, prompt, header or 1.0) for one, prompt in zip(each, p.all_prompts)]
    for first, second in (("all_prompts", "all_negative_prompts"), ("all_hr_prompts", "all_hr_negative_prompts")):
        if getattr(p, first, None):
            texts = [one.texts(*pair) for one, *pair in zip(each, getattr(p, first), getattr(p, second))]
            setattr(p, first, [prompt for prompt, _ in texts])
            setattr(p, second, [negative for _, negative in texts])
    main = overrides[0].texts(p.main_prompt, p.main_negative_prompt)
    p.main_prompt, p.main_negative_prompt = main
    p.clip_skip_panels = panels
    alone = [one == Panel(True, one.clip_skip) and header_value(shared.sd_model, one.clip_skip) for one in panels]
    if all(alone):
        entries: dict[str, Any] = {"Clip skip": [None if value == 1 else str(value) for value in alone]}
    else:
        made = [one.infotext() for one in panels]
        entries = {key: [entry.get(key) for entry in made] for key in {key: None for entry in made for key in entry}}
        entries["Clip skip"] = None
    return entries if len(overrides) > 1 else {key: value and value[0] for key, value in entries.items()}


def mark_prompts(p: Any) -> None:
    """Before the host takes the tags out of the prompts of a batch: markers in their place."""
    tell(p, tags.warnings([*p.prompts, *p.negative_prompts]))
    tell_no_effect(p, [*p.prompts, *p.negative_prompts])
    for index, pair in enumerate(zip(list(p.prompts), list(p.negative_prompts))):
        p.prompts[index], p.negative_prompts[index] = marked(p, index, *pair)


def mark_hires_prompts(p: Any) -> None:
    """The same for the hires pass, whose prompts the host has already cut from `all_hr_prompts`."""
    if not getattr(p, "enable_hr", False):
        return
    first = p.iteration * p.batch_size
    batch = slice(first, first + p.batch_size)
    prompts, negatives = p.all_hr_prompts[batch], p.all_hr_negative_prompts[batch]
    tell(p, tags.warnings([*prompts, *negatives]))
    pairs = [
        marked(p, index, *texts, hires=True)
        for index, texts in enumerate(zip(prompts, negatives, p.all_prompts[batch]))
    ]
    p.hr_prompts = extra_networks.parse_prompts([prompt for prompt, _ in pairs])[0]
    p.hr_negative_prompts = [negative for _, negative in pairs]


def end(p: Any, processed: Any) -> None:
    """Puts the warnings into the API's answer, which leaves the host's comments out."""
    told = getattr(p, "clip_skip_warnings", None)
    if told:
        original = processed.js
        processed.js = lambda: json.dumps({**json.loads(original()), "clip_skip_warnings": told})


def marked(
    p: Any, index: int, prompt: str, negative: str, first_pass: str = "", hires: bool = False
) -> tuple[str, str]:
    """The texts of picture `index` of the batch, with markers of what they ask for."""
    if not encoders(shared.sd_model):
        return tags.strip(prompt), tags.strip(negative)
    index += p.iteration * p.batch_size
    panel = p.clip_skip_panels[index if len(p.clip_skip_panels) > 1 else 0]
    skips = panel.skips() if panel.enabled else (None, None)
    texts = tags.resolve(prompt, negative, *skips, hires=hires, first_pass=first_pass)
    for host in encoders(shared.sd_model):
        for value in sorted(tags.values(texts, host.encoder.tower)):
            tell(p, host.encoder.too_deep(value))
    return texts


def tell_no_effect(p: Any, texts: Sequence[str]) -> None:
    if not encoders(shared.sd_model) and (p.clip_skip_panels[0].enabled or any(tags.asks(text) for text in texts)):
        model = kind(shared.sd_model)
        tell(p, [f"tags and the panel have no effect on {model}, whose text encoders stop where they were made to."])


def tell(p: Any, messages: Sequence[str]) -> None:
    """Once per generation: under the picture, in the console, and in the API's answer."""
    for message in messages:
        if message not in p.clip_skip_warnings:
            p.clip_skip_warnings.append(message)
            p.comment(f"Clip skip: {translate(message)}")
            log.warning("Clip skip: %s", message)
