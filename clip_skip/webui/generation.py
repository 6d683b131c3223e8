"""One generation: what its prompts and the panel ask for, put into its texts.

Works on `p`, the host's processing object, in the order HOSTS calls a script:
`begin`, then for each batch `mark_prompts` and `mark_hires_prompts`, then `end`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import Any

from modules import extra_networks, shared

from clip_skip import tags
from clip_skip.panel import Panel
from clip_skip.skip import format
from clip_skip.webui.encoders import encoders, kind

__all__ = ["begin", "end", "mark_hires_prompts", "mark_prompts"]

log = logging.getLogger("clip_skip")


class BadArguments(ValueError):
    """Wrong arguments for the panel. The host's API reads the two attributes."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.status_code = 422
        self.detail = message


def begin(p: Any, args: Sequence[Any]) -> None:
    """Reads the panel, puts it into the infotext, and refuses wrong arguments.

    The host swallows what a script raises here, so the refusal waits in
    `setup_prompts`, the first step of the generation that may fail.
    """
    p.clip_skip_warnings = []
    try:
        p.clip_skip_panel = Panel.from_args(args)
    except ValueError as error:
        message = f"Clip Skip: {error}"

        def refuse() -> None:
            raise BadArguments(message)

        p.setup_prompts = refuse
        return
    p.extra_generation_params.update(p.clip_skip_panel.infotext())


def mark_prompts(p: Any) -> None:
    """Before the host takes the tags out of the prompts of a batch: markers in their place."""
    tell(p, tags.warnings([*p.prompts, *p.negative_prompts]))
    tell_no_effect(p, [*p.prompts, *p.negative_prompts])
    for index, (prompt, negative) in enumerate(zip(list(p.prompts), list(p.negative_prompts))):
        p.prompts[index], p.negative_prompts[index] = marked(p, prompt, negative)


def mark_hires_prompts(p: Any) -> None:
    """The same for the hires pass, whose prompts the host has already cut from `all_hr_prompts`."""
    if not getattr(p, "enable_hr", False):
        return
    first = p.iteration * p.batch_size
    batch = slice(first, first + p.batch_size)
    prompts, negatives = p.all_hr_prompts[batch], p.all_hr_negative_prompts[batch]
    tell(p, tags.warnings([*prompts, *negatives]))
    pairs = [
        marked(p, prompt, negative, hires=True, first_pass=first_pass)
        for prompt, negative, first_pass in zip(prompts, negatives, p.all_prompts[batch])
    ]
    p.hr_prompts = extra_networks.parse_prompts([prompt for prompt, _ in pairs])[0]
    p.hr_negative_prompts = [negative for _, negative in pairs]


def end(p: Any, processed: Any) -> None:
    """Puts the warnings into the API's answer, which leaves the host's comments out."""
    told = getattr(p, "clip_skip_warnings", None)
    if told:
        original = processed.js
        processed.js = lambda: json.dumps({**json.loads(original()), "clip_skip_warnings": told})


def marked(p: Any, prompt: str, negative: str, hires: bool = False, first_pass: str = "") -> tuple[str, str]:
    if not encoders(shared.sd_model):
        return tags.strip(prompt), tags.strip(negative)
    panel = p.clip_skip_panel
    skips = panel.skips() if panel.enabled else (None, None)
    texts = tags.resolve(prompt, negative, *skips, hires=hires, first_pass=first_pass)
    for host in encoders(shared.sd_model):
        encoder = host.encoder
        for value in sorted(tags.values(texts, encoder.tower)):
            if value > encoder.layers:
                deep = f"clip skip {format(value)} is deeper than the {encoder.layers} layers of {encoder.name}"
                tell(p, [f"{deep}; {encoder.layers} was used."])
    return texts


def tell_no_effect(p: Any, texts: Sequence[str]) -> None:
    if not encoders(shared.sd_model) and (p.clip_skip_panel.enabled or any(tags.asks(text) for text in texts)):
        tell(p, [f"tags and the panel have no effect on {kind(shared.sd_model)} yet."])


def tell(p: Any, messages: Sequence[str]) -> None:
    """Once per generation: under the picture, in the console, and in the API's answer."""
    for message in messages:
        if message not in p.clip_skip_warnings:
            p.clip_skip_warnings.append(message)
            p.comment(f"Clip skip: {message}")
            log.warning("Clip skip: %s", message)
