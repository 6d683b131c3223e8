"""Replaces a generation's panel, tags and texts by what a sweep or an axis sets for each picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modules import shared

from clip_skip.panel import Panel
from clip_skip.prompt.override import Override
from clip_skip.webui.host_types import Processing
from clip_skip.webui.hosts.encoders import describe_model
from clip_skip.webui.infotext import KEY, header_entry, is_pasted, stop
from clip_skip.webui.state import state_of

__all__ = ["apply_overrides", "put_texts"]


def put_texts(p: Processing) -> None:
    """Gives each picture of a sweep's batch its own texts.

    Until now the host had one text for all of them, because other extensions read the prompt and seed from `p`.
    """
    batch = state_of(p).batch
    texts = batch.row_texts if batch else None
    if texts is None:
        return
    pairs = [("all_prompts", "all_negative_prompts")]
    if getattr(p, "all_hr_prompts", None):
        pairs.append(("all_hr_prompts", "all_hr_negative_prompts"))
    for names in pairs:
        of_rows = [texts.of(index, *pair) for index, pair in enumerate(zip(*(getattr(p, name) for name in names)))]
        for name, user_text, column in zip(names, ("hr_prompt", "hr_negative_prompt"), zip(*of_rows)):
            if "_hr_" not in name or not getattr(p, user_text, ""):  # a separate hires prompt stays, as in the plot
                setattr(p, name, list(column))


def apply_overrides(p: Processing, panel: Panel, overrides: Sequence[Override]) -> dict[str, Any]:
    """Replaces the panel by one for each picture; returns their infotext entries.

    A picture that the host alone can make (one whole value for everything) gets
    the host's own `Clip skip`, so that it can be made again without this extension;
    and the panel's entries too, where the host does not read its own back.
    """
    model = describe_model(shared.sd_model)
    each = list(overrides) * len(p.all_prompts) if len(overrides) == 1 else overrides
    header_g = next((stop(host, None) for host in model.hosts if host.encoder.tower == "g"), None)
    published_skips = {one.encoder.tower: one.encoder.native for one in model.named_encoders}
    panels = [one.panel(panel, prompt, model.header_skip or 1.0, header_g) for one, prompt in zip(each, p.all_prompts)]
    for first, second in (("all_prompts", "all_negative_prompts"), ("all_hr_prompts", "all_hr_negative_prompts")):
        if getattr(p, first, None):
            pairs = zip(getattr(p, first), getattr(p, second))
            texts = [one.texts(*pair, published_skips) for one, pair in zip(each, pairs)]
            setattr(p, first, [prompt for prompt, _ in texts])
            setattr(p, second, [negative for _, negative in texts])
    p.main_prompt, p.main_negative_prompt = overrides[0].texts(p.main_prompt, p.main_negative_prompt, published_skips)
    if not any(one.acts_on_clip for one in overrides):
        return panel.infotext()
    state_of(p).panels = panels
    header_values = [one == Panel(True, one.clip_skip) and model.header_value(one.clip_skip) for one in panels]
    by_header = all(header_values)
    infotexts = [] if by_header and is_pasted() else [one.infotext() for one in panels]
    keys = {key: None for infotext in infotexts for key in infotext}
    entries: dict[str, Any] = {key: [infotext.get(key) for infotext in infotexts] for key in keys}
    entries[KEY] = [header_entry(value) for value in header_values if value] if by_header else None
    return entries if len(overrides) > 1 else {key: value and value[0] for key, value in entries.items()}
