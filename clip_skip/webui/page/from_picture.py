"""A sweep of a picture: its infotext with the sweep's entries, for the host's own paste to fill the page in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from modules.infotext_utils import parse_generation_parameters, quote

from clip_skip.messages.message import Template
from clip_skip.messages.safe_text import well_formed
from clip_skip.pictures.infotext import compose, parse_infotext, parse_settings, write_infotext
from clip_skip.sweep.rows import CFG
from clip_skip.sweep.settings import INFOTEXT, SWEEP_TITLE
from clip_skip.webui import host_settings
from clip_skip.webui.host_language import translate

__all__ = ["sweep_of"]

NO_SETTINGS = Template("This picture has no settings in it.")


def sweep_of(request: Mapping[str, Any]) -> dict[str, str]:
    """The "infotext" with a sweep in it: columns as the sweep starts with, and the picture's CFG scale as its row.

    "prompt" is what the host reads from it.

    A sweep's grid has its sweep already. "error" is the translated message that it has no settings.
    """
    text = settings_last(well_formed(str(request.get("infotext") or "")).strip())
    last = text.rpartition("\n")[2]
    if not re.search(r"\bSteps: \d+", last):
        return {"error": translate(NO_SETTINGS)}
    if f"{INFOTEXT['clip_skips']}: " in last:
        return filled(text)
    settings = host_settings.sweep_starts_with()
    scale = re.search(r"\bCFG scale: ([\d.]+)", last)
    if settings.rows == CFG.name and scale:
        settings = replace(settings, cfg_scales=scale[1])
    more = {"Script": SWEEP_TITLE, **settings.infotext()}
    return filled(", ".join([text, *(f"{key}: {quote(value)}" for key, value in more.items())]))


def settings_last(text: str) -> str:
    """`text` with its settings on the last line, where alone the host looks for them."""
    infotext = parse_infotext(text)
    if not infotext.parameters or parse_settings(text.rpartition("\n")[2]):
        return text
    return write_infotext(infotext.prompt, infotext.negative, compose(infotext.parameters))


def filled(infotext: str) -> dict[str, str]:
    return {"infotext": infotext, "prompt": str(parse_generation_parameters(infotext).get("Prompt", ""))}
