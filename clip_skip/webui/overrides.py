"""What a sweep or an axis sets for each picture of a generation, put in the place of its panel and tags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modules import shared

from clip_skip.override import Override
from clip_skip.panel import Panel
from clip_skip.webui.hosts.encoders import encoders, header_skip, header_value
from clip_skip.webui.infotext import KEY, stop

__all__ = ["apply"]


def apply(p: Any, panel: Panel, overrides: Sequence[Override]) -> dict[str, Any]:
    """Replaces the panel by one for each picture; returns their infotext entries.

    A picture that the host alone can make (one whole value for everything) gets
    the host's own `Clip skip`, so that it can be made again without this extension.
    """
    header = header_skip(shared.sd_model)
    each = list(overrides) * len(p.all_prompts) if len(overrides) == 1 else overrides
    header_g = next((stop(host, None) for host in encoders(shared.sd_model) if host.encoder.tower == "g"), None)
    panels = [one.panel(panel, prompt, header or 1.0, header_g) for one, prompt in zip(each, p.all_prompts)]
    for first, second in (("all_prompts", "all_negative_prompts"), ("all_hr_prompts", "all_hr_negative_prompts")):
        if getattr(p, first, None):
            texts = [one.texts(*pair) for one, *pair in zip(each, getattr(p, first), getattr(p, second))]
            setattr(p, first, [prompt for prompt, _ in texts])
            setattr(p, second, [negative for _, negative in texts])
    p.main_prompt, p.main_negative_prompt = overrides[0].texts(p.main_prompt, p.main_negative_prompt)
    p.clip_skip_panels = panels
    alone = [one == Panel(True, one.clip_skip) and header_value(shared.sd_model, one.clip_skip) for one in panels]
    if all(alone):
        entries: dict[str, Any] = {KEY: [None if value == 1 else str(value) for value in alone]}
    else:
        made = [one.infotext() for one in panels]
        entries = {key: [entry.get(key) for entry in made] for key in {key: None for entry in made for key in entry}}
        entries[KEY] = None
    return entries if len(overrides) > 1 else {key: value and value[0] for key, value in entries.items()}
